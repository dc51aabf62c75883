//! What stands at the head of a committed PTX file: what it was made from and how, and a hash of what
//! follows, so that a file that was edited by hand is not run.

use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;

/// The head's first line.
const FIRST: &str = "// Machine-made from CUDA C++ by just ptx. Do not edit.";
/// What the line with the body's hash begins with. It is the head's last.
const BODY: &str = "// body: sha256:";

/// A file that PTX was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path in the repository.
    pub path: String,
    /// What it held, as [`sha256`] says it.
    pub sha256: String,
}

/// The head of a PTX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// What it is, in one line.
    pub about: String,
    /// What it was made from: the file that was compiled, then those that it includes, each once, in the
    /// order in which they are reached.
    pub sources: Vec<Source>,
    /// The compiler's options.
    pub options: String,
    /// The compiler and its version.
    pub compiler: String,
    /// What the body hashed to when it was made, as [`sha256`] says it.
    pub body: String,
}

/// Why a PTX file is not run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StampError {
    /// Not a file that `just ptx` made.
    #[error(
        "it does not begin as `just ptx` begins it: line {line} should be `{expected}`. `just ptx` remakes it"
    )]
    NoStamp {
        /// The line.
        line: usize,
        /// How it should begin.
        expected: &'static str,
    },
    /// The file is not what it was when it was made.
    #[error(
        "it was edited by hand, or cut short: it hashes to {found}, and its head says {stamped}. `just ptx` remakes it \
         from its source"
    )]
    Edited {
        /// What the body should hash to.
        stamped: String,
        /// What it hashes to.
        found: String,
    },
}

impl Stamp {
    /// Reads the head of a PTX file and holds what follows to it.
    ///
    /// # Errors
    /// When there is no head, or the body is another than it was made with.
    pub fn verify(text: &str) -> Result<Self, StampError> {
        let (stamp, body) = Self::read(text)?;
        let found = sha256(body.as_bytes());
        if found == stamp.body { Ok(stamp) } else { Err(StampError::Edited { stamped: stamp.body, found }) }
    }

    /// Reads the head of a PTX file; returns what follows as it is.
    ///
    /// # Errors
    /// When there is no head.
    pub fn read(text: &str) -> Result<(Self, &str), StampError> {
        let mut head = Head { rest: text, line: 0 };
        head.expect(FIRST)?;
        let about = head.expect("// about: ")?.to_owned();
        let mut sources = Vec::new();
        while sources.is_empty() || head.rest.starts_with("// source: ") {
            let expected = "// source: PATH sha256:HASH";
            let source = head.expect("// source: ")?;
            let (path, hash) =
                source.split_once(" sha256:").ok_or(StampError::NoStamp { line: head.line, expected })?;
            sources.push(Source { path: path.to_owned(), sha256: hash.to_owned() });
        }
        let options = head.expect("// options: ")?.to_owned();
        let compiler = head.expect("// compiler: ")?.to_owned();
        let body = head.expect(BODY)?.to_owned();
        Ok((Self { about, sources, options, compiler, body }, head.rest))
    }
}

/// The text of a PTX file: a head that says what it was made from and how, and the compiler's output.
pub fn stamp(about: &str, sources: Vec<Source>, options: &str, compiler: &str, body: &str) -> String {
    let stamp = Stamp {
        about: about.to_owned(),
        sources,
        options: options.to_owned(),
        compiler: compiler.to_owned(),
        body: sha256(body.as_bytes()),
    };
    format!("{stamp}{body}")
}

/// As it stands in a file.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST}\n// about: {}", self.about)?;
        for Source { path, sha256 } in &self.sources {
            writeln!(f, "// source: {path} sha256:{sha256}")?;
        }
        writeln!(f, "// options: {}\n// compiler: {}\n{BODY}{}", self.options, self.compiler, self.body)
    }
}

/// The SHA-256 of some bytes, as 64 hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let nibbles = |byte: &u8| [byte >> 4, byte & 15];
    Sha256::digest(bytes).iter().flat_map(nibbles).map(|nibble| DIGITS[usize::from(nibble)]).collect()
}

/// What is still to be read of a head.
struct Head<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Head<'a> {
    /// The rest of the next line, which has to begin as expected.
    fn expect(&mut self, expected: &'static str) -> Result<&'a str, StampError> {
        self.line += 1;
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        let found = line.strip_prefix(expected).ok_or(StampError::NoStamp { line: self.line, expected })?;
        self.rest = rest;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PTX: &str = "//\n// Generated\n//\n.version 9.0\n.target sm_75\n";

    fn made() -> String {
        let sources = ["batch_norm.cu", "number.cuh"]
            .map(|path| Source { path: format!("kernels/{path}"), sha256: sha256(path.as_bytes()) });
        stamp("the kernels of f32", sources.to_vec(), "--fmad=false -DX=f32", "NVRTC 13.0.88", PTX)
    }

    #[test]
    fn what_is_written_is_read() {
        let text = made();
        let stamp = Stamp::verify(&text).expect("as it was made");
        assert_eq!(stamp.about, "the kernels of f32");
        assert_eq!(stamp.sources.len(), 2);
        assert_eq!(stamp.sources[1].path, "kernels/number.cuh");
        assert_eq!(stamp.sources[1].sha256, sha256(b"number.cuh"));
        assert_eq!(stamp.options, "--fmad=false -DX=f32");
        assert_eq!(stamp.compiler, "NVRTC 13.0.88");
        assert_eq!(Stamp::read(&text).map(|(_, body)| body), Ok(PTX));
    }

    #[test]
    fn a_hash_is_that_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn an_edited_file_is_refused() {
        let edited = made().replace("sm_75", "sm_90");
        let error = Stamp::verify(&edited).expect_err("it was edited");
        assert!(matches!(error, StampError::Edited { .. }));
        let message = error.to_string();
        assert!(message.contains("edited by hand") && message.contains("just ptx"), "{message}");
    }

    #[test]
    fn a_file_that_was_cut_short_is_refused() {
        let text = made();
        for length in 0..text.len() {
            assert!(Stamp::verify(&text[..length]).is_err(), "{length} of {} bytes", text.len());
        }
    }

    #[test]
    fn a_file_without_a_head_is_refused() {
        let expected = StampError::NoStamp { line: 1, expected: FIRST };
        assert_eq!(Stamp::verify(PTX), Err(expected.clone()));
        assert_eq!(Stamp::verify(""), Err(expected));
    }

    #[test]
    fn a_head_without_sources_is_refused() {
        let text = made();
        let kept: Vec<_> = text.split_inclusive('\n').filter(|line| !line.starts_with("// source")).collect();
        let text = kept.concat();
        assert_eq!(Stamp::verify(&text), Err(StampError::NoStamp { line: 3, expected: "// source: " }));
    }
}
