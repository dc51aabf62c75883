//! Texts from elsewhere within Markdown, and a page that does not grow beyond its limit.

use crate::style::{cut, harmless};

use super::ROWS;

/// Characters of a text at most.
const SHOWN: usize = 200;

/// Backticks in a row at most; GitHub's parser does not count beyond 80.
const TICKS: usize = 8;

/// A text as a code span, in which nothing is markup, a link or a mention. It may stand in a cell of a table.
pub fn code(text: &str) -> String {
    // Rows of a table are cut at bars before anything else is read, those in code as well.
    let mut text = shown(text).replace('|', r"\u{7c}");
    let mut ticks = longest_run_of_ticks(&text);
    if ticks > TICKS {
        text = text.replace('`', r"\u{60}");
        ticks = 0;
    }
    if text.is_empty() {
        return "–".to_owned();
    }
    let fence = "`".repeat(ticks + 1);
    // One space on either side is not part of the code.
    let touches = |c: char| c == '`' || c == ' ';
    let space = if text.starts_with(touches) || text.ends_with(touches) { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// A text as code within a block of HTML.
pub fn html(text: &str) -> String {
    let mut escaped = "<code>".to_owned();
    for c in shown(text).chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c => escaped.push(c),
        }
    }
    escaped + "</code>"
}

/// A text within a line, shorter than elsewhere.
fn shown(text: &str) -> String {
    harmless(&cut(text, SHOWN)).replace('\n', r"\n").replace('\t', r"\t")
}

fn longest_run_of_ticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// A page of limited size: once something has had no room, nothing after it has.
pub struct Page {
    text: String,
    limit: usize,
    is_full: bool,
}

impl Page {
    /// An empty page of at most so many bytes, what [`Page::note`] adds apart.
    pub fn of(limit: usize) -> Self {
        Page { text: String::new(), limit, is_full: false }
    }

    /// Whether so many bytes more have room.
    pub fn has_room(&self, bytes: usize) -> bool {
        !self.is_full && self.text.len() + bytes <= self.limit
    }

    /// Whether something had no room.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Adds a text, unless it has no room.
    pub fn push(&mut self, text: &str) -> bool {
        let fits = self.has_room(text.len());
        if fits {
            self.text += text;
        }
        self.is_full |= !fits;
        fits
    }

    /// Adds the first of so many lines, and how many there are more in place of `{}`.
    pub fn list(&mut self, count: usize, lines: impl Iterator<Item = String>, more: &str) {
        if self.is_full {
            return;
        }
        let shown = lines.take(ROWS).take_while(|line| self.push(line)).count();
        if shown < count {
            self.note(&more.replace("{}", &(count - shown).to_string()));
        }
    }

    /// Adds a few words for which there is always room.
    pub fn note(&mut self, text: &str) {
        self.text += text;
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_holds_any_text() {
        for (text, shown) in [
            ("a", "`a`"),
            ("", "–"),
            ("a `b` c", "``a `b` c``"),
            ("`a`", "`` `a` ``"),
            ("a``b", "```a``b```"),
            (" a", "`  a `"),
            ("a|b\nc", r"`a\u{7c}b\nc`"),
            ("```````````", r"`\u{60}\u{60}\u{60}\u{60}\u{60}\u{60}\u{60}\u{60}\u{60}\u{60}\u{60}`"),
        ] {
            assert_eq!(code(text), shown);
        }
    }

    #[test]
    fn html_is_text_only() {
        assert_eq!(html("<a b='c'>&\"\u{202e}"), r"<code>&lt;a b=&#39;c&#39;&gt;&amp;&quot;\u{202e}</code>");
    }

    #[test]
    fn a_page_takes_what_has_room_and_counts_the_rest() {
        let mut page = Page::of(20);
        assert!(page.push("head\n"));
        let lines = || (1..=4).map(|number| format!("line{number}\n"));
        page.list(4, lines(), "… and {} more\n");
        assert!(page.is_full() && !page.has_room(0));
        page.list(4, lines(), "… and {} more\n");
        assert_eq!(page.into_text(), "head\nline1\nline2\n… and 2 more\n");
    }
}
