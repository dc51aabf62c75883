//! How much of what a case can be was reached: values of axes, and pairs of them.

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
    axis("channels", SIZES),
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

const FILLS_OF_CHANNELS: &[&str] =
    &["as it is", "normal", "uniform", "constant", "channels", "ramp", "exact", "special", "values", "bits"];

const LAYOUTS: &[&str] = &["contiguous", "channels_last", "permuted", "sliced", "expanded"];

/// What some cases have reached: for each value, by its number among those of all axes, the values that came with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reached {
    #[serde(with = "as_hex")]
    with: Vec<u128>,
}

impl Reached {
    /// What one case reaches.
    pub fn by(case: &Case) -> Self {
        let mut reached = 0_u128;
        let mut note = |name: &str, value: &str| {
            let axis = AXES.iter().position(|axis| axis.name == name);
            let value = axis.and_then(|axis| AXES[axis].values.iter().position(|known| *known == value));
            if let (Some(axis), Some(value)) = (axis, value) {
                reached |= 1 << (first_of(axis) + value);
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
        let with = |value: usize| if reached >> value & 1 == 1 { reached } else { 0 };
        Reached { with: (0..VALUES).map(with).collect() }
    }

    /// Adds what other cases have reached.
    pub fn add(&mut self, other: &Reached) {
        self.with.resize(VALUES, 0);
        for (known, new) in self.with.iter_mut().zip(&other.with) {
            *known |= new;
        }
    }

    fn has(&self, value: usize) -> bool {
        self.with.get(value).is_some_and(|with| *with != 0)
    }

    /// How much that is.
    pub fn coverage(&self) -> Coverage {
        let squares: usize = AXES.iter().map(|axis| axis.values.len().pow(2)).sum();
        let of_other_axes = |(axis, value): (usize, usize)| {
            let (first, count) = (first_of(axis), AXES[axis].values.len());
            let own = ((1_u128 << count) - 1) << first;
            self.with.get(value).map_or(0, |with| (with & !own).count_ones() as usize)
        };
        Coverage {
            values: (0..VALUES).filter(|value| self.has(*value)).count(),
            of_values: VALUES,
            // Each pair was counted from both sides.
            pairs: each_value().map(of_other_axes).sum::<usize>() / 2,
            of_pairs: (VALUES * VALUES - squares) / 2,
        }
    }

    /// The values that no case has had, as `axis value`.
    pub fn missing(&self) -> Vec<String> {
        let missing = each_value().filter(|(_, value)| !self.has(*value));
        missing
            .map(|(axis, value)| format!("{} {}", AXES[axis].name, AXES[axis].values[value - first_of(axis)]))
            .collect()
    }
}

/// How many values all axes have together.
const VALUES: usize = first_of(AXES.len());

// Each value is a bit of a row.
const _: () = assert!(VALUES <= 128);

/// The number of an axis' first value.
const fn first_of(axis: usize) -> usize {
    let (mut first, mut before) = (0, 0);
    while before < axis {
        first += AXES[before].values.len();
        before += 1;
    }
    first
}

/// All values: the number of the axis, and their own.
fn each_value() -> impl Iterator<Item = (usize, usize)> {
    let of_axis = |axis: usize| (first_of(axis)..first_of(axis + 1)).map(move |value| (axis, value));
    (0..AXES.len()).flat_map(of_axis)
}

/// JSON has no numbers of 128 bits that others read.
mod as_hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub fn serialize<S: Serializer>(bits: &[u128], serializer: S) -> Result<S::Ok, S::Error> {
        bits.iter().map(|bits| format!("{bits:x}")).collect::<Vec<_>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u128>, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        words.iter().map(|word| u128::from_str_radix(word, 16).map_err(de::Error::custom)).collect()
    }
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
    fn every_type_is_a_value() {
        assert!(DType::FLOATS.iter().all(|dtype| TYPES.contains(&dtype.name())));
    }
}
