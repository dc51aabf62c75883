//! Words in order, and the operands of instructions.

use crate::lexer::{Placed, Token};
use crate::module::ParseError;

/// An operand as it is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A register, a variable or a label.
    Name(String),
    /// An integer.
    Integer(u64),
    /// A float, with its bits.
    Single(u32),
    /// The same in double precision.
    Double(u64),
    /// `[base+offset]`.
    Address(Box<Operand>, i64),
    /// `{a, b}`.
    Vector(Vec<Operand>),
    /// `d|p`.
    Pair(Box<Operand>, Box<Operand>),
    /// `!p`.
    Not(Box<Operand>),
}

/// Words and a place in them.
pub struct Cursor {
    tokens: Vec<Placed>,
    at: usize,
}

impl Cursor {
    /// At the first word.
    pub fn new(tokens: Vec<Placed>) -> Cursor {
        Cursor { tokens, at: 0 }
    }

    /// The next word.
    pub fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|placed| &placed.token)
    }

    /// The word after it.
    pub fn second(&self) -> Option<&Token> {
        self.tokens.get(self.at + 1).map(|placed| &placed.token)
    }

    /// The next word's line; at the end the last one's.
    pub fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |placed| placed.line)
    }

    /// Takes the next word.
    pub fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += usize::from(token.is_some());
        token
    }

    /// Takes a sign if it is the next word.
    pub fn takes(&mut self, sign: char) -> bool {
        let there = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(there);
        there
    }

    /// Takes a word if it is the next one.
    pub fn takes_word(&mut self, word: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.at += usize::from(there);
        there
    }

    /// An error at the next word.
    pub fn error<T>(&self, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError { line: self.line(), message: message.into() })
    }

    fn found(&self) -> String {
        match self.peek() {
            None => "the end of the text".to_owned(),
            Some(Token::Word(word)) => format!("`{word}`"),
            Some(Token::Sign(sign)) => format!("`{sign}`"),
            Some(Token::Text(text)) => format!("\"{text}\""),
            Some(_) => "a number".to_owned(),
        }
    }

    /// Takes a sign.
    pub fn sign(&mut self, sign: char) -> Result<(), ParseError> {
        if self.takes(sign) {
            Ok(())
        } else {
            self.error(format!("`{sign}` is expected, not {}", self.found()))
        }
    }

    /// Takes a word.
    pub fn word(&mut self) -> Result<String, ParseError> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => self.error(format!("a name is expected, not {}", self.found())),
        }
    }

    /// Takes an integer, with a sign before it.
    pub fn integer(&mut self) -> Result<u64, ParseError> {
        let negative = self.takes('-');
        match self.peek() {
            Some(&Token::Integer(value)) => {
                self.at += 1;
                Ok(if negative { value.wrapping_neg() } else { value })
            }
            _ => self.error(format!("an integer is expected, not {}", self.found())),
        }
    }

    /// Takes an integer that is a size or a count.
    pub fn size(&mut self) -> Result<usize, ParseError> {
        let value = self.integer()?;
        if value <= 1 << 31 { Ok(value as usize) } else { self.error(format!("{value} is too large")) }
    }

    /// Takes all operands up to the semicolon, and that.
    pub fn operands(&mut self) -> Result<Vec<Operand>, ParseError> {
        let mut operands = Vec::new();
        if self.takes(';') {
            return Ok(operands);
        }
        loop {
            operands.push(self.operand()?);
            if self.takes(';') {
                return Ok(operands);
            }
            self.sign(',')?;
        }
    }

    fn operand(&mut self) -> Result<Operand, ParseError> {
        if self.takes('!') {
            return Ok(Operand::Not(Box::new(self.simple()?)));
        }
        if self.takes('[') {
            let base = self.simple()?;
            let offset = if self.takes('+') || self.peek() == Some(&Token::Sign('-')) {
                self.integer()? as i64
            } else {
                0
            };
            self.sign(']')?;
            return Ok(Operand::Address(Box::new(base), offset));
        }
        if self.takes('{') {
            let mut parts = vec![self.simple()?];
            while self.takes(',') {
                parts.push(self.simple()?);
            }
            self.sign('}')?;
            return Ok(Operand::Vector(parts));
        }
        let first = self.simple()?;
        if self.takes('|') {
            return Ok(Operand::Pair(Box::new(first), Box::new(self.simple()?)));
        }
        Ok(first)
    }

    fn simple(&mut self) -> Result<Operand, ParseError> {
        match self.peek() {
            Some(Token::Word(_)) => Ok(Operand::Name(self.word()?)),
            Some(&Token::Single(bits)) => {
                self.at += 1;
                Ok(Operand::Single(bits))
            }
            Some(&Token::Double(bits)) => {
                self.at += 1;
                Ok(Operand::Double(bits))
            }
            _ => Ok(Operand::Integer(self.integer()?)),
        }
    }
}
