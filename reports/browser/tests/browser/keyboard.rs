//! The page with keys alone: from its first row to a number in a heatmap and back, always seeing where one is.

use bn_browser::Page;

use super::case::wait_for_case;
use super::{at, drawn, link, matrix};

/// Where the keys go, in words: for messages.
const FOCUS: &str = "document.activeElement ? document.activeElement.outerHTML.slice(0, 200) : 'nothing'";

/// Asserts that what has the focus can be seen to have it: an outline, on it or on what it says is active.
#[track_caller]
fn assert_focus_is_seen(page: &Page) {
    let seen: bool = page.get(
        "(() => {
            const focused = document.activeElement;
            if (!focused || focused === document.body) return false;
            const active = document.getElementById(focused.getAttribute('aria-activedescendant'));
            const isOutlined = (element) => {
                const style = getComputedStyle(element);
                return (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1) || style.boxShadow !== 'none';
            };
            return [focused, active].some((element) => element && isOutlined(element)) && focused.checkVisibility();
        })()",
    );
    assert!(seen, "the focus is not seen on {}", page.get::<String>(FOCUS));
}

/// Presses a key until something has the focus.
#[track_caller]
fn press_until(page: &Page, key: &str, what: &str, focused: &str) {
    for _ in 0..200 {
        page.press(key);
        if page.get::<bool>(&format!("Boolean({focused})")) {
            return;
        }
        assert_focus_is_seen(page);
    }
    panic!("{key} does not lead to {what}; the focus is on {}", page.get::<String>(FOCUS));
}

#[test]
fn keys_alone_lead_from_the_first_row_to_a_magnified_number_and_back() {
    let page = matrix();
    // Into the matrix, and to the case whose heatmap is wanted: the filter takes it alone.
    let (case, backend) = drawn();
    page.press("/");
    page.wait_for("the filter has the focus", "document.activeElement === document.querySelector('#filter')");
    assert_focus_is_seen(&page);
    page.type_text(case.split('[').next().expect("a name"));
    page.type_text(" verdict=fail");
    page.wait_for("few are left", "document.querySelectorAll('#matrix [role=row][data-case]').length <= 60");
    page.press("ArrowDown");
    page.wait_for(
        "the matrix has the focus",
        "document.querySelector('#matrix').contains(document.activeElement)",
    );
    assert_focus_is_seen(&page);

    let row = "(document.getElementById(document.activeElement.getAttribute('aria-activedescendant')) ?? document.activeElement).closest('[role=row]')?.dataset.case";
    for _ in 0..200 {
        if page.get::<Option<String>>(row) == Some(case.clone()) {
            break;
        }
        page.press("ArrowDown");
        assert_focus_is_seen(&page);
    }
    assert_eq!(page.get::<Option<String>>(row), Some(case.clone()), "the arrows lead to every row");
    page.press("Enter");
    wait_for_case(&page, &case);

    // To the tab of the backend, then on to the heatmap.
    press_until(&page, "Tab", "the tabs", "document.activeElement.getAttribute('role') === 'tab'");
    let tab = "document.activeElement.dataset.backend";
    for _ in 0..20 {
        if page.get::<String>(tab) == backend {
            break;
        }
        page.press("ArrowRight");
        page.wait_for(
            "the tab is selected",
            "document.activeElement.getAttribute('aria-selected') === 'true'",
        );
    }
    assert_eq!(page.get::<String>(tab), backend);
    page.wait_until_there("section#case figure.heatmap [role=grid]");
    press_until(&page, "Tab", "the heatmap", "document.activeElement.matches('figure.heatmap [role=grid]')");
    assert_focus_is_seen(&page);
    let magnified = "document.activeElement.closest('figure').querySelector('.magnifier').innerText";
    let chosen =
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).dataset.cell";
    let columns: usize =
        page.get("document.activeElement.querySelector('[role=row]').querySelectorAll('[data-cell]').length");
    page.press("Control+Home");
    assert_eq!(page.get::<String>(chosen), "0");
    let first: String = page.get(magnified);
    assert!(
        first.contains("expected") && first.contains("got") && first.matches("0x").count() >= 2,
        "both values: {first}"
    );
    page.press("ArrowDown");
    assert_eq!(page.get::<String>(chosen), columns.to_string());
    assert_focus_is_seen(&page);
    assert_ne!(page.get::<String>(magnified), first);

    // And back to where the row is.
    page.press("Escape");
    page.wait_for(
        "all cases are shown",
        "document.querySelector('#matrix').checkVisibility() && location.hash.startsWith('#/?filter')",
    );
    page.wait_for("the focus is on the row again", &format!("{row} === '{case}'"));
    assert_focus_is_seen(&page);
}

#[test]
fn tab_goes_round_the_whole_page_and_is_seen_everywhere() {
    let page = matrix();
    page.press("Tab");
    let mut places = Vec::new();
    for _ in 0..300 {
        let place: String = page.get(FOCUS);
        if places.contains(&place) || page.get::<bool>("document.activeElement === document.body") {
            break;
        }
        assert_focus_is_seen(&page);
        places.push(place);
        page.press("Tab");
    }
    for what in ["class=\"skip\"", "id=\"theme\"", "id=\"filter\""] {
        assert!(places.iter().any(|place| place.contains(what)), "{what} is reached: {places:#?}");
    }
}

#[test]
fn a_question_mark_shows_the_keys_and_escape_closes_them() {
    let page = matrix();
    page.press("?");
    page.wait_until_there("dialog#help[open]");
    let help = page.text("dialog#help");
    for key in ["/", "?", "n", "p", "Esc", "Enter"] {
        assert!(help.split_whitespace().any(|word| word == key), "{key}: {help}");
    }
    assert!(
        page.get::<bool>("document.querySelector('dialog#help').contains(document.activeElement)"),
        "it has the focus"
    );
    assert_focus_is_seen(&page);
    page.press("Escape");
    page.wait_for("it is closed", "!document.querySelector('dialog#help').open");
}

#[test]
fn n_and_p_go_to_the_next_and_the_previous_failing_case() {
    let page = matrix();
    let failing: Vec<String> = page.get(
        "[...document.querySelectorAll('#matrix [role=row][data-case]')].filter((row) => row.querySelector('[data-verdict=fail]')).map((row) => row.dataset.case)",
    );
    assert!(failing.len() > 1, "{failing:?}");
    page.go_to(&link(&failing[0]));
    wait_for_case(&page, &failing[0]);
    page.press("n");
    wait_for_case(&page, &failing[1]);
    page.press("p");
    wait_for_case(&page, &failing[0]);
}

#[test]
fn letters_in_the_filter_are_letters() {
    let page = matrix();
    page.click("#filter");
    page.type_text("not?/");
    assert_eq!(page.get::<String>("document.querySelector('#filter').value"), "not?/");
    assert!(!page.get::<bool>("document.querySelector('dialog#help').open"));
}

#[test]
fn a_slash_leads_to_the_filter_from_everywhere() {
    let (case, _) = drawn();
    for place in [link(&case), "#/overview".to_owned(), "#/how".to_owned()] {
        let page = at(&place);
        page.press("/");
        page.wait_for(
            "the filter has the focus",
            "document.activeElement === document.querySelector('#filter')",
        );
        assert_focus_is_seen(&page);
        assert_eq!(
            page.get::<String>("document.querySelector('#filter').value"),
            "",
            "the key itself types nothing"
        );
    }
}
