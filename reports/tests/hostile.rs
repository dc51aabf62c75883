//! Whatever the texts of a run hold, the outputs have the same structure as with harmless ones: every text of the
//! results is a hostile one here, be it a name, a path, a reason, a version, or a number that should be one.

mod a_run;

use a_run::{a_run, with_texts};
use bn_harness::results::RunResults;
use bn_reports::style::is_hostile;
use bn_reports::terminal::{self, Invocation};
use bn_reports::{github, junit, markdown};
use roxmltree::Document;

/// Each on its own, and all of them at once. None begins a line, as their number is part of the structure.
const HOSTILE: [&str; 24] = [
    "</script><script>alert(1)</script>",
    "javascript:alert(1) [a](javascript:alert(1)) ![b](https://example.org/b.png)",
    "\u{202e}\u{2066}\u{2069}\u{200b}\u{200d}\u{2060}\u{feff}\u{e0041}\u{180e}\u{ad}\u{fffb}",
    "\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}[31m\u{9b}2J\u{8}",
    "\r\u{b}\u{c}\u{85}\u{2028}\u{2029}\0",
    "` `` ``` ```` ~~~ ~~~~",
    "```````````````````````````````````````````````````````````````````````````````````````````",
    "| a | b \\| c \\\\| d |",
    "::error file=a,line=1::b",
    "\r::stop-commands::c",
    " ##[add-matcher]d ##[error]e ##vso[task.complete result=Failed]f ##teamcity[g]",
    "%0A::error::h %25 %0D,i:j",
    "@everyone @someone #1 owner/name#2 GH-3 a@example.org www.example.org https://example.org :tada:",
    "<a href=\"https://example.org\" onclick='x'>k</a> <img src=x onerror=y> <!-- l --> <details> </details>",
    "</code></pre></summary></details></td></table>",
    "&lt;b&gt; &#60;i&#62; &amp; &#0; &unknown;",
    "]]> <![CDATA[ <?xml?> <!DOCTYPE a [<!ENTITY b \"c\">]> &b;",
    "\\ \\` \\\\` \\",
    "'; rm -rf / #' $(reboot) `reboot` \"$HOME\" \\'",
    "# ## - * + 1. > --- === *m* **n** _o_ ~~p~~ [^q] [ ] $r$ $`s`$",
    "   ",
    "\t\t",
    "{{ t }} ${{ u }} {% v %}",
    "\u{fdd0}\u{ffff}\u{10ffff}\u{e000}",
];

/// The run with each text followed, preceded and replaced in its middle by such a one.
fn hostile_runs() -> Vec<(String, RunResults)> {
    let all = HOSTILE.concat();
    let mut runs = Vec::new();
    for hostile in HOSTILE.into_iter().chain([all.as_str()]) {
        runs.push((format!("ending in {hostile:?}"), with_texts(|text| format!("{text}{hostile}"))));
        runs.push((format!("beginning with {hostile:?}"), with_texts(|text| format!("{hostile}{text}"))));
        let within = |text: &str| {
            let half = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(place, _)| place);
            format!("{}{hostile}{}", &text[..half], &text[half..])
        };
        runs.push((format!("holding {hostile:?}"), with_texts(within)));
    }
    let long = |text: &str| format!("{text}{}", "long ".repeat(200_000));
    runs.push(("of a megabyte".to_owned(), with_texts(long)));
    let long = |text: &str| format!("{text}{}", "\u{202e}`|<@".repeat(100_000));
    runs.push(("of a hostile megabyte".to_owned(), with_texts(long)));
    runs
}

#[track_caller]
fn assert_harmless(why: &str, text: &str) {
    let found = text.chars().find(|c| is_hostile(*c) && !matches!(c, '\n' | '\t'));
    assert_eq!(found, None, "{why}: {text:?}");
}

/// The commands that GitHub's runner takes from a log: `::name …::` where a line begins, `##[name …]` anywhere.
fn commands(log: &str) -> Vec<&str> {
    let named = |info: &str| {
        info.split(' ')
            .next()
            .is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
    };
    let in_line = |line| {
        let line: &str = line;
        let second = line.trim_start().strip_prefix("::").and_then(|rest| rest.split_once("::"));
        let first = line.split_once("##[").and_then(|(_, rest)| rest.split_once(']'));
        let found = second.or(first).filter(|(info, _)| named(info));
        found.map(|_| line)
    };
    log.split(['\n', '\r']).filter_map(in_line).collect()
}

#[test]
fn the_terminal_shows_the_same_lines() {
    let shown = |run: &RunResults| terminal::run(run, &Invocation::of(run));
    let usual = shown(&a_run());
    for (why, run) in hostile_runs() {
        let text = shown(&run);
        let escapes = |text: &str| text.matches('\u{1b}').count();
        assert_eq!(escapes(&text), escapes(&usual), "only our own colours, {why}: {text:?}");
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain.lines().count(), usual.lines().count(), "{why}: {plain}");
        assert_harmless(&why, &plain);
        assert_eq!(commands(&plain), [""; 0], "{why}");
        assert!(plain.lines().all(|line| line.len() < 20_000), "{why}");
    }
}

#[test]
fn junit_has_the_same_elements() {
    let structure = |document: &Document| -> Vec<String> {
        let elements = document.descendants().filter(|node| !node.is_text());
        elements
            .map(|node| {
                let names: Vec<&str> = node.attributes().map(|attribute| attribute.name()).collect();
                format!("{:?} {} {names:?}", node.node_type(), node.tag_name().name())
            })
            .collect()
    };
    let usual = junit::to_string(&a_run()).expect("XML");
    let usual = structure(&Document::parse(&usual).expect("XML"));
    for (why, run) in hostile_runs() {
        let xml = junit::to_string(&run).expect("XML");
        assert_harmless(&why, &xml);
        assert!(xml.len() < 1_000_000, "{why}: {} bytes", xml.len());
        let document = Document::parse(&xml).unwrap_or_else(|error| panic!("{why}: {error}"));
        assert_eq!(structure(&document), usual, "{why}");
        for node in document.descendants() {
            assert_harmless(&why, node.text().unwrap_or_default());
            node.attributes().for_each(|attribute| assert_harmless(&why, attribute.value()));
        }
    }
}

