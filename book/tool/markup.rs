//! Escapes texts for HTML and for Markdown.

/// `text` with the special characters of HTML replaced.
pub fn html(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
        out
    })
}

/// `text` as code within a line. All punctuation is written as numeric entities, so that it looks
/// the same in a paragraph, in a table and in HTML.
pub fn code(text: &str) -> String {
    format!("<code>{}</code>", plain(text))
}

/// `text` with everything escaped that Markdown or HTML would interpret.
pub fn plain(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_ascii_punctuation() {
            out.push_str(&format!("&#{};", u32::from(c)));
        } else {
            out.push(c);
        }
        out
    })
}

/// `body` in a fence that is longer than any fence inside.
pub fn fenced(language: &str, body: &str) -> String {
    let longest = body
        .lines()
        .map(|line| line.trim_start())
        .map(|line| line.len() - line.trim_start_matches('`').len())
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}", body.trim_end_matches('\n'))
}

/// `json` made safe for a script element: still the same JSON.
pub fn json_in_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// An address with `%20` and the like decoded.
pub fn decoded(mut rest: &[u8]) -> Result<String, std::string::FromUtf8Error> {
    let mut bytes = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_means_nothing() {
        assert_eq!(code("a*b|c"), "<code>a&#42;b&#124;c</code>");
        assert_eq!(html("<a href=\"x\">"), "&lt;a href=&quot;x&quot;&gt;");
    }

    #[test]
    fn addresses_are_decoded() {
        assert_eq!(decoded(b"a%20b%c3%a4%").unwrap(), "a b\u{e4}%");
        assert!(decoded(b"%ff").is_err());
    }

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        assert_eq!(fenced("text", "a\n"), "```text\na\n```");
        assert_eq!(fenced("text", "````\n"), "`````text\n````\n`````");
    }

    #[test]
    fn a_script_is_not_ended_by_its_data() {
        let json = json_in_script(r#"{"a":"</script>&"}"#);
        assert!(!json.contains('<'), "{json}");
        let back: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(back["a"], "</script>&");
    }
}
