//! axe finds nothing wrong with any page, light or dark, wide or narrow.

use bn_browser::{Page, Theme, Violation, runs};

use super::case::wait_for_case;
use super::{drawn, link, wait_until_ready};

/// What axe finds wrong with the places of the report.
fn violations(theme: Theme, width: u32, height: u32) -> Vec<(String, Violation)> {
    let (case, backend) = drawn();
    let mut run = super::pages::with_faults();
    run.changes = super::pages::with_changes().changes;
    let mut page = Page::sized(width, height);
    page.prefer(theme);
    page.allow_axe();
    page.show(&runs::page(&run), "");
    wait_until_ready(&page);
    let mut found = Vec::new();
    let mut look = |place: &str, page: &Page| {
        found.extend(
            page.axe().into_iter().map(|violation| (format!("{place}, {theme:?}, {width} px"), violation)),
        );
        let passed = page.axe_rules_that_passed();
        for rule in ["color-contrast", "button-name"] {
            assert!(
                passed.iter().any(|passed| passed == rule),
                "{place}: {rule} had nothing to look at; {passed:?}"
            );
        }
    };
    look("the matrix", &page);
    page.click("#filter");
    page.insert("no-such-field=1");
    page.wait_until_there("#filter[aria-invalid=true]");
    look("a filter that cannot be read", &page);
    page.go_to("#/?filter=verdict%3Dfail");
    page.wait_for("the filter is read", "!document.querySelector('#filter[aria-invalid=true]')");
    page.click("#help-button");
    page.wait_until_there("dialog#help[open]");
    look("the help", &page);
    page.press("Escape");
    page.go_to(&format!("{}/{backend}", link(&case)));
    wait_for_case(&page, &case);
    page.wait_until_there("section#case figure.heatmap");
    look("a case", &page);
    page.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })");
    look("a case, all unfolded", &page);
    for place in ["overview", "changes", "how"] {
        page.go_to(&format!("#/{place}"));
        page.wait_for(
            "it is shown",
            &format!("document.querySelector('section#{place}').innerText.length > 50"),
        );
        look(place, &page);
        page.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })");
        look(&format!("{place}, all unfolded"), &page);
    }
    found
}

#[track_caller]
fn assert_none(found: &[(String, Violation)]) {
    let mut text = String::new();
    for (place, Violation { id, help, places }) in found {
        text.extend([place, ": ", id, ": ", help, "\n"]);
        for (selector, what) in places {
            text.extend(["    ", selector, "\n        ", what, "\n"]);
        }
    }
    assert!(found.is_empty(), "{text}");
}

#[test]
fn nothing_is_wrong_in_light_colours() {
    assert_none(&violations(Theme::Light, 1280, 900));
}

#[test]
fn nothing_is_wrong_in_dark_colours() {
    assert_none(&violations(Theme::Dark, 1280, 900));
}

#[test]
fn nothing_is_wrong_on_a_phone() {
    assert_none(&violations(Theme::Light, 360, 740));
}

#[test]
fn nothing_is_wrong_on_a_phone_in_the_dark() {
    assert_none(&violations(Theme::Dark, 360, 740));
}

#[test]
fn what_is_wrong_would_be_found() {
    let page = Page::new();
    page.allow_axe();
    page.show(
        "<!doctype html><html><title>a</title><main><h1>b</h1><img src='data:,'><p style='color: #bbb; background: #fff'>some words</p></main></html>",
        "",
    );
    let found: Vec<String> = page.axe().into_iter().map(|violation| violation.id).collect();
    for rule in ["color-contrast", "html-has-lang", "image-alt"] {
        assert!(found.iter().any(|found| found == rule), "{rule}: {found:?}");
    }
}
