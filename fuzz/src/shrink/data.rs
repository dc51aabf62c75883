//! Plainer data: nearer to 1, with fewer digits, of a simpler kind.

use bn_cases::format::{CaseSpec, Fill};
use bn_cases::yaml::Literal;

use super::fills::{Of, Slot, each};
use crate::strategy::short;

/// Each fill in turn: none, a constant, a simpler kind, plainer numbers.
pub fn plainer(spec: &CaseSpec) -> Vec<CaseSpec> {
    let mut proposals: Vec<(usize, Option<Fill>)> = Vec::new();
    let mut number = 0;
    each(&mut spec.clone(), &mut |slot, of| {
        let (fill, optional) = match slot {
            Slot::Maybe(fill) => (fill.clone(), true),
            Slot::Must(fill) => (Some(fill.clone()), false),
        };
        if let Some(fill) = &fill {
            if optional {
                proposals.push((number, None));
            }
            proposals.extend(of_fill(fill, of).into_iter().map(|plain| (number, Some(plain))));
        }
        number += 1;
    });
    let replaced = |(number, plain): (usize, Option<Fill>)| {
        let mut spec = spec.clone();
        let mut here = 0;
        each(&mut spec, &mut |slot, _| {
            if here == number {
                match (slot, &plain) {
                    (Slot::Maybe(fill), plain) => fill.clone_from(plain),
                    (Slot::Must(fill), Some(plain)) => fill.clone_from(plain),
                    (Slot::Must(_), None) => {}
                }
            }
            here += 1;
        });
        spec
    };
    proposals.into_iter().map(replaced).collect()
}

fn of_fill(fill: &Fill, of: Of) -> Vec<Fill> {
    let mut plain: Vec<Fill> = [1.0, 0.0, 2.0, -1.0].map(Fill::Constant).to_vec();
    if of != Of::Channels {
        plain.push(Fill::Ramp { from: -1.0, to: 1.0, along: bn_cases::format::Along::Elements });
        plain.push(Fill::Normal { mean: 0.0, std: 1.0 });
    }
    match fill {
        Fill::Constant(value) => plain.extend(of_number(*value).into_iter().map(Fill::Constant)),
        Fill::Normal { mean, std } => {
            plain.push(Fill::Constant(*mean));
            plain.extend(pairs(*mean, *std).map(|(mean, std)| Fill::Normal { mean, std }));
        }
        Fill::Uniform { low, high } => {
            plain.push(Fill::Constant(*high));
            plain.extend(pairs(*low, *high).map(|(low, high)| Fill::Uniform { low, high }));
        }
        Fill::Ramp { from, to, along } => {
            plain.push(Fill::Constant(*from));
            plain.push(Fill::Constant(*to));
            plain.push(Fill::Ramp { from: *from, to: *to, along: bn_cases::format::Along::Elements });
            plain.extend(pairs(*from, *to).map(|(from, to)| Fill::Ramp { from, to, along: *along }));
        }
        Fill::Exact { mean, step, adjacent } => {
            plain.push(Fill::Constant(*mean));
            plain.push(Fill::Exact { mean: *mean, step: *step, adjacent: false });
            plain.extend(pairs(*mean, *step).map(|(mean, step)| Fill::Exact {
                mean,
                step,
                adjacent: *adjacent,
            }));
        }
        Fill::Channels { mean, std } => {
            let first = (mean.first().copied().unwrap_or(0.0), std.first().copied().unwrap_or(1.0));
            plain.push(Fill::Normal { mean: first.0, std: first.1 });
            for (mean, std) in mean.iter().zip(std) {
                plain.push(Fill::Normal { mean: *mean, std: *std });
            }
            plain.extend(lists(mean).map(|mean| Fill::Channels { mean, std: std.clone() }));
            plain.extend(lists(std).map(|std| Fill::Channels { mean: mean.clone(), std }));
        }
        Fill::Correlated { mean, strength, noise } => {
            let [mean, strength, noise] = [*mean, *strength, *noise];
            plain.push(Fill::Normal { mean, std: noise });
            plain.extend(of_number(mean).into_iter().map(|mean| Fill::Correlated { mean, strength, noise }));
            plain.extend(of_number(strength).into_iter().map(|strength| Fill::Correlated {
                mean,
                strength,
                noise,
            }));
            plain.extend(of_number(noise).into_iter().map(|noise| Fill::Correlated {
                mean,
                strength,
                noise,
            }));
        }
        Fill::Special { base, at } => {
            plain.push((**base).clone());
            for place in 0..at.len() {
                let mut fewer = at.clone();
                fewer.remove(place);
                plain.push(Fill::Special { base: base.clone(), at: fewer });
            }
            plain.extend(
                of_fill(base, of)
                    .into_iter()
                    .map(|base| Fill::Special { base: Box::new(base), at: at.clone() }),
            );
        }
        Fill::Values(values) => {
            for (place, value) in values.iter().enumerate() {
                for plainer in ["1", "0", "2"].into_iter().filter(|plainer| value.0 != *plainer) {
                    let mut values = values.clone();
                    values[place] = Literal(plainer.to_owned());
                    plain.push(Fill::Values(values));
                }
            }
        }
        Fill::Bits(_) => {}
    }
    plain
}

/// Lists with fewer entries, or with plainer ones.
fn lists(list: &[f64]) -> impl Iterator<Item = Vec<f64>> {
    let fewer = (list.len() > 1).then(|| list[..list.len() / 2].to_vec());
    let one_fewer = (list.len() > 1).then(|| list[1..].to_vec());
    let plainer = list
        .iter()
        .enumerate()
        .flat_map(|(place, value)| of_number(*value).into_iter().map(move |plain| (place, plain)));
    let list = list.to_vec();
    let plainer = plainer
        .map(move |(place, plain)| {
            let mut list = list.clone();
            list[place] = plain;
            list
        })
        .collect::<Vec<_>>();
    fewer.into_iter().chain(one_fewer).chain(plainer)
}

fn pairs(one: f64, other: f64) -> impl Iterator<Item = (f64, f64)> {
    let first = of_number(one).into_iter().map(move |one| (one, other));
    first.chain(of_number(other).into_iter().map(move |other| (one, other)))
}

/// Plainer numbers than this: 0, ±1, the power of ten half as far from 1, nearer to 1 by ten, fewer digits.
fn of_number(number: f64) -> Vec<f64> {
    if !number.is_finite() {
        return vec![0.0, 1.0];
    }
    let mut plain = vec![0.0, 1.0, number.signum()];
    if number != 0.0 {
        let decade = number.abs().log10();
        plain.push(short(10_f64.powf((decade / 2.0).trunc())).copysign(number));
        plain.push(short(10_f64.powf(decade.round())).copysign(number));
        plain.push(short(if decade > 0.0 { number / 10.0 } else { number * 10.0 }));
        plain.push(one_digit(number));
        plain.push(short(number));
        plain.push(number.abs());
    }
    plain.retain(|plain| *plain != number && plain.is_finite());
    plain.dedup();
    plain
}

/// Rounded to one digit.
fn one_digit(number: f64) -> f64 {
    format!("{number:.0e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_plainer_by_digits_and_by_decades() {
        let plain = of_number(-12345.678);
        for due in [0.0, 1.0, -1.0, -100.0, -1e4, -1230.0] {
            assert!(plain.contains(&due), "{due} is not in {plain:?}");
        }
        assert!(!of_number(1.0).contains(&1.0));
    }
}
