//! A serde deserializer over the tree that reports every mistake, each at its place.

use std::fmt::Display;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use super::{Entry, Kind, Node};
use crate::problem::{Problem, Source, Span, did_you_mean, is_enough};

/// The most mistakes that are looked for in one value, which is read again after each.
const MOST_AT_ONCE: usize = 100;

/// Reads a value of type `T`. When that fails the mistake is noted, the entry it stands in is taken out and
/// the rest is read again, so that one pass over a file finds all of them. `None` when anything was wrong;
/// `problems` then says what.
pub fn decode<T: DeserializeOwned>(source: &Source, node: &Node, problems: &mut Vec<Problem>) -> Option<T> {
    let mut error = match T::deserialize(Decoder(node)) {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let mut rest = node.clone();
    // What was taken out: the place of the mapping it was in, which stays the same, and the key.
    let mut removed: Vec<(Span, String)> = Vec::new();
    let before = problems.len();
    loop {
        if is_enough(problems) || problems.len() - before >= MOST_AT_ONCE {
            return None;
        }
        let path = error.path();
        let place = |path: &[String]| {
            if path.is_empty() { rest.span } else { rest.span_of(&path.join(".")) }
        };
        let missing_because_removed = error.0.missing.is_some_and(|field| {
            removed.iter().any(|(mapping, key)| key == field && *mapping == place(&path))
        });
        let empty_because_removed =
            error.0.without_key && removed.iter().any(|(mapping, _)| *mapping == place(&path));
        if !missing_because_removed && !empty_because_removed {
            problems.push(error.clone().into_problem(source, node.span));
        }
        let (key, mapping) = path.split_last()?;
        let gone = (place(mapping), key.clone());
        if !rest.remove(&path) {
            return None;
        }
        removed.push(gone);
        error = T::deserialize(Decoder(&rest)).err()?;
    }
}

/// Reads a value that [`decode`] has read before; `None` where something is wrong with it after all.
pub(crate) fn read_again<T: DeserializeOwned>(node: &Node) -> Option<T> {
    T::deserialize(Decoder(node)).ok()
}

/// A number as it stands in the file: rounded by whoever knows the dtype.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(schema_with = "literal_schema")]
pub struct Literal(pub String);

const LITERAL: &str = "$bncheck::Literal";

fn literal_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": ["number", "string"],
        "description": "A number: decimal, .nan, .inf, or a hexadecimal float such as \"0x1.8p-3\""
    })
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LiteralVisitor;
        impl<'de> Visitor<'de> for LiteralVisitor {
            type Value = Literal;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Literal, D::Error> {
                inner.deserialize_str(self)
            }
            fn visit_str<E>(self, text: &str) -> Result<Literal, E> {
                Ok(Literal(text.to_owned()))
            }
        }
        deserializer.deserialize_newtype_struct(LITERAL, LiteralVisitor)
    }
}

/// One word wide, so that what goes well isn't moved about with room for what doesn't.
#[derive(Debug, Clone)]
struct DecodeError(Box<Mistake>);

#[derive(Debug, Clone, Default)]
struct Mistake {
    message: String,
    help: Option<String>,
    span: Option<Span>,
    /// From the inside out.
    reversed_path: Vec<String>,
    missing: Option<&'static str>,
    /// A mapping that should have one key has none.
    without_key: bool,
}

impl DecodeError {
    fn at(mut self, span: Span) -> Self {
        self.0.span.get_or_insert(span);
        self
    }

    fn under(mut self, segment: impl Into<String>) -> Self {
        self.0.reversed_path.push(segment.into());
        self
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    fn path(&self) -> Vec<String> {
        self.0.reversed_path.iter().rev().cloned().collect()
    }

    fn into_problem(self, source: &Source, whole: Span) -> Problem {
        let Mistake { message, help, span, .. } = *self.0;
        let problem = Problem::at(source, span.unwrap_or(whole), message);
        match help {
            Some(help) => problem.with_help(help),
            None => problem,
        }
    }

    fn not_in_list(what: &str, word: &str, known: &[&str], all: &str) -> Self {
        let list = known.join("`, `");
        let error = DecodeError::custom(format!("unknown {what} `{word}`"));
        error.help(match did_you_mean(word, known.iter().copied()) {
            Some(guess) => format!("{guess} {all}: `{list}`"),
            None => format!("{all}: `{list}`"),
        })
    }
}

impl Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for DecodeError {}

impl serde::de::Error for DecodeError {
    fn custom<T: Display>(message: T) -> Self {
        DecodeError(Box::new(Mistake { message: message.to_string(), ..Mistake::default() }))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::not_in_list("key", field, expected, "known here")
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::not_in_list("word", variant, expected, "one of")
    }

