/* The rings of a run in the ring player, and what differs from a recorded run. */
import { link, make, table, words } from './elements.js';

/** The rings of a run; `traces` is the tracer's output for each command. */
export function rings(traces, recorded) {
    const place = make('div', 'living-rings');
    const all = traces.flatMap(trace => trace.rings);
    if (all.length === 0) {
        place.append(make('p', '', 'The run made no ring that could be followed.'));
        return place;
    }
    // The ring with the most steps.
    const longest = all.reduce((best, ring) => ring.steps.length > best.steps.length ? ring : best);
    const shown = make('div', '');
    const show = ring => {
        shown.querySelectorAll('.ring-player').forEach(figure => figure.player.pause());
        const figure = player(ring);
        shown.replaceChildren(figure, recorded ? compared(recorded, ring) : counted(ring));
        window.playRings(figure);
    };
    if (all.length > 1) {
        place.append(choice(all, longest, show));
    }
    place.append(shown, ...traces.flatMap(trace => trace.diagnoses || []).map(wrong));
    show(longest);
    return place;
}

/** Lets the reader choose a ring. */
function choice(all, first, show) {
    const select = make('select', '', ...all.map((ring, at) => {
        const option = make('option', '', `${at + 1}. ${ring.program}: ${shape(ring)}, ` +
            `${plural(ring.counts.entries, 'entry', 'entries')}`);
        option.value = at;
        return option;
    }));
    select.value = all.indexOf(first);
    select.addEventListener('change', () => show(all[select.value]));
    return make('label', 'living-choice', `One of ${all.length} rings: `, select);
}

function shape(ring) {
    const { sq_entries, flags } = ring.rings[0];
    return [sq_entries, ...flags].join(' ');
}

function plural(count, one, many) {
    return `${count} ${count === 1 ? one : many}`;
}

/** A figure that the ring player plays. */
function player(ring) {
    const data = make('script', 'ring-data', JSON.stringify(ring));
    data.type = 'application/json';
    let calls = 0;
    const rows = ring.steps.map((step, at) => ({
        cells: [String(at + 1), step.say, step.call ? `call ${calls += 1}` : ''],
    }));
    const steps = make('div', 'ring-steps', table('Steps', ['Step', 'What happens', 'System call'], rows));
    const title = make('span', 'ring-title', 'What your kernel did');
    const source = make('span', 'ring-source', `Just now: ${ring.program} on Linux ${ring.kernel}.`);
    return make('figure', 'ring-player', make('figcaption', '', title, ' ', source), steps, data);
}

/** The counts of a ring, in the order of the table: the sums first. */
function names(...counts) {
    const sums = ['enters', 'entries', 'completions'];
    const all = new Set(counts.flatMap(Object.keys));
    return [...sums, ...[...all].filter(name => !sums.includes(name)).sort()];
}

function counted(ring) {
    const rows = names(ring.counts).map(name => ({ cells: [said(name), ring.counts[name] || 0] }));
    return make('details', '', make('summary', '', 'Counts'),
        table('What crossed this ring', ['', 'times'], rows));
}

/** `completions:ACCEPT` in words. */
function said(name) {
    const [what, operation] = name.split(':');
    return operation ? `completions of ${operation}` : what;
}

/** A recorded ring and the reader's own: setup and counts, with what differs marked. */
function compared(recorded, own) {
    const [one, other] = [recorded.rings[0], own.rings[0]];
    const flags = ring => ring.flags.join(', ') || 'none';
    const rows = [
        ['submission queue entries', one.sq_entries, other.sq_entries],
        ['completion queue entries', one.cq_entries, other.cq_entries],
        ['setup flags', flags(one), flags(other)],
        ['steps', recorded.steps.length, own.steps.length],
        ...names(recorded.counts, own.counts).map(name =>
            [said(name), recorded.counts[name] || 0, own.counts[name] || 0]),
    ].map(cells => ({ cells, differs: cells[1] !== cells[2] }));
    const differing = rows.filter(row => row.differs).length;
    const words = differing === 0
        ? `The setup and all counts are those of the recording: Linux ${own.kernel} here, ${recorded.kernel} there.`
        : `${plural(differing, 'row differs', 'rows differ')} from the recording.`;
    const details = make('details', '', make('summary', '', 'Recorded and yours, side by side'),
        table(words, ['', `recorded on ${recorded.kernel}`, `yours on ${own.kernel}`],
            rows.map(({ cells: [name, was, is], differs }) =>
                ({ cells: [name, was, differs ? `${is} (differs)` : is], differs }))));
    details.open = differing > 0;
    return make('div', '', make('p', 'living-compared', words), details);
}

/** A fault that the tracer names. */
function wrong({ seen, advice, book }) {
    return make('p', 'living-wrong', make('strong', '', ...words(seen)), ' ', ...words(advice),
        ' In the book: ', link(book));
}
