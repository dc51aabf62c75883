//! Backends that are not to be had here.

use bn_api::{BackendInfo, Request, Responder, Response};

/// Says to every case why there is no answer.
pub struct Absent {
    info: BackendInfo,
    why: String,
}

impl Absent {
    /// A backend of this name, and why it is not there.
    pub fn new(name: &str, why: String) -> Self {
        let info = BackendInfo {
            name: name.to_owned(),
            version: format!("{name} (not here)"),
            about: format!("not here: {why}"),
            unobservable: Vec::new(),
        };
        Absent { info, why }
    }
}

impl Responder for Absent {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn respond(&mut self, _: &Request) -> Response {
        Response::Unsupported { reason: self.why.clone() }
    }
}