    fn missing_field(field: &'static str) -> Self {
        let mut error = Self::custom(format!("`{field}` is missing"));
        error.0.missing = Some(field);
        error
    }
}

type Decoded<T> = Result<T, DecodeError>;

struct Decoder<'n>(&'n Node);

impl<'n> Decoder<'n> {
    fn expected(&self, what: &str) -> DecodeError {
        let error = DecodeError::custom(format!("expected {what}, found {}", self.0.describe()));
        // Nothing has no place; that of its key follows.
        if self.0.span.len == 0 { error } else { error.at(self.0.span) }
    }

    /// The text of an unquoted scalar.
    fn plain(&self, what: &str) -> Decoded<&'n str> {
        match &self.0.kind {
            Kind::Scalar { text, quoted: false } => Ok(text),
            Kind::Scalar { quoted: true, .. } => {
                Err(self.expected(what).help("take the quotes away: in quotes it is a string"))
            }
            _ => Err(self.expected(what)),
        }
    }

    fn integer<T: FromStr>(&self, what: &str) -> Decoded<T> {
        self.plain(what)?.parse().map_err(|_| self.expected(what))
    }

    fn float(&self) -> Decoded<f64> {
        let Kind::Scalar { text, .. } = &self.0.kind else {
            let error = self.expected("a number");
            let several = matches!(self.0.kind, Kind::Seq(_));
            return Err(if several {
                error.help("to try several values, make it an axis of `matrix`")
            } else {
                error
            });
        };
        crate::number::parse_f64(text)
            .map_err(|error| DecodeError::custom(error.to_string()).help(error.help()).at(self.0.span))
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $what:literal),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
            visitor.$visit(self.integer($what)?).map_err(|error: DecodeError| error.at(self.0.span))
        }
    )*};
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match &self.0.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Scalar { text, .. } => visitor.visit_str(text),
            Kind::Seq(items) => visitor.visit_seq(Items::new(items)),
            Kind::Map(entries) => visitor.visit_map(Entries::new(entries)),
        }
        .map_err(|error| error.at(self.0.span))
    }

    integers! {
        deserialize_i8 visit_i8 "a whole number from -128 to 127",
        deserialize_i16 visit_i16 "a whole number from -32768 to 32767",
        deserialize_i32 visit_i32 "a whole number of 32 bits",
        deserialize_i64 visit_i64 "a whole number",
        deserialize_u8 visit_u8 "a whole number from 0 to 255",
        deserialize_u16 visit_u16 "a whole number from 0 to 65535",
        deserialize_u32 visit_u32 "a whole number from 0 to 4294967295",
        deserialize_u64 visit_u64 "a whole number, not negative",
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match self.plain("`true` or `false`")? {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(self.expected("`true` or `false`")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        visitor.visit_f64(self.float()?).map_err(|error: DecodeError| error.at(self.0.span))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match &self.0.kind {
            Kind::Scalar { text, .. } => {
                visitor.visit_str(text).map_err(|error: DecodeError| error.at(self.0.span))
            }
            _ => Err(self.expected("a string")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match &self.0.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match &self.0.kind {
            Kind::Null => visitor.visit_unit(),
            _ => Err(self.expected("nothing")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Decoded<V::Value> {
        if name == LITERAL && !matches!(self.0.kind, Kind::Scalar { .. }) {
            return Err(self.expected("a number"));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match &self.0.kind {
            Kind::Seq(items) => visitor.visit_seq(Items::new(items)).map_err(|error| error.at(self.0.span)),
            _ => Err(self.expected("a sequence")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Decoded<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match &self.0.kind {
            Kind::Map(entries) => {
                visitor.visit_map(Entries::new(entries)).map_err(|error| error.at(self.0.span))
            }
            // A key with nothing behind it is a mapping without entries.
            Kind::Null => visitor.visit_map(Entries::new(&[])).map_err(|error| error.at(self.0.span)),
            _ => Err(self.expected("a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Decoded<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Decoded<V::Value> {
        let choice = match &self.0.kind {
            Kind::Scalar { text, .. } => Choice { word: text, span: self.0.span, value: None },
            Kind::Map(entries) => {
                let [entry] = &entries[..] else {
                    let keys: Vec<&str> = entries.iter().map(|entry| &*entry.key).collect();
                    let mut error = DecodeError::custom(format!("expected one key, found {}", keys.len()));
                    error.0.without_key = keys.is_empty();
                    let help = format!("keep one of `{}`", keys.join("`, `"));
                    return Err(if keys.is_empty() { error } else { error.help(help) }.at(self.0.span));
                };
                Choice { word: &entry.key, span: entry.key_span, value: Some(&entry.value) }
            }
            _ => return Err(self.expected("a word or a mapping with one key")),
        };
        visitor.visit_enum(choice).map_err(|error| error.at(self.0.span))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { char bytes byte_buf unit_struct tuple_struct }
}

struct Items<'n> {
    items: &'n [Node],
    next: usize,
}

impl<'n> Items<'n> {
    fn new(items: &'n [Node]) -> Self {
        Items { items, next: 0 }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Decoded<Option<T::Value>> {
        let Some(node) = self.items.get(self.next) else {
            return Ok(None);
        };
        let index = self.next;
        self.next += 1;
        seed.deserialize(Decoder(node))
            .map(Some)
            .map_err(|error| error.at(node.span).under(index.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

struct Entries<'n> {
    entries: &'n [Entry],
    next: usize,
}

impl<'n> Entries<'n> {
    fn new(entries: &'n [Entry]) -> Self {
        Entries { entries, next: 0 }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Decoded<Option<K::Value>> {
        let Some(entry) = self.entries.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        let key = StrDeserializer::<DecodeError>::new(&entry.key);
        seed.deserialize(key).map(Some).map_err(|error| error.at(entry.key_span).under(&*entry.key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Decoded<V::Value> {
        let entry = &self.entries[self.next - 1];
        let place = if entry.value.span.len == 0 { entry.key_span } else { entry.value.span };
        seed.deserialize(Decoder(&entry.value)).map_err(|error| error.at(place).under(&*entry.key))
    }
}

/// A word, or a mapping with one key: the ways to write a variant.
struct Choice<'n> {
    word: &'n str,
    span: Span,
    value: Option<&'n Node>,
}

impl<'de, 'n> EnumAccess<'de> for Choice<'n> {
    type Error = DecodeError;
    type Variant = Variant<'n>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Decoded<(V::Value, Variant<'n>)> {
        let word = StrDeserializer::<DecodeError>::new(self.word);
        let variant = seed.deserialize(word).map_err(|error| error.at(self.span))?;
        Ok((variant, Variant { word: self.word, span: self.span, value: self.value }))
    }
}

struct Variant<'n> {
    word: &'n str,
    span: Span,
    value: Option<&'n Node>,
}

impl Variant<'_> {
    fn missing_value(&self) -> DecodeError {
        DecodeError::custom(format!("`{}` needs a value", self.word))
            .help(format!("write it as `{{{}: …}}`", self.word))
            .at(self.span)
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = DecodeError;

    fn unit_variant(self) -> Decoded<()> {
        match self.value {
            None | Some(Node { kind: Kind::Null, .. }) => Ok(()),
            Some(node) => {
                let error = DecodeError::custom(format!("`{}` takes no value", self.word)).at(node.span);
                Err(error.help(format!("write the word alone: `{}`", self.word)))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Decoded<T::Value> {
        let node = self.value.ok_or_else(|| self.missing_value())?;
        seed.deserialize(Decoder(node)).map_err(|error| error.at(node.span).under(self.word))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Decoded<V::Value> {
        let node = self.value.ok_or_else(|| self.missing_value())?;
        Decoder(node).deserialize_seq(visitor).map_err(|error| error.at(node.span).under(self.word))
    }

    /// A bare word is the variant with all its fields left out: `forward` is `{forward: {}}`.
    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Decoded<V::Value> {
        match self.value {
            Some(Node { kind: Kind::Scalar { text, quoted: false }, span }) if **text == *"true" => {
                let error = DecodeError::custom(format!("expected a mapping, found `{text}`")).at(*span);
                Err(error.help(format!("write the word alone: `{}`", self.word)).under(self.word))
            }
            Some(node) => {
                Decoder(node).deserialize_map(visitor).map_err(|error| error.at(node.span).under(self.word))
            }
            None => visitor.visit_map(Entries::new(&[])).map_err(|error| error.at(self.span)),
        }
    }
}

#[cfg(test)]
mod tests;
