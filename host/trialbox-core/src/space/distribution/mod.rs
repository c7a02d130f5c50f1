//! The distribution of a parameter: its range, its two representations and Optuna's JSON of it.
//!
//! A parameter has an *external* value (what the objective sees: a float, an integer or a choice) and an
//! *internal* one (what the database and the samplers hold: always an `f64`; a choice is its index).
//! The rules are those of Optuna 5.0's `distributions.py`.

mod error;
mod grid;
mod json;
#[cfg(test)]
mod tests;

pub use error::{
    DistributionError, DistributionJsonError, Incompatible, UnstorableValue, ValueError,
};

use super::wide_int::{WideRange, digits, nearest};
use crate::value::json::{Json, python_repr};
use bigdecimal::{BigDecimal, ToPrimitive as _};
use grid::{decimal, is_grid_point, last_grid_point};
use std::sync::Arc;

/// Integers beyond this magnitude are not all representable in the database, which stores floats.
pub const MAX_EXACT_INT: i64 = 1 << 53;

/// The smallest positive float that is no 64-bit integer: 2⁶³.
const BEYOND_64_BITS: f64 = 9_223_372_036_854_775_808.0;

/// The distribution of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    /// A float in a range.
    Float(FloatDistribution),
    /// An integer in a range.
    Int(IntDistribution),
    /// One of a list of choices.
    Categorical(CategoricalDistribution),
}

/// A float in `[low, high]`; made by [`Distribution::float`], so its invariants hold.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatDistribution {
    low: f64,
    high: f64,
    log: bool,
    step: Option<f64>,
}

/// An integer in `[low, high]`; made by [`Distribution::int`], so its invariants hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntDistribution {
    low: i64,
    high: i64,
    log: bool,
    step: i64,
    /// The exact range, where 64 bits do not hold it; `low`, `high` and `step` are then the nearest numbers that they
    /// hold.
    wide: Option<Box<WideRange>>,
}

/// One of a list of choices; made by [`Distribution::categorical`], so the list is not empty.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoricalDistribution {
    /// Shared, since thousands of trials have the same.
    choices: Arc<[Json]>,
}

impl Distribution {
    /// A float in `[low, high]`: uniform, uniform on a log scale, or on the grid `low + k·step`.
    ///
    /// With a step, `high` is lowered to the last point of the grid, in decimal arithmetic on the
    /// shortest representations of the numbers, as Optuna does: (0, 1, 0.3) gives high = 0.9.
    ///
    /// # Errors
    /// NaN, `low > high`, `log` with `low <= 0` or with a step, `step <= 0`.
    pub fn float(
        low: f64,
        high: f64,
        log: bool,
        step: Option<f64>,
    ) -> Result<Self, DistributionError> {
        // NaN comes first: all the comparisons that follow would be false for it.
        for (name, value) in [("low", low), ("high", high), ("step", step.unwrap_or(1.0))] {
            if value.is_nan() {
                return Err(DistributionError::Nan { name });
            }
        }
        if log && step.is_some() {
            return Err(DistributionError::LogWithStep {
                step: python_repr(step.unwrap_or_default()),
            });
        }
        if low > high {
            return Err(DistributionError::EmptyRange {
                low: python_repr(low),
                high: python_repr(high),
            });
        }
        if log && low <= 0.0 {
            return Err(DistributionError::LogOfNonPositive {
                low: python_repr(low),
                wanted: "> 0",
            });
        }
        let high = match step {
            Some(step) if step <= 0.0 => {
                return Err(DistributionError::BadStep { step: python_repr(step), wanted: "> 0" });
            }
            Some(step) => last_grid_point(low, high, step),
            None => high,
        };
        Ok(Distribution::Float(FloatDistribution { low, high, log, step }))
    }

