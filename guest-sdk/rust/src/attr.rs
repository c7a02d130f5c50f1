//! User attributes, and their JSON text.

use std::fmt::{self, Write};

use crate::Choice;

/// The value of a user attribute, for [`Trial::set_user_attr`](crate::Trial::set_user_attr).
///
/// Booleans, numbers and texts convert into it, and so do vectors, slices and options of these. Its
/// `Display` is JSON as Python's `json` module reads it:
///
/// ```
/// use trialbox_guest::Attr;
///
/// assert_eq!(Attr::from("a \"b\"").to_string(), r#""a \"b\"""#);
/// assert_eq!(Attr::from([0.5, 1.0, f64::NAN]).to_string(), "[0.5,1.0,NaN]");
/// assert_eq!(Attr::from(None::<i32>).to_string(), "null");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Attr {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer, wide enough for `i64` and `u64`.
    Int(i128),
    /// A floating-point number. The infinities and NaN are allowed.
    Float(f64),
    /// A text.
    Str(String),
    /// A list, whose elements may be of different types.
    List(Vec<Attr>),
}

/// Writes JSON, with `NaN`, `Infinity` and `-Infinity` as in Python's `json` module.
impl fmt::Display for Attr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attr::Null => f.write_str("null"),
            Attr::Bool(value) => write!(f, "{value}"),
            Attr::Int(value) => write!(f, "{value}"),
            Attr::Float(value) => write_float(*value, f),
            Attr::Str(value) => write_text(value, f),
            Attr::List(values) => write_list(values, f),
        }
    }
}

fn write_float(value: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if value.is_nan() {
        f.write_str("NaN")
    } else if value == f64::INFINITY {
        f.write_str("Infinity")
    } else if value == f64::NEG_INFINITY {
        f.write_str("-Infinity")
    } else {
        // `Display` would write 1.0 as the integer 1; `Debug` keeps the point.
        write!(f, "{value:?}")
    }
}

fn write_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\0'..='\x1f' => write!(f, "\\u{:04x}", u32::from(character))?,
            _ => f.write_char(character)?,
        }
    }
    f.write_char('"')
}

fn write_list(values: &[Attr], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('[')?;
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            f.write_char(',')?;
        }
        write!(f, "{value}")?;
    }
    f.write_char(']')
}

impl From<bool> for Attr {
    fn from(value: bool) -> Self {
        Attr::Bool(value)
    }
}

impl From<f64> for Attr {
    fn from(value: f64) -> Self {
        Attr::Float(value)
    }
}

impl From<f32> for Attr {
    fn from(value: f32) -> Self {
        Attr::Float(value.into())
    }
}

impl From<&str> for Attr {
    fn from(value: &str) -> Self {
        Attr::Str(value.to_owned())
    }
}

impl From<&String> for Attr {
    fn from(value: &String) -> Self {
        Attr::Str(value.clone())
    }
}

impl From<String> for Attr {
    fn from(value: String) -> Self {
        Attr::Str(value)
    }
}

impl From<Choice> for Attr {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::None => Attr::Null,
            Choice::Bool(value) => value.into(),
            Choice::Int(value) => value.into(),
            Choice::Float(value) => value.into(),
            Choice::Str(value) => value.into(),
        }
    }
}

impl<T: Into<Attr>> From<Option<T>> for Attr {
    fn from(value: Option<T>) -> Self {
        value.map_or(Attr::Null, Into::into)
    }
}

impl<T: Into<Attr>> From<Vec<T>> for Attr {
    fn from(values: Vec<T>) -> Self {
        Attr::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Attr>, const N: usize> From<[T; N]> for Attr {
    fn from(values: [T; N]) -> Self {
        Attr::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Clone + Into<Attr>> From<&[T]> for Attr {
    fn from(values: &[T]) -> Self {
        Attr::List(values.iter().cloned().map(Into::into).collect())
    }
}

impl<T: Clone + Into<Attr>> From<&Vec<T>> for Attr {
    fn from(values: &Vec<T>) -> Self {
        values.as_slice().into()
    }
}

impl<T: Clone + Into<Attr>, const N: usize> From<&[T; N]> for Attr {
    fn from(values: &[T; N]) -> Self {
        values.as_slice().into()
    }
}

macro_rules! from_integers {
    ($($integer:ty)+) => {$(
        impl From<$integer> for Attr {
            fn from(value: $integer) -> Self {
                Attr::Int(value as i128)
            }
        }
    )+};
}

from_integers! { i8 i16 i32 i64 isize u8 u16 u32 u64 usize }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_stays_a_float() {
        check(1.0, "1.0");
        check(-0.0, "-0.0");
        check(1e-7, "1e-7");
        check(1e300, "1e300");
    }

    #[test]
    fn what_is_not_finite_is_written_as_python_does() {
        check(f64::NAN, "NaN");
        check([f64::INFINITY, f64::NEG_INFINITY], "[Infinity,-Infinity]");
    }

    #[test]
    fn texts_are_escaped() {
        check("tab\t \"quote\" back\\slash\r\n", r#""tab\t \"quote\" back\\slash\r\n""#);
        check("\u{1}\u{1f}é", "\"\\u0001\\u001fé\"");
    }

    #[test]
    fn the_largest_seed_fits() {
        check(u64::MAX, "18446744073709551615");
    }

    #[test]
    fn lists_nest() {
        check(vec![vec![1, 2], vec![]], "[[1,2],[]]");
        check([Some("a"), None], "[\"a\",null]");
        let borrowed = vec![true, false];
        check(&borrowed, "[true,false]");
        check(borrowed.as_slice(), "[true,false]");
    }

    #[track_caller]
    fn check(value: impl Into<Attr>, json: &str) {
        assert_eq!(value.into().to_string(), json);
    }
}
