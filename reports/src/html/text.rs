//! Texts from elsewhere, made fit for the page: with nothing in them that cannot be seen, and not too long.

use std::borrow::Cow;

use crate::style;

/// Characters of a text of many lines that are shown, as of a case's YAML.
const DOCUMENT: usize = 20_000;

/// A text that stands within a line.
pub fn line(text: &str) -> Cow<'_, str> {
    if text.len() <= style::NAME && is_plain(text) && !text.contains(['\n', '\t']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(style::one_line(text))
}

/// A text that may have lines.
pub fn passage(text: &str) -> Cow<'_, str> {
    if text.len() <= style::PASSAGE && is_plain(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(style::passage(text))
}

/// A text that may have many lines.
pub fn document(text: &str) -> Cow<'_, str> {
    if text.len() <= DOCUMENT && is_plain(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(style::harmless(&style::cut(text, DOCUMENT)))
}

/// Whether nothing in a text needs a second look. Most of what a run says is plain, and asking this is ten times
/// faster than [`style::harmless`], which would leave such a text as it is.
fn is_plain(text: &str) -> bool {
    // Latin, Greek, dashes, quotation marks and the signs of mathematics; `::` and `##` may be more than they seem.
    let is_plain = |c: char| {
        matches!(c, ' '..='~' | '\n' | '\t' | '\u{ae}'..='\u{2ff}' | '\u{370}'..='\u{3ff}')
            || matches!(c, '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{2190}'..='\u{22ff}')
    };
    text.chars().all(is_plain) && !text.contains("::") && !text.contains("##")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_is_left_alone_by_the_rule_as_well() {
        for c in ('\0'..=char::MAX).filter(|c| is_plain(&c.to_string())) {
            assert_eq!(style::harmless(&c.to_string()), c.to_string());
        }
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(line("a\u{202e}b\nc"), r"a\u{202e}b\nc");
        assert_eq!(passage("a\u{202e}b\nc"), "a\\u{202e}b\nc");
        assert_eq!(document("\u{1b}[31m"), r"\u{1b}[31m");
    }
}
