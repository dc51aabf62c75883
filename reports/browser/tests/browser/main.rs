//! The report in headless Chromium, used as people use it: with a mouse, with keys alone, on a phone, on paper, in the dark,
//! without scripts, with large runs and with hostile ones.

mod accessibility;
mod case;
mod hostile;
mod keyboard;
mod large;
mod loading;
mod matrix;
mod pages;
mod tables;
mod ways;

use bn_browser::{Page, runs};

/// The matrix of the real run.
fn matrix() -> Page {
    at("")
}

/// The real run's page at a place of it, with its first rows made.
fn at(fragment: &str) -> Page {
    let page = Page::new();
    page.show(&runs::page(&runs::real()), fragment);
    wait_until_ready(&page);
    page
}

/// Waits until the page has shown itself.
fn wait_until_ready(page: &Page) {
    page.wait_for("the page has made its rows", "performance.getEntriesByName('bncheck:rows').length > 0");
}

/// The fragment of a case.
fn link(case: &str) -> String {
    runs::link(case, None)
}

/// A case of the real run whose answer has a heatmap of several samples and channels, and the backend that gave it.
fn drawn() -> (String, String) {
    runs::drawn(&runs::real())
}
