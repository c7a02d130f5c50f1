//! The random streams of a trial: functions of the study's seed and the trial's number, so that a trial draws the same
//! numbers on every machine and in every attempt.

use crate::study::trial::TrialNumber;
use rand_core::{Rng as _, SeedableRng as _};

/// The random generator of one trial. ChaCha8 is specified, portable and has 2⁶⁴ independent streams per key.
pub type TrialRng = rand_chacha::ChaCha8Rng;

/// The first of the streams that feed guests. Those below feed samplers.
const GUEST_STREAMS: u64 = 1 << 63;

/// The stream that a study's trials share; those below 2³² belong to one trial number each.
const STUDY_STREAM: u64 = 1 << 62;

/// Returns the stream from which a sampler draws a trial's parameters: the seed picks the key, the number the stream.
pub fn trial_rng(study_seed: u64, number: TrialNumber) -> TrialRng {
    stream(study_seed, u64::from(number.0))
}

/// Returns the seed that the objective receives for its own random numbers.
pub fn guest_seed(study_seed: u64, number: TrialNumber) -> u64 {
    stream(study_seed, GUEST_STREAMS | u64::from(number.0)).next_u64()
}

/// Returns the stream behind `wasi:random`, from the seed that the objective received. It is the same in every attempt
/// at a trial, so that hash maps and random numbers inside the guest repeat.
pub fn guest_wasi_rng(guest_seed: u64, purpose: u64) -> TrialRng {
    stream(guest_seed, GUEST_STREAMS | purpose)
}

/// Returns the stream that all trials of a study share, from its beginning, given the stream of any of them.
pub fn study_rng(of_a_trial: &TrialRng) -> TrialRng {
    let mut rng = of_a_trial.clone();
    rng.set_stream(STUDY_STREAM);
    // The clone stands where the draws of its trial have come to.
    rng.set_word_pos(0);
    rng
}

/// Returns the stream of [`study_rng`] for a seed that the user gave to a sampler.
pub fn seeded_rng(seed: u64) -> TrialRng {
    stream(seed, STUDY_STREAM)
}

fn stream(study_seed: u64, stream: u64) -> TrialRng {
    let mut rng = TrialRng::seed_from_u64(study_seed);
    rng.set_stream(stream);
    rng
}

/// Draws a float in [0, 1) with 53 random bits.
pub fn unit(rng: &mut TrialRng) -> f64 {
    // The upper bits: an f64 has 53 bits of precision, and more would round up to 1.
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Draws a whole number in [0, `n`), each with the same probability. Returns 0 if `n` is 0.
pub fn below(n: u64, rng: &mut TrialRng) -> u64 {
    // Numbers from the last, incomplete round of 0 to n − 1 would favour its beginning.
    let incomplete = u64::MAX.checked_rem(n).map_or(0, |rest| (rest + 1) % n);
    loop {
        let bits = rng.next_u64();
        if bits <= u64::MAX - incomplete {
            return bits.checked_rem(n).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The streams are part of what makes a trial reproducible: a change here changes every study.
    #[test]
    fn the_streams_are_pinned() {
        let mut rng = trial_rng(42, TrialNumber(7));
        assert_eq!(
            [rng.next_u64(), rng.next_u64()],
            [2_370_525_664_269_707_216, 6_019_739_031_913_071_421]
        );
        assert_eq!(guest_seed(42, TrialNumber(7)), 8_026_485_565_123_881_770);
    }

    #[test]
    fn trials_draw_different_numbers() {
        let first = |seed, number| trial_rng(seed, TrialNumber(number)).next_u64();
        assert_eq!(first(1, 3), first(1, 3));
        assert_ne!(first(1, 3), first(1, 4));
        assert_ne!(first(1, 3), first(2, 3));
        assert_ne!(guest_seed(1, TrialNumber(3)), first(1, 3));
    }

    #[test]
    fn the_trials_of_a_study_share_a_stream_wherever_they_are_in_their_own() {
        let mut first = trial_rng(1, TrialNumber(3));
        let _ = (first.next_u64(), first.next_u32());
        let shared = |rng: &TrialRng| study_rng(rng).next_u64();
        assert_eq!(shared(&first), shared(&trial_rng(1, TrialNumber(4))));
        assert_eq!(shared(&first), seeded_rng(1).next_u64());
        assert_ne!(shared(&first), shared(&trial_rng(2, TrialNumber(3))));
    }

    #[test]
    fn whole_numbers_are_below_their_bound_and_reach_it() {
        let mut rng = trial_rng(1, TrialNumber(3));
        let mut counts = [0; 3];
        (0..3000).for_each(|_| counts[below(3, &mut rng) as usize] += 1);
        // The counts have a standard deviation of 26.
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
        assert_eq!((below(1, &mut rng), below(0, &mut rng)), (0, 0));
    }
}
