//! Conditions on trials: `lr<0.01`, `activation=relu`.

use super::key::{Key, Value};
use crate::error::CommandError;
use std::cmp::Ordering;
use trialbox_core::{FrozenTrial, StudyRecord};

/// A condition as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    name: String,
    operator: Operator,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// The operators, those of two characters before their first one.
const OPERATORS: [(&str, Operator); 7] = [
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("!=", Operator::NotEqual),
    ("==", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("=", Operator::Equal),
];

impl Condition {
    /// Reads a condition on the command line.
    ///
    /// # Errors
    /// Fails if it is not a name, an operator and a value.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("expected a condition such as lr<0.01 or activation=relu, found `{text}`");
        let at = text.find(['<', '>', '=', '!']).ok_or_else(wrong)?;
        let (name, rest) = text.split_at(at);
        let (word, operator) =
            OPERATORS.into_iter().find(|(word, _)| rest.starts_with(word)).ok_or_else(wrong)?;
        let (name, value) = (name.trim(), rest[word.len()..].trim());
        if name.is_empty() || value.is_empty() {
            return Err(wrong());
        }
        Ok(Condition { name: name.to_owned(), operator, value: Value::parse(value) })
    }

    /// Returns the condition on trials of a study.
    ///
    /// # Errors
    /// A name that the study does not have.
    pub(super) fn of_study(
        &self,
        study: &StudyRecord,
        trials: &[FrozenTrial],
    ) -> Result<impl Fn(&FrozenTrial) -> bool + use<>, CommandError> {
        let key = Key::find(&self.name, study, trials)?;
        let Condition { operator, value, .. } = self.clone();
        Ok(move |trial: &FrozenTrial| {
            key.value(trial).is_some_and(|found| operator.holds(&found, &value))
        })
    }
}

impl Operator {
    /// Returns whether a value satisfies the condition. Values of another kind are unequal and in no order.
    fn holds(self, found: &Value, wanted: &Value) -> bool {
        // A choice may be the text `1`.
        let found = match (found, wanted) {
            (Value::Text(text), Value::Number(_)) => Value::parse(text),
            (found, _) => found.clone(),
        };
        let is_same_kind = matches!(
            (&found, wanted),
            (Value::Number(_), Value::Number(_)) | (Value::Text(_), Value::Text(_))
        );
        if !is_same_kind {
            return self == Operator::NotEqual;
        }
        let order = found.compare(wanted);
        match self {
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Greater => order == Ordering::Greater,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::Equal => order == Ordering::Equal,
            Operator::NotEqual => order != Ordering::Equal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_a_name_an_operator_and_a_value() {
        for (text, name, operator, value) in [
            ("lr<0.01", "lr", Operator::Less, Value::Number(0.01)),
            ("lr <= 1e-3", "lr", Operator::LessOrEqual, Value::Number(1e-3)),
            ("act==relu", "act", Operator::Equal, Value::Text("relu".to_owned())),
            ("act=a=b", "act", Operator::Equal, Value::Text("a=b".to_owned())),
            ("x!=-1", "x", Operator::NotEqual, Value::Number(-1.0)),
        ] {
            let want = Condition { name: name.to_owned(), operator, value };
            assert_eq!(Condition::parse(text), Ok(want), "{text}");
        }
        for text in ["lr", "<1", "lr<", "lr!1", ""] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_and_texts_are_compared_as_what_they_are() {
        let text = |text: &str| Value::Text(text.to_owned());
        for (operator, found, wanted, want) in [
            (Operator::Less, Value::Number(9.0), Value::Number(10.0), true),
            (Operator::Less, text("9"), Value::Number(10.0), true),
            (Operator::Equal, text("relu"), text("relu"), true),
            (Operator::Equal, text("relu"), Value::Number(1.0), false),
            (Operator::NotEqual, text("relu"), Value::Number(1.0), true),
            (Operator::Greater, text("relu"), Value::Number(1.0), false),
            (Operator::Equal, Value::Number(f64::NAN), Value::Number(f64::NAN), true),
        ] {
            assert_eq!(operator.holds(&found, &wanted), want, "{found:?} {operator:?} {wanted:?}");
        }
    }
}
