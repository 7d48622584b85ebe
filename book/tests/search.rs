//! The search of the built book, in a headless Chromium, with the words of a reader who has a
//! problem.

#[path = "browser/session.rs"]
mod session;

use serde_json::json;

use session::{from_files, in_browser};

/// What is typed, the page that must come first, and how many may come.
const TYPED: [(&str, &str, usize); 8] = [
    ("fsync", "atlas-files.html#fsync", 20),
    ("op_fs", "kernels.html#operations", 20),
    ("EBUSY", "errors.html#ebusy", 20),
    ("E-NOT-SUBMITTED", "by-symptom.html#verdicts", 4),
    ("E-NOT-SUB", "by-symptom.html#verdicts", 4),
    ("E-HANG-WAIT", "by-symptom.html#verdicts", 4),
    ("dead-wait", "by-symptom.html#faults", 4),
    ("O_DIRECT", "files-that-last.html", 20),
];

#[test]
fn names_are_found_by_their_parts() {
    in_browser("names_are_found_by_their_parts", |page| async move {
        page.open(&format!("{}day1.html", from_files()), "light", (1280, 800)).await?;
        page.js("document.getElementById('mdbook-search-toggle').click()", vec![]).await?;
        for (typed, wanted, most) in TYPED {
            let type_it = "const bar = document.getElementById('mdbook-searchbar');
                document.getElementById('mdbook-searchresults').replaceChildren();
                bar.value = arguments[0];
                bar.dispatchEvent(new KeyboardEvent('keyup', { bubbles: true }));
                bar.dispatchEvent(new InputEvent('input', { bubbles: true }));";
            page.js(type_it, vec![json!(typed)]).await?;
            let (file, place) = wanted.split_once('#').unwrap_or((wanted, ""));
            let found = format!(
                "const links = [...document.querySelectorAll('#mdbook-searchresults a')];
                return links.length > 0 && links.length <= {most} &&
                    links[0].href.includes('/{file}') && links[0].href.endsWith('{place}')"
            );
            page.until(&format!("{typed} leads to {wanted}"), &found).await?;
        }
        // The word is in the middle of the window, far below its heading.
        let found = "by-symptom.html?highlight=E-NOT-SUBMITTED#verdicts";
        page.open(&format!("{}{found}", from_files()), "light", (683, 512)).await?;
        let seen = "const box = document.querySelector('mark')?.getBoundingClientRect();
            return box !== undefined && box.top > 100 && box.bottom < innerHeight";
        page.until("the word is in the window", seen).await?;
        let complaints = page.log("browser").await?;
        assert!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    });
}
