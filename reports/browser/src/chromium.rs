//! One Chromium for the tests of a program that run at the same time: it starts with the first of them and ends with the
//! last.
//!
//! It is spoken to over a pipe (`--remote-debugging-pipe`): messages of the `DevTools` protocol as JSON, each ended by a
//! zero byte, commands on its descriptor 3 and answers and events on its descriptor 4.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ear::Ear;

static RUNNING: Mutex<Weak<Chromium>> = Mutex::new(Weak::new());

/// How long one command may take. A machine that is busy is no failure.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the browser may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(5);

/// Moves the pipes to where Chromium looks for them, and leaves nothing of the test's own standard streams to it.
const WITH_PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#;

/// What makes it quiet and the same everywhere.
const ARGUMENTS: [&str; 22] = [
    "--headless=new",
    // Containers, and root, cannot have the sandbox. Nothing is opened but files that were just written.
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--window-size=1280,900",
    "--hide-scrollbars",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-renderer-backgrounding",
    "--disable-search-engine-choice-screen",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-default-browser-check",
    "--no-first-run",
    "--password-store=basic",
];

/// A browser that runs.
pub(crate) struct Chromium {
    child: Mutex<Child>,
    commands: Mutex<ChildStdin>,
    next: AtomicU64,
    heard: Arc<Hearing>,
    /// Its settings, which go with it.
    _profile: TempDir,
}

/// A window, as the protocol names it.
pub(crate) struct Window {
    /// What its commands and events are marked with.
    session: String,
    /// Its own cookies and storage.
    context: String,
}

/// Who waits for what the browser says.
#[derive(Default)]
struct Hearing {
    answers: Mutex<HashMap<u64, Sender<Result<Value, String>>>>,
    ears: Mutex<HashMap<String, Ear>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The browser, which runs for as long as anyone holds it.
pub(crate) fn chromium() -> Arc<Chromium> {
    let mut running = lock(&RUNNING);
    if let Some(browser) = running.upgrade() {
        return browser;
    }
    let browser = Arc::new(Chromium::launch());
    *running = Arc::downgrade(&browser);
    browser
}

impl Chromium {
    fn launch() -> Self {
        let path = std::env::var_os("BNCHECK_CHROMIUM")
            .map(PathBuf::from)
            .expect("BNCHECK_CHROMIUM does not say where Chromium is; `just browser` sets it");
        let profile = TempDir::with_prefix("bncheck-chromium-").expect("a folder for Chromium can be made");
        let mut child = Command::new("sh")
            .args(["-c", WITH_PIPES])
            .arg(&path)
            .args(ARGUMENTS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Of its own, so that all its processes can be stopped.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", path.display()));
        let commands = child.stdin.take().expect("it is piped");
        let heard = Arc::new(Hearing::default());
        let (listener, said) = (heard.clone(), child.stdout.take().expect("it is piped"));
        std::thread::spawn(move || listener.listen(said));
        let browser = Self {
            child: Mutex::new(child),
            commands: Mutex::new(commands),
            next: AtomicU64::new(1),
            heard,
            _profile: profile,
        };
        if let Err(error) = browser.call(None, "Browser.getVersion", &json!({})) {
            panic!("{} does not answer: {error}", path.display());
        }
        browser
    }

    /// Sends a command, of a window or of the browser itself, and waits for its answer.
    ///
    /// # Errors
    /// When the browser refuses it, has ended, or takes too long.
    pub(crate) fn call(
        &self,
        window: Option<&Window>,
        command: &str,
        parameters: &Value,
    ) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({"id": id, "method": command, "params": parameters});
        if let Some(window) = window {
            message["sessionId"] = window.session.as_str().into();
        }
        let (sender, answer) = channel();
        lock(&self.heard.answers).insert(id, sender);
        let sent = {
            let mut commands = lock(&self.commands);
            commands.write_all(format!("{message}\0").as_bytes()).and_then(|()| commands.flush())
        };
        let answered = match sent {
            Ok(()) => answer
                .recv_timeout(PATIENCE)
                .map_err(|error| match error {
                    RecvTimeoutError::Timeout => format!("no answer in {PATIENCE:?}"),
                    RecvTimeoutError::Disconnected => "Chromium has ended".to_owned(),
                })
                .flatten(),
            Err(error) => Err(format!("Chromium has ended: {error}")),
        };
        lock(&self.heard.answers).remove(&id);
        answered
    }

    /// Opens a window with storage of its own, whose events go to `ear`.
    ///
    /// # Errors
    /// As of [`Chromium::call`].
    pub(crate) fn open_window(&self, ear: &Ear) -> Result<Window, String> {
        let named = |answer: &Value, name: &str| {
            answer[name].as_str().map(str::to_owned).ok_or_else(|| format!("{answer} has no {name}"))
        };
        let context =
            named(&self.call(None, "Target.createBrowserContext", &json!({}))?, "browserContextId")?;
        let target = json!({"url": "about:blank", "browserContextId": context});
        let target = named(&self.call(None, "Target.createTarget", &target)?, "targetId")?;
        let attach = json!({"targetId": target, "flatten": true});
        let session = named(&self.call(None, "Target.attachToTarget", &attach)?, "sessionId")?;
        lock(&self.heard.ears).insert(session.clone(), ear.clone());
        Ok(Window { session, context })
    }

    /// Closes a window. What is left open ends with the browser.
    pub(crate) fn close_window(&self, window: &Window) {
        lock(&self.heard.ears).remove(&window.session);
        let _ = self.call(None, "Target.disposeBrowserContext", &json!({"browserContextId": window.context}));
    }
}

impl Hearing {
    /// Hands on all that the browser says, until it ends.
    fn listen(&self, said: impl Read) {
        let mut said = BufReader::new(said);
        let mut bytes = Vec::new();
        while matches!(said.read_until(0, &mut bytes), Ok(read) if read > 0) {
            let message = serde_json::from_slice(bytes.strip_suffix(&[0]).unwrap_or(&bytes));
            self.hear(&message.unwrap_or_default());
            bytes.clear();
        }
        // Nobody has to wait any longer.
        lock(&self.answers).clear();
    }

    fn hear(&self, message: &Value) {
        if let Some(id) = message["id"].as_u64() {
            let answer = match message.get("error") {
                Some(error) => {
                    Err(error["message"].as_str().unwrap_or("an error without a message").to_owned())
                }
                None => Ok(message["result"].clone()),
            };
            if let Some(sender) = lock(&self.answers).remove(&id) {
                // Whoever asked may have given up.
                let _ = sender.send(answer);
            }
        } else if let (Some(event), Some(session)) =
            (message["method"].as_str(), message["sessionId"].as_str())
        {
            let ear = lock(&self.ears).get(session).cloned();
            if let Some(ear) = ear {
                ear.hear(event, &message["params"]);
            }
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It may end before it answers.
        let close = json!({"id": 0, "method": "Browser.close"});
        let _ = lock(&self.commands).write_all(format!("{close}\0").as_bytes());
        let mut child = lock(&self.child);
        let begun = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if begun.elapsed() > FAREWELL {
                let group = rustix::process::Pid::from_child(&child);
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
                let _ = child.wait();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
