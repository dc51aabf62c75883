//! What terms that follow each other lose together.

/// The largest magnitude of the sum of the losses of any terms that follow each other and whose magnitudes are together
/// no larger than `reach`; the larger one for two kinds of losses. Of each term its magnitude and its losses.
pub(super) fn largest_run(terms: impl ExactSizeIterator<Item = (f64, [f64; 2])>, reach: f64) -> f64 {
    // The largest difference of two sums from the first term on that are no further apart.
    let (mut walked, mut lost, mut largest) = (0.0_f64, [0.0_f64; 2], [0.0_f64; 2]);
    let mut window = Window::with_capacity(1 + terms.len());
    window.push(walked, lost);
    for (magnitude, losses) in terms {
        walked += magnitude;
        lost = [lost[0] + losses[0], lost[1] + losses[1]];
        window.push(walked, lost);
        // One step more: the term that crosses the end of the reach is rounded as well.
        window.leave(|there| there + reach + magnitude < walked);
        largest = window.extremes().furthest_from(lost, largest);
    }
    largest[0].max(largest[1])
}

/// The same where all terms are within reach. Of each term its losses.
pub(super) fn largest_run_of_all(terms: impl Iterator<Item = [f64; 2]>) -> f64 {
    let (mut lost, mut largest) = ([0.0_f64; 2], [0.0_f64; 2]);
    let mut extremes = Extremes::of(lost);
    for losses in terms {
        lost = [lost[0] + losses[0], lost[1] + losses[1]];
        extremes = extremes.and(Extremes::of(lost));
        largest = extremes.furthest_from(lost, largest);
    }
    largest[0].max(largest[1])
}

/// The least and the greatest of some sums, of either kind.
#[derive(Clone, Copy)]
struct Extremes {
    least: [f64; 2],
    greatest: [f64; 2],
}

impl Extremes {
    fn of(sums: [f64; 2]) -> Self {
        Extremes { least: sums, greatest: sums }
    }

    /// Those of both; where one is no number, that is from `later` on.
    fn and(self, later: Self) -> Self {
        Extremes {
            least: [less(self.least[0], later.least[0]), less(self.least[1], later.least[1])],
            greatest: [
                greater(self.greatest[0], later.greatest[0]),
                greater(self.greatest[1], later.greatest[1]),
            ],
        }
    }

    /// How far these are from them at most, where that is more than `largest`.
    fn furthest_from(self, sums: [f64; 2], largest: [f64; 2]) -> [f64; 2] {
        let furthest = |kind: usize| {
            let below = (sums[kind] - self.least[kind]).abs();
            let above = (sums[kind] - self.greatest[kind]).abs();
            greater(above, greater(below, largest[kind]))
        };
        [furthest(0), furthest(1)]
    }
}

/// The second where either is no number: one instruction, which `f64::min` is not.
fn less(one: f64, other: f64) -> f64 {
    if one < other { one } else { other }
}

/// The same of the greater one.
fn greater(one: f64, other: f64) -> f64 {
    if one > other { one } else { other }
}

/// Sums from the first term on, of which the earliest leave: a queue made of two stacks. Of the lower stack, which the
/// earliest leave, the extremes from each place to its end are known; of the upper one those of all of it.
struct Window {
    /// How far on each of them is, and the sums.
    sums: Vec<(f64, [f64; 2])>,
    /// For those below `upper`: the extremes from there to `upper`.
    lower: Vec<Extremes>,
    first: usize,
    upper: usize,
    of_upper: Option<Extremes>,
}

impl Window {
    fn with_capacity(capacity: usize) -> Self {
        let (sums, lower) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        Window { sums, lower, first: 0, upper: 0, of_upper: None }
    }

    fn push(&mut self, walked: f64, sums: [f64; 2]) {
        let own = Extremes::of(sums);
        self.sums.push((walked, sums));
        self.of_upper = Some(self.of_upper.map_or(own, |upper| upper.and(own)));
    }

    /// Lets those leave that are out, but not the latest.
    fn leave(&mut self, is_out: impl Fn(f64) -> bool) {
        while self.first + 1 < self.sums.len() && is_out(self.sums[self.first].0) {
            self.first += 1;
        }
        if self.first > self.upper {
            self.turn_over();
        }
    }

    /// Makes all of the upper stack the lower one.
    fn turn_over(&mut self) {
        self.upper = self.sums.len();
        self.lower.resize(self.upper, Extremes::of([0.0; 2]));
        let mut from_here: Option<Extremes> = None;
        for place in (self.first..self.upper).rev() {
            let own = Extremes::of(self.sums[place].1);
            let extremes = from_here.map_or(own, |later| own.and(later));
            self.lower[place] = extremes;
            from_here = Some(extremes);
        }
        self.of_upper = None;
    }

    fn extremes(&self) -> Extremes {
        let lower = (self.first < self.upper).then(|| self.lower[self.first]);
        match (lower, self.of_upper) {
            (Some(lower), Some(upper)) => lower.and(upper),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => Extremes::of([f64::NAN; 2]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By looking at all pairs.
    fn by_hand(terms: &[(f64, [f64; 2])], reach: f64) -> f64 {
        let mut sums = vec![(0.0, [0.0; 2])];
        let mut largest = 0.0_f64;
        let mut first = 0;
        for &(magnitude, losses) in terms {
            let (walked, lost) = sums[sums.len() - 1];
            let (walked, lost) = (walked + magnitude, [lost[0] + losses[0], lost[1] + losses[1]]);
            sums.push((walked, lost));
            while first + 1 < sums.len() && sums[first].0 + reach + magnitude < walked {
                first += 1;
            }
            for (_, other) in &sums[first..] {
                largest = largest.max((lost[0] - other[0]).abs()).max((lost[1] - other[1]).abs());
            }
        }
        largest
    }

    #[test]
    fn the_largest_run_is_that_of_all_pairs_within_reach() {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24)
        };
        for length in [0, 1, 2, 3, 10, 100, 333] {
            let terms: Vec<_> = (0..length).map(|_| (next(), [next() - 0.5, next() - 0.45])).collect();
            for reach in [0.0, 0.3, 1.0, 7.0, 50.0, f64::INFINITY] {
                let run = largest_run(terms.iter().copied(), reach);
                assert_eq!(run, by_hand(&terms, reach), "{length} terms, {reach}");
            }
            let all = largest_run_of_all(terms.iter().map(|(_, losses)| *losses));
            assert_eq!(all, by_hand(&terms, f64::INFINITY), "{length} terms");
        }
    }
}
