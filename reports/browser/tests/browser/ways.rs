//! The ways in which a page is looked at: light and dark, on a phone, on paper.

use bn_browser::{Page, Theme, runs};

use super::{at, drawn, link, wait_until_ready};

/// The colours of the page's background and text, as red, green and blue up to 255.
fn colours(page: &Page) -> ([f64; 3], [f64; 3]) {
    page.get(
        "(() => {
            const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
            const background = [document.body, document.documentElement]
                .map((element) => parts(getComputedStyle(element).backgroundColor))
                .find(([, , , alpha]) => alpha !== 0);
            return [background.slice(0, 3), parts(getComputedStyle(document.body).color).slice(0, 3)];
        })()",
    )
}

/// Luminance, as WCAG 2 defines it.
fn luminance(colour: [f64; 3]) -> f64 {
    let linear = colour.map(|part| {
        let part = part / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast((one, other): ([f64; 3], [f64; 3])) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn is_dark(page: &Page) -> bool {
    let (background, text) = colours(page);
    luminance(background) < luminance(text)
}

#[test]
fn the_page_is_dark_where_the_system_is() {
    let mut page = at("");
    assert!(!is_dark(&page));
    assert!(contrast(colours(&page)) >= 7.0);
    page.prefer(Theme::Dark);
    assert!(is_dark(&page), "{:?}", colours(&page));
    assert!(contrast(colours(&page)) >= 7.0, "{:?}", colours(&page));
}

#[test]
fn the_button_overrides_the_system_and_is_remembered() {
    let page = at("");
    page.click("#theme");
    page.wait_for("the theme is set", "document.documentElement.dataset.theme === 'dark'");
    assert!(is_dark(&page));
    // The page that is left would do for what is waited for, if nothing told the two apart.
    page.run("(window.isLeft = true, location.reload())");
    page.wait_for(
        "it is loaded anew",
        "!window.isLeft && performance.getEntriesByName('bncheck:rows').length > 0 \
         && document.documentElement.dataset.theme",
    );
    assert!(is_dark(&page), "it is dark still");
    page.click("#theme");
    page.wait_for("the theme is set", "document.documentElement.dataset.theme === 'light'");
    assert!(!is_dark(&page));
}

#[test]
fn a_phone_shows_every_page_without_scrolling_sideways() {
    let (case, backend) = drawn();
    let page = Page::sized(360, 740);
    page.show(&runs::page(&super::pages::with_faults()), "");
    wait_until_ready(&page);
    for place in [
        "#/".to_owned(),
        "#/overview".to_owned(),
        "#/how".to_owned(),
        "#/changes".to_owned(),
        format!("{}/{backend}", link(&case)),
    ] {
        page.go_to(&place);
        page.wait_for(
            "the place is shown",
            "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true), 200)))",
        );
        let (wide, window): (f64, f64) =
            page.get("[document.documentElement.scrollWidth, document.documentElement.clientWidth]");
        assert!(wide <= window, "{place}: {wide} > {window}");
    }
    page.wait_until_there("section#case figure.heatmap");
    page.go_to("#/");
    page.wait_for("the matrix is shown", "document.querySelector('#matrix').checkVisibility()");
    assert!(
        page.get::<bool>("document.querySelector('#filter').getBoundingClientRect().width >= 150"),
        "the filter can be used"
    );
}

#[test]
fn on_paper_the_summary_is_there_in_dark_on_white_and_the_controls_are_not() {
    let mut page = Page::new();
    page.prefer(Theme::Dark);
    page.show(&runs::page(&runs::real()), "");
    wait_until_ready(&page);
    page.print();
    assert!(!is_dark(&page), "paper is white: {:?}", colours(&page));
    assert!(page.get::<bool>("document.querySelector('table.summary').checkVisibility()"));
    for control in ["#theme", "#filter", "nav"] {
        assert!(
            !page.get::<bool>(&format!("document.querySelector('{control}').checkVisibility()")),
            "{control} is of no use on paper"
        );
    }
    assert!(page.get::<bool>("document.documentElement.scrollWidth <= document.documentElement.clientWidth"));
}
