//! What a page must not do: ask the network for anything, say anything on the console, be stopped by its policy, or open a
//! dialog.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// What was heard, in the order in which it came.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Addresses asked for, the page's own among them.
    pub requests: Vec<String>,
    /// Errors and warnings, of the browser and of the page's script.
    pub complaints: Vec<String>,
    /// Texts of dialogs (`alert`), each of which stops the page.
    pub dialogs: Vec<String>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Ear(Arc<Mutex<Heard>>);

impl Ear {
    pub(crate) fn heard(&self) -> Heard {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Listens to an event of the `DevTools` protocol, whatever it is.
    pub(crate) fn hear(&self, event: &str, about: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            "Network.requestWillBeSent" => heard.requests.push(text(&about["request"]["url"])),
            "Log.entryAdded" => {
                let entry = &about["entry"];
                heard.complaints.push(format!("{}: {}", text(&entry["level"]), text(&entry["text"])));
            }
            "Runtime.consoleAPICalled" => {
                let said = about["args"].as_array().into_iter().flatten();
                let words: Vec<&Value> = said.filter_map(|word| word.get("value")).collect();
                heard.complaints.push(format!("console: {words:?}"));
            }
            "Runtime.exceptionThrown" => {
                let details = &about["exceptionDetails"];
                let words = text(&details["exception"]["description"]);
                heard.complaints.push(format!("{}: {words}", text(&details["text"])));
            }
            "Page.javascriptDialogOpening" => heard.dialogs.push(text(&about["message"])),
            _ => {}
        }
    }
}
