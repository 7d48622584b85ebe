// The presenter's view: the figures, players, listings and questions of a page, one at a time and
// large, for a projector. The key `p` or the button at the top begins it.
(function () {
    'use strict';

    const main = document.querySelector('#mdbook-content main');
    const buttons = document.querySelector('.right-buttons');
    if (!main || !buttons || document.querySelectorAll('main h1').length !== 1) {
        return;
    }

    /** A question is an item of a list that has an answer to open. */
    const isQuestion = (node) => node.matches('li') && node.querySelector('details') !== null;

    /** The items of a page that get a screen, in its order. A served book adds its runs. */
    function items() {
        const found = main.querySelectorAll('.runnable, figure, pre, li');
        return [...found].filter((node) => {
            if (node.matches('li')) {
                return isQuestion(node);
            }
            return !node.parentElement.closest('.runnable, [data-exercise], figure, li, details, pre');
        });
    }

    /** The words of a question, without its answer. */
    function asked(node) {
        const copy = node.cloneNode(true);
        copy.querySelectorAll('details').forEach((answer) => answer.remove());
        return copy.textContent.trim().replace(/\s+/g, ' ');
    }

    /** The heading that an item stands under. */
    function heading(node) {
        let title = '';
        for (const one of main.querySelectorAll('h1, h2, h3')) {
            if (one.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING) {
                title = one.textContent;
            }
        }
        return title;
    }

    function element(name, className, parent, text) {
        const node = document.createElement(name);
        node.className = className;
        if (text) {
            node.textContent = text;
        }
        parent.append(node);
        return node;
    }

    const view = element('dialog', 'presenter', document.body);
    view.setAttribute('aria-label', 'Presenter\'s view');
    const title = element('h2', 'presenter-title', view);
    title.setAttribute('aria-live', 'polite');
    const stage = element('div', 'presenter-stage', view);
    stage.tabIndex = -1;
    const notes = element('aside', 'presenter-notes', view);
    notes.hidden = true;
    notes.tabIndex = 0;
    notes.setAttribute('aria-label', 'Notes for the teacher');
    const data = main.querySelector('script.teacher-notes');
    if (data) {
        notes.innerHTML = JSON.parse(data.textContent);
    }
    const bar = element('div', 'presenter-bar', view);
    const control = (name, keys, action) => {
        const node = element('button', '', bar, name);
        node.type = 'button';
        node.title = keys;
        node.addEventListener('click', action);
        return node;
    };
    control('Back', 'Page up', () => show(at - 1));
    control('Next', 'Page down', () => show(at + 1));
    const place = element('span', 'presenter-place', bar);
    const next = element('span', 'presenter-next', bar);
    const notesButton = control('Notes', 'n', () => toggleNotes());
    notesButton.disabled = !data;
    control('Leave', 'Esc', () => view.close());

    let all = [];
    let at = 0;
    /** Where the item on the stage belongs. */
    let home = null;

    function putBack() {
        if (home) {
            stage.querySelectorAll('pre > code').forEach((code) => { code.style.fontSize = ''; });
            home.replaceWith(stage.firstElementChild);
            home = null;
        }
        stage.replaceChildren();
    }

    function show(to) {
        putBack();
        at = Math.max(0, Math.min(all.length - 1, to));
        const item = all[at];
        title.textContent = heading(item);
        place.textContent = `${at + 1} / ${all.length}`;
        const question = all.slice(at + 1).find(isQuestion);
        next.textContent = question ? `Next question: ${asked(question)}` : '';
        home = document.createComment('presented');
        item.replaceWith(home);
        stage.append(item);
        stage.scrollTop = 0;
        fit(item);
        (item.querySelector('.ring-stage') || item.querySelector('summary') || stage).focus();
    }

    /** A listing that is too wide for the stage gets smaller letters, within reason. */
    function fit(item) {
        for (const code of item.querySelectorAll('code')) {
            code.style.fontSize = '';
            const room = code.clientWidth / code.scrollWidth;
            if (code.parentElement.matches('pre') && room < 1) {
                code.style.fontSize = `${Math.max(0.62, room * 0.99)}em`;
            }
        }
    }

    function toggleNotes() {
        notes.hidden = !notes.hidden;
        notesButton.setAttribute('aria-pressed', String(!notes.hidden));
    }

    function begin() {
        all = items();
        if (all.length === 0 || view.open) {
            return;
        }
        // Begin where the reader is.
        const here = all.findIndex((node) => node.getBoundingClientRect().bottom > 80);
        view.showModal();
        show(Math.max(0, here));
    }

    view.addEventListener('close', () => {
        const item = all[at];
        putBack();
        item.scrollIntoView({ block: 'center' });
    });

    const KEYS = {
        PageDown: () => show(at + 1), PageUp: () => show(at - 1),
        ArrowDown: () => show(at + 1), ArrowUp: () => show(at - 1),
        ArrowRight: () => show(at + 1), ArrowLeft: () => show(at - 1),
        n: () => data && toggleNotes(),
    };

    // A player keeps its own keys. No key goes to mdBook, which would turn the page.
    view.addEventListener('keydown', (event) => {
        const plain = !event.altKey && !event.ctrlKey && !event.metaKey;
        const scrolls = notes.contains(event.target) && event.key !== 'n';
        if (plain && KEYS[event.key] && !scrolls) {
            KEYS[event.key]();
            event.preventDefault();
        }
        event.stopPropagation();
    });

    document.addEventListener('keydown', (event) => {
        const typing = event.target.closest('input, textarea, select');
        if (event.key === 'p' && !typing && !event.altKey && !event.ctrlKey && !event.metaKey) {
            begin();
        }
    });

    if (items().length > 0) {
        const button = element('button', 'icon-button presenter-begin', buttons);
        button.type = 'button';
        button.title = 'Present this page (p)';
        button.setAttribute('aria-label', 'Present this page');
        button.innerHTML = '<svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true">' +
            '<path d="M3 4h18v12H3zM12 16v4M8 20h8" fill="none" stroke="currentColor" stroke-width="2"/></svg>';
        button.addEventListener('click', begin);
        buttons.prepend(button);
    }
})();
