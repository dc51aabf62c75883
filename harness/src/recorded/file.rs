//! The file: a line that says what it is, a line of provenance, a line with the hash of what follows it and of the
//! provenance, and the packed answers.

use std::collections::HashMap;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::bytes::{Reader, Writer};
use super::{Entry, FORM, Provenance, RecordedCase, RecordedError, Recording, digest};

/// What stands before the number of the form.
pub const MAGIC: &str = "bncheck recorded oracle";

/// How many bytes are unpacked at most; the curated suites take 8 MB.
pub const MAX_BODY_BYTES: u64 = 256 << 20;

/// How long the line of provenance may be.
const MAX_LINE_BYTES: usize = 1 << 16;

/// Writes a file.
pub fn write(provenance: Provenance, cases: &[RecordedCase]) -> Result<Vec<u8>, RecordedError> {
    let questions = digest::of_all(cases.iter().map(|case| case.request));
    let provenance = Provenance { cases: cases.len(), questions, ..provenance };
    let mut index = Writer::default();
    index.number(cases.len() as u64);
    for case in cases {
        index.text(&case.case);
        index.hash(case.request);
        index.hash(case.response);
        index.number(case.answer.near.len() as u64);
        index.number(case.answer.far.len() as u64);
    }
    let near = || cases.iter().map(|case| &case.answer.near);
    let far = || cases.iter().map(|case| &case.answer.far);
    let mut body = Vec::new();
    for length in [index.near.len(), index.far.len(), near().map(Vec::len).sum()] {
        body.extend_from_slice(&(length as u64).to_le_bytes());
    }
    body.extend_from_slice(&index.near);
    body.extend_from_slice(&index.far);
    for bytes in near().chain(far()) {
        body.extend_from_slice(bytes);
    }
    if body.len() as u64 > MAX_BODY_BYTES {
        return Err(RecordedError::TooLarge { bytes: body.len() as u64 });
    }
    let damaged = |why: &dyn std::fmt::Display| RecordedError::Damaged(why.to_string());
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
    let packed = packer.write_all(&body).and_then(|()| packer.finish());
    let packed = packed.map_err(|why| damaged(&why))?;
    let about = serde_json::to_string(&provenance).map_err(|why| damaged(&why))?;
    let hash = digest::of_bytes(&[about.as_bytes(), &packed]);
    let mut file = format!("{MAGIC} {FORM}\n{about}\n{hash}\n").into_bytes();
    file.extend_from_slice(&packed);
    Ok(file)
}

/// Reads a file.
pub fn read(file: &[u8]) -> Result<Recording, RecordedError> {
    let damaged = |why: &str| RecordedError::Damaged(why.to_owned());
    let mut rest = file;
    let magic =
        line(&mut rest).and_then(|line| line.strip_prefix(MAGIC)).ok_or(RecordedError::NoRecording)?;
    let form: u32 = magic.trim().parse().map_err(|_| RecordedError::NoRecording)?;
    if form != FORM {
        return Err(RecordedError::Form(form));
    }
    let cut = || damaged("it ends early");
    let about = line(&mut rest).ok_or_else(cut)?;
    let hash = line(&mut rest).ok_or_else(cut)?;
    if digest::of_bytes(&[about.as_bytes(), rest]) != hash {
        return Err(damaged("its hash is not that of its contents, as where a part of it is missing"));
    }
    let provenance: Provenance =
        serde_json::from_str(about).map_err(|why| RecordedError::Damaged(why.to_string()))?;
    let mut body = Vec::new();
    let unpacked = DeflateDecoder::new(rest).take(MAX_BODY_BYTES + 1).read_to_end(&mut body);
    unpacked.map_err(|why| RecordedError::Damaged(why.to_string()))?;
    if body.len() as u64 > MAX_BODY_BYTES {
        return Err(RecordedError::TooLarge { bytes: body.len() as u64 });
    }
    unpack(provenance, &body).ok_or_else(|| damaged("its index does not fit its answers"))
}

/// A line of text without its end; `None` where there is none.
fn line<'f>(rest: &mut &'f [u8]) -> Option<&'f str> {
    let end = rest.iter().take(MAX_LINE_BYTES).position(|&byte| byte == b'\n')?;
    let (line, after) = rest.split_at(end);
    *rest = &after[1..];
    std::str::from_utf8(line).ok()
}

fn unpack(provenance: Provenance, body: &[u8]) -> Option<Recording> {
    let (lengths, mut rest) = body.split_first_chunk::<24>()?;
    let (lengths, _) = lengths.as_chunks::<8>();
    let mut part = |length: &[u8; 8]| {
        let (part, after) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        rest = after;
        Some(part)
    };
    let parts: Vec<&[u8]> = lengths.iter().map(&mut part).collect::<Option<_>>()?;
    let [index, index_far, near] = parts[..] else { return None };
    let far = rest;
    let mut index = Reader::new(index, index_far);
    let count = index.count()?;
    let mut cases = HashMap::with_capacity(count);
    let (mut near_end, mut far_end) = (0, 0);
    for _ in 0..count {
        let case = index.text()?.to_owned();
        let (request, response) = (index.hash()?, index.hash()?);
        let mut next = |end: &mut usize, all: &[u8]| {
            let begin = *end;
            *end = begin.checked_add(usize::try_from(index.number()?).ok()?)?;
            (*end <= all.len()).then_some(begin..*end)
        };
        let (near, far) = (next(&mut near_end, near)?, next(&mut far_end, far)?);
        if cases.insert(case, Entry { request, response, near, far }).is_some() {
            return None;
        }
    }
    let whole =
        index.is_at_end() && near_end == near.len() && far_end == far.len() && count == provenance.cases;
    whole.then(|| Recording { provenance, cases, near: near.to_vec(), far: far.to_vec() })
}
