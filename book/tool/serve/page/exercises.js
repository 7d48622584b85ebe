/* How far the reader's own program has come, at each exercise: the verdict at each save, and the
 * rings of that very program. */
import { button, keepKeys, link, make, status, words } from './elements.js';
import { rings } from './rings.js';
import { Refused, get, post } from './server.js';

/** How often to ask the server; a save is checked when the file was the same twice. */
const PAUSE = 500;

class Exercise {
    constructor(place) {
        this.name = place.dataset.exercise;
        this.version = 0;
        this.section = make('section', 'living');
        this.section.setAttribute('aria-label', `Your program for ${this.name}`);
        keepKeys(this.section);
        this.status = status();
        this.begin = button('✎', 'Begin', () => this.check('check'));
        this.again = button('✓', 'Check it now', () => this.check('check'));
        this.there = button('✓', '', () => this.check('emulate/check'));
        this.solve = button('→', 'Show the solution', () => this.solution(`exercise/${this.name}/solution`));
        this.giveUp = button('⚑', 'Give up and see the solution', () => this.ask());
        this.verdict = make('div', 'living-result');
        this.solved = make('div', '');
        this.hide(this.begin, this.again, this.there, this.solve, this.giveUp);
        this.section.append(
            make('p', 'living-bar', this.begin, this.again, this.there, this.solve, this.giveUp, this.status),
            this.verdict, this.solved);
        place.append(this.section);
    }

    hide(...buttons) {
        buttons.forEach(node => { node.hidden = true; });
    }

    /** Shows or hides a button, and keeps the focus near if it was hidden. */
    show(node, shown) {
        if (!shown && document.activeElement === node) {
            this.section.tabIndex = -1;
            this.section.focus();
        }
        node.hidden = !shown;
    }

    say(words) {
        // Setting the same text again would make a screen reader read it again.
        if (this.status.textContent !== words) {
            this.status.textContent = words;
        }
    }

    /** Shows the state that the server sent. */
    update({ state, program, begun, checking, version }, emulated) {
        const open = state === 'passed' || state === 'given up';
        this.show(this.begin, !begun && !checking);
        this.show(this.again, begun && !checking);
        this.show(this.there, begun && !checking && Boolean(emulated));
        if (emulated && !this.kernel) {
            this.kernel = `Linux ${emulated}, emulated`;
            this.there.append(`Check it on ${this.kernel}`);
        }
        this.show(this.solve, open);
        this.show(this.giveUp, begun && !open);
        if (version !== this.version) {
            this.version = version;
            this.fetch();
        }
        const stands = {
            'passed': 'You have passed it.', 'given up': 'You gave it up.', 'skipped': 'You skipped it.',
        }[state];
        if (checking) {
            this.say(`${program} is being compiled and checked…`);
        } else if (!begun) {
            this.say(stands || 'Not begun.');
            // A verdict on a program that is gone says nothing.
            this.word = '';
            this.verdict.replaceChildren();
        } else if (this.fetching) {
            // Until the new verdict is here, nothing is said: the last one is no longer true.
        } else if (this.word) {
            this.say(`${program}: ${this.word}`);
        } else {
            this.say(`${stands || 'You have begun.'} Every save of ${program} is checked.`);
        }
    }

    async fetch() {
        this.fetching = true;
        try {
            const verdict = await get(`exercise/${this.name}`);
            this.word = (verdict.emulated ? `on ${this.kernel}: ` : '') + word(verdict);
            this.verdict.replaceChildren(...parts(verdict));
        } catch (error) {
            this.word = 'it could not be checked.';
            this.verdict.replaceChildren(make('pre', 'living-complaint', error.message));
        }
        this.fetching = false;
    }

    async check(path) {
        try {
            await post(`${path}/${this.name}`, () => {});
            [this.begin, this.again, this.there].forEach(node => this.show(node, false));
            this.say('It is being compiled and checked…');
        } catch (error) {
            this.say(error.message);
        }
    }

