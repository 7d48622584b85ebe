//! A reader's progress, in a headless Chromium.

#[path = "browser/session.rs"]
mod session;

use fantoccini::Locator;
use serde_json::json;

use session::{from_files, in_browser};

const DESKTOP: (u32, u32) = (1280, 800);

#[test]
fn a_choice_opens_the_answer_and_counts_once() {
    in_browser("a_choice_opens_the_answer_and_counts_once", |page| async move {
        page.open(&format!("{}day1.html", from_files()), "light", DESKTOP).await?;
        // The first question: 8, 16 or 64.
        for nth in [0, 1] {
            let script = "document.querySelectorAll('.choose button')[arguments[0]].click()";
            page.js(script, vec![json!(nth)]).await?;
        }
        let state = "const choose = document.querySelector('.choose');
            return [[...choose.querySelectorAll('button')].map((it) => it.className),
                    choose.parentElement.querySelector('details').open,
                    choose.querySelector('.choose-said').textContent.trim()]";
        let wanted = json!([["is-wrong", "is-right", ""], true, "Right."]);
        assert_eq!(page.js(state, vec![]).await?, wanted);
        page.js(
            "document.querySelectorAll('.choose')[1].querySelectorAll('button')[1].click()",
            vec![],
        )
        .await?;
        page.open(&format!("{}progress.html", from_files()), "light", DESKTOP).await?;
        // The second try at the first question does not count.
        let sum = "return document.querySelector('.map-sum').textContent
            .includes('1 of 2 questions right at the first try')";
        page.until("the map counts", sum).await?;
        page.client.find(Locator::Css(".map-forget")).await?.click().await?;
        let none = "return document.querySelector('.map-sum').textContent
            .includes('0 of 0 questions')";
        page.until("it is forgotten", none).await?;
        Ok(())
    });
}

#[test]
fn a_page_read_to_its_end_is_marked() {
    in_browser("a_page_read_to_its_end_is_marked", |page| async move {
        page.open(&format!("{}setup.html", from_files()), "light", DESKTOP).await?;
        let read = "return JSON.parse(localStorage.getItem('days-progress') || '{}').read";
        let at_once = page.js(read, vec![]).await?;
        assert!(at_once["setup.html"].is_null(), "{at_once}");
        page.js("scrollTo(0, document.body.scrollHeight)", vec![]).await?;
        let marked = "return [...document.querySelectorAll('.sidebar a.is-read')]
            .some((link) => link.href.endsWith('/setup.html'))";
        page.until("the contents mark it", marked).await?;
        page.open(&format!("{}progress.html", from_files()), "light", DESKTOP).await?;
        let sum = "return document.querySelector('.map-sum').textContent.startsWith('1 of ')";
        page.until("the map counts it", sum).await?;
        let complaints = page.log("browser").await?;
        assert!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    });
}
