//! Hyperband: successive halving in several brackets, which differ in how early they begin.

use super::successive_halving::{
    SuccessiveHalvingOptions, SuccessiveHalvingPruner, check_bootstrap,
};
use crate::config::Configured;
use crate::error::ConfigError;
use crate::options::{Field, Options};
use trialbox_core::seam::pruner::{Judgement, Pruner, RunningTrial};
use trialbox_core::{History, TrialNumber};

/// Options of [`HyperbandPruner`], with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HyperbandOptions {
    /// The step of the first rung of the earliest bracket, at least 1.
    pub min_resource: usize,
    /// The number of steps of a whole trial, at least 1; `None`, which is `auto`: that of the longest COMPLETE
    /// trial, before which no trial is pruned.
    pub max_resource: Option<usize>,
    /// The number of trials of which one continues; at least 2.
    pub reduction_factor: usize,
    /// The number of trials that must have reached a rung before any continues; 0 where `max_resource` is `auto`.
    pub bootstrap_count: usize,
}

impl Default for HyperbandOptions {
    fn default() -> Self {
        HyperbandOptions {
            min_resource: 1,
            max_resource: None,
            reduction_factor: 3,
            bootstrap_count: 0,
        }
    }
}

/// Each trial belongs to one bracket, by its number and the study's name, and competes with those of its
/// bracket alone. Bracket b is successive halving whose first b rungs are left out.
///
/// Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar 2018, "Hyperband: A Novel Bandit-Based Approach to
/// Hyperparameter Optimization", algorithm 1, of which the numbers of trials are shares here.
#[derive(Debug, Clone)]
pub struct HyperbandPruner {
    options: HyperbandOptions,
}

impl HyperbandPruner {
    /// Creates the pruner with these options.
    pub fn new(options: HyperbandOptions) -> Self {
        HyperbandPruner { options }
    }

    /// Returns the brackets, or `None` while there are none.
    fn brackets(&self, history: &History, current: &RunningTrial) -> Option<Brackets> {
        let max_resource = match self.options.max_resource {
            Some(n_steps) => n_steps,
            None => history.last_complete_step()?.checked_add(1)?.try_into().ok()?,
        };
        Brackets::new(current.study_name, &self.options, max_resource)
    }

    /// Returns the pruner of a bracket.
    fn halving(&self, bracket: usize) -> SuccessiveHalvingPruner {
        let HyperbandOptions { min_resource, reduction_factor, bootstrap_count, .. } = self.options;
        SuccessiveHalvingPruner::new(SuccessiveHalvingOptions {
            min_resource: Some(min_resource),
            reduction_factor,
            min_early_stopping_rate: bracket,
            bootstrap_count,
        })
    }
}

impl Pruner for HyperbandPruner {
    fn judge(&self, history: &History, current: &RunningTrial) -> Judgement {
        let Some(brackets) = self.brackets(history, current) else { return Judgement::new(false) };
        let bracket = brackets.of(current.number);
        self.halving(bracket).judge_among(|number| brackets.of(number) == bracket, history, current)
    }
}

/// The division of trials into brackets.
struct Brackets {
    /// The CRC-32 of what comes before the trial's number.
    prefix: Crc32,
    /// The share of each bracket: the number of trials of the whole that belong to it.
    shares: Vec<u64>,
}

impl Brackets {
    /// Returns the brackets; `None` if `max_resource`, which is at least 1, is less than the least resource: then there
    /// are none.
    fn new(study_name: &str, options: &HyperbandOptions, max_resource: usize) -> Option<Self> {
        let factor = options.reduction_factor as f64;
        let ratio = max_resource as f64 / options.min_resource as f64;
        // In floating point, as Optuna: with the factor 3, a ratio of 243 gives 5 brackets, and not 6. Of the
        // system's logarithm, which is Python's too: the crate libm's is an ulp larger at 243.
        let n = (ratio.ln() / factor.ln()).floor() + 1.0;
        if n < 1.0 {
            return None;
        }
        let mut shares = Vec::with_capacity(n as usize);
        for bracket in 0..n as i32 {
            let s = n as i32 - 1 - bracket;
            shares.push((n * factor.powi(s) / f64::from(s + 1)).ceil() as u64);
        }
        let mut prefix = Crc32::default();
        prefix.update(study_name.as_bytes());
        prefix.update(b"_");
        Some(Brackets { prefix, shares })
    }

