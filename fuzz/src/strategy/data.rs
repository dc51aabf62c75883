//! Data of inputs and gradients.

use bn_cases::DType;
use bn_cases::format::{Along, Fill, Place};
use bn_cases::yaml::Literal;
use proptest::prelude::*;

use super::MAX_ELEMENTS;
use super::number::{fit, magnitude, short, signed};

/// The shares of a dtype's range that means and spreads may take: mean + 8.6 spreads stay inside.
const MEAN_SHARE: f64 = 0.25;
const STD_SHARE: f64 = 0.05;

/// The most elements that are written out.
pub const MAX_WRITTEN: usize = 24;

/// A tensor's content before it fits its dtype and shape. `None` is the format's default.
#[derive(Debug, Clone)]
pub struct FillPlan {
    base: Option<Base>,
    specials: Vec<(usize, Special)>,
}

#[derive(Debug, Clone)]
enum Base {
    Normal(f64, f64),
    Uniform(f64, f64),
    Constant(f64),
    Channels(Vec<Profile>),
    Ramp(f64, f64, Along),
    Exact { mean: i32, step: i32, adjacent: bool },
    Correlated(f64, f64, f64),
    Values(Vec<f64>),
    Bits(Vec<u64>),
}

/// One channel: its mean, and how far its values lie apart.
#[derive(Debug, Clone)]
struct Profile {
    mean: f64,
    spread: Spread,
}

#[derive(Debug, Clone)]
enum Spread {
    /// Whatever the mean.
    Of(f64),
    /// The mean over this: the channel's condition number.
    Kappa(f64),
    /// A constant channel.
    None,
}

