//! The time of some work on a device.

use std::time::Duration;

use crate::device::Device;
use crate::launch::LaunchError;

/// The most repetitions between two events.
const MOST_REPETITIONS: usize = 100_000;

/// How often the number of repetitions is corrected before it is taken as it is.
const CORRECTIONS: usize = 12;

/// How to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long the repetitions between two events take at least, on the device.
    pub at_least: Duration,
    /// How many times are taken, of which the median counts.
    pub samples: usize,
}

impl Default for Settings {
    /// Long beside the half microsecond to which events tell the time.
    fn default() -> Self {
        Settings { at_least: Duration::from_millis(2), samples: 7 }
    }
}

/// How long something took.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Time {
    /// Microseconds for one repetition, the median of the samples.
    pub micros: f64,
    /// Repetitions in a sample.
    pub repetitions: usize,
}

/// Times work: warms up, repeats it as often as it takes to last, and takes the median.
///
/// # Errors
/// Those of the work, and what the device says.
pub(super) fn time(
    device: &mut Device,
    settings: &Settings,
    mut work: impl FnMut(&mut Device) -> Result<(), LaunchError>,
) -> Result<Time, LaunchError> {
    let mut sample = |device: &mut Device, samples: usize, repetitions: usize| {
        device.time(samples, |device| (0..repetitions).try_for_each(|_| work(device)))
    };
    // The first time the driver loads what is launched.
    sample(device, 1, 1)?;
    let mut repetitions = 1;
    for _ in 0..CORRECTIONS {
        let took = sample(device, 1, repetitions)?.into_iter().sum();
        let Some(more) = corrected(repetitions, took, settings.at_least) else { break };
        repetitions = more;
    }
    let samples = sample(device, settings.samples.max(1), repetitions)?;
    Ok(Time { micros: median(samples).as_secs_f64() * 1e6 / repetitions as f64, repetitions })
}

/// How many repetitions to try where so many took too short a time; nothing where they did not.
fn corrected(repetitions: usize, took: Duration, at_least: Duration) -> Option<usize> {
    if took >= at_least || repetitions >= MOST_REPETITIONS {
        return None;
    }
    // A quarter more, as a warm device is faster; and no more than tenfold, as a first time may be far off.
    let factor = 1.25 * at_least.as_secs_f64() / took.as_secs_f64().max(1e-9);
    let more = (repetitions as f64 * factor.min(10.0)).ceil() as usize;
    Some(more.clamp(repetitions + 1, MOST_REPETITIONS))
}

/// The middle one; of an even number the earlier of the two.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_short_a_time_is_repeated_until_it_lasts() {
        let at_least = Duration::from_millis(2);
        let of = |micros| Duration::from_micros(micros);
        assert_eq!(corrected(1, of(2000), at_least), None);
        assert_eq!(corrected(4, of(1000), at_least), Some(10));
        assert_eq!(corrected(1, of(10), at_least), Some(10));
        assert_eq!(corrected(1, of(0), at_least), Some(10));
        assert_eq!(corrected(7, of(1999), at_least), Some(9));
        assert_eq!(corrected(MOST_REPETITIONS, of(1), at_least), None);
        assert_eq!(corrected(MOST_REPETITIONS - 1, of(1), at_least), Some(MOST_REPETITIONS));
    }

    #[test]
    fn the_median_is_the_middle_one_in_whatever_order_they_come() {
        let of = |millis: &[u64]| median(millis.iter().map(|&one| Duration::from_millis(one)).collect());
        assert_eq!(of(&[30, 10, 20]), Duration::from_millis(20));
        assert_eq!(of(&[40, 30, 10, 20]), Duration::from_millis(20));
        assert_eq!(of(&[5]), Duration::from_millis(5));
        assert_eq!(of(&[]), Duration::ZERO);
    }
}
