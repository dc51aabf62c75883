//! The accessibility check: axe-core, all the rules that it has on by default.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::json;

use crate::page::Page;

/// A rule that is broken, and where.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Violation {
    /// The rule.
    pub id: String,
    /// What it asks.
    pub help: String,
    /// The elements: a selector, and what is wrong, each.
    pub places: Vec<(String, String)>,
}

impl Page {
    /// Lets axe run in what is opened from now on: it writes styles, which the report's policy forbids.
    pub fn allow_axe(&self) {
        self.bypass_policy();
    }

    /// What axe finds wrong with the page as it is now.
    #[track_caller]
    pub fn axe(&self) -> Vec<Violation> {
        if !self.get::<bool>("Boolean(window.axe)") {
            let script = std::env::var_os("BNCHECK_AXE")
                .map(PathBuf::from)
                .expect("BNCHECK_AXE does not say where axe.min.js is; `just browser` sets it");
            let script = std::fs::read_to_string(&script)
                .unwrap_or_else(|error| panic!("{} cannot be read: {error}", script.display()));
            self.call("Runtime.evaluate", json!({"expression": script}));
        }
        self.get(
            "axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations.map((rule) => ({
                id: rule.id,
                help: rule.help,
                places: rule.nodes.slice(0, 5).map((node) => [
                    node.target.join(' '),
                    node.failureSummary.replaceAll('\\n', ' '),
                ]),
            })))",
        )
    }

    /// How many rules axe found something to check with; a check of an empty page would find nothing wrong either.
    #[track_caller]
    pub fn axe_rules_that_passed(&self) -> Vec<String> {
        self.get("axe.run(document, {resultTypes: ['passes']}).then((found) => found.passes.map((rule) => rule.id))")
    }
}
