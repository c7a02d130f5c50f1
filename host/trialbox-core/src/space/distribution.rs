//! The distribution of a parameter: its range, its two representations and Optuna's JSON of it.
//!
//! A parameter has an *external* value (what the objective sees: a float, an integer or a choice) and an
//! *internal* one (what the database and the samplers hold: always an `f64`; a choice is its index).
//! The rules are those of Optuna 5.0's `distributions.py`.

use super::wide_int::{WideRange, digits, nearest};
use crate::value::json::{Json, JsonError, python_repr};
use bigdecimal::{BigDecimal, ToPrimitive as _, Zero as _};

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
    choices: Vec<Json>,
}

/// The reason why a range is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DistributionError {
    /// A bound or the step is NaN.
    #[error("`{name}` must be a number, but it is NaN")]
    Nan {
        /// `low`, `high` or `step`.
        name: &'static str,
    },
    /// `low` is above `high`.
    #[error("`low` must not be greater than `high`, but `low` is {low} and `high` is {high}")]
    EmptyRange {
        /// As given.
        low: String,
        /// As given.
        high: String,
    },
    /// A log-scaled range that reaches zero or below.
    #[error("a log-scaled parameter needs `low` {wanted}, but `low` is {low}")]
    LogOfNonPositive {
        /// As given.
        low: String,
        /// `> 0` for floats, `>= 1` for integers.
        wanted: &'static str,
    },
    /// A log-scaled range on a grid.
    #[error("`log` and `step` exclude each other, but `step` is {step}")]
    LogWithStep {
        /// As given.
        step: String,
    },
    /// A step that does not advance.
    #[error("`step` must be {wanted}, but it is {step}")]
    BadStep {
        /// As given.
        step: String,
        /// `> 0` or `>= 1`.
        wanted: &'static str,
    },
    /// An integer bound that the database cannot hold exactly.
    #[error(
        "an integer bound must be within ±2^53, because Optuna stores integers as floats, but it is {bound}"
    )]
    InexactInt {
        /// As given.
        bound: String,
    },
    /// An infinite bound or width, which no sampler can draw from.
    #[error("`{name}` must be finite, but it is {value}")]
    Infinite {
        /// `low`, `high`, `step` or `high - low`.
        name: &'static str,
        /// As given.
        value: f64,
    },
    /// A grid of more points than Optuna reads: its decimal arithmetic has 28 digits.
    #[error("`step` must divide `high - low` into fewer than 10^28 parts, but it is {step}")]
    TooManySteps {
        /// As given.
        step: String,
    },
    /// No choice.
    #[error("a categorical parameter needs at least one choice")]
    NoChoices,
}

/// The reason why a database cannot hold a parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnstorableValue {
    /// NaN, for which the column has no value.
    #[error("expected a number, found NaN")]
    Nan,
    /// An infinite integer or index.
    #[error("expected {wanted}, found an infinite number")]
    Infinite {
        /// An integer, or the index of a choice.
        wanted: &'static str,
    },
}

/// The reason why a text is not a distribution that Optuna would read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DistributionJsonError {
    /// The text is not JSON.
    #[error("the distribution is not JSON")]
    Json(#[source] JsonError),
    /// An unknown `name`.
    #[error("unknown distribution `{name}`")]
    UnknownName {
        /// As found.
        name: String,
    },
    /// A missing, unknown or ill-typed attribute.
    #[error("the attribute `{attribute}` of a {name} is {problem}")]
    Attribute {
        /// The distribution.
        name: String,
        /// The attribute.
        attribute: String,
        /// `missing`, `unknown` or `not a number`, …
        problem: &'static str,
    },
    /// Bounds that make no range.
    #[error("the distribution has no valid range")]
    Range(#[source] DistributionError),
}

/// The reason why one name cannot have both distributions within a study (`check_distribution_compatibility`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Incompatible {
    /// A float here, an integer or a choice there.
    #[error("it has another kind of distribution")]
    Kind,
    /// Log-scaled here and not there.
    #[error("it has another `log` setting")]
    Log,
    /// Other choices, or the same in another order.
    #[error("it has other choices, or the same in another order")]
    Choices,
}

