//! The page: what is read without a script, what is packed beside it, how large it is, and that no text of the results is
//! more than text in it.

mod a_run;
#[path = "common/synthetic.rs"]
mod synthetic;

use std::collections::BTreeMap;
use std::io::Read as _;

use a_run::{a_run, with_texts};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bn_harness::results::RunResults;
use bn_reports::html::{LIMIT, page, page_of_at_most};
use bn_reports::style::is_hostile;
use flate2::read::DeflateDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use synthetic::Size;

/// A run of 5,000 cases and five backends, as most are.
const LARGE: Size = Size { cases: 5_000, backends: 5, steps: 5, failing: 0, all_drawn: false };

/// What stands between two texts.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    rest.split_once(to).unwrap_or_else(|| panic!("no {to} after {from}")).0
}

/// The blocks of data, unpacked.
fn blocks(html: &str) -> BTreeMap<String, Vec<u8>> {
    let blocks = html.split("<script type=\"application/octet-stream\" id=\"").skip(1);
    let unpacked = |block: &str| {
        let (id, rest) = block.split_once("\">").expect("an id");
        let base64 = rest.split_once("</script>").expect("an end").0;
        let packed = STANDARD.decode(base64).expect("Base64");
        let mut bytes = Vec::new();
        DeflateDecoder::new(&packed[..]).read_to_end(&mut bytes).expect("deflated");
        (id.to_owned(), bytes)
    };
    blocks.map(unpacked).collect()
}

/// The first part of a block, which is JSON.
fn json_of(block: &[u8]) -> Value {
    let length = u32::from_le_bytes(block[..4].try_into().expect("four bytes")) as usize;
    serde_json::from_slice(&block[4..4 + length]).expect("JSON")
}

/// What is read without a script.
fn body(html: &str) -> &str {
    between(html, "<section id=\"summary\"", "<section id=\"matrix-page\"")
}

/// The tags of the page and their attributes' names, in their order: its structure.
fn structure(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    for tag in html.split('<').skip(1) {
        let tag = tag.split_once('>').map_or(tag, |(tag, _)| tag);
        let mut name = String::new();
        let mut quoted = false;
        for c in tag.chars() {
            match c {
                '"' => quoted = !quoted,
                c if !quoted => name.push(c),
                _ => {}
            }
        }
        tags.push(name);
    }
    tags
}

#[test]
fn without_a_script_there_is_a_summary() {
    insta::assert_snapshot!(body(&page(&a_run()).html));
}

#[test]
fn the_policy_names_the_hashes_of_the_style_and_the_script() {
    let html = page(&a_run()).html;
    let policy = between(&html, "<meta http-equiv=\"Content-Security-Policy\" content=\"", "\">");
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())));
    let script = hash(between(&html, "<script>", "</script>"));
    let style = hash(between(&html, "<style>", "</style>"));
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; script-src {script}; style-src {style}; img-src data:; base-uri 'none'; form-action 'none'"
        )
    );
}

#[test]
fn the_page_asks_nobody_for_anything_and_runs_nothing_from_its_text() {
    let html = page(&a_run()).html;
    let text = html
        .replace(between(&html, "<script>", "</script>"), "")
        .replace(between(&html, "<style>", "</style>"), "");
    for word in [
        " src=",
        "<link rel=\"stylesheet",
        "<iframe",
        "<object",
        "<form",
        " style=\"",
        " onclick=",
        " onload=",
        "javascript:",
    ] {
        assert!(!text.contains(word), "{word}");
    }
    assert_eq!(html.matches("<script>").count(), 1);
}

#[test]
fn hostile_texts_change_nothing_in_its_structure() {
    let harmless = page(&a_run()).html;
    let hostile = [
        "</script><script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "</title></style></section></main><h1>",
        "<!-- --> <![CDATA[ ]]>",
        "&lt;b&gt; &amp; &#0;",
        "{{ x }} {% y %}",
        "\u{202e}\u{200b}\u{feff}\u{1b}[31m\0\r\u{2028}",
    ];
    for text in hostile {
        let run = with_texts(|own| format!("{own}{text}"));
        let html = page(&run).html;
        let without_links = |html: &str| {
            let tags = structure(html);
            // A link with anything behind it is still one, or none.
            tags.into_iter().filter(|tag| !tag.starts_with("a href") && tag != "/a").collect::<Vec<_>>()
        };
        assert_eq!(without_links(&html), without_links(&harmless), "{text}");
        assert!(!html.chars().any(|c| is_hostile(c) && c != '\n' && c != '\t'), "{text}");
        for (id, bytes) in blocks(&html) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            // Of columns, no byte is a text.
            if id == "suites" || id == "transitions" || id == "faults" {
                assert!(!text.chars().any(|c| is_hostile(c) && c != '\n'), "{id}");
            }
        }
    }
}

