//! The very same request, asked again: of the same backend, and of one with another number of threads.

use bn_api::{Action, Layout, Request, Tensor};

use super::ask::{End, answers, said};
use super::compare::{Allowed, Relation, compare, same_bits};
use super::{Asked, Broken, Held, Property, THREADS};

/// The same request twice gives the same bits. What a backend keeps from one request to the next, or an order of sums
/// that changes from call to call, stays within every budget and shows here.
pub struct Twice;

impl Property for Twice {
    fn name(&self) -> &'static str {
        "same-twice"
    }

    fn about(&self) -> &'static str {
        "the same request twice gives the same bits"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        let again = asked.ask(asked.request);
        said(again.and_then(|again| same_bits(asked.request, asked.answers, &again, |_| true)))
    }
}

/// With another number of threads, answers are as near as two sound ones. They have the same bits where tensors are
/// contiguous and channels have places: then every channel is one thread's, and the order in which it adds is its own
/// (measured of libtorch 2.11). Of a batch of shape (N, C), or with channels last, threads share a channel.
pub struct Threads;

impl Property for Threads {
    fn name(&self) -> &'static str {
        THREADS
    }

    fn about(&self) -> &'static str {
        "the number of threads changes no bit where channels lie apart, and elsewhere no more than sums in another order"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        said(with_other_threads(asked))
    }
}

fn with_other_threads(asked: &mut Asked<'_>) -> Result<usize, End> {
    let Some(threads) = asked.threads.as_deref_mut() else {
        return Err(End::NotHere("there is no other number of threads"));
    };
    let other = answers(threads, asked.request)?;
    let shared = first_shared_channel(asked.request);
    let same = same_bits(asked.request, asked.answers, &other, |step| step < shared)?;
    let near = compare(asked, asked.request, &other, Allowed::AsMuch, &TheSame)?;
    Ok(same + near)
}

/// The first step at which threads may share a channel, and from which on its sums may be in another order; all later
/// ones may have been reached by them.
fn first_shared_channel(request: &Request) -> usize {
    let apart = |tensor: &Tensor, layout: Layout| {
        let places = tensor.shape().get(2..).map_or(1, |places| places.iter().product::<usize>());
        layout == Layout::Contiguous && (places > 1 || tensor.is_empty())
    };
    let shares = |action: &Action| match action {
        Action::Forward { input, .. } => !apart(&input.tensor, input.layout),
        Action::Backward { grad, layout } => !apart(grad, *layout),
        _ => false,
    };
    request.actions.iter().position(shares).map_or(usize::MAX, |index| index + 1)
}

struct TheSame;

impl Relation for TheSame {}
