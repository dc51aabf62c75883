//! What terms that follow each other lose together.

use std::cell::RefCell;
use std::ops::Range;

/// Terms that are added up in their order, on one grid after the other.
pub(super) struct Walk<'t> {
    terms: &'t [f64],
    /// The magnitude of the largest.
    largest: f64,
    known: &'t mut Known,
}

/// What is known of a walk, in memory that the next one of the thread takes over: there are some for each channel.
#[derive(Default)]
struct Known {
    /// The magnitudes of the terms before each, together; nothing as long as nobody asks.
    walked: Vec<f64>,
    /// What is lost of the terms before each: where halves are rounded up, and where they are rounded down.
    lost: Vec<[f64; 2]>,
    /// The extremes of these, the first apart and the others a stretch at a time.
    stretches: Vec<Extremes>,
    /// See [`Window`].
    lower: Vec<Extremes>,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Of more terms the memory is given back.
const FEW: usize = 1 << 14;

impl<'t> Walk<'t> {
    /// What `find` finds on a walk over these terms. It makes no other.
    pub fn over<F>(terms: &[f64], find: impl FnOnce(Walk<'_>) -> F) -> F {
        KNOWN.with_borrow_mut(|known| {
            let found = find(Walk::new(terms, known));
            if terms.len() > FEW {
                *known = Known::default();
            }
            found
        })
    }

    fn new(terms: &'t [f64], known: &'t mut Known) -> Self {
        let largest = terms.iter().fold(0.0, |largest, term| greater(term.abs(), largest));
        known.walked.clear();
        // The first is of no term; the others are as they come.
        known.lost.resize(terms.len() + 1, [0.0; 2]);
        known.stretches.resize(terms.len().div_ceil(STRETCH), Extremes::NONE);
        known.lower.resize(terms.len() + 1, Extremes::NONE);
        Walk { terms, largest, known }
    }

    /// Adds up the magnitudes.
    fn walk(&mut self) {
        let (mut sum, walked) = (0.0, &mut self.known.walked);
        walked.reserve(self.terms.len() + 1);
        walked.push(sum);
        walked.extend(self.terms.iter().map(|term| {
            sum += term.abs();
            sum
        }));
    }

    /// Rounds each term to a multiple of `grid`. Half way between two multiples it is the partial sum that decides, in
    /// step or not: up and down are two kinds of losses.
    pub fn round_to(&mut self, grid: f64) {
        if !self.round_to_nearest(grid) {
            for (lost, term) in self.known.lost[1..].iter_mut().zip(self.terms) {
                let multiple = term / grid;
                let (up, down) = (floor(multiple + 0.5), -floor(0.5 - multiple));
                *lost = [up * grid - term, down * grid - term];
            }
        }
        let mut sum = [0.0_f64; 2];
        for (lost, extremes) in self.known.lost[1..].chunks_mut(STRETCH).zip(&mut self.known.stretches) {
            let mut of_stretch = Extremes::NONE;
            for lost in lost {
                sum = [sum[0] + lost[0], sum[1] + lost[1]];
                *lost = sum;
                of_stretch = of_stretch.and(Extremes::of(sum));
            }
            *extremes = of_stretch;
        }
    }

    /// What is lost of each term by itself, in fewer operations: a nearest multiple is the same whether halves go up or
    /// down, but for the halves. Says whether that is so of all of them: not where a number is too large to be rounded by
    /// an addition, or so little below a half that half more is rounded to 1.
    fn round_to_nearest(&mut self, grid: f64) -> bool {
        /// To what is smaller by a factor of 3 it adds nothing but whole numbers.
        const WHOLE: f64 = 1.5 * (1_u64 << 52) as f64;
        let (half, inverse) = (0.5 * grid, grid.recip());
        let is_power_of_two =
            half.is_normal() && inverse.is_normal() && grid.to_bits().trailing_zeros() >= 52;
        if !is_power_of_two || self.largest * inverse > WHOLE / 3.0 {
            return false;
        }
        let below_half = half.next_down();
        let mut halves_are_clear = true;
        for (lost, term) in self.known.lost[1..].iter_mut().zip(self.terms) {
            let nearest = (term * inverse + WHOLE) - WHOLE;
            let left = nearest * grid - term;
            halves_are_clear &= left.abs() != below_half;
            let up = if left == -half { grid } else { 0.0 };
            let down = if left == half { grid } else { 0.0 };
            *lost = [left + up, left - down];
        }
        halves_are_clear
    }

    /// The largest magnitude of the sum of the losses of any terms that follow each other and whose magnitudes are
    /// together no larger than `reach`; the larger one for two kinds of losses.
    pub fn largest_run(&mut self, reach: f64) -> f64 {
        if self.known.walked.is_empty() {
            self.walk();
        }
        if self.known.walked.last().is_none_or(|all| *all <= reach) {
            return self.largest_run_of_all();
        }
        // The largest difference of two sums from the first term on that are no further apart.
        let mut largest = [0.0_f64; 2];
        let mut window = Window {
            lost: &self.known.lost,
            lower: &mut self.known.lower,
            first: 0,
            upper: 0,
            of_upper: Extremes::of(self.known.lost[0]),
        };
        let route = Route { terms: self.terms, walked: &self.known.walked, reach };
        for (start, &added) in (1..self.known.lost.len()).step_by(STRETCH).zip(&self.known.stretches) {
            let stretch = start..self.known.lost.len().min(start + STRETCH);
            // Mostly none of a stretch is further than that from any that one of them may look back to.
            if added.are_near(window.extremes().and(added), largest) {
                window.push(added);
                window.leave(route.first_after(window.first, stretch.clone()), stretch.end - 1);
                continue;
            }
            for latest in stretch {
                let lost = self.known.lost[latest];
                window.push(Extremes::of(lost));
                window.leave(route.first_within(window.first, latest), latest);
                largest = window.extremes().furthest_from(lost, largest);
            }
        }
        largest[0].max(largest[1])
    }

    /// The same where all terms are within reach: no two sums are further apart than the least and the greatest.
    pub fn largest_run_of_all(&self) -> f64 {
        let first = Extremes::of(self.known.lost[0]);
        let stretches = self.known.stretches.iter();
        let Extremes { least, greatest } = stretches.fold(first, |all, some| all.and(*some));
        greater(greatest[0] - least[0], greater(greatest[1] - least[1], 0.0))
    }
}

/// How many places are looked at together.
const STRETCH: usize = 8;

/// How far it is from place to place.
struct Route<'w> {
    terms: &'w [f64],
    walked: &'w [f64],
    reach: f64,
}

impl Route<'_> {
    /// The first place, from this one on, from which it is not too far to `latest`. One step more: the term that crosses
    /// the end of the reach is rounded as well.
    fn first_within(&self, mut first: usize, latest: usize) -> usize {
        let (walked, magnitude) = (self.walked[latest], self.terms[latest - 1].abs());
        while first < latest && self.walked[first] + self.reach + magnitude < walked {
            first += 1;
        }
        first
    }

