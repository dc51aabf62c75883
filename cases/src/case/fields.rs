//! What a case says of its fields, to filters and reports.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Action, Case};
use crate::format::LayerSpec;
use crate::yaml::Node;

/// Fields that a case has beside those of the format, for filters: the class, the names of the steps in
/// order, whether any forward happens in training mode, the number of layers, the layouts of inputs and gradients,
/// whether any layer holds a tensor in f16 or bf16 at any time, whether any input has no values, and whether any is of one
/// sample.
pub const DERIVED_FIELDS: [&str; 10] =
    ["suite", "name", "kind", "steps", "trains", "layers", "layouts", "half_layers", "empty", "one_sample"];

/// Fields that a case has a value of even where it does not write them.
const DEFAULTED_FIELDS: [&str; 11] = [
    "dtype",
    "seed",
    "tier",
    "layer.dtype",
    "layer.statistics_dtype",
    "layer.features",
    "layer.eps",
    "layer.momentum",
    "layer.affine",
    "layer.track_running_stats",
    "input.dtype",
];

/// The most bytes of a value in [`Case::all_fields`].
pub const LONGEST_FIELD: usize = 160;

/// What [`Case::all_fields`] leaves out, as it is what the case says of itself in words.
const WORDS: &str = "about";

impl Case {
    /// The value of a field for filters and reports: as written, or else the format's default. `None` when
    /// neither is there.
    pub fn field(&self, path: &str) -> Option<String> {
        self.field_of(&self.variant.fields(), path)
    }

    /// The same where the case's `fields` are at hand.
    fn field_of(&self, fields: &Node, path: &str) -> Option<String> {
        // What the resolved case says comes before what is written: null may stand for something.
        match path {
            "layer.dtype" => return Some(self.first().dtype.to_string()),
            "layer.statistics_dtype" => return Some(self.first().statistics_dtype.to_string()),
            "layer.features" => return Some(self.first().features.to_string()),
            _ => {}
        }
        if let Some((_, label)) = self.axes().find(|(axis, _)| *axis == path) {
            return Some(label.to_owned());
        }
        if let Some(node) = fields.at(path) {
            return Some(node.to_string());
        }
        // What is not written is the format's default.
        let layer = LayerSpec::default;
        Some(match path {
            "suite" => self.suite.to_string(),
            "name" => self.name.to_string(),
            "dtype" => self.dtype.to_string(),
            "seed" => self.seed.to_string(),
            "layer.eps" => layer().eps.to_string(),
            "layer.momentum" => layer().momentum.map_or_else(|| "null".to_owned(), |m| m.to_string()),
            "layer.affine" => layer().affine.to_string(),
            "layer.track_running_stats" => layer().track_running_stats.to_string(),
            "tier" => self.tier.name().to_owned(),
            "input.dtype" => self.input_dtype.to_string(),
            "kind" => format!("{:?}", self.first().kind),
            "layers" => self.layers.len().to_string(),
            "layouts" => self.layouts(),
            "half_layers" => self.has_half_layers().to_string(),
            "empty" => self.has_input(|shape| shape.contains(&0)).to_string(),
            "one_sample" => self.has_input(|shape| shape.first() == Some(&1)).to_string(),
            "steps" => self.script.iter().map(Action::name).collect::<Vec<_>>().join(" "),
            "trains" => self.trains().to_string(),
            _ => return None,
        })
    }

    /// All fields that [`Case::field`] knows of this case, by their dotted paths, with their values: axes, what is
    /// written, defaults and [`DERIVED_FIELDS`]. Values that are longer than [`LONGEST_FIELD`] are left out.
    pub fn all_fields(&self) -> BTreeMap<String, String> {
        let fields = self.variant.fields();
        let mut all = Vec::new();
        let mut value = Bounded(String::new());
        fields.visit(&mut |path, node| {
            // An axis has a label, and not more where that is too long.
            if path != WORDS && self.axes().all(|(axis, _)| axis != path) {
                value.0.clear();
                if write!(value, "{node}").is_ok() {
                    all.push((path.to_owned(), value.0.clone()));
                }
            }
        });
        // Of two values of a path the later one stays.
        let axes = self.axes().map(|(axis, _)| axis);
        for path in axes.chain(DERIVED_FIELDS).chain(DEFAULTED_FIELDS).filter(|path| *path != WORDS) {
            let value = self.field_of(&fields, path).filter(|value| value.len() <= LONGEST_FIELD);
            all.extend(value.map(|value| (path.to_owned(), value)));
        }
        all.into_iter().collect()
    }
}

/// A text of at most [`LONGEST_FIELD`] bytes: writing more fails.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, more: &str) -> std::fmt::Result {
        if self.0.len() + more.len() > LONGEST_FIELD {
            return Err(std::fmt::Error);
        }
        self.0.push_str(more);
        Ok(())
    }
}
