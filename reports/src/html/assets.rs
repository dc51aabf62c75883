//! The style and the script of the page, and their hashes for its Content-Security-Policy. All of it is in this folder:
//! nothing is built, and nothing is taken from elsewhere.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// The style sheets, in their order.
const STYLES: [&str; 2] = [include_str!("assets/page.css"), include_str!("assets/plots.css")];

/// The files of the script, in their order.
const SCRIPTS: [&str; 20] = [
    include_str!("assets/js/dom.js"),
    include_str!("assets/js/format.js"),
    include_str!("assets/js/data.js"),
    include_str!("assets/js/filter.js"),
    include_str!("assets/js/order.js"),
    include_str!("assets/js/grid.js"),
    include_str!("assets/js/matrix.js"),
    include_str!("assets/js/numbers.js"),
    include_str!("assets/js/plots.js"),
    include_str!("assets/js/where.js"),
    include_str!("assets/js/heatmap.js"),
    include_str!("assets/js/picture.js"),
    include_str!("assets/js/kills.js"),
    include_str!("assets/js/overview.js"),
    include_str!("assets/js/steps.js"),
    include_str!("assets/js/case.js"),
    include_str!("assets/js/changes.js"),
    include_str!("assets/js/views.js"),
    include_str!("assets/js/keys.js"),
    include_str!("assets/js/main.js"),
];

/// A text that stands in an element of the page, and its hash.
#[derive(Debug)]
pub struct Asset {
    /// The text, as it stands between the element's tags.
    pub text: String,
    /// `sha256-…`, as a Content-Security-Policy names it.
    pub hash: String,
}

impl Asset {
    fn new(text: String) -> Self {
        let hash = format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())));
        Asset { text, hash }
    }
}

/// The style of the page.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new(STYLES.concat()));

/// The script of the page: its files in one function, so that they see each other and nobody else sees them.
pub static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(format!("(() => {{\n\"use strict\";\n{}\n}})();", SCRIPTS.join("\n"))));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_ends_its_element() {
        assert!(!STYLE.text.contains("</"));
        assert!(!SCRIPT.text.contains("</script") && !SCRIPT.text.contains("<!--"));
    }

    #[test]
    fn no_file_is_long() {
        for text in STYLES.iter().chain(&SCRIPTS) {
            let lines = text.lines().count();
            assert!(lines <= 500, "{lines} lines: {}", text.lines().next().unwrap_or_default());
        }
    }
}
