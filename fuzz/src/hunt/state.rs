//! Where a hunt is, kept in a file: one that was stopped or killed goes on from there.
//!
//! Each line of the file is the whole state after some cases, with a checksum; the last one that can be read counts. So a
//! line that was cut off or damaged costs the cases since the one before.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::Crc;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::coverage::Reached;
use super::desk::Outcome;
use super::dossier::Dossier;

/// How often the state is written.
const EVERY: Duration = Duration::from_secs(2);

/// How many lines a file has before it begins anew.
const LINES: usize = 50;

/// Where a hunt is.
#[derive(Default)]
pub struct State {
    /// What was reached of what cases can be.
    pub reached: Reached,
    /// What was found.
    pub dossier: Dossier,
    /// What could not be read, and was left out.
    pub unreadable: Vec<String>,
    /// All cases below this are done.
    done: usize,
    /// What came of later ones, until those before them are done.
    early: BTreeMap<usize, (Reached, Outcome)>,
    file: Option<Kept>,
}

struct Kept {
    path: PathBuf,
    file: File,
    lines: usize,
    written: Instant,
    /// What the hunt is, which its state says too.
    identity: String,
}

/// Why the state cannot be kept.
#[derive(Debug, Error)]
#[error("{path}: the state of the hunt cannot be {what}: {error}", path = path.display())]
pub struct StateError {
    path: PathBuf,
    what: &'static str,
    error: io::Error,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    identity: String,
    done: usize,
    reached: Reached,
    dossier: Dossier,
}

impl State {
    /// A new hunt, whose state is kept in a file. `identity` says what hunt it is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn new_in(path: &Path, identity: &str) -> Result<Self, StateError> {
        State::default().kept_in(path, identity)
    }

    /// The state that is in a file; where there is none, or none of this hunt that can be read, that of a new one, and
    /// [`unreadable`](Self::unreadable) says so.
    ///
    /// # Errors
    /// When it is the state of another hunt: what it was. And when the file cannot be read or written.
    pub fn resumed_from(path: &Path, identity: &str) -> Result<Result<Self, String>, StateError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Ok(Self::new_in(path, identity)?));
            }
            Err(error) => return Err(StateError { path: path.to_owned(), what: "read", error }),
        };
        let mut state = State::default();
        let mut latest = None;
        for (number, line) in
            bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty())
        {
            match read_line(line) {
                Ok(line) => latest = Some(line),
                Err(why) => {
                    let number = number + 1;
                    state
                        .unreadable
                        .push(format!("{}, line {number}: {why}; it is left out", path.display()));
                }
            }
        }
        match latest {
            Some(line) if line.identity != identity => return Ok(Err(line.identity)),
            Some(Line { done, reached, dossier, .. }) => {
                (state.done, state.reached, state.dossier) = (done, reached, dossier);
            }
            None => {}
        }
        Ok(Ok(state.kept_in(path, identity)?))
    }

    fn kept_in(mut self, path: &Path, identity: &str) -> Result<Self, StateError> {
        let file = begin(path)?;
        let identity = identity.to_owned();
        self.file = Some(Kept { path: path.to_owned(), file, lines: 0, written: Instant::now(), identity });
        self.save()?;
        Ok(self)
    }

    /// The number of the first case that is not done.
    pub fn next(&self) -> usize {
        self.done
    }

    /// Takes in what came of case number `number`.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn take(&mut self, number: usize, reached: &Reached, outcome: Outcome) -> Result<(), StateError> {
        // A state is that of all cases below a number, so that it is the same in every run.
        if number != self.done {
            if number > self.done {
                self.early.entry(number).or_insert_with(|| (reached.clone(), outcome));
            }
            return Ok(());
        }
        self.add(number, reached, outcome);
        while let Some((reached, outcome)) = self.early.remove(&self.done) {
            self.add(self.done, &reached, outcome);
        }
        if self.file.as_ref().is_some_and(|kept| kept.written.elapsed() >= EVERY) {
            self.save()?;
        }
        Ok(())
    }

    fn add(&mut self, number: usize, reached: &Reached, outcome: Outcome) {
        self.reached.add(reached);
        self.dossier.take(number, outcome);
        self.done = number + 1;
    }

    /// Writes the state.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn save(&mut self) -> Result<(), StateError> {
        let Some(kept) = &mut self.file else { return Ok(()) };
        let failed = |error| StateError { path: kept.path.clone(), what: "written", error };
        let (reached, dossier) = (self.reached.clone(), self.dossier.clone());
        let line = Line { identity: kept.identity.clone(), done: self.done, reached, dossier };
        let json = serde_json::to_string(&line).map_err(|error| failed(error.into()))?;
        if kept.lines >= LINES {
            // The new file is complete before it takes the old one's place.
            let beside = kept.path.with_extension("new");
            kept.file = begin(&beside)?;
            kept.lines = 0;
            write_line(&mut kept.file, &json).map_err(failed)?;
            fs::rename(&beside, &kept.path).map_err(failed)?;
        } else {
            write_line(&mut kept.file, &json).map_err(failed)?;
        }
        kept.lines += 1;
        kept.written = Instant::now();
        Ok(())
    }
}

