//! The format's JSON Schema, generated from the types, and the question whether a field path exists.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::CaseSpec;
use crate::case::Story;

/// The schema's `$id`; the number grows when files that were valid stop being so.
pub const SCHEMA_ID: &str = "urn:bncheck:suite:1";

/// A suite: one file of cases.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the file to editors; the reader takes it apart key by key")]
struct SuiteFile {
    /// The suite's name, a path such as `pitfalls/momentum`: the first part of its cases' ids.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$"))]
    suite: String,
    /// What the suite shows.
    about: Option<String>,
    /// What the suite teaches, for `bncheck explain`.
    story: Option<Story>,
    /// Fields that every case starts from. Mappings merge key by key; a fill replaces a fill.
    defaults: Option<CaseFields>,
    /// The cases.
    cases: Vec<NamedCase>,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "see SuiteFile")]
struct NamedCase {
    /// The case's name, unique within the suite.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    name: String,
    #[schemars(flatten)]
    fields: CaseFields,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "see SuiteFile")]
struct CaseFields {
    /// Axes: a field path (`layer.momentum`) and the values it takes, as a list, or as a mapping from a label
    /// to a value. The case is multiplied over all combinations.
    matrix: Option<Map<String, Value>>,
    /// Combinations to leave out: each names values (or labels) of some axes.
    exclude: Option<Vec<Map<String, Value>>>,
    #[schemars(flatten)]
    spec: CaseSpec,
}

/// The JSON Schema of a suite file.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(SuiteFile).to_value();
    schema["$id"] = SCHEMA_ID.into();
    schema["title"] = "bncheck suite".into();
    if let Some(definitions) = schema["$defs"].as_object_mut() {
        for definition in definitions.values_mut() {
            allow_bare_words(definition);
        }
    }
    schema
}

/// A variant whose fields may all be left out can be written as a bare word.
fn allow_bare_words(definition: &mut Value) {
    let Some(variants) = definition.get_mut("oneOf").and_then(Value::as_array_mut) else {
        return;
    };
    let mut words = Vec::new();
    for variant in variants.iter() {
        let Some(properties) = variant["properties"].as_object() else {
            continue;
        };
        let [(word, inner)] = &properties.iter().collect::<Vec<_>>()[..] else {
            continue;
        };
        if inner["type"] == "object" && inner.get("required").is_none() {
            let about = variant.get("description").cloned().unwrap_or_default();
            words.push(serde_json::json!({ "const": word, "description": about }));
        }
    }
    variants.extend(words);
}

/// What a field path leads to in the format.
pub(crate) enum PathCheck {
    /// A field.
    Known,
    /// Nothing: the segment that is unknown, and the names that are known beside it.
    Unknown { segment: String, known: Vec<String> },
}

/// Follows a dotted path (`layer.momentum`, `steps.0.sgd.lr`) through the schema of a case.
pub(crate) fn check_path(path: &str) -> PathCheck {
    // Made once: every axis of every matrix is looked up here.
    static CASE: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(CaseSpec).to_value());
    let root: &Value = &CASE;
    let mut here = vec![root];
    for segment in path.split('.') {
        let mut next = Vec::new();
        let mut known = Vec::new();
        for schema in here {
            children(root, schema, segment, &mut next, &mut known);
        }
        if next.is_empty() {
            known.sort_unstable();
            known.dedup();
            let known = known.into_iter().map(str::to_owned).collect();
            return PathCheck::Unknown { segment: segment.to_owned(), known };
        }
        here = next;
    }
    PathCheck::Known
}

fn children<'a>(
    root: &'a Value,
    schema: &'a Value,
    segment: &str,
    next: &mut Vec<&'a Value>,
    known: &mut Vec<&'a str>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        if let Some(target) = root.pointer(reference.trim_start_matches('#')) {
            children(root, target, segment, next, known);
        }
        return;
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        for part in schema[word].as_array().into_iter().flatten() {
            children(root, part, segment, next, known);
        }
    }
    if let Some(properties) = schema["properties"].as_object() {
        known.extend(properties.keys().map(String::as_str));
        next.extend(properties.get(segment));
    }
    if segment.parse::<usize>().is_ok() && schema["items"].is_object() {
        next.push(&schema["items"]);
    }
}
