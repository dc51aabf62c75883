//! Steps.

use bn_cases::case::{Frozen, Layout, Part, Reach};
use bn_cases::format::{LoadSpec, SetSpec, Step};

use super::{Fields, fill, input, list, nullable, number};

pub(super) fn step(step: &Step) -> String {
    let mut fields = Fields::default();
    fields.maybe("at", step.at());
    let name = match step {
        Step::Train { .. } => "train",
        Step::Eval { .. } => "eval",
        Step::ZeroGrad { .. } => "zero_grad",
        Step::ResetRunningStats { .. } => "reset_running_stats",
        Step::Forward { no_grad, input: own, .. } => {
            fields.maybe("no_grad", no_grad.then_some(true));
            fields.maybe("input", own.as_ref().map(input));
            "forward"
        }
        Step::Backward { grad, layout } => {
            fields.maybe("grad", grad.as_ref().map(fill));
            fields.maybe("layout", Some(layout.name()).filter(|_| *layout != Layout::default()));
            "backward"
        }
        Step::Freeze { what, reach, sticky, .. } => {
            frozen(&mut fields, *what, *reach);
            fields.maybe("sticky", sticky.then_some(true));
            "freeze"
        }
        Step::Unfreeze { what, reach, .. } => {
            frozen(&mut fields, *what, *reach);
            "unfreeze"
        }
        Step::RequiresGrad { weight, bias, .. } => {
            fields.maybe("weight", *weight);
            fields.maybe("bias", *bias);
            "requires_grad"
        }
        Step::Cast { to, what, .. } => {
            fields.add("to", to);
            fields.maybe("what", Some(part(*what)).filter(|_| *what != Part::default()));
            "cast"
        }
        Step::Sgd { lr, .. } => {
            fields.add("lr", number(*lr));
            "sgd"
        }
        Step::Set(set) => {
            assignments(&mut fields, set);
            "set"
        }
        Step::SaveState { name, .. } => {
            fields.add("name", name);
            "save_state"
        }
        Step::LoadState(load) => {
            dictionary(&mut fields, load);
            "load_state"
        }
    };
    if fields.0.is_empty() { name.to_owned() } else { format!("{name}: {}", fields.braced()) }
}

fn frozen(fields: &mut Fields, what: Frozen, reach: Reach) {
    match what {
        Frozen::Statistics => {}
        Frozen::Affine => fields.add("what", "affine"),
        Frozen::Both => fields.add("what", "both"),
    }
    match reach {
        Reach::All => {}
        Reach::Children => fields.add("reach", "children"),
    }
}

fn part(what: Part) -> &'static str {
    match what {
        Part::Layer => "layer",
        Part::Parameters => "parameters",
        Part::Statistics => "statistics",
        Part::Weight => "weight",
        Part::Bias => "bias",
        Part::RunningMean => "running_mean",
        Part::RunningVar => "running_var",
    }
}

fn assignments(fields: &mut Fields, set: &SetSpec) {
    fields.maybe("momentum", set.momentum.map(|momentum| nullable(momentum, number)));
    fields.maybe("eps", set.eps.map(number));
    fields.maybe("track_running_stats", set.track_running_stats);
    let tensors = [
        ("weight", &set.weight),
        ("bias", &set.bias),
        ("running_mean", &set.running_mean),
        ("running_var", &set.running_var),
    ];
    for (key, tensor) in tensors {
        fields.maybe(key, tensor.as_ref().map(|tensor| nullable(tensor.as_ref(), fill)));
    }
    fields.maybe(
        "num_batches_tracked",
        set.num_batches_tracked.map(|count| nullable(count, |count| count.to_string())),
    );
}

fn dictionary(fields: &mut Fields, load: &LoadSpec) {
    let usual = LoadSpec::default();
    fields.maybe("from", load.from.as_ref());
    if !load.entries.is_empty() {
        let mut entries = Fields::default();
        load.entries.iter().for_each(|(name, entry)| entries.add(name, fill(entry)));
        fields.add("entries", entries.braced());
    }
    fields.maybe("without", Some(list(&load.without)).filter(|_| !load.without.is_empty()));
    fields.maybe("version", Some(load.version).filter(|version| *version != usual.version));
    fields.maybe("strict", Some(load.strict).filter(|strict| *strict != usual.strict));
}
