//! How pages lie in the window, in a headless Chromium.

#[path = "browser/session.rs"]
mod session;

use serde_json::json;

use session::{from_files, in_browser};

/// A projector of 1024 by 768 at 150 %.
const PROJECTOR: (u32, u32) = (683, 512);
const PHONE: (u32, u32) = (390, 844);

#[test]
fn a_player_fits_a_projectors_window() {
    in_browser("a_player_fits_a_projectors_window", |page| async move {
        for day in ["day1", "day2", "day3", "day4", "day4-hardened", "day4-echo"] {
            page.open(&format!("{}{day}.html", from_files()), "light", PROJECTOR).await?;
            let script = "return [...document.querySelectorAll('.ring-live')].map((live) => {
                const figure = live.closest('.ring-player').getBoundingClientRect();
                const bar = live.querySelector('.ring-controls').getBoundingClientRect();
                return bar.bottom - figure.top;
            })";
            let heights = page.js(script, vec![]).await?;
            for height in heights.as_array().into_iter().flatten() {
                let fits = height.as_f64().is_some_and(|it| it > 200.0 && it <= 512.0);
                assert!(fits, "{day}: {height} pixels of 512");
            }
        }
        Ok(())
    });
}

#[test]
fn a_click_on_a_player_gives_it_the_keys() {
    in_browser("a_click_on_a_player_gives_it_the_keys", |page| async move {
        page.open(&format!("{}day1.html", from_files()), "light", (1280, 800)).await?;
        for place in
            [".ring-player figcaption", ".ring-player .ring-next", ".ring-player .ring-words"]
        {
            let find = fantoccini::Locator::Css(place);
            page.client.find(find).await?.click().await?;
            let script = "return document.activeElement.className";
            assert_eq!(page.js(script, vec![]).await?, json!("ring-stage"), "{place}");
        }
        Ok(())
    });
}

#[test]
fn what_scrolls_says_so_and_has_the_focus() {
    in_browser("what_scrolls_says_so_and_has_the_focus", |page| async move {
        page.open(&format!("{}c-to-rust.html", from_files()), "light", PHONE).await?;
        let wide = "const wide = [...document.querySelectorAll('main .table-wrapper')]
            .filter((box) => box.scrollWidth > box.clientWidth + 1);
            return wide.length > 0 && wide.every((box) => box.classList.contains('more-right')
                && box.tabIndex === 0)";
        page.until("wide tables are marked", wide).await?;
        let end = "const box = document.querySelector('main .more-right'); box.scrollLeft = 9999;
            window.box = box";
        page.js(end, vec![]).await?;
        let marks =
            "return box.classList.contains('more-left') && !box.classList.contains('more-right')";
        page.until("at its end it fades on the other side", marks).await?;
        let complaints = page.log("browser").await?;
        assert!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    });
}

#[test]
fn an_option_is_not_broken_at_its_hyphens() {
    in_browser("an_option_is_not_broken_at_its_hyphens", |page| async move {
        for name in ["ladder", "setup", "day3", "day2"] {
            page.open(&format!("{}{name}.html", from_files()), "light", PHONE).await?;
            // A word in one line has one box.
            let broken = "const range = document.createRange();
                const found = [];
                for (const code of document.querySelectorAll('main :not(pre) > code')) {
                    for (const word of code.textContent.split(/ +/)) {
                        const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
                        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
                            const at = node.data.indexOf(word);
                            if (!word.includes('-') || word.length > 26 || at < 0) continue;
                            range.setStart(node, at);
                            range.setEnd(node, at + word.length);
                            if (range.getClientRects().length > 1) found.push(word);
                        }
                    }
                }
                return found";
            assert_eq!(page.js(broken, vec![]).await?, json!([]), "{name}");
        }
        Ok(())
    });
}
