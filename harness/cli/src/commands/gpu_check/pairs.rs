//! Two executors in a run, whose answers are compared as they come.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use bn_api::{BackendInfo, Request, Responder, Response};
use bn_cases::Case;
use bn_reports::gpu_check::{Comparison, LISTED};

use super::bits::{Found, compare};

/// Two executors of which the answers should be the same.
pub struct Pair {
    labels: [&'static str; 2],
    /// What was found in each case, in the order in which they were done.
    found: Arc<Mutex<Vec<(String, Found)>>>,
}

impl Pair {
    /// Two with these labels.
    pub fn new(labels: [&'static str; 2]) -> Self {
        Pair { labels, found: Arc::default() }
    }

    /// The two, for one thread, which has to ask them in this order.
    pub fn responders(&self, [first, second]: [Box<dyn Responder>; 2]) -> [Box<dyn Responder>; 2] {
        let answer = Rc::new(RefCell::new(None));
        let first = First { inner: first, answer: Rc::clone(&answer) };
        let second = Second { inner: second, answer, labels: self.labels, found: Arc::clone(&self.found) };
        [Box::new(first), Box::new(second)]
    }

    /// What was found in all cases, in the order of the cases.
    pub fn comparison(self, cases: &[&Case]) -> Comparison {
        let mut found = std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner));
        let places: HashMap<&str, usize> =
            cases.iter().enumerate().map(|(place, case)| (case.id.as_str(), place)).collect();
        found.sort_by_key(|(case, _)| places.get(case.as_str()).copied());
        let mut comparison = Comparison {
            executors: self.labels.map(str::to_owned),
            cases: 0,
            tensors: 0,
            elements: 0,
            differences: Vec::new(),
            not_listed: 0,
        };
        for (_, found) in found {
            comparison.cases += usize::from(found.both_answered);
            comparison.tensors += found.tensors;
            comparison.elements += found.elements;
            let room = LISTED - comparison.differences.len();
            comparison.not_listed += found.not_listed + found.differences.len().saturating_sub(room);
            comparison.differences.extend(found.differences.into_iter().take(room));
        }
        comparison
    }
}

/// Keeps its answer for the other.
struct First {
    inner: Box<dyn Responder>,
    answer: Rc<RefCell<Option<Response>>>,
}

impl Responder for First {
    fn info(&self) -> &BackendInfo {
        self.inner.info()
    }

    fn respond(&mut self, request: &Request) -> Response {
        let response = self.inner.respond(request);
        *self.answer.borrow_mut() = Some(response.clone());
        response
    }
}

/// Compares its answer with the one that was kept.
struct Second {
    inner: Box<dyn Responder>,
    answer: Rc<RefCell<Option<Response>>>,
    labels: [&'static str; 2],
    found: Arc<Mutex<Vec<(String, Found)>>>,
}

impl Responder for Second {
    fn info(&self) -> &BackendInfo {
        self.inner.info()
    }

    fn respond(&mut self, request: &Request) -> Response {
        let response = self.inner.respond(request);
        if let Some(first) = self.answer.borrow_mut().take() {
            let found = compare(request, self.labels, [&first, &response]);
            let mut all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            all.push((request.case.clone(), found));
        }
        response
    }
}
