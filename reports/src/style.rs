//! Colours of the terminal, always beside a word that says the same.

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

/// A text that comes from a file or a process, with control characters made visible, so that it cannot move
/// the cursor or change colours.
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\n' | '\t') || !is_hostile(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
    }
    shown
}

/// The same for a text that stands within a line: a name, a path.
pub fn one_line(text: &str) -> String {
    harmless(text).replace('\n', r"\n").replace('\t', r"\t")
}

/// Control characters, and those that change the direction of text, break lines or have no width.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}
