//! From bytes to the tree, through `serde-saphyr`: its scanner, its limits, its places.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, Location, MergeKeyPolicy, NonFiniteFloatPolicy, Spanned};

use super::{Entry, Kind, Node};
use crate::problem::{Problem, Source, Span, is_enough};

/// The largest case file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// The most values a case file may hold, aliases expanded.
const MAX_NODES: usize = 2_000_000;

/// Reads a file as UTF-8.
///
/// # Errors
/// A problem that names the file when it cannot be read or is too large, and the line and column of the
/// first byte that is not UTF-8.
pub fn read_source(path: &Path) -> Result<Source, Problem> {
    let shown = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        Problem::new(format!("cannot read {shown}: {error}")).with_help("check the path and its permissions")
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE_BYTES {
        return Err(Problem::new(format!("{shown} has {size} bytes; a case file may have {MAX_FILE_BYTES}"))
            .with_help("split the suite, or let a fill generate the data"));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    String::from_utf8(bytes).map(|text| Source::new(shown.as_str(), text)).map_err(|error| {
        let start = error.utf8_error().valid_up_to();
        let byte = error.as_bytes()[start];
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        // Everything before the bad byte is unchanged, and the bad bytes became one replacement character.
        let source = Source::new(shown.as_str(), text);
        Problem::at(&source, Span { start, len: 3 }, "the file is not valid UTF-8")
            .with_label(format!("byte {byte:#04x} does not belong here"))
            .with_help("save the file as UTF-8")
    })
}

/// Reads a text as one YAML document. Mappings with a key twice are reported in `problems` and keep the
/// first.
///
/// # Errors
/// A problem at the place where the text stops being YAML, or goes over a limit (depth, number of values
/// after expanding aliases).
pub fn parse(source: &Source, problems: &mut Vec<Problem>) -> Result<Node, Problem> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! { max_nodes: MAX_NODES, max_events: 2 * MAX_NODES, max_documents: 1 },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        strict_booleans: true,
        with_snippet: false,
    };
    let raw: Spanned<Raw> =
        serde_yaml::from_str_with_options(&source.text, options).map_err(|error| not_yaml(source, &error))?;
    Ok(Builder { source, problems }.node(raw))
}

fn not_yaml(source: &Source, error: &serde_yaml::Error) -> Problem {
    let text = error.to_string();
    // The library's text has the place before or after it, which the diagnostic shows by itself.
    let line = text.lines().next().unwrap_or("not YAML");
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let line = match line.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest,
        _ => line,
    };
    let line = line.rfind(" at line ").map_or(line, |end| &line[..end]);
    let (message, help) = in_our_words(line);
    let problem = match error.location() {
        Some(place) => Problem::at(source, span_of(source, place), message),
        None => Problem::new(format!("{}: {message}", source.path)),
    };
    problem.with_help(help)
}

/// The library's message for people who write cases, and what would be right.
fn in_our_words(message: &str) -> (String, &'static str) {
    let is = |word: &str| message.contains(word);
    if is("Documents {") {
        return ("a second YAML document begins here".to_owned(), "a file holds one suite: split it here");
    }
    if is("Depth {") || is("recursion") {
        let message = "the values are nested too deeply".to_owned();
        return (message, "nothing in the case format is nested more than a dozen deep");
    }
    if is("RecordedAnchor") || is("Aliases {") || is("Anchors {") {
        let message = "the aliases of the file stand for too many values".to_owned();
        return (message, "write the values out, or let a fill generate them");
    }
    if is("budget") || is("limit") {
        let message = format!("the file holds more than {MAX_NODES} values, aliases expanded");
        return (message, "split the suite, or let a fill generate the data");
    }
    let help = if is("unknown anchor") {
        "an alias `*name` stands for what was marked `&name` before it"
    } else if is("tag") {
        "the case format has no tags: take it out"
    } else if is("tabs") {
        "indent with spaces"
    } else {
        "the text is not YAML from here on; the mistake is often just before this place"
    };
    (message.to_owned(), help)
}

fn span_of(source: &Source, place: Location) -> Span {
    let span = place.span();
    let start = match (span.byte_offset(), usize::try_from(span.offset())) {
        (Some(start), _) => start as usize,
        // Some errors carry a place in characters only.
        (None, Ok(characters)) => {
            source.text.char_indices().nth(characters).map_or(source.text.len(), |(byte, _)| byte)
        }
        (None, Err(_)) => 0,
    };
    Span { start, len: span.byte_len().unwrap_or(1) as usize }
}

/// A value as the YAML library hands it over; the text of numbers is taken from the source instead.
enum Raw {
    Null,
    Typed,
    Text(String),
    Seq(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;
        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a YAML value")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = access.next_element()? {
                    items.push(item);
                }
                Ok(Raw::Seq(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    entries.push(entry);
                }
                Ok(Raw::Map(entries))
            }
        }
        deserializer.deserialize_any(RawVisitor)
    }
}

struct Builder<'a> {
    source: &'a Source,
    problems: &'a mut Vec<Problem>,
}

impl Builder<'_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let span = span_of(self.source, raw.defined);
        let end = (span.start + span.len).min(self.source.text.len());
        let written = self.source.text.get(span.start..end).unwrap_or_default();
        let kind = match raw.value {
            Raw::Null => Kind::Null,
            Raw::Typed => Kind::Scalar { text: written.trim().into(), quoted: false },
            Raw::Text(text) => {
                let quoted = written.starts_with(['"', '\'', '|', '>']);
                Kind::Scalar { text: text.into(), quoted }
            }
            Raw::Seq(items) => Kind::Seq(Arc::new(items.into_iter().map(|item| self.node(item)).collect())),
            Raw::Map(entries) => Kind::Map(Arc::new(self.entries(entries))),
        };
        Node { span, kind }
    }

    fn entries(&mut self, entries: Vec<(Spanned<String>, Spanned<Raw>)>) -> Vec<Entry> {
        let mut known: Vec<Entry> = Vec::with_capacity(entries.len());
        let mut firsts: HashMap<Arc<str>, Span> = HashMap::with_capacity(entries.len());
        for (key, value) in entries {
            let key_span = span_of(self.source, key.defined);
            let value = self.node(value);
            let enough = is_enough(self.problems);
            if let Some(first) = firsts.get(key.value.as_str()) {
                let line = self.source.line_of(first.start);
                self.problems.extend((!enough).then(|| {
                    Problem::at(self.source, key_span, format!("the key `{}` stands here twice", key.value))
                        .with_label("the second one")
                        .with_help(format!("the first is in line {line}; keep one of them"))
                }));
            } else if key.value == "<<" {
                self.problems.extend((!enough).then(|| {
                    Problem::at(self.source, key_span, "YAML merge keys are not part of the case format")
                        .with_help("`defaults` and `matrix` do what a merge would")
                }));
            } else {
                let key: Arc<str> = key.value.into();
                firsts.insert(key.clone(), key_span);
                known.push(Entry { key, key_span, value });
            }
        }
        known
    }
}