/// The reason why an external value does not belong to a distribution.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// Not a number where one is wanted.
    #[error("expected a number, found {found}")]
    NotANumber {
        /// The value as JSON.
        found: String,
    },
    /// Not one of the choices.
    #[error("{found} is none of the choices {choices}")]
    NotAChoice {
        /// The value as JSON.
        found: String,
        /// The choices as JSON.
        choices: String,
    },
    /// A fraction where a whole number is wanted.
    #[error("expected a whole number, found {found}")]
    NotWhole {
        /// The value as JSON.
        found: String,
    },
    /// Not in the range, or between its steps.
    #[error("it is outside of {range}")]
    Outside {
        /// The range.
        range: String,
    },
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
        Ok(Distribution::Categorical(CategoricalDistribution { choices }))
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
                        choices: Json::Array(choices.clone()).to_string(),
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
                a.choices.len() == b.choices.len()
                    && a.choices.iter().zip(&b.choices).all(|(a, b)| a == b || a.python_eq(b))
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
                    Json::Array(a.choices.clone()).python_eq(&Json::Array(b.choices.clone()));
                if same { Ok(()) } else { Err(Incompatible::Choices) }
            }
            (Distribution::Float(_), Distribution::Float(_))
            | (Distribution::Int(_), Distribution::Int(_)) => Ok(()),
            _ => Err(Incompatible::Kind),
        }
    }

    /// The text of `distribution_json`, to the byte as Optuna 5.0 writes it.
    pub fn to_json_text(&self) -> String {
        // The order of the attributes is that in which the constructors of Optuna set them.
        let (name, attributes) = match self {
            Distribution::Float(FloatDistribution { low, high, log, step }) => (
                "FloatDistribution",
                vec![
                    ("step", Json::from(*step)),
                    ("low", Json::Float(*low)),
                    ("high", Json::Float(*high)),
                    ("log", Json::Bool(*log)),
                ],
            ),
            Distribution::Int(int) => {
                let [low, high, step] = int.exact();
                let log = Json::Bool(int.log);
                let attributes = vec![("log", log), ("step", step), ("low", low), ("high", high)];
                ("IntDistribution", attributes)
            }
            Distribution::Categorical(CategoricalDistribution { choices }) => {
                ("CategoricalDistribution", vec![("choices", Json::Array(choices.clone()))])
            }
        };
        Json::object([("name", Json::from(name)), ("attributes", Json::object(attributes))])
            .to_string()
    }

    /// Reads a `distribution_json`: Optuna's current and legacy names, and the abbreviated form with `type`.
    ///
    /// # Errors
    /// Whatever would make Optuna refuse the row, an unknown attribute included.
    pub fn from_json_text(text: &str) -> Result<Self, DistributionJsonError> {
        Self::from_json(&Json::parse(text).map_err(DistributionJsonError::Json)?)
    }

    fn from_json(json: &Json) -> Result<Self, DistributionJsonError> {
        if let Some(kind) = json.get_str("type") {
            let name = match kind {
                "float" => "FloatDistribution",
                "int" => "IntDistribution",
                "categorical" => "CategoricalDistribution",
                _ => return Err(DistributionJsonError::UnknownName { name: kind.to_owned() }),
            };
            return Attributes { name, json, known: &["type"] }.distribution();
        }
        let name = json.get_str("name").unwrap_or_default();
        let attributes = json.get("attributes").unwrap_or(&Json::Null);
        Attributes { name, json: attributes, known: &[] }.distribution()
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

/// The attributes of a distribution's JSON, read strictly: Python passes them to a constructor.
struct Attributes<'a> {
    name: &'a str,
    json: &'a Json,
    /// Members that are no arguments of the constructor.
    known: &'static [&'static str],
}

