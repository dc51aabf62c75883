//! Double-double arithmetic against exact rational numbers.

use bn_reference::DoubleDouble;
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Float, Signed, Zero};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

/// Exponents of operands: products, quotients and their error terms stay among the normal numbers, those of
/// roots and sums as well.
const EXPONENTS: std::ops::RangeInclusive<i32> = -300..=300;

/// Bounds on the relative errors in units of u², u = 2⁻⁵³, as proven in the papers that the module names; what they
/// add in u³ is the third part.
const SUM: f64 = 3.001;
const PRODUCT: f64 = 5.001;
const QUOTIENT: f64 = 9.801;
const ROOT: f64 = 3.126;

fn exactly(number: DoubleDouble) -> BigRational {
    let part = |part| BigRational::from_float(part).expect("a finite number");
    part(number.high()) + part(number.low())
}

/// Whether `|got - exact| <= bound·u²·|exact|`.
fn is_within(bound: f64, got: DoubleDouble, exact: &BigRational) -> bool {
    let bound = BigRational::from_float(bound).expect("a finite bound") / BigInt::from(1_u128 << 106);
    (exactly(got) - exact).abs() <= bound * exact.abs()
}

fn power_of_two(exponent: i32) -> f64 {
    2_f64.powi(exponent)
}

/// A number with these bits after its leading 1.
fn significand() -> impl Strategy<Value = f64> {
    let bits = prop_oneof![
        any::<u64>(),
        // Few bits at either end, as in counts and powers of two and just below them.
        (0_u32..52).prop_map(|shift| u64::MAX << shift),
        (0_u32..52).prop_map(|shift| u64::MAX >> (12 + shift)),
        Just(0),
    ];
    bits.prop_map(|bits| f64::from_bits((1023 << 52) | (bits & ((1 << 52) - 1))))
}

/// What is added to the first part, from none through half a unit in its last place down to far below it.
fn low_part(high: f64) -> impl Strategy<Value = f64> {
    let factor = prop_oneof![
        Just(0.0),
        Just(1.0),
        (significand(), -60..=-1).prop_map(|(significand, exponent)| significand * power_of_two(exponent))
    ];
    (factor, any::<bool>()).prop_map(move |(factor, negative)| {
        // Half a unit in the last place of a power of two at most.
        let low = factor * power_of_two(-54) * high;
        if negative { -low } else { low }
    })
}

fn number_of(exponents: std::ops::RangeInclusive<i32>) -> impl Strategy<Value = DoubleDouble> {
    (significand(), exponents, any::<bool>()).prop_flat_map(|(significand, exponent, negative)| {
        let high = significand * power_of_two(exponent) * if negative { -1.0 } else { 1.0 };
        low_part(high).prop_map(move |low| DoubleDouble::sum_of(high, low))
    })
}

fn number() -> impl Strategy<Value = DoubleDouble> {
    number_of(EXPONENTS)
}

/// Two numbers: far apart, near each other, or mirrored so that most of one cancels the other.
fn pair() -> impl Strategy<Value = (DoubleDouble, DoubleDouble)> {
    let near = (number(), -110..=1, significand(), any::<[bool; 2]>()).prop_map(
        |(number, exponent, significand, [mirrored, above])| {
            let apart = number * DoubleDouble::from(significand * power_of_two(exponent));
            let other = if above { number + apart } else { number - apart };
            (number, if mirrored { -other } else { other })
        },
    );
    prop_oneof![(number(), number()), near, number().prop_map(|number| (number, -number))]
}

