// A word with hyphens, such as E-NOT-SUBMITTED, is searched whole: book/tool/search.rs puts such
// words into the index.
window.elasticlunr?.tokenizer.setSeperator(/\s+/);

// A word that was found may stand far below its heading, in a long table.
window.addEventListener('load', () => {
    const heading = document.querySelector(':target');
    const below = mark => heading.compareDocumentPosition(mark) & Node.DOCUMENT_POSITION_FOLLOWING;
    const found = heading && [...document.querySelectorAll('mark')].find(below);
    found?.scrollIntoView({ block: 'center' });
});