    /// An integer in `[low, high]`: uniform, uniform on a log scale, or on the grid `low + k·step`.
    ///
    /// With a step, `high` is lowered to the last point of the grid.
    ///
    /// # Errors
    /// `low > high`, `log` with `low < 1` or `step != 1`, `step < 1`, bounds beyond ±2⁵³.
    pub fn int(low: i64, high: i64, log: bool, step: i64) -> Result<Self, DistributionError> {
        let distribution = Self::int_of_any_size(low, high, log, step)?;
        for bound in [low, high] {
            if !(-MAX_EXACT_INT..=MAX_EXACT_INT).contains(&bound) {
                return Err(DistributionError::InexactInt { bound: bound.to_string() });
            }
        }
        Ok(distribution)
    }

    /// As [`Self::int`], with bounds that Optuna stores although floats cannot hold all integers between
    /// them: a study with `suggest_int("seed", 0, 2**63 - 1)` must be readable.
    fn int_of_any_size(
        low: i64,
        high: i64,
        log: bool,
        step: i64,
    ) -> Result<Self, DistributionError> {
        if log && step != 1 {
            return Err(DistributionError::LogWithStep { step: step.to_string() });
        }
        if low > high {
            return Err(DistributionError::EmptyRange {
                low: low.to_string(),
                high: high.to_string(),
            });
        }
        if log && low < 1 {
            return Err(DistributionError::LogOfNonPositive {
                low: low.to_string(),
                wanted: ">= 1",
            });
        }
        if step < 1 {
            return Err(DistributionError::BadStep { step: step.to_string(), wanted: ">= 1" });
        }
        // Not `low + k·step`: the width of a range can be twice what 64 bits hold.
        let beyond_the_grid = (i128::from(high) - i128::from(low)) % i128::from(step);
        let high = high - beyond_the_grid as i64;
        Ok(Distribution::Int(IntDistribution { low, high, log, step, wide: None }))
    }

    /// As [`Self::int`], with bounds of any size, such as those of `suggest_int("seed", 0, 2**64 - 1)`.
    fn int_beyond_64_bits(
        low: BigDecimal,
        high: BigDecimal,
        log: bool,
        step: BigDecimal,
    ) -> Result<Self, DistributionError> {
        if let (Some(low), Some(high), Some(step)) = (low.to_i64(), high.to_i64(), step.to_i64()) {
            return Self::int_of_any_size(low, high, log, step);
        }
        let one = BigDecimal::from(1);
        if log && step != one {
            return Err(DistributionError::LogWithStep { step: digits(&step) });
        }
        if low > high {
            return Err(DistributionError::EmptyRange { low: digits(&low), high: digits(&high) });
        }
        if log && low < one {
            let low = digits(&low);
            return Err(DistributionError::LogOfNonPositive { low, wanted: ">= 1" });
        }
        if step < one {
            return Err(DistributionError::BadStep { step: digits(&step), wanted: ">= 1" });
        }
        let high = &high - (&high - &low) % &step;
        let wide = WideRange { low, high, step };
        let [low, high, step] = [&wide.low, &wide.high, &wide.step].map(nearest);
        let wide = Some(Box::new(wide));
        Ok(Distribution::Int(IntDistribution { low, high, log, step, wide }))
    }

    /// One of `choices`, which may hold values of different types, and duplicates.
    ///
    /// # Errors
    /// An empty list.
    pub fn categorical(choices: Vec<Json>) -> Result<Self, DistributionError> {
        if choices.is_empty() {
            return Err(DistributionError::NoChoices);
        }
        Ok(Distribution::Categorical(CategoricalDistribution { choices: choices.into() }))
    }

    /// Refuses a range from which no value may be suggested, whether an objective or a user's search space asks for it.
    ///
    /// # Errors
    /// Those of [`Self::require_drawable`], and integers beyond ±2⁵³.
    pub fn require_suggestible(&self) -> Result<(), DistributionError> {
        if let Distribution::Int(int) = self {
            int.require_exact()?;
        }
        self.require_drawable()
    }

    /// Refuses ranges that Optuna can store but no sampler can draw from: infinite bounds, finite ones whose distance
    /// is no float (half a step of margin on both sides included), grids of 10²⁸ points and more, and integers that
    /// turn into others when they are stored as floats.
    ///
    /// # Errors
    /// Names what is infinite, or the bound.
    pub fn require_drawable(&self) -> Result<(), DistributionError> {
        match self {
            Distribution::Float(float) => float.require_drawable(),
            Distribution::Int(int) => int.require_drawable(),
            Distribution::Categorical(_) => Ok(()),
        }
    }

