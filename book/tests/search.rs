//! The search of the built book, in a headless Chromium, with the words of a reader who has a
//! problem.

#[path = "browser/session.rs"]
mod session;

use serde_json::json;

use session::{from_files, in_browser};

/// What is typed, and the page that must be among the first five.
const TYPED: [(&str, &str); 7] = [
    ("fsync", "atlas-files.html"),
    ("op_fs", "kernels.html#operations"),
    ("EBUSY", "errors.html#ebusy"),
    ("E-NOT-SUBMITTED", "by-symptom.html#verdicts"),
    ("E-NOT-SUB", "by-symptom.html#verdicts"),
    ("dead-wait", "by-symptom.html#faults"),
    ("O_DIRECT", "files-that-last.html"),
];

#[test]
fn names_are_found_by_their_parts() {
    in_browser("names_are_found_by_their_parts", |page| async move {
        page.open(&format!("{}day1.html", from_files()), "light", (1280, 800)).await?;
        page.js("document.getElementById('mdbook-search-toggle').click()", vec![]).await?;
        for (typed, wanted) in TYPED {
            let type_it = "const bar = document.getElementById('mdbook-searchbar');
                document.getElementById('mdbook-searchresults').replaceChildren();
                bar.value = arguments[0];
                bar.dispatchEvent(new KeyboardEvent('keyup', { bubbles: true }));
                bar.dispatchEvent(new InputEvent('input', { bubbles: true }));";
            page.js(type_it, vec![json!(typed)]).await?;
            let found = format!(
                "return [...document.querySelectorAll('#mdbook-searchresults a')].slice(0, 5)
                    .some((link) => link.href.includes('/{}') && link.href.endsWith('{}'))",
                wanted.split('#').next().unwrap_or_default(),
                wanted.split_once('#').map_or(String::new(), |(_, place)| format!("#{place}"))
            );
            page.until(&format!("{typed} leads to {wanted}"), &found).await?;
        }
        let complaints = page.log("browser").await?;
        assert!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    });
}
