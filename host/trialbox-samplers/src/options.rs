//! Options of samplers: a table of named fields, from which the command line is read, errors list what there
//! is, and the study's memory is written.

use trialbox_core::json::Json;

/// A struct of options whose fields have names and defaults.
pub trait Options: Default + Sized + 'static {
    /// The fields, in the order in which they are listed.
    const FIELDS: &'static [Field<Self>];
}

/// One option.
pub struct Field<T> {
    /// Its name, Optuna's argument where there is one.
    pub name: &'static str,
    /// Reads it.
    pub get: fn(&T) -> Json,
    /// Sets it; an error says what is wanted, as the end of "must be …".
    pub set: fn(&mut T, &Json) -> Result<(), &'static str>,
}

/// Why an option was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// No option has that name.
    #[error("sampler `{sampler}` has no option `{option}`; {known}")]
    Unknown {
        /// The sampler.
        sampler: &'static str,
        /// As given.
        option: String,
        /// The options there are, with their defaults.
        known: String,
    },
    /// The value does not fit.
    #[error("option `{option}` of sampler `{sampler}` must be {wanted}, but it is {found}")]
    Value {
        /// The sampler.
        sampler: &'static str,
        /// The option.
        option: &'static str,
        /// What is wanted.
        wanted: &'static str,
        /// As given.
        found: String,
    },
}

/// Sets one option by its name.
///
/// # Errors
/// Lists the options there are, or says what the value must be.
pub(crate) fn set<T: Options>(
    options: &mut T,
    sampler: &'static str,
    name: &str,
    value: &Json,
) -> Result<(), OptionError> {
    let Some(field) = T::FIELDS.iter().find(|field| field.name == name) else {
        return Err(OptionError::Unknown { sampler, option: name.to_owned(), known: list::<T>() });
    };
    (field.set)(options, value).map_err(|wanted| OptionError::Value {
        sampler,
        option: field.name,
        wanted,
        found: value.to_string(),
    })
}

/// The options that differ from their defaults.
pub(crate) fn changed<T: Options>(options: &T) -> Vec<(&'static str, Json)> {
    let default = T::default();
    T::FIELDS
        .iter()
        .map(|field| (field.name, (field.get)(options), (field.get)(&default)))
        .filter(|(_, value, default)| value != default)
        .map(|(name, value, _)| (name, value))
        .collect()
}

/// `its options are: n_startup_trials=10, multivariate=null`.
fn list<T: Options>() -> String {
    let default = T::default();
    let known: Vec<String> =
        T::FIELDS.iter().map(|field| format!("{}={}", field.name, (field.get)(&default))).collect();
    if known.is_empty() {
        "it has no options".to_owned()
    } else {
        format!("its options and their defaults are: {}", known.join(", "))
    }
}

/// Samplers without options.
impl Options for () {
    const FIELDS: &'static [Field<Self>] = &[];
}

/// `true` or `false`.
pub(crate) fn as_bool(value: &Json) -> Result<bool, &'static str> {
    if let Json::Bool(value) = value { Ok(*value) } else { Err("true or false") }
}

/// A whole number, 0 or more.
pub(crate) fn as_count(value: &Json) -> Result<usize, &'static str> {
    let Json::Int(value) = value else { return Err("a whole number, 0 or more") };
    usize::try_from(*value).map_err(|_| "a whole number, 0 or more")
}

/// A whole number, 1 or more.
pub(crate) fn as_positive(value: &Json) -> Result<usize, &'static str> {
    as_count(value).ok().filter(|value| *value > 0).ok_or("a whole number, 1 or more")
}
