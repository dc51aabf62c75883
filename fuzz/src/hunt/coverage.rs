//! How much of what a case can be was reached: values of axes, and pairs of them.

use std::collections::BTreeSet;

use bn_cases::Case;
use bn_cases::case::{Action, Layer, Layout, Slot};
use bn_cases::format::Fill;
use bn_harness::finds::Coverage;
use serde::{Deserialize, Serialize};

/// An axis: its name, and its values.
struct Axis {
    name: &'static str,
    values: &'static [&'static str],
}

const fn axis(name: &'static str, values: &'static [&'static str]) -> Axis {
    Axis { name, values }
}

const TYPES: &[&str] = &["f16", "bf16", "f32", "f64"];

const FILLS: &[&str] = &[
    "as it is",
    "normal",
    "uniform",
    "constant",
    "channels",
    "ramp",
    "exact",
    "correlated",
    "special",
    "values",
    "bits",
];

const SIZES: &[&str] = &["0", "1", "2", "3", "to 8", "to 32", "to 64", "to 256", "more"];

/// What cases are told apart by.
const AXES: [Axis; 17] = [
    axis("rank", &["2", "3", "4", "5"]),
    axis("dtype", TYPES),
    axis("parameters", TYPES),
    axis("statistics", TYPES),
    axis("channels", &SIZES_WITHOUT_ZERO),
    axis("values a channel", SIZES),
    axis("batch", SIZES),
    axis("momentum", &["null", "0", "below 0", "to 1", "1", "above 1"]),
    axis("eps", &["not positive", "below 1e-7", "to 1e-4", "to 1", "above 1"]),
    axis("affine", &["no", "yes"]),
    axis("track_running_stats", &["no", "yes"]),
    axis("layers", &["1", "2", "3 or more"]),
    axis("input", FILLS),
    axis("weight", FILLS_OF_CHANNELS),
    axis("layout of the input", LAYOUTS),
    axis("layout of the gradient", LAYOUTS),
    axis(
        "step",
        &[
            "train",
            "eval",
            "forward",
            "forward (no_grad)",
            "backward",
            "freeze",
            "unfreeze",
            "requires_grad",
            "cast",
            "zero_grad",
            "sgd",
            "reset_running_stats",
            "set",
            "save_state",
            "load_state",
        ],
    ),
];

const SIZES_WITHOUT_ZERO: [&str; 8] = ["1", "2", "3", "to 8", "to 32", "to 64", "to 256", "more"];

const FILLS_OF_CHANNELS: &[&str] =
    &["as it is", "normal", "uniform", "constant", "channels", "ramp", "exact", "special", "values", "bits"];

const LAYOUTS: &[&str] = &["contiguous", "channels_last", "permuted", "sliced", "expanded"];

/// What some cases have reached: values by the number of their axis and their own, and pairs of these.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reached {
    values: BTreeSet<u16>,
    pairs: BTreeSet<(u16, u16)>,
}

impl Reached {
    /// What one case reaches.
    pub fn by(case: &Case) -> Self {
        let mut values = BTreeSet::new();
        let mut note = |name: &str, value: &str| {
            let axis = AXES.iter().position(|axis| axis.name == name);
            let value = axis.and_then(|axis| AXES[axis].values.iter().position(|known| *known == value));
            if let (Some(axis), Some(value)) = (axis, value) {
                values.insert(number_of(axis, value));
            }
        };
        note("dtype", case.dtype.name());
        for layer in case.layers.iter() {
            of_layer(layer, &mut note);
        }
        note(
            "layers",
            match case.layers.len() {
                1 => "1",
                2 => "2",
                _ => "3 or more",
            },
        );
        for action in case.script.iter() {
            note("step", action.name());
            match action {
                Action::Forward { input, .. } => {
                    let shape = &input.tensor.shape;
                    note("rank", &shape.len().to_string());
                    let values = |without: usize| -> usize {
                        let sizes = shape.iter().enumerate().filter(|(dimension, _)| *dimension != without);
                        sizes.map(|(_, size)| size).product()
                    };
                    note("values a channel", size(values(1)));
                    note("batch", size(shape.first().copied().unwrap_or(0)));
                    note("input", kind(Some(&input.tensor.fill)));
                    note("layout of the input", layout(input.layout));
                }
                Action::Backward { layout: of_gradient, .. } => {
                    note("layout of the gradient", layout(*of_gradient));
                }
                _ => {}
            }
        }
        let list: Vec<u16> = values.iter().copied().collect();
        let after = |place: usize, one: u16| {
            let others = list[place + 1..].iter().filter(move |other| axis_of(**other) != axis_of(one));
            others.map(move |other| (one, *other))
        };
        let pairs = list.iter().enumerate().flat_map(|(place, one)| after(place, *one)).collect();
        Reached { values, pairs }
    }

