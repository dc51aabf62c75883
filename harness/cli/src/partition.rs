//! Which cases are in which part of a run that several machines share.
//!
//! The part of a case depends on its id alone: the first eight bytes of the SHA-256 of the id, in UTF-8, as a number
//! with the highest byte first, modulo the number of parts, plus one. So the parts of any selection have no case in
//! common and every case is in one, and a case stays in its part whatever is added, left out or run where.

use bn_cases::Case;
use bn_harness::results::Part;
use sha2::{Digest, Sha256};

/// Reads `K/N`.
///
/// # Errors
/// When it is not of that form, or there is no such part; the message says what would be right.
pub fn parse(text: &str) -> Result<Part, String> {
    let numbers =
        text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
    match numbers {
        None => Err("write the part and how many there are: 1/3 is the first of three".to_owned()),
        Some((_, 0)) => Err("there is at least one part: 1/1 is all cases".to_owned()),
        Some((number, of)) if (1..=of).contains(&number) => Ok(Part { number, of }),
        Some((_, of)) => Err(format!("{of} parts are numbered from 1/{of} to {of}/{of}")),
    }
}

/// Those of the cases that are in a part; all where none is asked for.
pub fn choose(cases: Vec<&Case>, part: Option<Part>) -> Vec<&Case> {
    let Some(part) = part else { return cases };
    cases.into_iter().filter(|case| number_of(&case.id, part.of) == part.number).collect()
}

/// What is said where a part has no case.
pub fn nothing_in(part: Part, selected: usize) -> String {
    let cases = if selected == 1 { "case is" } else { "cases are" };
    format!("no case is in part {part}: the {selected} selected {cases} in other parts")
}

/// The part that an id is in, from 1.
fn number_of(id: &str, of: usize) -> usize {
    let hash = Sha256::digest(id.as_bytes());
    let first = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    (first % of as u64) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_number_of_the_ids_hash() {
        // printf %s ID | sha256sum, the first sixteen digits modulo 7, plus one.
        for (id, number) in IDS {
            assert_eq!(number_of(id, 7), number, "{id}");
        }
    }

    const IDS: [(&str, usize); 3] = [("exact/means[fill=zero,dtype=f32]", 7), ("a", 5), ("pitfalls/ü", 1)];
}
