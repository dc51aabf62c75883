//! The matrix and its filter.

use bn_browser::{Page, runs};
use bn_harness::results::Verdict;

use super::{at, matrix, wait_until_ready};

/// The cases of the rows that are there, from above.
fn rows(page: &Page) -> Vec<String> {
    page.get("[...document.querySelectorAll('#matrix [role=row][data-case]')].map((row) => row.dataset.case)")
}

fn shown(page: &Page) -> String {
    page.text("#shown")
}

#[test]
fn failures_come_first_each_with_a_sign_a_word_and_the_budget_used() {
    let page = matrix();
    let run = runs::real();
    let fails =
        |case: &str| run.results.iter().any(|result| result.case == case && result.verdict == Verdict::Fail);
    let first: String = page.get("document.querySelector('#matrix [role=row][data-case]').dataset.case");
    assert!(fails(&first), "{first}");
    // Within a suite as well.
    let in_suite: Vec<bool> = rows(&page)
        .iter()
        .take_while(|case| case.starts_with(first.split_at(first.rfind('/').unwrap_or(0)).0))
        .map(|case| fails(case))
        .collect();
    assert!(
        in_suite.is_sorted_by(|one, next| one >= next),
        "what fails comes before what does not: {in_suite:?}"
    );

    let result = run
        .results
        .iter()
        .find(|result| result.case == first && result.verdict == Verdict::Fail)
        .expect("it fails");
    let cell = format!(
        "#matrix [role=row][data-case=\"{first}\"] [role=gridcell][data-backend=\"{}\"]",
        result.backend
    );
    assert_eq!(page.get::<String>(&format!("document.querySelector('{cell}').dataset.verdict")), "fail");
    let text = page.text(&cell);
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.contains(&"fail"), "{text}");
    assert!(
        words.iter().any(|word| word.chars().count() == 1 && !word.chars().all(char::is_alphanumeric)),
        "a sign: {text}"
    );
    assert!(
        words.iter().any(|word| word.parse::<f64>().is_ok_and(|used| used > 1.0)),
        "a budget used: {text}"
    );
}

#[test]
fn cases_are_grouped_by_suite() {
    let page = matrix();
    let run = runs::real();
    let groups: Vec<String> = page
        .get("[...document.querySelectorAll('#matrix [data-suite]')].map((group) => group.dataset.suite)");
    assert!(!groups.is_empty());
    for group in &groups {
        assert!(run.cases.iter().any(|case| case.suite == *group), "{group}");
    }
}

#[test]
fn typing_a_filter_changes_the_rows_and_the_address() {
    let page = matrix();
    let run = runs::real();
    let before = rows(&page).len();
    page.click("#filter");
    page.type_text("dtype=f16");
    let of_f16 =
        run.cases.iter().filter(|case| case.fields.get("dtype").is_some_and(|dtype| dtype == "f16")).count();
    assert!(of_f16 > 0 && of_f16 < run.cases.len(), "{of_f16}");
    let counted = format!("{of_f16} of {} cases", run.cases.len());
    page.wait_for(
        "the filter has taken its cases",
        &format!("document.querySelector('#shown').innerText === '{counted}'"),
    );
    assert!(rows(&page).iter().all(|case| case.contains("dtype=f16")), "{:?}", rows(&page));
    let address: String = page.get("decodeURIComponent(location.hash)");
    assert_eq!(address, "#/?filter=dtype=f16");

    page.press("Escape");
    page.wait_for("the filter is empty again", "document.querySelector('#filter').value === ''");
    assert_eq!(rows(&page).len(), before);
    assert_eq!(page.get::<String>("location.hash"), "#/");
}

#[test]
fn the_address_of_a_filter_shows_the_same() {
    let typed = matrix();
    typed.click("#filter");
    typed.type_text("three-batches dtype!=f32 verdict=fail");
    let address: String = typed.get("location.hash");
    let text = "document.querySelector('#shown').innerText";
    typed.wait_for("the filter has taken its cases", &format!("!/^(\\d+) of \\1 /.test({text})"));

    let opened = at(&address);
    assert_eq!(shown(&opened), shown(&typed));
    assert_eq!(rows(&opened), rows(&typed));
    assert!(!rows(&opened).is_empty());
    assert_eq!(
        opened.get::<String>("document.querySelector('#filter').value"),
        "three-batches dtype!=f32 verdict=fail"
    );
}

#[test]
fn a_filter_that_cannot_be_read_says_why_and_keeps_the_rows() {
    let page = matrix();
    let before = rows(&page);
    page.click("#filter");
    page.insert("no-such-field=3");
    page.wait_until_there("#filter[aria-invalid=true]");
    assert!(page.text("[role=alert]").contains("no-such-field"), "{}", page.text("[role=alert]"));
    assert_eq!(rows(&page), before);
}

#[test]
fn a_suite_folds_and_unfolds() {
    let page = matrix();
    let before = rows(&page).len();
    page.click("#matrix [data-suite]");
    page.wait_until_there("#matrix [data-suite] [aria-expanded=false]");
    assert!(rows(&page).len() < before || page.count("#matrix [data-suite]") > 1);
    page.click("#matrix [data-suite]");
    page.wait_for("all is unfolded", "!document.querySelector('#matrix [data-suite] [aria-expanded=false]')");
    assert_eq!(rows(&page).len(), before);
}

#[test]
fn a_run_without_a_case_says_so() {
    let page = Page::new();
    page.show(&runs::page(&runs::empty(&["mine"])), "");
    wait_until_ready(&page);
    assert!(page.text("#matrix").contains("no case"), "{}", page.text("#matrix"));
    assert_eq!(page.heard().complaints, Vec::<String>::new());
}
