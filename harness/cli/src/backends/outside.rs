//! Backends that are programs of the user's own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bn_api::Responder;
use bn_api::wire::{Worker, WorkerError};

use super::workers::{Job, Workers};
use crate::exit::CliError;

/// A program with its arguments, and the name that it gets: a `--backend-cmd`, or an entry of a `bncheck.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outside {
    /// The name, where it is not to have its own.
    pub name: Option<String>,
    /// The program and its arguments; there is at least one.
    pub words: Vec<String>,
    /// The command as it was given.
    pub text: String,
    /// The file and the line that it stands on, where it stands in a file.
    pub place: Option<String>,
    /// What is set in its environment.
    pub environment: Vec<(String, String)>,
    /// The folder that it is run in, where it is not this one.
    pub folder: Option<PathBuf>,
    /// How long it may take over a case, where that is not what it is for all.
    pub timeout: Option<Duration>,
    /// How much memory it may take, in bytes, where that is not what it is for all.
    pub memory: Option<u64>,
}

impl FromStr for Outside {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = match text.split_once('=') {
            // What stands before `=` is a name if it is a word, and not an argument of the command.
            Some((name, command)) if !name.is_empty() && !name.contains([' ', '/', '\'', '"']) => {
                if !is_name(name) {
                    return Err(format!(
                        "`{name}` is no name for a backend, which begins with a small letter or a digit and goes \
                         on with letters, digits, `-`, `_`, `.` and `+`; for a variable of the environment write \
                         `env {name}=… COMMAND`"
                    ));
                }
                (Some(name.to_owned()), command)
            }
            _ => (None, text),
        };
        let words = shlex::split(command)
            .ok_or("its quotes are not closed, or it ends with a backslash; it is split as by a shell")?;
        if words.is_empty() {
            return Err("there is no command".to_owned());
        }
        Ok(Outside { name, words, text: text.to_owned(), ..Outside::default() })
    }
}

/// As it was given.
impl std::fmt::Display for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a backend may be called so: what a shell, a filter and an id take as it is.
pub fn is_name(name: &str) -> bool {
    let begins = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let goes_on = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    name.starts_with(begins) && name.len() <= 64 && name.chars().all(goes_on)
}

impl Outside {
    /// Starts the program, and waits for its greeting. Where it was `asked_for`, it has to be there.
    ///
    /// # Errors
    /// When it does not start, does not greet, speaks another protocol, has a name that it cannot have, or has to be there
    /// and is absent.
    pub fn open(&self, workers: &Workers, asked_for: bool) -> Result<Worker, CliError> {
        let worker = self.start(workers)?;
        match worker.absent().filter(|_| asked_for) {
            Some(why) => Err(CliError::Absent { backend: worker.info().name.clone(), why: why.to_owned() }),
            None => Ok(worker),
        }
    }

    fn start(&self, workers: &Workers) -> Result<Worker, CliError> {
        let command = match (&self.name, &self.place) {
            (Some(name), Some(place)) => format!("{name}` of `{place}"),
            _ => self.text.clone(),
        };
        let no_backend = |why: String| CliError::Outside { command: command.clone(), why };
        // How many threads it takes is its own affair, but where it is asked with others.
        let mut environment = if workers.threads == 1 { Vec::new() } else { workers.threads() };
        environment.extend(self.environment.iter().map(|(name, value)| (name.clone(), value.into())));
        let job = Job {
            words: self.words.iter().map(OsString::from).collect(),
            environment,
            folder: self.folder.clone(),
        };
        let mut workers = workers.clone();
        workers.timeout = self.timeout.unwrap_or(workers.timeout);
        workers.memory = self.memory.or(workers.memory);
        let worker = workers.start(&self.words[0], job).map_err(|error| {
            no_backend(match error {
                WorkerError::NoGreeting { how, .. } => format!("it did not greet: {how}"),
                WorkerError::Protocol { theirs, .. } => format!(
                    "it speaks protocol {theirs}, this bncheck {}: take the helper, or the page, of this version",
                    bn_api::wire::PROTOCOL
                ),
                error @ WorkerError::Start { .. } => error.to_string(),
            })
        })?;
        match &self.name {
            Some(name) => Ok(worker.named(name)),
            None if is_name(&worker.info().name) => Ok(worker),
            None => {
                let name = &worker.info().name;
                Err(no_backend(format!(
                    "it calls itself `{name}`, which is no name for a backend; give it one: --backend-cmd \
                     'NAME=COMMAND'"
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Option<String>, Vec<String>) {
        let outside: Outside = text.parse().unwrap();
        (outside.name, outside.words)
    }

    #[test]
    fn a_command_is_split_as_by_a_shell_and_nothing_else_of_one_happens() {
        let (name, words) = parsed(r#"python3 "my bn.py" --device=cpu '$HOME;*'"#);
        assert_eq!(name, None);
        assert_eq!(words, ["python3", "my bn.py", "--device=cpu", "$HOME;*"]);
    }

    #[test]
    fn a_name_may_stand_before_it() {
        assert_eq!(
            parsed("numpy=python3 bn.py"),
            (Some("numpy".to_owned()), vec!["python3".to_owned(), "bn.py".to_owned()])
        );
        assert_eq!(parsed("./run --x=1").0, None);
        assert_eq!(parsed("'a b'=c"), (None, vec!["a b=c".to_owned()]));
    }

    #[test]
    fn what_is_no_command_is_refused_with_what_is_wrong() {
        let refused = |text: &str| text.parse::<Outside>().unwrap_err();
        assert!(refused("OMP_NUM_THREADS=1 python3 bn.py").contains("write `env OMP_NUM_THREADS=… COMMAND`"));
        assert!(refused("python3 'bn.py").contains("quotes are not closed"));
        assert!(refused("").contains("no command") && refused("numpy=  ").contains("no command"));
    }
}
