//! The filter grammar, the same wherever cases are chosen.
//!
//! A filter is a list of terms. `pitfalls/*` and `momentum` choose by id: `*` stands for anything, `?` for
//! one character, and a text without either is looked for anywhere in the id; of several such terms one must
//! match. `dtype=f16,bf16` and `layer.momentum!=null` look at a field or an axis; of these all must match.
//! `!momentum` leaves out ids.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::case::{Case, DERIVED_FIELDS};
use crate::format::schema::{PathCheck, check_path};
use crate::problem::did_you_mean;

/// Which cases to take.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Id(String),
    NotId(String),
    Field { path: String, values: Vec<String>, negated: bool },
}

/// A term that is not part of the grammar.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    /// The field does not exist.
    #[error("unknown field `{field}` in the filter `{term}`{}", guess.as_ref().map(|guess| format!(": {guess}")).unwrap_or_default())]
    UnknownField {
        /// The field.
        field: String,
        /// The term.
        term: String,
        /// What may have been meant.
        guess: Option<String>,
    },
    /// A part of the term is empty.
    #[error("the filter `{0}` is incomplete: write PATTERN, !PATTERN, FIELD=VALUE or FIELD!=VALUE")]
    Incomplete(String),
}

impl Filter {
    /// Reads a filter from its terms. `cases` are those it will be asked about: their axes are fields too.
    ///
    /// # Errors
    /// When a term is incomplete or names a field that neither the format nor any case has.
    pub fn parse<'a>(terms: impl IntoIterator<Item = &'a str>, cases: &[&Case]) -> Result<Self, FilterError> {
        let mut terms = terms.into_iter().peekable();
        if terms.peek().is_none() {
            return Ok(Filter::default());
        }
        let axes = cases.iter().flat_map(|case| case.axes()).map(|(axis, _)| axis).collect();
        Self::parse_knowing(terms, &axes)
    }

    /// The same, for what is known of cases otherwise, as from the results of a run: `axes` are fields too.
    ///
    /// # Errors
    /// When a term is incomplete or names a field that neither the format nor any case has.
    pub fn parse_knowing<'a>(
        terms: impl IntoIterator<Item = &'a str>,
        axes: &BTreeSet<&str>,
    ) -> Result<Self, FilterError> {
        let terms = terms.into_iter().map(|term| parse_term(term, axes)).collect::<Result<_, _>>()?;
        Ok(Filter { terms })
    }

    /// Whether the filter takes everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether the filter takes this case.
    pub fn matches(&self, case: &Case) -> bool {
        self.matches_fields(&case.id, &|path| case.field(path))
    }

    /// Whether it takes the case of this id, `field` being what the case says of a field.
    pub fn matches_fields(&self, id: &str, field: &dyn Fn(&str) -> Option<String>) -> bool {
        let mut wants_id = false;
        let mut has_id = false;
        for term in &self.terms {
            match term {
                Term::Id(pattern) => {
                    wants_id = true;
                    has_id |= id_matches(pattern, id);
                }
                Term::NotId(pattern) => {
                    if id_matches(pattern, id) {
                        return false;
                    }
                }
                Term::Field { path, values, negated } => {
                    let found = field(path);
                    let hit =
                        found.is_some_and(|found| values.iter().any(|value| value_matches(value, &found)));
                    if hit == *negated {
                        return false;
                    }
                }
            }
        }
        has_id || !wants_id
    }
}

fn parse_term(term: &str, axes: &BTreeSet<&str>) -> Result<Term, FilterError> {
    let incomplete = || FilterError::Incomplete(term.to_owned());
    // Within brackets, and after what no field has in its name, `=` belongs to an id.
    let operator = term[..term.find(['[', '*', '?', '/']).unwrap_or(term.len())].find('=');
    let Some(place) = operator else {
        return match term.strip_prefix('!') {
            Some("") | None if term.len() <= 1 && term != "*" && !term.chars().all(char::is_alphanumeric) => {
                Err(incomplete())
            }
            None if term.is_empty() => Err(incomplete()),
            Some(pattern) => Ok(Term::NotId(pattern.to_owned())),
            None => Ok(Term::Id(term.to_owned())),
        };
    };
    let negated = term[..place].ends_with('!');
    let path = term[..place].trim_end_matches('!');
    let values: Vec<String> = term[place + 1..].split(',').map(str::to_owned).collect();
    if path.is_empty() || values.iter().any(String::is_empty) {
        return Err(incomplete());
    }
    if !axes.contains(path)
        && !DERIVED_FIELDS.contains(&path)
        && let PathCheck::Unknown { segment, mut known } = check_path(path)
    {
        known.extend(DERIVED_FIELDS.map(str::to_owned));
        known.extend(axes.iter().map(|&axis| axis.to_owned()));
        let guess = did_you_mean(&segment, known.iter().map(String::as_str));
        return Err(FilterError::UnknownField { field: path.to_owned(), term: term.to_owned(), guess });
    }
    Ok(Term::Field { path: path.to_owned(), values, negated })
}

fn id_matches(pattern: &str, id: &str) -> bool {
    if pattern.contains(['*', '?']) { wildcard(pattern, id) } else { id.contains(pattern) }
}

fn value_matches(wanted: &str, found: &str) -> bool {
    if wanted == found || wildcard(wanted, found) {
        return true;
    }
    // 1e-5 and 0.00001 are the same number.
    matches!((wanted.parse::<f64>(), found.parse::<f64>()), (Ok(wanted), Ok(found)) if wanted == found)
}

/// Whether `text` is `pattern`, where `*` stands for anything and `?` for one character.
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                // Let the latest star take one character more.
                let Some((star_p, star_t)) = star else {
                    return false;
                };
                star = Some((star_p, star_t + 1));
                (p, t) = (star_p + 1, star_t + 1);
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        assert!(wildcard("pitfalls/*", "pitfalls/momentum/a[b=1]"));
        assert!(wildcard("*[momentum=0.1,*", "x/y[momentum=0.1,dtype=f32]"));
        assert!(wildcard("a?c*", "abc"));
        assert!(!wildcard("a?c", "ac"));
        assert!(!wildcard("*x", "xy"));
    }
}
