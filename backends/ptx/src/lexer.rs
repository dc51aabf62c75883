//! Text to words, each with its line.

use crate::module::ParseError;

/// A word of PTX.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A name, a directive, a register or an opcode, with its dots: `ld.global.v4.f32`, `%tid.x`, `.reg`.
    Word(String),
    /// An integer; a minus sign is a word of its own.
    Integer(u64),
    /// A floating-point constant, with its bits in single or double precision.
    Single(u32),
    /// The same in double precision.
    Double(u64),
    /// A quoted text.
    Text(String),
    /// A sign.
    Sign(char),
}

/// A word and where it stands.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The word.
    pub token: Token,
    /// Its line, from 1.
    pub line: usize,
}

fn starts_word(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '_' | '$' | '%' | '.')
}

fn goes_on(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '%' | '.')
}

/// Splits the text; comments are left out.
pub fn lex(text: &str) -> Result<Vec<Placed>, ParseError> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    let error = |line: usize, message: String| ParseError { line, message };
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        if c == '\n' {
            line += 1;
            at += 1;
        } else if c.is_whitespace() {
            at += 1;
        } else if c == '/' && next == Some('/') {
            while chars.get(at).is_some_and(|&c| c != '\n') {
                at += 1;
            }
        } else if c == '/' && next == Some('*') {
            let opened = line;
            at += 2;
            loop {
                match (chars.get(at), chars.get(at + 1)) {
                    (Some('*'), Some('/')) => break,
                    (Some('\n'), _) => line += 1,
                    (Some(_), _) => {}
                    (None, _) => return Err(error(opened, "a comment is not closed".into())),
                }
                at += 1;
            }
            at += 2;
        } else if c == '"' {
            let start = at + 1;
            at = start;
            while chars.get(at).is_some_and(|&c| c != '"' && c != '\n') {
                at += 1;
            }
            if chars.get(at) != Some(&'"') {
                return Err(error(line, "a text is not closed".into()));
            }
            tokens.push(Placed { token: Token::Text(chars[start..at].iter().collect()), line });
            at += 1;
        } else if c.is_ascii_digit() {
            let start = at;
            while chars.get(at).is_some_and(|&c| c.is_ascii_alphanumeric() || c == '.') {
                at += 1;
            }
            let word: String = chars[start..at].iter().collect();
            let token = number(&word)
                .ok_or_else(|| error(line, format!("`{word}` is not a number that is understood")))?;
            tokens.push(Placed { token, line });
        } else if starts_word(c) {
            let start = at;
            loop {
                match (chars.get(at), chars.get(at + 1)) {
                    (Some(':'), Some(':')) => at += 2,
                    (Some(&c), _) if goes_on(c) => at += 1,
                    _ => break,
                }
            }
            tokens.push(Placed { token: Token::Word(chars[start..at].iter().collect()), line });
        } else if "{}[](),;:|+-<>=@!".contains(c) {
            tokens.push(Placed { token: Token::Sign(c), line });
            at += 1;
        } else {
            return Err(error(line, format!("the character `{}` is not understood", c.escape_default())));
        }
    }
    Ok(tokens)
}

fn number(word: &str) -> Option<Token> {
    if let Some(digits) = word.strip_prefix("0f").or_else(|| word.strip_prefix("0F")) {
        return (digits.len() == 8).then(|| u32::from_str_radix(digits, 16).ok().map(Token::Single))?;
    }
    if let Some(digits) = word.strip_prefix("0d").or_else(|| word.strip_prefix("0D")) {
        return (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok().map(Token::Double))?;
    }
    if word.contains('.') {
        return word.parse::<f64>().ok().map(|value| Token::Double(value.to_bits()));
    }
    let word = word.strip_suffix('U').unwrap_or(word);
    let (digits, radix) = match word.get(..2) {
        Some("0x" | "0X") => (&word[2..], 16),
        Some("0b" | "0B") => (&word[2..], 2),
        Some(_) if word.starts_with('0') => (&word[1..], 8),
        _ => (word, 10),
    };
    u64::from_str_radix(digits, radix).ok().map(Token::Integer)
}