    /** Asks before the reader gives up, as `learn` does. */
    ask() {
        const yes = button('⚑', 'Yes, give it up', () => this.solution(`give-up/${this.name}`, true));
        const no = button('↩', 'No', () => {
            this.solved.replaceChildren();
            this.giveUp.focus();
        });
        this.solved.replaceChildren(make('p', 'living-bar',
            `Give ${this.name} up and see the solution? The list of exercises marks it then.`, yes, no));
        no.focus();
    }

    async solution(path, gives) {
        const show = text => {
            const code = make('pre', '', text);
            code.tabIndex = 0;
            code.setAttribute('aria-label', `Solution of ${this.name}`);
            this.solved.replaceChildren(
                make('p', '', 'The solution. Carets stand under what was added.'), code);
            code.focus();
        };
        try {
            if (gives) {
                await post(path, show);
            } else {
                show(await get(path));
            }
        } catch (error) {
            this.solved.replaceChildren(make('p', '', error.message));
        }
    }
}

/** A short verdict. */
function word({ verdict, id }) {
    return verdict === 'failed' ? `not yet (${id}).` : `${verdict}.`;
}

/** A verdict, as `learn` shows it, and the rings of the program that got it. */
function parts(verdict) {
    const { client, kernel, rule, book, compiler, note, standing, remarks, trace } = verdict;
    const found = [];
    const part = (title, ...content) =>
        found.push(make('h3', '', title), ...content);
    if (compiler) {
        part('What the compiler says', make('pre', 'living-complaint', compiler));
    }
    if (client) {
        part('What happened', make('p', '', ...words(client)));
    }
    if (kernel && kernel.length > 0) {
        part('What the kernel recorded', make('pre', '', kernel.join('\n')));
    }
    if (rule) {
        part('The rule', make('p', '', ...words(rule)));
    }
    if (book) {
        part('In the book', make('p', '', link(book)));
    }
    for (const line of [note, standing, ...(remarks || []).map(it => `Beside the point: ${it}`)]) {
        if (line) {
            found.push(make('p', '', ...words(line)));
        }
    }
    if (trace) {
        found.push(rings([trace]));
    }
    return found;
}

/** The exercises on the map of progress. */
class Sum {
    constructor(map) {
        this.line = make('p', 'living-status');
        this.line.setAttribute('role', 'status');
        map.before(this.line);
    }

    update(exercises) {
        const states = Object.values(exercises).map(it => it.state);
        const count = state => states.filter(it => it === state).length;
        const more = ['begun', 'given up', 'skipped'].filter(count).map(it => `, ${count(it)} ${it}`);
        const line = `${count('passed')} of ${states.length} exercises passed${more.join('')}.`;
        if (this.line.textContent !== line) {
            this.line.textContent = line;
        }
    }
}

function begin() {
    const all = [...document.querySelectorAll('[data-exercise]')].map(place => new Exercise(place));
    const map = document.querySelector('main .map');
    const sum = map ? new Sum(map) : null;
    if (all.length > 0 || sum) {
        all.forEach(exercise => exercise.say('Asking how far you are…'));
        look(all, sum);
    }
}

async function look(all, sum) {
    try {
        await post('exercises', ({ problem, waiting, exercises, emulated }) => {
            if (sum && !waiting && !problem) {
                sum.update(exercises);
            }
            for (const exercise of all) {
                const state = exercises[exercise.name];
                if (state) {
                    exercise.update(state, emulated);
                } else if (problem) {
                    exercise.say(`The exercises cannot be listed. ${problem}`);
                } else if (waiting) {
                    exercise.say('The program that checks is being built; the first time that takes minutes.');
                } else {
                    exercise.say('');
                }
            }
        });
    } catch (error) {
        if (error instanceof Refused) {
            // Another server uses this port now; the page says so.
            return;
        }
        // The server was stopped. It may start again.
    }
    setTimeout(() => look(all, sum), PAUSE);
}

begin();
