//! How fast are backends on the shapes that real networks have, and how fast are cases of these shapes judged?
//!
//! A layer in training mode answers a forward and a backward, several times; what is taken is the median of what the layers
//! themselves took ([`bn_api::Responder::nanos`]), without the pipe and the conversion of tensors, where they say so.

mod counted;
mod judged;
mod networks;

use std::time::{Duration, Instant};

use bn_api::{
    Action, BackendInfo, DType, Input, LayerConfig, LayerKind, Layout, Request, Responder, Response, Tensor,
};
use bn_cases::Observable;

pub use counted::Counted;
pub use judged::cases;
pub use networks::{Network, Shape};

/// How often a shape is timed, where that is not too long.
const REPEATS: usize = 7;

/// The least, but where a single time is beyond [`LONG`] already.
const FEWEST: usize = 3;

/// How long one shape may take, all repetitions together.
const PATIENCE: Duration = Duration::from_secs(4);

/// A forward and a backward that take longer are not repeated.
const LONG: Duration = Duration::from_secs(2);

/// What a backend took, in nanoseconds: the medians over all repetitions but the first, which warms up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// A forward in training.
    pub forward: u64,
    /// Its backward, for input, weight and bias; nothing where it has no gradients, and where it is in `forward`.
    pub backward: Option<u64>,
    /// How often it was timed.
    pub repeats: usize,
    /// Whether the backward, the pipe to its process and the conversion of tensors are in `forward`, as it does not say how
    /// long it took.
    pub with_pipe: bool,
}

/// The request that is timed: one forward and one backward, in training, in float32.
pub fn request(shape: &Shape, batch: usize) -> Request {
    let sizes = [batch, shape.channels, shape.height, shape.width];
    let layer = LayerConfig {
        eps: shape.eps,
        ..LayerConfig::new(LayerKind::BatchNorm2d, shape.channels, DType::F32)
    };
    let input = Input {
        tensor: numbers(&sizes, 20_150_211),
        dtype: DType::F32,
        layout: Layout::Contiguous,
        requires_grad: true,
    };
    let actions = vec![
        Action::Train { at: String::new() },
        Action::Forward { at: String::new(), input, no_grad: false },
        Action::Backward { grad: numbers(&sizes, 4711), layout: Layout::Contiguous },
    ];
    Request { case: format!("bench/{shape}[batch={batch}]"), layers: vec![layer], actions }
}

/// Numbers between 1 and 2 that look like chance, made quickly: what they are does not matter here.
fn numbers(sizes: &[usize], seed: u64) -> Tensor {
    let mut state = seed;
    let values = (0..sizes.iter().product()).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The exponent of a number from 1 to 2, and 23 bits of chance behind it.
        0x3f80_0000 | (state >> 41)
    });
    Tensor::from_bit_patterns(DType::F32, sizes, values)
}

/// Times a backend.
///
/// # Errors
/// Why it cannot be timed: it has no words for this, breaks down, or raises an error.
pub fn time(backend: &mut dyn Responder, request: &Request) -> Result<Times, String> {
    let (mut forwards, mut backwards) = (Vec::new(), Vec::new());
    let mut with_pipe = false;
    let since = Instant::now();
    loop {
        let asked = Instant::now();
        let response = backend.respond(request);
        let whole = asked.elapsed();
        check(response)?;
        if let [.., forward, backward] = backend.nanos() {
            forwards.push(*forward);
            backwards.push(*backward);
        } else {
            with_pipe = true;
            // It is not known which of the two took how much.
            forwards.push(whole.as_nanos() as u64);
        }
        let done = forwards.len();
        let is_enough = done > REPEATS || (done > FEWEST && since.elapsed() > PATIENCE);
        if is_enough || whole > LONG {
            break;
        }
    }
    if forwards.len() > 1 {
        forwards.remove(0);
        backwards.drain(..1.min(backwards.len()));
    }
    let repeats = forwards.len();
    let backward = (!with_pipe && goes_back(backend.info())).then(|| median(backwards));
    Ok(Times { forward: median(forwards), backward, repeats, with_pipe })
}

/// Whether a backward of it computes anything that can be seen.
fn goes_back(info: &BackendInfo) -> bool {
    let hidden = |gradient| info.unobservable.iter().any(|known| known.tensor == gradient);
    ![Observable::GradInput, Observable::GradWeight, Observable::GradBias].into_iter().all(hidden)
}

fn check(response: Response) -> Result<(), String> {
    match response {
        Response::Answered(steps) => match steps.into_iter().find_map(|step| step.error) {
            Some(error) => Err(error.to_string()),
            None => Ok(()),
        },
        Response::Unsupported { reason } => Err(reason),
        Response::Broken { message, .. } => Err(message),
    }
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bn_api::{InProcess, Unobservable};

    use super::*;

    #[test]
    fn a_backend_that_says_what_it_took_is_timed_without_the_rest() {
        let shape = Network::ALL[0].shapes()[0];
        let request = request(&Shape { channels: 3, height: 4, width: 5, ..shape }, 2);
        let mut reference = InProcess::new(bn_reference::Reference);
        let times = time(&mut reference, &request).expect("it answers");
        assert!(times.forward > 0 && times.backward.is_some_and(|nanos| nanos > 0) && !times.with_pipe);
        assert_eq!(times.repeats, REPEATS);
    }

    /// The reference, but that it says something else of itself, or nothing of its times.
    struct Odd {
        responder: InProcess<bn_reference::Reference>,
        info: BackendInfo,
        says_times: bool,
    }

    impl Responder for Odd {
        fn info(&self) -> &BackendInfo {
            &self.info
        }

        fn respond(&mut self, request: &Request) -> Response {
            self.responder.respond(request)
        }

        fn nanos(&self) -> &[u64] {
            if self.says_times { self.responder.nanos() } else { &[] }
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_not_told() {
        let shape = Network::ALL[0].shapes()[0];
        let request = request(&Shape { channels: 3, height: 4, width: 5, ..shape }, 2);
        let responder = InProcess::new(bn_reference::Reference);
        let info = responder.info().clone();
        let mut odd = Odd { responder, info, says_times: false };
        let times = time(&mut odd, &request).expect("it answers");
        assert!(times.with_pipe && times.forward > 0);
        assert_eq!(times.backward, None);
        odd.says_times = true;
        for tensor in [Observable::GradInput, Observable::GradWeight, Observable::GradBias] {
            assert!(
                time(&mut odd, &request).is_ok_and(|times| times.backward.is_some()),
                "without {tensor:?}"
            );
            odd.info.unobservable.push(Unobservable { tensor, reason: "there are no gradients".to_owned() });
        }
        let times = time(&mut odd, &request).expect("it answers");
        assert!(!times.with_pipe && times.forward > 0);
        assert_eq!(times.backward, None);
    }

    #[test]
    fn the_numbers_are_between_one_and_two_and_not_all_the_same() {
        let values = numbers(&[2, 3, 4], 1).values();
        assert!(values.iter().all(|value| (1.0..2.0).contains(value)));
        assert!(values.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_median_is_the_one_in_the_middle() {
        assert_eq!(median(vec![5, 1, 9]), 5);
        assert_eq!(median(vec![]), 0);
    }
}
