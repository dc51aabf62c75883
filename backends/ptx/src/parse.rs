//! Modules and the bodies of kernels.

use std::collections::HashMap;

use crate::decode::Names;
use crate::instruction::{Condition, Instruction, Op, Type};
use crate::lexer::{Token, lex};
use crate::module::{Kernel, Module, Parameter, ParseError, Variable};
use crate::syntax::{Cursor, Operand};

/// Where variables of the module lie.
pub const VARIABLES: u64 = 0x6000_0000_0000;
/// The most bytes of a module's variables.
const MOST_VARIABLES: usize = 1 << 24;
/// The most instructions of a kernel: their numbers have 22 bits in the record of accesses.
const MOST_INSTRUCTIONS: usize = 1 << 22;
/// The most shared memory of a block, in bytes.
pub const MOST_SHARED: usize = 48 << 10;

/// Reads a module.
pub fn module(text: &str) -> Result<Module, ParseError> {
    let mut cursor = Cursor::new(lex(text)?);
    let mut module = Module {
        kernels: Vec::new(),
        files: Vec::new(),
        variables: Vec::new(),
        image: Vec::new(),
        lines: text.lines().map(str::to_owned).collect(),
    };
    while cursor.peek().is_some() {
        let line = cursor.line();
        let word = cursor.word()?;
        match word.as_str() {
            ".version" | ".address_size" => {
                cursor.next();
            }
            ".target" => {
                cursor.word()?;
                while cursor.takes(',') {
                    cursor.word()?;
                }
            }
            ".file" => {
                let number = cursor.size()?;
                match cursor.next() {
                    Some(Token::Text(name)) => module.files.push((number as u32, name)),
                    _ => return cursor.error("`.file` needs a name"),
                }
                while cursor.takes(',') {
                    cursor.integer()?;
                }
            }
            ".section" => section(&mut cursor)?,
            ".visible" => {}
            ".entry" => {
                let kernel = kernel(&mut cursor, &module)?;
                if module.kernel(&kernel.name).is_some() {
                    return Err(ParseError {
                        line,
                        message: format!("there are two kernels `{}`", kernel.name),
                    });
                }
                module.kernels.push(kernel);
            }
            ".global" | ".const" => variable(&mut cursor, &mut module)?,
            ".extern" if matches!(cursor.peek(), Some(Token::Word(word)) if word == ".shared") => {
                cursor.next();
                let (name, _, _, _) = declaration(&mut cursor)?;
                cursor.sign(';')?;
                module.variables.push(Variable { name, offset: DYNAMIC, bytes: 0 });
            }
            _ => {
                return Err(ParseError {
                    line,
                    message: format!(
                        "`{word}` at the module's level is not supported: kernels and variables are"
                    ),
                });
            }
        }
    }
    Ok(module)
}

/// The offset of a variable that is the launch's dynamic shared memory.
pub const DYNAMIC: usize = usize::MAX;

fn section(cursor: &mut Cursor) -> Result<(), ParseError> {
    cursor.word()?;
    cursor.sign('{')?;
    let mut depth = 1;
    while depth > 0 {
        match cursor.next() {
            Some(Token::Sign('{')) => depth += 1,
            Some(Token::Sign('}')) => depth -= 1,
            Some(_) => {}
            None => return cursor.error("a section is not closed"),
        }
    }
    Ok(())
}

/// `.align 4 .b8 name[96]`: name, type, size and alignment.
fn declaration(cursor: &mut Cursor) -> Result<(String, Type, usize, usize), ParseError> {
    let mut align = None;
    let mut of = None;
    loop {
        if cursor.takes_word(".align") {
            let value = cursor.size()?;
            if !value.is_power_of_two() || value > 1024 {
                return cursor.error(format!("an alignment of {value} is not possible"));
            }
            align = Some(value);
            continue;
        }
        match cursor.peek() {
            Some(Token::Word(word)) if word.starts_with('.') => {
                let Some(named) = Type::named(&word[1..]).filter(|of| of.bytes() > 0) else {
                    return cursor.error(format!("`{word}` is not a type of a variable that is supported"));
                };
                of = Some(named);
                cursor.next();
            }
            _ => break,
        }
    }
    let Some(of) = of else { return cursor.error("a variable needs a type") };
    let name = cursor.word()?;
    let mut count = 1;
    while cursor.takes('[') {
        let size = if cursor.peek() == Some(&Token::Sign(']')) { 0 } else { cursor.size()? };
        cursor.sign(']')?;
        count *= size;
        if count > 1 << 31 {
            return cursor.error(format!("`{name}` is too large"));
        }
    }
    Ok((name, of, count * of.bytes(), align.unwrap_or(of.bytes())))
}