impl Attributes<'_> {
    fn distribution(&self) -> Result<Distribution, DistributionJsonError> {
        let range = DistributionJsonError::Range;
        match self.name {
            "FloatDistribution" => {
                self.allow(&["low", "high", "log", "step"])?;
                let step = self.optional("step", Json::as_f64)?;
                let log = self.flag("log");
                self.check_texts(log)?;
                Distribution::float(self.float("low")?, self.float("high")?, log, step)
                    .map_err(range)
            }
            "IntDistribution" => {
                self.allow(&["low", "high", "log", "step"])?;
                let log = self.flag("log");
                self.check_texts(log)?;
                self.int_range(log, self.step()?)
            }
            "CategoricalDistribution" => {
                self.allow(&["choices"])?;
                let Some(Json::Array(choices)) = self.json.get("choices") else {
                    return Err(self.error("choices", "not a list"));
                };
                Distribution::categorical(choices.clone()).map_err(range)
            }
            _ => self.legacy(),
        }
    }

    /// The names of Optuna before 3.0, which its journals and old databases may hold.
    fn legacy(&self) -> Result<Distribution, DistributionJsonError> {
        let range = DistributionJsonError::Range;
        match self.name {
            "UniformDistribution" | "LogUniformDistribution" => {
                self.allow(&["low", "high"])?;
                let log = self.name == "LogUniformDistribution";
                Distribution::float(self.float("low")?, self.float("high")?, log, None)
                    .map_err(range)
            }
            "DiscreteUniformDistribution" => {
                self.allow(&["low", "high", "q"])?;
                let step = Some(self.float("q")?);
                Distribution::float(self.float("low")?, self.float("high")?, false, step)
                    .map_err(range)
            }
            "IntUniformDistribution" | "IntLogUniformDistribution" => {
                self.allow(&["low", "high", "step"])?;
                let log = self.name == "IntLogUniformDistribution";
                let step = self.step()?;
                // Optuna converts the old log-scaled class with a step of 1, whatever the row says.
                self.int_range(log, if log { BigDecimal::from(1) } else { step })
            }
            name => Err(DistributionJsonError::UnknownName { name: name.to_owned() }),
        }
    }

    fn error(&self, attribute: &str, problem: &'static str) -> DistributionJsonError {
        DistributionJsonError::Attribute {
            name: self.name.to_owned(),
            attribute: attribute.to_owned(),
            problem,
        }
    }

    fn allow(&self, wanted: &[&str]) -> Result<(), DistributionJsonError> {
        let Json::Object(members) = self.json else { return Ok(()) };
        match members
            .iter()
            .find(|(key, _)| !wanted.contains(&key.as_str()) && !self.known.contains(&key.as_str()))
        {
            Some((key, _)) => Err(self.error(key, "unknown")),
            None => Ok(()),
        }
    }

    fn optional<T>(
        &self,
        attribute: &str,
        read: impl Fn(&Json) -> Option<T>,
    ) -> Result<Option<T>, DistributionJsonError> {
        match self.json.get(attribute) {
            None | Some(Json::Null) => Ok(None),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => Err(self.error(attribute, "not a number")),
            },
        }
    }

    fn float(&self, attribute: &str) -> Result<f64, DistributionJsonError> {
        self.optional(attribute, python_float)?.ok_or_else(|| self.error(attribute, "missing"))
    }

    fn int_range(
        &self,
        log: bool,
        step: BigDecimal,
    ) -> Result<Distribution, DistributionJsonError> {
        let [low, high] = ["low", "high"].map(|bound| {
            self.optional(bound, python_int)?.ok_or_else(|| self.error(bound, "missing"))
        });
        Distribution::int_beyond_64_bits(low?, high?, log, step)
            .map_err(DistributionJsonError::Range)
    }

    fn step(&self) -> Result<BigDecimal, DistributionJsonError> {
        // Python compares the step with 0, which fails for a text.
        if self.json.get_str("step").is_some() {
            return Err(self.error("step", "not a number"));
        }
        Ok(self.optional("step", python_int)?.unwrap_or_else(|| BigDecimal::from(1)))
    }

    /// Returns the truth that Python sees in a value: its constructors take any.
    fn flag(&self, attribute: &str) -> bool {
        match self.json.get(attribute) {
            None | Some(Json::Null) => false,
            Some(Json::Bool(value)) => *value,
            Some(Json::Int(value)) => *value != 0,
            Some(Json::Float(value)) => *value != 0.0,
            Some(Json::String(text)) => !text.is_empty(),
            Some(Json::Array(items)) => !items.is_empty(),
            Some(Json::Object(members)) => !members.is_empty(),
            Some(Json::BigInt(_) | Json::IllFormedString(_)) => true,
        }
    }

    /// Checks bounds that are texts as Python's constructors do, which compare them before they read numbers in them.
    fn check_texts(&self, log: bool) -> Result<(), DistributionJsonError> {
        match (self.json.get_str("low"), self.json.get_str("high")) {
            (None, None) => Ok(()),
            (Some(low), Some(high)) if !log && low <= high => Ok(()),
            (Some(_), Some(_)) => Err(self.error("low", "a text that is not below `high`")),
            (Some(_), None) => Err(self.error("low", "a text, and `high` is none")),
            (None, Some(_)) => Err(self.error("high", "a text, and `low` is none")),
        }
    }
}

