//! `bncheck.toml`: backends that are programs of the user's own, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bn_cases::{Case, Problem, Problems, Source, Span};
use bn_harness::deviations::Deviations;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use toml::Spanned;

use crate::args::ConfigArgs;
use crate::backends::{Outside, is_name};
use crate::exit::CliError;
use crate::memory;

/// What the file is called where it is looked for.
const NAME: &str = "bncheck.toml";

/// A `bncheck.toml`.
#[derive(Debug)]
pub struct Config {
    /// Where it is, as the user would write it.
    pub path: String,
    /// Its backends, in the order of the file.
    pub backends: Vec<Configured>,
}

/// A backend that it names.
#[derive(Debug, Clone)]
pub struct Configured {
    /// Its name.
    pub name: String,
    /// What is run.
    pub program: Outside,
    /// Whether it is left out of runs that do not ask for it.
    pub only_when_named: bool,
    deviations: Option<Declared>,
}

/// The file where a backend declares its deviations, and where that is said.
#[derive(Debug, Clone)]
struct Declared {
    path: PathBuf,
    source: Source,
    span: Span,
}

impl Config {
    /// Reads the file that the command line names, or `bncheck.toml` in this folder or one above it; `None` where there
    /// is none. `taken` are the names that its backends cannot have.
    ///
    /// # Errors
    /// When the file that is named is not there, and when something is wrong in it.
    pub fn find(args: &ConfigArgs, taken: &[&str]) -> Result<Option<Self>, CliError> {
        let path = match &args.config {
            Some(path) => path.clone(),
            None => match look_up(&std::env::current_dir()?) {
                Some(path) => path,
                None => return Ok(None),
            },
        };
        let text = std::fs::read(&path)
            .map_err(|error| error.to_string())
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not a text in UTF-8".to_owned()));
        let shown = path.display().to_string();
        let text = text.map_err(|why| wrong(vec![Problem::new(format!("cannot read {shown}: {why}"))]))?;
        let folder = std::path::absolute(&path)?.parent().unwrap_or(Path::new("/")).to_owned();
        let source = Source::new(shown.clone(), text);
        let backends = read(&source, &folder, taken).map_err(wrong)?;
        Ok(Some(Config { path: shown, backends }))
    }
}

/// The file in this folder, or the nearest one above it.
fn look_up(here: &Path) -> Option<PathBuf> {
    // Shown as the user would write it.
    if here.join(NAME).is_file() {
        return Some(NAME.into());
    }
    here.ancestors().map(|folder| folder.join(NAME)).find(|path| path.is_file())
}

impl Configured {
    /// What it declares, as far as that speaks of these cases, which are all that there are. `own` says whether they are
    /// the checkout's; of others, an entry may speak of fields that they do not have, and covers none of them.
    ///
    /// # Errors
    /// When the file is wrong.
    pub fn deviations(&self, cases: &[&Case], own: bool) -> Result<Deviations, CliError> {
        let Some(Declared { path, source, span }) = &self.deviations else {
            return Ok(Deviations::default());
        };
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            wrong(vec![Problem::at(source, *span, format!("cannot read {shown}: {error}"))])
        })?;
        let read = if own { Deviations::read } else { Deviations::read_what_applies };
        read(&shown, &text, cases).map_err(CliError::Config)
    }
}

fn wrong(problems: Vec<Problem>) -> CliError {
    // There is one at least, wherever this is called.
    Problems::of_config(problems).map_or_else(|| std::io::Error::other("no problem").into(), CliError::Config)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    backends: BTreeMap<Spanned<String>, Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    command: Option<Spanned<Command>>,
    deviations: Option<Spanned<String>>,
    timeout: Option<Spanned<f64>>,
    memory: Option<Spanned<String>>,
    #[serde(default)]
    env: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    only_when_named: bool,
}

/// A program and its arguments.
enum Command {
    Text(String),
    Words(Vec<String>),
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CommandVisitor)
    }
}

struct CommandVisitor;

impl<'de> Visitor<'de> for CommandVisitor {
    type Value = Command;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, which is split into words as by a shell, or a list of strings")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Command, E> {
        Ok(Command::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Command, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element()? {
            words.push(word);
        }
        Ok(Command::Words(words))
    }
}

fn span(range: Range<usize>) -> Span {
    Span { start: range.start, len: range.len() }
}

