//! What is wrong with a case file, and where: diagnostics that `miette` draws with a caret.

use std::collections::HashSet;
use std::sync::Arc;

use miette::{Diagnostic, SourceSpan};
use thiserror::Error;

use crate::excerpt::{Excerpt, floor};

/// How many mistakes of one file are reported. After so many it is not read on.
pub const MAX_PROBLEMS: usize = 1000;

/// Whether so much is wrong with a file that it is not worth reading on.
pub(crate) fn is_enough(problems: &[Problem]) -> bool {
    problems.len() >= MAX_PROBLEMS
}

/// A byte range of a source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// How many bytes.
    pub len: usize,
}

/// A text that problems point into.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path as the user gave it.
    pub path: String,
    /// The text.
    pub text: Arc<str>,
    /// Where each line but the first begins.
    lines: Arc<[usize]>,
}

impl Source {
    /// A source from its path and text.
    pub fn new(path: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        let text: Arc<str> = text.into();
        let lines = text.match_indices('\n').map(|(newline, _)| newline + 1).collect();
        Source { path: path.into(), text, lines }
    }

    /// The line, counted from 1, that holds byte `offset`.
    pub fn line_of(&self, offset: usize) -> usize {
        let end = if self.text.is_char_boundary(offset) { offset } else { self.text.len() };
        self.lines.partition_point(|&line| line <= end) + 1
    }

    /// The byte at which a line begins, counted from 1; the end of the text where there are not as many.
    pub(crate) fn start_of(&self, line: usize) -> usize {
        match line.checked_sub(2) {
            None => 0,
            Some(index) => self.lines.get(index).copied().unwrap_or(self.text.len()),
        }
    }

    /// How many lines there are.
    pub(crate) fn line_count(&self) -> usize {
        self.lines.len() + usize::from(!self.text.is_empty() && !self.text.ends_with('\n'))
    }
}

/// One thing that is wrong, the place if there is one, and what would be right.
#[derive(Debug, Clone, Error, Diagnostic)]
#[error("{message}")]
pub struct Problem {
    /// What is wrong, in one sentence.
    pub message: String,
    /// What would be right.
    #[help]
    pub help: Option<String>,
    #[source_code]
    excerpt: Option<Excerpt>,
    #[label("{label}")]
    span: Option<SourceSpan>,
    label: String,
    /// File and byte, to tell two problems apart.
    place: Option<(String, Span)>,
}

impl Problem {
    /// A problem without a place in a text: an unreadable file.
    pub fn new(message: impl Into<String>) -> Self {
        Problem {
            message: message.into(),
            help: None,
            excerpt: None,
            span: None,
            label: String::new(),
            place: None,
        }
    }

    /// A problem at a place of a text. A span that reaches over several lines is cut at the end of the
    /// first, so that the caret stays readable.
    pub fn at(source: &Source, span: Span, message: impl Into<String>) -> Self {
        let text = &source.text;
        let start = floor(text, span.start);
        let line_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        let end = floor(text, (start + span.len).min(line_end)).max(start);
        let span = Span { start, len: end - start };
        let (excerpt, shown) = Excerpt::around(source, span);
        Problem {
            message: message.into(),
            help: None,
            excerpt: Some(excerpt),
            span: Some(shown),
            label: "here".to_owned(),
            place: Some((source.path.clone(), span)),
        }
    }

    /// The same with words about what would be right.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with words beside the caret.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The line and the column of the place, counted from 1; the column in characters.
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        self.excerpt.as_ref().map(|excerpt| (excerpt.line() + 1, excerpt.column() + 1))
    }

    /// What is the same of two problems that are one.
    pub(crate) fn identity(&self) -> (String, Option<(String, Span)>) {
        (self.message.clone(), self.place.clone())
    }
}

/// Everything that is wrong with the files of a run.
#[derive(Debug, Clone, Error, Diagnostic)]
#[error("{} in {subject}", count(.problems.len()))]
pub struct Problems {
    /// Each problem, in the order of the files and of the places in them.
    #[related]
    pub problems: Vec<Problem>,
    #[help]
    help: Option<&'static str>,
    subject: &'static str,
}

impl Problems {
    /// The problems of case files, each said once; `None` of an empty list.
    pub fn of_cases(list: Vec<Problem>) -> Option<Self> {
        let help = "`bncheck schema` prints the format's JSON Schema; docs/case-format.md explains it";
        Self::from_list(list, "the case files", Some(help))
    }

    /// The problems of files of declared deviations, each said once; `None` of an empty list.
    pub fn of_deviations(list: Vec<Problem>) -> Option<Self> {
        Self::from_list(list, "the declared deviations", None)
    }

    /// The problems of a `bncheck.toml`, each said once; `None` of an empty list.
    pub fn of_config(list: Vec<Problem>) -> Option<Self> {
        let help = "docs/adding-a-backend-in-any-language.md says what stands in a bncheck.toml";
        Self::from_list(list, "the configuration", Some(help))
    }

    fn from_list(list: Vec<Problem>, subject: &'static str, help: Option<&'static str>) -> Option<Self> {
        let mut known = HashSet::new();
        let problems: Vec<Problem> =
            list.into_iter().filter(|problem| known.insert(problem.identity())).collect();
        (!problems.is_empty()).then_some(Problems { problems, help, subject })
    }
}

fn count(problems: usize) -> String {
    if problems == 1 { "1 problem".to_owned() } else { format!("{problems} problems") }
}

/// "did you mean `x`?" for the candidate closest to `word`, if one is close.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    near(word, candidates).first().map(|candidate| format!("did you mean `{candidate}`?"))
}

/// The candidates that are close to `word`, the closest first.
pub fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let scored = candidates.into_iter().map(|candidate| (strsim::jaro_winkler(word, candidate), candidate));
    let mut close: Vec<(f64, &str)> = scored.filter(|(score, _)| *score > 0.8).collect();
    close.sort_by(|a, b| b.0.total_cmp(&a.0));
    close.into_iter().map(|(_, candidate)| candidate).collect()
}
