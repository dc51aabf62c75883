//! What the page asks for and says: nothing.

use bn_browser::{Page, runs};

use super::{at, drawn, link, wait_until_ready};

/// Goes through all pages and back.
fn see_everything(page: &Page) {
    let (case, backend) = drawn();
    for place in [
        "#/overview",
        "#/changes",
        "#/how",
        &format!("{}/{backend}", link(&case)),
        "#/?filter=dtype%3Df16",
        "#/",
    ] {
        page.go_to(place);
        page.wait_for(
            "the place is shown",
            "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true), 100)))",
        );
    }
}

#[test]
fn the_page_asks_for_nothing_and_has_nothing_to_complain_of() {
    let page = at("");
    see_everything(&page);
    let heard = page.heard();
    let others: Vec<_> =
        heard.requests.iter().filter(|url| !url.starts_with("file:") && !url.starts_with("data:")).collect();
    assert!(others.is_empty(), "asked for {others:?}");
    let files = heard.requests.iter().filter(|url| url.starts_with("file:")).count();
    assert_eq!(files, 1, "the page itself, and no other file: {:?}", heard.requests);
    assert_eq!(heard.complaints, Vec::<String>::new());
    assert_eq!(page.violations(), Vec::<String>::new());
    assert_eq!(
        page.get::<Vec<String>>("performance.getEntriesByType('resource').map((entry) => entry.name)"),
        Vec::<String>::new()
    );
}

#[test]
fn what_the_page_must_not_do_would_be_heard() {
    // The same page with what its policy forbids, and with what would be noticed without a policy.
    let html = runs::page(&runs::real());
    let page = Page::new();
    page.show(&html.replace("</main>", "<p style='color: red'>a</p><img src='http://127.0.0.1:9/b.png'></main><script>window.pwned = 1</script>"), "");
    wait_until_ready(&page);
    page.wait_for("what was stopped is known", "window.bncheckViolations.length >= 3");
    let violations = page.violations().join("\n");
    for directive in ["style-src", "img-src", "script-src"] {
        assert!(violations.contains(directive), "{violations}");
    }
    assert!(!page.heard().complaints.is_empty());
    assert!(!page.get::<bool>("'pwned' in window"), "the policy stops scripts that are not the page's own");

    let page = Page::new();
    page.show("<!doctype html><img src='http://127.0.0.1:9/b.png'>", "");
    page.run("setTimeout(() => { console.log('said'); setTimeout(() => { throw new Error('thrown'); }); alert('asked'); })");
    page.close_dialog();
    page.wait_for("the script is done", "new Promise((done) => setTimeout(() => done(true), 100))");
    let heard = page.heard();
    assert!(heard.requests.iter().any(|url| url.ends_with("b.png")), "{heard:?}");
    let complaints = heard.complaints.join("\n");
    assert!(complaints.contains("said") && complaints.contains("thrown"), "{heard:?}");
    assert_eq!(heard.dialogs, ["asked"]);
}

#[test]
fn the_policy_allows_nothing_but_the_pages_own_script_and_style() {
    let page = at("");
    let policy: String =
        page.get("document.querySelector('meta[http-equiv=\"Content-Security-Policy\"]').content");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
    assert_eq!(policy.matches("sha256-").count(), 2, "{policy}");
}

#[test]
fn without_scripts_the_summary_is_there_and_says_that_it_is_all() {
    let page = Page::new();
    page.switch_scripts_off();
    let run = runs::real();
    page.show(&runs::page(&run), "");
    let text = page.text("body");
    for backend in &run.run.backends {
        assert!(text.contains(&backend.name) && text.contains(&backend.version), "{text}");
        let fails = run.of_backend(&backend.name).filter(|result| result.verdict.name() == "fail").count();
        let row: String = page.get(&format!(
            "[...document.querySelectorAll('table.summary tbody tr')].find((row) => row.querySelector('th').innerText === '{}').innerText",
            backend.name
        ));
        assert!(row.split_whitespace().any(|word| word == fails.to_string()), "{fails} failures: {row}");
    }
    assert!(text.contains("Scripts are off"), "{text}");
    let first = run.unexpected().next().expect("a failure");
    assert!(text.contains(&first.case), "what is wrong first is listed: {text}");
    let dead = page.get::<Vec<String>>(
        "[...document.querySelectorAll('button, nav a, input')].filter((control) => control.checkVisibility()).map((control) => control.outerHTML)",
    );
    assert!(dead.is_empty(), "what needs a script is not shown: {dead:?}");
}
