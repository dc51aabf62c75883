//! Ctrl-C.

use std::sync::OnceLock;

use bn_api::wire::Stop;

/// The exit code of a program that is ended by Ctrl-C, by the convention of shells.
const INTERRUPTED: i32 = 130;

/// Has Ctrl-C, and a request of the system to end, stop the run cleanly; a second one ends the program at once. Its
/// workers end with it.
pub fn stops(stop: &Stop) {
    static ASKED: OnceLock<()> = OnceLock::new();
    let stop = stop.clone();
    let handler = move || {
        if ASKED.set(()).is_err() {
            std::process::exit(INTERRUPTED);
        }
        eprintln!("\nstopping; once more ends it at once");
        stop.now();
    };
    // Where there can be no handler, Ctrl-C ends the program as ever, and the record is there all the same.
    let _ = ctrlc::set_handler(handler);
}