    /// The same once it was asked of each place of a stretch.
    fn first_after(&self, before: usize, stretch: Range<usize>) -> usize {
        let latest = stretch.end - 1;
        let first = self.first_within(before, latest);
        // From where it is not too far to the place before the last it is not to any earlier one, however sums are rounded.
        if self.walked[first] + self.reach >= self.walked[latest - 1] {
            return first;
        }
        stretch.fold(before, |first, latest| self.first_within(first, latest))
    }
}

/// The largest integer that is no larger: what `f64::floor` is, but several at a time on any processor.
#[inline]
fn floor(number: f64) -> f64 {
    /// From here on there is nothing but integers.
    const INTEGERS: f64 = (1_u64 << 52) as f64;
    let magnitude = number.abs();
    let nearest = ((magnitude + INTEGERS) - INTEGERS).copysign(number);
    let floor = if nearest > number { nearest - 1.0 } else { nearest };
    if magnitude < INTEGERS { floor } else { number }
}

/// The least and the greatest of some sums, of either kind.
#[derive(Clone, Copy)]
struct Extremes {
    least: [f64; 2],
    greatest: [f64; 2],
}

impl Extremes {
    /// Those of no sum.
    const NONE: Self = Extremes { least: [f64::INFINITY; 2], greatest: [f64::NEG_INFINITY; 2] };

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

    /// Whether none of these, nor any between them, is further from any of `others`; no where one is no number.
    fn are_near(self, others: Self, far: [f64; 2]) -> bool {
        let near = |kind: usize| {
            self.greatest[kind] - others.least[kind] <= far[kind]
                && others.greatest[kind] - self.least[kind] <= far[kind]
        };
        near(0) && near(1)
    }

