//! Kernels with a mistake on purpose, each of which the interpreter has to report.
//!
//! A mistake is one change of the kernel's own text, so that it is planted in what the backend runs and moves
//! along with it.

use thiserror::Error;

use crate::sources::File;

mod channels;
mod elementwise;
mod gradient;
mod names;
mod relayout;
mod statistics;

pub use names::without_unused;

/// A mistake and where it is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planted {
    /// The PTX file's name, without `.ptx`.
    pub name: &'static str,
    /// What is wrong, in one line.
    pub about: &'static str,
    /// The unit's source, a file in [`crate::units::KERNELS`].
    pub source: &'static str,
    /// The file that is changed: the source, or one that it includes.
    pub file: &'static str,
    /// What is replaced. It stands in the file once.
    pub find: &'static str,
    /// What takes its place.
    pub replace: &'static str,
    /// What is defined for the preprocessor.
    pub defines: &'static [&'static str],
    /// The kernels that the file keeps, of all that its source makes.
    pub kernels: &'static [&'static str],
    /// What the interpreter has to say: a kind of fault by its name in `bn_ptx::FaultKind`, or [`UNWRITTEN`]. Several
    /// where the mistake is several and it depends on the order of warps and lanes which is met first: without a barrier
    /// a read that is before the write is of memory that holds nothing, one after it is a race.
    pub faults: &'static [&'static str],
    /// Where: a text of the changed source, whose first line the fault's is. Several where a race has two sides. It stands
    /// once in the changed file; if it does not stand there, once in all the others.
    pub at: &'static [&'static str],
    /// What to run so that it is met, in words that `backends/cuda/tests/planted` reads: storage type, accumulator, type of
    /// parameters, layout, shape, and whether there are weight and bias.
    pub run: &'static str,
}

/// What is reported of a tensor that comes back with elements that no kernel wrote. No line writes them, so none is named.
pub const UNWRITTEN: &str = "Unwritten";

/// Where the PTX is, in the repository.
pub const PTX: &str = "backends/cuda/tests/planted";

/// All planted mistakes, by the file that they change.
pub fn all() -> impl Iterator<Item = Planted> {
    [statistics::MISTAKES, channels::MISTAKES, elementwise::MISTAKES, gradient::MISTAKES, relayout::MISTAKES]
        .into_iter()
        .flatten()
        .copied()
}

/// What the tables leave out: mistakes in the kernel of one storage type, f32 if they do not say another.
const IN_F32: Planted = Planted {
    name: "",
    about: "",
    source: "batch_norm.cu",
    file: "",
    find: "",
    replace: "",
    defines: &["BN_STORAGE=f32"],
    kernels: &[],
    faults: &[],
    at: &[],
    run: "",
};
const IN_F16: Planted = Planted { defines: &["BN_STORAGE=f16"], ..IN_F32 };
const IN_BF16: Planted = Planted { defines: &["BN_STORAGE=bf16"], ..IN_F32 };
const IN_F64: Planted = Planted { defines: &["BN_STORAGE=f64"], ..IN_F32 };

/// Why a mistake is not planted.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum PlantError {
    /// The unit has no such file.
    #[error("the planted mistake `{name}` changes {file}, which {source_file} does not include")]
    NoFile {
        /// The mistake.
        name: &'static str,
        /// What it wants to change.
        file: &'static str,
        /// The unit's source.
        source_file: &'static str,
    },
    /// What is to be replaced is not there, or there more than once.
    #[error(
        "the planted mistake `{name}` replaces a text that stands {times} times in {path}; it has to stand there once:\n{find}"
    )]
    NotOnce {
        /// The mistake.
        name: &'static str,
        /// The file.
        path: String,
        /// How often the text is there.
        times: usize,
        /// The text.
        find: &'static str,
    },
    /// The place of the fault is not there, or there more than once.
    #[error(
        "the planted mistake `{name}` shows at a text that stands {times} times in its sources; it has to stand \
         there once:\n{at}"
    )]
    NoPlace {
        /// The mistake.
        name: &'static str,
        /// How often the text is there.
        times: usize,
        /// The text.
        at: &'static str,
    },
    /// Nothing is changed.
    #[error("the planted mistake `{0}` replaces a text by itself")]
    NoChange(&'static str),
}

impl Planted {
    /// Changes the files of its unit; returns the line of the first change, counted from 1.
    ///
    /// # Errors
    /// When what it replaces does not stand there exactly once.
    pub fn plant(&self, files: &mut [File]) -> Result<usize, PlantError> {
        let &Self { name, file, find, replace, .. } = self;
        let changed = files
            .iter_mut()
            .find(|candidate| candidate.name == file)
            .ok_or(PlantError::NoFile { name, file, source_file: self.source })?;
        let times = occurrences(&changed.text, find);
        if times != 1 {
            return Err(PlantError::NotOnce { name, path: changed.path(), times, find });
        }
        if find == replace {
            return Err(PlantError::NoChange(name));
        }
        let at = changed.text.find(find).unwrap_or_default();
        let same = find.bytes().zip(replace.bytes()).take_while(|(old, new)| old == new).count();
        let line = 1 + changed.text.bytes().take(at + same).filter(|&byte| byte == b'\n').count();
        changed.text = changed.text.replacen(find, replace, 1);
        Ok(line)
    }

    /// The comments that tell the interpreter's test what to run and what to expect, from the changed files.
    ///
    /// # Errors
    /// When a place is not there exactly once.
    pub fn notes(&self, files: &[File]) -> Result<String, PlantError> {
        let mut notes = vec![format!("// run: {}\n", self.run)];
        notes.extend(self.faults.iter().map(|fault| format!("// fault: {fault}\n")));
        for at in self.at {
            notes.push(format!("// at: {}\n", self.place(files, at)?));
        }
        Ok(notes.concat())
    }