    /// Refuses internal values that the database's column cannot hold, or that no reader can make an external value
    /// of. A value outside of the range is stored, because a user may fix one.
    ///
    /// # Errors
    /// Says what the value is.
    pub fn require_storable(&self, internal: f64) -> Result<(), UnstorableValue> {
        if internal.is_nan() {
            return Err(UnstorableValue::Nan);
        }
        let wanted = match self {
            Distribution::Float(_) => return Ok(()),
            Distribution::Int(_) => "an integer",
            Distribution::Categorical(_) => "the index of a choice",
        };
        if internal.is_finite() {
            return Ok(());
        }
        Err(UnstorableValue::Infinite { wanted })
    }

    /// The only value, in internal representation, if there is just one.
    pub fn single(&self) -> Option<f64> {
        match self {
            // `high` was lowered to the grid: where the range is narrower than a step, to `low`.
            Distribution::Float(FloatDistribution { low, high, .. }) if low == high => Some(*low),
            // Floats of that size do not tell its points apart.
            Distribution::Int(IntDistribution { wide: Some(wide), .. }) => {
                if wide.low == wide.high { wide.low.to_f64() } else { None }
            }
            Distribution::Int(IntDistribution { low, high, step, .. }) => {
                // The width of a range can be twice what 64 bits hold.
                let width = i128::from(*high) - i128::from(*low);
                if width < i128::from(*step) { Some(*low as f64) } else { None }
            }
            Distribution::Categorical(CategoricalDistribution { choices })
                if choices.len() == 1 =>
            {
                Some(0.0)
            }
            Distribution::Float(_) | Distribution::Categorical(_) => None,
        }
    }

    /// Returns whether the internal value lies in the range and on the grid.
    pub fn contains(&self, internal: f64) -> bool {
        match self {
            Distribution::Float(FloatDistribution { low, high, step, .. }) => {
                let in_range = *low <= internal && internal <= *high;
                in_range && step.is_none_or(|step| is_grid_point(internal, *low, step))
            }
            Distribution::Int(IntDistribution { wide: Some(wide), .. }) => wide.contains(internal),
            Distribution::Int(IntDistribution { low, high, step, .. }) => {
                let value = internal as i64;
                let offset = i128::from(value) - i128::from(*low);
                // The conversion to an integer saturates, so the range is compared as floats too.
                (*low as f64..=*high as f64).contains(&internal)
                    && (*low..=*high).contains(&value)
                    && offset % i128::from(*step) == 0
            }
            Distribution::Categorical(CategoricalDistribution { choices }) => {
                internal >= 0.0 && (internal as usize) < choices.len()
            }
        }
    }

    /// The external value of an internal one; `Null` for a choice index that does not exist.
    pub fn to_external(&self, internal: f64) -> Json {
        match self {
            Distribution::Float(_) => Json::Float(internal),
            // A row without a number, which no integer stands for.
            Distribution::Int(_) if !internal.is_finite() => Json::Float(internal),
            // A float beyond 64 bits is whole, and all its digits are written.
            Distribution::Int(_) if internal.abs() >= BEYOND_64_BITS => {
                Json::BigInt(format!("{internal:.0}"))
            }
            Distribution::Int(_) => Json::Int(internal as i64),
            Distribution::Categorical(CategoricalDistribution { choices }) => {
                choices.get(internal as usize).cloned().unwrap_or(Json::Null)
            }
        }
    }