    /// Adds what other cases have reached.
    pub fn add(&mut self, other: &Reached) {
        self.values.extend(&other.values);
        self.pairs.extend(&other.pairs);
    }

    /// How much that is.
    pub fn coverage(&self) -> Coverage {
        let of_values: usize = AXES.iter().map(|axis| axis.values.len()).sum();
        let squares: usize = AXES.iter().map(|axis| axis.values.len().pow(2)).sum();
        Coverage {
            values: self.values.len(),
            of_values,
            pairs: self.pairs.len(),
            of_pairs: (of_values * of_values - squares) / 2,
        }
    }

    /// The values that no case has had, as `axis value`.
    pub fn missing(&self) -> Vec<String> {
        let values = AXES.iter().enumerate().flat_map(|(number, axis)| {
            axis.values
                .iter()
                .enumerate()
                .map(move |(value, word)| (number_of(number, value), axis.name, word))
        });
        let missing = values.filter(|(number, ..)| !self.values.contains(number));
        missing.map(|(_, axis, value)| format!("{axis} {value}")).collect()
    }
}

fn number_of(axis: usize, value: usize) -> u16 {
    (axis * 32 + value) as u16
}

fn axis_of(number: u16) -> u16 {
    number / 32
}

fn of_layer(layer: &Layer, note: &mut dyn FnMut(&str, &str)) {
    let spec = &layer.spec;
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    note("affine", yes(spec.affine));
    note("track_running_stats", yes(spec.track_running_stats));
    if spec.affine {
        note("parameters", layer.dtype.name());
        note("weight", kind(layer.fill(Slot::Weight)));
    }
    if spec.track_running_stats {
        note("statistics", layer.statistics_dtype.name());
    }
    note("channels", size(layer.features));
    note(
        "momentum",
        match spec.momentum {
            None => "null",
            Some(momentum) if momentum < 0.0 => "below 0",
            Some(0.0) => "0",
            Some(1.0) => "1",
            Some(momentum) if momentum < 1.0 => "to 1",
            Some(_) => "above 1",
        },
    );
    note(
        "eps",
        match spec.eps {
            eps if eps.is_nan() || eps <= 0.0 => "not positive",
            eps if eps < 1e-7 => "below 1e-7",
            eps if eps <= 1e-4 => "to 1e-4",
            eps if eps <= 1.0 => "to 1",
            _ => "above 1",
        },
    );
}

fn size(size: usize) -> &'static str {
    match size {
        0 => "0",
        1 => "1",
        2 => "2",
        3 => "3",
        4..=8 => "to 8",
        9..=32 => "to 32",
        33..=64 => "to 64",
        65..=256 => "to 256",
        _ => "more",
    }
}

fn layout(layout: Layout) -> &'static str {
    layout.name()
}

fn kind(fill: Option<&Fill>) -> &'static str {
    match fill {
        None => "as it is",
        Some(Fill::Normal { .. }) => "normal",
        Some(Fill::Uniform { .. }) => "uniform",
        Some(Fill::Constant(_)) => "constant",
        Some(Fill::Channels { .. }) => "channels",
        Some(Fill::Ramp { .. }) => "ramp",
        Some(Fill::Exact { .. }) => "exact",
        Some(Fill::Correlated { .. }) => "correlated",
        Some(Fill::Special { .. }) => "special",
        Some(Fill::Values(_)) => "values",
        Some(Fill::Bits(_)) => "bits",
    }
}

#[cfg(test)]
mod tests {
    use bn_cases::DType;

    use super::*;
    use crate::random;

    #[test]
    fn cases_by_chance_reach_every_value() {
        let mut reached = Reached::default();
        (0..2000).for_each(|number| reached.add(&Reached::by(&random::case(0, number))));
        // An input has a fill always, and a normal one where none is written; correlated are gradients alone.
        let missing: Vec<String> = reached.missing();
        assert_eq!(missing, ["input as it is", "input correlated"]);
        let Coverage { values, of_values, pairs, of_pairs } = reached.coverage();
        assert_eq!(values, of_values - missing.len());
        assert!(pairs > of_pairs * 3 / 4 && pairs < of_pairs, "{pairs} of {of_pairs}");
    }

    #[test]
    fn every_axis_has_room() {
        assert!(AXES.iter().all(|axis| axis.values.len() <= 32));
        assert!(DType::FLOATS.iter().all(|dtype| TYPES.contains(&dtype.name())));
    }
}
