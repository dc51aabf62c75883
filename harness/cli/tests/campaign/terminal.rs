//! What workers say, in places where it could do harm.

use crate::runs::{Campaign, Suite, read};

const SUITE: Suite = Suite { dtypes: &["f32"], shapes: &["[8, 3]"], seeds: 3 };

/// Characters that move a cursor, ring, end a text or turn it round.
fn harmful(text: &str) -> Option<char> {
    text.chars().find(|c| match c {
        '\n' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => true,
        c => c.is_control(),
    })
}

/// Its name is harmless; its version, its complaints and its last words are not.
pub fn harmless() {
    let campaign = Campaign::over(&SUITE)
        .with("flood", &["alone", "flood-of-words", "1"])
        .with("complaint", &["alone", "long-complaint", "2"])
        .with("words", &["alone", "words-that-are-no-text", "3"]);
    for format in ["human", "json", "junit", "github"] {
        let ran = campaign.run(&["reference"], &["--jobs", "1", "--format", format]);
        let results = ran.by_backend();
        assert_eq!(results["flood"][0].verdict, "crash", "{}", results["flood"][0].reason);
        assert_eq!(results["complaint"][1].verdict, "error");
        // Where it is data, it is what was said.
        assert!(results["flood"][0].reason.contains("\u{1b}[2J"), "{}", results["flood"][0].reason);
        let mut shown = vec![(format.to_owned(), ran.ended.stdout), ("stderr".to_owned(), ran.ended.stderr)];
        for name in ["report.html", "junit.xml", "summary.md"] {
            shown.push((name.to_owned(), read(&ran.out.join(name))));
        }
        for (place, text) in shown {
            if place == "json" {
                // As JSON has it.
                assert!(!text.contains('\u{1b}') && !text.contains('\0'), "{place}");
                continue;
            }
            assert_eq!(harmful(&text), None, "{format}: {place}");
            assert!(text.len() < 2_000_000, "{place} has {} bytes", text.len());
        }
        campaign.leaves_nothing_behind();
    }
}
