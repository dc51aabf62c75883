//! Frames: a length and that many bytes.

use std::io::{ErrorKind, Read};

use super::WireError;

/// The largest frame that is read or written, in bytes, without its length.
pub const MAX_FRAME_BYTES: u32 = 1 << 31;

/// How much of a frame is looked at before the rest is waited for: the length of its header, and the header's brace.
const BEGINNING: usize = 9;

/// How many bytes of a frame are made room for before they have come.
const RESERVED: usize = 1 << 16;

/// The shortest frame: the length of its header, and the header `{}`.
const SHORTEST: u32 = 10;

/// Reads one frame, without its length; `None` when the other end has closed the pipe between frames.
///
/// # Errors
/// When the pipe ends in the middle of a frame, and as soon as what has come cannot be the beginning of one.
pub fn read_frame(from: &mut impl Read) -> Result<Option<Vec<u8>>, WireError> {
    read_frame_within(from, &|| MAX_FRAME_BYTES)
}

/// The same of a frame that has at most so many bytes, which is asked for when its length has come.
///
/// # Errors
/// The same.
pub(super) fn read_frame_within(
    from: &mut impl Read,
    largest: &dyn Fn() -> u32,
) -> Result<Option<Vec<u8>>, WireError> {
    let mut begun = Vec::with_capacity(4 + BEGINNING);
    if !fill(from, &mut begun, 4)? {
        return if begun.is_empty() { Ok(None) } else { Err(too_short(&begun)) };
    }
    length_of(&begun, MAX_FRAME_BYTES)?;
    fill(from, &mut begun, 4 + BEGINNING)?;
    let Some(length) = length_of(&begun, largest())? else { return Err(too_short(&begun)) };
    // Grows with what arrives, so that a wrong length does not take memory that no data will fill.
    let mut bytes = begun.split_off(4);
    bytes.reserve((length as usize).min(RESERVED));
    let rest = u64::from(length) - BEGINNING as u64;
    from.take(rest).read_to_end(&mut bytes)?;
    if bytes.len() < length as usize {
        return Err(WireError::Pipe(ErrorKind::UnexpectedEof.into()));
    }
    Ok(Some(bytes))
}

/// The length of a frame, of which so much has come, its length in front; nothing where that is too little to say.
///
/// # Errors
/// When it cannot be the beginning of a frame of at most so many bytes.
pub(super) fn length_of(begun: &[u8], largest: u32) -> Result<Option<u32>, WireError> {
    let Some(length) = begun.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)) else { return Ok(None) };
    let begun = &begun[..begun.len().min(4 + BEGINNING)];
    if length > MAX_FRAME_BYTES {
        return Err(text(begun).unwrap_or(WireError::TooLarge(u64::from(length))));
    }
    if length < SHORTEST {
        return Err(WireError::Mismatch(format!("a frame of {length} bytes is too short for a header")));
    }
    let Some(header) = begun[4..].first_chunk().filter(|_| begun.len() == 4 + BEGINNING) else {
        return Ok(None);
    };
    // A text that got into the pipe would be taken for the length of a frame of a gigabyte, and waited for.
    if u64::from_le_bytes(*header) > u64::from(length) - 8 && is_text(begun) {
        return Err(not_a_frame(begun));
    }
    if length > largest {
        return Err(text(begun).unwrap_or(WireError::LargerThanDue { length, largest }));
    }
    Ok(Some(length))
}

/// Why what has come, after which the pipe ended, is no frame.
pub(super) fn too_short(arrived: &[u8]) -> WireError {
    if arrived.len() <= 4 + BEGINNING {
        not_a_frame(arrived)
    } else {
        WireError::Pipe(ErrorKind::UnexpectedEof.into())
    }
}

/// Reads until `bytes` has `length` bytes; `false` when the pipe ends before.
fn fill(from: &mut impl Read, bytes: &mut Vec<u8>, length: usize) -> Result<bool, WireError> {
    let missing = length - bytes.len();
    from.take(missing as u64).read_to_end(bytes)?;
    Ok(bytes.len() == length)
}

/// Of bytes after which the pipe ended. One byte may be a letter by chance.
fn not_a_frame(bytes: &[u8]) -> WireError {
    if bytes.len() > 1 && is_text(bytes) {
        WireError::NotAFrame(String::from_utf8_lossy(bytes).trim_end().to_owned())
    } else {
        WireError::Pipe(ErrorKind::UnexpectedEof.into())
    }
}

/// A text that stands before a frame, or is too short to be taken for one: its letters are read as a length.
fn text(bytes: &[u8]) -> Option<WireError> {
    let length = bytes.iter().take_while(|byte| is_text(std::slice::from_ref(byte))).count();
    (length >= 3).then(|| not_a_frame(&bytes[..length]))
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Vec<u8>>, WireError> {
        read_frame(&mut &bytes[..])
    }

    fn framed(payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap();
        [&length.to_le_bytes(), payload].concat()
    }

    #[test]
    fn frames_come_one_after_the_other_and_then_the_end() {
        let (one, other) = (framed(&[2, 0, 0, 0, 0, 0, 0, 0, b'{', b'}']), framed(&[7; 300]));
        let pipe = [one.clone(), other.clone()].concat();
        let mut pipe = &pipe[..];
        assert_eq!(read_frame(&mut pipe).unwrap().unwrap(), one[4..]);
        assert_eq!(read_frame(&mut pipe).unwrap().unwrap(), other[4..]);
        assert!(read_frame(&mut pipe).unwrap().is_none());
    }

    #[test]
    fn a_frame_that_ends_early_is_an_error_wherever_it_ends() {
        let whole = framed(&[7; 200]);
        for end in 1..whole.len() {
            assert!(matches!(read(&whole[..end]), Err(WireError::Pipe(_))), "after {end} bytes");
        }
    }

    #[test]
    fn a_frame_that_claims_too_much_or_too_little_is_refused_at_once() {
        assert!(matches!(read(&[255; 4]), Err(WireError::TooLarge(4_294_967_295))));
        assert!(matches!(read(&framed(&[])), Err(WireError::Mismatch(_))));
        assert!(matches!(read(&framed(&[0; 9])), Err(WireError::Mismatch(_))));
    }

    #[test]
    fn text_in_the_pipe_is_shown_and_not_waited_for() {
        for text in ["hi\n", "loading...\n", "Using device: cpu\nand more than nine bytes of it"] {
            let WireError::NotAFrame(shown) = read(text.as_bytes()).unwrap_err() else { panic!("{text}") };
            assert!(text.starts_with(&shown), "{shown}");
        }
    }

    #[test]
    fn text_before_a_frame_is_shown_too_however_short() {
        for text in ["hi\n", "done\n", "loading\n"] {
            let pipe = [text.as_bytes(), &framed(&[7; 200])].concat();
            let error = read_frame_within(&mut &pipe[..], &|| 1 << 20).unwrap_err();
            assert!(matches!(&error, WireError::NotAFrame(shown) if shown == text.trim_end()), "{error}");
        }
    }
}