/// Returns the result of Python's `float()`.
fn python_float(json: &Json) -> Option<f64> {
    json.as_f64().or_else(|| json.as_str()?.trim().parse().ok())
}

/// Returns the result of Python's `int()`, of any size: a float loses its fraction.
fn python_int(json: &Json) -> Option<BigDecimal> {
    match json {
        Json::Bool(value) => Some(BigDecimal::from(i64::from(*value))),
        Json::Int(value) => Some(BigDecimal::from(*value)),
        Json::BigInt(digits) => digits.parse().ok(),
        Json::Float(value) if value.is_finite() => format!("{:.0}", value.trunc()).parse().ok(),
        Json::String(text) => {
            let text = text.trim();
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if is_whole { text.parse().ok() } else { None }
        }
        _ => None,
    }
}

/// Returns a whole number as JSON.
fn whole(value: &BigDecimal) -> Json {
    match value.to_i64() {
        Some(value) => Json::Int(value),
        None => Json::BigInt(digits(value)),
    }
}

/// Returns whether a value is `low` plus a multiple of `step`, with Optuna's tolerance, because grid points are sums of
/// decimals and need not be exact; and with that of floats, which is larger where the values are many steps from 0.
fn is_grid_point(value: f64, low: f64, step: f64) -> bool {
    let k = (value - low) / step;
    let rounding = 4.0 * f64::EPSILON * low.abs().max(value.abs()) / step;
    (k - k.round_ties_even()).abs() < 1e-8 + rounding
}

/// The largest `low + k·step` that is not above `high`, in decimal arithmetic on the shortest
/// representations, so that (0, 0.3, 0.1) keeps its 0.3 and (0, 1, 0.3) ends at 0.9.
fn last_grid_point(low: f64, high: f64, step: f64) -> f64 {
    // Infinite bounds have no decimal form; they are refused before anything is sampled.
    let (Some(d_low), Some(d_high), Some(d_step)) = (decimal(low), decimal(high), decimal(step))
    else {
        return high;
    };
    let range = &d_high - &d_low;
    if (&range % &d_step).is_zero() {
        return high;
    }
    let steps = (&range / &d_step).with_scale_round(0, bigdecimal::RoundingMode::Down);
    (steps * d_step + d_low).to_string().parse().unwrap_or(high)
}

