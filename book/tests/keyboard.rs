//! The pages by keyboard alone, and their names for a screen reader, in a headless Chromium.

#[path = "browser/session.rs"]
mod session;

use fantoccini::key::Key;
use serde_json::{Value, json};

use session::{from_files, in_browser};

const DESKTOP: (u32, u32) = (1280, 800);

/// Every element that a reader can operate.
const ROLES: [&str; 8] =
    ["button", "link", "slider", "combobox", "searchbox", "textbox", "checkbox", "tab"];

#[test]
fn whatever_can_be_operated_has_a_name() {
    in_browser("whatever_can_be_operated_has_a_name", |page| async move {
        for name in ["day1", "day4-echo", "exercises-day1", "by-symptom", "progress", "atlas"] {
            page.open(&format!("{}{name}.html", from_files()), "light", DESKTOP).await?;
            page.devtools("Accessibility.enable", json!({})).await?;
            let tree = page.devtools("Accessibility.getFullAXTree", json!({})).await?;
            let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
            assert!(nodes.len() > 100, "{name}: {} nodes", nodes.len());
            let text = |node: &Value, what: &str| {
                node[what]["value"].as_str().unwrap_or_default().trim().to_string()
            };
            let nameless: Vec<String> = nodes
                .iter()
                .filter(|node| node["ignored"] != json!(true))
                .filter(|node| ROLES.contains(&text(node, "role").as_str()))
                .filter(|node| text(node, "name").is_empty())
                .map(ToString::to_string)
                .collect();
            assert!(nameless.is_empty(), "{name}: {nameless:#?}");
        }
        let complaints = page.log("browser").await?;
        assert!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    });
}

#[test]
fn by_tab_the_focus_is_seen_and_reaches_the_player() {
    in_browser("by_tab_the_focus_is_seen_and_reaches_the_player", |page| async move {
        page.open(&format!("{}day1.html", from_files()), "light", DESKTOP).await?;
        page.until("the player is drawn", "return !!document.querySelector('.ring-drawing')")
            .await?;
        // Start where a reader begins who has skipped the contents.
        page.js("document.querySelector('main h1 a').focus()", vec![]).await?;
        let focus = "const node = document.activeElement;
            const box = node.getBoundingClientRect();
            const style = getComputedStyle(node);
            return [node.className || node.localName, box.width > 0 && box.height > 0,
                    style.outlineStyle !== 'none' || style.boxShadow !== 'none']";
        let mut reached = Vec::new();
        for _ in 0..120 {
            let body = page.client.active_element().await?;
            body.send_keys(&char::from(Key::Tab).to_string()).await?;
            let now = page.js(focus, vec![]).await?;
            let name = now[0].as_str().unwrap_or_default().to_string();
            assert_eq!((&now[1], &now[2]), (&json!(true), &json!(true)), "{name} is not seen");
            let end = name == "ring-speed";
            reached.push(name);
            if end {
                break;
            }
        }
        for part in ["summary", "ring-stage", "ring-button ring-play", "ring-scrub", "ring-speed"] {
            assert!(reached.iter().any(|it| it == part), "no {part} among {reached:?}");
        }
        Ok(())
    });
}
