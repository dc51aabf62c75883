//! Reads a frame's header that is written as [`Packer`](super::container::Packer) writes it, byte for byte, which is what
//! most frames are: in a third of the time that a parser of any JSON takes. Of any other it says nothing.

use super::container::{Entry, Header, METADATA, Named};

/// The header; nothing where it is written in another way, or is none.
pub(super) fn read(header: &[u8]) -> Option<Header> {
    let mut rest = Rest(header);
    rest.skip(b"{\"")?;
    rest.skip(METADATA.as_bytes())?;
    rest.skip(b"\":{\"bncheck\":")?;
    let message = rest.text()?;
    rest.skip(b"}")?;
    let mut entries = Vec::new();
    while rest.skip(b",\"").is_some() {
        let name = rest.name()?;
        rest.skip(b":{\"dtype\":\"")?;
        let dtype = rest.dtype()?;
        rest.skip(b"\",\"shape\":[")?;
        let mut shape = Vec::with_capacity(RANK);
        if rest.skip(b"]").is_none() {
            loop {
                shape.push(usize::try_from(rest.number()?).ok()?);
                if rest.skip(b",").is_none() {
                    break;
                }
            }
            rest.skip(b"]")?;
        }
        rest.skip(b",\"data_offsets\":[")?;
        let begin = rest.number()?;
        rest.skip(b",")?;
        let end = rest.number()?;
        rest.skip(b"]}")?;
        entries.push((name, Entry { dtype, shape, data_offsets: (begin, end) }));
    }
    rest.skip(b"}")?;
    rest.0.iter().all(|byte| *byte == b' ').then_some(Header { message, entries })
}

/// The most dimensions that a tensor mostly has.
const RANK: usize = 5;

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Skips these bytes, where they come next.
    fn skip(&mut self, bytes: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(bytes)?;
        Some(())
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    /// A text with its quotes.
    fn text(&mut self) -> Option<String> {
        let mut end = 1;
        loop {
            end += self.0.get(end..)?.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            if self.0[end] == b'"' {
                return serde_json::from_slice(self.take(end + 1)).ok();
            }
            end += 2;
        }
    }

    /// A text of plain characters, behind its first quote; skips the last one.
    fn name(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?;
        let name = std::str::from_utf8(self.take(end)).ok().filter(|name| *name != METADATA)?;
        self.skip(b"\"")?;
        Some(name.to_owned())
    }

    fn dtype(&mut self) -> Option<Named> {
        let end = self.0.iter().position(|byte| *byte == b'"')?;
        Some(match self.take(end) {
            b"F16" => Named::F16,
            b"BF16" => Named::Bf16,
            b"F32" => Named::F32,
            b"F64" => Named::F64,
            b"I64" => Named::I64,
            _ => return None,
        })
    }

    /// A number without a sign, written with no more digits than it has.
    fn number(&mut self) -> Option<u64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = self.take(digits);
        if digits > 1 && text[0] == b'0' {
            return None;
        }
        std::str::from_utf8(text).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::container::put_in_order;

    fn plain(header: &[u8]) -> Option<Header> {
        serde_json::from_slice(header).ok()
    }

    const HEADER: &str = concat!(
        r#"{"__metadata__":{"bncheck":"{\"a\":\"\\\\é\\n\"}"},"0/weight":{"dtype":"BF16","shape":[10,0],"#,
        r#""data_offsets":[0,0]},"é":{"dtype":"F64","shape":[],"data_offsets":[0,18446744073709551615]}}  "#
    );

    #[test]
    fn it_reads_what_the_parser_of_json_reads() {
        let found = read(HEADER.as_bytes());
        assert!(found.is_some());
        assert_eq!(found, plain(HEADER.as_bytes()));
        let none = r#"{"__metadata__":{"bncheck":""}}"#;
        assert_eq!(read(none.as_bytes()), plain(none.as_bytes()));
    }

    #[test]
    fn whatever_is_changed_it_says_what_the_parser_of_json_says_or_nothing() {
        let header = HEADER.as_bytes();
        for at in 0..header.len() {
            let cut = &header[..at];
            assert_eq!(read(cut), plain(cut), "{}", String::from_utf8_lossy(cut));
            for byte in *b"\"\\{}[],: 019-.eF\n\xff_" {
                let mut changed = header.to_vec();
                changed[at] = byte;
                let mut longer = header.to_vec();
                longer.insert(at, byte);
                for header in [changed, longer] {
                    if let Some(mut found) = read(&header) {
                        assert_eq!(put_in_order(&mut found.entries), Ok(()));
                        assert_eq!(Some(found), plain(&header), "{}", String::from_utf8_lossy(&header));
                    }
                }
            }
        }
    }

    #[test]
    fn other_ways_to_write_the_same_are_left_to_others() {
        for header in [
            r#"{"__metadata__":{"bncheck":"hi","format":"pt"}}"#,
            r#"{ "__metadata__":{"bncheck":"hi"}}"#,
            r#"{"__metadata__":{"bncheck":"hi"},"a\u0062":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}"#,
            r#"{"__metadata__":{"bncheck":"hi"},"a":{"shape":[],"dtype":"F16","data_offsets":[0,2]}}"#,
        ] {
            assert!(plain(header.as_bytes()).is_some() && read(header.as_bytes()).is_none(), "{header}");
        }
    }
}
