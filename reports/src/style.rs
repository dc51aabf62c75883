//! Colours of the terminal, always beside a word that says the same, and texts from elsewhere made harmless.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use anstyle::{AnsiColor, Style};
use bn_harness::results::Verdict;

/// Of headings and names.
pub const BOLD: Style = Style::new().bold();
/// Of what matters less.
pub const DIM: Style = Style::new().dimmed();

/// Of a verdict.
pub const fn of(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Pass => AnsiColor::Green,
        Verdict::Known | Verdict::Fixed | Verdict::Suspect | Verdict::Vacuous => AnsiColor::Yellow,
        Verdict::Unsupported => AnsiColor::Cyan,
        Verdict::Fail | Verdict::Error | Verdict::Crash | Verdict::Timeout => AnsiColor::Red,
    };
    colour.on_default()
}

/// A text between a style's codes.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Characters of a name, a path or a sentence that are shown: twice what the longest id of the suites has.
pub const NAME: usize = 300;
/// Characters of a text of several lines that are shown, as of a process's last words.
pub const PASSAGE: usize = 4000;

/// A text that comes from a file or a process, with whatever could do more than be read made visible: what moves
/// the cursor, changes colours, has no width, turns the direction of text, or is a command to the CI that keeps the
/// log.
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let is_shown = matches!(c, '\n' | '\t') || !(is_hostile(c) || is_command(before, c, rest.as_str()));
        if is_shown {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
        before = c;
    }
    shown
}

/// The same for a text that stands within a line: a name, a path. What is longer than [`NAME`] is cut.
pub fn one_line(text: &str) -> String {
    harmless(&cut(text, NAME)).replace('\n', r"\n").replace('\t', r"\t")
}

/// The same for a text that may have lines. What is longer than [`PASSAGE`] is cut.
pub fn passage(text: &str) -> String {
    harmless(&cut(text, PASSAGE))
}

/// A text of at most so many characters, and of what is left out in the middle how much that is and a hash of the
/// whole, so that two long ones stay apart.
pub fn cut(text: &str, characters: usize) -> Cow<'_, str> {
    // No character takes less than a byte.
    if text.len() <= characters {
        return Cow::Borrowed(text);
    }
    let count = text.chars().count();
    if count <= characters {
        return Cow::Borrowed(text);
    }
    let tail = characters / 4;
    let place = |character: usize| text.char_indices().nth(character).map_or(text.len(), |(place, _)| place);
    let (head_ends, tail_begins) = (place(characters - tail), place(count - tail));
    let (head, tail) = (&text[..head_ends], &text[tail_begins..]);
    let more = count - characters;
    let characters = if more == 1 { "character" } else { "characters" };
    Cow::Owned(format!("{head}…({more} {characters} left out, hash {:016x})…{tail}", hash(text)))
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Whether a character begins what GitHub (`::error::` at the start of a line, `##[error]` anywhere), Azure
/// (`##vso[`) or `TeamCity` (`##teamcity[`) take for a command. Lines may be broken at any space before they are shown.
fn is_command(before: char, c: char, rest: &str) -> bool {
    match c {
        ':' => before.is_whitespace() && rest.starts_with(':'),
        '#' => {
            let name = rest.strip_prefix('#').map(|rest| rest.trim_start_matches(char::is_alphanumeric));
            name.is_some_and(|after| after.starts_with('['))
        }
        _ => false,
    }
}

/// Whether a character cannot be seen or changes how others are shown: those of the categories Cc, Cf, Zl and Zp of
/// Unicode, what it wants ignored where it is not known, and what is no character.
pub fn is_hostile(c: char) -> bool {
    c.is_control() || is_no_character(c) || INVISIBLE.iter().any(|range| range.contains(&c))
}

const fn is_no_character(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || c as u32 & 0xfffe == 0xfffe
}

