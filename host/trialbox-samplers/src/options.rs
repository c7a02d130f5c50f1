//! Options of samplers and pruners: a table of named fields, from which the command line is read, errors list
//! the options, and the study's memory is written.
//!
//! A field is a shape and a place. The shape is what values the option takes, and it writes the error of a value
//! that it does not take; the place is where the struct holds it.

use crate::error::{ConfigError, OptionsOf};
use std::ops::RangeInclusive;
use trialbox_core::Json;

/// A struct of options whose fields have names and defaults.
pub trait Options: Default + Clone + 'static {
    /// The fields, in the order in which they are listed.
    const FIELDS: &'static [Field<Self>];
}

/// One option.
pub struct Field<T> {
    name: &'static str,
    shape: Shape<T>,
}

/// The place of an option in its struct.
type Place<T, V> = fn(&mut T) -> &mut V;

enum Shape<T> {
    Flag(Place<T, bool>),
    FlagOrNull(Place<T, Option<bool>>),
    Count { range: RangeInclusive<usize>, place: Place<T, usize> },
    MaybeCount { range: RangeInclusive<usize>, absent: Absent, place: Place<T, Option<usize>> },
    Float { range: RangeInclusive<f64>, place: Place<T, f64> },
    MaybeFloat { range: RangeInclusive<f64>, absent: Absent, place: Place<T, Option<f64>> },
    Custom { get: fn(&T) -> Json, set: fn(&mut T, &Json) -> Result<(), Refusal> },
}

/// The word for an absent value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// `null`.
    Null,
    /// `"auto"`.
    Auto,
    /// None: the option has no default and must be given.
    Required,
}

/// The reason why an option does not take a value.
pub enum Refusal {
    /// The values that it takes, as the end of "expected …".
    Expected(String),
    /// The error of a sampler or pruner that the value describes.
    Nested(ConfigError),
}

impl From<&str> for Refusal {
    fn from(expected: &str) -> Self {
        Refusal::Expected(expected.to_owned())
    }
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Refusal::Nested(error)
    }
}

impl<T: Clone> Field<T> {
    /// Returns a field that takes `true` or `false`.
    pub const fn flag(name: &'static str, place: Place<T, bool>) -> Self {
        Field { name, shape: Shape::Flag(place) }
    }

    /// Returns a field that takes `true`, `false`, or `null` to leave the choice to the sampler.
    pub const fn flag_or_null(name: &'static str, place: Place<T, Option<bool>>) -> Self {
        Field { name, shape: Shape::FlagOrNull(place) }
    }

    /// Returns a field that takes a whole number of at least `least`.
    pub const fn count(name: &'static str, least: usize, place: Place<T, usize>) -> Self {
        Field { name, shape: Shape::Count { range: least..=usize::MAX, place } }
    }

    /// Returns a field that takes a whole number in a range, for a count that costs memory.
    pub const fn count_in(
        name: &'static str,
        range: RangeInclusive<usize>,
        place: Place<T, usize>,
    ) -> Self {
        Field { name, shape: Shape::Count { range, place } }
    }

    /// Returns a field that takes a whole number of at least `least`, or `"auto"` for one that follows from the
    /// history.
    pub const fn count_or_auto(
        name: &'static str,
        least: usize,
        place: Place<T, Option<usize>>,
    ) -> Self {
        Field {
            name,
            shape: Shape::MaybeCount { range: least..=usize::MAX, absent: Absent::Auto, place },
        }
    }

    /// Returns a field that takes a whole number in a range, or `null` for one that follows from the search space.
    pub const fn count_or_null(
        name: &'static str,
        range: RangeInclusive<usize>,
        place: Place<T, Option<usize>>,
    ) -> Self {
        Field { name, shape: Shape::MaybeCount { range, absent: Absent::Null, place } }
    }

    /// Returns a field that takes a whole number of at least `least`, without a default.
    pub const fn required_count(
        name: &'static str,
        least: usize,
        place: Place<T, Option<usize>>,
    ) -> Self {
        Field {
            name,
            shape: Shape::MaybeCount { range: least..=usize::MAX, absent: Absent::Required, place },
        }
    }

