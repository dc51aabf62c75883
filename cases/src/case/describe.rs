//! A case in words.

use std::fmt::Write as _;

use super::{Action, Case, Dictionary, Frozen, Input, Layer, Layout, Reach, Setting};
use crate::format::Fill;

impl Case {
    /// The case in words: the layers as one would construct them in PyTorch, the data, the steps.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for layer in &self.layers {
            describe_layer(&mut text, layer);
        }
        let _ = writeln!(text, "input {}", self.spec.input.dtype.unwrap_or(self.spec.dtype));
        for (number, action) in self.script.iter().enumerate() {
            let _ = write!(text, "  {:>2}. {}", number + 1, action.name());
            if !action.at().is_empty() {
                let _ = write!(text, " {}", action.at());
            }
            match describe_action(action) {
                details if details.is_empty() => text.push('\n'),
                details => {
                    let _ = writeln!(text, "  {details}");
                }
            }
        }
        text
    }
}

fn describe_layer(text: &mut String, layer: &Layer) {
    let spec = &layer.spec;
    let truth = |value| if value { "True" } else { "False" };
    if !layer.path.is_empty() {
        let _ = write!(text, "{}: ", layer.path);
    }
    let _ = write!(
        text,
        "{:?}({}, eps={}, momentum={}, affine={}, track_running_stats={}), parameters {}",
        layer.kind,
        layer.features,
        spec.eps,
        spec.momentum.map_or_else(|| "None".to_owned(), |momentum| momentum.to_string()),
        truth(spec.affine),
        truth(spec.track_running_stats),
        layer.dtype,
    );
    if layer.statistics_dtype != layer.dtype {
        let _ = write!(text, ", statistics {}", layer.statistics_dtype);
    }
    text.push('\n');
}

fn describe_action(action: &Action) -> String {
    let layout = |layout: &Layout| match layout {
        Layout::Contiguous => String::new(),
        layout => format!(", {}", layout.name()),
    };
    let reach = |reach: &Reach| match reach {
        Reach::All => "every layer below",
        Reach::Children => "direct children only",
    };
    let frozen = |what: &Frozen| match what {
        Frozen::Statistics => "statistics",
        Frozen::Affine => "weight and bias",
        Frozen::Both => "statistics, weight and bias",
    };
    match action {
        Action::Forward { input: Input { tensor, dtype, layout: how, requires_grad }, .. } => {
            let own = if dtype.is_float() { "" } else { " of integers" };
            let constant = if *requires_grad { "" } else { ", no gradient asked of it" };
            let fill = describe_fill(&tensor.fill);
            format!("input{own} {:?}, {fill}{}{constant}", tensor.shape, layout(how))
        }
        Action::Backward { grad, layout: how } => {
            format!("gradient {:?}, {}{}", grad.shape, describe_fill(&grad.fill), layout(how))
        }
        Action::Freeze { what, reach: far, sticky, .. } => {
            let again = if *sticky { ", again at every train()" } else { "" };
            format!("{}, {}{again}", frozen(what), reach(far))
        }
        Action::Unfreeze { what, reach: far, .. } => format!("{}, {}", frozen(what), reach(far)),
        Action::RequiresGrad { weight, bias, .. } => {
            let named = [("weight", weight), ("bias", bias)];
            let given = named.iter().filter_map(|(name, value)| Some(format!("{name} {}", (**value)?)));
            given.collect::<Vec<_>>().join(", ")
        }
        Action::Cast { to, what, .. } => {
            let slots: Vec<&str> = what.slots().iter().map(|slot| slot.name()).collect();
            format!("{} to {to}", slots.join(", "))
        }
        Action::Sgd { lr, .. } => format!("lr {lr}"),
        Action::Set { settings, .. } => {
            settings.iter().map(Setting::to_string).collect::<Vec<_>>().join(", ")
        }
        Action::SaveState { name, .. } => format!("as `{name}`"),
        Action::LoadState { from, strict, .. } => describe_dictionary(from, *strict),
        Action::Train { .. }
        | Action::Eval { .. }
        | Action::ZeroGrad { .. }
        | Action::ResetRunningStats { .. } => String::new(),
    }
}

fn describe_dictionary<T>(from: &Dictionary<T>, strict: bool) -> String {
    let mut text = match &from.saved {
        Some(name) => format!("`{name}`"),
        None => "a dictionary".to_owned(),
    };
    if !from.without.is_empty() {
        let _ = write!(text, " without {}", from.without.join(", "));
    }
    if !from.entries.is_empty() {
        let names: Vec<&str> = from.entries.iter().map(|(name, _)| name.as_str()).collect();
        let _ = write!(text, " with {}", names.join(", "));
    }
    let _ = write!(text, ", version {}", from.version);
    if !strict {
        text.push_str(", strict=False");
    }
    text
}

fn describe_fill(fill: &Fill) -> String {
    match fill {
        Fill::Normal { mean, std } => format!("normal with mean {mean} and standard deviation {std}"),
        Fill::Uniform { low, high } => format!("uniform from {low} to {high}"),
        Fill::Constant(value) => format!("constant {value}"),
        Fill::Channels { mean, std } => format!("by channel: means {mean:?}, standard deviations {std:?}"),
        Fill::Ramp { from, to, along } => format!("ramp from {from} to {to} along {along:?}").to_lowercase(),
        Fill::Exact { mean, step, adjacent } => {
            let order = if *adjacent { ", pairs side by side" } else { "" };
            format!("exact sums: mean {mean}, steps of {step}{order}")
        }
        Fill::Correlated { mean, strength, noise } => {
            format!("{mean} + {strength}·xhat + {noise}·N(0, 1)")
        }
        Fill::Special { base, at } => format!("{}, {} element(s) replaced", describe_fill(base), at.len()),
        Fill::Values(_) => "written out".to_owned(),
        Fill::Bits(_) => "written out as bits".to_owned(),
    }
}
