//! What a CI system reads as `JUnit`'s XML: parsed back by a parser that the writer does not use.

mod a_run;

use a_run::{a_run, failing, with_texts};
use bn_harness::results::{RunResults, Verdict};
use bn_reports::junit;
use roxmltree::{Document, Node};

fn written(results: &RunResults) -> String {
    junit::to_string(results).expect("XML")
}

fn elements<'a>(document: &'a Document, name: &'a str) -> Vec<Node<'a, 'a>> {
    document.descendants().filter(|node| node.has_tag_name(name)).collect()
}

/// Tests that are neither passed nor skipped.
fn failures(xml: &str) -> usize {
    let document = Document::parse(xml).expect("XML");
    elements(&document, "failure").len() + elements(&document, "error").len()
}

#[test]
fn a_run_with_a_result_of_every_kind() {
    insta::assert_snapshot!(written(&a_run()));
}

#[test]
fn every_backend_is_a_suite_and_every_case_a_test() {
    let run = a_run();
    let xml = written(&run);
    let document = Document::parse(&xml).expect("XML");
    let suites = elements(&document, "testsuite");
    let names: Vec<_> = suites.iter().filter_map(|suite| suite.attribute("name")).collect();
    assert_eq!(names, ["reference", "candle", "mine", "bncheck"]);
    for suite in &suites[..3] {
        let tests = suite.children().filter(|child| child.has_tag_name("testcase"));
        let ids: Vec<_> = tests.filter_map(|test| test.attribute("name")).collect();
        assert_eq!(ids, run.cases.iter().map(|case| case.id.as_str()).collect::<Vec<_>>());
    }
}

/// The elements and attributes that Jenkins' xUnit plugin takes (`junit-10.xsd`), and the count of skipped tests of the
/// whole, which other readers take.
#[test]
fn it_has_the_shape_of_jenkins_schema() {
    let xml = written(&a_run());
    let document = Document::parse(&xml).expect("XML");
    for node in document.descendants().filter(Node::is_element) {
        let (parents, required, optional): (&[&str], &[&str], &[&str]) = match node.tag_name().name() {
            "testsuites" => (&[""], &[], &["name", "time", "tests", "failures", "errors", "skipped"]),
            "testsuite" => {
                (&["testsuites"], &["name", "tests", "failures", "errors"], &["time", "skipped", "timestamp"])
            }
            "properties" => (&["testsuite"], &[], &[]),
            "property" => (&["properties"], &["name", "value"], &[]),
            "testcase" => (&["testsuite"], &["name"], &["time", "classname"]),
            "failure" | "error" | "skipped" => (&["testcase"], &[], &["type", "message"]),
            other => panic!("<{other}>"),
        };
        let parent = node.parent_element().map_or("", |parent| parent.tag_name().name());
        assert!(parents.contains(&parent), "{node:?} in <{parent}>");
        for name in required {
            assert!(node.has_attribute(*name), "{node:?} has no {name}");
        }
        for attribute in node.attributes() {
            let name = attribute.name();
            assert!(required.contains(&name) || optional.contains(&name), "{node:?} has {name}");
            if name == "time" {
                let digits = attribute.value().replace('.', "");
                assert!(!digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()), "{node:?}");
            }
        }
    }
    // The counts are those of what is there.
    for suite in elements(&document, "testsuite") {
        for (attribute, element) in
            [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]
        {
            let count = suite.descendants().filter(|node| node.has_tag_name(element)).count();
            assert_eq!(
                suite.attribute(attribute),
                Some(count.to_string().as_str()),
                "{attribute} of {suite:?}"
            );
        }
    }
}

#[test]
fn something_fails_wherever_the_run_is_not_as_expected() {
    let passing = || {
        let mut run = a_run();
        run.deviation_errors.clear();
        run.results.retain(|result| result.verdict.is_expected());
        run
    };
    assert!(passing().as_expected());
    assert_eq!(failures(&written(&passing())), 0);
    let assert_fails = |why: &str, run: &RunResults| {
        assert!(!run.as_expected(), "{why}");
        assert_eq!(failures(&written(run)), 1, "{why}");
    };
    for verdict in Verdict::ALL.into_iter().filter(|verdict| !verdict.is_expected()) {
        let mut run = passing();
        run.results[0].verdict = verdict;
        assert_fails(verdict.name(), &run);
    }
    let mut run = passing();
    run.deviation_errors.push("candle: no case needs `old`".to_owned());
    assert_fails("a wrong deviation", &run);
    let mut run = passing();
    run.run.incomplete = Some("the file ends in the middle".to_owned());
    assert_fails("not all of it", &run);
    let mut run = passing();
    run.results.clear();
    assert_fails("nothing compared", &run);
    // Nor is a result lost whose backend the run does not list.
    let mut run = passing();
    run.run.backends.clear();
    run.results[0].verdict = Verdict::Fail;
    assert_fails("an unlisted backend", &run);
}

#[test]
fn no_text_makes_it_invalid() {
    for hostile in [
        "\0",
        "\u{1b}[31m",
        "]]>",
        "<![CDATA[",
        "&#0;",
        "\u{fffe}\u{ffff}",
        "--><!--",
        "\"'<>&",
        "\u{7f}\u{85}",
        "\\ud800",
        "\r\n",
    ] {
        let xml = written(&with_texts(|text| format!("{text}{hostile}")));
        let document = Document::parse(&xml).unwrap_or_else(|error| panic!("{hostile:?}: {error}"));
        assert_eq!(elements(&document, "testcase").len(), 22, "{hostile:?}");
    }
    // What can be shown is shown as it is.
    let xml = written(&with_texts(|text| format!("{text} ]]> \"<&'>")));
    let document = Document::parse(&xml).expect("XML");
    assert_eq!(elements(&document, "testsuite")[0].attribute("name"), Some("reference ]]> \"<&'>"));
}

#[test]
fn of_very_many_failures_the_first_are_told_in_full() {
    let run =
        failing(1, 600, |name, number| format!("{name}-{number}"), |number| format!("one\ntwo {number}"));
    let xml = written(&run);
    assert_eq!(xml.matches("\n  two ").count(), 500);
    assert_eq!(xml.matches("\n  replay: ").count() + xml.matches("\nreplay: ").count(), 600);
    assert_eq!(xml.matches("message=\"one\"").count(), 600);
}
