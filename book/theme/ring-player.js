/* The ring player: plays a recorded run, step by step.
 *
 * Each figure of class `ring-player` holds a recording (`book/traces/NAME.json`, by `cargo xtask
 * record`) and a table of its steps. Without this script a reader sees only the table. The state
 * after a step is the fold of all steps up to it, so the player can go back as well as forward.
 * Classes only, no ids: the print page holds every figure of the book. */
(function () {
    'use strict';

    const SVG = 'http://www.w3.org/2000/svg';
    /** Below this width of the figure, in pixels, the drawing is upright. */
    const NARROW = 560;
    /** A recording with more steps than this begins where the program gives the ring its first work. */
    const LONG = 30;
    /** How many places of a ring are drawn, if it has more. */
    const PLACES = 64;
    const still = window.matchMedia('(prefers-reduced-motion: reduce)');

    // ------------------------------------------------------------------ the state

    /** The state before the first step. */
    function nothing() {
        return {
            ring: false,
            sqHead: 0, sqTail: 0, cqHead: 0, cqTail: 0,
            waiting: [],        // entries in the submission queue
            flight: [],         // entries in the kernel: { entry, answers }
            posted: [],         // completions in the completion queue
            hands: [],          // what the program has just written or read
            inside: false, asleep: false, poller: null,
            calls: 0, setups: 0, registers: 0, enters: 0,
        };
    }

    /** The state after one more step. */
    function after(before, step) {
        const state = Object.assign({}, before);
        switch (step.do) {
        case 'push':
            state.hands = step.entries.map(entry => ({ entry }));
            state.waiting = before.waiting.concat(step.entries);
            state.sqTail += step.entries.length;
            break;
        case 'enter':
            state.inside = true;
            state.hands = [];
            break;
        case 'sleep':
            state.asleep = true;
            break;
        case 'return':
            state.inside = false;
            state.asleep = false;
            break;
        case 'complete':
            state.asleep = false;
            state.posted = before.posted.concat(step.completions);
            state.cqTail += step.completions.length;
            state.flight = answered(before.flight, step.completions);
            break;
        case 'reap':
            state.hands = before.posted.slice(0, step.reaps).map(completion => ({ completion }));
            state.posted = before.posted.slice(step.reaps);
            state.cqHead += step.reaps;
            break;
        case 'doze':
            state.poller = 'asleep';
            break;
        case 'close':
            state.flight = [];
            state.hands = [];
            break;
        }
        if (step.takes) {
            const taken = before.waiting.filter(entry => step.takes.includes(entry.seq));
            state.waiting = before.waiting.filter(entry => !step.takes.includes(entry.seq));
            state.flight = state.flight.concat(taken.map(entry => ({ entry, answers: 0 })));
            state.sqHead += step.takes.length;
            state.hands = [];
        }
        if (step.wakes) {
            state.poller = 'awake';
        }
        if (step.call) {
            state.calls += 1;
            state.setups += step.do === 'setup' ? 1 : 0;
            state.registers += step.do === 'register' ? 1 : 0;
            state.enters += step.do === 'enter' ? 1 : 0;
        }
        state.ring = state.ring || step.do === 'setup';
        return state;
    }

    /** The entries left in flight; one that stays armed has one more answer. */
    function answered(flight, completions) {
        let left = flight;
        for (const completion of completions) {
            left = left.flatMap(one => {
                if (one.entry.seq !== completion.seq) {
                    return [one];
                }
                return completion.more ? [{ entry: one.entry, answers: one.answers + 1 }] : [];
            });
        }
        return left;
    }

    function fold(recording) {
        const polled = recording.rings[0].flags.includes('SQPOLL');
        let state = nothing();
        state.poller = polled ? 'awake' : null;
        return recording.steps.map(step => {
            state = after(state, step);
            return state;
        });
    }

    /** Who acts in a step: the word before the caption, and its colour. */
    function actor(step, state) {
        if (step.call) {
            return ['call', 'System call ' + state.calls];
        }
        switch (step.do) {
        case 'push':
        case 'reap':
        case 'close':
            return ['program', 'Program'];
        case 'complete':
            return ['kernel', 'Kernel'];
        case 'take':
        case 'doze':
            return ['kernel', 'Polling thread'];
        case 'sleep':
            return ['call', 'Asleep'];
        case 'return':
            return ['call', 'Back'];
        case 'end':
            return ['outside', 'End'];
        default:
            return ['outside', 'Meanwhile'];
        }
    }

    // ------------------------------------------------------------------ the drawing

    /** Where everything lies, lying or upright. Units are pixels at full width. */
    function geometry(narrow) {
        return narrow ? {
            width: 380, height: 512, border: 230, radius: 61, hole: 40, pin: 8,
            sq: [85, 230], cq: [295, 230], gate: [190, 230, 38, 50],
            pill: { out: 26, in: 342 }, hands: { x: 70, y: 47, width: 240 },
            flight: { x: 10, y: 364, width: 360, columns: 2 }, poller: [85, 311], number: 11,
        } : {
            width: 750, height: 452, border: 216, radius: 100, hole: 60, pin: 9,
            sq: [134, 216], cq: [616, 216], gate: [375, 216, 112, 54],
            pill: { out: 30, in: 272 }, hands: { x: 265, y: 54, width: 220 },
            flight: { x: 242, y: 298, width: 266, columns: 2 }, poller: [134, 376], number: 14,
        };
    }

    function svg(name, attributes, parent, text) {
        const node = document.createElementNS(SVG, name);
        for (const key of Object.keys(attributes || {})) {
            node.setAttribute(key, attributes[key]);
        }
        if (text !== undefined) {
            node.textContent = text;
        }
        if (parent) {
            parent.append(node);
        }
        return node;
    }

    function html(name, className, parent, text) {
        const node = document.createElement(name);
        node.className = className;
        if (text !== undefined) {
            node.textContent = text;
        }
        if (parent) {
            parent.append(node);
        }
        return node;
    }

    function point(centre, radius, turns) {
        const angle = turns * 2 * Math.PI;
        return [centre[0] + radius * Math.sin(angle), centre[1] - radius * Math.cos(angle)];
    }

    /** A place of a ring: the part of an annulus between two angles. */
    function sector(centre, outer, inner, from, to) {
        const gap = 0.002;
        const at = (radius, turns) => point(centre, radius, turns).map(n => n.toFixed(2)).join(' ');
        return 'M' + at(outer, from + gap) +
            'A' + outer + ' ' + outer + ' 0 0 1 ' + at(outer, to - gap) +
            'L' + at(inner, to - gap * outer / inner) +
            'A' + inner + ' ' + inner + ' 0 0 0 ' + at(inner, from + gap * outer / inner) + 'Z';
    }

    /** One of the two rings, with its places, its ends and its name. */
    class Ring {
        constructor(parent, kind, name, entries, centre, g) {
            entries = this.entries = Math.min(entries, PLACES);
            this.centre = centre;
            this.middle = (g.radius + g.hole) / 2;
            this.group = svg('g', { class: 'ring-queue ring-' + kind }, parent);
            this.aside = (g.pin + 1) / (2 * Math.PI * (g.radius + g.pin));
            svg('circle', { class: 'ring-disc', cx: centre[0], cy: centre[1], r: g.radius }, this.group);
            this.places = [];
            for (let at = 0; at < entries; at++) {
                const place = svg('g', { class: 'ring-place' }, this.group);
                svg('path', { d: sector(centre, g.radius, g.hole, at / entries, (at + 1) / entries) }, place);
                const [x, y] = this.place(at);
                const size = entries > 8 ? g.number - 1 : g.number + 2;
                svg('text', { x, y, 'font-size': size, class: 'ring-number' }, place, '');
                this.places.push(place);
            }
            const [x, y] = centre;
            const line = g.number + 2;
            svg('text', { x, y: y - line * 1.15, class: 'ring-name', 'font-size': g.number }, this.group, name[0]);
            svg('text', { x, y: y - line * 0.15, class: 'ring-name', 'font-size': g.number }, this.group, name[1]);
            this.headText = this.end('head', x, y + line * 1.05, g);
            this.tailText = this.end('tail', x, y + line * 2.15, g);
            this.head = this.mark('head', g);
            this.tail = this.mark('tail', g);
        }

        /** The line in the middle that says where an end is, with its pin. */
        end(name, x, y, g) {
            const group = svg('g', { class: 'ring-key ring-' + name }, this.group);
            const size = g.number - 1;
            svg('circle', { cx: x - size * 2.1, cy: y, r: size * 0.62 }, group);
            svg('text', { x: x - size * 2.1, y, 'font-size': size * 0.82 }, group, name[0].toUpperCase());
            return svg('text', { x: x - size * 1.15, y, class: 'ring-count', 'font-size': size }, group);
        }

        /** The pin of one end, outside the ring: its letter, and a nose that points inwards. */
        mark(name, g) {
            const group = svg('g', { class: 'ring-end ring-' + name }, this.group);
            const far = -g.radius - g.pin - 7;
            svg('path', { d: 'M-4.5 ' + (far + g.pin - 1) + 'L0 ' + (-g.radius - 1) + 'L4.5 ' + (far + g.pin - 1) + 'Z' }, group);
            svg('circle', { cx: 0, cy: far, r: g.pin }, group);
            const text = svg('text', { 'font-size': g.pin * 1.35 }, group, name[0].toUpperCase());
            return { group, text, far };
        }

        /** The middle of a place. */
        place(at) {
            return point(this.centre, this.middle, ((at % this.entries) + 0.5) / this.entries);
        }

        turn(mark, position, aside) {
            const degrees = (position + 0.5 + aside) / this.entries * 360;
            const [x, y] = this.centre;
            mark.group.style.transform = `translate(${x}px, ${y}px) rotate(${degrees}deg)`;
            mark.text.style.transform = `translate(0px, ${mark.far}px) rotate(${-degrees}deg)`;
        }

        draw(head, tail, numbers) {
            this.places.forEach((place, at) => {
                const index = ((at - head) % this.entries + this.entries) % this.entries;
                const number = index < numbers.length ? numbers[index] : '';
                place.classList.toggle('is-full', number !== '');
                place.lastChild.textContent = number === '' ? place.lastChild.textContent : number;
            });
            // Where both point to the same place, side by side.
            const same = head % this.entries === tail % this.entries ? this.entries * this.aside : 0;
            this.turn(this.head, head, -same);
            this.turn(this.tail, tail, same);
            this.headText.textContent = 'head ' + head;
            this.tailText.textContent = 'tail ' + tail;
        }
    }

    /** The label of an entry: its operation, and the slot that it is for. */
    function label(entry) {
        return entry.op + (entry.slot === undefined ? '' : ' slot ' + entry.slot);
    }

    /** How often an armed entry was answered. */
    function answers(count, room) {
        if (count === 0) {
            return '';
        }
        return room ? count + (count === 1 ? ' answer' : ' answers') : '×' + count;
    }

    class Drawing {
        constructor(stage, recording, narrow) {
            const g = this.g = geometry(narrow);
            this.chips = new Map();
            const root = this.root = svg('svg', {
                class: 'ring-drawing', viewBox: `0 0 ${g.width} ${g.height}`,
                role: 'img', 'aria-label': 'The two rings between the program and the kernel. ' +
                    'The caption below says what happens; the table has all steps.',
            });
            // Measured beyond the drawing's sides, since the panels may lie further out.
            svg('rect', { class: 'ring-kernel', x: -g.width, y: g.border, width: 3 * g.width, height: g.height }, root);
            svg('line', { class: 'ring-border', x1: -g.width, x2: 2 * g.width, y1: g.border, y2: g.border }, root);
            const names = g.number - 1;
            svg('text', { class: 'ring-side', x: 10, y: 20, 'font-size': names }, root, 'user space');
            svg('text', { class: 'ring-side', x: 10, y: g.height - 12, 'font-size': names }, root, 'kernel');

            const ring = recording.rings[0];
            this.sq = new Ring(root, 'sq', ['submission', 'queue'], ring.sq_entries, g.sq, g);
            this.cq = new Ring(root, 'cq', ['completion', 'queue'], ring.cq_entries, g.cq, g);

            this.thread = svg('line', { class: 'ring-thread', x1: g.gate[0], x2: g.gate[0], y1: g.pill.out + 14, y2: g.pill.in }, root);
            const gate = this.gate = svg('g', { class: 'ring-gate' }, root);
            const [x, y, width, height] = g.gate;
            svg('rect', { x: x - width / 2, y: y - height / 2, width, height, rx: 7 }, gate);
            this.calls = svg('text', { x, y: narrow ? y - 6 : y - 8, class: 'ring-calls', 'font-size': narrow ? 20 : 23 }, gate);
            this.callsName = svg('text', { x, y: narrow ? y + 14 : y + 14, class: 'ring-calls-name', 'font-size': narrow ? 11 : 12.5 }, gate);
            this.narrow = narrow;

            this.home = svg('rect', { class: 'ring-home', x: x - 60, y: g.pill.out - 14, width: 120, height: 28, rx: 14 }, root);
            const pill = this.pill = svg('g', { class: 'ring-pill' }, root);
            this.pillBox = svg('rect', { y: -14, height: 28, rx: 14 }, pill);
            this.pillText = svg('text', { 'font-size': g.number }, pill);
            this.program = recording.program;

            if (ring.flags.includes('SQPOLL')) {
                const poller = this.poller = svg('g', { class: 'ring-poller' }, root);
                const [px, py] = g.poller;
                const half = narrow ? 78 : 96;
                svg('rect', { x: px - half, y: py - 14, width: 2 * half, height: 28, rx: 14 }, poller);
                this.pollerText = svg('text', { x: px, y: py, 'font-size': g.number - 1 }, poller);
            }
            this.list = svg('g', {}, root);
            this.flyers = svg('g', { class: 'ring-flyers' }, root);
            stage.replaceChildren(root);
        }

        /** Chips of entries by where they are: in the program's hands, or in flight. */
        wanted(state) {
            const g = this.g;
            const row = 26;
            const wanted = new Map();
            const most = Math.floor((g.border - g.hands.y - 30) / row);
            state.hands.slice(0, most).forEach((hand, at) => {
                const one = hand.entry || hand.completion;
                const text = hand.entry ? label(one) : one.op + ' → ' + short(one.result);
                wanted.set((hand.entry ? 'write' : 'read') + one.seq + '.' + at, {
                    number: one.seq, text, x: g.hands.x, y: g.hands.y + at * row, width: g.hands.width,
                    kind: hand.entry ? 'is-entry' : 'is-completion' + (one.error ? ' is-error' : ''),
                });
            });
            const column = g.flight.width / g.flight.columns;
            const few = state.flight.length <= 5 && !this.narrow;
            // Only the last ones, if there is no room for all.
            const room = Math.floor((g.height - g.flight.y) / row) * g.flight.columns;
            state.flight.slice(-room).forEach((one, at) => {
                const [across, down] = few ? [0, at] : [at % g.flight.columns, Math.floor(at / g.flight.columns)];
                wanted.set('flight' + one.entry.seq, {
                    number: one.entry.seq, text: label(one.entry), answers: answers(one.answers, few),
                    x: g.flight.x + across * column + (few ? 33 : 3), y: g.flight.y + down * row,
                    width: few ? g.flight.width - 66 : column - 6, kind: 'is-flying',
                });
            });
            return wanted;
        }

        drawChips(state, moving) {
            const wanted = this.wanted(state);
            for (const [key, chip] of this.chips) {
                if (!wanted.has(key)) {
                    chip.remove();
                    this.chips.delete(key);
                }
            }
            for (const [key, place] of wanted) {
                let chip = this.chips.get(key);
                if (!chip) {
                    chip = svg('g', {}, this.list);
                    svg('rect', { height: 22, rx: 11 }, chip);
                    svg('circle', { cx: 11, cy: 11, r: 11 }, chip);
                    svg('text', { x: 11, y: 11, class: 'ring-number', 'font-size': 12 }, chip, place.number);
                    svg('text', { x: 28, y: 11, class: 'ring-chip-text', 'font-size': this.narrow ? 11.5 : 12.5 }, chip);
                    svg('text', { y: 11, class: 'ring-answers', 'font-size': this.narrow ? 11 : 12 }, chip);
                    this.chips.set(key, chip);
                    if (moving && !key.startsWith('write')) {
                        // Its number is still moving.
                        chip.animate([{ opacity: 0 }, { opacity: 1 }],
                            { duration: 300, delay: 450, fill: 'backwards' });
                    }
                }
                chip.setAttribute('class', 'ring-chip ' + place.kind);
                chip.style.transform = `translate(${place.x}px, ${place.y}px)`;
                chip.children[0].setAttribute('width', place.width);
                chip.children[3].textContent = place.text;
                chip.children[4].setAttribute('x', place.width - 9);
                chip.children[4].textContent = place.answers || '';
            }
            this.places = wanted;
        }

        draw(state, step, moving) {
            const g = this.g;
            this.root.classList.toggle('is-unmade', !state.ring);
            this.sq.draw(state.sqHead, state.sqTail, state.waiting.map(entry => entry.seq));
            this.cq.draw(state.cqHead, state.cqTail, state.posted.map(completion => completion.seq));
            this.drawChips(state, moving);
            this.calls.textContent = state.calls;
            this.callsName.textContent = this.narrow
                ? (state.calls === 1 ? 'call' : 'calls')
                : (state.calls === 1 ? 'system call' : 'system calls');
            this.gate.classList.toggle('is-open', Boolean(step.call) || state.inside);
            this.root.classList.toggle('is-inside', state.inside);
            const where = state.inside ? (state.asleep ? 'asleep in the call' : 'in the call') : 'running';
            this.pillText.textContent = this.program + ' · ' + where;
            const width = this.pillText.textContent.length * g.number * 0.56 + 26;
            this.pillBox.setAttribute('x', -width / 2);
            this.pillBox.setAttribute('width', width);
            this.pill.classList.toggle('is-asleep', state.asleep);
            this.pill.style.transform = `translate(${g.gate[0]}px, ${state.inside ? g.pill.in : g.pill.out}px)`;
            this.thread.style.opacity = this.home.style.opacity = state.inside ? 1 : 0;
            if (this.poller) {
                this.poller.classList.toggle('is-asleep', state.poller === 'asleep');
                this.pollerText.textContent = 'polling thread: ' + state.poller;
            }
        }

        /** Lets the numbers of a step travel from where they were to where they are. */
        animate(step, before, places) {
            this.flyers.replaceChildren();
            const end = (map, key) => {
                const place = map && map.get(key);
                return place ? [place.x + 11, place.y + 11] : null;
            };
            const centre = this.g.gate;
            (step.entries || []).forEach((entry, at) => {
                const from = end(this.places, 'write' + entry.seq + '.' + at);
                this.fly(entry.seq, 'is-entry', from, this.sq.place(before.sqTail + at), at);
            });
            (step.takes || []).forEach((seq, at) => {
                this.fly(seq, 'is-entry', this.sq.place(before.sqHead + at), end(this.places, 'flight' + seq), at);
            });
            (step.completions || []).forEach((completion, at) => {
                const from = end(places, 'flight' + completion.seq);
                this.fly(completion.seq, 'is-completion', from || centre, this.cq.place(before.cqTail + at), at);
            });
            for (let at = 0; at < (step.reaps || 0); at++) {
                const seq = before.posted[at].seq;
                const to = end(this.places, 'read' + seq + '.' + at);
                this.fly(seq, 'is-completion', this.cq.place(before.cqHead + at), to || centre, at);
            }
            if (step.call) {
                this.gate.firstChild.animate(
                    [{ strokeWidth: '7px' }, { strokeWidth: '2px' }], { duration: 700, easing: 'ease-out' });
            }
        }

        fly(number, kind, from, to, nth) {
            if (!from || !to) {
                return;
            }
            const flyer = svg('g', { class: 'ring-flyer ' + kind }, this.flyers);
            svg('circle', { r: 11 }, flyer);
            svg('text', { class: 'ring-number', 'font-size': 12 }, flyer, number);
            const at = ([x, y]) => `translate(${x}px, ${y}px)`;
            const flight = flyer.animate(
                [{ transform: at(from), opacity: 1 }, { transform: at(to), opacity: 1, offset: 0.85 }, { transform: at(to), opacity: 0 }],
                { duration: 800, delay: nth * 90, easing: 'cubic-bezier(.45,0,.2,1)', fill: 'backwards' });
            flyer.style.opacity = 0;
            flight.onfinish = () => flyer.remove();
        }
    }

    function short(text) {
        const plain = text.replace(/ \(.*\)$/, '');
        return plain.length > 24 ? plain.slice(0, 23) + '…' : plain;
    }

    // ------------------------------------------------------------------ the controls

    const ICONS = {
        back: 'M5 4h3v16H5zM19 4v16L9 12z', next: 'M16 4h3v16h-3zM5 4v16l10-8z', play: 'M7 4v16l13-8z',
        pause: 'M6 4h4v16H6zM14 4h4v16h-4z', full: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
        table: 'M4 5h16v14H4zM4 10h16M4 14.5h16M10 5v14',
    };

    function button(parent, icon, name, action) {
        const node = html('button', 'ring-button ring-' + icon, parent);
        node.type = 'button';
        node.append(picture(icon));
        node.title = name;
        node.setAttribute('aria-label', name);
        node.addEventListener('click', action);
        return node;
    }

    function picture(icon) {
        const node = svg('svg', { viewBox: '0 0 24 24', 'aria-hidden': 'true' });
        svg('path', { d: ICONS[icon] }, node);
        return node;
    }

    class Player {
        constructor(figure) {
            this.figure = figure;
            figure.player = this;
            this.recording = JSON.parse(figure.querySelector('.ring-data').textContent);
            this.states = fold(this.recording);
            this.last = this.states.length - 1;
            const work = this.recording.steps.findIndex(step => step.do === 'push');
            this.at = this.last >= LONG ? Math.max(0, work) : 0;
            this.timer = null;
            this.build();
            this.show(false);
        }

        build() {
            const figure = this.figure;
            const live = html('div', 'ring-live');
            figure.querySelector('.ring-steps').before(live);
            figure.setAttribute('role', 'group');
            figure.setAttribute('aria-label', 'Player: ' + this.recording.title);

            const stage = this.stage = html('div', 'ring-stage', live);
            stage.tabIndex = 0;
            stage.setAttribute('role', 'group');
            stage.setAttribute('aria-label', 'Drawing. Space plays and pauses, the arrow keys step.');
            const caption = html('p', 'ring-caption', live);
            caption.setAttribute('aria-live', 'polite');
            caption.setAttribute('aria-atomic', 'true');
            this.actor = html('span', 'ring-actor', caption);
            caption.append(' ');
            this.words = html('span', 'ring-words', caption);

            const bar = html('div', 'ring-controls', live);
            button(bar, 'back', 'One step back', () => this.step(-1));
            this.playButton = button(bar, 'play', 'Play', () => this.toggle());
            button(bar, 'next', 'One step on', () => this.step(1));
            const scrub = this.scrub = html('input', 'ring-scrub', bar);
            scrub.type = 'range';
            scrub.min = 1;
            scrub.max = this.last + 1;
            scrub.setAttribute('aria-label', 'Step');
            scrub.addEventListener('input', () => this.go(Number(scrub.value) - 1));
            this.place = html('output', 'ring-position', bar);
            this.place.setAttribute('aria-hidden', 'true');
            const speed = this.speed = html('select', 'ring-speed', bar);
            speed.setAttribute('aria-label', 'Speed');
            for (const [value, name] of [['0.5', '½×'], ['1', '1×'], ['2', '2×'], ['4', '4×']]) {
                const option = html('option', '', speed, name);
                option.value = value;
            }
            speed.value = '1';
            const table = button(bar, 'table', 'As a table', () => {
                const shown = figure.classList.toggle('shows-table');
                table.setAttribute('aria-pressed', String(shown));
            });
            table.setAttribute('aria-pressed', 'false');
            if (document.fullscreenEnabled) {
                button(bar, 'full', 'Full screen', () => this.fullScreen());
            }
            figure.classList.add('is-live');
            html('p', 'ring-keys', live, 'Space plays and pauses, ← and → step.').ariaHidden = 'true';
            figure.addEventListener('keydown', event => this.key(event));
            // After a click anywhere, the player has the keys.
            figure.addEventListener('click', event => {
                if (event.detail > 0 && !event.target.closest('select, input, a, table')) {
                    stage.focus({ preventScroll: true });
                }
            });
            new ResizeObserver(() => this.fit()).observe(stage);
            this.fit();
        }

        /** Draws again when the figure became narrow or wide. */
        fit() {
            // With larger text the labels have to be larger, too.
            const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) / 10;
            const narrow = this.stage.clientWidth < NARROW * rem;
            if (!this.drawing || this.drawing.narrow !== narrow) {
                this.drawing = new Drawing(this.stage, this.recording, narrow);
                this.show(false);
            }
        }

        show(moving) {
            if (!this.drawing) {
                return;
            }
            const step = this.recording.steps[this.at];
            const state = this.states[this.at];
            const places = this.drawing.places;
            const gentle = !still.matches;
            this.drawing.root.classList.toggle('is-moving', gentle);
            this.drawing.flyers.replaceChildren();
            const flying = moving && gentle && this.at > 0;
            this.drawing.root.classList.toggle('has-flyers', flying);
            this.drawing.draw(state, step, flying);
            if (flying) {
                this.drawing.animate(step, this.states[this.at - 1], places);
            }
            const [kind, name] = actor(step, state);
            this.actor.className = 'ring-actor is-' + kind;
            this.actor.textContent = name;
            this.words.textContent = step.say;
            this.scrub.value = this.at + 1;
            this.scrub.setAttribute('aria-valuetext', `step ${this.at + 1} of ${this.last + 1}`);
            this.scrub.style.setProperty('--done', this.last ? this.at / this.last : 1);
            this.place.textContent = `${this.at + 1} / ${this.last + 1}`;
            this.figure.dataset.step = this.at + 1;
            this.figure.dispatchEvent(new CustomEvent('ring-step', { bubbles: true, detail: step }));
        }

        go(to, moving) {
            this.at = Math.max(0, Math.min(this.last, to));
            this.show(moving);
        }

        step(by) {
            this.pause();
            this.go(this.at + by, by === 1);
        }

        toggle() {
            if (this.timer) {
                this.pause();
                return;
            }
            if (this.at === this.last) {
                this.go(0);
            }
            this.setPlaying(true);
            this.timer = setTimeout(() => this.tick(), 400);
        }

        tick() {
            this.go(this.at + 1, true);
            if (this.at === this.last) {
                this.pause();
                return;
            }
            // As long as it takes to read, within limits.
            const length = this.recording.steps[this.at].say.length;
            const time = Math.min(1200 + 28 * length, 5600) / Number(this.speed.value);
            this.timer = setTimeout(() => this.tick(), time);
        }

        pause() {
            clearTimeout(this.timer);
            this.timer = null;
            this.setPlaying(false);
        }

        setPlaying(playing) {
            const name = playing ? 'Pause' : 'Play';
            this.playButton.replaceChildren(picture(playing ? 'pause' : 'play'));
            this.playButton.title = name;
            this.playButton.setAttribute('aria-label', name);
        }

        fullScreen() {
            if (document.fullscreenElement) {
                document.exitFullscreen();
            } else {
                this.figure.requestFullscreen();
            }
        }

        /** Keeps keys within the figure: mdBook would turn the page. */
        key(event) {
            if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) {
                return;
            }
            const onButton = event.target.closest('button');
            const onSelect = event.target.closest('select');
            switch (event.key) {
            case 'ArrowRight':
                this.step(1);
                break;
            case 'ArrowLeft':
                this.step(-1);
                break;
            case 'Home':
                this.step(-this.states.length);
                break;
            case 'End':
                this.pause();
                this.go(this.last);
                break;
            case ' ':
                if (onButton || onSelect) {
                    return;
                }
                this.toggle();
                break;
            case 'ArrowUp':
            case 'ArrowDown':
                event.stopPropagation();
                return;
            default:
                return;
            }
            event.preventDefault();
            event.stopPropagation();
        }
    }

    for (const figure of document.querySelectorAll('.ring-player')) {
        new Player(figure);
    }
    // For figures that are added later: the served book plays the reader's own runs.
    window.playRings = figure => new Player(figure);
})();
