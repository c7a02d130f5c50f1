//! Options of samplers and pruners: a table of named fields, from which the command line is read, errors list
//! what there is, and the study's memory is written.

use trialbox_core::Json;

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

/// Whose option it is, with its name: shown as sampler `tpe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionsOf {
    /// A sampler.
    Sampler(&'static str),
    /// A pruner.
    Pruner(&'static str),
}

impl OptionsOf {
    /// `sampler` or `pruner`.
    fn kind(self) -> &'static str {
        match self {
            OptionsOf::Sampler(_) => "sampler",
            OptionsOf::Pruner(_) => "pruner",
        }
    }
}

impl std::fmt::Display for OptionsOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (OptionsOf::Sampler(name) | OptionsOf::Pruner(name)) = self;
        write!(f, "{} `{name}`", self.kind())
    }
}

/// Why a text or a study's memory names no sampler or pruner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// None has that name.
    #[error("there is no {kind} `{name}`; there are: {known}")]
    UnknownName {
        /// `sampler` or `pruner`.
        kind: &'static str,
        /// As given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// No option has that name.
    #[error("{owner} has no option `{option}`; {known}")]
    UnknownOption {
        /// Whose it would be.
        owner: OptionsOf,
        /// As given.
        option: String,
        /// The options there are, with their defaults.
        known: String,
    },
    /// The value does not fit.
    #[error("option `{option}` of {owner} must be {wanted}, but it is {found}")]
    Value {
        /// Whose it is.
        owner: OptionsOf,
        /// The option.
        option: &'static str,
        /// What is wanted.
        wanted: &'static str,
        /// As given.
        found: String,
    },
    /// An option that has no default and was not given.
    #[error("{owner} needs the option {option}, for example {example}")]
    Missing {
        /// Whose it is.
        owner: OptionsOf,
        /// The option, or those of which one is needed, in backticks.
        option: &'static str,
        /// How it could be given.
        example: &'static str,
    },
    /// What a study remembers, or a pruner wraps, has another shape.
    #[error(r#"a {kind} is given as {{"name": NAME, "options": {{…}}}}, but it is {found}"#)]
    Shape {
        /// `sampler` or `pruner`.
        kind: &'static str,
        /// As given.
        found: String,
    },
    /// An option without a value.
    #[error("an option of a {kind} is given as NAME=VALUE, but `{text}` has no `=`")]
    NoValue {
        /// `sampler` or `pruner`.
        kind: &'static str,
        /// As given.
        text: String,
    },
}

impl ConfigError {
    /// `name` is none of `names`.
    pub(crate) fn unknown_name(kind: &'static str, name: &str, names: &[&str]) -> Self {
        ConfigError::UnknownName { kind, name: name.to_owned(), known: names.join(", ") }
    }
}

/// Reads `NAME=VALUE`, the value being JSON, one of Python's `True`, `False` and `None`, or else a text.
pub(crate) fn parse(owner: OptionsOf, text: &str) -> Result<(&str, Json), ConfigError> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| ConfigError::NoValue { kind: owner.kind(), text: text.to_owned() })?;
    let value = match value.trim() {
        "True" => Json::Bool(true),
        "False" => Json::Bool(false),
        "None" => Json::Null,
        value => Json::parse(value).unwrap_or_else(|_| Json::from(value)),
    };
    Ok((name.trim(), value))
}

/// What a study remembers: `{"name": "tpe", "options": {"n_startup_trials": 20}}`.
pub(crate) fn to_json(name: &str, changed: Vec<(&'static str, Json)>) -> Json {
    let mut members = vec![("name", Json::from(name))];
    if !changed.is_empty() {
        members.push(("options", Json::object(changed)));
    }
    Json::object(members)
}

/// A name and options.
type Remembered<'a> = (&'a str, &'a [(String, Json)]);

/// The name and the options that a study remembers; `kind` is `sampler` or `pruner`.
///
/// # Errors
/// What is no object of a name and options, if there are any.
pub(crate) fn of_json<'a>(
    kind: &'static str,
    json: &'a Json,
) -> Result<Remembered<'a>, ConfigError> {
    let read = || {
        let Json::Object(members) = json else { return None };
        let is_known = |(key, _): &(String, Json)| key == "name" || key == "options";
        let name =
            json.get("name").and_then(Json::as_str).filter(|_| members.iter().all(is_known))?;
        match json.get("options") {
            None => Some((name, &[][..])),
            Some(Json::Object(options)) => Some((name, &options[..])),
            Some(_) => None,
        }
    };
    read().ok_or_else(|| ConfigError::Shape { kind, found: json.to_string() })
}

/// As on the command line: `tpe, n_startup_trials=20`.
pub(crate) fn show(
    f: &mut std::fmt::Formatter<'_>,
    name: &str,
    changed: &[(&'static str, Json)],
) -> std::fmt::Result {
    f.write_str(name)?;
    changed.iter().try_for_each(|(name, value)| write!(f, ", {name}={value}"))
}

/// Sets one option by its name.
///
/// # Errors
/// Lists the options there are, or says what the value must be.
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
    (field.set)(options, value).map_err(|wanted| ConfigError::Value {
        owner,
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

/// Nothing to choose.
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

/// A number, the infinities included.
pub(crate) fn as_number(value: &Json) -> Result<f64, &'static str> {
    let is_number = !matches!(value, Json::Bool(_));
    value.as_f64().filter(|value| is_number && !value.is_nan()).ok_or("a number")
}

/// A number of at least 0 and at most `max`.
pub(crate) fn as_number_to(
    max: f64,
    value: &Json,
    wanted: &'static str,
) -> Result<f64, &'static str> {
    as_number(value).ok().filter(|value| (0.0..=max).contains(value)).ok_or(wanted)
}

/// A whole number, 1 or more, or the text `auto` for `None`.
pub(crate) fn as_positive_or_auto(value: &Json) -> Result<Option<usize>, &'static str> {
    if value.as_str() == Some("auto") {
        return Ok(None);
    }
    as_positive(value).map(Some).map_err(|_| "a whole number, 1 or more, or \"auto\"")
}

/// What [`as_positive_or_auto`] reads.
pub(crate) fn auto_or(value: Option<usize>) -> Json {
    value.map_or("auto".into(), count)
}

/// A whole number.
pub(crate) fn count(value: usize) -> Json {
    Json::from(value as u64)
}
