// A reader's progress, kept only in this browser: pages that were read to their end, and questions
// that were answered by a choice. The page with a map shows it; the contents mark pages that were
// read.
(function () {
    'use strict';

    const KEY = 'days-progress';
    const page = location.pathname.split('/').pop() || 'index.html';
    const main = document.querySelector('#mdbook-content main');

    /** `read`: pages; `chosen`: by page and question, whether it was right at the first try. */
    function load() {
        try {
            const kept = JSON.parse(localStorage.getItem(KEY)) || {};
            return { read: kept.read || {}, chosen: kept.chosen || {} };
        } catch {
            return { read: {}, chosen: {} };
        }
    }

    function change(alter) {
        const progress = load();
        alter(progress);
        try {
            localStorage.setItem(KEY, JSON.stringify(progress));
        } catch {
            // The browser allows no storage: the progress is lost at the next page.
        }
        show();
    }

    // ------------------------------------------------------------------ questions

    document.querySelectorAll('main .choose').forEach((choose, question) => {
        const right = Number(choose.dataset.right);
        const said = document.createElement('span');
        said.className = 'choose-said';
        said.setAttribute('role', 'status');
        choose.append(said);
        const buttons = [...choose.querySelectorAll('button')];
        buttons.forEach((button, at) => {
            button.disabled = false;
            button.addEventListener('click', () => {
                button.classList.add(at === right ? 'is-right' : 'is-wrong');
                said.textContent = at === right ? ' Right.' : ' No. Look at the run below.';
                const answer = choose.parentElement.querySelector('details');
                if (answer) {
                    answer.open = true;
                }
                change((progress) => {
                    const chosen = progress.chosen[page] || {};
                    chosen[question] = chosen[question] ?? (at === right);
                    progress.chosen[page] = chosen;
                });
            });
        });
    });

    // ------------------------------------------------------------------ pages

    const isOne = main && document.querySelectorAll('main h1').length === 1;
    if (isOne && main.lastElementChild) {
        // A page counts as read at its end, and only after some time.
        const since = Date.now();
        const seen = new IntersectionObserver((found) => {
            if (found.some((one) => one.isIntersecting) && Date.now() - since > 3000) {
                seen.disconnect();
                change((progress) => { progress.read[page] = true; });
            }
        });
        const watch = () => seen.observe(main.lastElementChild);
        setTimeout(watch, 3100);
    }

    // ------------------------------------------------------------------ the map

    function show() {
        const progress = load();
        for (const link of document.querySelectorAll('.sidebar a[href], .map a[href]')) {
            const target = link.href.split(/[?#]/)[0].split('/').pop();
            const read = Boolean(progress.read[target]) && !link.hash;
            link.classList.toggle('is-read', read);
            link.title = read ? 'read' : '';
        }
        const map = document.querySelector('main .map');
        if (!map) {
            return;
        }
        const rows = [...map.querySelectorAll('tbody tr')].filter((row) => row.querySelector('a'));
        const minutes = (row) => Number(row.lastElementChild.textContent) || 0;
        const read = rows.filter((row) => row.querySelector('.is-read'));
        const sum = (some) => some.reduce((all, row) => all + minutes(row), 0);
        const chosen = Object.values(progress.chosen).flatMap((one) => Object.values(one));
        const line = map.querySelector('.map-sum') || document.createElement('p');
        line.className = 'map-sum';
        line.setAttribute('role', 'status');
        line.textContent = `${read.length} of ${rows.length} pages read, ${sum(read)} of ${sum(rows)} ` +
            `minutes. ${chosen.filter(Boolean).length} of ${chosen.length} questions right at the ` +
            'first try.';
        map.prepend(line);
    }

    const forget = document.querySelector('main .map-forget');
    if (forget) {
        forget.hidden = false;
        forget.addEventListener('click', () => {
            change((progress) => {
                progress.read = {};
                progress.chosen = {};
            });
        });
    }

    show();
    window.addEventListener('storage', show);
})();
