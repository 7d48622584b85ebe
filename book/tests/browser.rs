//! The four days' pages in a headless Chromium: the ring player, and what it must not do.

#[path = "browser/server.rs"]
mod server;
#[path = "browser/session.rs"]
mod session;

use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::{Value, json};

use server::served;
use session::{Page, Tried, from_files, in_browser};

/// The days' pages, and how many players each has.
const DAYS: [(&str, usize); 4] = [("day1", 1), ("day2", 1), ("day3", 1), ("day4-echo", 2)];

const DESKTOP: (u32, u32) = (1280, 800);
const PROJECTOR: (u32, u32) = (1024, 768);
const PHONE: (u32, u32) = (390, 844);

/// The step of the nth player, from 1, and the number of its steps.
async fn position(
    page: &Page,
    nth: usize,
) -> Result<(u64, u64), Box<dyn std::error::Error + Send + Sync>> {
    let script = "const figure = document.querySelectorAll('.ring-player')[arguments[0]];
        const data = JSON.parse(figure.querySelector('.ring-data').textContent);
        return [Number(figure.dataset.step), data.steps.length];";
    let answer = page.js(script, vec![json!(nth)]).await?;
    let number = |at: usize| answer[at].as_u64().ok_or("no number");
    Ok((number(0)?, number(1)?))
}

/// The words of the nth player.
async fn caption(
    page: &Page,
    nth: usize,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let script = "return document.querySelectorAll('.ring-words')[arguments[0]].textContent";
    Ok(page.js(script, vec![json!(nth)]).await?.as_str().unwrap_or_default().to_string())
}

#[test]
fn the_player_steps_and_goes_back() {
    in_browser("the_player_steps_and_goes_back", |page| async move {
        for (day, players) in DAYS {
            let url = format!("{}{day}.html", from_files());
            page.open(&url, "light", DESKTOP).await?;
            let found = page.client.find_all(Locator::Css(".ring-player.is-live")).await?;
            assert_eq!(found.len(), players, "{day}");
            for (nth, figure) in found.iter().enumerate() {
                buttons(&page, figure, nth).await?;
                keys(&page, figure, nth).await?;
            }
            assert_eq!(page.client.current_url().await?.as_str(), url, "the page did not turn");
        }
        Ok(())
    });
}

async fn buttons(page: &Page, figure: &fantoccini::elements::Element, nth: usize) -> Tried {
    let button = |name: &'static str| figure.find(Locator::Css(name));
    // A long recording begins where the program pushes its first entry.
    let (start, steps) = position(page, nth).await?;
    assert_eq!(start > 1, steps > 30, "step {start} of {steps}");
    let stage = figure.find(Locator::Css(".ring-stage")).await?;
    stage.send_keys(&char::from(Key::Home).to_string()).await?;
    assert_eq!(position(page, nth).await?.0, 1);
    let first = caption(page, nth).await?;
    button(".ring-next").await?.click().await?;
    assert_eq!(position(page, nth).await?.0, 2);
    assert_ne!(caption(page, nth).await?, first);
    button(".ring-back").await?.click().await?;
    assert_eq!((position(page, nth).await?.0, caption(page, nth).await?), (1, first));
    // Before the first there is nothing.
    button(".ring-back").await?.click().await?;
    assert_eq!(position(page, nth).await?.0, 1);
    // It plays by itself until it is paused.
    button(".ring-play").await?.click().await?;
    page.until(
        "it plays",
        &format!(
            "return Number(document.querySelectorAll('.ring-player')[{nth}].dataset.step) > 1"
        ),
    )
    .await?;
    button(".ring-play").await?.click().await?;
    let name = button(".ring-play").await?.attr("aria-label").await?;
    assert_eq!(name.as_deref(), Some("Play"), "it is paused");
    Ok(())
}

async fn keys(page: &Page, figure: &fantoccini::elements::Element, nth: usize) -> Tried {
    let stage = figure.find(Locator::Css(".ring-stage")).await?;
    let press = async |key: Key| stage.send_keys(&char::from(key).to_string()).await;
    let last = position(page, nth).await?.1;
    press(Key::End).await?;
    assert_eq!(position(page, nth).await?.0, last);
    press(Key::Right).await?;
    assert_eq!(position(page, nth).await?.0, last, "after the last there is nothing");
    press(Key::Left).await?;
    assert_eq!(position(page, nth).await?.0, last - 1);
    press(Key::Home).await?;
    assert_eq!(position(page, nth).await?.0, 1);
    press(Key::Right).await?;
    press(Key::Right).await?;
    assert_eq!(position(page, nth).await?.0, 3);
    let scrub = figure.find(Locator::Css(".ring-scrub")).await?;
    scrub.send_keys(&char::from(Key::Right).to_string()).await?;
    assert_eq!(position(page, nth).await?.0, 4, "on the scrub bar too, once and not twice");
    Ok(())
}

