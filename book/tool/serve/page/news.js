/* Reloads the page after a new build, and shows why a build failed. */
import { get } from './server.js';

let version = null;
let notice = null;

function show(problems) {
    if (notice !== null) {
        notice.remove();
        notice = null;
    }
    if (problems.length === 0) {
        return;
    }
    notice = document.createElement('pre');
    notice.setAttribute('role', 'alert');
    notice.style.cssText = 'position:fixed;z-index:999;inset:auto 0 0 0;max-height:50vh;' +
        'margin:0;padding:1em;overflow:auto;white-space:pre-wrap;' +
        'background:var(--bg,#fff);color:var(--fg,#000);border-top:4px solid #c00';
    notice.textContent = problems.join('\n');
    document.body.append(notice);
}

async function ask() {
    try {
        const news = await get('news');
        if (version === null) {
            show(news.problems);
        } else if (version !== news.version) {
            if (news.problems.length === 0) {
                location.reload();
            } else {
                show(news.problems);
            }
        }
        version = news.version;
    } catch (error) {
        if (error.status !== undefined) {
            // Another server uses this port now.
            show([error.message]);
            return;
        }
        // The server was stopped. It may start again.
    }
    setTimeout(ask, 700);
}
ask();