/// The shortest decimal that is read back as this float.
fn decimal(value: f64) -> Option<BigDecimal> {
    format!("{value:e}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn float(low: f64, high: f64, log: bool, step: Option<f64>) -> Distribution {
        Distribution::float(low, high, log, step).expect("a valid range")
    }

    fn int(low: i64, high: i64, log: bool, step: i64) -> Distribution {
        Distribution::int(low, high, log, step).expect("a valid range")
    }

    /// The table of `optuna-storage` section 2.5, taken from Optuna 5.0.0.
    #[test]
    fn high_is_lowered_to_the_grid_in_decimal_arithmetic() {
        for (low, high, step, want) in [
            (0.0, 1.0, 0.3, 0.9),
            (0.1, 0.35, 0.1, 0.3),
            (0.0, 1.05, 0.1, 1.0),
            (0.0, 1e-05, 3e-06, 9e-06),
            (-1.0, 1.0, 0.7, 0.4),
            (0.0, 0.3, 0.1, 0.3),
        ] {
            let Distribution::Float(found) = float(low, high, false, Some(step)) else {
                unreachable!()
            };
            assert_eq!(found.high(), want, "({low}, {high}, {step})");
        }
        let Distribution::Int(found) = int(0, 10, false, 3) else { unreachable!() };
        assert_eq!(found.high(), 9);
    }

    #[test]
    fn the_points_of_a_grid_are_the_decimals_that_people_write() {
        let Distribution::Float(found) = float(0.0, 1.0, false, Some(0.1)) else { unreachable!() };
        assert_eq!([0, 1, 3, 7, 10].map(|k| found.grid_point(k)), [0.0, 0.1, 0.3, 0.7, 1.0]);
        let Distribution::Float(found) = float(-0.25, 2.0, false, None) else { unreachable!() };
        assert_eq!(found.grid_point(3), -0.25);
    }

    /// Python: `suggest_int("seed", 0, 2**64 - 1)`.
    #[test]
    fn integers_beyond_64_bits_are_read_and_written_in_full() {
        for (log, step, low, high, shown) in [
            (false, 1, "0", "18446744073709551615", "int 0 to 18446744073709551615"),
            (false, 7, "-100000000000000000000", "5", "int -100000000000000000000 to 5, step 7"),
            (true, 1, "1", "36893488147419103232", "int 1 to 36893488147419103232, log"),
        ] {
            let attributes =
                format!(r#""log": {log}, "step": {step}, "low": {low}, "high": {high}"#);
            let text = format!(r#"{{"name": "IntDistribution", "attributes": {{{attributes}}}}}"#);
            let found = Distribution::from_json_text(&text).expect(&text);
            assert_eq!(found.to_string(), shown);
            let again = Distribution::from_json_text(&found.to_json_text()).expect(shown);
            assert_eq!((again.to_string(), again == found), (shown.to_owned(), true));
            let error = found.require_suggestible().expect_err(shown).to_string();
            let bound = if low.len() > 16 { low } else { high };
            assert!(error.ends_with(&format!("but it is {bound}")), "{error}");
            assert_eq!(found.check_compatible(&int(1, 9, log, 1)), Ok(()));
        }
        let attributes = r#"{"low": 0, "high": 18446744073709551615}"#;
        let text = format!(r#"{{"name": "IntDistribution", "attributes": {attributes}}}"#);
        let wide = Distribution::from_json_text(&text).expect("a range");
        assert!(wide.contains(1.2e19) && !wide.contains(-1.0) && !wide.contains(1e20));
        let external = Json::BigInt("12000000000000000000".to_owned());
        assert_eq!(wide.to_external(1.2e19), external);
        assert_eq!(wide.to_internal(&external), Ok(1.2e19));
        assert_eq!(wide.to_external(5.0), Json::Int(5));
    }

    #[test]
    fn json_is_what_optuna_writes() {
        let choices =
            vec![Json::Null, true.into(), 1i64.into(), 2.5.into(), "é".into(), "x".into()];
        for (distribution, want) in [
            (
                float(0.0, 1.0, false, None),
                r#"{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}"#,
            ),
            (
                float(1e-5, 0.1, true, None),
                concat!(
                    r#"{"name": "FloatDistribution", "#,
                    r#""attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}"#
                ),
            ),
            (
                float(0.0, 1.0, false, Some(0.1)),
                r#"{"name": "FloatDistribution", "attributes": {"step": 0.1, "low": 0.0, "high": 1.0, "log": false}}"#,
            ),
            (
                int(1, 10, false, 1),
                r#"{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 10}}"#,
            ),
            (
                Distribution::categorical(choices).expect("choices"),
                concat!(
                    r#"{"name": "CategoricalDistribution", "#,
                    r#""attributes": {"choices": [null, true, 1, 2.5, "\u00e9", "x"]}}"#
                ),
            ),
        ] {
            assert_eq!(distribution.to_json_text(), want);
            assert_eq!(Distribution::from_json_text(want), Ok(distribution));
        }
    }

    #[test]
    fn legacy_and_abbreviated_forms_are_read() {
        for (text, want) in [
            (
                r#"{"name": "UniformDistribution", "attributes": {"low": 0, "high": 1}}"#,
                float(0.0, 1.0, false, None),
            ),
            (
                r#"{"name": "LogUniformDistribution", "attributes": {"low": 0.1, "high": 1}}"#,
                float(0.1, 1.0, true, None),
            ),
            (
                r#"{"name": "DiscreteUniformDistribution", "attributes": {"low": 0, "high": 1, "q": 0.3}}"#,
                float(0.0, 0.9, false, Some(0.3)),
            ),
            (
                r#"{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 9, "step": 2}}"#,
                int(1, 9, false, 2),
            ),
            (
                r#"{"name": "IntLogUniformDistribution", "attributes": {"low": 1, "high": 9, "step": 1}}"#,
                int(1, 9, true, 1),
            ),
            (r#"{"type": "int", "low": 1.0, "high": 9.9}"#, int(1, 9, false, 1)),
        ] {
            assert_eq!(Distribution::from_json_text(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn a_grid_of_two_points_is_not_single_though_its_width_rounds_below_a_step() {
        let single =
            |low, high| Distribution::float(low, high, false, Some(0.2)).expect("a grid").single();
        // 0.3 − 0.1 is 0.19999999999999998.
        assert_eq!(single(0.1, 0.3), None);
        assert_eq!(single(0.1, 0.29), Some(0.1));
    }

    #[test]
    fn integers_that_floats_cannot_all_hold_are_read_though_not_offered() {
        let text = |low: i64, high: i64, step: i64| {
            let attributes =
                format!(r#"{{"log": false, "step": {step}, "low": {low}, "high": {high}}}"#);
            format!(r#"{{"name": "IntDistribution", "attributes": {attributes}}}"#)
        };
        let read = |text: &str| Distribution::from_json_text(text).expect("Optuna reads it");
        let widest = read(&text(i64::MIN, i64::MAX, 1));
        assert_eq!(widest.to_json_text(), text(i64::MIN, i64::MAX, 1));
        assert!(widest.contains(-1e18) && widest.contains(1e18) && widest.single().is_none());
        let grid = read(&text(i64::MIN, i64::MAX, 1 << 62));
        assert_eq!(grid.to_json_text(), text(i64::MIN, 1 << 62, 1 << 62));
        assert!(grid.contains(2f64.powi(62)) && !grid.contains(1.0));
        assert!(Distribution::int(i64::MIN, i64::MAX, false, 1).is_err());
    }

    #[test]
    fn what_python_would_refuse_to_read_is_refused() {
        let message = |text: &str| Distribution::from_json_text(text).expect_err(text).to_string();
        assert_eq!(
            message(
                r#"{"name": "FloatDistribution", "attributes": {"low": 0, "high": 1, "unit": "m"}}"#
            ),
            "the attribute `unit` of a FloatDistribution is unknown"
        );
        assert_eq!(
            message(r#"{"name": "Normal", "attributes": {}}"#),
            "unknown distribution `Normal`"
        );
        assert_eq!(
            message(r#"{"name": "IntDistribution", "attributes": {"low": 0}}"#),
            "the attribute `high` of a IntDistribution is missing"
        );
    }

    #[test]
    fn a_bad_range_is_named_with_its_values() {
        let message = |result: Result<Distribution, DistributionError>| {
            result.expect_err("a bad range").to_string()
        };
        assert_eq!(
            message(Distribution::float(0.0, 1.0, true, None)),
            "a log-scaled parameter needs `low` > 0, but `low` is 0.0"
        );
        assert_eq!(
            message(Distribution::int(3, 1, false, 1)),
            "`low` must not be greater than `high`, but `low` is 3 and `high` is 1"
        );
        assert_eq!(message(Distribution::int(0, 9, false, 0)), "`step` must be >= 1, but it is 0");
        assert_eq!(
            message(Distribution::float(f64::NAN, 1.0, false, None)),
            "`low` must be a number, but it is NaN"
        );
        assert_eq!(
            message(Distribution::categorical(vec![])),
            "a categorical parameter needs at least one choice"
        );
        assert!(message(Distribution::int(0, i64::MAX, false, 1)).contains("±2^53"));
    }

    #[test]
    fn a_range_is_sampled_only_if_its_width_is_a_float() {
        let infinite = |low, high, step| match float(low, high, false, step).require_drawable() {
            Err(DistributionError::Infinite { name, .. }) => Some(name),
            _ => None,
        };
        assert_eq!(infinite(-8e307, 8e307, None), None);
        assert_eq!(infinite(-1e308, 1e308, None), Some("high - low"));
        assert_eq!(infinite(0.0, 1.5e308, Some(7e307)), Some("high - low"));
        assert_eq!(infinite(0.0, 1.0, Some(f64::INFINITY)), Some("step"));
        assert_eq!(infinite(f64::NEG_INFINITY, 1.0, None), Some("low"));
        let message = |distribution: Distribution| {
            distribution.require_drawable().expect_err("it cannot be drawn from").to_string()
        };
        assert_eq!(
            message(float(0.0, 1.0, false, Some(1e-300))),
            "`step` must divide `high - low` into fewer than 10^28 parts, but it is 1e-300"
        );
        assert_eq!(float(0.0, 1.0, false, Some(1e-27)).require_drawable(), Ok(()));
    }

    #[test]
    fn integers_beyond_those_of_floats_are_drawn_only_if_floats_cannot_leave_the_range() {
        let check = |low, high, log, step| {
            let distribution = Distribution::int_of_any_size(low, high, log, step);
            distribution.expect("a range").require_drawable().is_ok()
        };
        assert!(check(i64::MIN, i64::MAX, false, 1) && check(1, i64::MAX, true, 1));
        assert!(check(-(1 << 53), 1 << 53, false, 7));
        assert!(!check(0, i64::MAX, false, 3));
        // 2⁵³ + 1 becomes 2⁵³, which is below.
        assert!(!check((1 << 53) + 1, (1 << 53) + 9, false, 1));
    }

    #[test]
    fn what_a_column_cannot_hold_is_not_stored_and_what_is_out_of_range_is() {
        let choices = Distribution::categorical(vec!["a".into()]).expect("choices");
        let (float, int) = (float(0.0, 1.0, false, None), int(0, 9, false, 1));
        for distribution in [&float, &int, &choices] {
            assert_eq!(distribution.require_storable(f64::NAN), Err(UnstorableValue::Nan));
            assert_eq!(distribution.require_storable(1e300), Ok(()));
        }
        assert_eq!(float.require_storable(f64::INFINITY), Ok(()));
        let message = int.require_storable(f64::INFINITY).expect_err("no integer").to_string();
        assert_eq!(message, "expected an integer, found an infinite number");
        assert!(choices.require_storable(f64::NEG_INFINITY).is_err());
    }

    #[test]
    fn compatibility_allows_other_ranges_and_nothing_else() {
        let choices = |texts: &[Json]| Distribution::categorical(texts.to_vec()).expect("choices");
        assert_eq!(
            float(0.0, 1.0, false, None).check_compatible(&float(5.0, 9.0, false, Some(0.5))),
            Ok(())
        );
        assert_eq!(
            float(0.1, 1.0, false, None).check_compatible(&float(0.1, 1.0, true, None)),
            Err(Incompatible::Log)
        );
        assert_eq!(
            float(0.0, 1.0, false, None).check_compatible(&int(0, 1, false, 1)),
            Err(Incompatible::Kind)
        );
        assert_eq!(
            choices(&[1i64.into(), Json::Null])
                .check_compatible(&choices(&[1.0.into(), Json::Null])),
            Ok(())
        );
        assert_eq!(
            choices(&["a".into(), "b".into()])
                .check_compatible(&choices(&["b".into(), "a".into()])),
            Err(Incompatible::Choices)
        );
    }

    #[test]
    fn external_values_become_internal_as_in_optuna() {
        let choices =
            Distribution::categorical(vec![true.into(), 1i64.into(), f64::NAN.into(), "a".into()])
                .expect("choices");
        assert_eq!(choices.to_internal(&1.0.into()), Ok(0.0));
        assert_eq!(choices.to_internal(&f64::NAN.into()), Ok(2.0));
        assert_eq!(
            choices.to_internal(&"b".into()).expect_err("no choice").to_string(),
            "\"b\" is none of the choices [true, 1, NaN, \"a\"]"
        );
        assert_eq!(int(0, 9, false, 1).to_internal(&2.7.into()), Ok(2.0));
        assert_eq!(float(0.0, 9.0, false, None).to_internal(&"2.5".into()), Ok(2.5));
        assert!(float(0.0, 9.0, false, None).to_internal(&f64::NAN.into()).is_err());
    }

    fn any_distribution() -> impl Strategy<Value = Distribution> {
        let floats =
            (-1e9..1e9, 0.0..1e9).prop_map(|(low, width)| float(low, low + width, false, None));
        // Where the grid's points have more digits than a float holds, Optuna too lowers `high` at each reading.
        let thousandths = |value: i32| f64::from(value) / 1000.0;
        let stepped =
            (-1_000_000..1_000_000, 0..1_000_000, 1..9999).prop_map(move |(low, width, step)| {
                float(thousandths(low), thousandths(low + width), false, Some(thousandths(step)))
            });
        let log_floats =
            (1e-9..1e9, 1.0..1e6).prop_map(|(low, factor)| float(low, low * factor, true, None));
        let ints = (-1_000_000i64..1_000_000, 0i64..1_000_000, 1i64..1000)
            .prop_map(|(low, width, step)| int(low, low + width, false, step));
        let choices = proptest::collection::vec(any::<i64>().prop_map(Json::Int), 1..9)
            .prop_map(|choices| Distribution::categorical(choices).expect("choices"));
        prop_oneof![floats, stepped, log_floats, ints, choices]
    }

    proptest! {
        // A case that failed is kept as a test of its own, not in a file beside the sources.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn proptest_json_round_trips(distribution in any_distribution()) {
            prop_assert_eq!(Distribution::from_json_text(&distribution.to_json_text()), Ok(distribution));
        }

        #[test]
        fn proptest_the_last_grid_point_is_on_the_grid(low in -1e6..1e6, width in 0.0..1e6, step in 1e-2..1e2) {
            let distribution = float(low, low + width, false, Some(step));
            let Distribution::Float(found) = &distribution else { unreachable!() };
            prop_assert!(found.high() <= low + width);
            prop_assert!(distribution.contains(found.high()));
        }
    }
}
