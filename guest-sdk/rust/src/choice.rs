//! The values that a parameter can have.

use std::fmt;

/// One choice of a categorical parameter, with the types that Optuna stores.
///
/// [`Trial::suggest_categorical`](crate::Trial::suggest_categorical) accepts choices of any type that
/// converts into this one. Objectives name it only for choices of different types:
///
/// ```
/// use trialbox_guest::{Choice, Trial};
///
/// let mut trial = Trial::fixed([("max_features", "sqrt".into())]);
/// let max_features = trial
///     .suggest_categorical("max_features", &["sqrt".into(), 0.5.into(), 10.into(), Choice::None]);
/// let used = match max_features {
///     Choice::Str(name) if name == "sqrt" => 8.0,
///     Choice::Float(fraction) => fraction * 64.0,
///     Choice::Int(number) => number as f64,
///     _ => 64.0,
/// };
/// assert_eq!(used, 8.0);
/// ```
///
/// A custom type becomes a choice through `From`:
///
/// ```
/// use trialbox_guest::{Choice, Trial};
///
/// #[derive(Debug, Clone, PartialEq)]
/// enum Kernel {
///     Linear,
///     Rbf,
/// }
///
/// impl From<Kernel> for Choice {
///     fn from(kernel: Kernel) -> Self {
///         match kernel {
///             Kernel::Linear => "linear".into(),
///             Kernel::Rbf => "rbf".into(),
///         }
///     }
/// }
///
/// let mut trial = Trial::fixed([("kernel", "rbf".into())]);
/// assert_eq!(trial.suggest_categorical("kernel", &[Kernel::Linear, Kernel::Rbf]), Kernel::Rbf);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// Python's `None`.
    None,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Str(String),
}

/// Writes the choice as in Rust source: texts in quotes, whole floats with `.0`.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::None => f.write_str("None"),
            Choice::Bool(value) => write!(f, "{value}"),
            Choice::Int(value) => write!(f, "{value}"),
            Choice::Float(value) => write!(f, "{value:?}"),
            Choice::Str(value) => write!(f, "{value:?}"),
        }
    }
}

impl<T: Into<Choice>> From<Option<T>> for Choice {
    fn from(value: Option<T>) -> Self {
        value.map_or(Choice::None, Into::into)
    }
}

impl From<bool> for Choice {
    fn from(value: bool) -> Self {
        Choice::Bool(value)
    }
}

impl From<f64> for Choice {
    fn from(value: f64) -> Self {
        Choice::Float(value)
    }
}

impl From<f32> for Choice {
    fn from(value: f32) -> Self {
        Choice::Float(value.into())
    }
}

impl From<&str> for Choice {
    fn from(value: &str) -> Self {
        Choice::Str(value.to_owned())
    }
}

impl From<String> for Choice {
    fn from(value: String) -> Self {
        Choice::Str(value)
    }
}

macro_rules! from_integers {
    ($($integer:ty)+) => {$(
        impl From<$integer> for Choice {
            fn from(value: $integer) -> Self {
                Choice::Int(value.into())
            }
        }
    )+};
}

// `u64` and wider types may not fit into an `i64`.
from_integers! { i8 i16 i32 i64 u8 u16 u32 }

/// # Panics
///
/// Panics if the number is greater than `i64::MAX`, the largest that a study can store.
impl From<usize> for Choice {
    fn from(value: usize) -> Self {
        match i64::try_from(value) {
            Ok(value) => Choice::Int(value),
            Err(_) => panic!("expected a choice of at most {}, found {value}", i64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_optuna_stores_converts() {
        assert_eq!(Choice::from(true), Choice::Bool(true));
        assert_eq!(Choice::from(-3), Choice::Int(-3));
        assert_eq!(Choice::from(3_usize), Choice::Int(3));
        assert_eq!(Choice::from(0.5), Choice::Float(0.5));
        assert_eq!(Choice::from("relu"), Choice::Str("relu".to_owned()));
        assert_eq!(Choice::from(Some("relu")), Choice::from("relu"));
        assert_eq!(Choice::from(None::<f64>), Choice::None);
    }

    #[test]
    fn display_tells_the_types_apart() {
        let shown = |choice: Choice| choice.to_string();
        assert_eq!(shown(1.into()), "1");
        assert_eq!(shown(1.0.into()), "1.0");
        assert_eq!(shown("1".into()), "\"1\"");
        assert_eq!(shown(Choice::None), "None");
    }
}
