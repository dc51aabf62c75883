//! From one written case to many: axes, labels, ids.

use crate::format::schema::{PathCheck, check_path};
use crate::problem::{Problem, Source, did_you_mean};
use crate::yaml::{Entry, Kind, Node};

/// The most cases one written case may expand to.
pub const MAX_EXPANSION: usize = 100_000;

/// One axis: a field path and the values it takes.
struct Axis<'n> {
    entry: &'n Entry,
    values: Vec<Value<'n>>,
}

struct Value<'n> {
    label: String,
    node: &'n Node,
}

/// One combination of axis values applied to a case.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    /// The fields.
    pub fields: Node,
    /// Axis name and label, in the order of the file.
    pub axes: Vec<(String, String)>,
}

impl Variant {
    /// `[momentum=0.1,dtype=f32]`, or nothing where there is no axis.
    pub fn suffix(&self) -> String {
        if self.axes.is_empty() {
            return String::new();
        }
        let parts: Vec<String> = self.axes.iter().map(|(axis, label)| format!("{axis}={label}")).collect();
        format!("[{}]", parts.join(","))
    }
}

/// Multiplies `fields` over `matrix`, leaving out what `exclude` names.
pub(crate) fn expand(
    source: &Source,
    fields: &Node,
    matrix: Option<&Node>,
    exclude: Option<&Node>,
    problems: &mut Vec<Problem>,
) -> Vec<Variant> {
    let before = problems.len();
    let axes = matrix.map_or_else(Vec::new, |matrix| axes(source, matrix, problems));
    let excluded = exclude.map_or_else(Vec::new, |exclude| exclusions(source, exclude, &axes, problems));
    if problems.len() > before {
        return Vec::new();
    }
    let total = axes.iter().try_fold(1usize, |total, axis| total.checked_mul(axis.values.len()));
    if total.is_none_or(|total| total > MAX_EXPANSION) {
        let span = matrix.map_or(fields.span, |matrix| matrix.span);
        problems.push(
            Problem::at(source, span, format!("the matrix expands to {} cases", many(total))).with_help(
                format!("a case may expand to {MAX_EXPANSION}; split it, or exclude combinations"),
            ),
        );
        return Vec::new();
    }
    let names = axis_names(&axes);
    let mut variants = Vec::new();
    for mut number in 0..total.unwrap_or(0) {
        // The last axis varies fastest, as nested loops would.
        let mut choice = vec![0; axes.len()];
        for (place, axis) in choice.iter_mut().zip(&axes).rev() {
            *place = number % axis.values.len();
            number /= axis.values.len();
        }
        if excluded.iter().any(|rule| rule.iter().all(|&(axis, value)| choice[axis] == value)) {
            continue;
        }
        let mut variant = Variant { fields: fields.clone(), axes: Vec::new() };
        for ((axis, &index), name) in axes.iter().zip(&choice).zip(&names) {
            let value = &axis.values[index];
            if !variant.fields.set(&axis.entry.key, axis.entry.key_span, value.node.clone()) {
                let message = format!("the matrix path `{}` leads through a value", axis.entry.key);
                problems.push(Problem::at(source, axis.entry.key_span, message));
                return Vec::new();
            }
            variant.axes.push((name.clone(), value.label.clone()));
        }
        variants.push(variant);
    }
    if variants.is_empty() {
        let span = exclude.map_or(fields.span, |exclude| exclude.span);
        problems.push(
            Problem::at(source, span, "`exclude` leaves no case")
                .with_help("a case that never runs checks nothing: take it out, or exclude less"),
        );
    }
    variants
}

fn axes<'n>(source: &Source, matrix: &'n Node, problems: &mut Vec<Problem>) -> Vec<Axis<'n>> {
    let Kind::Map(entries) = &matrix.kind else {
        problems.push(
            Problem::at(source, matrix.span, format!("expected axes, found {}", matrix.describe()))
                .with_help("write field paths and their values: `layer.momentum: [0, 0.1]`"),
        );
        return Vec::new();
    };
    if entries.is_empty() {
        problems.push(
            Problem::at(source, matrix.span, "the matrix is empty")
                .with_help("name an axis: `dtype: [f32, f64]`, or take `matrix` out"),
        );
    }
    let mut axes = Vec::new();
    for entry in entries {
        if let PathCheck::Unknown { segment, known } = check_path(&entry.key) {
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            let guess = did_you_mean(&segment, names.iter().copied()).unwrap_or_default();
            let help = format!("{guess} known there: `{}`", names.join("`, `"));
            problems.push(
                Problem::at(source, entry.key_span, format!("unknown matrix path `{}`", entry.key))
                    .with_label(format!("`{segment}` is not a field of the format"))
                    .with_help(help.trim_start()),
            );
            continue;
        }
        if let Some(values) = axis_values(source, entry, problems) {
            axes.push(Axis { entry, values });
        }
    }
    axes
}

