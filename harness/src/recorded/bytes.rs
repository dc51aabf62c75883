//! Numbers and text as bytes, in two streams: what is small, and what more there is of larger numbers. Apart, both can be
//! packed better.

/// Writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Writer {
    /// The first byte of each number, and all text.
    pub near: Vec<u8>,
    /// The other bytes of numbers from 128.
    pub far: Vec<u8>,
}

impl Writer {
    /// A number, seven bits a byte from the lowest; the highest bit says whether more follow.
    pub fn number(&mut self, mut number: u64) {
        let mut stream = &mut self.near;
        while number >= 128 {
            stream.push(number as u8 | 128);
            number >>= 7;
            stream = &mut self.far;
        }
        stream.push(number as u8);
    }

    /// A text after its length.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.near.extend_from_slice(text.as_bytes());
    }

    /// Eight bytes as they are.
    pub fn hash(&mut self, hash: u64) {
        self.near.extend_from_slice(&hash.to_le_bytes());
    }
}

/// Reads. Whatever is asked for is `None` where the bytes end too early or are not what a writer writes.
#[derive(Debug)]
pub struct Reader<'b> {
    near: &'b [u8],
    far: &'b [u8],
}

impl<'b> Reader<'b> {
    /// Of both streams.
    pub fn new(near: &'b [u8], far: &'b [u8]) -> Self {
        Reader { near, far }
    }

    /// Whether everything has been read.
    pub fn is_at_end(&self) -> bool {
        self.near.is_empty() && self.far.is_empty()
    }

    /// How many numbers there can be at most.
    pub fn left(&self) -> usize {
        self.near.len()
    }

    /// A number.
    pub fn number(&mut self) -> Option<u64> {
        let first = take(&mut self.near)?;
        let mut number = u64::from(first & 127);
        let (mut more, mut shift) = (first >= 128, 7);
        while more {
            let byte = take(&mut self.far)?;
            let bits = u64::from(byte & 127);
            if shift >= 64 || bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            (more, shift) = (byte >= 128, shift + 7);
        }
        Some(number)
    }

    /// A number of things of which each takes a byte at least, so that no more memory is asked for than there is need of.
    pub fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.left()).then_some(count)
    }

    /// A text.
    pub fn text(&mut self) -> Option<&'b str> {
        let length = self.count()?;
        let (text, rest) = self.near.split_at_checked(length)?;
        self.near = rest;
        std::str::from_utf8(text).ok()
    }

    /// Eight bytes.
    pub fn hash(&mut self) -> Option<u64> {
        let (bytes, rest) = self.near.split_first_chunk::<8>()?;
        self.near = rest;
        Some(u64::from_le_bytes(*bytes))
    }
}

fn take(stream: &mut &[u8]) -> Option<u8> {
    let (byte, rest) = stream.split_first()?;
    *stream = rest;
    Some(*byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let numbers = [0, 1, 127, 128, 300, 1 << 35, u64::MAX - 1, u64::MAX];
        let mut writer = Writer::default();
        for number in numbers {
            writer.number(number);
        }
        writer.text("eps must be positive: \u{3b5}");
        writer.hash(0x0123_4567_89ab_cdef);
        let mut reader = Reader::new(&writer.near, &writer.far);
        assert_eq!(numbers.map(|_| reader.number().unwrap()), numbers);
        assert_eq!(reader.text(), Some("eps must be positive: \u{3b5}"));
        assert_eq!(reader.hash(), Some(0x0123_4567_89ab_cdef));
        assert!(reader.is_at_end());
        assert_eq!(reader.number(), None);
    }

    #[test]
    fn a_count_or_a_length_of_more_than_there_is_reads_as_nothing() {
        let mut writer = Writer::default();
        writer.number(1 << 40);
        writer.number(1);
        assert_eq!(Reader::new(&writer.near, &writer.far).count(), None);
        assert_eq!(Reader::new(&writer.near, &writer.far).text(), None);
    }

    #[test]
    fn a_number_of_more_than_64_bits_reads_as_nothing() {
        assert_eq!(Reader::new(&[255], &[255; 20]).number(), None);
        assert_eq!(Reader::new(&[255], &[255, 255, 255, 255, 255, 255, 255, 255, 2]).number(), None);
        let most = Reader::new(&[255], &[255, 255, 255, 255, 255, 255, 255, 255, 1]).number();
        assert_eq!(most, Some(u64::MAX));
    }

    #[test]
    fn text_that_is_no_utf_8_reads_as_nothing() {
        assert_eq!(Reader::new(&[1, 0xff], &[]).text(), None);
    }
}