/// What cannot be seen, in order. Some marks of Arabic, Kaithi and Egyptian can, but they change what follows them.
const INVISIBLE: [RangeInclusive<char>; 25] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{600}'..='\u{605}',
    '\u{61c}'..='\u{61c}',
    '\u{6dd}'..='\u{6dd}',
    '\u{70f}'..='\u{70f}',
    '\u{890}'..='\u{891}',
    '\u{8e2}'..='\u{8e2}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{110bd}'..='\u{110bd}',
    '\u{110cd}'..='\u{110cd}',
    '\u{13430}'..='\u{1343f}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

#[cfg(test)]
mod tests {
    use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

    use super::*;

    #[test]
    fn whatever_cannot_be_seen_is_shown_as_its_number() {
        let invisible = |c: &char| {
            use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
            matches!(c.general_category(), Control | Format | LineSeparator | ParagraphSeparator)
        };
        for c in
            ('\0'..=char::MAX).filter(invisible).chain(['\u{fffe}', '\u{ffff}', '\u{10ffff}', '\u{3164}'])
        {
            if !matches!(c, '\n' | '\t') {
                assert_eq!(harmless(&c.to_string()), c.escape_unicode().to_string());
            }
        }
    }

    #[test]
    fn nothing_else_is_touched() {
        let seen = |c: &char| {
            use GeneralCategory::{
                CurrencySymbol, DecimalNumber, LowercaseLetter, MathSymbol, OtherLetter, OtherPunctuation,
                SpaceSeparator, UppercaseLetter,
            };
            let is_filler = matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}');
            let category = c.general_category();
            let is_seen = matches!(category, LowercaseLetter | UppercaseLetter | OtherLetter | DecimalNumber)
                || matches!(category, CurrencySymbol | MathSymbol | OtherPunctuation | SpaceSeparator);
            is_seen && !is_filler
        };
        for c in ('\0'..=char::MAX).filter(seen) {
            assert_eq!(harmless(&c.to_string()), c.to_string());
        }
    }

    #[test]
    fn what_ci_takes_for_a_command_is_none_any_more() {
        for (text, shown) in [
            ("::error::x", r"\u{3a}:error::x"),
            (" \u{3000}::error::x", " \u{3000}\\u{3a}:error::x"),
            ("said\n::stop-commands::y", "said\n\\u{3a}:stop-commands::y"),
            ("a ##[add-matcher]b", r"a \u{23}#[add-matcher]b"),
            ("##vso[task.complete]", r"\u{23}#vso[task.complete]"),
            ("##teamcity[x]", r"\u{23}#teamcity[x]"),
            ("###[x]", r"#\u{23}#[x]"),
        ] {
            assert_eq!(harmless(text), shown);
        }
        for text in ["std::vec", "a: :b", "## Heading", "#[test]", "suite/case[a=1]", "x=::1"] {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn long_texts_are_cut_and_stay_apart() {
        let long = |last: &str| format!("{}{last}", "a".repeat(1 << 20));
        let (one, other) = (one_line(&long("b")), one_line(&long("c")));
        assert_eq!(
            one.replace(&"a".repeat(225), "AAA").replace(&"a".repeat(74), "BBB"),
            "AAA…(1048277 characters left out, hash 68d9aa470ef1f1a5)…BBBb"
        );
        assert_ne!(one, other);
        // What is cut away tells them apart as well.
        let within = |c: char| one_line(&format!("{}{c}{}", "a".repeat(9000), "a".repeat(9000)));
        assert_ne!(within('b'), within('c'));
        // Characters are counted, not bytes, and none is cut through.
        assert_eq!(one_line(&"é".repeat(NAME)), "é".repeat(NAME));
        assert!(
            one_line(&"é".repeat(NAME + 1)).starts_with(&("é".repeat(225) + "…(1 character left out, hash "))
        );
        assert_eq!(passage(&long("")).lines().count(), 1);
        assert_eq!(passage("one\ntwo\n"), "one\ntwo\n");
    }
}
