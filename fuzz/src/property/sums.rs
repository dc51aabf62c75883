//! What the gradients of a batch add up to.

use bn_api::{Action, Layout, Observable};

use super::ask::{End, said};
use super::exact::sum;
use super::own::{Answered, Material, eval, forward};
use super::{Asked, Broken, Held, Property};

/// In training the gradients of a channel's inputs add up to nothing, and so do, but for eps, their products with x̂:
/// moving or stretching a channel changes nothing of what it is normalised to.
///
/// With s = 1/√(σ² + ε): Σ gx = γ·s·(Σ dy - Σ dy - m·Σ x̂) = 0, as Σ x̂ = 0, and Σ gx·x̂ = γ·s·(Σ dy·x̂ - m·Σ x̂²)
/// where m is the mean of dy·x̂ and Σ x̂² = n·σ²·s², which makes it γ·s³·ε·Σ dy·x̂ (Ioffe and Szegedy 2015, §3). Each
/// element of gx may be off by its budget b, so that the sums may be off by Σ b and Σ b·|x̂|.
pub struct InputGradientVanishes;

impl Property for InputGradientVanishes {
    fn name(&self) -> &'static str {
        "vanishing-input-gradient"
    }

    fn about(&self) -> &'static str {
        "in training a channel's input gradients add up to 0, and their products with x̂ to what eps leaves"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        said(vanishes(asked))
    }
}

fn vanishes(asked: &mut Asked<'_>) -> Result<usize, End> {
    let material = Material::of(asked.request)?;
    let grad = material.grad();
    let backward = Action::Backward { grad: grad.clone(), layout: Layout::Contiguous };
    let request = material.request(asked, vec![material.forward(), backward]);
    let answered = Answered::new(asked, &request)?;
    let gradient = answered.seen(2, Observable::GradInput)?;
    let channels = grad.channels();
    let mut compared = 0;
    for (channel, moments) in material.moments().into_iter().enumerate() {
        let Some(moments) = moments else { continue };
        let s = 1.0 / (moments.var + material.layer.eps).sqrt();
        // Value, budget, x̂ and dy of each element; nothing where one may be anything.
        let elements: Option<Vec<[f64; 4]>> = channels
            .indices(channel)
            .map(|index| {
                let (value, budget) = gradient.at(index)?;
                let xhat = moments.deviation(material.inputs[0].tensor.value(index)) * s;
                Some([value, budget, xhat, grad.value(index)])
            })
            .collect();
        let Some(elements) = elements else { continue };
        let all = |of: &dyn Fn(&[f64; 4]) -> f64| sum(elements.iter().map(of));
        let at = (2, Observable::GradInput);
        compared += answered.near(
            at,
            || format!("the sum of channel {channel} of grad_input"),
            (all(&|[gx, ..]| *gx), 0.0),
            all(&|[_, budget, ..]| *budget),
            all(&|[gx, ..]| gx.abs()),
        )?;
        let left = material.gamma(channel) * s * s * s * material.layer.eps;
        // In a constant channel, whose x̂ is 0, there is no more than what it is off by here.
        let off = moments.off * s * all(&|[gx, .., dy]| gx.abs() + (left * dy).abs());
        compared += answered.near(
            at,
            || format!("the sum of grad_input·x̂ of channel {channel}"),
            (all(&|[gx, _, xhat, _]| gx * xhat), left * all(&|[.., xhat, dy]| dy * xhat)),
            all(&|[_, budget, xhat, _]| budget * (xhat.abs() + moments.off * s)) + off,
            all(&|[gx, _, xhat, dy]| (gx * xhat).abs() + (left * dy * xhat).abs()),
        )?;
    }
    Ok(compared)
}

/// The gradient of the bias is the sum of the output's, in training and evaluation. It may be off by its budget, that
/// of one sum.
pub struct BiasGradient;

impl Property for BiasGradient {
    fn name(&self) -> &'static str {
        "bias-gradient-is-the-sum"
    }

    fn about(&self) -> &'static str {
        "the gradient of the bias is the plain sum of the output's"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        said(is_the_sum(asked))
    }
}

