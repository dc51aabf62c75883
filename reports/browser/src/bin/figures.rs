//! How fast the report is in headless Chromium, beside what is asked of it: `just browser-figures`. Each figure is the
//! middle one of several windows, opened one after the other.

use std::time::Instant;

use bn_browser::{Page, runs};

/// Windows that are opened for each figure.
const WINDOWS: usize = 5;

/// What is typed into the filter, a letter at a time; each letter is answered.
const FILTER: &str = "frozen dtype=bf16 verdict=fail";

struct Asked {
    cases: usize,
    bytes: usize,
    first_paint: f64,
    /// How long a filter may take to answer.
    filter: Option<f64>,
    /// How long the page may take to be made.
    rendering: Option<f64>,
}

fn main() {
    let asked = [
        Asked {
            cases: 5_000,
            bytes: 2_000_000,
            first_paint: 400.0,
            filter: Some(50.0),
            rendering: Some(1000.0),
        },
        Asked { cases: 50_000, bytes: 12_000_000, first_paint: 1500.0, filter: None, rendering: None },
    ];
    for asked in asked {
        measure(&asked);
    }
}

fn measure(asked: &Asked) {
    let run = runs::large(asked.cases);
    let begun = Instant::now();
    let made = bn_reports::html::page(&run);
    let rendering = begun.elapsed().as_secs_f64() * 1000.0;
    println!("{} cases x {} backends", asked.cases, run.run.backends.len());
    line("file", made.html.len() as f64, Some(asked.bytes as f64), "bytes");
    line("made in", rendering, asked.rendering, "ms");
    drop(run);

    let (mut paints, mut rows) = (vec![], vec![]);
    for _ in 0..WINDOWS {
        let page = opened(&made.html);
        paints.push(page.get("performance.getEntriesByName('first-contentful-paint')[0].startTime"));
        rows.push(page.get("performance.getEntriesByName('bncheck:rows')[0].startTime"));
    }
    line("first contentful paint", middle(paints), Some(asked.first_paint), "ms");
    line("rows of the matrix", middle(rows), None, "ms");

    let (mut filters, mut slowest) = (vec![], vec![]);
    for _ in 0..WINDOWS {
        let page = opened(&made.html);
        page.click("#filter");
        page.type_text(FILTER);
        page.wait_for("the filter has answered", "performance.getEntriesByName('bncheck:filter').length > 0");
        let answers: Vec<f64> =
            page.get("performance.getEntriesByName('bncheck:filter').map((entry) => entry.duration)");
        slowest.push(answers.iter().copied().fold(0.0, f64::max));
        filters.extend(answers);
    }
    line("filter, each letter", middle(filters), asked.filter, "ms");
    line("filter, the slowest letter", middle(slowest), asked.filter, "ms");
}

/// A window with the page, painted, with its rows.
fn opened(html: &str) -> Page {
    let page = Page::new();
    page.show(html, "");
    page.wait_for("there are rows", "performance.getEntriesByName('bncheck:rows').length > 0");
    page.wait_for("it is painted", "performance.getEntriesByName('first-contentful-paint').length > 0");
    page
}

fn middle(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn line(what: &str, measured: f64, asked: Option<f64>, unit: &str) {
    let asked = asked.map_or(String::new(), |asked| {
        format!("   asked: at most {asked} {unit}{}", if measured <= asked { "" } else { "   MISSED" })
    });
    println!("  {what:<28}{measured:>12.1} {unit}{asked}");
}
