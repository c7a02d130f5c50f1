//! The sampler or pruner of a study, as a user names it and as the study remembers it.
//!
//! Both are chosen from a list ([`Kind::LIST`]). An entry of the list holds functions that know the options' type,
//! so that everything else here is written once, for every sampler and every pruner.

use crate::error::{ConfigError, OptionsOf};
use crate::options::{self, Options, Values};
use trialbox_core::Json;

/// Options that build a sampler (`S` is `dyn Sampler`) or a pruner (`dyn Pruner`).
pub trait Configured<S: Kind + ?Sized>: Options {
    /// The name that users give.
    const NAME: &'static str;
    /// Other names that are understood.
    const ALIASES: &'static [&'static str] = &[];
    /// The class in Optuna that decides the same.
    const OPTUNA: &'static str;
    /// A description for the documentation, of half a line.
    const SUMMARY: &'static str;

    /// Returns the sampler or pruner. Options that fail [`Self::check_complete`] build one that does nothing wrong.
    fn build(&self) -> Box<S>;

    /// Checks that every option without a default is given, and that the options fit each other.
    ///
    /// # Errors
    /// Names the option that is missing or does not fit.
    fn check_complete(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Returns the name as errors show it.
    fn owner() -> OptionsOf {
        OptionsOf { kind: S::WORD, name: Self::NAME }
    }
}

/// Samplers, or pruners: what a study has one of.
pub trait Kind: 'static {
    /// `sampler` or `pruner`.
    const WORD: &'static str;
    /// All that a study can have; the first is the default.
    const LIST: &'static [Entry<Self>];
}

/// One sampler or pruner of the list.
pub struct Entry<S: ?Sized> {
    name: &'static str,
    aliases: &'static [&'static str],
    optuna: &'static str,
    summary: &'static str,
    options: fn() -> Vec<&'static str>,
    set: fn(&mut Values, &str, &Json) -> Result<(), ConfigError>,
    check_complete: fn(&Values) -> Result<(), ConfigError>,
    build: fn(&Values) -> Box<S>,
}

impl<S: Kind + ?Sized> Entry<S> {
    /// Returns the entry of the sampler or pruner with these options.
    pub const fn of<T: Configured<S>>() -> Self {
        Entry {
            name: T::NAME,
            aliases: T::ALIASES,
            optuna: T::OPTUNA,
            summary: T::SUMMARY,
            options: options::names::<T>,
            set: |changed, option, value| {
                let mut options: T = options::restored(changed);
                options::set(&mut options, T::owner(), option, value)?;
                *changed = options::changed(&options);
                Ok(())
            },
            check_complete: |changed| options::restored::<T>(changed).check_complete(),
            build: |changed| options::restored::<T>(changed).build(),
        }
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// A sampler or a pruner with its options.
pub struct Config<S: Kind + ?Sized> {
    entry: &'static Entry<S>,
    /// The options that differ from their defaults, which is all that a study remembers.
    changed: Values,
}

impl<S: Kind + ?Sized> Config<S> {
    /// Returns every sampler or pruner that a study can have, with default options; the first is the default.
    pub fn all() -> impl Iterator<Item = Self> {
        S::LIST.iter().map(|entry| Config { entry, changed: Values::new() })
    }

    /// Returns the names in a sentence, aliases in brackets: `median, successive-halving (asha) or nop`.
    pub fn names() -> String {
        let mut names: Vec<String> = Vec::new();
        for Entry { name, aliases, .. } in S::LIST {
            match aliases {
                [] => names.push((*name).to_owned()),
                aliases => names.push(format!("{name} ({})", aliases.join(", "))),
            }
        }
        in_words(&names)
    }

    /// Returns the sampler or pruner of that name, with default options.
    ///
    /// # Errors
    /// Lists the known names.
    pub fn parse(name: &str) -> Result<Self, ConfigError> {
        let lower = name.to_ascii_lowercase();
        match S::LIST.iter().find(|entry| entry.is_called(&lower)) {
            Some(entry) => Ok(Config { entry, changed: Values::new() }),
            None => {
                let (name, known) = (name.to_owned(), Self::names());
                Err(ConfigError::UnknownName { kind: S::WORD, name, known })
            }
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &'static str {
        self.entry.name
    }

    /// Returns the name and its aliases.
    pub fn all_names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.entry.name).chain(self.entry.aliases.iter().copied())
    }

    /// Returns the names of the options.
    pub fn options(&self) -> Vec<&'static str> {
        (self.entry.options)()
    }