    /// `FILE:LINE` of the first line of a text.
    fn place(&self, files: &[File], at: &'static str) -> Result<String, PlantError> {
        let (changed, others): (Vec<&File>, Vec<&File>) =
            files.iter().partition(|file| file.name == self.file);
        let of = |files: &[&File]| files.iter().map(|file| occurrences(&file.text, at)).sum::<usize>();
        let among = if of(&changed) > 0 { changed } else { others };
        let times = of(&among);
        let found = among.iter().find_map(|file| file.text.find(at).map(|start| (file, start)));
        match found {
            Some((file, start)) if times == 1 => {
                let line = 1 + file.text[..start].matches('\n').count();
                Ok(format!("{}:{line}", file.path()))
            }
            _ => Err(PlantError::NoPlace { name: self.name, times, at }),
        }
    }
}

/// How often a text stands in another, overlapping ones counted.
fn occurrences(text: &str, find: &str) -> usize {
    text.char_indices().filter(|&(at, _)| text[at..].starts_with(find)).count()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::made::ptx_files;

    const MISTAKE: Planted = Planted {
        name: "no-barrier",
        about: "",
        source: "a.cu",
        file: "b.cuh",
        find: "store();\nwait();\n",
        replace: "store();\n",
        faults: &["Race"],
        at: &["store();"],
        run: "f32",
        ..IN_F32
    };

    fn files(header: &str) -> Vec<File> {
        [("a.cu", "wait();\n"), ("b.cuh", header)]
            .map(|(name, text)| File { name: name.to_owned(), text: text.to_owned() })
            .to_vec()
    }

    #[test]
    fn a_mistake_is_planted_where_its_text_stands() {
        let mut files = files("void f() {\nstore();\nwait();\n}\n");
        assert_eq!(MISTAKE.plant(&mut files), Ok(3));
        assert_eq!(files[1].text, "void f() {\nstore();\n}\n");
        assert_eq!(files[0].text, "wait();\n", "only the file that is named");
    }

    #[test]
    fn a_text_that_is_not_there_is_an_error() {
        let message = MISTAKE.plant(&mut files("other();\n")).expect_err("it is not there").to_string();
        assert!(message.contains("`no-barrier`") && message.contains("stands 0 times"), "{message}");
        assert!(message.contains("backends/cuda/kernels/b.cuh"), "{message}");
    }

    #[test]
    fn a_text_that_is_there_twice_is_an_error() {
        let text = "store();\nwait();\nstore();\nwait();\n";
        let message = MISTAKE.plant(&mut files(text)).expect_err("it is there twice").to_string();
        assert!(message.contains("stands 2 times"), "{message}");
        assert_eq!(occurrences("aaa", "aa"), 2, "overlapping ones are two as well");
    }

    #[test]
    fn a_file_that_the_unit_does_not_have_is_an_error() {
        let mistake = Planted { file: "c.cuh", ..MISTAKE };
        let error = mistake.plant(&mut files("store();\nwait();\n")).expect_err("there is no such file");
        assert_eq!(error, PlantError::NoFile { name: "no-barrier", file: "c.cuh", source_file: "a.cu" });
    }

    #[test]
    fn a_mistake_that_changes_nothing_is_an_error() {
        let mistake = Planted { replace: MISTAKE.find, ..MISTAKE };
        assert_eq!(mistake.plant(&mut files("store();\nwait();\n")), Err(PlantError::NoChange("no-barrier")));
    }

    #[test]
    fn the_place_of_a_fault_is_a_line_of_the_changed_source() {
        let mut files = files("void f() {\nstore();\nwait();\n}\n");
        MISTAKE.plant(&mut files).expect("it is there");
        let notes = MISTAKE.notes(&files).expect("it is there");
        assert_eq!(notes, "// run: f32\n// fault: Race\n// at: backends/cuda/kernels/b.cuh:2\n");
        let elsewhere = Planted { at: &["wait();"], ..MISTAKE };
        let notes = elsewhere.notes(&files).expect("it is in the other file");
        assert!(notes.ends_with("// at: backends/cuda/kernels/a.cu:1\n"), "{notes}");
    }

    #[test]
    fn a_place_that_is_not_there_or_there_twice_is_an_error() {
        let files = files("store();\nwait();\nstore();\n");
        let error = |mistake: Planted| mistake.notes(&files).expect_err("it is no place");
        assert_eq!(error(MISTAKE), PlantError::NoPlace { name: "no-barrier", times: 2, at: "store();" });
        let nowhere = Planted { at: &["other();"], ..MISTAKE };
        assert_eq!(error(nowhere), PlantError::NoPlace { name: "no-barrier", times: 0, at: "other();" });
    }

    #[test]
    fn the_repository_has_a_file_of_every_mistake_and_no_other() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        let committed = ptx_files(&root, PTX).expect("the folder can be read");
        let mut made: Vec<_> = all().map(|planted| format!("{PTX}/{}.ptx", planted.name)).collect();
        made.sort_unstable();
        assert_eq!(committed, made, "`just ptx` makes them");
    }

    #[test]
    fn every_mistake_has_its_own_name_and_says_what_it_leads_to() {
        let mut names: Vec<_> = all().map(|planted| planted.name).collect();
        let count = names.len();
        assert!(count >= 25, "{count}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for planted in all() {
            assert!(!planted.faults.is_empty() && !planted.kernels.is_empty(), "{}", planted.name);
            assert_eq!(planted.at.is_empty(), planted.faults == [UNWRITTEN], "{}", planted.name);
        }
    }
}
