//! Runs of 5,000 and 50,000 cases: what their files weigh, and that all of them can be reached. How fast they are, is measured
//! by `just browser-figures`: a test must not fail because a machine is busy.

use bn_browser::{Page, runs};

use super::wait_until_ready;

/// Opens a page of so many cases, and tries that its last case can be reached and its cases be filtered, with few rows made.
fn try_out(cases: usize, at_most: usize) {
    let run = runs::large(cases);
    let made = bn_reports::html::page(&run);
    println!("{cases} cases x {} backends: {} bytes", run.run.backends.len(), made.html.len());
    assert!(made.html.len() <= at_most, "{} bytes", made.html.len());
    assert_eq!(made.dropped, Vec::<String>::new());

    let page = Page::new();
    page.show(&made.html, "");
    wait_until_ready(&page);
    let rows = || page.count("#matrix [role=row]");
    assert!((5..300).contains(&rows()), "{} rows are made", rows());
    assert!(
        page.text("#shown").replace(',', "").starts_with(&format!("{cases} of {cases} ")),
        "{}",
        page.text("#shown")
    );

    // What fails stands first; what the last backend fails are all expansions of one written case in ten.
    assert_eq!(
        page.get::<String>(
            "document.querySelector('#matrix [data-case] [data-backend=mine]').dataset.verdict"
        ),
        "fail"
    );

    // To the end, by keys.
    page.click("#filter");
    page.press("ArrowDown");
    page.press("Control+End");
    page.press("End");
    let last = run.cases.last().expect("a case");
    page.run("scrollTo(0, document.documentElement.scrollHeight)");
    page.wait_for("the last suite is reached", &format!("[...document.querySelectorAll('#matrix [data-case]')].some((row) => row.dataset.case.startsWith('{}/'))", last.suite));
    assert!(rows() < 300, "{} rows are made", rows());

    page.click("#filter");
    page.type_text("verdict=fail dtype=bf16");
    let failing = |info: &&bn_harness::results::CaseInfo| info.fields["dtype"] == "bf16";
    let fails: std::collections::HashSet<_> = run.unexpected().map(|result| result.case.as_str()).collect();
    let expected = run.cases.iter().filter(failing).filter(|info| fails.contains(info.id.as_str())).count();
    page.wait_for(
        "the filter has taken its cases",
        &format!(
            "document.querySelector('#shown').innerText.replaceAll(',', '').startsWith('{expected} of ')"
        ),
    );

    // And the last case of all, by its link.
    page.go_to(&super::link(&last.id));
    super::case::wait_for_case(&page, &last.id);
    assert_eq!(page.heard().complaints, Vec::<String>::new());
}

#[test]
fn five_thousand_cases_are_at_most_two_megabytes_and_all_reachable() {
    try_out(5_000, 2_000_000);
}

#[test]
fn fifty_thousand_cases_are_at_most_twelve_megabytes_and_all_reachable() {
    try_out(50_000, 12_000_000);
}
