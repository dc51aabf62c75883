//! A journal in a file to which lines are added, one a case, each with a checksum.
//!
//! What is held in memory of a case is where its line is. Whatever ends the run, a line is there whole, or it is not taken:
//! a process that is killed leaves at most half of its last one, a machine without power perhaps a stretch of zeros. The
//! first line says which run it is.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::Crc;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Journal, JournalError};

/// The version of the file.
const VERSION: u32 = 1;

/// How often what was written is brought to the disk, for machines that lose their power.
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// Which run a journal is of, and when it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// What the run is: it goes on only where all of this is the same.
    pub run: Value,
    /// When it began, in milliseconds since 1970.
    pub started_unix_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct Head {
    bncheck_journal: u32,
    #[serde(flatten)]
    begun: Begun,
}

/// A journal in a file.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    file: File,
    end: u64,
    places: Places,
    window: Window,
    synced: Instant,
    since: Instant,
    /// How long the run had taken before this process, in milliseconds.
    earlier: u64,
    /// How many lines were not whole.
    pub damaged: usize,
}

impl FileJournal {
    /// Begins a journal. The file must not be there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(path: &Path, begun: &Begun) -> Result<Self, JournalError> {
        let failed = |error| JournalError::Write { path: path.to_owned(), error };
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(path).map_err(failed)?;
        let mut journal = FileJournal::new(path, file);
        let head = Head { bncheck_journal: VERSION, begun: begun.clone() };
        let mut line = serde_json::to_vec(&head).map_err(JournalError::Entry)?;
        line.push(b'\n');
        journal.write(&line)?;
        Ok(journal)
    }

    /// Takes up a journal that a run has left, with all entries that are whole.
    ///
    /// # Errors
    /// When it cannot be read, or is none of this version.
    pub fn take_up(path: &Path) -> Result<(Self, Begun), JournalError> {
        let failed = |error| JournalError::Read { path: path.to_owned(), error };
        let other = |why: String| JournalError::Other { path: path.to_owned(), why };
        let file = OpenOptions::new().read(true).append(true).open(path).map_err(failed)?;
        let mut journal = FileJournal::new(path, file.try_clone().map_err(failed)?);
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        let length = lines.read_until(b'\n', &mut line).map_err(failed)?;
        let head: Head =
            serde_json::from_slice(&line).map_err(|_| other("it does not begin as one".to_owned()))?;
        if head.bncheck_journal != VERSION {
            return Err(other(format!("it is of version {}", head.bncheck_journal)));
        }
        journal.end = length as u64;
        loop {
            line.clear();
            let length = lines.read_until(b'\n', &mut line).map_err(failed)?;
            if length == 0 {
                break;
            }
            match read(&line) {
                Some(Line { index, ms, text }) => {
                    let offset = journal.end + (text.as_ptr().addr() - line.as_ptr().addr()) as u64;
                    journal.places.keep(index, offset);
                    journal.earlier = journal.earlier.max(ms);
                }
                None => journal.damaged += 1,
            }
            journal.end += length as u64;
        }
        // What follows begins on a line of its own.
        if line_is_open(&mut journal.file).map_err(failed)? {
            journal.write(b"\n")?;
        }
        Ok((journal, head.begun))
    }

    fn new(path: &Path, file: File) -> Self {
        FileJournal {
            path: path.to_owned(),
            file,
            end: 0,
            places: Places::default(),
            window: Window::default(),
            synced: Instant::now(),
            since: Instant::now(),
            earlier: 0,
            damaged: 0,
        }
    }

    /// How many cases it has.
    pub fn len(&self) -> usize {
        self.places.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How long the run has taken, in this process and before, in milliseconds.
    pub fn elapsed_ms(&self) -> u64 {
        self.earlier + self.since.elapsed().as_millis() as u64
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| JournalError::Write { path: self.path.clone(), error })?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

impl Journal for FileJournal {
    fn put(&mut self, index: usize, line: Vec<u8>) -> Result<(), JournalError> {
        let start = format!("{:08x} {index} {} ", checksum(index, &line), self.elapsed_ms());
        let offset = self.end + start.len() as u64;
        let mut whole = start.into_bytes();
        whole.extend(line);
        whole.push(b'\n');
        self.write(&whole)?;
        self.places.keep(index, offset);
        if self.synced.elapsed() >= SYNC_EVERY {
            let synced = self.file.sync_data();
            synced.map_err(|error| JournalError::Write { path: self.path.clone(), error })?;
            self.synced = Instant::now();
        }
        Ok(())
    }

    fn get(&mut self, index: usize) -> Result<Option<Vec<u8>>, JournalError> {
        let Some(offset) = self.places.of(index) else { return Ok(None) };
        let line = self.window.line(&mut self.file, offset);
        line.map(Some).map_err(|error| JournalError::Read { path: self.path.clone(), error })
    }

    fn has(&self, index: usize) -> bool {
        self.places.of(index).is_some()
    }
}

/// Where the text of each entry begins in the file, four bytes a case: it ends with its line. They are kept in pieces, so
/// that more of them never move those that there are.
#[derive(Debug, Default)]
struct Places {
    pieces: Vec<Piece>,
    /// Those that are too far from the others of their piece, as an entry that was replaced late in a run.
    far: BTreeMap<usize, u64>,
    count: usize,
}

/// The places of entries that follow each other.
#[derive(Debug, Default)]
struct Piece {
    /// The one that came first.
    first: u64,
    /// How much further on each begins, and [`Piece::MIDDLE`] more; [`Piece::NONE`] and [`Piece::FAR`] where that says nothing.
    steps: Vec<u32>,
}

impl Piece {
    const NONE: u32 = 0;
    const MIDDLE: u64 = 1 << 31;
    const FAR: u32 = u32::MAX;

    /// How a place is kept here.
    fn step_to(&self, place: u64) -> u32 {
        let step = (place + Self::MIDDLE).checked_sub(self.first).and_then(|step| u32::try_from(step).ok());
        step.filter(|step| *step != Self::NONE).unwrap_or(Self::FAR)
    }
}

impl Places {
    /// How many are in a piece.
    const PIECE: usize = 4096;

    fn keep(&mut self, index: usize, offset: u64) {
        let (piece, within) = (index / Self::PIECE, index % Self::PIECE);
        if self.pieces.len() <= piece {
            self.pieces.resize_with(piece + 1, Piece::default);
        }
        let piece = &mut self.pieces[piece];
        if piece.steps.is_empty() {
            piece.first = offset;
        }
        if piece.steps.len() <= within {
            piece.steps.resize(within + 1, Piece::NONE);
        }
        let step = piece.step_to(offset);
        let before = std::mem::replace(&mut piece.steps[within], step);
        self.count += usize::from(before == Piece::NONE);
        if step == Piece::FAR {
            self.far.insert(index, offset);
        }
    }

    fn of(&self, index: usize) -> Option<u64> {
        let piece = self.pieces.get(index / Self::PIECE)?;
        match *piece.steps.get(index % Self::PIECE)? {
            Piece::NONE => None,
            Piece::FAR => self.far.get(&index).copied(),
            step => Some(piece.first + u64::from(step) - Piece::MIDDLE),
        }
    }
}

/// The stretch of the file that was read last: who reads the entries in the order of the cases asks mostly for the next
/// line.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// What is read at once, in bytes.
    const SIZE: usize = 1 << 16;

    /// The line, or the rest of it, that begins at `offset`, without its end.
    fn line(&mut self, file: &mut File, offset: u64) -> std::io::Result<Vec<u8>> {
        if let Some(line) = self.held(offset) {
            return Ok(line);
        }
        file.seek(SeekFrom::Start(offset))?;
        self.start = offset;
        self.bytes.clear();
        loop {
            let seen = self.bytes.len();
            let read = file.take(Self::SIZE as u64).read_to_end(&mut self.bytes)?;
            if let Some(length) = self.bytes[seen..].iter().position(|byte| *byte == b'\n') {
                return Ok(self.bytes[..seen + length].to_vec());
            }
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn held(&self, offset: u64) -> Option<Vec<u8>> {
        let rest = self.bytes.get(usize::try_from(offset.checked_sub(self.start)?).ok()?..)?;
        let length = rest.iter().position(|byte| *byte == b'\n')?;
        Some(rest[..length].to_vec())
    }
}

struct Line<'a> {
    index: usize,
    ms: u64,
    text: &'a [u8],
}

/// Reads `CHECKSUM INDEX MILLISECONDS ENTRY`, with or without the end of the line.
fn read(line: &[u8]) -> Option<Line<'_>> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let mut number = |radix| {
        let part = std::str::from_utf8(parts.next()?).ok()?;
        u64::from_str_radix(part, radix).ok()
    };
    let (sum, index, ms) = (number(16)?, number(10)?, number(10)?);
    let text = parts.next()?;
    let index = usize::try_from(index).ok()?;
    (u64::from(checksum(index, text)) == sum).then_some(Line { index, ms, text })
}