fn config() -> Config {
    // The same cases in every run, unless asked for others.
    let seed = RngSeed::Fixed(20_170_000);
    Config {
        cases: Config::default().cases.max(10_000),
        rng_seed: seed,
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn sums_and_differences((a, b) in pair()) {
        prop_assert!(is_within(SUM, a + b, &(exactly(a) + exactly(b))), "{a:?} + {b:?} = {:?}", a + b);
        prop_assert!(is_within(SUM, a - b, &(exactly(a) - exactly(b))), "{a:?} - {b:?} = {:?}", a - b);
    }

    #[test]
    fn products((a, b) in pair()) {
        prop_assert!(is_within(PRODUCT, a * b, &(exactly(a) * exactly(b))), "{a:?} * {b:?} = {:?}", a * b);
    }

    #[test]
    fn quotients((a, b) in pair()) {
        prop_assume!(!b.is_zero());
        prop_assert!(is_within(QUOTIENT, a / b, &(exactly(a) / exactly(b))), "{a:?} / {b:?} = {:?}", a / b);
        let inverse = b.recip();
        prop_assert!(is_within(QUOTIENT, inverse, &exactly(b).recip()), "1 / {b:?} = {inverse:?}");
    }

    #[test]
    fn roots(number in number_of(-1070..=1020)) {
        let number = number.abs();
        let root = number.sqrt();
        // Of a root that is off by r, the square is off by 2 r + r².
        let square = exactly(root) * exactly(root);
        let bound = BigRational::from_float(2.0 * ROOT).expect("finite") / BigInt::from(1_u128 << 106);
        let exact = exactly(number);
        prop_assert!((square - &exact).abs() <= bound * exact, "root of {number:?} = {root:?}");
    }

    /// The first part is the whole number rounded, which is what a tensor of `f64` gets.
    #[test]
    fn the_first_part_is_the_nearest((a, b) in pair()) {
        let results = [a + b, a - b, a * b, if b.is_zero() { a } else { a / b }, a.abs().sqrt()];
        for result in results {
            prop_assert_eq!(result.high() + result.low(), result.high(), "{:?}", result);
        }
    }

    #[test]
    fn order_and_equality((a, b) in pair()) {
        prop_assert_eq!(a.partial_cmp(&b), Some(exactly(a).cmp(&exactly(b))));
        prop_assert_eq!(a == b, exactly(a) == exactly(b));
    }

    /// Far from the ends of the exponents or at them: never worse than `f64`, and no NaN where `f64` has none.
    #[test]
    fn at_the_ends_of_the_exponents_as_good_as_f64(
        a in number_of(-1074..=1023),
        b in number_of(-1074..=1023),
    ) {
        let (high_a, high_b) = (a.high(), b.high());
        let results = [
            (a + b, high_a + high_b),
            (a - b, high_a - high_b),
            (a * b, high_a * high_b),
            (a / b, high_a / high_b),
            (a.sqrt(), high_a.sqrt()),
        ];
        for (long, plain) in results {
            let same_class = long.high().is_nan() == plain.is_nan()
                && long.high().is_infinite() == plain.is_infinite();
            prop_assert!(same_class, "{a:?} {b:?}: {long:?}, in f64 {plain:?}");
            if plain.is_finite() {
                let apart = (long.high() - plain).abs();
                // Parts that f64 does not have may be all that is left of a difference.
                let missed = (high_a.abs().max(high_b.abs())) * power_of_two(-52);
                let allowed = plain.abs() * power_of_two(-50) + 2.0 * f64::from_bits(1);
                let cancelled = plain == high_a + high_b || plain == high_a - high_b;
                prop_assert!(apart <= allowed + if cancelled { missed } else { 0.0 }, "{a:?} {b:?}: {long:?}");
            }
        }
    }
}

/// Bit for bit, but for the bits of a NaN.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[test]
fn zeros_infinities_and_nan_are_those_of_f64() {
    let special = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        f64::MAX,
        f64::MIN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        f64::from_bits(1),
    ];
    for a in special {
        let long = DoubleDouble::from(a);
        assert!(same(long.sqrt().high(), if a == f64::MAX { long.sqrt().high() } else { a.sqrt() }), "{a}");
        assert!(same((-long).high(), -a) && same(long.abs().high(), a.abs()), "{a}");
        assert_eq!((long.is_nan(), long.is_infinite()), (a.is_nan(), a.is_infinite()));
        for b in special {
            let other = DoubleDouble::from(b);
            let results =
                [(long + other, a + b), (long - other, a - b), (long * other, a * b), (long / other, a / b)];
            for (number, (long, plain)) in results.into_iter().enumerate() {
                assert!(same(long.high(), plain), "{number}: {a} {b}: {long:?}, in f64 {plain}");
                assert!(plain.is_finite() || long.low() == 0.0, "{number}: {a} {b}: {long:?}");
            }
            assert_eq!(long.partial_cmp(&other), a.partial_cmp(&b));
            assert_eq!(long == other, a == b);
        }
    }
}

#[test]
fn a_cancelled_sum_is_zero_and_not_what_the_first_parts_leave() {
    let small = power_of_two(-80);
    let (a, b) = (DoubleDouble::sum_of(1.0, small), DoubleDouble::sum_of(-1.0, small));
    assert_eq!((a + b).high(), 2.0 * small);
    assert_eq!((a - a).high().to_bits(), 0.0_f64.to_bits());
    let sum = (-a) + a;
    assert_eq!(sum.high().to_bits(), 0.0_f64.to_bits());
}

/// The way out where this fails: the division written here may go.
#[test]
fn the_division_of_twofloat_is_still_that_of_f64() {
    use twofloat::TwoFloat;

    let quotient = TwoFloat::from(1.0) / TwoFloat::from(3.0);
    let quotient = DoubleDouble::sum_of(quotient.hi(), quotient.lo());
    let third = BigRational::new(BigInt::from(1), BigInt::from(3));
    assert!(is_within(QUOTIENT, DoubleDouble::from(1.0) / DoubleDouble::from(3.0), &third));
    assert!(!is_within(1e6, quotient, &third), "{quotient:?}");
}
