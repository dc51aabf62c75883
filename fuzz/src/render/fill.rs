//! Fills.

use bn_cases::format::{Along, Fill};

use super::{Fields, list, number};

pub(super) fn fill(fill: &Fill) -> String {
    let kind = |name: &str, fields: &[(&str, String)]| {
        let mut inner = Fields::default();
        for (key, value) in fields {
            inner.add(key, value);
        }
        format!("{{{name}: {}}}", inner.braced())
    };
    match fill {
        Fill::Normal { mean, std } => kind("normal", &[("mean", number(*mean)), ("std", number(*std))]),
        Fill::Uniform { low, high } => kind("uniform", &[("low", number(*low)), ("high", number(*high))]),
        Fill::Constant(value) => format!("{{constant: {}}}", number(*value)),
        Fill::Channels { mean, std } => kind("channels", &[("mean", numbers(mean)), ("std", numbers(std))]),
        Fill::Ramp { from, to, along } => {
            let along = match along {
                Along::Elements => "elements",
                Along::Batch => "batch",
                Along::Channel => "channel",
                Along::Spatial => "spatial",
            };
            kind("ramp", &[("from", number(*from)), ("to", number(*to)), ("along", along.to_owned())])
        }
        Fill::Exact { mean, step, adjacent } => {
            let mut fields = vec![("mean", number(*mean)), ("step", number(*step))];
            if *adjacent {
                fields.push(("adjacent", "true".to_owned()));
            }
            kind("exact", &fields)
        }
        Fill::Correlated { mean, strength, noise } => {
            let [mean, strength, noise] = [mean, strength, noise].map(|value| number(*value));
            kind("correlated", &[("mean", mean), ("strength", strength), ("noise", noise)])
        }
        Fill::Special { base, at } => {
            let places =
                at.iter().map(|place| format!("{{index: {:?}, value: {}}}", place.index, place.value.0));
            kind("special", &[("base", self::fill(base)), ("at", list(places))])
        }
        Fill::Values(values) => format!("{{values: {}}}", list(values.iter().map(|value| &value.0))),
        Fill::Bits(bits) => format!("{{bits: {}}}", list(bits.iter().map(|bits| &bits.0))),
    }
}

fn numbers(values: &[f64]) -> String {
    list(values.iter().map(|value| number(*value)))
}
