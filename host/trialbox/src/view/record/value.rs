//! Values of an Optuna study as strict JSON.
//!
//! Optuna's databases hold what strict JSON lacks. As in optuna-dashboard, NaN and the infinities are printed as the
//! strings `"nan"`, `"inf"` and `"-inf"`.

use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeMap;
use trialbox_core::value::json::python_repr;
use trialbox_core::{Distribution, Json, Param};

/// A number, or one of the strings `"nan"`, `"inf"`, `"-inf"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Float(pub(crate) f64);

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            value => serializer.serialize_str(&python_repr(value)),
        }
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Float {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Float".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number, or one of the strings that stand for what JSON numbers cannot.",
            "anyOf": [{ "type": "number" }, { "enum": ["nan", "inf", "-inf"] }],
        })
    }
}

/// Returns several floats.
pub(crate) fn floats(values: &[f64]) -> Vec<Float> {
    values.iter().copied().map(Float).collect()
}

/// Returns a value of an Optuna database as strict JSON. An integer beyond 64 bits becomes a string of its digits.
pub(crate) fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::from(*value),
        Json::Int(value) => Value::from(*value),
        // Seeds are larger than the storage's integers, and still numbers.
        Json::BigInt(digits) => match digits.parse::<u64>() {
            Ok(number) => Value::from(number),
            Err(_) => Value::from(digits.clone()),
        },
        Json::Float(value) if value.is_finite() => Value::from(*value),
        Json::Float(value) => Value::from(python_repr(*value)),
        Json::String(text) => Value::from(text.clone()),
        Json::IllFormedString(units) => Value::from(String::from_utf16_lossy(units)),
        Json::Array(items) => items.iter().map(to_value).collect(),
        Json::Object(members) => Value::Object(
            members.iter().map(|(key, value)| (key.clone(), to_value(value))).collect(),
        ),
    }
}

/// Returns an object from its members.
pub(crate) fn object<'a>(
    members: impl IntoIterator<Item = (&'a String, &'a Json)>,
) -> BTreeMap<String, Value> {
    members.into_iter().map(|(key, value)| (key.clone(), to_value(value))).collect()
}

/// Returns parameters by name, as the objective saw them.
pub(crate) fn params(params: &[(String, Param)]) -> BTreeMap<String, Value> {
    params.iter().map(|(name, param)| (name.clone(), to_value(&param.external()))).collect()
}

/// Returns a distribution in Optuna's form.
pub(crate) fn distribution(distribution: &Distribution) -> Value {
    match Json::parse(&distribution.to_json_text()) {
        Ok(json) => to_value(&json),
        Err(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_strict_json_lacks_becomes_a_string() {
        assert_eq!(serde_json::to_value(Float(f64::INFINITY)).ok(), Some(Value::from("inf")));
        assert_eq!(serde_json::to_value(Float(0.5)).ok(), Some(Value::from(0.5)));
        assert_eq!(to_value(&Json::Array(vec![f64::NAN.into(), 1i64.into()])), json!(["nan", 1]));
    }
}