    fn of(&self, number: TrialNumber) -> usize {
        let mut crc = self.prefix;
        crc.update(number.to_string().as_bytes());
        let total: u128 = self.shares.iter().map(|share| u128::from(*share)).sum();
        // Less than the CRC-32, which has 32 bits.
        let mut place = (u128::from(crc.value()) % total) as u64;
        for (bracket, share) in self.shares.iter().enumerate() {
            if place < *share {
                return bracket;
            }
            place -= share;
        }
        self.shares.len()
    }
}

/// CRC-32 as in zlib: ISO 3309, with the polynomial 0x04c11db7, its bits reversed.
#[derive(Debug, Clone, Copy)]
struct Crc32(u32);

impl Default for Crc32 {
    fn default() -> Self {
        Crc32(!0)
    }
}

impl Crc32 {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = CRC_TABLE[usize::from(self.0 as u8 ^ byte)] ^ (self.0 >> 8);
        }
    }

    fn value(self) -> u32 {
        !self.0
    }
}

/// The effect of each byte.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

impl Options for HyperbandOptions {
    const FIELDS: &'static [Field<Self>] = &[
        Field::count("min_resource", 1, |it| &mut it.min_resource),
        Field::count_or_auto("max_resource", 1, |it| &mut it.max_resource),
        Field::count("reduction_factor", 2, |it| &mut it.reduction_factor),
        Field::count("bootstrap_count", 0, |it| &mut it.bootstrap_count),
    ];
}

impl Configured<dyn Pruner> for HyperbandOptions {
    const NAME: &'static str = "hyperband";
    const OPTUNA: &'static str = "HyperbandPruner";
    const SUMMARY: &'static str = "the same in several brackets, which start early and late";

    fn build(&self) -> Box<dyn Pruner> {
        Box::new(HyperbandPruner::new(self.clone()))
    }

    fn check_complete(&self) -> Result<(), ConfigError> {
        check_bootstrap(Self::owner(), self.max_resource, self.bootstrap_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brackets(max_resource: usize) -> Brackets {
        Brackets::new("hb", &HyperbandOptions::default(), max_resource).expect("a bracket")
    }

    /// The check value of the catalogue of CRCs.
    #[test]
    fn crc_32_is_that_of_zlib() {
        let mut crc = Crc32::default();
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!(crc.value(), 0xcbf4_3926);
    }

    #[test]
    fn shares_are_optunas() {
        assert_eq!(brackets(27).shares, [27, 12, 6, 4]);
        assert_eq!(brackets(81).shares, [81, 34, 15, 8, 5]);
        assert_eq!(brackets(5).shares, [3, 2]);
        assert_eq!(brackets(1).shares, [1]);
        assert_eq!(brackets(243).shares.len(), 5);
        assert_eq!(brackets(244).shares.len(), 6);
        let options = HyperbandOptions { min_resource: 2, ..Default::default() };
        assert!(Brackets::new("hb", &options, 1).is_none());
    }

    #[test]
    fn a_trial_is_in_optunas_bracket() {
        let found: Vec<usize> = (0..10).map(|n| brackets(27).of(TrialNumber(n))).collect();
        assert_eq!(found, [0, 1, 1, 0, 1, 0, 0, 1, 0, 1]);
    }

    #[test]
    fn a_resource_without_bounds_has_brackets_too() {
        let options = HyperbandOptions { reduction_factor: 2, ..Default::default() };
        let brackets = Brackets::new("hb", &options, i64::MAX as usize).expect("there are some");
        assert_eq!(brackets.shares.len(), 64);
        // The first has more than half of all.
        assert!((0..1_000).filter(|n| brackets.of(TrialNumber(*n)) == 0).count() > 500);
    }
}
