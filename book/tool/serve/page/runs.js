/* A button on every transcript and figure that runs it here, and shows the result. */
import { button, keepKeys, make, status } from './elements.js';
import { rings } from './rings.js';
import { get, post } from './server.js';

/** A transcript or figure of the page, with a place below it for the reader's own run. */
class Runnable {
    constructor(kind, name, shown) {
        this.kind = kind;
        this.name = name;
        this.recorded = shown.player?.recording;
        this.section = make('section', 'living');
        this.section.setAttribute('aria-label', `Your run of ${name}`);
        keepKeys(this.section);
        // Keep both together: the presenter's view shows them as one item.
        const both = make('div', 'runnable');
        shown.replaceWith(both);
        both.append(shown, this.section);
    }

    /** Says why there is no button. */
    refuse(why) {
        this.section.append(make('p', 'living-status', `Run this one yourself: ${why}.`));
    }

    /** Offers the run on this machine, and in the emulated one if that has this kernel. */
    offer(kernel) {
        const on = (machine, words) =>
            button('▶', words, () => this.start(`${machine}/${this.kind}/${this.name}`));
        this.buttons = [on('run', 'Run it on this machine')];
        if (kernel) {
            this.buttons.push(on('emulate', `Run it on Linux ${kernel}, emulated`));
        }
        this.stop = button('■', 'Stop', () => post('stop', () => {}).catch(() => {}));
        this.status = status();
        this.output = make('pre', 'living-output');
        this.output.tabIndex = 0;
        this.output.setAttribute('role', 'log');
        this.output.setAttribute('aria-live', 'off');
        this.output.setAttribute('aria-label', 'Output of your run');
        this.result = make('div', 'living-result');
        this.stop.hidden = this.output.hidden = true;
        this.section.append(make('p', 'living-bar', ...this.buttons, this.stop, this.status),
            this.output, this.result);
    }

    async start(path) {
        if (this.buttons[0].hasAttribute('aria-disabled')) {
            return;
        }
        this.emulated = path.startsWith('emulate');
        this.output.replaceChildren();
        this.result.replaceChildren();
        this.status.textContent = 'Asking…';
        // A disabled button would lose the focus.
        this.buttons.forEach(node => node.setAttribute('aria-disabled', 'true'));
        this.stop.hidden = false;
        this.ended = false;
        try {
            await post(path, event => this.heard(event));
            if (!this.ended) {
                this.status.textContent = 'The server ended, and the run with it.';
            }
        } catch (error) {
            this.status.textContent = error.status === undefined
                ? 'The server does not answer: start `cargo xtask book serve` again.'
                : `Not now: ${error.message}.`;
        }
        this.buttons.forEach(node => node.removeAttribute('aria-disabled'));
        if (document.activeElement === this.stop) {
            this.buttons[0].focus();
        }
        this.stop.hidden = true;
    }

    heard(event) {
        switch (event.event) {
        case 'build':
            this.status.textContent = 'Building the programs; the first time this takes a minute or two…';
            break;
        case 'command':
            this.status.textContent = this.emulated
                ? 'A kernel boots under emulation: half a minute. The first time, its programs are built: minutes…'
                : 'Running…';
            this.print(`$ ${event.text}${event.background ? ' &' : ''}\n`, 'living-command');
            break;
        case 'output':
            this.print(event.text);
            break;
        case 'end':
            this.ended = true;
            this.end(event);
            break;
        }
    }

    /** Adds to the output, and scrolls to its end unless the reader has scrolled. */
    print(text, className) {
        const output = this.output;
        output.hidden = false;
        const atEnd = output.scrollTop + output.clientHeight > output.scrollHeight - 30;
        output.append(make('span', className || '', text));
        if (atEnd) {
            output.scrollTop = output.scrollHeight;
        }
    }

    end({ seconds, stopped, complaint, differences, traces, untraced }) {
        this.status.textContent =
            `${stopped ? 'Stopped' : complaint ? 'It failed' : 'It ended'} after ${seconds.toFixed(1)} s.`;
        const add = (...content) => this.result.append(...content);
        if (complaint && !stopped) {
            add(make('pre', 'living-complaint', complaint));
        } else if (!stopped && this.kind === 'transcript') {
            add(differs(differences, this.emulated ? 'The emulated machine' : 'Your machine'));
        }
        if (traces.length > 0) {
            add(rings(traces, this.recorded));
        }
        untraced.forEach(words => add(make('p', '', 'The rings could not be watched:'),
            make('pre', 'living-complaint', words)));
    }
}

/** The lines of a run that differ from the book's. */
function differs(differences, machine) {
    if (differences.length === 0) {
        return make('p', 'living-compared', `${machine} printed what the book says.`);
    }
    const parts = differences.map(([command, lines]) =>
        make('pre', 'living-difference', `$ ${command}\n${lines}`));
    const details = make('details', '', make('summary', '', `${machine} printed something else`),
        make('p', '', 'A line with - stands in the book, a line with + was printed here. The tracer ' +
            'slows calls down, which can change an order or a number.'), ...parts);
    details.open = true;
    return details;
}

async function begin() {
    const named = (kind, selector, name) =>
        [...document.querySelectorAll(selector)].map(node => new Runnable(kind, name(node), node));
    // At once, so that the presenter's view finds them; the server's answer takes a moment.
    const found = [
        ...named('transcript', '.transcript', node => node.dataset.transcript),
        ...named('atlas', '.asked[data-entry]:not([data-entry=""])', node => node.dataset.entry),
        ...named('figure', '.ring-player', node => node.dataset.ring),
    ];
    if (found.length === 0) {
        return;
    }
    const offers = await get('runs');
    const { emulated } = offers;
    for (const runnable of found) {
        const why = offers[runnable.kind][runnable.name];
        if (why) {
            runnable.refuse(why);
        } else {
            const there = emulated?.[runnable.kind].includes(runnable.name);
            runnable.offer(there ? emulated.kernel : undefined);
        }
    }
}

begin();
