//! The pages for those who add something, followed step by step: what they have one write is written, what they have one
//! type is typed, and what they show is what is printed.
#![cfg(feature = "libtorch")]
#![cfg(unix)]

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{libtorch, program, root};
use tempfile::TempDir;

/// What a fenced block of a page is for.
#[derive(Debug)]
enum Block {
    /// A file, by its name.
    File(String, String),
    /// A change of one.
    Change(String, String),
    /// What is typed.
    Typed(String),
    /// What is then to be seen.
    Shown(String),
}

/// The blocks of a page, up to the section about the checkout itself, which a test cannot change.
fn blocks(page: &str) -> Vec<Block> {
    let text = page.split("\n## Into the checkout").next().unwrap_or(page);
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: String =
            lines.by_ref().take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect();
        blocks.push(match (info, info.split_once(" file=")) {
            (_, Some(("diff", name))) => Block::Change(name.to_owned(), body),
            (_, Some((_, name))) => Block::File(name.to_owned(), body),
            ("sh", _) => Block::Typed(body),
            ("text", _) => Block::Shown(body),
            _ => panic!("what is a block of `{info}` for?\n{body}"),
        });
    }
    blocks
}

/// Somebody who follows a page, in a folder beside the checkout.
struct Reader {
    folder: PathBuf,
    /// The same, where it goes with the reader.
    _temporary: Option<TempDir>,
    /// The lines that change the shell's environment, which outlast a block.
    exports: String,
    /// The exit code of everything that was typed.
    codes: Vec<Option<i32>>,
    latest: String,
}

impl Reader {
    fn new() -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        Reader::at(temporary.path().to_owned(), Some(temporary))
    }

    /// In this folder, which is empty or was a reader's before.
    fn at(folder: PathBuf, temporary: Option<TempDir>) -> Self {
        let mine = folder.join("mine");
        if mine.exists() {
            std::fs::remove_dir_all(&mine).expect("removed");
        }
        std::fs::create_dir_all(&mine).expect("a folder");
        let checkout = folder.join("bncheck");
        if !checkout.exists() {
            std::os::unix::fs::symlink(root(), checkout).expect("the checkout");
        }
        let (exports, codes, latest) = (String::new(), Vec::new(), String::new());
        Reader { folder, _temporary: temporary, exports, codes, latest }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.join("mine").join(name)
    }

    /// Does what a page of `docs/` says.
    #[track_caller]
    fn follows(mut self, page: &str) -> Vec<Option<i32>> {
        let path = root().join("docs").join(page);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let blocks = blocks(&text);
        for (number, block) in blocks.iter().enumerate() {
            match block {
                Block::File(name, text) => {
                    let place = self.place(name);
                    std::fs::create_dir_all(place.parent().expect("a folder")).expect("made");
                    std::fs::write(place, text).expect("written");
                }
                Block::Change(name, change) => {
                    let place = self.place(name);
                    let text = std::fs::read_to_string(&place).expect("the page has it written before");
                    std::fs::write(place, changed(&text, change)).expect("written");
                }
                Block::Typed(script) => {
                    self.types(script);
                    let is_shown = matches!(blocks.get(number + 1), Some(Block::Shown(_)));
                    let well = self.codes.last() == Some(&Some(0));
                    assert!(is_shown || well, "{script}ended with {:?}:\n{}", self.codes.last(), self.latest);
                }
                Block::Shown(text) => self.sees(text),
            }
        }
        self.codes
    }

    fn types(&mut self, script: &str) {
        let before = std::env::var_os("PATH").unwrap_or_default();
        let own = program().parent().map(Path::to_owned);
        let path =
            std::env::join_paths(own.into_iter().chain(std::env::split_paths(&before))).expect("a path");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("exec 2>&1\n{}{script}", self.exports));
        shell.current_dir(self.place(".")).env("PATH", path).env("LIBTORCH", libtorch());
        shell.env("CARGO_NET_OFFLINE", "true").env("NO_COLOR", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        for name in
            ["CARGO_TARGET_DIR", "CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "PYTHONPATH", "RUSTFLAGS", "COLUMNS"]
        {
            shell.env_remove(name);
        }
        let output = shell.output().expect("a shell");
        self.codes.push(output.status.code());
        self.latest = String::from_utf8_lossy(&output.stdout).into_owned();
        for line in script.lines().filter(|line| line.starts_with("export ")) {
            let _ = writeln!(self.exports, "{line}");
        }
    }

    /// The lines that the page shows have been printed, in their order; `…` stands for anything.
    #[track_caller]
    fn sees(&self, shown: &str) {
        let mut printed = self.latest.lines();
        for line in shown.lines().filter(|line| !line.trim().is_empty()) {
            assert!(
                printed.any(|printed| has(printed, line)),
                "no line (or none after the one before) is\n  {line}\nin\n{}",
                self.latest
            );
        }
    }
}