fn checksum(index: usize, text: &[u8]) -> u32 {
    let mut sum = Crc::new();
    sum.update(&(index as u64).to_le_bytes());
    sum.update(text);
    sum.sum()
}

/// Whether the file ends in the middle of a line.
fn line_is_open(file: &mut File) -> std::io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn begun() -> Begun {
        Begun { run: json!({"filter": ["exact"], "cases": 3}), started_unix_ms: 17 }
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    /// A journal of cases 2, 0 and 1, the last of which was written twice.
    fn written(path: &Path) {
        let mut journal = FileJournal::begin(path, &begun()).expect("begun");
        for (index, text) in [(2, "two"), (0, "zero\u{a0}0"), (1, "one"), (1, "one again")] {
            journal.put(index, text.into()).expect("kept");
        }
        assert_eq!(journal.get(0).expect("read"), Some("zero\u{a0}0".into()));
    }

    #[test]
    fn what_was_kept_is_there_when_the_run_goes_on() {
        let folder = folder();
        let path = folder.path().join("journal");
        written(&path);
        let (mut journal, taken_up) = FileJournal::take_up(&path).expect("a journal");
        assert_eq!(taken_up, begun());
        assert_eq!((journal.len(), journal.damaged), (3, 0));
        let mut text =
            |index| journal.get(index).expect("read").map(|line| String::from_utf8(line).expect("text"));
        assert_eq!(text(0).as_deref(), Some("zero\u{a0}0"));
        assert_eq!(text(1).as_deref(), Some("one again"), "the last one counts");
        assert_eq!(text(3), None);
    }

    #[test]
    fn wherever_the_file_ends_what_is_whole_is_taken_up_and_more_can_be_added() {
        let folder = folder();
        let path = folder.path().join("journal");
        written(&path);
        let whole = std::fs::read(&path).expect("read");
        let head = whole.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        let ends: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] == b'\n').map(|at| at + 1).collect();
        for cut in head..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("written");
            let (mut journal, _) = FileJournal::take_up(&path).expect("a journal");
            // A line of which only the end is missing is whole.
            let lines = ends.iter().filter(|&&end| end > head && end - 1 <= cut).count();
            assert_eq!(journal.len(), lines.min(3), "cut at {cut}");
            assert_eq!(
                journal.damaged,
                usize::from(!ends.contains(&cut) && !ends.contains(&(cut + 1))),
                "cut at {cut}"
            );
            journal.put(7, "seven".into()).expect("kept");
            let (mut again, _) = FileJournal::take_up(&path).expect("a journal");
            assert_eq!(again.get(7).expect("read"), Some("seven".into()), "cut at {cut}");
            assert_eq!(again.len(), journal.len());
        }
    }

    #[test]
    fn places_are_kept_however_far_apart_they_are() {
        let mut places = Places::default();
        let far = [
            5_u64 << 33,
            (5 << 33) - Piece::MIDDLE + 1,
            70,
            (5 << 33) + Piece::MIDDLE - 2,
            1 << 60,
            u64::MAX >> 1,
        ];
        let indices = [9, 3, 4095, 0, 10, 5000];
        for again in [0, 1] {
            for (index, place) in indices.into_iter().zip(far.into_iter().cycle().skip(again)) {
                places.keep(index, place);
                assert_eq!(places.of(index), Some(place), "{index}");
            }
        }
        let kept: Vec<_> = indices.iter().map(|index| places.of(*index)).collect();
        assert_eq!(kept, far.into_iter().cycle().skip(1).take(6).map(Some).collect::<Vec<_>>());
        assert_eq!((places.of(1), places.of(5001), places.of(99_999), places.count), (None, None, None, 6));
    }

    #[test]
    fn entries_are_read_in_any_order_whatever_their_length() {
        let folder = folder();
        let mut journal = FileJournal::begin(&folder.path().join("journal"), &begun()).expect("begun");
        let text =
            |index: usize| vec![b'a' + index as u8; [0, 10, Window::SIZE, 3 * Window::SIZE][index % 4]];
        for index in (0..12).rev() {
            journal.put(index, text(index)).expect("kept");
            // In between, too: what was read before says nothing of what is written after it.
            assert_eq!(journal.get(11).expect("read"), Some(text(11)));
        }
        for index in (0..12).chain((0..12).rev()) {
            assert_eq!(journal.get(index).expect("read"), Some(text(index)), "{index}");
        }
        assert_eq!(journal.len(), 12);
    }

    #[test]
    fn a_line_with_any_byte_changed_is_not_taken() {
        let folder = folder();
        let path = folder.path().join("journal");
        written(&path);
        let whole = std::fs::read(&path).expect("read");
        let head = whole.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        let end = head + whole[head..].iter().position(|byte| *byte == b'\n').expect("a line");
        let milliseconds = |at: usize| whole[head..at].split(|byte| *byte == b' ').count() == 3;
        for at in (head..end).filter(|&at| !milliseconds(at)) {
            let mut changed = whole.clone();
            changed[at] = 0;
            std::fs::write(&path, &changed).expect("written");
            let (journal, _) = FileJournal::take_up(&path).expect("a journal");
            assert!(!journal.has(2) && journal.damaged == 1, "byte {at}");
        }
    }

    #[test]
    fn what_is_no_record_is_not_taken_up() {
        let folder = folder();
        let path = folder.path().join("journal");
        for (text, why) in [
            ("", "it does not begin as one"),
            ("{\"bncheck_journal\":1", "it does not begin as one"),
            ("{\"schema_version\":1}\n", "it does not begin as one"),
            ("{\"bncheck_journal\":9,\"run\":{},\"started_unix_ms\":0}\n", "it is of version 9"),
        ] {
            std::fs::write(&path, text).expect("written");
            let error = FileJournal::take_up(&path).expect_err(text).to_string();
            assert!(error.ends_with(why), "{text}: {error}");
        }
        let error = FileJournal::take_up(&folder.path().join("none")).expect_err("none").to_string();
        assert!(error.contains("cannot read"), "{error}");
    }

    #[test]
    fn a_record_that_is_there_is_not_begun_anew() {
        let folder = folder();
        let path = folder.path().join("journal");
        written(&path);
        assert!(matches!(FileJournal::begin(&path, &begun()), Err(JournalError::Write { .. })));
    }
}