fn variable(cursor: &mut Cursor, module: &mut Module) -> Result<(), ParseError> {
    let (name, of, bytes, align) = declaration(cursor)?;
    let offset = module.image.len().next_multiple_of(align.max(16));
    if bytes.saturating_add(offset) > MOST_VARIABLES {
        return cursor
            .error(format!("`{name}` is too large: variables may have {MOST_VARIABLES} bytes together"));
    }
    module.image.resize(offset + bytes, 0);
    if cursor.takes('=') {
        let many = cursor.takes('{');
        let mut at = offset;
        loop {
            let value = match cursor.peek() {
                Some(&Token::Single(bits)) => {
                    cursor.next();
                    u64::from(bits)
                }
                Some(&Token::Double(bits)) => {
                    cursor.next();
                    bits
                }
                _ => cursor.integer()?,
            };
            let Some(place) = module.image.get_mut(at..at + of.bytes()) else {
                return cursor.error(format!("`{name}` has more values than places"));
            };
            place.copy_from_slice(&value.to_le_bytes()[..of.bytes()]);
            at += of.bytes();
            if !many || !cursor.takes(',') {
                break;
            }
        }
        if many {
            cursor.sign('}')?;
        }
    }
    cursor.sign(';')?;
    module.variables.push(Variable { name, offset, bytes });
    Ok(())
}

fn kernel(cursor: &mut Cursor, module: &Module) -> Result<Kernel, ParseError> {
    let name = cursor.word()?;
    let mut parameters: Vec<Parameter> = Vec::new();
    if cursor.takes('(') && !cursor.takes(')') {
        loop {
            if !cursor.takes_word(".param") {
                return cursor.error("`.param` is expected");
            }
            let (name, _, bytes, align) = declaration(cursor)?;
            let end = parameters.last().map_or(0, |last| last.offset + last.bytes);
            if end + bytes > 1 << 15 {
                return cursor.error("the parameters are too large");
            }
            parameters.push(Parameter { name, offset: end.next_multiple_of(align), bytes, align });
            if !cursor.takes(',') {
                break;
            }
        }
        cursor.sign(')')?;
    }
    let mut max_threads = None;
    loop {
        if cursor.takes_word(".maxntid") {
            let mut threads = [cursor.size()? as u32, 1, 1];
            for axis in &mut threads[1..] {
                if cursor.takes(',') {
                    *axis = cursor.size()? as u32;
                }
            }
            max_threads = Some(threads);
        } else if cursor.takes_word(".minnctapersm") || cursor.takes_word(".maxnreg") {
            cursor.size()?;
        } else {
            break;
        }
    }
    cursor.sign('{')?;
    let mut body = Body {
        names: Names::new(module, &parameters),
        code: Vec::new(),
        targets: Vec::new(),
        labels: HashMap::new(),
        source: None,
    };
    body.block(cursor)?;
    body.finish()?;
    let Body { names, code, .. } = body;
    Ok(names.kernel(name, parameters, max_threads, code))
}

/// A kernel's body while it is read.
struct Body<'a> {
    names: Names<'a>,
    code: Vec<Instruction>,
    /// Branches that wait for their label: instruction, the scopes around it, and the label.
    targets: Vec<(usize, Vec<u32>, String)>,
    labels: HashMap<(u32, String), u32>,
    source: Option<(u32, u32)>,
}