/// Outside the player mdBook handles the arrow keys. Without this, the test above would prove
/// nothing.
#[test]
fn arrow_keys_outside_the_player_turn_the_page() {
    in_browser("arrow_keys_outside_the_player_turn_the_page", |page| async move {
        page.open(&format!("{}day1.html", from_files()), "light", DESKTOP).await?;
        let body = page.client.find(Locator::Css("body")).await?;
        body.send_keys(&char::from(Key::Right).to_string()).await?;
        page.until("the page turned", "return location.href.endsWith('/day2.html')").await
    });
}

/// After the last step the counts are those of the recording.
#[test]
fn the_drawing_ends_as_the_recording_does() {
    in_browser("the_drawing_ends_as_the_recording_does", |page| async move {
        for (day, players) in DAYS {
            page.open(&format!("{}{day}.html", from_files()), "light", DESKTOP).await?;
            for nth in 0..players {
                let script =
                    "const figure = document.querySelectorAll('.ring-player')[arguments[0]];
                    const data = JSON.parse(figure.querySelector('.ring-data').textContent);
                    const scrub = figure.querySelector('.ring-scrub');
                    scrub.value = scrub.max;
                    scrub.dispatchEvent(new Event('input'));
                    const text = name => figure.querySelector(name).textContent;
                    return {
                        calls: Number(text('.ring-calls')),
                        recorded: data.steps.filter(step => step.call).length,
                        ends: ['sq', 'cq'].flatMap(ring => ['head', 'tail'].map(end =>
                            text(`.ring-${ring} .ring-key.ring-${end} .ring-count`))),
                        taken: data.steps.reduce((sum, step) => sum + (step.takes || []).length, 0),
                        read: data.steps.reduce((sum, step) => sum + (step.reaps || 0), 0),
                        counts: data.counts,
                    };";
                let end = page.js(script, vec![json!(nth)]).await?;
                assert_eq!(end["calls"], end["recorded"], "{day}");
                assert!(end["calls"].as_u64() > Some(1), "{day}");
                let counts = &end["counts"];
                let ends = json!([
                    format!("head {}", end["taken"]),
                    format!("tail {}", counts["entries"]),
                    format!("head {}", end["read"]),
                    format!("tail {}", counts["completions"]),
                ]);
                assert_eq!(end["ends"], ends, "{day}");
            }
        }
        Ok(())
    });
}

#[test]
fn every_theme_and_width_from_files_and_served() {
    in_browser("every_theme_and_width_from_files_and_served", |page| async move {
        for base in [from_files(), served()] {
            for (theme, size) in [
                ("light", DESKTOP),
                ("navy", PROJECTOR),
                ("coal", PHONE),
                ("rust", PHONE),
                ("ayu", DESKTOP),
            ] {
                for (day, _) in DAYS {
                    page.open(&format!("{base}{day}.html"), theme, size).await?;
                    looks(&page, day, theme, size).await?;
                }
            }
        }
        let complaints = page.log("browser").await?;
        assert!(complaints.is_empty(), "{complaints:#?}");
        Ok(())
    });
}