fn axis_values<'n>(source: &Source, entry: &'n Entry, problems: &mut Vec<Problem>) -> Option<Vec<Value<'n>>> {
    let axis = &entry.key;
    let mut values: Vec<Value<'n>> = Vec::new();
    match &entry.value.kind {
        Kind::Seq(items) => {
            for node in items {
                let Some(label) = label(node) else {
                    problems.push(
                        Problem::at(
                            source,
                            node.span,
                            format!("this value of the axis `{axis}` needs a label"),
                        )
                        .with_help(
                            "write the axis as a mapping from labels to values: `wide: {normal: {std: 9}}`",
                        ),
                    );
                    return None;
                };
                values.push(Value { label, node });
            }
        }
        Kind::Map(labelled) => {
            for Entry { key, key_span, value } in labelled {
                if !is_name(key) {
                    problems.push(
                        Problem::at(source, *key_span, format!("`{key}` cannot be a label"))
                            .with_help(NAME_HELP),
                    );
                    return None;
                }
                values.push(Value { label: key.clone(), node: value });
            }
        }
        _ => {
            let message =
                format!("expected the values of the axis `{axis}`, found {}", entry.value.describe());
            problems
                .push(Problem::at(source, entry.value.span, message).with_help("write a list: `[0, 0.1]`"));
            return None;
        }
    }
    if values.is_empty() {
        problems.push(
            Problem::at(source, entry.value.span, format!("the axis `{axis}` has no values"))
                .with_help("a case multiplied by nothing never runs: give it a value, or take the axis out"),
        );
        return None;
    }
    for (index, value) in values.iter().enumerate() {
        if values[..index].iter().any(|known| known.label == value.label) {
            let message = format!("the axis `{axis}` has the value `{}` twice", value.label);
            problems.push(Problem::at(source, value.node.span, message).with_help("ids must be unique"));
            return None;
        }
    }
    Some(values)
}

/// Each rule as pairs of axis and value numbers.
fn exclusions(
    source: &Source,
    exclude: &Node,
    axes: &[Axis<'_>],
    problems: &mut Vec<Problem>,
) -> Vec<Vec<(usize, usize)>> {
    let Kind::Seq(rules) = &exclude.kind else {
        let message = format!("expected a list of combinations, found {}", exclude.describe());
        problems.push(
            Problem::at(source, exclude.span, message)
                .with_help("`exclude: [{dtype: f16, layer.eps: 1e-12}]`"),
        );
        return Vec::new();
    };
    let mut excluded = Vec::new();
    for rule in rules {
        let Kind::Map(entries) = &rule.kind else {
            let message = format!("expected a combination, found {}", rule.describe());
            problems
                .push(Problem::at(source, rule.span, message).with_help("`{dtype: f16, layer.eps: 1e-12}`"));
            continue;
        };
        let mut pairs = Vec::new();
        for entry in entries {
            let Some(axis) = axes.iter().position(|axis| axis.entry.key == entry.key) else {
                let names: Vec<&str> = axes.iter().map(|axis| axis.entry.key.as_str()).collect();
                problems.push(
                    Problem::at(
                        source,
                        entry.key_span,
                        format!("`{}` is not an axis of this case", entry.key),
                    )
                    .with_help(format!("its axes: `{}`", names.join("`, `"))),
                );
                continue;
            };
            let wanted = label(&entry.value).unwrap_or_default();
            match axes[axis].values.iter().position(|value| value.label == wanted) {
                Some(value) => pairs.push((axis, value)),
                None => problems.push(
                    Problem::at(source, entry.value.span, format!("the axis has no value `{wanted}`"))
                        .with_help("an exclusion that matches nothing hides a mistake"),
                ),
            }
        }
        if entries.is_empty() {
            problems.push(Problem::at(source, rule.span, "this exclusion names no value"));
        }
        excluded.push(pairs);
    }
    excluded
}

/// The last segment of each axis' path (with the one before it where it is a number: `shape.1`), or the whole
/// path where that is not unique or is another field's path.
fn axis_names(axes: &[Axis<'_>]) -> Vec<String> {
    let shorts: Vec<String> = axes.iter().map(|axis| short_name(&axis.entry.key).to_owned()).collect();
    axes.iter()
        .zip(&shorts)
        .map(|(axis, name)| {
            let unique = shorts.iter().filter(|other| *other == name).count() == 1;
            let key = &axis.entry.key;
            let is_field = name != key && matches!(check_path(name), PathCheck::Known);
            if unique && !is_field { name.clone() } else { key.clone() }
        })
        .collect()
}

fn many(total: Option<usize>) -> String {
    total.map_or_else(|| "more than 2^64".to_owned(), |total| total.to_string())
}

fn short_name(path: &str) -> &str {
    let starts = path.rmatch_indices('.').map(|(dot, _)| dot + 1).chain([0]);
    starts
        .map(|start| &path[start..])
        .find(|name| !name.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or(path)
}

/// What stands for a value in an id: a scalar's text, a list of scalars joined by `x`.
fn label(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Null => Some("null".to_owned()),
        Kind::Scalar { text, .. } => is_name(text).then(|| text.clone()),
        Kind::Seq(items) => {
            let parts: Option<Vec<String>> = items
                .iter()
                .map(|item| match &item.kind {
                    Kind::Scalar { text, .. } => is_name(text).then(|| text.clone()),
                    _ => None,
                })
                .collect();
            parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join("x"))
        }
        Kind::Map(_) => None,
    }
}

/// What names and labels are made of.
pub(crate) const NAME_HELP: &str = "names are made of letters, digits, `.`, `_`, `-` and `+`";

/// Whether a text can be part of an id.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c))
}
