/* Asks the server of this page. */

/** Everything that is asked for lies beside this file. */
const address = path => new URL(path, import.meta.url);

/** The style sheet of what is added to a page. */
const sheet = document.createElement('link');
sheet.rel = 'stylesheet';
sheet.href = address('living.css');
document.head.append(sheet);

/** A value that the server has. */
export async function get(path) {
    const answer = await fetch(address(path), { cache: 'no-store' });
    if (!answer.ok) {
        throw new Refused(await answer.text(), answer.status);
    }
    return answer.json();
}

/** Has the server do something. Each line that it answers is given to `heard`. */
export async function post(path, heard) {
    const answer = await fetch(address(path), { method: 'POST' });
    if (!answer.ok) {
        throw new Refused(await answer.text(), answer.status);
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
        const { done, value } = await reader.read();
        if (done) {
            if (rest) {
                heard(JSON.parse(rest));
            }
            return;
        }
        const lines = (rest + value).split('\n');
        rest = lines.pop();
        lines.forEach(line => heard(JSON.parse(line)));
    }
}

/** The server's own words on why it does not do something. */
export class Refused extends Error {
    constructor(words, status) {
        super(words.trim());
        this.status = status;
    }
}