/// What the runner reads of an annotation: its properties, and its message.
fn annotation(line: &str) -> (Vec<(String, String)>, String) {
    let unescaped = |text: &str| {
        let text = text.replace("%0D", "\r").replace("%0A", "\n").replace("%3A", ":").replace("%2C", ",");
        text.replace("%25", "%")
    };
    let (info, message) =
        line.strip_prefix("::error ").and_then(|rest| rest.split_once("::")).expect("an error");
    let properties = info.split(',').map(|property| {
        let (name, value) = property.split_once('=').expect("a property");
        (name.to_owned(), unescaped(value))
    });
    (properties.collect(), unescaped(message))
}

#[test]
fn github_reads_the_same_annotations() {
    let usual = github::run(&a_run());
    let names = |text: &str| -> Vec<Vec<String>> {
        let annotations = commands(text).into_iter().map(annotation);
        annotations.map(|(properties, _)| properties.into_iter().map(|(name, _)| name).collect()).collect()
    };
    assert_eq!(names(&usual).len(), 10);
    for (why, run) in hostile_runs() {
        let text = github::run(&run);
        assert_eq!(text.lines().count(), usual.lines().count(), "{why}: {text}");
        assert_eq!(names(&text), names(&usual), "{why}: {text}");
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_harmless(&why, &plain);
        assert!(plain.lines().all(|line| line.len() < 60_000), "{why}");
        for line in commands(&plain) {
            let (properties, message) = annotation(line);
            assert_harmless(&why, &message);
            assert_eq!(commands(&message), [""; 0], "{why}");
            for (name, value) in properties {
                assert_harmless(&why, &value);
                assert!(name != "line" || value.parse::<usize>().is_ok(), "{why}: {value}");
            }
        }
    }
}

/// Markdown as GitHub renders it, and what is left of that without what stands within `<code>`.
fn rendered(markdown: &str) -> (String, String) {
    let mut options = comrak::Options::default();
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.extension.footnotes = true;
    options.extension.alerts = true;
    options.extension.math_dollars = true;
    options.render.r#unsafe = true;
    let html = comrak::markdown_to_html(markdown, &options);
    let mut rest = html.as_str();
    let mut outside = String::new();
    while let Some((before, within)) = rest.split_once("<code") {
        let (attributes, within) = within.split_once('>').expect("a tag");
        let (code, after) = within.split_once("</code>").expect("code ends");
        assert!(!code.contains('<'), "{code}");
        let lines = "line\n".repeat(code.lines().count().max(1));
        outside.extend([before, "<code", attributes, ">", &lines]);
        rest = after;
    }
    outside += rest;
    (html, outside)
}

#[test]
fn markdown_renders_to_the_same_page() {
    let usual = rendered(&markdown::summary(&a_run())).1;
    for part in ["<table>", "<details>", "<li>", "<h2>"] {
        assert!(usual.contains(part), "no {part} in {usual}");
    }
    for (why, run) in hostile_runs() {
        let text = markdown::summary(&run);
        assert_harmless(&why, &text);
        assert_eq!(commands(&text), [""; 0], "{why}");
        assert!(text.len() < 500_000, "{why}: {} bytes", text.len());
        let (html, outside) = rendered(&text);
        assert_harmless(&why, &html);
        assert_eq!(outside, usual, "{why}: {text}");
    }
}

#[test]
fn long_names_stay_apart() {
    // A megabyte each, and they differ by one letter in its middle.
    let half = "long ".repeat(100_000);
    let mut run = a_run();
    for (number, id) in ["pitfalls/momentum/batches[momentum=0.1]", "pitfalls/momentum/batches[momentum=0.3]"]
        .iter()
        .enumerate()
    {
        let long = format!("{half}{number}{half}");
        run.cases.iter_mut().filter(|case| case.id == *id).for_each(|case| case.id.clone_from(&long));
        run.results
            .iter_mut()
            .filter(|result| result.case == *id)
            .for_each(|result| result.case.clone_from(&long));
    }
    let xml = junit::to_string(&run).expect("XML");
    let document = Document::parse(&xml).expect("XML");
    let suite =
        document.descendants().find(|node| node.attribute("name") == Some("candle")).expect("the suite");
    let names: Vec<_> = suite.children().filter_map(|test| test.attribute("name")).collect();
    assert_eq!(names.len(), 7);
    assert_ne!(names[0], names[1]);
    for name in &names[..2] {
        assert!(name.contains(" characters left out, hash "), "{name}");
    }
    let text = terminal::run(&run, &Invocation::of(&run));
    for name in &names[..2] {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn what_is_shown_can_be_typed() {
    let invocation =
        Invocation { program: "bncheck".to_owned(), suites: Vec::new(), ..Invocation::default() };
    assert_eq!(
        invocation.replay("a\u{1b}[2J\nb=1*", Some("candle")),
        "bncheck run 'a?[2J?b?1*' --backend candle",
        "an id that cannot be typed has a pattern that takes it"
    );
    let long = format!("begin{}end", "-".repeat(500));
    assert_eq!(
        invocation.replay(&long, None),
        format!("bncheck run 'begin{}*{}end'", "-".repeat(95), "-".repeat(97))
    );
}
