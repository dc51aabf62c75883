//! Texts that try to be more than text are shown as text, on every page.

use bn_browser::{Page, runs};
use bn_harness::results::RunResults;

use super::wait_until_ready;

/// How many elements of each name a place has, and its text.
type Seen = (Vec<(String, usize)>, String);

/// Opens every kind of place of a run and says, of each, how many elements of which kind it has, and its text.
fn everything(run: &RunResults) -> (Page, Vec<Seen>) {
    let page = Page::new();
    page.show(&runs::page(run), "");
    wait_until_ready(&page);
    let mut seen = Vec::new();
    let mut places: Vec<String> = ["#/", "#/overview", "#/changes", "#/how"].map(str::to_owned).to_vec();
    let failing: Vec<_> = run.unexpected().map(|result| result.case.as_str()).take(3).collect();
    for case in failing.into_iter().chain([run.cases[run.cases.len() - 1].id.as_str()]) {
        let place: usize = run.cases.iter().position(|info| info.id == case).expect("a case of the run");
        // The page's own links: what is shown of an id may be less than the id.
        places.push(format!("case {place}"));
    }
    for place in places {
        if let Some(number) = place.strip_prefix("case ") {
            page.go_to("#/");
            page.wait_for("the matrix is shown", "document.querySelector('#matrix').checkVisibility()");
            // As everywhere: the row's link.
            page.run(&format!("(document.querySelectorAll('#matrix [role=row][data-case] a')[{number}] ?? document.querySelector('#matrix [role=row][data-case] a')).click()"));
            page.wait_until_there("section#case[data-case] code.replay");
        } else {
            page.go_to(&place);
        }
        page.wait_for(
            "the place is shown",
            "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true), 200)))",
        );
        seen.push(page.get(
            "(() => {
                document.querySelectorAll('details').forEach((details) => { details.open = true; });
                const counts = new Map();
                for (const element of document.querySelectorAll('*')) counts.set(element.localName, (counts.get(element.localName) ?? 0) + 1);
                return [[...counts].sort(), document.documentElement.textContent + [...document.querySelectorAll('[title], [aria-label]')].map((element) => element.title + element.ariaLabel).join(' ')];
            })()",
        ));
    }
    (page, seen)
}

#[test]
fn hostile_names_make_no_element_and_run_nothing() {
    let (page, hostile) = everything(&runs::hostile());
    let (_, harmless) = everything(&runs::harmless());
    assert_eq!(hostile.len(), harmless.len());
    for (place, ((one, text), (other, _))) in hostile.iter().zip(&harmless).enumerate() {
        assert_eq!(one, other, "place {place} has the elements it has with harmless texts");
        let unseen: Vec<char> = runs::UNSEEN.into_iter().filter(|unseen| text.contains(*unseen)).collect();
        assert!(unseen.is_empty(), "place {place} holds {unseen:?}");
    }
    assert!(hostile[0].1.contains("<script>window.pwned=1</script>"), "the texts are there as text");
    assert!(!page.get::<bool>("'pwned' in window"));
    assert!(!page.get::<bool>("'polluted' in Object.prototype"));
    let heard = page.heard();
    assert_eq!(heard.dialogs, Vec::<String>::new());
    assert_eq!(heard.complaints, Vec::<String>::new());
    assert_eq!(page.violations(), Vec::<String>::new());
    assert!(
        heard.requests.iter().all(|url| url.starts_with("file:") || url.starts_with("data:")),
        "{:?}",
        heard.requests
    );
    let links: Vec<String> = page.get("[...document.querySelectorAll('a[href]')].map((link) => link.href)");
    assert!(
        links.iter().all(|link| ["file:", "https:", "http:"].iter().any(|scheme| link.starts_with(scheme))),
        "{links:?}"
    );
}

#[test]
fn a_filter_in_the_address_is_text_as_well() {
    let page = Page::new();
    page.show(&runs::page(&runs::real()), "#/?filter=%22%3E%3Cimg%20src%3Dx%20onerror%3Dwindow.pwned%3D1%3E");
    wait_until_ready(&page);
    page.go_to("#/case/%3Cimg%20src%3Dx%20onerror%3Dwindow.pwned%3D1%3E");
    page.wait_for(
        "it says that there is none",
        "document.querySelector('section#case').innerText.includes('onerror')",
    );
    page.go_to("#/case/%");
    page.go_to("#/__proto__");
    page.go_to("#/?filter=%E0%A4%A");
    page.wait_for("the matrix is shown", "document.querySelector('#matrix').checkVisibility()");
    assert!(!page.get::<bool>("'pwned' in window"));
    assert_eq!(page.heard().complaints, Vec::<String>::new());
    assert_eq!(page.count("img"), 0);
}

#[test]
fn a_name_of_a_megabyte_leaves_the_page_usable() {
    let mut run = runs::real();
    let long = format!("{}/{}", run.cases[0].suite, "long-".repeat(200_000));
    for result in &mut run.results {
        if result.case == run.cases[0].id {
            result.case.clone_from(&long);
            result.reason = Some("reason ".repeat(150_000));
        }
    }
    run.cases[0].id = long;
    let page = Page::new();
    page.show(&runs::page(&run), "");
    wait_until_ready(&page);
    assert!(page.get::<usize>("document.body.innerText.length") < 300_000, "it is cut where it is shown");
    assert!(
        page.get::<bool>("document.documentElement.scrollWidth <= document.documentElement.clientWidth"),
        "it does not widen the page"
    );
    page.click("#filter");
    page.type_text("verdict=fail");
    page.wait_for(
        "the filter has taken its cases",
        "!/^(\\d+) of \\1 /.test(document.querySelector('#shown').innerText)",
    );
    assert_eq!(page.heard().complaints, Vec::<String>::new());
}
