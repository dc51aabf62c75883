//! Text as Python has it: literals, comments, lines.

use std::fmt::Write as _;

/// The columns of a line that is wrapped.
const COLUMNS: usize = 100;

/// A string literal. What a terminal or an editor would act upon is escaped.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if is_harmful(char) => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// Text in comments, a line each. Nothing in it can end a comment early, as a carriage return would.
pub(super) fn comment(text: &str) -> String {
    let mut comment = String::new();
    for line in text.lines() {
        let line: String =
            line.chars().map(|char| if is_harmful(char) { '\u{fffd}' } else { char }).collect();
        let _ = writeln!(comment, "{}", format!("#   {line}").trim_end());
    }
    comment
}

/// Prose in comments, in lines that are not too long.
pub(super) fn prose(text: &str) -> String {
    comment(&textwrap::fill(text, COLUMNS))
}

/// Whether a character does something instead of being seen: control characters, and those that change the direction of
/// text or are of no width.
fn is_harmful(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A number, to the last bit but for those of a NaN.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() { "nan".to_owned() } else { format!("{value:?}") }
}

/// `True` or `False`.
pub(super) fn truth(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// A tuple of sizes.
pub(super) fn tuple(sizes: &[usize]) -> String {
    match sizes {
        [one] => format!("({one},)"),
        sizes => format!("({})", sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// A list: on one line where that is no longer than `columns`, else as many items a line as fit, a new line for every group
/// of `group`.
pub(super) fn list(items: &[String], group: usize, columns: usize) -> String {
    let line = format!("[{}]", items.join(", "));
    if line.len() <= columns || items.len() <= 1 {
        return line;
    }
    let mut text = String::from("[\n");
    for items in items.chunks(group.max(1)) {
        let mut line = String::new();
        for item in items {
            if !line.is_empty() && line.len() + item.len() + 6 > COLUMNS {
                let _ = writeln!(text, "   {line}");
                line.clear();
            }
            let _ = write!(line, " {item},");
        }
        let _ = writeln!(text, "   {line}");
    }
    text.push(']');
    text
}

/// Lines set in by four columns.
pub(super) fn indented(lines: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") };
    lines.lines().map(line).collect()
}

/// Whether it is a name that can follow a dot.
pub(super) fn is_name(text: &str) -> bool {
    const KEYWORDS: [&str; 35] = [
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
        "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in",
        "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
    ];
    let mut chars = text.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
        && !KEYWORDS.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_comment_or_a_string_early() {
        assert_eq!(comment("one\n\ntwo\rimport os"), "#   one\n#\n#   two\u{fffd}import os\n");
        assert_eq!(quoted("a\"b\\c\nd\u{202e}é"), r#""a\"b\\c\U0000000ad\U0000202eé""#);
    }

    #[test]
    fn numbers_are_those_of_python() {
        let written: Vec<String> =
            [1.0, -0.0, 1e-7, 1e300, 0.1, f64::NAN, f64::NEG_INFINITY].map(float).to_vec();
        assert_eq!(written, ["1.0", "-0.0", "1e-7", "1e300", "0.1", "nan", "-inf"]);
        assert_eq!([tuple(&[]), tuple(&[3]), tuple(&[3, 4])], ["()", "(3,)", "(3, 4)"]);
    }

    #[test]
    fn what_cannot_follow_a_dot_is_no_name() {
        for (text, is) in
            [("bn1", true), ("_x", true), ("1", false), ("like-all", false), ("in", false), ("", false)]
        {
            assert_eq!(is_name(text), is, "{text}");
        }
    }

    #[test]
    fn a_long_list_begins_a_line_with_every_group() {
        let items: Vec<String> = (0..8).map(|n| format!("1234567890.{n}")).collect();
        let lines: Vec<String> = list(&items, 4, 90).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[2].starts_with("    1234567890.4"), "{lines:?}");
        assert_eq!(list(&items[..2], 1, 90), "[1234567890.0, 1234567890.1]");
    }
}
