//! Optuna's JSON of a distribution, as the column `distribution_json` holds it.

use super::{CategoricalDistribution, Distribution, DistributionJsonError, FloatDistribution};
use crate::value::json::Json;
use bigdecimal::BigDecimal;

impl Distribution {
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
                ("CategoricalDistribution", vec![("choices", Json::Array(choices.to_vec()))])
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
