//! Cases as they are written: the lines of the file, for reports that show them.

use std::sync::Arc;

use crate::excerpt::cut;
use crate::problem::Source;
use crate::yaml::{Kind, Node};

/// The most lines of a case that are kept.
const LINES: usize = 60;

/// The lines of a file that a case comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The suite's `defaults`; empty where it has none.
    pub defaults: Arc<str>,
    /// The line on which `yaml` begins, counted from 1.
    pub line: usize,
    /// The case, before its matrix multiplies it, set in as far as its first line is not. Long lines, and many of them,
    /// are cut.
    pub yaml: String,
}

/// The lines of the `defaults` of a suite.
pub(crate) fn defaults(source: &Source, root: &Node) -> Arc<str> {
    let Some(entry) = root.entry("defaults") else { return "".into() };
    let first = source.line_of(entry.key_span.start);
    lines(source, first, next_key(source, root, first)).into()
}

/// What each of these cases of a suite is written as. Where several share a line, each has the whole of it.
pub(crate) fn cases(source: &Source, root: &Node, cases: &[Node]) -> Vec<Written> {
    let defaults = defaults(source, root);
    let firsts: Vec<usize> = cases.iter().map(|case| first_line(source, case)).collect();
    let mut written = Vec::with_capacity(cases.len());
    for (number, &line) in firsts.iter().enumerate() {
        // An alias stands where its anchor is: the next case is the next one below, in whatever order.
        let below = firsts[number + 1..].iter().copied().find(|&next| next > line);
        let end = below.unwrap_or_else(|| next_key(source, root, line));
        written.push(Written { defaults: defaults.clone(), line, yaml: lines(source, line, end) });
    }
    written
}

/// The line of a mapping's first key, or of the value itself.
fn first_line(source: &Source, node: &Node) -> usize {
    let start = match &node.kind {
        Kind::Map(entries) => entries.iter().map(|entry| entry.key_span.start).min(),
        _ => None,
    };
    source.line_of(start.unwrap_or(node.span.start))
}

/// The line of the first key of the file below `line`, or the one after its last.
fn next_key(source: &Source, root: &Node, line: usize) -> usize {
    let Kind::Map(entries) = &root.kind else { return line + 1 };
    let keys = entries.iter().map(|entry| source.line_of(entry.key_span.start));
    keys.filter(|&key| key > line).min().unwrap_or_else(|| source.text.lines().count() + 1)
}

/// The lines from `first` to before `end`, without empty lines and comments at the end, which belong to what follows.
fn lines(source: &Source, first: usize, end: usize) -> String {
    let all: Vec<&str> = source.text_from(first).lines().take(end.max(first + 1) - first).collect();
    let is_nothing = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let kept = all.len() - all.iter().rev().take_while(|line| is_nothing(line)).count();
    let kept = &all[..kept.max(1).min(all.len())];
    let indent = kept.first().map_or(0, |line| line.len() - line.trim_start_matches(' ').len());
    let outdented = |line: &&str| {
        let own = line.len() - line.trim_start_matches(' ').len();
        cut(&line[own.min(indent)..])
    };
    let mut text: Vec<String> = kept.iter().take(LINES).map(outdented).collect();
    if kept.len() > LINES {
        text.push(format!("# … and {} lines more", kept.len() - LINES));
    }
    text.join("\n")
}