    /// The internal value of an external one. It may lie outside the range: see [`Self::contains`].
    ///
    /// An integer parameter truncates a float, as the objective would see it; a choice is found by
    /// Python's `==`, so of `[true, 1]` the first is taken for `1`.
    ///
    /// # Errors
    /// Not a number where one is wanted; not a choice.
    pub fn to_internal(&self, external: &Json) -> Result<f64, ValueError> {
        match self {
            Distribution::Categorical(CategoricalDistribution { choices }) => {
                match choices.iter().position(|choice| choice.python_eq(external)) {
                    Some(index) => Ok(index as f64),
                    None => Err(ValueError::NotAChoice {
                        found: external.to_string(),
                        choices: Json::Array(choices.to_vec()).to_string(),
                    }),
                }
            }
            Distribution::Float(_) | Distribution::Int(_) => {
                // Optuna applies `float()`, which reads numeric strings too.
                let number = external.as_f64().or_else(|| external.as_str()?.trim().parse().ok());
                match number {
                    Some(number) if matches!(self, Distribution::Int(_)) && number.is_finite() => {
                        Ok(number.trunc())
                    }
                    Some(number) if matches!(self, Distribution::Float(_)) && !number.is_nan() => {
                        Ok(number)
                    }
                    _ => Err(ValueError::NotANumber { found: external.to_string() }),
                }
            }
        }
    }

    /// Returns the internal value of an external one that the range has.
    ///
    /// # Errors
    /// As [`Self::to_internal`], which is Optuna's and cuts fractions off; and a fraction for an integer, or a value
    /// outside of the range.
    pub fn to_internal_strict(&self, external: &Json) -> Result<f64, ValueError> {
        let internal = self.to_internal(external)?;
        let number = external.as_f64().or_else(|| external.as_str()?.trim().parse().ok());
        if matches!(self, Distribution::Int(_)) && number != Some(internal) {
            return Err(ValueError::NotWhole { found: external.to_string() });
        }
        if !self.contains(internal) {
            return Err(ValueError::Outside { range: self.to_string() });
        }
        Ok(internal)
    }

    /// Returns whether both are the same to Optuna: bounds, step, `log` and choices, these by Python's `==` with NaN
    /// equal to itself.
    pub fn is_same(&self, other: &Distribution) -> bool {
        match (self, other) {
            (Distribution::Categorical(a), Distribution::Categorical(b)) => {
                Arc::ptr_eq(&a.choices, &b.choices)
                    || a.choices.len() == b.choices.len()
                        && a.choices
                            .iter()
                            .zip(b.choices.iter())
                            .all(|(a, b)| a == b || a.python_eq(b))
            }
            _ => self == other,
        }
    }

    /// Returns whether a study may hold both distributions under one name: ranges and steps may differ,
    /// the kind, `log` and the choices may not.
    ///
    /// # Errors
    /// Says what differs.
    pub fn check_compatible(&self, other: &Distribution) -> Result<(), Incompatible> {
        match (self, other) {
            (Distribution::Float(a), Distribution::Float(b)) if a.log != b.log => {
                Err(Incompatible::Log)
            }
            (Distribution::Int(a), Distribution::Int(b)) if a.log != b.log => {
                Err(Incompatible::Log)
            }
            (Distribution::Categorical(a), Distribution::Categorical(b)) => {
                let same =
                    Json::Array(a.choices.to_vec()).python_eq(&Json::Array(b.choices.to_vec()));
                if same { Ok(()) } else { Err(Incompatible::Choices) }
            }
            (Distribution::Float(_), Distribution::Float(_))
            | (Distribution::Int(_), Distribution::Int(_)) => Ok(()),
            _ => Err(Incompatible::Kind),
        }
    }
}

impl FloatDistribution {
    /// The lower bound.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// The upper bound, included.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// Returns whether values are spread evenly over their logarithms.
    pub fn log(&self) -> bool {
        self.log
    }

    /// The grid's point `low + k·step`, in decimal arithmetic on the shortest representations, as Optuna
    /// enumerates a grid: of (0, 1, 0.1) the point 3 is 0.3. `low` without a step.
    pub fn grid_point(&self, k: u64) -> f64 {
        let step = self.step.unwrap_or(0.0);
        let (Some(low), Some(d_step)) = (decimal(self.low), decimal(step)) else { return self.low };
        let point = low + d_step * BigDecimal::from(k);
        point.to_string().parse().unwrap_or(self.low)
    }

    /// The distance of the grid's points; `None` for a continuous range.
    pub fn step(&self) -> Option<f64> {
        self.step
    }

