//! A case: its link, what stands on its page, the magnifier by mouse, and the copied line.

use bn_browser::{Page, runs};
use bn_harness::results::{CaseResult, TensorResult};

use super::{at, drawn, link, matrix};

/// Waits until the page of a case is there with its answer.
pub fn wait_for_case(page: &Page, case: &str) {
    page.wait_for("the case is shown", &format!("document.querySelector('section#case')?.dataset.case === '{case}' && document.querySelector('section#case code.replay')"));
}

fn result(case: &str, backend: &str) -> CaseResult {
    let run = runs::real();
    let result = run.results.iter().find(|result| result.case == case && result.backend == backend);
    result.expect("the run has it").clone()
}

/// The first tensor of a result that is drawn with several samples and channels.
pub fn drawn_tensor(result: &CaseResult) -> (usize, TensorResult) {
    let tensors =
        result.steps.iter().flat_map(|step| step.tensors.iter().map(|tensor| (step.step, tensor.clone())));
    let is_drawn = |tensor: &TensorResult| {
        tensor.picture.as_ref().is_some_and(|picture| picture.heat.rows > 1 && picture.heat.columns > 1)
    };
    tensors.into_iter().find(|(_, tensor)| is_drawn(tensor)).expect("it has one")
}

#[test]
fn a_click_opens_a_case_and_its_link_is_stable() {
    let page = matrix();
    let row = "#matrix [role=row][data-case]";
    let case: String = page.get(&format!("document.querySelector('{row}').dataset.case"));
    page.click(&format!("{row} [role=gridcell][data-verdict=fail]"));
    wait_for_case(&page, &case);
    let address: String = page.get("location.hash");
    assert!(address.starts_with(&link(&case)), "{address}");

    let opened = at(&address);
    wait_for_case(&opened, &case);
    let text = |page: &Page| page.text("section#case");
    assert_eq!(text(&opened), text(&page));
    assert!(!opened.get::<bool>("document.querySelector('#matrix')?.checkVisibility() ?? false"));

    opened.go_to("#/");
    opened.wait_for("all cases are shown again", "document.querySelector('#matrix').checkVisibility()");
}

#[test]
fn a_link_to_a_case_that_is_not_there_says_so() {
    let page = at("#/case/no%2Fsuch%5Bcase%5D");
    page.wait_for("it says so", "document.querySelector('section#case').innerText.includes('no such case')");
    assert!(page.text("section#case").contains("no/such[case]"));
}

#[test]
fn the_page_of_a_case_has_what_is_known_of_it() {
    let (case, backend) = drawn();
    let run = runs::real();
    let info = run.cases.iter().find(|info| info.id == case).expect("the case");
    let result = result(&case, &backend);
    let page = at(&format!("{}/{backend}", link(&case)));
    wait_for_case(&page, &case);
    let text = page.text("section#case");
    assert!(text.contains(&format!("{}:{}", info.file, info.line)), "where it is written: {text}");
    assert!(text.contains("steps:"), "its YAML: {text}");
    let suite = run.suites.iter().find(|suite| suite.name == info.suite).expect("its suite");
    let story = suite.story.as_ref().expect("pitfalls tell a story");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&text).contains(&words(&story.right)), "the story: {text}");
    for suspicion in result.diagnosis.iter().take(1) {
        assert!(words(&text).contains(&words(&suspicion.mistakes[0].about)), "the diagnosis: {text}");
    }

    let steps: Vec<String> = page.get("[...document.querySelectorAll('section#case ol.steps > li[data-step]')].map((step) => step.dataset.step)");
    assert_eq!(steps, result.steps.iter().map(|step| step.step.to_string()).collect::<Vec<_>>());
    for step in &result.steps {
        for tensor in &step.tensors {
            let tensor_of =
                format!("section#case li[data-step=\"{}\"] [data-tensor=\"{}\"]", step.step, tensor.tensor);
            assert_eq!(
                page.get::<String>(&format!("document.querySelector('{tensor_of}')?.dataset.verdict")),
                tensor.verdict.name(),
                "{tensor_of}"
            );
        }
    }
}

