//! Fewer steps, and plainer ones.

use bn_cases::case::{Frozen, Layout, Part, Reach};
use bn_cases::format::{CaseSpec, InputSpec, LoadSpec, SetSpec, Step};

/// Without some of the steps that follow each other: half of them, a quarter, down to one.
pub fn fewer(spec: &CaseSpec) -> Vec<CaseSpec> {
    let Some(steps) = &spec.steps else { return Vec::new() };
    let mut smaller = Vec::new();
    let mut length = steps.len();
    while length > 0 {
        // The last ones first: what was found often needs no more than what came before.
        for start in (0..=steps.len() - length).rev() {
            smaller.push(without(spec, start, length));
        }
        length = if length == 1 { 0 } else { length.div_ceil(2).min(length - 1) };
    }
    smaller
}

/// Without steps number `start` and up; errors that the case says of later steps move with them.
fn without(spec: &CaseSpec, start: usize, length: usize) -> CaseSpec {
    let mut spec = spec.clone();
    if let Some(steps) = &mut spec.steps {
        steps.drain(start..start + length);
    }
    // Steps of expectations are counted from 1.
    spec.expect.retain(|known| known.step <= start || known.step > start + length);
    for known in spec.expect.iter_mut().filter(|known| known.step > start) {
        known.step -= length;
    }
    spec
}

/// Each step with one thing less to say.
pub fn plainer(spec: &CaseSpec) -> Vec<CaseSpec> {
    let mut smaller = Vec::new();
    for (number, step) in spec.steps.iter().flatten().enumerate() {
        for plain in of_step(step) {
            let mut spec = spec.clone();
            if let Some(steps) = &mut spec.steps {
                steps[number] = plain;
            }
            smaller.push(spec);
        }
    }
    // What a file says of errors helps it to be read, where it is needed for that.
    for number in 0..spec.expect.len() {
        let mut spec = spec.clone();
        spec.expect.remove(number);
        smaller.push(spec);
    }
    smaller
}

fn of_step(step: &Step) -> Vec<Step> {
    match step.clone() {
        Step::Train { at } => at.map(|_| Step::Train { at: None }).into_iter().collect(),
        Step::Eval { at } => at.map(|_| Step::Eval { at: None }).into_iter().collect(),
        Step::ZeroGrad { at } => at.map(|_| Step::ZeroGrad { at: None }).into_iter().collect(),
        Step::ResetRunningStats { at } => {
            at.map(|_| Step::ResetRunningStats { at: None }).into_iter().collect()
        }
        Step::SaveState { at, name } => at.map(|_| Step::SaveState { at: None, name }).into_iter().collect(),
        Step::Forward { at, no_grad, input } => {
            let mut plain = vec![Step::Forward { at: None, no_grad: false, input: None }];
            plain.push(Step::Forward { at: None, no_grad, input: input.clone() });
            plain.push(Step::Forward { at: at.clone(), no_grad: false, input: input.clone() });
            plain.push(Step::Forward { at: at.clone(), no_grad, input: None });
            plain.extend(input.iter().flat_map(of_input).map(|input| {
                let input = Some(input).filter(|input| *input != InputSpec::default());
                Step::Forward { at: at.clone(), no_grad, input }
            }));
            plain
        }
        Step::Backward { grad, layout } => vec![
            Step::Backward { grad: None, layout: Layout::default() },
            Step::Backward { grad: None, layout },
            Step::Backward { grad, layout: Layout::default() },
        ],
        Step::Freeze { at, what, reach, sticky } => vec![
            Step::Freeze { at: None, what: Frozen::default(), reach: Reach::default(), sticky: false },
            Step::Freeze { at: None, what, reach, sticky },
            Step::Freeze { at: at.clone(), what: Frozen::default(), reach, sticky },
            Step::Freeze { at: at.clone(), what, reach: Reach::default(), sticky },
            Step::Freeze { at: at.clone(), what, reach, sticky: false },
            Step::Eval { at },
        ],
        Step::Unfreeze { at, what, reach } => vec![
            Step::Unfreeze { at: None, what: Frozen::default(), reach: Reach::default() },
            Step::Unfreeze { at: None, what, reach },
            Step::Unfreeze { at: at.clone(), what: Frozen::default(), reach },
            Step::Unfreeze { at: at.clone(), what, reach: Reach::default() },
            Step::Train { at },
        ],
        Step::RequiresGrad { at, weight, bias } => vec![
            Step::RequiresGrad { at: None, weight, bias },
            Step::RequiresGrad { at: at.clone(), weight, bias: None },
            Step::RequiresGrad { at, weight: None, bias },
        ],
        Step::Cast { at, to, what } => vec![
            Step::Cast { at: None, to, what: Part::default() },
            Step::Cast { at: None, to, what },
            Step::Cast { at, to, what: Part::default() },
        ],
        Step::Sgd { at, lr } => {
            let rates = [0.1, 1.0].into_iter().map(|lr| Step::Sgd { at: at.clone(), lr });
            std::iter::once(Step::Sgd { at: None, lr }).chain(rates).collect()
        }
        Step::Set(set) => of_set(&set).into_iter().map(|set| Step::Set(Box::new(set))).collect(),
        Step::LoadState(load) => {
            of_load(&load).into_iter().map(|load| Step::LoadState(Box::new(load))).collect()
        }
    }
}

fn of_input(input: &InputSpec) -> Vec<InputSpec> {
    vec![
        InputSpec { shape: None, ..input.clone() },
        InputSpec { fill: None, ..input.clone() },
        InputSpec { dtype: None, ..input.clone() },
        InputSpec { layout: None, ..input.clone() },
        InputSpec { requires_grad: None, ..input.clone() },
    ]
}

fn of_set(set: &SetSpec) -> Vec<SetSpec> {
    let mut plain = vec![
        SetSpec { at: None, ..set.clone() },
        SetSpec { momentum: None, ..set.clone() },
        SetSpec { eps: None, ..set.clone() },
        SetSpec { track_running_stats: None, ..set.clone() },
        SetSpec { weight: None, ..set.clone() },
        SetSpec { bias: None, ..set.clone() },
        SetSpec { running_mean: None, ..set.clone() },
        SetSpec { running_var: None, ..set.clone() },
        SetSpec { num_batches_tracked: None, ..set.clone() },
    ];
    for momentum in [Some(0.1), Some(1.0), None] {
        plain.extend(set.momentum.map(|_| SetSpec { momentum: Some(momentum), ..set.clone() }));
    }
    plain
}

fn of_load(load: &LoadSpec) -> Vec<LoadSpec> {
    let mut plain = vec![
        LoadSpec { at: None, ..load.clone() },
        LoadSpec { from: None, ..load.clone() },
        LoadSpec { version: LoadSpec::default().version, ..load.clone() },
        LoadSpec { strict: LoadSpec::default().strict, ..load.clone() },
    ];
    for name in load.entries.keys() {
        let mut fewer = load.clone();
        fewer.entries.remove(name);
        plain.push(fewer);
    }
    for number in 0..load.without.len() {
        let mut fewer = load.clone();
        fewer.without.remove(number);
        plain.push(fewer);
    }
    plain
}
