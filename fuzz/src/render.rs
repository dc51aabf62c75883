//! Writes a case as the YAML suite that [`bn_cases::load_str`] reads back as the same case.

use std::fmt::Write as _;

use bn_cases::format::{Along, CaseSpec, Fill, InputSpec, LayerSpec, Mode, Step};
use bn_cases::yaml::Literal;

/// The name of the one case of a rendered suite.
pub const CASE: &str = "found";

/// A suite of one case. `suite` is its name; fields with their default are left out where that is shorter.
pub fn suite(suite: &str, spec: &CaseSpec) -> String {
    let mut text = format!("suite: {suite}\ncases:\n  - name: {CASE}\n");
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "    {key}: {value}");
    };
    if spec.seed != 0 {
        line("seed", spec.seed.to_string());
    }
    line("dtype", spec.dtype.to_string());
    line("layer", layer(&spec.layer));
    line("input", input(&spec.input));
    if let Some(grad) = &spec.grad {
        line("grad", fill(grad));
    }
    if let Some(mode) = spec.mode {
        line(
            "mode",
            match mode {
                Mode::Train => "train",
                Mode::Eval => "eval",
            }
            .to_owned(),
        );
    }
    for (number, step) in spec.steps.iter().flatten().enumerate() {
        if number == 0 {
            text.push_str("    steps:\n");
        }
        let _ = writeln!(text, "      - {}", self::step(step));
    }
    text
}

/// A number in the shorter of its two exact forms.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let (plain, scientific) = (format!("{value:?}"), format!("{value:e}"));
    let plain = plain.strip_suffix(".0").filter(|_| value != 0.0).unwrap_or(&plain).to_owned();
    if plain.len() <= scientific.len() { plain } else { scientific }
}

fn layer(layer: &LayerSpec) -> String {
    let mut fields = Vec::new();
    let mut field = |key: &str, value: String| fields.push(format!("{key}: {value}"));
    if let Some(kind) = layer.kind {
        field("kind", format!("{kind:?}"));
    }
    if let Some(features) = layer.features {
        field("features", features.to_string());
    }
    field("eps", number(layer.eps));
    field("momentum", layer.momentum.map_or_else(|| "null".to_owned(), number));
    if !layer.affine {
        field("affine", "false".to_owned());
    }
    if !layer.track_running_stats {
        field("track_running_stats", "false".to_owned());
    }
    if let Some(dtype) = layer.dtype {
        field("dtype", dtype.to_string());
    }
    let contents = [
        ("weight", &layer.weight),
        ("bias", &layer.bias),
        ("running_mean", &layer.running_mean),
        ("running_var", &layer.running_var),
    ];
    for (key, content) in contents {
        if let Some(content) = content {
            field(key, fill(content));
        }
    }
    if let Some(count) = layer.num_batches_tracked {
        field("num_batches_tracked", count.to_string());
    }
    braced(&fields)
}

fn input(input: &InputSpec) -> String {
    let mut fields = Vec::new();
    if let Some(shape) = &input.shape {
        fields.push(format!("shape: {shape:?}"));
    }
    if let Some(own) = &input.fill {
        fields.push(format!("fill: {}", fill(own)));
    }
    braced(&fields)
}

fn step(step: &Step) -> String {
    match step {
        Step::Train => "train".to_owned(),
        Step::Eval => "eval".to_owned(),
        Step::Forward { no_grad: false, input: None } => "forward".to_owned(),
        Step::Forward { no_grad, input: own } => {
            let mut fields = Vec::new();
            if *no_grad {
                fields.push("no_grad: true".to_owned());
            }
            fields.extend(own.as_ref().map(|own| format!("input: {}", input(own))));
            format!("forward: {}", braced(&fields))
        }
        Step::Backward { grad: None } => "backward".to_owned(),
        Step::Backward { grad: Some(own) } => format!("backward: {{grad: {}}}", fill(own)),
        Step::ZeroGrad => "zero_grad".to_owned(),
        Step::Sgd { lr } => format!("sgd: {{lr: {}}}", number(*lr)),
        Step::ResetRunningStats => "reset_running_stats".to_owned(),
        Step::Set { momentum, eps, track_running_stats } => {
            let momentum = momentum.map(|momentum| momentum.map_or_else(|| "null".to_owned(), number));
            let fields = [
                momentum.map(|momentum| format!("momentum: {momentum}")),
                eps.map(|eps| format!("eps: {}", number(eps))),
                track_running_stats.map(|track| format!("track_running_stats: {track}")),
            ];
            format!("set: {}", braced(&fields.into_iter().flatten().collect::<Vec<_>>()))
        }
    }
}

fn fill(fill: &Fill) -> String {
    match fill {
        Fill::Normal { mean, std } => {
            format!("{{normal: {{mean: {}, std: {}}}}}", number(*mean), number(*std))
        }
        Fill::Uniform { low, high } => {
            format!("{{uniform: {{low: {}, high: {}}}}}", number(*low), number(*high))
        }
        Fill::Constant(value) => format!("{{constant: {}}}", number(*value)),
        Fill::Channels { mean, std } => {
            format!("{{channels: {{mean: {}, std: {}}}}}", numbers(mean), numbers(std))
        }
        Fill::Ramp { from, to, along } => {
            let along = match along {
                Along::Elements => "elements",
                Along::Batch => "batch",
                Along::Channel => "channel",
                Along::Spatial => "spatial",
            };
            format!("{{ramp: {{from: {}, to: {}, along: {along}}}}}", number(*from), number(*to))
        }
        Fill::Exact { mean, step } => {
            format!("{{exact: {{mean: {}, step: {}}}}}", number(*mean), number(*step))
        }
        Fill::Correlated { mean, strength, noise } => {
            let [mean, strength, noise] = [mean, strength, noise].map(|value| number(*value));
            format!("{{correlated: {{mean: {mean}, strength: {strength}, noise: {noise}}}}}")
        }
        Fill::Special { base, at } => {
            let places: Vec<String> = at
                .iter()
                .map(|place| format!("{{index: {:?}, value: {}}}", place.index, place.value.0))
                .collect();
            format!("{{special: {{base: {}, at: [{}]}}}}", self::fill(base), places.join(", "))
        }
        Fill::Values(values) => format!("{{values: [{}]}}", literals(values)),
        Fill::Bits(bits) => format!("{{bits: [{}]}}", literals(bits)),
    }
}

fn numbers(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().map(|value| number(*value)).collect();
    format!("[{}]", values.join(", "))
}

fn literals(values: &[Literal]) -> String {
    let values: Vec<&str> = values.iter().map(|value| value.0.as_str()).collect();
    values.join(", ")
}

fn braced(fields: &[String]) -> String {
    format!("{{{}}}", fields.join(", "))
}