fn is_the_sum(asked: &mut Asked<'_>) -> Result<usize, End> {
    let material = Material::of(asked.request)?;
    if !material.layer.affine {
        return Err(End::NotHere("the layer has no bias"));
    }
    let grad = material.grad();
    let backward = Action::Backward { grad: grad.clone(), layout: Layout::Contiguous };
    let forget = Action::ZeroGrad { at: String::new() };
    let there_and_back = [material.forward(), backward];
    let actions = [&there_and_back[..], &[forget, eval()], &there_and_back[..]].concat();
    let request = material.request(asked, actions);
    let answered = Answered::new(asked, &request)?;
    let channels = grad.channels();
    let mut compared = 0;
    for step in [2, 6] {
        let gradient = answered.seen(step, Observable::GradBias)?;
        for channel in 0..channels.count {
            let Some((got, budget)) = gradient.at(channel) else { continue };
            let due = sum(channels.indices(channel).map(|index| grad.value(index)));
            let what = || format!("grad_bias of channel {channel}");
            compared += answered.near((step, Observable::GradBias), what, (got, due), budget, 0.0)?;
        }
    }
    Ok(compared)
}

/// In evaluation the output is x·a + b with the same a and b for all of a channel: known of two probes, 0 and a power
/// of two p no smaller than the data, it follows for all others. y(x) = y(0) + (y(p) - y(0))·x/p, within b(x) + |1 -
/// x/p|·b(0) + |x/p|·b(p) where b are the budgets of the three.
pub struct EvaluationIsAffine;

impl Property for EvaluationIsAffine {
    fn name(&self) -> &'static str {
        "affine-evaluation"
    }

    fn about(&self) -> &'static str {
        "in evaluation every output of a channel is the same a·x + b of its input"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        said(is_affine(asked))
    }
}

fn is_affine(asked: &mut Asked<'_>) -> Result<usize, End> {
    let material = Material::of(asked.request)?;
    if !material.layer.track_running_stats {
        return Err(End::NotHere("evaluation uses the batch's statistics"));
    }
    let input = material.inputs[0];
    let (channels, values) = (input.tensor.channels(), input.tensor.values());
    let probes: Vec<f64> = (0..channels.count)
        .map(|channel| {
            let finite =
                channels.indices(channel).map(|index| values[index].abs()).filter(|it| it.is_finite());
            power_of_two_from(finite.fold(0.0, f64::max), input.dtype.max_finite())
        })
        .collect();
    let zero = input.tensor.channels();
    let probe = |of: &dyn Fn(usize) -> f64| {
        let values = (0..values.len()).map(|index| of(zero.channel_of(index)));
        let tensor = bn_api::Tensor::from_values(input.dtype, input.tensor.shape(), values);
        forward(bn_api::Input { tensor, requires_grad: false, ..input.clone() })
    };
    let actions = vec![
        material.forward(),
        eval(),
        material.forward(),
        probe(&|_| 0.0),
        probe(&|channel| probes[channel]),
    ];
    let request = material.request(asked, actions);
    let answered = Answered::new(asked, &request)?;
    let [of_input, of_zero, of_probe] = [3, 4, 5].map(|step| answered.seen(step, Observable::Output));
    let (of_input, of_zero, of_probe) = (of_input?, of_zero?, of_probe?);
    let mut compared = 0;
    for (index, x) in values.iter().enumerate().filter(|(_, x)| x.is_finite()) {
        let all = (of_input.at(index), of_zero.at(index), of_probe.at(index));
        let (Some((got, budget)), Some((at_zero, zero_budget)), Some((at_probe, probe_budget))) = all else {
            continue;
        };
        let share = x / probes[channels.channel_of(index)];
        let due = at_zero + (at_probe - at_zero) * share;
        let within = budget + (1.0 - share).abs() * zero_budget + share.abs() * probe_budget;
        let what = || format!("output {:?} of {x:e}", input.tensor.position(index));
        let terms = at_zero.abs() + at_probe.abs();
        compared += answered.near((3, Observable::Output), what, (got, due), within, terms)?;
    }
    Ok(compared)
}

/// The smallest power of two that is no less than a number, as far as `largest` goes and f64 is normal; 1 of 0.
fn power_of_two_from(number: f64, largest: f64) -> f64 {
    if number == 0.0 {
        return 1.0;
    }
    let below = f64::from_bits(number.max(f64::MIN_POSITIVE).to_bits() & 0x7ff0_0000_0000_0000);
    if below >= number || below * 2.0 > largest { below } else { below * 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_no_smaller_than_the_data_and_within_the_type() {
        for (number, power) in [(0.0, 1.0), (1.0, 1.0), (1.1, 2.0), (0.3, 0.5), (40_000.0, 32_768.0)] {
            assert_eq!(power_of_two_from(number, 65_504.0), power, "{number}");
        }
        assert_eq!(power_of_two_from(f64::MAX, f64::MAX), 2_f64.powi(1023));
        assert_eq!(power_of_two_from(5e-324, f64::MAX), f64::MIN_POSITIVE);
    }
}