/// What stands in a file.
fn read(source: &Source, folder: &Path, taken: &[&str]) -> Result<Vec<Configured>, Vec<Problem>> {
    let file: File = toml::from_str(&source.text).map_err(|error| {
        let message = error.message().to_owned();
        vec![match error.span() {
            Some(range) => Problem::at(source, span(range), message),
            None => Problem::new(format!("{}: {message}", source.path)),
        }]
    })?;
    // A table's keys come sorted by their letters.
    let mut tables: Vec<(Spanned<String>, Table)> = file.backends.into_iter().collect();
    tables.sort_by_key(|(name, _)| name.span().start);
    let mut reader = Reader { source, folder, problems: Vec::new() };
    let backends = tables.into_iter().map(|(name, table)| reader.backend(&name, table, taken)).collect();
    if reader.problems.is_empty() { Ok(backends) } else { Err(reader.problems) }
}

struct Reader<'a> {
    source: &'a Source,
    folder: &'a Path,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn wrong(&mut self, range: Range<usize>, message: impl Into<String>) {
        self.problems.push(Problem::at(self.source, span(range), message));
    }

    fn backend(&mut self, name: &Spanned<String>, table: Table, taken: &[&str]) -> Configured {
        self.check_name(name, taken);
        let words = self.words(name, table.command.as_ref());
        let timeout = table.timeout.and_then(|timeout| self.timeout(&timeout));
        let memory = table.memory.and_then(|memory| match memory::parse(memory.get_ref()) {
            Ok(bytes) => Some(bytes),
            Err(why) => {
                self.wrong(memory.span(), why);
                None
            }
        });
        let environment =
            table.env.into_iter().filter_map(|(name, value)| self.variable(&name, &value)).collect();
        let deviations = table.deviations.map(|path| Declared {
            path: self.folder.join(path.get_ref()),
            source: self.source.clone(),
            span: span(path.span()),
        });
        let line = self.source.line_of(name.span().start);
        let program = Outside {
            name: Some(name.get_ref().clone()),
            text: words
                .iter()
                .map(|word| shlex::try_quote(word).unwrap_or_default())
                .collect::<Vec<_>>()
                .join(" "),
            words,
            place: Some(format!("{}:{line}", self.source.path)),
            environment,
            folder: Some(self.folder.to_owned()),
            timeout,
            memory,
        };
        Configured {
            name: name.get_ref().clone(),
            program,
            only_when_named: table.only_when_named,
            deviations,
        }
    }

    fn check_name(&mut self, name: &Spanned<String>, taken: &[&str]) {
        let text = name.get_ref();
        if taken.contains(&text.as_str()) {
            self.wrong(
                name.span(),
                format!("`{text}` is a backend of bncheck's own: give this one another name"),
            );
        } else if !is_name(text) {
            self.wrong(
                name.span(),
                format!(
                    "`{text}` is no name for a backend, which begins with a small letter or a digit and goes on with \
                     letters, digits, `-`, `_`, `.` and `+`"
                ),
            );
        }
    }

    fn words(&mut self, name: &Spanned<String>, command: Option<&Spanned<Command>>) -> Vec<String> {
        let Some(command) = command else {
            let example = "command = \"python3 my_bn.py\"";
            self.wrong(name.span(), format!("`{}` has no command: {example}", name.get_ref()));
            return Vec::new();
        };
        let words = match command.get_ref() {
            Command::Text(text) => shlex::split(text)
                .ok_or("its quotes are not closed, or it ends with a backslash; it is split as by a shell"),
            Command::Words(words) => Ok(words.clone()),
        };
        let words = words.and_then(|words| match words.first() {
            None => Err("there is no command"),
            Some(program) if program.is_empty() => Err("the program has no name"),
            Some(_) if words.iter().any(|word| word.contains('\0')) => Err("no program can be given a NUL"),
            Some(_) => Ok(words),
        });
        words.unwrap_or_else(|why| {
            self.wrong(command.span(), why);
            Vec::new()
        })
    }

    fn timeout(&mut self, seconds: &Spanned<f64>) -> Option<Duration> {
        let timeout = Some(*seconds.get_ref()).filter(|seconds| *seconds > 0.0 && *seconds < 1e9);
        if timeout.is_none() {
            self.wrong(seconds.span(), "a timeout is a number of seconds above 0: 0.5, 300");
        }
        timeout.map(Duration::from_secs_f64)
    }

    fn variable(&mut self, name: &Spanned<String>, value: &Spanned<String>) -> Option<(String, String)> {
        if name.get_ref().is_empty() || name.get_ref().contains(['=', '\0']) {
            self.wrong(name.span(), "no variable of the environment can be called so");
            return None;
        }
        if value.get_ref().contains('\0') {
            self.wrong(value.span(), "no variable of the environment can hold a NUL");
            return None;
        }
        Some((name.get_ref().clone(), value.get_ref().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Configured>, Vec<Problem>> {
        read(&Source::new(NAME, text), Path::new("/project"), &["reference", "libtorch"])
    }

    /// What is wrong with a text, each with its line.
    fn refused(text: &str) -> Vec<(usize, String)> {
        let problems = read_text(text).expect_err("it is refused");
        let line = |problem: &Problem| problem.line_and_column().map_or(0, |(line, _)| line);
        problems.iter().map(|problem| (line(problem), problem.message.clone())).collect()
    }

    #[test]
    fn a_backend_is_read_with_all_that_may_be_said_of_it() {
        let backends = read_text(
            "[backends.zeta]\ncommand = \"python3 'my bn.py' --device=cpu\"\n\n[backends.alpha]\ncommand = [\"./bn\", \"a b\"]\n\
             deviations = \"declared/alpha.yaml\"\ntimeout = 5\nmemory = \"2 GiB\"\nenv = { OMP_NUM_THREADS = \"1\" }\n\
             only_when_named = true\n",
        )
        .expect("it is right");
        let [zeta, alpha] = &backends[..] else { panic!("{backends:#?}") };
        assert_eq!((zeta.name.as_str(), alpha.name.as_str()), ("zeta", "alpha"), "in the order of the file");
        assert_eq!(zeta.program.words, ["python3", "my bn.py", "--device=cpu"]);
        assert_eq!((zeta.program.timeout, zeta.program.memory, zeta.only_when_named), (None, None, false));
        assert_eq!(zeta.program.place.as_deref(), Some("bncheck.toml:1"));
        assert_eq!(alpha.program.words, ["./bn", "a b"]);
        assert_eq!(alpha.program.to_string(), "./bn 'a b'");
        assert_eq!(alpha.program.timeout, Some(Duration::from_secs(5)));
        assert_eq!(alpha.program.memory, Some(2 << 30));
        assert_eq!(alpha.program.environment, [("OMP_NUM_THREADS".to_owned(), "1".to_owned())]);
        assert_eq!(alpha.program.folder.as_deref(), Some(Path::new("/project")));
        assert!(alpha.only_when_named);
        let declared = alpha.deviations.as_ref().map(|declared| declared.path.as_path());
        assert_eq!(declared, Some(Path::new("/project/declared/alpha.yaml")));
    }

    #[test]
    fn a_file_without_backends_is_none_the_worse() {
        assert_eq!(read_text("").expect("it is right").len(), 0);
        assert_eq!(read_text("[backends]\n").expect("it is right").len(), 0);
    }

    #[test]
    fn everything_that_is_wrong_is_said_with_its_line() {
        let problems = refused(
            "[backends.reference]\ncommand = \"x\"\n[backends.\"my bn\"]\ncommand = \"python3 'x\"\n[backends.none]\n\
             [backends.empty]\ncommand = []\ntimeout = -1\nmemory = \"much\"\nenv = { \"A=B\" = \"\", C = \"\\u0000\" }\n",
        );
        let lines: Vec<usize> = problems.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3, 4, 5, 7, 8, 9, 10, 10], "{problems:#?}");
        for ((_, message), words) in problems.iter().zip([
            "`reference` is a backend of bncheck's own",
            "`my bn` is no name for a backend",
            "quotes are not closed",
            "`none` has no command",
            "there is no command",
            "a timeout is a number of seconds above 0",
            "an amount of memory is written like 512MiB",
            "can be called so",
            "can hold a NUL",
        ]) {
            assert!(message.contains(words), "no `{words}` in {message}");
        }
    }

    #[test]
    fn what_is_not_toml_or_of_another_type_is_said_with_its_line() {
        for (text, line, words) in [
            ("[backends.a\n", 1, "unclosed table"),
            ("\n[backends.a]\nprogram = \"x\"\n", 3, "unknown field `program`, expected one of `command`"),
            ("[backend.a]\n", 1, "unknown field `backend`, expected `backends`"),
            (
                "[backends.a]\ncommand = 5\n",
                2,
                "a string, which is split into words as by a shell, or a list of strings",
            ),
            ("[backends.a]\ncommand = [\"x\", 5]\n", 2, "expected a string"),
            ("[backends.a]\ntimeout = \"soon\"\n", 2, "expected f64"),
            ("[backends.a]\nonly_when_named = 1\n", 2, "expected a boolean"),
            ("[backends.a]\ncommand = \"x\"\ncommand = \"y\"\n", 3, "duplicate key"),
            ("backends = 5\n", 1, "expected a map"),
        ] {
            let problems = refused(text);
            let [(at, message)] = &problems[..] else { panic!("{text}: {problems:?}") };
            assert_eq!(*at, line, "{text}: {message}");
            assert!(message.contains(words), "{text}: no `{words}` in {message}");
        }
    }
}
