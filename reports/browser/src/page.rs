//! A page in a window of its own, with its own storage.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chromium::{Chromium, Window, chromium};
use crate::ear::{Ear, Heard};

/// How long something may take that a test waits for. Never what a test measures: a machine that is busy is no failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A window with one page.
pub struct Page {
    window: Window,
    ear: Ear,
    folder: TempDir,
    shown: Cell<usize>,
    media: Media,
    // Last: the browser ends when the last page lets go of it.
    browser: Arc<Chromium>,
}

/// What the system prefers, or the page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

#[derive(Debug, Clone, Copy)]
struct Media {
    theme: Theme,
    print: bool,
}

impl Page {
    /// A window of 1280 × 900 whose system prefers light colours.
    pub fn new() -> Self {
        Self::sized(1280, 900)
    }

    /// A window of so many pixels.
    pub fn sized(width: u32, height: u32) -> Self {
        let browser = chromium();
        let ear = Ear::default();
        let window =
            browser.open_window(&ear).unwrap_or_else(|error| panic!("Chromium opens no window: {error}"));
        let folder = TempDir::with_prefix("bncheck-browser-").expect("a folder for pages can be made");
        let media = Media { theme: Theme::Light, print: false };
        let page = Self { window, ear, folder, shown: Cell::new(0), media, browser };
        page.call("Page.enable", json!({}));
        page.call("Network.enable", json!({}));
        page.call("Log.enable", json!({}));
        page.call("Runtime.enable", json!({}));
        page.call("Emulation.setFocusEmulationEnabled", json!({"enabled": true}));
        page.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": VIOLATIONS}));
        page.resize(width, height);
        page.emulate();
        page
    }

    /// Sends a command of the `DevTools` protocol, and has its answer.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "commands are written where they are sent")]
    pub(crate) fn call(&self, command: &str, parameters: Value) -> Value {
        match self.browser.call(Some(&self.window), command, &parameters) {
            Ok(answer) => answer,
            Err(error) => panic!("{command} failed: {error}"),
        }
    }

    /// Writes `html` to a file of the page's own and opens that, at `fragment`: `""` or `"#/…"`.
    #[track_caller]
    pub fn show(&self, html: &str, fragment: &str) {
        // Another file each time: another fragment of the same one would not be loaded again.
        let number = self.shown.replace(self.shown.get() + 1);
        let file = self.folder.path().join(format!("report-{number}.html"));
        std::fs::write(&file, html).expect("the page can be written");
        self.open(&file, fragment);
    }

    /// Opens a file.
    #[track_caller]
    pub fn open(&self, file: &Path, fragment: &str) {
        let url = format!("file://{}{fragment}", file.display());
        let answer = self.call("Page.navigate", json!({"url": url}));
        if let Some(error) = answer["errorText"].as_str() {
            panic!("{url} does not load: {error}");
        }
        self.wait_for("the page is loaded", "document.readyState === 'complete'");
    }

    /// Goes to another place of the page that is open, as a link would.
    #[track_caller]
    pub fn go_to(&self, fragment: &str) {
        self.run(&format!("location.hash = {}", js(fragment)));
    }

    /// Evaluates an expression, whose value may be a promise, and reads it.
    #[track_caller]
    pub fn get<T: DeserializeOwned>(&self, expression: &str) -> T {
        let answer = self.call(
            "Runtime.evaluate",
            json!({
                "expression": format!("(async () => JSON.stringify((await ({expression})) ?? null))()"),
                "awaitPromise": true,
                "returnByValue": true,
            }),
        );
        if let Some(thrown) = answer.get("exceptionDetails") {
            panic!(
                "{expression}\nthrows {}",
                thrown["exception"]["description"].as_str().unwrap_or("something")
            );
        }
        let text = answer["result"]["value"].as_str().unwrap_or("null");
        match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => panic!("{expression}\nis {text}, of another type than asked for: {error}"),
        }
    }

    /// Evaluates an expression for what it does.
    #[track_caller]
    pub fn run(&self, expression: &str) {
        self.get::<Value>(&format!("(async () => {{ await ({expression}); }})()"));
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait_for(&self, what: &str, expression: &str) {
        let begun = Instant::now();
        while !self.get::<bool>(&format!("Boolean({expression})")) {
            assert!(
                begun.elapsed() < PATIENCE,
                "waited {PATIENCE:?} until {what}, which is: {expression}\nheard: {:#?}\nthe page says:\n{}",
                self.heard(),
                self.get::<String>("document.body ? document.body.innerText.slice(0, 2000) : '(nothing)'"),
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until something matches.
    #[track_caller]
    pub fn wait_until_there(&self, selector: &str) {
        self.wait_for(&format!("{selector} is there"), &format!("document.querySelector({})", js(selector)));
    }

    /// How many elements match.
    #[track_caller]
    pub fn count(&self, selector: &str) -> usize {
        self.get(&format!("document.querySelectorAll({}).length", js(selector)))
    }

    /// The text of the first element that matches, as it is rendered.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        self.wait_until_there(selector);
        self.get(&format!("document.querySelector({}).innerText", js(selector)))
    }

    /// What has been heard so far.
    pub fn heard(&self) -> Heard {
        self.ear.heard()
    }

    /// Waits until a dialog has opened, which stops the page, and closes it.
    #[track_caller]
    pub fn close_dialog(&self) {
        let begun = Instant::now();
        while self.heard().dialogs.is_empty() {
            assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for a dialog");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.call("Page.handleJavaScriptDialog", json!({"accept": true}));
    }

    /// What the page's policy has stopped: the directive and what was stopped, each.
    pub fn violations(&self) -> Vec<String> {
        self.get("window.bncheckViolations")
    }

    /// Makes the window so large.
    pub fn resize(&self, width: u32, height: u32) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
            }),
        );
    }

    /// Has the system prefer a theme.
    pub fn prefer(&mut self, theme: Theme) {
        self.media.theme = theme;
        self.emulate();
    }

    /// Shows the page as it is printed.
    pub fn print(&mut self) {
        self.media.print = true;
        self.emulate();
    }

    fn emulate(&self) {
        let theme = match self.media.theme {
            Theme::Light => "light",
            Theme::Dark => "dark",
        };
        self.call(
            "Emulation.setEmulatedMedia",
            json!({
                "media": if self.media.print { "print" } else { "" },
                "features": [
                    {"name": "prefers-color-scheme", "value": theme},
                    {"name": "prefers-reduced-motion", "value": "reduce"},
                ],
            }),
        );
    }

    /// Switches scripts off, for what is opened from now on.
    pub fn switch_scripts_off(&self) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    }

    /// Lets scripts run that the page's policy forbids, for what is opened from now on.
    pub(crate) fn bypass_policy(&self) {
        self.call("Page.setBypassCSP", json!({"enabled": true}));
    }

    /// The window as a PNG.
    pub fn screenshot(&self) -> String {
        let answer = self.call("Page.captureScreenshot", json!({"format": "png", "optimizeForSpeed": false}));
        answer["data"].as_str().unwrap_or_default().to_owned()
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.browser.close_window(&self.window);
    }
}

/// Runs in every page before anything of its own.
const VIOLATIONS: &str = "
    window.bncheckViolations = [];
    document.addEventListener('securitypolicyviolation', (event) =>
        window.bncheckViolations.push(event.violatedDirective + ': ' + (event.blockedURI || event.sample)));
";

/// A text as a JavaScript literal.
pub(crate) fn js(text: &str) -> String {
    Value::from(text).to_string()
}