/// Whether the page and the player fit the width, and whether the text has enough contrast.
async fn looks(page: &Page, day: &str, theme: &str, (width, _): (u32, u32)) -> Tried {
    let script = "const root = document.documentElement;
        const drawing = document.querySelector('.ring-drawing');
        const box = drawing.getBoundingClientRect();
        const upright = drawing.viewBox.baseVal.height > drawing.viewBox.baseVal.width;
        const number = text => text.match(/[\\d.]+/g).map(Number);
        const style = getComputedStyle(document.querySelector('.ring-player'));
        const light = text => { const [r, g, b] = number(text).slice(0, 3)
            .map(c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const [one, other] = [light(style.color), light(style.backgroundColor)];
        return { theme: root.className, sideways: ['html', '.page', '.content', '.ring-player'].map(name => {
                const node = document.querySelector(name);
                return node.scrollWidth - node.clientWidth; }), box: [box.left, box.right, box.height],
            upright, contrast: (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05),
            dark: other < 0.2 };";
    let looks = page.js(script, vec![]).await?;
    let told = format!("{day} in {theme} at {width}: {looks:#}");
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    assert!(looks["theme"].as_str().unwrap_or_default().contains(theme), "{told}");
    assert_eq!(looks["sideways"], json!([0, 0, 0, 0]), "it scrolls sideways: {told}");
    let [left, right, height] = [0, 1, 2].map(|at| number(&looks["box"][at]));
    assert!(left >= 0.0 && right <= f64::from(width) && height > 200.0, "{told}");
    assert_eq!(looks["upright"], json!(width == PHONE.0), "{told}");
    assert!(number(&looks["contrast"]) >= 4.5, "{told}");
    assert_eq!(looks["dark"], json!(["navy", "coal", "ayu"].contains(&theme)), "{told}");
    Ok(())
}

#[test]
fn no_request_leaves_the_machine() {
    in_browser("no_request_leaves_the_machine", |page| async move {
        let base = served();
        page.log("performance").await?;
        for (day, players) in DAYS {
            page.open(&format!("{base}{day}.html"), "light", DESKTOP).await?;
            for nth in 0..players {
                let script =
                    "const figure = document.querySelectorAll('.ring-player')[arguments[0]];
                    figure.querySelector('.ring-next').click();
                    figure.querySelector('.ring-table').click();";
                page.js(script, vec![json!(nth)]).await?;
            }
        }
        let mut asked = 0;
        for line in page.log("performance").await? {
            let message: Value = serde_json::from_str(line["message"].as_str().unwrap_or("{}"))?;
            let message = &message["message"];
            if message["method"] != "Network.requestWillBeSent" {
                continue;
            }
            let url = message["params"]["request"]["url"].as_str().unwrap_or_default().to_string();
            asked += 1;
            assert!(url.starts_with(&base) || url.starts_with("data:"), "a page asks for {url}");
        }
        assert!(asked > 20, "the log shows requests: {asked}");
        Ok(())
    });
}

#[test]
fn who_asks_for_less_motion_gets_none() {
    in_browser("who_asks_for_less_motion_gets_none", |page| async move {
        let url = format!("{}day1.html", from_files());
        for (wish, moves) in [("no-preference", true), ("reduce", false)] {
            let features =
                json!({ "features": [{ "name": "prefers-reduced-motion", "value": wish }] });
            page.devtools("Emulation.setEmulatedMedia", features).await?;
            page.open(&url, "light", DESKTOP).await?;
            let script = "const player = document.querySelector('.ring-player');
                player.querySelector('.ring-next').click();
                return player.getAnimations({ subtree: true }).length > 0;";
            assert_eq!(page.js(script, vec![]).await?, json!(moves), "{wish}");
            assert_eq!(position(&page, 0).await?.0, 2, "{wish}");
        }
        Ok(())
    });
}

/// Whether the table and the drawing can be seen.
async fn shown(page: &Page) -> Result<(bool, bool), Box<dyn std::error::Error + Send + Sync>> {
    let script = "const visible = name => [...document.querySelectorAll(name)]
            .some(node => node.getClientRects().length > 0);
        return [visible('.ring-steps table'), visible('.ring-live')];";
    let answer = page.js(script, vec![]).await?;
    Ok((answer[0] == json!(true), answer[1] == json!(true)))
}

#[test]
fn without_javascript_and_on_paper_there_is_a_table() {
    in_browser("without_javascript_and_on_paper_there_is_a_table", |page| async move {
        let url = format!("{}day3.html", from_files());
        page.open(&url, "light", DESKTOP).await?;
        assert_eq!(shown(&page).await?, (false, true), "the drawing by default");
        page.client.find(Locator::Css("button.ring-table")).await?.click().await?;
        assert_eq!(shown(&page).await?, (true, true), "the table when it is asked for");

        page.open(&url, "light", DESKTOP).await?;
        page.client.refresh().await?;
        page.devtools("Emulation.setEmulatedMedia", json!({ "media": "print" })).await?;
        assert_eq!(shown(&page).await?, (true, false), "the table on paper");
        page.devtools("Emulation.setEmulatedMedia", json!({ "media": "" })).await?;

        // The test's scripts still run, the page's own do not.
        page.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await?;
        for (day, players) in DAYS {
            page.client.goto(&format!("{}{day}.html", from_files())).await?;
            let tables = page.client.find_all(Locator::Css(".ring-steps table")).await?;
            assert_eq!(tables.len(), players, "{day}");
            for table in tables {
                let text = table.text().await?;
                assert!(text.contains("io_uring_enter"), "{day}: {text:?}");
            }
            assert!(page.client.find_all(Locator::Css(".ring-live")).await?.is_empty(), "{day}");
        }
        Ok(())
    });
}