    /// Returns a field that takes a number in a range; infinities are numbers, NaN is in no range.
    pub const fn float(
        name: &'static str,
        range: RangeInclusive<f64>,
        place: Place<T, f64>,
    ) -> Self {
        Field { name, shape: Shape::Float { range, place } }
    }

    /// Returns a field that takes a number in a range, or `null`.
    pub const fn float_or_null(
        name: &'static str,
        range: RangeInclusive<f64>,
        place: Place<T, Option<f64>>,
    ) -> Self {
        Field { name, shape: Shape::MaybeFloat { range, absent: Absent::Null, place } }
    }

    /// Returns a field that takes a number in a range, without a default.
    pub const fn required_float(
        name: &'static str,
        range: RangeInclusive<f64>,
        place: Place<T, Option<f64>>,
    ) -> Self {
        Field { name, shape: Shape::MaybeFloat { range, absent: Absent::Required, place } }
    }

    /// Returns a field of a shape of its own.
    pub const fn custom(
        name: &'static str,
        get: fn(&T) -> Json,
        set: fn(&mut T, &Json) -> Result<(), Refusal>,
    ) -> Self {
        Field { name, shape: Shape::Custom { get, set } }
    }

    fn get(&self, options: &T) -> Json {
        // A place needs a mutable struct, so that one accessor serves reading and writing.
        let mut options = options.clone();
        match &self.shape {
            Shape::Flag(place) => Json::from(*place(&mut options)),
            Shape::FlagOrNull(place) => place(&mut options).map_or(Json::Null, Json::from),
            Shape::Count { place, .. } => count(*place(&mut options)),
            Shape::MaybeCount { absent, place, .. } => {
                place(&mut options).map_or(absent.word(), count)
            }
            Shape::Float { place, .. } => Json::from(*place(&mut options)),
            Shape::MaybeFloat { absent, place, .. } => {
                place(&mut options).map_or(absent.word(), Json::from)
            }
            Shape::Custom { get, .. } => get(&options),
        }
    }

    fn set(&self, options: &mut T, value: &Json) -> Result<(), Refusal> {
        let is_taken = match &self.shape {
            Shape::Flag(place) => store(as_flag(value), place(options)),
            Shape::FlagOrNull(place) => {
                store(or_absent(value, Absent::Null, as_flag), place(options))
            }
            Shape::Count { range, place } => store(as_count(value, range), place(options)),
            Shape::MaybeCount { range, absent, place } => {
                store(or_absent(value, *absent, |value| as_count(value, range)), place(options))
            }
            Shape::Float { range, place } => store(as_float(value, range), place(options)),
            Shape::MaybeFloat { range, absent, place } => {
                store(or_absent(value, *absent, |value| as_float(value, range)), place(options))
            }
            Shape::Custom { set, .. } => return set(options, value),
        };
        if is_taken { Ok(()) } else { Err(Refusal::Expected(self.expected())) }
    }

    /// Returns the values that the option takes, as the end of "expected …".
    fn expected(&self) -> String {
        match &self.shape {
            Shape::Flag(_) => "true or false".to_owned(),
            Shape::FlagOrNull(_) => "true, false or null".to_owned(),
            Shape::Count { range, .. } => counts(range),
            Shape::MaybeCount { range, absent, .. } => counts(range) + absent.or(),
            Shape::Float { range, .. } => numbers(range),
            Shape::MaybeFloat { range, absent, .. } => numbers(range) + absent.or(),
            Shape::Custom { .. } => String::new(),
        }
    }
}

impl Absent {
    fn word(self) -> Json {
        match self {
            Absent::Auto => Json::from("auto"),
            Absent::Null | Absent::Required => Json::Null,
        }
    }

    fn or(self) -> &'static str {
        match self {
            Absent::Null => ", or null",
            Absent::Auto => ", or \"auto\"",
            Absent::Required => "",
        }
    }
}

/// Stores a value if there is one; returns whether there is.
fn store<V>(value: Option<V>, place: &mut V) -> bool {
    let Some(value) = value else { return false };
    *place = value;
    true
}

fn as_flag(value: &Json) -> Option<bool> {
    if let Json::Bool(value) = value { Some(*value) } else { None }
}

