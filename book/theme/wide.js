// Wide things: a table or listing that scrolls fades at the side with more content, and can be
// scrolled by keyboard; an option such as --quiet is not broken at its hyphens.
(function () {
    'use strict';

    function mark(box) {
        const left = box.scrollLeft > 1;
        const right = box.scrollLeft + box.clientWidth < box.scrollWidth - 1;
        box.classList.toggle('more-left', left);
        box.classList.toggle('more-right', right);
        if (box.scrollWidth > box.clientWidth + 1) {
            box.tabIndex = 0;
            box.setAttribute('role', 'region');
            box.setAttribute('aria-label', box.matches('code') ? 'Listing, scrolls' : 'Table, scrolls');
        } else {
            box.removeAttribute('tabindex');
            box.removeAttribute('role');
            box.removeAttribute('aria-label');
        }
    }

    const sizes = new ResizeObserver((seen) => seen.forEach((one) => mark(one.target)));
    for (const box of document.querySelectorAll('main .table-wrapper, main pre > code')) {
        box.addEventListener('scroll', () => mark(box), { passive: true });
        sizes.observe(box);
    }

    // The longest word that fits a narrow phone.
    const LONGEST = 26;
    for (const code of document.querySelectorAll('main :not(pre) > code')) {
        if (code.children.length || !code.textContent.includes('-')) {
            continue;
        }
        const pieces = code.textContent.split(/( +)/).map((word) => {
            if (!word.includes('-') || word.length > LONGEST) {
                return word;
            }
            const whole = document.createElement('span');
            whole.className = 'whole';
            whole.textContent = word;
            return whole;
        });
        code.replaceChildren(...pieces);
    }
})();
