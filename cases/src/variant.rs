//! What a matrix makes of a written case: its fields, and which value of each axis a case has.

use std::sync::Arc;

use crate::number;
use crate::problem::Span;
use crate::yaml::{Kind, Node};

/// Fields whose value is replaced as a whole when a case is laid over the defaults: fills are alternatives,
/// not mappings with fields in common.
pub(crate) const REPLACED_WHOLE: [&str; 6] =
    ["fill", "grad", "weight", "bias", "running_mean", "running_var"];

/// One axis: a field path and the values it takes.
#[derive(Debug)]
pub(crate) struct Axis {
    /// The field path.
    pub path: Arc<str>,
    /// Where the path stands.
    pub span: Span,
    /// What it is called in ids and filters.
    pub name: String,
    /// Its values.
    pub values: Vec<Value>,
    /// How many variants lie between two values of it that are next to each other.
    pub stride: usize,
}

/// One value of an axis.
#[derive(Debug)]
pub(crate) struct Value {
    /// What it is called in ids and filters.
    pub label: String,
    /// What the field becomes.
    pub node: Node,
}

/// A case as it is written, and its axes.
#[derive(Debug)]
pub(crate) struct Template {
    /// The fields, the defaults merged.
    pub fields: Node,
    /// The axes, in the order of the file.
    pub axes: Vec<Axis>,
}

impl Template {
    /// How many variants there are, exclusions left aside; `None` where they cannot be counted.
    pub fn count(&self) -> Option<usize> {
        self.axes.iter().try_fold(1usize, |total, axis| total.checked_mul(axis.values.len()))
    }

    /// The number of each axis' value in a variant. The last axis varies fastest, as nested loops would.
    pub fn choice(&self, number: usize) -> impl Iterator<Item = (&Axis, usize)> {
        self.axes.iter().map(move |axis| (axis, number / axis.stride % axis.values.len()))
    }

    /// The fields of a variant; the axis whose path cannot be followed, where there is one.
    pub fn fields(&self, number: usize) -> Result<Node, &Axis> {
        let mut fields = self.fields.clone();
        for (axis, value) in self.choice(number) {
            if !fields.set(&axis.path, axis.span, axis.values[value].node.clone()) {
                return Err(axis);
            }
        }
        share_layer(&mut fields);
        Ok(fields)
    }

    /// How many values the fields of a variant hold at most.
    pub fn values(&self) -> usize {
        let largest = |axis: &Axis| axis.values.iter().map(|value| value.node.count()).max().unwrap_or(0);
        self.fields.count() + self.axes.iter().map(largest).sum::<usize>()
    }

    /// Whether a number anywhere in the fields or on an axis is a zero with the sign of a negative number.
    pub fn has_negative_zero(&self) -> bool {
        let mut values = self.axes.iter().flat_map(|axis| &axis.values);
        has_negative_zero(&self.fields) || values.any(|value| has_negative_zero(&value.node))
    }
}

/// One combination of axis values applied to a written case.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    template: Arc<Template>,
    number: u32,
}

impl Variant {
    /// The variant of this number, which is below [`MAX_EXPANSION`](crate::MAX_EXPANSION).
    pub fn new(template: Arc<Template>, number: usize) -> Self {
        Variant { template, number: number as u32 }
    }

    /// `suite/name[momentum=0.1,dtype=f32]`, or without brackets where there is no axis.
    pub fn id(&self, suite: &str, name: &str) -> String {
        let axes = self.axes().map(|(axis, label)| axis.len() + label.len() + 2).sum::<usize>();
        let mut id = String::with_capacity(suite.len() + name.len() + axes + 2);
        id.extend([suite, "/", name]);
        for (number, (axis, label)) in self.axes().enumerate() {
            id.extend([if number == 0 { "[" } else { "," }, axis, "=", label]);
        }
        if axes > 0 {
            id.push(']');
        }
        id.shrink_to_fit();
        id
    }

    /// Axis names and labels, in the order of the file.
    pub fn axes(&self) -> impl Iterator<Item = (&str, &str)> {
        let choice = self.template.choice(self.number as usize);
        choice.map(|(axis, value)| (axis.name.as_str(), axis.values[value].label.as_str()))
    }

    /// The fields, defaults and axes merged.
    pub fn fields(&self) -> Node {
        // Every path could be followed when the case was read.
        self.template.fields(self.number as usize).unwrap_or_else(|_| self.template.fields.clone())
    }
}

fn has_negative_zero(node: &Node) -> bool {
    match &node.kind {
        Kind::Null => false,
        Kind::Scalar { text, .. } => {
            text.starts_with('-') && number::parse_f64(text).is_ok_and(|value| value == 0.0)
        }
        Kind::Seq(items) => items.iter().any(has_negative_zero),
        Kind::Map(entries) => entries.iter().any(|entry| has_negative_zero(&entry.value)),
    }
}

/// Lays the fields of every layer of a model over the case's `layer`.
fn share_layer(fields: &mut Node) {
    fn share(parts: &mut Node, common: &Node) {
        let Kind::Seq(parts) = &mut parts.kind else { return };
        for part in Arc::make_mut(parts) {
            let Kind::Map(entries) = &mut part.kind else { continue };
            for entry in Arc::make_mut(entries) {
                match &*entry.key {
                    "layer" => entry.value = entry.value.over(common, &REPLACED_WHOLE),
                    "children" => share(&mut entry.value, common),
                    _ => {}
                }
            }
        }
    }
    if fields.get("model").is_none() {
        return;
    }
    let common = fields.get("layer").cloned();
    if let (Some(common), Kind::Map(entries)) = (common, &mut fields.kind)
        && let Some(model) = Arc::make_mut(entries).iter_mut().find(|entry| *entry.key == *"model")
    {
        share(&mut model.value, &common);
    }
}
