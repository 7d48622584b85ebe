// A word with hyphens, such as E-NOT-SUBMITTED, is searched whole: book/tool/search.rs puts such
// words into the index.
window.elasticlunr?.tokenizer.setSeperator(/\s+/);