/// Whether a line that was printed has in it what is shown, whatever the spaces are.
fn has(printed: &str, shown: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let printed = plain(printed);
    let mut rest = printed.as_str();
    plain(shown).split('…').map(str::trim).all(|part| match rest.find(part) {
        Some(place) => {
            rest = &rest[place + part.len()..];
            true
        }
        None => false,
    })
}

/// A text after a change that is written as a diff.
#[track_caller]
fn changed(text: &str, change: &str) -> String {
    let side = |other: char| -> String {
        let lines = change.lines().filter(|line| !line.starts_with(other));
        lines.flat_map(|line| [line.get(1..).unwrap_or_default(), "\n"]).collect()
    };
    let (old, new) = (side('+'), side('-'));
    assert_eq!(text.matches(&old).count(), 1, "\n{old}is to be changed in\n{text}");
    text.replace(&old, &new)
}

#[test]
fn a_case_is_added_as_the_page_says() {
    assert_eq!(Reader::new().follows("adding-a-case.md"), [0, 0, 0, 0, 3].map(Some));
}

#[test]
fn a_backend_in_python_is_added_as_the_page_says() {
    assert_eq!(Reader::new().follows("adding-a-backend-in-any-language.md"), [0, 0, 1, 1, 0].map(Some));
}

#[test]
fn a_backend_in_rust_is_added_as_the_page_says() {
    // In one and the same place, and with the checkout's settings, so that what is compiled need not be compiled again.
    let reader = Reader::at(Path::new(env!("CARGO_TARGET_TMPDIR")).join("backend-in-rust"), None);
    let read = |name: &str| std::fs::read_to_string(root().join(name)).expect("it is there");
    let (manifest, config) = (read("Cargo.toml"), read(".cargo/config.toml"));
    let profiles = manifest.find("[profile.").map(|place| &manifest[place..]).expect("profiles");
    std::fs::create_dir(reader.place(".cargo")).expect("a folder");
    std::fs::write(reader.place(".cargo/config.toml"), format!("{config}\n{profiles}")).expect("written");
    std::fs::copy(root().join("Cargo.lock"), reader.place("Cargo.lock")).expect("copied");
    let target = program().parent().and_then(Path::parent).expect("the target directory");
    std::os::unix::fs::symlink(target, reader.place("target")).expect("linked");
    assert_eq!(reader.follows("adding-a-backend-in-rust.md"), [0, 0].map(Some));
}

#[test]
fn the_pages_point_at_each_other_and_at_files_that_are_there() {
    for page in [
        "protocol.md",
        "adding-a-case.md",
        "adding-a-backend-in-rust.md",
        "adding-a-backend-in-any-language.md",
    ] {
        let text = std::fs::read_to_string(root().join("docs").join(page)).expect("it is there");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            if path.starts_with("https:") {
                continue;
            }
            let place =
                if path.is_empty() { root().join("docs").join(page) } else { root().join("docs").join(path) };
            assert!(place.exists(), "{page}: there is no {link}");
            if !heading.is_empty() {
                let target = std::fs::read_to_string(place).expect("a page");
                let is_it = |line: &str| {
                    line.starts_with('#')
                        && line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-") == heading
                };
                assert!(target.lines().any(is_it), "{page}: there is no heading for {link}");
            }
        }
    }
}
