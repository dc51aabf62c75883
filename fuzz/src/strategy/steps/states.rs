//! State dictionaries.

use std::collections::BTreeMap;

use bn_cases::DType;
use bn_cases::case::{Layer, Slot};
use bn_cases::format::{Fill, LoadSpec};
use bn_cases::yaml::Literal;
use proptest::prelude::*;

use super::super::data::{self, FillPlan, MAX_WRITTEN};

/// The counter's name in a dictionary.
const COUNTER: &str = "num_batches_tracked";

/// A dictionary to load. Numbers are taken modulo how many there are to choose from.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// Which of those that were saved; nothing where it starts empty.
    from: Option<usize>,
    without: Vec<usize>,
    entries: Vec<(usize, Entry)>,
    old: bool,
    strict: bool,
}

#[derive(Debug, Clone)]
enum Entry {
    Tensor(FillPlan),
    /// One element more than there are channels.
    TooLong,
}

/// A dictionary that was saved: its name, and those of its entries.
pub type Saved = (String, Vec<String>);

pub fn load() -> BoxedStrategy<LoadPlan> {
    let tensor = prop_oneof![1 => data::moderate(&[1.0, 0.5, 2.0, 3.0]), 1 => data::variance()]
        .prop_map(|plan| plan.map_or(Entry::TooLong, Entry::Tensor));
    let entry = prop_oneof![4 => tensor, 1 => Just(Entry::TooLong)];
    let from = prop_oneof![4 => (0..2usize).prop_map(Some), 1 => Just(None)];
    let without = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(0..16usize, 1..3)];
    let entries = prop_oneof![
        2 => Just(Vec::new()),
        1 => prop::collection::vec((0..16usize, entry), 1..5),
    ];
    (from, without, entries, prop::bool::weighted(0.15), prop::bool::weighted(0.6))
        .prop_map(|(from, without, entries, old, strict)| LoadPlan { from, without, entries, old, strict })
        .boxed()
}

/// The names in the dictionary of these layers; `at` is the path of the part that holds them.
pub fn names(at: &str, layers: &[&Layer]) -> Vec<String> {
    entries(at, layers, Layer::has, |layer| layer.spec.track_running_stats)
}

fn entries(
    at: &str,
    layers: &[&Layer],
    has: impl Fn(&Layer, Slot) -> bool,
    counts: impl Fn(&Layer) -> bool,
) -> Vec<String> {
    let mut names = Vec::new();
    for layer in layers {
        let path = layer.path.strip_prefix(at).unwrap_or_default().trim_start_matches('.');
        let named = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        names.extend(Slot::ALL.iter().filter(|slot| has(layer, **slot)).map(|slot| named(slot.name())));
        names.extend(counts(layer).then(|| named(COUNTER)));
    }
    names
}

impl LoadPlan {
    /// The step, and whether an entry has another shape than the layers' tensor; nothing where there is nothing to
    /// load.
    pub fn fit(
        &self,
        at: Option<&str>,
        layers: &[&Layer],
        dtype: DType,
        saved: &[Saved],
    ) -> Option<(LoadSpec, bool)> {
        let from = self.from.filter(|_| !saved.is_empty()).map(|number| &saved[number % saved.len()]);
        let mut without = Vec::new();
        if let Some((_, names)) = from
            && !names.is_empty()
        {
            without.extend(self.without.iter().map(|number| names[number % names.len()].clone()));
            // What makes a dictionary an old one is that it has no counters.
            if self.old && without.is_empty() {
                without.extend(names.iter().filter(|name| name.ends_with(COUNTER)).cloned());
            }
        }
        // Those that a layer was constructed without are unexpected, and so is the last.
        let mut known = entries(at.unwrap_or_default(), layers, |_, _| true, |_| true);
        known.push("extra".to_owned());
        let mut new = BTreeMap::new();
        let mut misshapen = false;
        for (number, entry) in &self.entries {
            let number = number % known.len();
            let layer = layers.get(number / (Slot::ALL.len() + 1));
            let slot = Slot::ALL.get(number % (Slot::ALL.len() + 1));
            let fill = match (layer, slot, entry) {
                (Some(layer), Some(slot), Entry::Tensor(plan)) => {
                    plan.fit(layer.dtype_of(*slot), &[layer.features])
                }
                (Some(layer), Some(_), Entry::TooLong) if layer.features < MAX_WRITTEN => {
                    misshapen = true;
                    Some(Fill::Values(vec![Literal("1".to_owned()); layer.features + 1]))
                }
                (Some(_), None, _) => Some(Fill::Constant(7.0)),
                (None, _, Entry::Tensor(plan)) => plan.fit(dtype, &[1]),
                _ => None,
            };
            new.extend(fill.map(|fill| (known[number].clone(), fill)));
        }
        if from.is_none() && new.is_empty() {
            return None;
        }
        let load = LoadSpec {
            at: at.map(str::to_owned),
            from: from.map(|(name, _)| name.clone()),
            entries: new,
            without,
            version: if self.old { 1 } else { 2 },
            strict: self.strict,
        };
        Some((load, misshapen))
    }
}
