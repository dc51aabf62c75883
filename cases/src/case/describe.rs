//! A case in words.

use std::fmt::{self, Write as _};

use super::{Action, Case, Dictionary, Frozen, Input, Layer, Layout, Reach};
use crate::format::Fill;

impl Case {
    /// The case in words: the layers as one would construct them in PyTorch, the data, the steps.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for layer in self.layers.iter() {
            describe_layer(&mut text, layer);
        }
        let _ = writeln!(text, "input {}", self.input_dtype);
        for (number, action) in self.script.iter().enumerate() {
            let _ = write!(text, "  {:>2}. {}", number + 1, action.name());
            if !action.at().is_empty() {
                let _ = write!(text, " {}", action.at());
            }
            let name = text.len();
            text.push_str("  ");
            let details = text.len();
            let _ = describe_action(&mut text, action);
            if text.len() == details {
                text.truncate(name);
            }
            text.push('\n');
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

fn describe_action(text: &mut String, action: &Action) -> fmt::Result {
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
        Action::Forward { input: Input { tensor, dtype, layout, requires_grad }, .. } => {
            let own = if dtype.is_float() { "" } else { " of integers" };
            write!(text, "input{own} {:?}, ", tensor.shape)?;
            describe_fill(text, &tensor.fill)?;
            describe_layout(text, *layout);
            if !*requires_grad {
                text.push_str(", no gradient asked of it");
            }
        }
        Action::Backward { grad, layout } => {
            write!(text, "gradient {:?}, ", grad.shape)?;
            describe_fill(text, &grad.fill)?;
            describe_layout(text, *layout);
        }
        Action::Freeze { what, reach: far, sticky, .. } => {
            let again = if *sticky { ", again at every train()" } else { "" };
            text.extend([frozen(what), ", ", reach(far), again]);
        }
        Action::Unfreeze { what, reach: far, .. } => text.extend([frozen(what), ", ", reach(far)]),
        Action::RequiresGrad { weight, bias, .. } => {
            let mut between = "";
            for (name, value) in [("weight", weight), ("bias", bias)] {
                if let Some(value) = value {
                    write!(text, "{between}{name} {value}")?;
                    between = ", ";
                }
            }
        }
        Action::Cast { to, what, .. } => {
            join(text, what.slots().iter().map(|slot| slot.name()))?;
            write!(text, " to {to}")?;
        }
        Action::Sgd { lr, .. } => write!(text, "lr {lr}")?,
        Action::Set { settings, .. } => join(text, settings)?,
        Action::SaveState { name, .. } => write!(text, "as `{name}`")?,
        Action::LoadState { from, strict, .. } => describe_dictionary(text, from, *strict)?,
        Action::Train { .. }
        | Action::Eval { .. }
        | Action::ZeroGrad { .. }
        | Action::ResetRunningStats { .. } => {}
    }
    Ok(())
}

fn describe_layout(text: &mut String, layout: Layout) {
    if layout != Layout::Contiguous {
        text.extend([", ", layout.name()]);
    }
}

fn join(text: &mut String, items: impl IntoIterator<Item = impl fmt::Display>) -> fmt::Result {
    for (number, item) in items.into_iter().enumerate() {
        write!(text, "{}{item}", if number == 0 { "" } else { ", " })?;
    }
    Ok(())
}

fn describe_dictionary<T>(text: &mut String, from: &Dictionary<T>, strict: bool) -> fmt::Result {
    match &from.saved {
        Some(name) => write!(text, "`{name}`")?,
        None => text.push_str("a dictionary"),
    }
    if !from.without.is_empty() {
        text.push_str(" without ");
        join(text, &from.without)?;
    }
    if !from.entries.is_empty() {
        text.push_str(" with ");
        join(text, from.entries.iter().map(|(name, _)| name))?;
    }
    write!(text, ", version {}", from.version)?;
    if !strict {
        text.push_str(", strict=False");
    }
    Ok(())
}

fn describe_fill(text: &mut String, fill: &Fill) -> fmt::Result {
    match fill {
        Fill::Normal { mean, std } => write!(text, "normal with mean {mean} and standard deviation {std}"),
        Fill::Uniform { low, high } => write!(text, "uniform from {low} to {high}"),
        Fill::Constant(value) => write!(text, "constant {value}"),
        Fill::Channels { mean, std } => {
            write!(text, "by channel: means {mean:?}, standard deviations {std:?}")
        }
        Fill::Ramp { from, to, along } => {
            text.push_str(&format!("ramp from {from} to {to} along {along:?}").to_lowercase());
            Ok(())
        }
        Fill::Exact { mean, step, adjacent } => {
            let order = if *adjacent { ", pairs side by side" } else { "" };
            write!(text, "exact sums: mean {mean}, steps of {step}{order}")
        }
        Fill::Correlated { mean, strength, noise } => {
            write!(text, "{mean} + {strength}·xhat + {noise}·N(0, 1)")
        }
        Fill::Special { base, at } => {
            describe_fill(text, base)?;
            write!(text, ", {} element(s) replaced", at.len())
        }
        Fill::Values(_) => text.write_str("written out"),
        Fill::Bits(_) => text.write_str("written out as bits"),
    }
}
