/* Makes elements. Text is always set as text: what a program printed is never HTML. */

/** An element with a class, and its content: texts and elements. */
export function make(name, className, ...content) {
    const node = document.createElement(name);
    if (className) {
        node.className = className;
    }
    node.append(...content);
    return node;
}

/** Words in which `code` is marked, as the programs of this workspace print them. */
export function words(text) {
    return text.split('`').map((part, at) => at % 2 === 1 ? make('code', '', part) : part);
}

/** A link into the book, to a page and section such as `day1.html#there-and-back`. */
export function link(address) {
    const node = make('a', '', address.replace('.html', '').replace('#', ', ').replaceAll('-', ' '));
    node.href = address;
    return node;
}

/** A button. The sign before its words is not read out. */
export function button(sign, words, action) {
    const icon = make('span', '', sign);
    icon.setAttribute('aria-hidden', 'true');
    const node = make('button', 'living-button', icon, ' ' + words);
    node.type = 'button';
    node.addEventListener('click', action);
    return node;
}

/** A place for short messages, which a screen reader reads out when they change. */
export function status() {
    const node = make('span', 'living-status');
    node.setAttribute('role', 'status');
    return node;
}

/** A table: its caption, the names of its columns, its rows. The first of a row is its name. */
export function table(caption, columns, rows) {
    const header = (scope, text) => {
        const cell = make('th', '', text);
        cell.scope = scope;
        return cell;
    };
    const line = ({ cells: [first, ...others], differs }) => make('tr', differs ? 'differs' : '',
        header('row', first), ...others.map(text => make('td', '', text)));
    const node = make('table', '', make('caption', '', caption),
        make('thead', '', make('tr', '', ...columns.map(text => header('col', text)))),
        make('tbody', '', ...rows.map(line)));
    return make('div', 'table-wrapper', node);
}

/** Keeps keys within a part of the page: mdBook would turn the page. */
export function keepKeys(node) {
    const sideways = ['ArrowLeft', 'ArrowRight'];
    const scrolling = ['ArrowUp', 'ArrowDown', 'PageUp', 'PageDown'];
    node.addEventListener('keydown', event => {
        const scrolls = event.target.matches('pre, select') && scrolling.includes(event.key);
        if (scrolls || sideways.includes(event.key)) {
            event.stopPropagation();
        }
    });
}