    /// Sets an option given as `NAME=VALUE`, the value being JSON, one of Python's `True`, `False` and
    /// `None`, or else a text.
    ///
    /// # Errors
    /// Lists the options, or says what values the option takes.
    pub fn set_option(&mut self, text: &str) -> Result<(), ConfigError> {
        let Some((name, value)) = options::parse(text) else {
            return Err(ConfigError::NoValue { kind: S::WORD, text: text.to_owned() });
        };
        self.set(name, &value)
    }

    /// Sets an option.
    ///
    /// # Errors
    /// Lists the options, or says what values the option takes.
    pub fn set(&mut self, option: &str, value: &Json) -> Result<(), ConfigError> {
        (self.entry.set)(&mut self.changed, option, value)
    }

    /// Checks that every option without a default is given, and that the options fit each other. To be asked when
    /// all options are set.
    ///
    /// # Errors
    /// Names the option that is missing or does not fit.
    pub fn check_complete(&self) -> Result<(), ConfigError> {
        (self.entry.check_complete)(&self.changed)
    }

    /// Returns what a study remembers: `{"name": "tpe", "options": {"n_startup_trials": 20}}`, with those options
    /// that differ from their defaults.
    pub fn to_json(&self) -> Json {
        let mut members = vec![("name", Json::from(self.name()))];
        if !self.changed.is_empty() {
            members.push(("options", Json::object(self.changed.clone())));
        }
        Json::object(members)
    }

    /// Reads what a study remembers.
    ///
    /// # Errors
    /// Lists the known names or options, or names the option that is missing.
    pub fn from_json(json: &Json) -> Result<Self, ConfigError> {
        let Some((name, options)) = members(json) else {
            return Err(ConfigError::Shape { kind: S::WORD, found: json.to_string() });
        };
        let mut config = Self::parse(name)?;
        for (option, value) in options {
            config.set(option, value)?;
        }
        config.check_complete()?;
        Ok(config)
    }

    /// Returns the sampler or pruner itself. One that lacks an option is random, or never prunes; see
    /// [`Self::check_complete`].
    pub fn build(&self) -> Box<S> {
        (self.entry.build)(&self.changed)
    }

    /// Returns the list as a Markdown table, for the documentation.
    pub fn table() -> String {
        let mut table = format!("| `--{}` | as Optuna's | |\n|---|---|---|\n", S::WORD);
        for Entry { name, aliases, optuna, summary, .. } in S::LIST {
            let names: Vec<String> =
                std::iter::once(name).chain(*aliases).map(|name| format!("`{name}`")).collect();
            table += &format!("| {} | `{optuna}` | {summary} |\n", names.join(", "));
        }
        table
    }
}

/// Returns the name and the options of an object that has nothing else.
fn members(json: &Json) -> Option<(&str, &[(String, Json)])> {
    let Json::Object(members) = json else { return None };
    if members.iter().any(|(key, _)| key != "name" && key != "options") {
        return None;
    }
    let name = json.get("name")?.as_str()?;
    match json.get("options") {
        None => Some((name, &[])),
        Some(Json::Object(options)) => Some((name, options)),
        Some(_) => None,
    }
}

/// Joins words as a sentence does: `random, grid or qmc`.
pub(crate) fn in_words(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [word] => word.clone(),
        [words @ .., last] => format!("{} or {last}", words.join(", ")),
    }
}

// Written out, because derives would ask the same of `S`, which has no size.

impl<S: Kind + ?Sized> Default for Config<S> {
    fn default() -> Self {
        Config { entry: &S::LIST[0], changed: Values::new() }
    }
}

impl<S: Kind + ?Sized> Clone for Config<S> {
    fn clone(&self) -> Self {
        Config { entry: self.entry, changed: self.changed.clone() }
    }
}

impl<S: Kind + ?Sized> PartialEq for Config<S> {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.changed == other.changed
    }
}

/// As on the command line: `tpe, n_startup_trials=20`.
impl<S: Kind + ?Sized> std::fmt::Display for Config<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())?;
        self.changed.iter().try_for_each(|(name, value)| write!(f, ", {name}={value}"))
    }
}

impl<S: Kind + ?Sized> std::fmt::Debug for Config<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}
