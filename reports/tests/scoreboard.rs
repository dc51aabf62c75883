//! Who conforms on what: a table of suites and backends, and what is known of each backend.

mod a_run;

use a_run::{a_run, with_texts};
use bn_harness::results::RunResults;
use bn_reports::scoreboard;
use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};
use serde_json::{Value, json};

/// A verdict, and its reason.
type Answer<'a> = (&'a str, Option<&'a str>);

/// A run of one suite; each backend has its verdicts, in the order of the cases, with the reasons.
fn run(backends: &[(&str, &[Answer<'_>])]) -> RunResults {
    let cases = backends[0].1.len();
    let id = |case: usize| format!("suite/case-{case}");
    let columns: Vec<Value> = backends
        .iter()
        .map(|(name, _)| json!({"name": name, "version": format!("{name} 1.2"), "about": "one of them"}))
        .collect();
    let results = (0..cases).flat_map(|case| {
        backends.iter().map(move |(name, verdicts)| {
            let (verdict, reason) = verdicts[case];
            json!({"case": id(case), "backend": name, "verdict": verdict, "reason": reason, "budget_used": null, "micros": 1})
        })
    });
    let results: Vec<Value> = results.collect();
    let of_case =
        |case| json!({"id": id(case), "suite": "suite", "file": "suite.yaml", "line": 1, "kappa": null});
    serde_json::from_value(json!({
        "schema_version": 1,
        "run": {
            "bncheck": "0.1.0", "oracle": "libtorch 2.11.0 in float64", "backends": columns,
            "machine": {"os": "linux", "arch": "x86_64", "cpu": null, "threads": 2},
            "jobs": 2, "seed": null, "flags": ["run"], "started_unix_ms": 1_790_000_000_000_u64, "duration_ms": 5
        },
        "cases": (0..cases).map(of_case).collect::<Vec<_>>(), "results": results, "deviation_errors": []
    }))
    .expect("a run")
}

const BIASED: &str = "biased: it divides by n (https://example.org/a)";

#[test]
fn a_run_with_a_result_of_every_kind() {
    insta::assert_snapshot!(scoreboard::markdown(&a_run()));
}

#[test]
fn known_unsupported_and_wrong_stand_apart_from_what_agrees() {
    let text = scoreboard::markdown(&run(&[(
        "mine",
        &[
            ("pass", None),
            ("pass", None),
            ("known", Some(BIASED)),
            ("unsupported", Some("there is no cast")),
            ("fail", None),
            ("crash", Some("signal 11")),
        ],
    )]));
    assert!(text.contains("| `suite` | 2/5 · 1 known · 2 **wrong** · 1 n/a |"), "{text}");
    assert!(text.contains("| all | 2/5 · 1 known · 2 **wrong** · 1 n/a |"), "{text}");
    assert!(text.contains("- `there is no cast`: 1 case"), "{text}");
    assert!(!text.contains("As PyTorch in all"), "{text}");
}

#[test]
fn a_deviation_is_said_once_with_how_many_cases_need_it() {
    let both = format!("{BIASED}\nother: it stops (it never starts) early (the manual)");
    let text = scoreboard::markdown(&run(&[(
        "mine",
        &[("known", Some(BIASED)), ("known", Some(&both)), ("pass", None)],
    )]));
    assert!(
        text.contains("- `biased`, 2 cases: it divides by n ([source](<https://example.org/a>))"),
        "{text}"
    );
    assert!(text.contains("- `other`, 1 case: it stops (it never starts) early (`the manual`)"), "{text}");
    assert_eq!(text.matches("it divides by n").count(), 1, "{text}");
}

#[test]
fn who_is_not_there_has_no_column_but_a_line_with_the_reason() {
    let absent = Some("keras is not installed: pip install keras");
    let text = scoreboard::markdown(&run(&[
        ("mine", &[("pass", None), ("pass", None)]),
        ("keras", &[("unsupported", absent), ("unsupported", absent)]),
    ]));
    assert!(text.contains("| suite | `mine`<br>`mine 1.2` |\n"), "{text}");
    assert!(text.contains("- `keras`: `keras is not installed: pip install keras`"), "{text}");
    assert!(!text.contains("## `keras`"), "{text}");
    assert!(text.contains("As PyTorch in all that was judged."), "{text}");
}

#[test]
fn a_suite_of_which_nothing_can_be_asked_has_a_dash() {
    let mut results = run(&[("mine", &[("pass", None), ("unsupported", Some("no"))])]);
    results.cases[1].suite = "other".to_owned();
    let text = scoreboard::markdown(&results);
    assert!(text.contains("| `suite` | 1/1 |\n| `other` | – |\n"), "{text}");
}

#[test]
fn what_cannot_be_seen_of_a_passing_answer_is_said() {
    let mut results = run(&[("mine", &[("pass", None)])]);
    let step = json!([{"step": 1, "action": "backward", "tensors": [
        {"tensor": "grad_input", "verdict": "unsupported", "budget_used": null, "total": 0, "note": "there are no gradients"}
    ]}]);
    results.results[0].steps = serde_json::from_value(step).expect("a step");
    let text = scoreboard::markdown(&results);
    assert!(text.contains("Not compared:\n\n- `grad_input`: `there are no gradients`"), "{text}");
}

#[test]
fn texts_from_elsewhere_are_no_markup() {
    let hostile = |text: &str| {
        format!("{text}|<img src=x onerror=alert(1)>\n# heading [link](javascript:x) `code` *x* \u{1b}[31m")
    };
    let text = scoreboard::markdown(&with_texts(hostile));
    let options = {
        let mut options = Options::default();
        options.extension.table = true;
        options
    };
    let arena = Arena::new();
    let root = parse_document(&arena, &text, &options);
    let mut rows = Vec::new();
    for node in root.descendants() {
        match &node.data.borrow().value {
            NodeValue::HtmlInline(html) => assert_eq!(html, "<br>"),
            NodeValue::HtmlBlock(html) => panic!("{}", html.literal),
            NodeValue::Heading(heading) => assert_eq!(heading.level, 2),
            NodeValue::Link(link) => assert!(link.url.starts_with("https://"), "{}", link.url),
            NodeValue::TableRow(_) => rows.push(node.children().count()),
            _ => {}
        }
    }
    assert!(!rows.is_empty() && rows.iter().all(|cells| *cells == rows[0]), "{rows:?}");
    assert!(!text.contains('\u{1b}'));
}
