//! The lines of a file around a place, for diagnostics: long lines are cut, as one line of a case file may
//! hold a whole tensor.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use crate::problem::{Source, Span};

/// Lines before and after the place.
const CONTEXT: usize = 2;

/// The most characters of a line that are shown.
const WIDTH: usize = 120;

/// How many of them may stand before the place.
const BEFORE: usize = 60;

/// A place in a file with the lines around it.
#[derive(Debug, Clone)]
pub(crate) struct Excerpt {
    path: String,
    text: String,
    /// The number of the excerpt's first line in the file, from 0.
    first_line: usize,
    /// The line and the column of the place in the file, the column in characters, from 0.
    line: usize,
    column: usize,
}

impl Excerpt {
    /// The lines around `span`, which lies within one line and between characters, and where it is in the
    /// excerpt.
    pub fn around(source: &Source, span: Span) -> (Self, SourceSpan) {
        let text = &*source.text;
        let (start, end) = (span.start, span.start + span.len);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        let line_number = source.line_of(start) - 1;
        let first_line = line_number.saturating_sub(CONTEXT);
        let before = text[source.start_of(first_line + 1)..line_start].lines();
        let after = text[line_end..].lines().skip(1).take(CONTEXT);

        let mut shown = String::new();
        for line in before {
            shown += &cut(line);
            shown.push('\n');
        }
        let column = text[line_start..start].chars().count();
        let (line, place) = window(&text[line_start..line_end], start - line_start, column);
        let place = shown.len() + place;
        let length = (end - start).min(line.len() + shown.len() - place);
        shown += &line;
        for line in after {
            shown.push('\n');
            shown += &cut(line);
        }
        let path = source.path.clone();
        let excerpt = Excerpt { path, text: shown, first_line, line: line_number, column };
        (excerpt, (place, length).into())
    }
}

/// The closest character boundary at or before `offset`.
pub(crate) fn floor(text: &str, offset: usize) -> usize {
    let offset = offset.min(text.len());
    (0..=offset).rev().find(|&offset| text.is_char_boundary(offset)).unwrap_or(0)
}

/// A line's beginning.
pub(crate) fn cut(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The part of a line around byte `place`, which is its character `column`, and where that is in the part.
fn window(line: &str, place: usize, column: usize) -> (String, usize) {
    if line.chars().count() <= WIDTH {
        return (line.to_owned(), place);
    }
    let byte_of = |character: usize| line.char_indices().nth(character).map_or(line.len(), |(byte, _)| byte);
    let first = column.saturating_sub(BEFORE);
    let (start, end) = (byte_of(first), byte_of(first + WIDTH));
    let (left, right) = (if start > 0 { "…" } else { "" }, if end < line.len() { "…" } else { "" });
    (format!("{left}{}{right}", &line[start..end]), left.len() + place - start)
}

impl Excerpt {
    /// The place's line in the file, from 0.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The place's column in the file, in characters, from 0.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let part = self.text.as_str().read_span(span, before, after)?;
        // Without context this is the question for the place's own line and column.
        let column = if before == 0 && after == 0 { self.column } else { part.column() };
        Ok(Box::new(MietteSpanContents::new_named(
            self.path.clone(),
            part.data(),
            *part.span(),
            part.line() + self.first_line,
            column,
            part.line_count(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, start: usize, len: usize) -> (String, String, usize, usize) {
        let (excerpt, span) = Excerpt::around(&Source::new("x.yaml", text), Span { start, len });
        let marked = excerpt.text[span.offset()..span.offset() + span.len()].to_owned();
        let place = excerpt.read_span(&span, 0, 0).expect("within the text");
        (excerpt.text.clone(), marked, place.line() + 1, place.column() + 1)
    }

    #[test]
    fn a_short_file_is_shown_as_it_is() {
        let (text, marked, line, column) = shown("a: 1\nb: 2\nc: 3", 8, 1);
        assert_eq!((text.as_str(), marked.as_str(), line, column), ("a: 1\nb: 2\nc: 3", "2", 2, 4));
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let long = format!("a: {}HERE{}\n", "ä".repeat(1000), "b".repeat(1000));
        let text = format!("{long}{long}{long}");
        let (shown, marked, line, column) = shown(&text, long.len() + 3 + 2000, 4);
        assert_eq!((marked.as_str(), line, column), ("HERE", 2, 1004));
        assert!(shown.lines().all(|line| line.chars().count() <= WIDTH + 2), "{shown}");
    }

    #[test]
    fn places_at_the_end() {
        for text in ["", "a", "a\n", "a\nb", "ä"] {
            let (shown, marked, ..) = shown(text, text.len(), 0);
            assert_eq!((shown.trim_end(), marked.as_str()), (text.trim_end(), ""));
        }
    }

    #[test]
    fn a_place_within_a_character_moves_to_its_beginning() {
        assert_eq!((floor("aä", 2), floor("aä", 99), floor("", 1)), (1, 3, 0));
    }
}
