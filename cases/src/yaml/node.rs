//! The tree: scalars keep their text, because only the reader of a field knows what it should be.

use std::fmt::{Display, Write as _};
use std::sync::Arc;

use crate::problem::Span;

/// A value of a YAML file and its place. A clone shares what is below the value with its original, until one of them
/// changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands. For an alias this is where the anchor is.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// What a [`Node`] is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `null`, `~` or nothing.
    Null,
    /// A scalar: its text, and whether it was written in quotes.
    Scalar {
        /// The text, without quotes.
        text: Arc<str>,
        /// Whether the file has it in quotes, so that it can only be a string.
        quoted: bool,
    },
    /// A sequence.
    Seq(Arc<Vec<Node>>),
    /// A mapping, in the order of the file.
    Map(Arc<Vec<Entry>>),
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

/// How many items of a sequence [`Node::visit`] goes into.
const SEARCHED_ITEMS: usize = 32;

impl Node {
    /// An empty mapping without a place.
    pub fn empty_map() -> Self {
        Node { span: Span::default(), kind: Kind::Map(Arc::default()) }
    }

    /// What kind of value this is, for messages.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing (null)".to_owned(),
            Kind::Scalar { text, quoted: true } => format!("the string \"{text}\""),
            Kind::Scalar { text, quoted: false } => format!("`{text}`"),
            Kind::Seq(_) => "a sequence".to_owned(),
            Kind::Map(_) => "a mapping".to_owned(),
        }
    }

    /// How many values it holds, itself among them.
    pub fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::Null | Kind::Scalar { .. } => 0,
            Kind::Seq(items) => items.iter().map(Node::count).sum(),
            Kind::Map(entries) => entries.iter().map(|entry| entry.value.count()).sum(),
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&Arc<str>> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The entry of a mapping with this key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| *entry.key == *key),
            _ => None,
        }
    }

    /// The value of a mapping at this key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value at a dotted path (`layer.momentum`; a number indexes a sequence).
    pub fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, segment| match &node.kind {
            Kind::Seq(items) => items.get(segment.parse::<usize>().ok()?),
            _ => node.get(segment),
        })
    }

    /// Shows all values below this one with their dotted paths, each before those below it, but for what
    /// [`Node::at`] cannot find: what lies below a key with a dot.
    pub fn visit<'n>(&'n self, see: &mut dyn FnMut(&str, &'n Node)) {
        self.visit_below(&mut String::new(), see);
    }

    fn visit_below<'n>(&'n self, path: &mut String, see: &mut dyn FnMut(&str, &'n Node)) {
        let above = path.len();
        let mut visit = |segment: &dyn Display, node: &'n Node| {
            let dot = if above == 0 { "" } else { "." };
            let _ = write!(path, "{dot}{segment}");
            see(path, node);
            node.visit_below(path, see);
            path.truncate(above);
        };
        match &self.kind {
            Kind::Null | Kind::Scalar { .. } => {}
            // An inline tensor has more elements than anybody asks for one by one.
            Kind::Seq(items) => {
                for (index, item) in items.iter().enumerate().take(SEARCHED_ITEMS) {
                    visit(&index, item);
                }
            }
            Kind::Map(entries) => {
                for entry in entries.iter().filter(|entry| !entry.key.contains('.')) {
                    visit(&entry.key, &entry.value);
                }
            }
        }
    }

    /// The place of the value at a dotted path, or of the closest thing around it.
    pub fn span_of(&self, path: &str) -> Span {
        let mut node = self;
        let mut span = self.span;
        for segment in path.split('.') {
            let next = match &node.kind {
                Kind::Seq(items) => segment.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => node.get(segment),
            };
            let Some(next) = next else { break };
            node = next;
            if node.span != Span::default() {
                span = node.span;
            }
        }
        span
    }

    /// The key of a mapping with one entry.
    pub fn sole_key(&self) -> Option<&str> {
        match &self.kind {
            Kind::Map(entries) if entries.len() == 1 => Some(&entries[0].key),
            _ => None,
        }
    }

    /// Removes the entry or element at a path of segments; says whether there was one.
    pub fn remove(&mut self, path: &[String]) -> bool {
        match (path, &mut self.kind) {
            ([last], Kind::Map(entries)) => {
                // Keys are unique by now: duplicates are taken out where they are reported.
                let place = entries.iter().position(|entry| *entry.key == **last);
                place.map(|place| Arc::make_mut(entries).remove(place)).is_some()
            }
            ([last], Kind::Seq(items)) => match last.parse::<usize>() {
                Ok(index) if index < items.len() => {
                    Arc::make_mut(items).remove(index);
                    true
                }
                _ => false,
            },
            ([first, rest @ ..], Kind::Map(entries)) => Arc::make_mut(entries)
                .iter_mut()
                .find(|entry| *entry.key == **first)
                .is_some_and(|entry| entry.value.remove(rest)),
            ([first, rest @ ..], Kind::Seq(items)) => first
                .parse::<usize>()
                .ok()
                .and_then(|index| Arc::make_mut(items).get_mut(index))
                .is_some_and(|item| item.remove(rest)),
            _ => false,
        }
    }

    /// Sets the value at a dotted path (a number indexes a sequence); mappings on the way are made where they
    /// are missing. Says whether the path could be followed.
    pub fn set(&mut self, path: &str, key_span: Span, value: Node) -> bool {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        if self.kind == Kind::Null {
            self.kind = Kind::Map(Arc::default());
        }
        let place = match &mut self.kind {
            Kind::Seq(items) => {
                let index = first.parse::<usize>().ok();
                index.and_then(|index| Arc::make_mut(items).get_mut(index))
            }
            Kind::Map(entries) => {
                let entries = Arc::make_mut(entries);
                let place = entries.iter().position(|entry| *entry.key == *first).unwrap_or_else(|| {
                    let empty = Node { span: value.span, ..Node::empty_map() };
                    entries.push(Entry { key: first.into(), key_span, value: empty });
                    entries.len() - 1
                });
                // Whatever is wrong with the value is wrong because of this key.
                entries[place].key_span = key_span;
                Some(&mut entries[place].value)
            }
            _ => None,
        };
        match (place, rest) {
            (None, _) => false,
            (Some(place), None) => {
                *place = value;
                true
            }
            (Some(place), Some(rest)) => place.set(rest, key_span, value),
        }
    }

    /// This mapping laid over `base`: mappings merge key by key, anything else replaces. What a key of
    /// `whole` holds is replaced as a whole, even where both sides are mappings.
    #[must_use]
    pub fn over(&self, base: &Node, whole: &[&str]) -> Node {
        let (Kind::Map(mine), Kind::Map(theirs)) = (&self.kind, &base.kind) else {
            return self.clone();
        };
        let mut merged = Vec::with_capacity(theirs.len() + mine.len());
        merged.extend_from_slice(theirs);
        for entry in mine.iter() {
            match merged.iter_mut().find(|known: &&mut Entry| known.key == entry.key) {
                Some(known) => {
                    let replaces = whole.contains(&&*entry.key);
                    let value =
                        if replaces { entry.value.clone() } else { entry.value.over(&known.value, whole) };
                    *known = Entry { value, ..entry.clone() };
                }
                None => merged.push(entry.clone()),
            }
        }
        Node { span: self.span, kind: Kind::Map(Arc::new(merged)) }
    }
}

/// The value in YAML's one-line form.
impl Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            Kind::Null => f.write_str("null"),
            Kind::Scalar { text, quoted: false } => f.write_str(text),
            Kind::Scalar { text, quoted: true } => write!(f, "{text:?}"),
            Kind::Seq(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Kind::Map(entries) => {
                f.write_str("{")?;
                for (index, entry) in entries.iter().enumerate() {
                    write!(f, "{}{}: {}", if index == 0 { "" } else { ", " }, entry.key, entry.value)?;
                }
                f.write_str("}")
            }
        }
    }
}
