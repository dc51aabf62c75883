//! Running statistics after some steps.

use bn_api::{Action, Input, LayerConfig, Observable, Slot, Tensor};

use super::ask::{End, said};
use super::exact::{Moments, moments};
use super::own::{Answered, Material, eval, forward, train};
use super::{Asked, Broken, Held, Property};

/// How many batches the statistics are moved by.
const BATCHES: usize = 3;

/// After k batches a running statistic is (1-m)^k·r₀ + Σ m·(1-m)^(k-j)·batch_j, of the batches' means and unbiased
/// variances. It may be off by its budget, which follows the statistic from step to step.
pub struct ClosedForm;

impl Property for ClosedForm {
    fn name(&self) -> &'static str {
        "running-closed-form"
    }

    fn about(&self) -> &'static str {
        "after k batches the running statistics are the weighted sum of what they began with and of the batches'"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        let weights = |momentum: Option<f64>| {
            let momentum = momentum.unwrap_or(0.1);
            (momentum, Box::new(move |_| momentum) as Box<dyn Fn(usize) -> f64>)
        };
        said(Material::of(asked.request).and_then(|material| {
            let (momentum, weights) = weights(material.layer.momentum);
            moved(asked, material, Some(momentum), &weights)
        }))
    }
}

/// Without a momentum, after k batches from a counter of 0 on, a running statistic is the plain average of the
/// batches'.
pub struct PlainAverage;

impl Property for PlainAverage {
    fn name(&self) -> &'static str {
        "running-plain-average"
    }

    fn about(&self) -> &'static str {
        "without a momentum the running statistics are the plain average of the batches'"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        let weights = |batch: usize| 1.0 / (batch + 1) as f64;
        said(Material::of(asked.request).and_then(|material| moved(asked, material, None, &weights)))
    }
}

/// Moves running statistics by several batches, of which number `batch` (from 0) weighs `weight(batch)`, and compares
/// them with the closed form after each.
fn moved(
    asked: &mut Asked<'_>,
    mut material: Material<'_>,
    momentum: Option<f64>,
    weight: &dyn Fn(usize) -> f64,
) -> Result<usize, End> {
    material.layer = LayerConfig { momentum, num_batches_tracked: Some(0), ..material.layer };
    if !material.layer.track_running_stats {
        return Err(End::NotHere("the layer has no running statistics"));
    }
    // Where there are fewer, the first come again.
    let inputs = &material.inputs[..BATCHES.min(material.inputs.len())];
    let moments: Vec<Vec<Option<Moments>>> = inputs.iter().map(|input| moments(&input.tensor)).collect();
    let actions = inputs.iter().cycle().take(BATCHES).map(|&batch| Action::Forward {
        at: String::new(),
        input: Input { requires_grad: false, ..batch.clone() },
        no_grad: true,
    });
    let request = material.request(asked, actions.collect());
    let answered = Answered::new(asked, &request)?;
    let mut compared = 0;
    for (slot, tensor) in
        [(Slot::RunningMean, Observable::RunningMean), (Slot::RunningVar, Observable::RunningVar)]
    {
        let start = if slot == Slot::RunningMean { 0.0 } else { 1.0 };
        let none = || vec![start; material.layer.features];
        let mut due = material.layer.contents(slot).map_or_else(none, Tensor::values);
        // What the closed form may be off by here grows with every batch.
        let mut terms: Vec<f64> = due.iter().map(|due| due.abs()).collect();
        for (batch, moments) in moments.iter().cycle().take(BATCHES).enumerate() {
            let (step, weight) = (batch + 1, weight(batch));
            let seen = answered.seen(step, tensor)?;
            for (channel, moments) in moments.iter().enumerate() {
                let value = match moments {
                    Some(moments) if slot == Slot::RunningMean => moments.mean(),
                    Some(moments) => moments.unbiased(),
                    None => f64::NAN,
                };
                let (due, terms) = (&mut due[channel], &mut terms[channel]);
                *due = *due * (1.0 - weight) + weight * value;
                *terms = *terms * (1.0 - weight).abs() + (weight * value).abs() + due.abs();
                let Some((got, budget)) = seen.at(channel) else { continue };
                let what = || format!("{tensor} of channel {channel} after {step} batches");
                compared += answered.near((step, tensor), what, (got, *due), budget, *terms)?;
            }
        }
    }
    Ok(compared)
}

/// After one batch in training with a momentum of 1 the running statistics are the batch's own, so that in evaluation
/// the same batch comes out as in training, but for the variance, which is n/(n-1) of the one that it was normalised
/// with: y' - β = r·(y - β) with r = √((σ² + ε)/(n/(n-1)·σ² + ε)), within b' + r·b where b are the budgets of the
/// two.
pub struct BatchComesBack;

impl Property for BatchComesBack {
    fn name(&self) -> &'static str {
        "momentum-of-one"
    }

    fn about(&self) -> &'static str {
        "after a batch with a momentum of 1, evaluation gives what training gave, up to the Bessel factor"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        said(comes_back(asked))
    }
}

fn comes_back(asked: &mut Asked<'_>) -> Result<usize, End> {
    let mut material = Material::of(asked.request)?;
    material.layer.momentum = Some(1.0);
    if !material.layer.track_running_stats {
        return Err(End::NotHere("the layer has no running statistics"));
    }
    let input = || forward(Input { requires_grad: false, ..material.inputs[0].clone() });
    let request = material.request(asked, vec![train(), input(), eval(), input()]);
    let answered = Answered::new(asked, &request)?;
    let (trained, evaluated) = (answered.seen(2, Observable::Output)?, answered.seen(4, Observable::Output)?);
    let channels = material.inputs[0].tensor.channels();
    let mut compared = 0;
    for (channel, moments) in material.moments().into_iter().enumerate() {
        let Some(moments) = moments else { continue };
        let (eps, beta) = (material.layer.eps, material.beta(channel));
        let ratio = ((moments.var + eps) / (moments.unbiased() + eps)).sqrt();
        for index in channels.indices(channel) {
            let (Some((y, budget)), Some((got, own))) = (trained.at(index), evaluated.at(index)) else {
                continue;
            };
            let due = beta + (y - beta) * ratio;
            let within = own + ratio * budget;
            let what = || format!("output {:?} in evaluation", material.inputs[0].tensor.position(index));
            compared +=
                answered.near((4, Observable::Output), what, (got, due), within, y.abs() + beta.abs())?;
        }
    }
    Ok(compared)
}