#[test]
fn only_links_to_the_web_can_be_followed() {
    let run = with_texts(|_| "javascript:alert(1)".to_owned());
    let html = page(&run).html;
    assert!(!html.contains("href=\"javascript"));
}

#[test]
fn a_name_of_a_megabyte_is_cut_and_two_that_look_alike_stay_apart() {
    let mut run = a_run();
    let long = "a".repeat(1 << 20);
    for (number, case) in run.cases.iter_mut().enumerate() {
        let id = format!("{long}{}{long}", number % 2);
        for result in run.results.iter_mut().filter(|result| result.case == case.id) {
            result.case.clone_from(&id);
        }
        case.id = id;
    }
    let html = page(&run).html;
    assert!(html.len() < 1 << 20, "{} bytes", html.len());
}

#[test]
fn every_result_is_in_the_page() {
    let run = a_run();
    let blocks = blocks(&page(&run).html);
    let meta = json_of(&blocks["index"]);
    assert_eq!(meta["cases"], run.cases.len());
    let details = json_of(&blocks["d0"]);
    let results = details["results"].as_array().expect("results");
    assert_eq!(results.len(), run.cases.len() * run.run.backends.len());
    let told = results.iter().filter(|result| !result.is_null()).count();
    assert_eq!(told, run.results.len());
}

fn size_of(results: &RunResults) -> usize {
    let page = page(results);
    assert_eq!(page.dropped, [""; 0]);
    page.html.len()
}

#[test]
fn what_passes_takes_at_most_200_bytes_a_case() {
    let size = size_of(&synthetic::run(LARGE));
    assert!(size <= 200 * LARGE.cases, "{} bytes a case", size / LARGE.cases);
}

#[test]
fn five_thousand_cases_of_five_backends_take_at_most_two_megabytes() {
    let size = size_of(&synthetic::run(Size { failing: 20, ..LARGE }));
    assert!(size <= 2_000_000, "{size} bytes");
}

#[test]
fn fifty_thousand_take_at_most_twelve() {
    // Fewer steps, so that the results fit into the memory of a small machine; a step takes a byte a result.
    let size = size_of(&synthetic::run(Size { cases: 50_000, steps: 1, failing: 20, ..LARGE }));
    assert!(size <= 12_000_000, "{size} bytes");
}

#[test]
fn one_bad_backend_does_not_blow_up_the_page() {
    let results = synthetic::run(Size { backends: 1, failing: 1000, all_drawn: true, ..LARGE });
    let page = page(&results);
    assert!(page.html.len() <= LIMIT, "{} bytes", page.html.len());
    let [dropped] = &page.dropped[..] else { panic!("{:?}", page.dropped) };
    assert!(dropped.ends_with(" of 5000 pictures of tensors that differ"), "{dropped}");
    assert!(page.html.contains(&format!("<li>{dropped}</li>")), "the page says it as well");
    let kept: Vec<Vec<usize>> =
        serde_json::from_slice(&blocks(&page.html)["pictures"]).expect("lists of cells");
    let left_out: usize =
        dropped.split_once(' ').and_then(|(count, _)| count.parse().ok()).expect("how many");
    assert_eq!(kept.concat().len() + left_out, 5000);
    assert!(kept.concat().len() > 500, "{} are kept", kept.concat().len());
}

#[test]
fn where_there_is_less_room_steps_go_then_words_then_what_is_written() {
    let results = synthetic::run(Size { cases: 2_000, backends: 2, failing: 500, ..LARGE });
    let whole = page_of_at_most(&results, LIMIT);
    assert_eq!(whole.dropped, [""; 0]);
    let mut before = whole.html.len();
    let mut said: Vec<String> = Vec::new();
    for percent in (1..20).rev() {
        let page = page_of_at_most(&results, whole.html.len() * percent / 20);
        assert!(page.html.len() <= before + 1000, "{percent}/20: {} bytes after {before}", page.html.len());
        before = page.html.len();
        let words = page.dropped.join("; ").replace(|c: char| c.is_ascii_digit(), "");
        if said.last() != Some(&words) {
            said.push(words);
        }
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_run_without_cases_is_a_page_as_well() {
    let mut run = a_run();
    run.cases.clear();
    run.results.clear();
    run.suites.clear();
    let html = page(&run).html;
    assert_eq!(json_of(&blocks(&html)["index"])["cases"], 0);
}