/// The seed of the hunt whose state is in a file, where one can be read.
pub fn seed_of(path: &Path) -> Option<u64> {
    let bytes = fs::read(path).ok()?;
    let latest = bytes.split(|byte| *byte == b'\n').rev().find_map(|line| read_line(line).ok())?;
    serde_json::from_str::<serde_json::Value>(&latest.identity).ok()?.get("seed")?.as_u64()
}

fn begin(path: &Path) -> Result<File, StateError> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path);
    file.map_err(|error| StateError { path: path.to_owned(), what: "written", error })
}

fn write_line(file: &mut File, json: &str) -> io::Result<()> {
    file.write_all(format!("{:08x} {json}\n", checksum(json.as_bytes())).as_bytes())
}

fn read_line(line: &[u8]) -> Result<Line, String> {
    let line = std::str::from_utf8(line).map_err(|_| "it is no text".to_owned())?;
    let (sum, json) = line.split_once(' ').ok_or("it is cut off")?;
    if u32::from_str_radix(sum, 16) != Ok(checksum(json.as_bytes())) {
        return Err("its checksum is wrong".to_owned());
    }
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn checksum(json: &[u8]) -> u32 {
    let mut sum = Crc::new();
    sum.update(json);
    sum.sum()
}

#[cfg(test)]
mod tests {
    use bn_harness::finds::Sign;
    use bn_harness::results::Verdict;

    use super::super::desk::{Failure, Whose};
    use super::*;

    fn outcome(number: usize) -> Outcome {
        let sign =
            Sign { verdict: Verdict::Fail, action: "forward".to_owned(), what: "output is off".to_owned() };
        let what = format!("case {number}");
        let failure = Failure { whose: Whose::Backend(0), property: "differential", sign, what };
        Outcome { verdicts: vec![(0, Verdict::Fail)], held: Vec::new(), failures: vec![failure] }
    }

    fn take(state: &mut State, number: usize) {
        state.take(number, &Reached::default(), outcome(number)).expect("it is kept");
    }

    fn resumed(path: &Path) -> State {
        State::resumed_from(path, "this").expect("it can be read").expect("it is this hunt")
    }

    #[test]
    fn cases_count_once_all_before_them_are_done() {
        let mut state = State::default();
        for number in [2, 0, 1, 5, 3] {
            take(&mut state, number);
        }
        assert_eq!((state.next(), state.dossier.failures()), (4, 4));
        take(&mut state, 4);
        assert_eq!((state.next(), state.dossier.failures()), (6, 6));
    }

    #[test]
    fn a_hunt_goes_on_from_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        let mut state = resumed(&path);
        assert_eq!(state.next(), 0);
        (0..3).for_each(|number| take(&mut state, number));
        state.save().expect("it is written");
        let again = resumed(&path);
        assert_eq!((again.next(), &again.dossier), (3, &state.dossier));
        assert_eq!(again.unreadable, [] as [String; 0]);
        let other = State::resumed_from(&path, "that").expect("it can be read");
        assert_eq!(other.err().as_deref(), Some("this"));
    }

    #[test]
    fn a_damaged_line_is_said_and_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        let mut state = resumed(&path);
        take(&mut state, 0);
        state.save().expect("it is written");
        let whole = fs::read(&path).expect("it is there");
        take(&mut state, 1);
        state.save().expect("it is written");
        let mut damaged = fs::read(&path).expect("it is there");
        damaged[whole.len() + 30] ^= 1;
        damaged.extend(b"cut o");
        fs::write(&path, damaged).expect("it is written");
        let again = resumed(&path);
        assert_eq!((again.next(), again.dossier.failures()), (1, 1));
        assert_eq!(again.unreadable.len(), 2, "{:?}", again.unreadable);
        fs::write(&path, b"\xff\xfe nothing of it").expect("it is written");
        let new = resumed(&path);
        assert_eq!((new.next(), new.unreadable.len()), (0, 1));
    }

    #[test]
    fn a_long_file_begins_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        let mut state = resumed(&path);
        for number in 0..2 * LINES {
            take(&mut state, number);
            state.save().expect("it is written");
        }
        let lines = fs::read_to_string(&path).expect("it is there").lines().count();
        assert!(lines <= LINES, "{lines} lines");
        assert_eq!(resumed(&path).next(), 2 * LINES);
    }
}