    /// How far these are from them at most, where that is more than `largest`.
    fn furthest_from(self, sums: [f64; 2], largest: [f64; 2]) -> [f64; 2] {
        let furthest = |kind: usize| {
            let below = (sums[kind] - self.least[kind]).abs();
            let above = (sums[kind] - self.greatest[kind]).abs();
            greater(greater(above, below), largest[kind])
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
struct Window<'w> {
    lost: &'w [[f64; 2]],
    /// For those below `upper`: the extremes from there to `upper`.
    lower: &'w mut [Extremes],
    first: usize,
    upper: usize,
    of_upper: Extremes,
}

impl Window<'_> {
    /// Takes in those of the next places.
    fn push(&mut self, of_next: Extremes) {
        self.of_upper = self.of_upper.and(of_next);
    }

    /// Lets those before `first` leave, which is no later than the latest.
    fn leave(&mut self, first: usize, latest: usize) {
        self.first = first;
        if first > self.upper {
            // All of the upper stack becomes the lower one.
            self.upper = latest + 1;
            let mut from_here = Extremes::NONE;
            for place in (first..self.upper).rev() {
                from_here = Extremes::of(self.lost[place]).and(from_here);
                self.lower[place] = from_here;
            }
            self.of_upper = Extremes::NONE;
        }
    }

    fn extremes(&self) -> Extremes {
        if self.first < self.upper { self.lower[self.first].and(self.of_upper) } else { self.of_upper }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By looking at all pairs.
    fn by_hand(walk: &Walk<'_>, reach: f64) -> f64 {
        let mut largest = 0.0_f64;
        let mut first = 0;
        let mut walked = vec![0.0];
        for (number, term) in walk.terms.iter().enumerate() {
            let latest = number + 1;
            walked.push(walked[number] + term.abs());
            while first < latest && walked[first] + reach + term.abs() < walked[latest] {
                first += 1;
            }
            for other in &walk.known.lost[first..latest] {
                let lost = walk.known.lost[latest];
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
            let noise: Vec<f64> = (0..length).map(|_| next() - 0.3).collect();
            let level = vec![0.3; length];
            // Of terms so different in size sums of magnitudes are rounded.
            let sizes: Vec<f64> =
                (0..length).map(|k| next() * 2f64.powi([0, 0, -52, 3, -60][k % 5])).collect();
            for terms in [noise, level, sizes] {
                let mut known = Known::default();
                let mut walk = Walk::new(&terms, &mut known);
                for grid in [0.5, 0.0625, 1.0 / 1024.0] {
                    walk.round_to(grid);
                    for reach in [0.0, 0.3, 1.0, 7.0, 50.0, f64::INFINITY] {
                        let run = walk.largest_run(reach);
                        assert_eq!(run, by_hand(&walk, reach), "{length} terms, {grid}, {reach}");
                    }
                    assert_eq!(walk.largest_run_of_all(), by_hand(&walk, f64::INFINITY), "{length} terms");
                }
            }
        }
    }

    #[test]
    fn what_is_lost_is_what_rounding_takes_or_adds() {
        let terms = [0.25, 0.75, -0.25, 1.1, -1.4, 3.0];
        let mut known = Known::default();
        let mut walk = Walk::new(&terms, &mut known);
        walk.round_to(0.5);
        let single = |kind: usize| -> Vec<f64> {
            walk.known.lost.windows(2).map(|two| two[1][kind] - two[0][kind]).collect()
        };
        let near = |due: [f64; 6], got: Vec<f64>| {
            assert!(due.iter().zip(&got).all(|(due, got)| (due - got).abs() < 1e-15), "{due:?} {got:?}");
        };
        near([0.25, 0.25, 0.25, -0.1, -0.1, 0.0], single(0));
        near([-0.25, -0.25, -0.25, -0.1, -0.1, 0.0], single(1));
    }

    #[test]
    fn what_is_lost_is_the_same_however_it_is_found() {
        let numbers = [0.0, 0.5, 1.5, 2.5, 0.1, 0.3, 7.7, 1e9, 1e-300, f64::MIN_POSITIVE, 0.499_999_9];
        let large = [3e15, 2_251_799_813_685_247.5, 2_251_799_813_685_248.5, 4_503_599_627_370_497.0, 1e300];
        let near = |number: f64| [number, number.next_down(), number.next_up()];
        let signed: Vec<f64> =
            numbers.into_iter().flat_map(near).flat_map(|number| [number, -number]).collect();
        let plain = |terms: &[f64], grid: f64| -> Vec<[f64; 2]> {
            let single = |term: &f64| {
                let multiple = term / grid;
                [(multiple + 0.5).floor() * grid - term, -(0.5 - multiple).floor() * grid - term]
            };
            let mut sum = [0.0; 2];
            let add = |lost: [f64; 2]| {
                sum = [sum[0] + lost[0], sum[1] + lost[1]];
                sum
            };
            [[0.0; 2]].into_iter().chain(terms.iter().map(single).map(add)).collect()
        };
        for grid in [1.0, 0.25, 1024.0, 2f64.powi(-60), 2f64.powi(-1020), f64::from_bits(1), 3.0] {
            let scaled: Vec<f64> =
                signed.iter().map(|number| number * grid).filter(|term| term.is_finite()).collect();
            let one_by_one = signed.iter().chain(&scaled).chain(&large).map(std::slice::from_ref);
            for terms in one_by_one.chain([&signed[..], &scaled[..]]) {
                let mut known = Known::default();
                let mut walk = Walk::new(terms, &mut known);
                walk.round_to(grid);
                let (lost, plain) = (&walk.known.lost, plain(terms, grid));
                let same = |(one, other): (&f64, &f64)| one == other || (one.is_nan() && other.is_nan());
                assert!(
                    lost.as_flattened().iter().zip(plain.as_flattened()).all(same),
                    "{terms:?} on {grid:e}"
                );
            }
        }
    }

    #[test]
    fn a_floor_is_a_floor() {
        let large = (1_u64 << 51) as f64;
        let numbers = [0.0, 0.3, 0.5, 1.0, 1.5, 2.5, 1e300, large - 0.5, large + 0.5, 2.0 * large + 1.0];
        for number in numbers.into_iter().chain([f64::INFINITY, f64::MIN_POSITIVE]) {
            for number in [number, -number, number.next_down(), -number.next_down()] {
                assert_eq!(floor(number), number.floor(), "{number:e}");
            }
        }
        assert!(floor(f64::NAN).is_nan());
    }
}
