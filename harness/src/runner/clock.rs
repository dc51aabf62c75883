//! Where the time goes.

use std::time::{Duration, Instant};

use bn_api::{BackendInfo, Request, Responder, Response};

/// Tells one stretch of time from the next.
pub(super) struct Clock {
    since: Instant,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        Clock { since: Instant::now() }
    }

    /// The time since the last call, in nanoseconds.
    pub fn lap(&mut self) -> u64 {
        let now = Instant::now();
        let lap = now - std::mem::replace(&mut self.since, now);
        lap.as_nanos() as u64
    }
}

/// A responder that is timed.
pub(super) struct Timed<'a> {
    /// Who it is.
    pub responder: &'a mut dyn Responder,
    /// How long it was waited for in all.
    pub spent: Duration,
    /// When it was asked.
    pub asked: Option<Instant>,
    /// How much of that was its own arithmetic, as far as it says.
    pub own: Duration,
}

impl<'a> Timed<'a> {
    /// Not asked yet.
    pub fn new(responder: &'a mut dyn Responder) -> Self {
        Timed { responder, spent: Duration::ZERO, asked: None, own: Duration::ZERO }
    }
}

/// What of a time was a responder's own, in nanoseconds: what it says, or, where it says nothing, all of it.
pub(super) fn own(responder: &dyn Responder, spent: u64) -> u64 {
    match responder.nanos() {
        [] => spent,
        steps => steps.iter().sum::<u64>().min(spent),
    }
}

impl Responder for Timed<'_> {
    fn info(&self) -> &BackendInfo {
        self.responder.info()
    }

    fn ask(&mut self, request: &Request) {
        let since = Instant::now();
        self.responder.ask(request);
        self.asked = Some(since);
        self.spent += since.elapsed();
    }

    fn respond(&mut self, request: &Request) -> Response {
        let since = Instant::now();
        let response = self.responder.respond(request);
        self.spent += since.elapsed();
        let whole = self.asked.take().unwrap_or(since).elapsed();
        self.own += Duration::from_nanos(own(self.responder, whole.as_nanos() as u64));
        response
    }
}