fn as_count(value: &Json, range: &RangeInclusive<usize>) -> Option<usize> {
    let Json::Int(value) = value else { return None };
    usize::try_from(*value).ok().filter(|value| range.contains(value))
}

fn as_float(value: &Json, range: &RangeInclusive<f64>) -> Option<f64> {
    // Python counts `True` as 1, which is never meant here.
    if matches!(value, Json::Bool(_)) {
        return None;
    }
    value.as_f64().filter(|value| range.contains(value))
}

/// Reads the word for an absent value as `Some(None)`, and any other value with `read`.
fn or_absent<V>(
    value: &Json,
    absent: Absent,
    read: impl Fn(&Json) -> Option<V>,
) -> Option<Option<V>> {
    if absent != Absent::Required && *value == absent.word() {
        return Some(None);
    }
    read(value).map(Some)
}

/// Returns the whole numbers of a range in words.
fn counts(range: &RangeInclusive<usize>) -> String {
    match range.clone().into_inner() {
        (least, usize::MAX) => format!("a whole number of at least {least}"),
        (least, most) => format!("a whole number from {least} to {most}"),
    }
}

/// Returns the numbers of a range in words.
fn numbers(range: &RangeInclusive<f64>) -> String {
    let (low, high) = range.clone().into_inner();
    match (low == f64::NEG_INFINITY, high >= f64::MAX) {
        (true, true) => "a number".to_owned(),
        (false, true) => format!("a number of at least {low}"),
        (_, false) => format!("a number from {low} to {high}"),
    }
}

/// Returns a whole number as JSON.
pub(crate) fn count(value: usize) -> Json {
    Json::from(value as u64)
}

/// Reads `NAME=VALUE`, the value being JSON, one of Python's `True`, `False` and `None`, or else a text.
pub(crate) fn parse(text: &str) -> Option<(&str, Json)> {
    let (name, value) = text.split_once('=')?;
    let value = match value.trim() {
        "True" => Json::Bool(true),
        "False" => Json::Bool(false),
        "None" => Json::Null,
        value => Json::parse(value).unwrap_or_else(|_| Json::from(value)),
    };
    Some((name.trim(), value))
}

/// Sets one option by its name.
///
/// # Errors
/// Lists the options, or says what values the option takes.
pub(crate) fn set<T: Options>(
    options: &mut T,
    owner: OptionsOf,
    name: &str,
    value: &Json,
) -> Result<(), ConfigError> {
    let Some(field) = T::FIELDS.iter().find(|field| field.name == name) else {
        let (option, known) = (name.to_owned(), list::<T>());
        return Err(ConfigError::UnknownOption { owner, option, known });
    };
    field.set(options, value).map_err(|refusal| match refusal {
        Refusal::Expected(expected) => {
            let (option, found) = (field.name, value.to_string());
            ConfigError::Value { owner, option, expected, found }
        }
        Refusal::Nested(error) => error,
    })
}

/// Returns the names of the options.
pub(crate) fn names<T: Options>() -> Vec<&'static str> {
    T::FIELDS.iter().map(|field| field.name).collect()
}

/// Options by name.
pub(crate) type Values = Vec<(&'static str, Json)>;

/// Returns all options with their values.
pub(crate) fn values<T: Options>(options: &T) -> Values {
    T::FIELDS.iter().map(|field| (field.name, field.get(options))).collect()
}

/// Returns the options that differ from their defaults.
pub(crate) fn changed<T: Options>(options: &T) -> Values {
    let mut changed = values(options);
    let defaults = values(&T::default());
    changed.retain(|option| !defaults.contains(option));
    changed
}

/// Returns the struct that [`changed`] was given.
pub(crate) fn restored<T: Options>(changed: &Values) -> T {
    let mut options = T::default();
    for (name, value) in changed {
        let field = T::FIELDS.iter().find(|field| field.name == *name);
        // A field takes what it has given, so that there is no refusal to report.
        let _ = field.map(|field| field.set(&mut options, value));
    }
    options
}

fn list<T: Options>() -> String {
    if T::FIELDS.is_empty() {
        return "it has no options".to_owned();
    }
    let defaults = values(&T::default());
    let known: Vec<String> =
        defaults.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("its options and their defaults are: {}", known.join(", "))
}
