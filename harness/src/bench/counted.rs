//! How much of a run is a responder's own arithmetic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bn_api::{BackendInfo, Request, Responder, Response};

/// A responder whose arithmetic, as far as it says, is added to what others like it take.
pub struct Counted {
    responder: Box<dyn Responder>,
    /// In nanoseconds.
    sum: Arc<AtomicU64>,
}

impl Counted {
    /// Adds what `responder` takes to `sum`, in nanoseconds.
    pub fn new(responder: Box<dyn Responder>, sum: Arc<AtomicU64>) -> Self {
        Counted { responder, sum }
    }
}

impl Responder for Counted {
    fn info(&self) -> &BackendInfo {
        self.responder.info()
    }

    fn respond(&mut self, request: &Request) -> Response {
        let response = self.responder.respond(request);
        self.sum.fetch_add(self.nanos().iter().sum(), Ordering::Relaxed);
        response
    }

    fn nanos(&self) -> &[u64] {
        self.responder.nanos()
    }

    fn peak_memory(&self) -> Option<u64> {
        self.responder.peak_memory()
    }

    fn finish(&mut self) -> Result<(), String> {
        self.responder.finish()
    }
}

#[cfg(test)]
mod tests {
    use bn_api::InProcess;

    use super::*;
    use crate::bench::{Network, Shape, request};

    #[test]
    fn what_each_answer_took_is_added_up() {
        let shape = Shape { channels: 3, height: 4, width: 5, ..Network::ALL[0].shapes()[0] };
        let request = request(&shape, 2);
        let sum = Arc::new(AtomicU64::new(0));
        let mut all = 0;
        for _ in 0..2 {
            let mut counted =
                Counted::new(Box::new(InProcess::new(bn_reference::Reference)), Arc::clone(&sum));
            for _ in 0..2 {
                counted.respond(&request);
                all += counted.nanos().iter().sum::<u64>();
            }
        }
        assert!(all > 0);
        assert_eq!(sum.load(Ordering::Relaxed), all);
    }
}