#[derive(Debug, Clone, Copy)]
enum Special {
    Written(&'static str),
    SmallestSubnormal,
    Largest,
    Outlier(f64),
}

fn profile() -> BoxedStrategy<Profile> {
    let kappa = prop::sample::select(vec![1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7]);
    let spread = prop_oneof![
        3 => magnitude().prop_map(Spread::Of),
        5 => kappa.prop_map(Spread::Kappa),
        1 => Just(Spread::None),
    ];
    (signed(), spread).prop_map(|(mean, spread)| Profile { mean, spread }).boxed()
}

fn along() -> BoxedStrategy<Along> {
    prop::sample::select(vec![Along::Elements, Along::Batch, Along::Channel, Along::Spatial]).boxed()
}

fn special() -> BoxedStrategy<Special> {
    prop_oneof![
        3 => prop::sample::select(vec!["0", "-0.0", "1", "-1"]).prop_map(Special::Written),
        3 => prop::sample::select(vec![".nan", ".inf", "-.inf"]).prop_map(Special::Written),
        2 => Just(Special::SmallestSubnormal),
        1 => Just(Special::Largest),
        3 => signed().prop_map(Special::Outlier),
    ]
    .boxed()
}

fn specials() -> BoxedStrategy<Vec<(usize, Special)>> {
    prop_oneof![
        6 => Just(Vec::new()),
        // Places are taken modulo the number of elements.
        1 => prop::collection::vec((0..2 * MAX_ELEMENTS, special()), 1..4),
    ]
    .boxed()
}

fn base() -> BoxedStrategy<Base> {
    prop_oneof![
        2 => (signed(), magnitude()).prop_map(|(mean, std)| Base::Normal(mean, std)),
        6 => prop::collection::vec(profile(), 1..6).prop_map(Base::Channels),
        1 => signed().prop_map(Base::Constant),
        1 => (signed(), magnitude()).prop_map(|(low, width)| Base::Uniform(low, width)),
        2 => (signed(), signed(), along()).prop_map(|(from, to, along)| Base::Ramp(from, to, along)),
        2 => (-200..=200i32, -4..=3i32, any::<bool>())
            .prop_map(|(mean, step, adjacent)| Base::Exact { mean, step, adjacent }),
        1 => prop::collection::vec(signed(), 1..MAX_WRITTEN).prop_map(Base::Values),
        1 => prop::collection::vec(any::<u64>(), 1..MAX_WRITTEN).prop_map(Base::Bits),
    ]
    .boxed()
}

/// Inputs.
pub fn input() -> BoxedStrategy<FillPlan> {
    let base = prop_oneof![1 => Just(None), 19 => base().prop_map(Some)];
    (base, specials()).prop_map(|(base, specials)| FillPlan { base, specials }).boxed()
}

/// Gradients; half of them follow the input.
pub fn grad() -> BoxedStrategy<Option<FillPlan>> {
    let share = || prop_oneof![1 => Just(0.0), 3 => Just(1.0), 2 => signed()];
    let correlated = (share(), share(), share())
        .prop_map(|(mean, strength, noise)| Base::Correlated(mean, strength, noise));
    let base = prop_oneof![1 => correlated, 1 => base()];
    let plan = (base, specials()).prop_map(|(base, specials)| FillPlan { base: Some(base), specials });
    prop_oneof![1 => Just(None), 3 => plan.prop_map(Some)].boxed()
}

/// The contents of a parameter: every channel its own number.
pub fn parameter() -> BoxedStrategy<Option<FillPlan>> {
    let distinct = prop::collection::vec(signed(), 1..6).prop_map(per_channel);
    let base = prop_oneof![
        4 => distinct,
        1 => signed().prop_map(Base::Constant),
        1 => (signed(), magnitude()).prop_map(|(mean, std)| Base::Normal(mean, std)),
        1 => (signed(), signed()).prop_map(|(from, to)| Base::Ramp(from, to, Along::Elements)),
        1 => prop_oneof![
            (signed(), magnitude()).prop_map(|(low, width)| Base::Uniform(low, width)),
            (-200..=200i32, -4..=3i32)
                .prop_map(|(mean, step)| Base::Exact { mean, step, adjacent: false }),
            prop::collection::vec(signed(), 1..MAX_WRITTEN).prop_map(Base::Values),
            prop::collection::vec(any::<u64>(), 1..MAX_WRITTEN).prop_map(Base::Bits),
        ],
    ];
    optional(base).boxed()
}

/// The contents of a variance: not below zero, but where a special value is.
pub fn variance() -> BoxedStrategy<Option<FillPlan>> {
    let own = prop_oneof![1 => Just(0.0), 1 => Just(1e-12), 8 => magnitude()];
    let base = prop_oneof![
        4 => prop::collection::vec(own, 1..6).prop_map(per_channel),
        1 => magnitude().prop_map(Base::Constant),
        1 => magnitude().prop_map(|width| Base::Uniform(0.0, width)),
    ];
    optional(base).boxed()
}

/// The contents of a tensor of a layer in a model: a few of these numbers in some order.
pub fn moderate(numbers: &'static [f64]) -> BoxedStrategy<Option<FillPlan>> {
    let distinct = prop::collection::vec(prop::sample::select(numbers), 1..6);
    optional(distinct.prop_map(per_channel)).boxed()
}

fn per_channel(means: Vec<f64>) -> Base {
    Base::Channels(means.into_iter().map(|mean| Profile { mean, spread: Spread::None }).collect())
}

fn optional(base: impl Strategy<Value = Base> + 'static) -> BoxedStrategy<Option<FillPlan>> {
    let specials = prop_oneof![
        30 => Just(Vec::new()),
        1 => prop::collection::vec((0..MAX_ELEMENTS, special()), 1..3),
    ];
    let plan = (base, specials).prop_map(|(base, specials)| FillPlan { base: Some(base), specials });
    prop_oneof![2 => Just(None), 3 => plan.prop_map(Some)].boxed()
}

impl FillPlan {
    /// The fill for a tensor of this dtype and shape.
    pub fn fit(&self, dtype: DType, shape: &[usize]) -> Option<Fill> {
        let base = self.base.as_ref().map(|base| base.fit(dtype, shape));
        if self.specials.is_empty() {
            return base;
        }
        let base = base.unwrap_or(Fill::Normal { mean: 0.0, std: 1.0 });
        // Where there is no element none is special.
        if shape.contains(&0) {
            return Some(base);
        }
        let base = Box::new(base);
        let at = self
            .specials
            .iter()
            .map(|&(place, special)| Place { index: position(place, shape), value: special.literal(dtype) });
        Some(Fill::Special { base, at: at.collect() })
    }
}

impl Base {
    fn fit(&self, dtype: DType, shape: &[usize]) -> Fill {
        let elements: usize = shape.iter().product();
        let mean = |value: f64| fit(value, dtype, MEAN_SHARE);
        let std = |value: f64| fit(value, dtype, STD_SHARE);
        let written = |count: usize| count.min(elements).max(1);
        match self {
            Base::Normal(middle, spread) => Fill::Normal { mean: mean(*middle), std: std(*spread) },
            Base::Uniform(low, width) => {
                let low = mean(*low);
                // A width that the low end swallows is no interval.
                let high = [low + mean(*width), low.next_up()].into_iter().fold(low, f64::max);
                Fill::Uniform { low, high }
            }
            Base::Constant(value) => Fill::Constant(mean(*value)),
            Base::Channels(profiles) => Fill::Channels {
                mean: profiles.iter().map(|profile| mean(profile.mean)).collect(),
                std: profiles.iter().map(|profile| std(profile.std(mean(profile.mean)))).collect(),
            },
            Base::Ramp(from, to, along) => Fill::Ramp { from: mean(*from), to: mean(*to), along: *along },
            Base::Exact { mean, step, adjacent } => {
                let step = 2f64.powi(*step);
                Fill::Exact { mean: f64::from(*mean) * step, step, adjacent: *adjacent }
            }
            Base::Correlated(level, strength, noise) => {
                // x̂ reaches √n ≤ 45, the noise 8.6.
                let part = |value: f64| fit(value, dtype, 0.01);
                Fill::Correlated { mean: part(*level), strength: part(*strength), noise: part(*noise) }
            }
            Base::Values(_) | Base::Bits(_) if elements > MAX_WRITTEN => Fill::Normal { mean: 0.0, std: 1.0 },
            Base::Values(values) => Fill::Values(
                (0..elements)
                    .map(|index| fit(values[index % written(values.len())], dtype, 1.0))
                    .map(|value| literal(dtype.round(value), dtype))
                    .collect(),
            ),
            Base::Bits(bits) => {
                let digits = dtype.size() * 2;
                let mask = u64::MAX >> (64 - dtype.size() * 8);
                let pattern = |index: usize| bits[index % written(bits.len())] & mask;
                Fill::Bits(
                    (0..elements).map(|index| Literal(format!("0x{:0digits$x}", pattern(index)))).collect(),
                )
            }
        }
    }
}

impl Profile {
    fn std(&self, mean: f64) -> f64 {
        match self.spread {
            Spread::Of(std) => std,
            Spread::Kappa(kappa) => short(mean.abs() / kappa),
            Spread::None => 0.0,
        }
    }
}

impl Special {
    fn literal(self, dtype: DType) -> Literal {
        match self {
            // Integers have no NaN, and one zero.
            Special::Written(text) if !dtype.is_float() && text.parse::<i64>().is_err() => {
                literal(0.0, dtype)
            }
            Special::Written(text) => Literal(text.to_owned()),
            Special::SmallestSubnormal => literal(dtype.smallest_subnormal(), dtype),
            Special::Largest => literal(dtype.max_finite(), dtype),
            Special::Outlier(value) => literal(fit(value, dtype, 1.0), dtype),
        }
    }
}

fn literal(value: f64, dtype: DType) -> Literal {
    Literal(if dtype.is_float() { crate::render::number(value) } else { (value as i64).to_string() })
}

fn position(place: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = place % shape.iter().product::<usize>().max(1);
    let mut index = vec![0; shape.len()];
    for (index, &size) in index.iter_mut().zip(shape).rev() {
        *index = rest % size;
        rest /= size;
    }
    index
}
