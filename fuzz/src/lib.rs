//! The laws that hold for bytes and texts from any source.
//!
//! Each function takes the bytes that a fuzzer proposes, and panics if a law is broken. The programs of `src/bin` hand
//! the functions to libFuzzer. The tests call them with every input in `corpus`, which includes those that once broke a
//! law. Only `cargo xtask fuzz` builds the programs.

mod conversation;
mod database;
mod timing;

pub use conversation::protocol;
pub use database::database;
pub use timing::timing;

use std::path::Path;
use trialbox_core::space::transform::{bounds, untransform};
use trialbox_core::{Distribution, Json};
use trialbox_runtime::check_artifact;

/// Checks that any file is either an objective with its digest, or rejected with a message and help.
pub fn precheck(bytes: &[u8]) {
    match check_artifact(Path::new("fuzzed.wasm"), bytes.to_vec()) {
        Ok(file) => assert!(file.bytes == bytes && file.contract_version.starts_with("0.1")),
        Err(rejection) => {
            assert!(rejection.message.starts_with("`fuzzed.wasm` "), "{rejection:?}");
            assert!(rejection.help.is_some(), "{rejection:?}");
        }
    }
}

/// Checks that what a guest process says of its objective is refused with a sentence, or taken.
///
/// The bytes are those of the message that says it.
pub fn description(bytes: &[u8]) {
    match trialbox_runtime::fuzzing::describe(bytes) {
        Ok(loaded) => {
            // What a guest process reports is shown and written, so it must be written at all.
            let _ = format!("{loaded:?}");
        }
        Err(rejection) => assert!(!rejection.message.is_empty(), "{rejection:?}"),
    }
}

/// Checks that a value is written as a text that is read as the same value, and written as the same text again.
pub fn json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Json::parse(text) {
        Ok(value) => {
            let written = value.to_string();
            assert!(written.is_ascii(), "{written}");
            let back = Json::parse(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
            assert_eq!(back.to_string(), written);
            assert!(back.python_eq(&value) || has_a_key_twice(&value), "{written}");
        }
        Err(error) => assert!(error.offset <= text.len(), "{error}"),
    }
}

/// Returns whether an object somewhere has a key twice. Only the last counts, so such a value does not equal itself.
fn has_a_key_twice(value: &Json) -> bool {
    match value {
        Json::Array(items) => items.iter().any(has_a_key_twice),
        Json::Object(members) => {
            let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
            keys.sort_unstable();
            keys.windows(2).any(|pair| pair[0] == pair[1])
                || members.iter().any(|(_, value)| has_a_key_twice(value))
        }
        _ => false,
    }
}

/// Checks that a distribution is written as one that is read as the same, and that draws from it are in its range.
pub fn distribution(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(distribution) = Distribution::from_json_text(text) else { return };
    let written = distribution.to_json_text();
    let back =
        Distribution::from_json_text(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
    // The end of a grid may move down at each reading, as in Optuna, where its points have more digits than a float.
    let has_grid = matches!(&distribution, Distribution::Float(float) if float.step().is_some());
    assert!(has_grid || back.to_json_text() == written, "{written}");
    if distribution.require_drawable().is_ok() {
        draw(&distribution);
    }
}

/// Draws at the ends of the transformed interval and between them.
fn draw(distribution: &Distribution) {
    let Some((from, to)) = bounds(distribution) else { return };
    let (low, high) = match distribution {
        Distribution::Float(float) => (float.low(), float.high()),
        Distribution::Int(int) => (int.low() as f64, int.high() as f64),
        Distribution::Categorical(_) => return,
    };
    for u in [0.0, 0.25, 0.5, 1.0 - f64::EPSILON] {
        let value = untransform(distribution, from + u * (to - from));
        assert!(
            value.is_some_and(|value| low <= value && value <= high),
            "{} at {u}: {value:?}",
            distribution.to_json_text()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variable with the number of mutants of each input, for longer runs without a fuzzer.
    const MUTANTS: &str = "TRIALBOX_FUZZ_MUTANTS";

    /// Checks a law with all inputs of its corpus, and with a few mutants of each.
    fn check(target: &str, law: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let inputs = std::fs::read_dir(&folder).expect("a folder of inputs");
        let mutants = std::env::var(MUTANTS).ok().and_then(|text| text.parse().ok()).unwrap_or(8);
        let mut random = Random(1);
        let mut count = 0;
        for input in inputs {
            let input = std::fs::read(input.expect("an input").path()).expect("an input");
            law(&input);
            let mut mutant = input.clone();
            for n in 0..mutants {
                // A long walk from one input leads to bytes that mean nothing.
                if n % 16 == 0 {
                    mutant.clone_from(&input);
                }
                random.mutate(&mut mutant);
                law(&mutant);
            }
            count += 1;
        }
        assert!(count > 0, "{} is empty", folder.display());
    }

    /// Numbers that are the same in each run (Marsaglia, "Xorshift RNGs", 2003).
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % end.max(1) as u64) as usize
        }

        /// Changes, removes, repeats or inserts bytes.
        fn mutate(&mut self, bytes: &mut Vec<u8>) {
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(8)).min(bytes.len());
            match self.below(5) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => bytes[at] = self.below(256) as u8,
                2 if !bytes.is_empty() => drop(bytes.drain(at..end)),
                3 if bytes.len() < 4096 => bytes.extend_from_within(at.min(end)..end),
                _ => bytes.insert(at.min(bytes.len()), self.below(256) as u8),
            }
        }
    }

    #[test]
    fn conversations_end_as_one_recorded_trial() {
        check("protocol", protocol);
    }

    #[test]
    fn trials_end_in_time_whatever_a_guest_process_does_and_when() {
        check("timing", timing);
    }

    #[test]
    fn readers_of_a_damaged_database_return() {
        check("database", database);
    }

    #[test]
    fn descriptions_are_rejected_or_texts_of_bounded_length() {
        check("description", description);
    }

    #[test]
    fn files_are_objectives_or_refused_with_help() {
        check("precheck", precheck);
    }

    #[test]
    fn json_round_trips() {
        check("json", json);
    }

    #[test]
    fn distributions_round_trip_and_are_drawn_from_in_range() {
        check("distribution", distribution);
    }
}
