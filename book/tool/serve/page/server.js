/* Asks the server of this page. */

/** All requests are relative to this file. */
const address = path => new URL(path, import.meta.url);

/** The style sheet of what is added to a page. */
const sheet = document.createElement('link');
sheet.rel = 'stylesheet';
sheet.href = address('living.css');
document.head.append(sheet);

/** Fetches a value from the server. */
export async function get(path) {
    const answer = await fetch(address(path), { cache: 'no-store' });
    if (!answer.ok) {
        throw new Refused(await answer.text(), answer.status);
    }
    return answer.json();
}

/** Asks the server for an action, and passes each line of its answer to `heard`. */
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

/** The server's reason for a refusal. */
export class Refused extends Error {
    constructor(words, status) {
        super(words.trim());
        this.status = status;
    }
}
