//! Asks a backend something more.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use bn_api::{InProcess, Outcome, Request, Responder, Response, StepAnswer};
use bn_harness::budget::{Accuracy, CaseBudget};
use bn_harness::oracle::Expected;
use bn_reference::Arbiter;

use super::{Asked, Broken, Held};

/// Why a property comes to an end before it has compared anything, or with what it found.
#[derive(Debug)]
pub(super) enum End {
    /// It has nothing to say, for this reason.
    NotHere(&'static str),
    /// It does not hold.
    Broken(Box<Broken>),
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        End::Broken(Box::new(broken))
    }
}

/// What a property says, of how many elements it has compared. Of a changed request it says which.
pub(super) fn said(compared: Result<usize, End>) -> Result<Held, Broken> {
    match compared {
        Ok(0) => Ok(Held::NotHere("a sound answer may be anything wherever it looks")),
        Ok(_) => Ok(Held::Yes),
        Err(End::NotHere(why)) => Ok(Held::NotHere(why)),
        Err(End::Broken(broken)) => Err(*broken),
    }
}

impl Asked<'_> {
    /// The backend's answers to a request that follows from the one given.
    pub(super) fn ask(&mut self, request: &Request) -> Result<Vec<StepAnswer>, End> {
        if self.answers.len() != self.request.actions.len() + 1 {
            return Err(End::NotHere("the answers are not one a step"));
        }
        answers(self.backend, request)
    }
}

/// A responder's answers, one for the new layer and one a step.
pub(super) fn answers(responder: &mut dyn Responder, request: &Request) -> Result<Vec<StepAnswer>, End> {
    let steps = request.actions.len() + 1;
    let wrong = |what: String| Err(Broken::new(what).by(request).into());
    match responder.respond(request) {
        Response::Answered(answers) if answers.len() == steps => Ok(answers),
        Response::Answered(answers) => wrong(format!("{} answers to {steps} steps", answers.len())),
        Response::Unsupported { .. } => Err(End::NotHere("the backend cannot express the changed request")),
        Response::Broken { how, message } => {
            let how = match how {
                Outcome::Error => "cannot answer",
                Outcome::Crash => "crashes on",
                Outcome::Timeout => "hangs on",
            };
            wrong(format!("the backend {how} the changed request: {message}"))
        }
    }
}

/// The budgets of the answers to a request, derived when they are first needed: mostly they are not, as answers that
/// are closer than the budget of one of them are close enough.
pub(super) struct Derived<'r> {
    request: &'r Request,
    accuracy: Accuracy,
    budget: OnceCell<Option<Rc<CaseBudget>>>,
}

impl<'r> Derived<'r> {
    /// Those of this request.
    pub fn of(request: &'r Request, accuracy: Accuracy) -> Self {
        Derived { request, accuracy, budget: OnceCell::new() }
    }

    /// Them; nothing where the arbiter has no answer, in which case there is nothing to go by.
    pub fn get(&self) -> Option<&CaseBudget> {
        self.budget.get_or_init(|| recent(self.request, self.accuracy)).as_deref()
    }
}

/// How many budgets are kept: those of one case and all properties.
const KEPT: usize = 24;

type Kept = (Request, Accuracy, Rc<CaseBudget>);

thread_local! {
    /// Budgets that were derived before. The next backend is asked the same of the same case.
    static RECENT: RefCell<VecDeque<Kept>> = const { RefCell::new(VecDeque::new()) };
}

/// The budgets of a request, derived if they have not been just now.
fn recent(request: &Request, accuracy: Accuracy) -> Option<Rc<CaseBudget>> {
    let is_it = |kept: &&Kept| kept.1 == accuracy && kept.0 == *request;
    let known = RECENT.with_borrow(|recent| recent.iter().find(is_it).map(|kept| Rc::clone(&kept.2)));
    if known.is_some() {
        return known;
    }
    let expected = Expected::of_arbiter(&mut InProcess::new(Arbiter), request).ok()?;
    let budget = Rc::new(CaseBudget::derive(request, &expected.steps, accuracy));
    RECENT.with_borrow_mut(|recent| {
        recent.truncate(KEPT - 1);
        recent.push_front((request.clone(), accuracy, Rc::clone(&budget)));
    });
    Some(budget)
}