    fn require_drawable(&self) -> Result<(), DistributionError> {
        let step = self.step.unwrap_or(0.0);
        let width = (self.high + 0.5 * step) - (self.low - 0.5 * step);
        let wanted =
            [("low", self.low), ("high", self.high), ("step", step), ("high - low", width)];
        for (name, value) in wanted {
            if value.is_infinite() {
                return Err(DistributionError::Infinite { name, value });
            }
        }
        match self.step {
            Some(step) if (self.high - self.low) / step >= 1e28 => {
                Err(DistributionError::TooManySteps { step: python_repr(step) })
            }
            _ => Ok(()),
        }
    }
}

impl IntDistribution {
    /// Returns whether 64 bits hold the range. If not, the bounds are the nearest numbers that they hold.
    pub fn is_exact(&self) -> bool {
        self.wide.is_none()
    }

    /// Returns the bounds and the step in full.
    fn exact(&self) -> [Json; 3] {
        match &self.wide {
            None => [self.low, self.high, self.step].map(Json::Int),
            Some(wide) => [&wide.low, &wide.high, &wide.step].map(whole),
        }
    }

    /// The lower bound.
    pub fn low(&self) -> i64 {
        self.low
    }

    /// The upper bound, included.
    pub fn high(&self) -> i64 {
        self.high
    }

    /// Returns whether values are spread evenly over their logarithms.
    pub fn log(&self) -> bool {
        self.log
    }

    /// The distance of the grid's points, at least 1.
    pub fn step(&self) -> i64 {
        self.step
    }

    /// Between bounds that survive the conversion to a float, all floats are integers of the range. Of a grid that is
    /// true only where all its points are floats.
    fn require_drawable(&self) -> Result<(), DistributionError> {
        if self.wide.is_some() {
            return self.require_exact();
        }
        for bound in [self.low, self.high] {
            let is_exact = (-MAX_EXACT_INT..=MAX_EXACT_INT).contains(&bound);
            let survives = (self.low..=self.high).contains(&(bound as f64 as i64));
            if !is_exact && (self.step != 1 || !survives) {
                return Err(DistributionError::InexactInt { bound: bound.to_string() });
            }
        }
        Ok(())
    }

    /// Refuses a bound that floats cannot hold exactly, as it was given: it may be beyond 64 bits.
    fn require_exact(&self) -> Result<(), DistributionError> {
        let [low, high, step] = self.exact();
        // A step within 64 bits may be as large as it likes.
        let step = if self.wide.is_some() { (step, self.step) } else { (Json::Int(1), 1) };
        for (bound, nearest) in [(low, self.low), (high, self.high), step] {
            if !(-MAX_EXACT_INT..=MAX_EXACT_INT).contains(&nearest) {
                return Err(DistributionError::InexactInt { bound: bound.to_string() });
            }
        }
        Ok(())
    }
}

impl CategoricalDistribution {
    /// The choices, at least one.
    pub fn choices(&self) -> &[Json] {
        &self.choices
    }
}

/// Formats it for people: `float 1e-05 to 0.1, log`, `int 1 to 9, step 2`, `one of "relu", "tanh"`.
impl std::fmt::Display for Distribution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Distribution::Float(FloatDistribution { low, high, log, step }) => {
                write!(f, "float {} to {}", python_repr(*low), python_repr(*high))?;
                f.write_str(if *log { ", log" } else { "" })?;
                match step {
                    Some(step) => write!(f, ", step {}", python_repr(*step)),
                    None => Ok(()),
                }
            }
            Distribution::Int(int) => {
                let [low, high, step] = int.exact();
                write!(f, "int {low} to {high}")?;
                f.write_str(if int.log { ", log" } else { "" })?;
                if step == Json::Int(1) { Ok(()) } else { write!(f, ", step {step}") }
            }
            Distribution::Categorical(CategoricalDistribution { choices }) => {
                let choices: Vec<String> = choices.iter().map(Json::to_string).collect();
                write!(f, "one of {}", choices.join(", "))
            }
        }
    }
}

/// Returns a whole number as JSON.
fn whole(value: &BigDecimal) -> Json {
    match value.to_i64() {
        Some(value) => Json::Int(value),
        None => Json::BigInt(digits(value)),
    }
}
