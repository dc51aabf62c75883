//! The batch norms of a network as cases, which are judged as those of suites are.

use std::fmt::Write as _;

use bn_cases::{Problems, Suite};

use super::Network;

/// What all cases have: parameters and statistics that are not those of a new layer, and channels of which each has a mean
/// and a spread of its own.
const DEFAULTS: &str = "\
defaults:
  dtype: f32
  mode: train
  layer:
    weight: {uniform: {low: 0.5, high: 2}}
    bias: {normal: {mean: 0.5, std: 1}}
    running_mean: {normal: {mean: 0.5, std: 1}}
    running_var: {uniform: {low: 0.5, high: 3}}
  input:
    fill: {channels: {mean: [0.5, -3, 4, 1, 7], std: [2, 1, 3, 0.5, 1]}}
cases:
";

/// A forward and a backward in training, in float32, on each shape of a network, in batches of so many images; the largest
/// shapes first, as they go through the network.
///
/// # Errors
/// When two batches are the same, or one is empty.
pub fn cases(network: Network, batches: &[usize]) -> Result<Suite, Problems> {
    let name = network.name();
    let mut text = format!(
        "suite: bench/{name}\nabout: The shapes of the batch norms of {name}, for measuring.\n{DEFAULTS}"
    );
    for shape in network.shapes() {
        let (channels, height, width) = (shape.channels, shape.height, shape.width);
        let batches =
            batches.iter().map(|batch| format!("batch-{batch}: [{batch}, {channels}, {height}, {width}]"));
        let batches: Vec<String> = batches.collect();
        let _ = writeln!(
            text,
            "  - name: {channels}x{height}x{width}\n    layer: {{eps: {:e}}}\n    matrix: {{input.shape: {{{}}}}}",
            shape.eps,
            batches.join(", ")
        );
    }
    bn_cases::load_str(&format!("bench/{name}.yaml"), &text)
}

#[cfg(test)]
mod tests {
    use bn_cases::DType;

    use super::*;

    #[test]
    fn every_shape_of_every_network_is_a_case_in_every_batch() {
        for network in Network::ALL {
            let suite = cases(network, &[1, 4]).expect("they can be read");
            let shapes = network.shapes();
            assert_eq!(suite.cases.len(), 2 * shapes.len());
            for (pair, shape) in suite.cases.chunks(2).zip(shapes) {
                for (case, batch) in pair.iter().zip([1, 4]) {
                    let request = bn_api::Request::from_case(case);
                    let layer = &request.layers[0];
                    assert_eq!(
                        (layer.features, layer.eps, layer.dtype),
                        (shape.channels, shape.eps, DType::F32)
                    );
                    let bn_api::Action::Forward { input, .. } = &request.actions[1] else {
                        panic!("{request:?}")
                    };
                    assert_eq!(input.tensor.shape(), [batch, shape.channels, shape.height, shape.width]);
                    assert!(matches!(request.actions[..], [_, _, bn_api::Action::Backward { .. }]));
                }
            }
        }
    }

    #[test]
    fn a_batch_that_is_given_twice_is_a_problem_of_the_cases() {
        assert!(cases(Network::ResNet50, &[2, 2]).is_err());
    }
}
