/* Lists the events of a run, searches them, and keeps the list and the players together. */
(function () {
    'use strict';

    /** Rows that are drawn: more come with a search. */
    const MOST = 2000;
    const section = document.querySelector('#events');
    const list = section.querySelector('ol');
    const search = section.querySelector('input');
    const found = section.querySelector('output');
    const events = JSON.parse(section.querySelector('.events-data').textContent);
    const rows = new Map();

    function draw() {
        const words = search.value.toLowerCase().split(' ').filter(word => word);
        const wanted = [];
        events.forEach((event, at) => {
            const text = event[2].toLowerCase();
            // An enter that did not sleep returns without a word.
            if (text && words.every(word => text.includes(word))) {
                wanted.push(at);
            }
        });
        rows.clear();
        list.replaceChildren(...wanted.slice(0, MOST).map(row));
        const shown = wanted.length > MOST ? `, the first ${MOST} are listed` : '';
        found.textContent = `${wanted.length} of ${events.length}${shown}`;
    }

    function row(at) {
        const [us, tid, words] = events[at];
        const item = document.createElement('li');
        const button = document.createElement('button');
        button.type = 'button';
        const time = document.createElement('time');
        time.textContent = (us / 1e6).toFixed(6) + ' ';
        const thread = document.createElement('small');
        thread.textContent = tid + ' ';
        button.append(time, thread, words);
        button.addEventListener('click', () => play(at));
        item.append(button);
        rows.set(at, button);
        return item;
    }

    /** Every player goes to the last step that had happened by then. */
    function play(at) {
        for (const figure of document.querySelectorAll('.ring-player')) {
            const steps = figure.player.recording.steps;
            let last = 0;
            steps.forEach((step, index) => {
                if (step.event !== undefined && step.event <= at) {
                    last = index;
                }
            });
            figure.player.pause();
            figure.player.go(last);
        }
        mark(at);
    }

    function mark(at) {
        const before = list.querySelector('[aria-current]');
        if (before) {
            before.removeAttribute('aria-current');
        }
        const button = rows.get(at);
        if (button) {
            button.setAttribute('aria-current', 'true');
            const place = button.parentElement;
            if (place.offsetTop < list.scrollTop + list.offsetTop
                || place.offsetTop > list.scrollTop + list.offsetTop + list.clientHeight - 40) {
                list.scrollTop = place.offsetTop - list.offsetTop - list.clientHeight / 2;
            }
        }
    }

    document.addEventListener('ring-step', event => {
        if (event.detail.event !== undefined) {
            mark(event.detail.event);
        }
    });
    search.addEventListener('input', draw);
    draw();
})();
