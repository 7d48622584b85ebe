//! The ratios as a picture: plain SVG, with its numbers in words as well.

use std::fmt::Write;

use super::plan::REFERENCE;
use super::results::{Results, Row, Table};
use super::statistics::Spread;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 14.0;
const STEP: f64 = 20.0;
const HEAD: f64 = 34.0;
const GAP: f64 = 16.0;
const TOP: f64 = 54.0;

/// One group of bars a workload: requests a second as ratios to the reference, with a
/// whisker from the lowest round to the highest.
pub fn svg(results: &Results) -> String {
    let tables: Vec<&Table> = results.workloads.iter().filter(|table| has_bars(table)).collect();
    let height: f64 = TOP + tables.iter().map(|table| height_of(table)).sum::<f64>();
    let highest = rows(&tables).filter_map(|row| Some(row.rate_ratio?.max)).fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / highest;
    let mut svg = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title description\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <title id=\"title\">Requests a second as ratios to epoll</title>\n\
         <desc id=\"description\">{}</desc>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"15\" fill=\"#222\">Requests a second as ratios to epoll</text>\n\
         <text x=\"10\" y=\"40\" fill=\"#555\">median of {} rounds, lowest to highest; Linux {}</text>",
        escape(&in_words(&tables)),
        results.rounds,
        escape(&results.machine.kernel),
    );
    let mut y = TOP;
    for table in tables {
        group(&mut svg, table, y, scale);
        y += height_of(table);
    }
    svg.push_str("</svg>\n");
    svg
}

fn has_bars(table: &Table) -> bool {
    table.rows.iter().any(|row| row.rate_ratio.is_some())
}

fn rows<'a>(tables: &'a [&Table]) -> impl Iterator<Item = &'a Row> {
    tables.iter().flat_map(|table| &table.rows)
}

fn height_of(table: &Table) -> f64 {
    let bars = table.rows.iter().filter(|row| row.rate_ratio.is_some()).count();
    HEAD + STEP * bars as f64 + GAP
}

fn group(svg: &mut String, table: &Table, top: f64, scale: f64) {
    let noisy = if table.noise.is_some() { ": too noisy to tell" } else { "" };
    let (title, line) = (escape(&table.title), top + 22.0);
    let _ = writeln!(svg, "<text x=\"10\" y=\"{line}\" fill=\"#222\">{title}{noisy}</text>");
    let measured: Vec<(&Row, Spread)> =
        table.rows.iter().filter_map(|row| Some((row, row.rate_ratio?))).collect();
    for (nth, (row, ratio)) in measured.iter().enumerate() {
        bar(svg, row, *ratio, top + HEAD + STEP * nth as f64, scale);
    }
    let (one, first) = (LEFT + scale, top + HEAD - 4.0);
    let last = first + STEP * measured.len() as f64 + 2.0;
    let _ = writeln!(
        svg,
        "<line x1=\"{one:.1}\" y1=\"{first}\" x2=\"{one:.1}\" y2=\"{last}\" stroke=\"#222\" \
         stroke-dasharray=\"3 3\"/>"
    );
}

fn bar(svg: &mut String, row: &Row, ratio: Spread, y: f64, scale: f64) {
    let colour = match row.server.as_str() {
        REFERENCE => "#9a9a9a",
        "day04" => "#1f6f8b",
        _ => "#8bb8c6",
    };
    let x = |value: f64| LEFT + value * scale;
    let (middle, baseline) = (y + BAR / 2.0, y + BAR - 3.0);
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{baseline}\" text-anchor=\"end\" fill=\"#222\">{}</text>\n\
         <rect x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\n\
         <line x1=\"{:.1}\" y1=\"{middle}\" x2=\"{:.1}\" y2=\"{middle}\" stroke=\"#222\"/>\n\
         <text x=\"{:.1}\" y=\"{baseline}\" fill=\"#222\">{:.2}</text>",
        LEFT - 8.0,
        escape(&row.server),
        ratio.median * scale,
        x(ratio.min),
        x(ratio.max),
        x(ratio.max) + 6.0,
        ratio.median,
    );
}

/// What the picture shows, for readers who cannot see it.
fn in_words(tables: &[&Table]) -> String {
    let row = |row: &Row| {
        let Spread { median, min, max } = row.rate_ratio?;
        Some(format!("{} {median:.2} ({min:.2} to {max:.2})", row.server))
    };
    let table = |table: &&Table| {
        let noisy = if table.noise.is_some() { " (too noisy to tell)" } else { "" };
        let rows: Vec<String> = table.rows.iter().filter_map(row).collect();
        format!("{}{noisy}: {}.", table.title, rows.join(", "))
    };
    tables.iter().map(table).collect::<Vec<_>>().join(" ")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
