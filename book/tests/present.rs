//! The presenter's view, in a headless Chromium.

#[path = "browser/session.rs"]
mod session;

use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::json;

use session::{Page, Tried, from_files, in_browser};

/// A projector of 1024 by 768 at 150 %.
const PROJECTOR: (u32, u32) = (683, 512);

/// Presses a key at the focus.
async fn press(page: &Page, key: char) -> Tried {
    page.client.active_element().await?.send_keys(&key.to_string()).await?;
    Ok(())
}

#[test]
fn a_lesson_is_given_from_the_page() {
    in_browser("a_lesson_is_given_from_the_page", |page| async move {
        page.open(&format!("{}day1.html", from_files()), "light", PROJECTOR).await?;
        // A player's words are those of its step.
        let words = "return [...document.querySelectorAll('main > *:not(.ring-player)')]
            .map((node) => node.textContent)";
        let before = page.js(words, vec![]).await?;
        let body = page.client.find(Locator::Css("body")).await?;
        body.send_keys("p").await?;
        page.until("it is open", "return document.querySelector('.presenter').open").await?;
        let shown = "const stage = document.querySelector('.presenter-stage');
            const box = document.querySelector('.presenter-bar').getBoundingClientRect();
            return [document.querySelector('.presenter-place').textContent,
                    stage.firstElementChild.className || stage.firstElementChild.localName,
                    document.querySelector('.presenter-next').textContent,
                    box.bottom <= innerHeight && document.documentElement.scrollWidth <= innerWidth]";
        let mut kinds = Vec::new();
        loop {
            let now = page.js(shown, vec![]).await?;
            assert_eq!(now[3], json!(true), "{now}: something is outside the window");
            kinds.push(now[1].as_str().unwrap_or_default().to_string());
            let place = now[0].as_str().unwrap_or_default();
            let (at, of) = place.split_once(" / ").ok_or("a place")?;
            if at == of {
                break;
            }
            if at == "1" {
                assert!(
                    now[2].as_str().is_some_and(|it| it.starts_with("Next question: ")),
                    "{now}"
                );
            }
            press(&page, char::from(Key::PageDown)).await?;
        }
        for kind in ["diagram", "li", "pre", "ring-player"] {
            assert!(kinds.iter().any(|it| it.contains(kind)), "no {kind} among {kinds:?}");
        }
        // Within a player, its own keys apply.
        while page.js(shown, vec![]).await?[1]
            .as_str()
            .is_some_and(|it| !it.contains("ring-player"))
        {
            press(&page, char::from(Key::PageUp)).await?;
        }
        press(&page, char::from(Key::Right)).await?;
        let step = "return document.querySelector('.presenter .ring-player').dataset.step === '2'";
        page.until("the player steps", step).await?;
        let fits = "const player = document.querySelector('.presenter .ring-controls');
            const stage = document.querySelector('.presenter-stage').getBoundingClientRect();
            return player.getBoundingClientRect().bottom <= stage.bottom + 1";
        page.until("the player's controls are in the window", fits).await?;
        let large = "const drawing = document.querySelector('.presenter .ring-drawing');
            return 2 * drawing.getBoundingClientRect().height > innerHeight";
        assert_eq!(page.js(large, vec![]).await?, json!(true), "half of the window");
        press(&page, 'n').await?;
        let notes = "const notes = document.querySelector('.presenter-notes');
            return !notes.hidden && notes.textContent.includes('Demo.')";
        page.until("the notes are there", notes).await?;
        press(&page, char::from(Key::Escape)).await?;
        page.until("it is closed", "return !document.querySelector('.presenter').open").await?;
        let after = page.js(words, vec![]).await?;
        assert_eq!(before, after, "the page is what it was");
        assert!(page.client.current_url().await?.as_str().ends_with("/day1.html"));
        let complaints = page.log("browser").await?;
        assert!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    });
}
