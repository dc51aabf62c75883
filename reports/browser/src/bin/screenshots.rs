//! The README's pictures of the report: `just screenshots`.
//!
//!     bn-browser-screenshots RESULTS FOLDER    the page of RESULTS, as report.png and report-case.png in FOLDER

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bn_browser::{Page, runs};

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [results, folder] = arguments.as_slice() else {
        eprintln!("usage: bn-browser-screenshots RESULTS FOLDER");
        std::process::exit(2);
    };
    let text = std::fs::read_to_string(results)
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", results.display()));
    let run = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", results.display()));
    let html = runs::page(&run);

    let page = Page::sized(1000, 620);
    page.show(&html, "");
    page.wait_for("there are rows", "performance.getEntriesByName('bncheck:rows').length > 0");
    page.run("document.querySelector('#matrix-page').scrollIntoView()");
    take(&page, &folder.join("report.png"));

    page.resize(1000, 830);
    let (case, backend) = runs::drawn(&run);
    page.go_to(&runs::link(&case, Some(&backend)));
    page.wait_until_there("section#case figure.heatmap");
    page.run(
        "document.querySelector('section#case figure.heatmap').closest('[data-tensor]').scrollIntoView()",
    );
    take(&page, &folder.join("report-case.png"));
}

fn take(page: &Page, file: &Path) {
    let png = STANDARD.decode(page.screenshot()).expect("Chromium sends pictures in Base64");
    std::fs::write(file, &png)
        .unwrap_or_else(|error| panic!("{} cannot be written: {error}", file.display()));
    println!("{}: {} bytes", file.display(), png.len());
}
