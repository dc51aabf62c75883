//! Cases as they are written: the lines of the file, for reports that show them.

use std::collections::HashMap;
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
    lines(source, first, next_of(&ends(source, root), first)).into()
}

/// What each of these cases of a suite is written as. Where several share a line, each has the whole of it.
pub(crate) fn cases(source: &Source, root: &Node, cases: &[Node]) -> Vec<Arc<Written>> {
    let defaults = defaults(source, root);
    let firsts: Vec<usize> = cases.iter().map(|case| first_line(source, case)).collect();
    let ends = ends(source, root);
    let mut written: Vec<Arc<Written>> = Vec::with_capacity(cases.len());
    // Of a line, which may be as long as the file, as many cases as are on it.
    let mut known: HashMap<(usize, usize), Arc<Written>> = HashMap::new();
    // The first lines of the cases from the one at hand on that lie below it and above those that come after them.
    let mut below: Vec<usize> = Vec::new();
    for &line in firsts.iter().rev() {
        // An alias stands where its anchor is: the next case is the next one below, in whatever order.
        while below.pop_if(|next| *next <= line).is_some() {}
        let end = below.last().copied().unwrap_or_else(|| next_of(&ends, line));
        let lines = known.entry((line, end)).or_insert_with(|| {
            Arc::new(Written { defaults: defaults.clone(), line, yaml: lines(source, line, end) })
        });
        written.push(lines.clone());
        below.push(line);
    }
    written.reverse();
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

/// The lines of the keys of the file in their order, and the one after its last.
fn ends(source: &Source, root: &Node) -> Vec<usize> {
    let Kind::Map(entries) = &root.kind else { return Vec::new() };
    let keys = entries.iter().map(|entry| source.line_of(entry.key_span.start));
    let mut ends: Vec<usize> = keys.chain([source.line_count() + 1]).collect();
    ends.sort_unstable();
    ends
}

/// The first of these lines below `line`; the next one where there is none.
fn next_of(ends: &[usize], line: usize) -> usize {
    ends.get(ends.partition_point(|&end| end <= line)).copied().unwrap_or(line + 1)
}

/// The lines from `first` to before `end`, without empty lines and comments at the end, which belong to what follows.
fn lines(source: &Source, first: usize, end: usize) -> String {
    let text = &source.text[source.start_of(first)..source.start_of(end.max(first + 1))];
    let is_nothing = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let kept =
        text.len() - text.split_inclusive('\n').rev().take_while(is_nothing).map(str::len).sum::<usize>();
    let count = text[..kept].split_inclusive('\n').count();
    let kept: Vec<&str> = text.lines().take(count.max(1)).collect();
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
