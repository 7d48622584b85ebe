//! Diagrams: `book/figures/NAME.svg`, drawn by hand, put into the page.

use crate::markup;
use crate::problem::Complaint;

/// The figure's HTML, on one line so that Markdown does not change it.
pub fn html(name: &str, svg: &str) -> Result<String, Complaint> {
    let start = svg.find("<svg").ok_or_else(|| no("it has no <svg> element", "draw it"))?;
    let svg = without_comments(&svg[start..]);
    let tag_end = svg.find('>').ok_or_else(|| no("its <svg> tag has no end", "close it"))?;
    let (tag, rest) = svg.split_at(tag_end);
    if attribute(tag, "viewBox").is_none() {
        return Err(no("it has no viewBox", "write viewBox=\"0 0 W H\", so that it can shrink"));
    }
    if attribute(tag, "width").is_some_and(|width| !width.ends_with('%')) {
        return Err(no(
            "its <svg> has a width in pixels, and a telephone is 390 wide",
            "leave width and height out: the viewBox gives the shape",
        ));
    }
    let title = element(rest, "title")
        .ok_or_else(|| no("it has no <title>", "say in a few words what is drawn"))?;
    let desc = element(rest, "desc")
        .ok_or_else(|| no("it has no <desc>", "describe what the figure shows"))?;
    check_ids(name, &svg)?;
    check_colours(&svg)?;
    let mut said = String::new();
    if attribute(tag, "role").is_none() {
        said.push_str(" role=\"img\"");
    }
    if attribute(tag, "aria-labelledby").is_none() && attribute(tag, "aria-label").is_none() {
        let label = markup::html(&format!("{}: {}", one_line(title), one_line(desc)));
        said.push_str(&format!(" aria-label=\"{label}\""));
    }
    let body = one_line(&format!("{tag}{said}{rest}"));
    Ok(format!("<figure class=\"diagram\" data-figure=\"{name}\">{body}</figure>"))
}

/// A complaint about the figure.
fn no(what: &str, remedy: &str) -> Complaint {
    Complaint::new(what, remedy)
}

/// The value of an attribute of a tag.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    values(tag, name).next()
}

/// The values of an attribute, wherever it occurs in `text`.
fn values<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    text.match_indices(name).filter_map(move |(at, _)| {
        if !text[..at].ends_with(char::is_whitespace) {
            return None;
        }
        let rest = text[at + name.len()..].strip_prefix('=')?;
        let quote = rest.chars().next().filter(|c| *c == '"' || *c == '\'')?;
        rest[1..].split(quote).next()
    })
}

/// The content of the first element with this name, unless it is empty.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}"))?;
    let (_, rest) = rest.split_once('>')?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    (!inner.trim().is_empty()).then_some(inner)
}

/// Two figures may stand on one page, and all stand on the printed one.
fn check_ids(name: &str, svg: &str) -> Result<(), Complaint> {
    match values(svg, "id").find(|id| !id.starts_with(name)) {
        Some(id) => Err(Complaint::new(
            format!("its id `{id}` could be that of another figure on the page"),
            format!("begin it with the figure's name: `{name}-{id}`"),
        )),
        None => Ok(()),
    }
}

/// A fixed colour fits one theme and not another.
fn check_colours(svg: &str) -> Result<(), Complaint> {
    const PAINTED: [&str; 4] = ["fill", "stroke", "stop-color", "color"];
    const FREE: [&str; 6] =
        ["none", "currentColor", "inherit", "transparent", "context-stroke", "context-fill"];
    for name in PAINTED {
        for value in values(svg, name) {
            if !FREE.contains(&value) && !value.starts_with("var(") && !value.starts_with("url(#") {
                return Err(fixed(value));
            }
        }
    }
    let styles = values(svg, "style").chain(element(svg, "style"));
    for style in styles {
        for rule in style.split([';', '{', '}']) {
            let Some((property, value)) = rule.split_once(':') else { continue };
            let value = value.trim();
            if PAINTED.contains(&property.trim())
                && !FREE.contains(&value)
                && !value.starts_with("var(")
                && !value.starts_with("url(#")
            {
                return Err(fixed(value));
            }
        }
    }
    Ok(())
}

/// The complaint about a colour.
fn fixed(value: &str) -> Complaint {
    Complaint::new(
        format!("its colour `{value}` is the same in all themes, light and dark"),
        "use currentColor, none, or a variable of the theme: var(--fg), var(--links), \
         var(--quote-bg), …",
    )
}

/// `text` without its comments.
fn without_comments(text: &str) -> String {
    let mut clean = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("<!--") {
        clean.push_str(before);
        rest = comment.split_once("-->").map_or("", |(_, after)| after);
    }
    clean + rest
}

/// `text` with every run of white space replaced by one space.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 9 9\">\n<!-- note -->\n<title>Rings</title>\n\n<desc>Two \"rings\".</desc>\n<rect id=\"two-box\" fill=\"var(--quote-bg)\" style=\"stroke: currentColor\"/>\n</svg>\n";

    #[test]
    fn a_figure_is_one_line_with_its_alternative() {
        let html = html("two", GOOD).unwrap();
        assert!(!html.contains('\n'), "{html}");
        assert!(
            html.contains("role=\"img\" aria-label=\"Rings: Two &quot;rings&quot;.\""),
            "{html}"
        );
        assert!(!html.contains("note"), "{html}");
        let labelled =
            GOOD.replace("viewBox", "role=\"img\" aria-labelledby=\"two-title\" viewBox");
        let html = self::html("two", &labelled).unwrap();
        assert!(html.matches("role=").count() == 1 && !html.contains("aria-label="), "{html}");
    }

    #[test]
    fn what_a_figure_lacks_is_told() {
        for (cut, by, told) in [
            ("<title>Rings</title>", "", "no <title>"),
            ("<desc>Two \"rings\".</desc>", "<desc></desc>", "no <desc>"),
            ("viewBox=\"0 0 9 9\"", "", "no viewBox"),
            ("viewBox", "width=\"800\" viewBox", "pixels"),
            ("two-box", "box", "`box`"),
            ("var(--quote-bg)", "#fff", "`#fff`"),
            ("stroke: currentColor", "stroke: black", "`black`"),
        ] {
            let svg = GOOD.replace(cut, by);
            assert_ne!(svg, GOOD, "{cut}");
            let complaint = html("two", &svg).unwrap_err();
            assert!(complaint.what.contains(told), "{told}: {complaint:?}");
        }
    }
}
