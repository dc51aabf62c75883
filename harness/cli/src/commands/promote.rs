//! `bncheck promote`: a find becomes a case that is kept.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bn_reports::finds::OF_THE_HUNT;
use bn_reports::json::WriteError;

use crate::args::PromoteArgs;
use crate::commands::print;
use crate::exit::{CliError, Outcome};

/// Moves a find into a folder of cases, under a name, and says what is next.
pub fn promote(args: &PromoteArgs) -> Result<Outcome, CliError> {
    let no = |why: String| CliError::NotPromoted { path: args.file.clone(), why };
    let text = fs::read_to_string(&args.file).map_err(|error| no(error.to_string()))?;
    let stem = args.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = args.name.clone().unwrap_or(stem);
    let is_word = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(is_word) {
        return Err(no(format!("`{name}` is no name: letters, digits, `-`, `_` and `.`")));
    }
    let promoted = renamed(&text, &name, args.about.as_deref()).map_err(no)?;
    // It must be a suite before anything is written.
    let target = args.to.join(format!("{name}.yaml"));
    let suite = bn_cases::load_str(&target.display().to_string(), &promoted)?;
    if target.exists() {
        return Err(no(format!("{} is there already; give it another --name", target.display())));
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| WriteError { path, error }
    };
    fs::create_dir_all(&args.to).map_err(failed(&args.to))?;
    fs::write(&target, promoted).map_err(failed(&target))?;
    fs::remove_file(&args.file).map_err(failed(&args.file))?;
    let ids: Vec<&str> = suite.cases.iter().map(|case| case.id.as_str()).collect();
    print(&format!(
        "{}\n\nRun it:      bncheck run --suites {} \nUnderstand:  bncheck explain {} --suites {}\nDeclare it:  an entry in the backend's deviations.yaml with `smallest: {}`\n",
        target.display(),
        target.display(),
        ids.join(" "),
        target.display(),
        ids.first().copied().unwrap_or_default(),
    ))?;
    Ok(Outcome::AsExpected)
}

/// The same suite under another name, with a word on what it shows, and without what is said of the hunt.
fn renamed(text: &str, name: &str, about: Option<&str>) -> Result<String, String> {
    let mut new = String::new();
    let mut found = false;
    for line in text.lines().filter(|line| !line.starts_with(OF_THE_HUNT)) {
        let is_about = line.starts_with("about:") && about.is_some();
        if line.starts_with("suite:") && !found {
            found = true;
            let _ = writeln!(new, "suite: found/{name}");
            if let Some(about) = about {
                let _ = writeln!(new, "about: {}", quoted(about));
            }
        } else if !is_about {
            new.push_str(line);
            new.push('\n');
        }
    }
    if found { Ok(new) } else { Err("it is no suite: it has no line `suite: …`".to_owned()) }
}

/// Text as YAML in double quotes.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIND: &str =
        "#: Found by a hunt.\n# output is off\nsuite: fuzz/candle-1\ncases:\n  - name: found\n";

    #[test]
    fn a_find_gets_a_name_and_loses_what_is_about_the_hunt() {
        let text = renamed(FIND, "eps-zero", Some("eps: 0 \"is\" refused")).expect("it is a suite");
        assert_eq!(
            text,
            "# output is off\nsuite: found/eps-zero\nabout: \"eps: 0 \\\"is\\\" refused\"\ncases:\n  - name: found\n"
        );
        assert!(renamed("nothing", "a", None).is_err());
    }
}
