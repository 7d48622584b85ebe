//! The ring player: a recorded run as a figure (`theme/ring-player.js`), and as a table for
//! readers without JavaScript and on paper.

use serde::Deserialize;
use serde_json::Value;

use crate::markup;
use crate::problem::Complaint;
use crate::recording::Recording;

/// The part of a recording that is in the page even if it is not played.
#[derive(Debug, Deserialize)]
struct Playable {
    title: String,
    command: String,
    kernel: String,
    rings: Vec<Value>,
    steps: Vec<Step>,
}

/// One step: a row of the table.
#[derive(Debug, Deserialize)]
struct Step {
    say: String,
    #[serde(default)]
    call: Option<String>,
}

/// The player with its recording: the JSON is in the page, so that it works from `file://`. It has
/// no empty line, which would end the HTML for Markdown.
pub fn html(name: &str, json: &str) -> Result<String, Complaint> {
    let recording = parse(name, json)?;
    let value: Value = serde_json::from_str(json).map_err(|wrong| broken(name, &wrong))?;
    Ok(format!(
        "<figure class=\"ring-player\" data-ring=\"{name}\"><figcaption><span class=\"ring-title\">\
         {title}</span> <span class=\"ring-source\">Recorded from <code>{command}</code> on Linux \
         {kernel}.</span></figcaption>{table}<script type=\"application/json\" \
         class=\"ring-data\">{data}</script></figure>",
        name = markup::html(name),
        title = markup::html(&recording.title),
        command = markup::html(&recording.command),
        kernel = markup::html(&recording.kernel),
        table = table(&recording.steps),
        data = markup::json_in_script(&value.to_string()),
    ))
}

fn parse(name: &str, json: &str) -> Result<Playable, Complaint> {
    Recording::parse(name, json)?;
    let recording: Playable = serde_json::from_str(json).map_err(|wrong| broken(name, &wrong))?;
    if recording.rings.len() != 1 || recording.steps.is_empty() {
        return Err(Complaint::new(
            format!(
                "the player shows one ring and its steps; here are {} and {}",
                recording.rings.len(),
                recording.steps.len()
            ),
            format!("cargo xtask record {name}"),
        ));
    }
    Ok(recording)
}

fn broken(name: &str, wrong: &serde_json::Error) -> Complaint {
    Complaint::new(
        format!("it is not a recording: {wrong}"),
        format!("cargo xtask record {name}, or git checkout book/traces/{name}.json"),
    )
}

/// One row a step. The last column counts the system calls.
fn table(steps: &[Step]) -> String {
    let mut calls = 0;
    let mut rows = String::new();
    for (step, number) in steps.iter().zip(1..) {
        let call = match &step.call {
            Some(_) => {
                calls += 1;
                format!("call {calls}")
            }
            None => String::new(),
        };
        rows += &format!(
            "<tr><td>{number}</td><td>{}</td><td>{call}</td></tr>",
            markup::html(&step.say)
        );
    }
    format!(
        "<div class=\"ring-steps\"><table><thead><tr><th>Step</th><th>What happens</th>\
         <th>System call</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOP: &str = r#"{"name":"nop","title":"A <NOP>","program":"day01","command":"cargo run -p day01",
"kernel":"6.18","rings":[{"sq_entries":8,"cq_entries":16,"flags":[]}],
"steps":[{"do":"setup","say":"asks & gets","call":"io_uring_setup"},{"do":"push","say":"</script>"}],
"counts":{"enters":0}}"#;

    #[test]
    fn a_recording_stands_in_the_page_and_in_a_table() {
        let html = html("nop", NOP).unwrap();
        assert!(!html.contains('\n') && html.contains("A &lt;NOP&gt;"), "{html}");
        assert!(
            html.contains("<tr><td>1</td><td>asks &amp; gets</td><td>call 1</td></tr>"),
            "{html}"
        );
        assert!(html.contains("<tr><td>2</td><td>&lt;/script&gt;</td><td></td></tr>"), "{html}");
        assert_eq!(html.matches("</script>").count(), 1, "{html}");
        let data = html.split("ring-data\">").nth(1).unwrap().split("</script>").next().unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["steps"][1]["say"], "</script>");
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        assert!(html("nop", "{}").unwrap_err().remedy.contains("cargo xtask record nop"));
        let empty = NOP.replace("[{\"sq_entries\":8,\"cq_entries\":16,\"flags\":[]}]", "[]");
        assert!(html("nop", &empty).unwrap_err().what.contains("one ring"));
    }
}
