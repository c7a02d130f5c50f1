//! Errors of choosing a sampler or a pruner.

/// The sampler or pruner that an option belongs to: shown as sampler `tpe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionsOf {
    /// `sampler` or `pruner`.
    pub kind: &'static str,
    /// Its name.
    pub name: &'static str,
}

impl std::fmt::Display for OptionsOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)
    }
}

/// The reason why a text or a study's memory names no sampler or pruner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// None has that name.
    #[error("unknown {kind} `{name}`: expected {known}")]
    UnknownName {
        /// `sampler` or `pruner`.
        kind: &'static str,
        /// As given.
        name: String,
        /// The known names.
        known: String,
    },
    /// No option has that name.
    #[error("{owner} has no option `{option}`; {known}")]
    UnknownOption {
        /// The sampler or pruner.
        owner: OptionsOf,
        /// As given.
        option: String,
        /// The known options, with their defaults.
        known: String,
    },
    /// The value does not fit.
    #[error("option `{option}` of {owner}: expected {expected}, found {found}")]
    Value {
        /// The sampler or pruner.
        owner: OptionsOf,
        /// The option.
        option: &'static str,
        /// The values that it takes.
        expected: String,
        /// As given.
        found: String,
    },
    /// An option that has no default and was not given.
    #[error("{owner} needs the option {option}, for example {example}")]
    Missing {
        /// The sampler or pruner.
        owner: OptionsOf,
        /// The option, or those of which one is needed, in backticks.
        option: &'static str,
        /// The option with a value.
        example: &'static str,
    },
    /// A study's memory, or a wrapped pruner, that has another shape.
    #[error(r#"expected a {kind} as {{"name": NAME, "options": {{…}}}}, found {found}"#)]
    Shape {
        /// `sampler` or `pruner`.
        kind: &'static str,
        /// As given.
        found: String,
    },
    /// An option without a value.
    #[error("expected an option of a {kind} as NAME=VALUE, found `{text}`")]
    NoValue {
        /// `sampler` or `pruner`.
        kind: &'static str,
        /// As given.
        text: String,
    },
}
