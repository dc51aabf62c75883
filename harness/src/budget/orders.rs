//! The orders in which terms may be added up, beside their own.

/// The terms with equal ones side by side, in the order in which they come first; nothing where hardly any are equal.
pub(super) fn equal_together(terms: &[f64]) -> Option<Vec<f64>> {
    if are_mostly_different(terms) {
        return None;
    }
    let mut by_value: Vec<usize> = (0..terms.len()).collect();
    by_value.sort_by(|a, b| terms[*a].total_cmp(&terms[*b]));
    let mut groups: Vec<&[usize]> = by_value.chunk_by(|a, b| terms[*a] == terms[*b]).collect();
    // The sort is stable: a group's first place is its first term's.
    groups.sort_by_key(|group| group[0]);
    Some(groups.into_iter().flatten().map(|place| terms[*place]).collect())
}

/// Whether there are more than half as many different numbers as terms.
fn are_mostly_different(terms: &[f64]) -> bool {
    // A table of the bits of those that have been seen, each at the first free place from where its bits say on.
    const FREE: u64 = u64::MAX;
    // No more than half of the places are taken.
    let places = terms.len().next_power_of_two().max(2);
    let last = places - 1;
    // The first bits of a product depend on all bits of its factors; the last ones of a number of few bits are zeros.
    let first_bits = u64::BITS - places.trailing_zeros();
    let mut seen = vec![FREE; places];
    let mut different = 0;
    for &term in terms {
        // Zeros of either sign are equal. What is no number is equal to nothing, and its bits may be those of a free place.
        let bits = (term + 0.0).to_bits();
        let mut place = (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> first_bits) as usize;
        while !term.is_nan() && seen[place] != FREE && seen[place] != bits {
            place = (place + 1) & last;
        }
        if term.is_nan() || seen[place] == FREE {
            different += 1;
            if different * 2 > terms.len() {
                return true;
            }
        }
        if !term.is_nan() {
            seen[place] = bits;
        }
    }
    false
}

/// Whether most terms are as far from the one before as that is from its own: slopes, however often they begin anew.
pub(super) fn is_mostly_even(terms: &[f64]) -> bool {
    let even = terms.windows(3).filter(|three| {
        let (step, next) = (three[1] - three[0], three[2] - three[1]);
        step != 0.0 && (next - step).abs() <= 0.125 * step.abs()
    });
    even.count() * 2 > terms.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_terms_are_different_or_not() {
        let nan = f64::NAN;
        for (terms, different) in [
            (vec![], false),
            (vec![1.0], true),
            (vec![1.0, 1.0], false),
            (vec![0.0, -0.0, 0.0, -0.0, 1.0, 2.0], false),
            (vec![0.0, -0.0, 0.0, 3.0, 1.0, 2.0], true),
            (vec![nan, nan, nan, 1.0], true),
            (vec![nan, 1.0, 1.0, 1.0], false),
        ] {
            assert_eq!(are_mostly_different(&terms), different, "{terms:?}");
        }
        let steps = |n: i32| (0..1000).map(|k| f64::from(k % n)).collect::<Vec<_>>();
        assert!(!are_mostly_different(&steps(500)) && are_mostly_different(&steps(501)));
    }
}