#[test]
fn a_tensor_that_differs_is_drawn() {
    let (case, backend) = drawn();
    let page = at(&format!("{}/{backend}", link(&case)));
    wait_for_case(&page, &case);
    let (_, tensor) = drawn_tensor(&result(&case, &backend));
    let picture = tensor.picture.expect("it is drawn");
    for part in
        ["figure.heatmap", ".magnifier", "figure.ulps", "figure.magnitudes", ".classes", "table.worst"]
    {
        page.wait_until_there(&format!("section#case {part}"));
    }
    let worst = page.text("section#case table.worst");
    let first = &picture.worst[0];
    for part in [&first.expected.decimal, &first.got.decimal, &first.expected.bits, &first.got.bits] {
        assert!(worst.contains(part.as_str()), "{part}: {worst}");
    }
    assert!(worst.contains("0x1.") || worst.contains("0x0"), "hexadecimal floats: {worst}");
    assert_eq!(
        page.count("section#case figure.heatmap [data-cell]") % (picture.heat.rows * picture.heat.columns),
        0
    );
}

#[test]
fn under_the_mouse_the_magnifier_shows_both_values() {
    let (case, backend) = drawn();
    let (_, tensor) = drawn_tensor(&result(&case, &backend));
    let heat = &tensor.picture.as_ref().expect("it is drawn").heat;
    let page = at(&format!("{}/{backend}", link(&case)));
    wait_for_case(&page, &case);
    // The heatmap of the tensor that was picked: the first with as many cells.
    let cells = heat.rows * heat.columns;
    page.run(&format!(
        "[...document.querySelectorAll('section#case figure.heatmap')].find((figure) => figure.querySelectorAll('[data-cell]').length === {cells}).id = 'picked'"
    ));
    for cell in [0, cells / 2, cells - 1] {
        let (x, y) = page.point_of(&format!("#picked [data-cell=\"{cell}\"]"), 0.5, 0.5);
        page.move_mouse(x, y);
        let (expected, got) = (&heat.expected[cell], &heat.got[cell]);
        page.wait_for(
            &format!("the magnifier shows {expected} and {got}"),
            &format!("((text) => text.includes('{expected}') && text.includes('{got}'))(document.querySelector('#picked .magnifier').innerText)"),
        );
    }
}

#[test]
fn the_line_that_is_copied_replays_the_case() {
    let (case, backend) = drawn();
    let page = at(&format!("{}/{backend}", link(&case)));
    wait_for_case(&page, &case);
    let line = page.text("section#case code.replay");
    assert!(line.contains(&format!("replay '{case}'")) && line.contains(&backend), "{line}");
    page.click("section#case button.copy");
    page.wait_for("it says so", "/copied/i.test(document.body.innerText) || /copied/i.test(document.querySelector('#status').textContent)");
    // What is pasted is what was copied.
    page.go_to("#/");
    page.wait_for("all cases are shown", "document.querySelector('#filter').checkVisibility()");
    page.click("#filter");
    page.press("Control+a");
    page.press("Control+v");
    page.wait_for("something is pasted", "document.querySelector('#filter').value !== ''");
    assert_eq!(page.get::<String>("document.querySelector('#filter').value"), line);
}

#[test]
fn each_backends_answer_has_a_tab_and_an_address() {
    let (case, backend) = drawn();
    let page = at(&link(&case));
    wait_for_case(&page, &case);
    for column in &runs::real().run.backends {
        page.click(&format!("section#case [role=tab][data-backend=\"{}\"]", column.name));
        page.wait_for("its answer is shown", &format!(
            "document.querySelector('section#case [role=tab][aria-selected=true]').dataset.backend === '{}' && location.hash === '{}/{}'",
            column.name, link(&case), column.name
        ));
    }
    page.go_to(&format!("{}/{backend}", link(&case)));
    page.wait_until_there(&format!(
        "section#case [role=tab][aria-selected=true][data-backend=\"{backend}\"]"
    ));
}