impl Body<'_> {
    fn block(&mut self, cursor: &mut Cursor) -> Result<(), ParseError> {
        let mut depth = 1;
        while depth > 0 {
            if cursor.takes('{') {
                depth += 1;
                self.names.open();
            } else if cursor.takes('}') {
                depth -= 1;
                self.names.close();
            } else if cursor.takes(';') {
                // An empty statement.
            } else if let (Some(Token::Word(label)), Some(Token::Sign(':'))) =
                (cursor.peek(), cursor.second())
            {
                let key = (self.names.scope(), label.clone());
                if self.labels.insert(key, self.code.len() as u32).is_some() {
                    return cursor.error(format!("the label `{label}` is there twice"));
                }
                cursor.next();
                cursor.next();
            } else {
                self.statement(cursor)?;
            }
        }
        Ok(())
    }

    fn statement(&mut self, cursor: &mut Cursor) -> Result<(), ParseError> {
        let line = cursor.line();
        match cursor.peek() {
            Some(Token::Word(word)) if word.starts_with('.') => {
                let word = cursor.word()?;
                self.directive(cursor, &word, line)
            }
            None => cursor.error("the kernel's body is not closed"),
            _ => self.instruction(cursor, line),
        }
    }

    fn directive(&mut self, cursor: &mut Cursor, word: &str, line: usize) -> Result<(), ParseError> {
        match word {
            ".loc" => {
                let (file, at) = (cursor.size()? as u32, cursor.size()? as u32);
                cursor.size()?;
                // Line 0 means that nothing in the source is behind it.
                self.source = (at > 0).then_some((file, at));
                while cursor.takes(',') {
                    let what = cursor.word()?;
                    if what == "function_name" {
                        cursor.word()?;
                        if cursor.takes('+') {
                            cursor.size()?;
                        }
                    } else if what == "inlined_at" {
                        for _ in 0..3 {
                            cursor.size()?;
                        }
                    } else {
                        return cursor.error(format!("`{what}` in `.loc` is not understood"));
                    }
                }
                Ok(())
            }
            ".pragma" => {
                cursor.next();
                cursor.sign(';')
            }
            ".reg" => {
                let of = cursor.word()?;
                let Some(of) = of.strip_prefix('.').and_then(Type::named) else {
                    return Err(ParseError {
                        line,
                        message: format!("registers of type `{of}` are not supported"),
                    });
                };
                loop {
                    let name = cursor.word()?;
                    let count = if cursor.takes('<') {
                        let count = cursor.size()?;
                        cursor.sign('>')?;
                        Some(count)
                    } else {
                        None
                    };
                    self.names.declare(of, &name, count).map_err(|message| ParseError { line, message })?;
                    if !cursor.takes(',') {
                        break;
                    }
                }
                cursor.sign(';')
            }
            ".shared" => {
                let (name, _, bytes, align) = declaration(cursor)?;
                self.names.shared(name, bytes, align).map_err(|message| ParseError { line, message })?;
                cursor.sign(';')
            }
            _ => Err(ParseError { line, message: format!("`{word}` in a kernel is not supported") }),
        }
    }

    fn instruction(&mut self, cursor: &mut Cursor, line: usize) -> Result<(), ParseError> {
        let wrong = |message: String| ParseError { line, message };
        let guard = if cursor.takes('@') {
            let negated = cursor.takes('!');
            let name = cursor.word()?;
            Some(Condition { predicate: self.names.predicate(&name).map_err(wrong)?, negated })
        } else {
            None
        };
        let opcode = cursor.word()?;
        let operands = cursor.operands()?;
        let op = if matches!(opcode.as_str(), "bra" | "bra.uni") {
            let [Operand::Name(label)] = operands.as_slice() else {
                return Err(wrong(format!("`{opcode}` needs a label")));
            };
            self.targets.push((self.code.len(), self.names.scopes(), label.clone()));
            Op::Branch { target: 0 }
        } else {
            self.names.decode(&opcode, &operands).map_err(wrong)?
        };
        if self.code.len() + 1 >= MOST_INSTRUCTIONS {
            return Err(wrong("the kernel has too many instructions".to_owned()));
        }
        self.code.push(Instruction { op, guard, line: line as u32, source: self.source });
        Ok(())
    }

    /// Finds the labels, and ends a kernel that does not end itself.
    fn finish(&mut self) -> Result<(), ParseError> {
        let end = self.code.last().map_or(1, |last| last.line);
        self.code.push(Instruction { op: Op::Exit, guard: None, line: end, source: None });
        for (at, scopes, label) in std::mem::take(&mut self.targets) {
            let found = scopes.iter().rev().find_map(|&scope| self.labels.get(&(scope, label.clone())));
            let Some(&target) = found else {
                let line = self.code[at].line as usize;
                return Err(ParseError { line, message: format!("the label `{label}` is not there") });
            };
            self.code[at].op = Op::Branch { target };
        }
        Ok(())
    }
}
