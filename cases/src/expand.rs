//! From one written case to many: axes, labels, ids.

use std::collections::HashSet;
use std::sync::Arc;

use crate::format::schema::{PathCheck, check_path};
use crate::problem::{Problem, Source, did_you_mean, is_enough};
use crate::variant::{Axis, Template, Value};
use crate::yaml::{Entry, Kind, Node};

/// The most cases one written case may expand to.
pub const MAX_EXPANSION: usize = 100_000;

/// The most axes of a matrix.
const MAX_AXES: usize = 64;

/// The most names in the path of an axis.
const MAX_PATH: usize = 64;

/// The most combinations that a case may exclude.
const MAX_EXCLUSIONS: usize = 1000;

/// A written case and the numbers of its variants.
pub(crate) struct Expansion {
    pub template: Arc<Template>,
    pub numbers: Vec<usize>,
}

/// Multiplies `fields` over `matrix`, leaving out what `exclude` names.
pub(crate) fn expand(
    source: &Source,
    fields: Node,
    matrix: Option<&Node>,
    exclude: Option<&Node>,
    problems: &mut Vec<Problem>,
) -> Option<Expansion> {
    let before = problems.len();
    let axes = matrix.map_or_else(Vec::new, |matrix| axes(source, matrix, problems));
    let excluded = exclude.map_or_else(Vec::new, |exclude| exclusions(source, exclude, &axes, problems));
    if problems.len() > before {
        return None;
    }
    let whole = fields.span;
    let template = Template { fields, axes };
    let total = template.count();
    let Some(count) = total.filter(|&count| count <= MAX_EXPANSION) else {
        let span = matrix.map_or(whole, |matrix| matrix.span);
        problems.push(
            Problem::at(source, span, format!("the matrix expands to {} cases", many(total))).with_help(
                format!("a case may expand to {MAX_EXPANSION}; split it, or exclude combinations"),
            ),
        );
        return None;
    };
    let is_excluded = |number: usize| {
        let choice: Vec<usize> = template.choice(number).map(|(_, value)| value).collect();
        excluded.iter().any(|rule| rule.iter().all(|&(axis, value)| choice[axis] == value))
    };
    let numbers: Vec<usize> =
        (0..count).filter(|&number| excluded.is_empty() || !is_excluded(number)).collect();
    if numbers.is_empty() {
        let span = exclude.map_or(whole, |exclude| exclude.span);
        problems.push(
            Problem::at(source, span, "`exclude` leaves no case")
                .with_help("a case that never runs checks nothing: take it out, or exclude less"),
        );
    }
    Some(Expansion { template: Arc::new(template), numbers })
}

/// The mistake of an axis whose path cannot be followed in every variant.
pub(crate) fn leads_through(source: &Source, axis: &Axis) -> Problem {
    Problem::at(source, axis.span, format!("the matrix path `{}` leads through a value", axis.path))
}

fn axes(source: &Source, matrix: &Node, problems: &mut Vec<Problem>) -> Vec<Axis> {
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
    if entries.len() > MAX_AXES {
        let message = format!("the matrix has {} axes; it may have {MAX_AXES}", entries.len());
        problems.push(Problem::at(source, entries[MAX_AXES].key_span, message).with_help("split the case"));
        return Vec::new();
    }
    let mut axes = Vec::new();
    for entry in entries.iter() {
        if entry.key.split('.').nth(MAX_PATH).is_some() {
            let message = format!("the matrix path has more than {MAX_PATH} names");
            let help = "nothing in the case format is nested as deeply";
            problems.push(Problem::at(source, entry.key_span, message).with_help(help));
            continue;
        }
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
            let (path, name) = (entry.key.clone(), String::new());
            axes.push(Axis { path, span: entry.key_span, name, values, stride: 1 });
        }
    }
    for (axis, name) in axis_names(&axes).into_iter().enumerate() {
        axes[axis].name = name;
    }
    for axis in (1..axes.len()).rev() {
        // Where this overflows there are too many variants to number.
        axes[axis - 1].stride = axes[axis].stride.saturating_mul(axes[axis].values.len());
    }
    axes
}

fn axis_values(source: &Source, entry: &Entry, problems: &mut Vec<Problem>) -> Option<Vec<Value>> {
    let axis = &entry.key;
    let mut values: Vec<Value> = Vec::new();
    match &entry.value.kind {
        Kind::Seq(items) => {
            for node in items.iter() {
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
                values.push(Value { label, node: node.clone() });
            }
        }
        Kind::Map(labelled) => {
            for Entry { key, key_span, value } in labelled.iter() {
                if !is_name(key) {
                    problems.push(
                        Problem::at(source, *key_span, format!("`{key}` cannot be a label"))
                            .with_help(NAME_HELP),
                    );
                    return None;
                }
                values.push(Value { label: key.to_string(), node: value.clone() });
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
    let mut labels = HashSet::with_capacity(values.len());
    for value in &values {
        if !labels.insert(value.label.as_str()) {
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
    axes: &[Axis],
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
    if let Some(first) = rules.get(MAX_EXCLUSIONS) {
        let message =
            format!("{} combinations are excluded; a case may exclude {MAX_EXCLUSIONS}", rules.len());
        problems.push(Problem::at(source, first.span, message).with_help("split the case"));
        return Vec::new();
    }
    let mut excluded = Vec::new();
    for rule in rules.iter() {
        if is_enough(problems) {
            break;
        }
        let Kind::Map(entries) = &rule.kind else {
            let message = format!("expected a combination, found {}", rule.describe());
            problems
                .push(Problem::at(source, rule.span, message).with_help("`{dtype: f16, layer.eps: 1e-12}`"));
            continue;
        };
        let mut pairs = Vec::new();
        for entry in entries.iter() {
            if is_enough(problems) {
                break;
            }
            let Some(axis) = axes.iter().position(|axis| axis.path == entry.key) else {
                let names: Vec<&str> = axes.iter().map(|axis| &*axis.path).collect();
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
fn axis_names(axes: &[Axis]) -> Vec<String> {
    let shorts: Vec<String> = axes.iter().map(|axis| short_name(&axis.path).to_owned()).collect();
    axes.iter()
        .zip(&shorts)
        .map(|(axis, name)| {
            let unique = shorts.iter().filter(|other| *other == name).count() == 1;
            let path = &*axis.path;
            let is_field = name != path && matches!(check_path(name), PathCheck::Known);
            if unique && !is_field { name.clone() } else { path.to_owned() }
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
        Kind::Scalar { text, .. } => is_name(text).then(|| text.to_string()),
        Kind::Seq(items) => {
            let parts: Option<Vec<String>> = items
                .iter()
                .map(|item| match &item.kind {
                    Kind::Scalar { text, .. } => is_name(text).then(|| text.to_string()),
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
