//! The parameters that a study's trials have suggested, against which values from the command line are held.

use crate::error::CommandError;
use std::collections::BTreeMap;
use trialbox_core::space::declared::DeclaredSpace;
use trialbox_core::{Distribution, FrozenTrial, Json};

/// The parameters of a study, each with the distribution of its latest trial.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownParams(BTreeMap<String, Distribution>);

impl KnownParams {
    /// Collects the parameters of trials, which stand in the order of their numbers.
    pub(crate) fn of(trials: &[FrozenTrial]) -> Self {
        let mut known = BTreeMap::new();
        for (name, param) in trials.iter().flat_map(|trial| &trial.params) {
            known.insert(name.clone(), param.distribution.clone());
        }
        KnownParams(known)
    }

    /// Returns whether there is no parameter.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a trial has suggested a parameter of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns the distribution of the latest trial that has suggested a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&Distribution> {
        self.0.get(name)
    }

    /// Adds the parameters of one more trial.
    pub(crate) fn add(&mut self, trial: &[(String, trialbox_core::Param)]) {
        for (name, param) in trial {
            self.0.insert(name.clone(), param.distribution.clone());
        }
    }

    /// Adds the parameters that are declared for the next trials.
    pub(crate) fn declare(&mut self, space: &DeclaredSpace) {
        for param in space.params() {
            self.0.insert(param.name.clone(), param.distribution.clone());
        }
    }

    /// Returns the known name that an unknown one is a misspelling of.
    pub(crate) fn meant(&self, name: &str) -> Option<&str> {
        nearest(self.0.keys().map(String::as_str), name)
    }

    /// Checks values that a flag gives to parameters of the study. A study without parameters takes every name.
    ///
    /// # Errors
    /// A name that no trial has suggested, or a value that its parameter cannot have.
    pub(crate) fn check(&self, flag: &str, given: &[(String, Json)]) -> Result<(), CommandError> {
        match given.iter().find(|(name, _)| !self.0.is_empty() && !self.has(name)) {
            Some((name, _)) => Err(self.unknown(flag, name)),
            None => self.check_values(flag, given),
        }
    }

    /// Checks that the values lie in the ranges of their parameters, as far as these are known.
    ///
    /// # Errors
    /// A value that its parameter cannot have.
    pub(crate) fn check_values(
        &self,
        flag: &str,
        given: &[(String, Json)],
    ) -> Result<(), CommandError> {
        for (name, value) in given {
            let Some(distribution) = self.0.get(name) else { continue };
            distribution.to_internal_strict(value).map_err(|error| {
                CommandError::usage(
                    format!("{flag} {name}={}: {error}", shown(value)),
                    format!("change the value, or use it as Optuna does with --lenient ({name}: {distribution})"),
                )
            })?;
        }
        Ok(())
    }

    /// Returns the error for a name that no trial has suggested.
    pub(crate) fn unknown(&self, flag: &str, name: &str) -> CommandError {
        let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let way_out = format!("the trials suggested: {}; --lenient ignores this", names.join(", "));
        let help = match self.meant(name) {
            Some(meant) => format!("did you mean `{meant}`? {way_out}"),
            None => way_out,
        };
        let problem =
            format!("{flag} {name} was given, but no trial of the study has suggested `{name}`");
        CommandError::usage(problem, help)
    }
}

/// Returns the name that another one is a misspelling of.
pub(crate) fn nearest<'a>(names: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&known.to_lowercase(), &lower);
    // A third of the letters: `x` is not a misspelling of `y`.
    let is_near =
        |known: &&str| distance(known) <= known.chars().count().max(name.chars().count()) / 3;
    names.filter(is_near).min_by_key(|known| distance(known))
}

/// Formats a value as the command line has it.
fn shown(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_core::Param;

    fn known() -> KnownParams {
        let unit = Distribution::float(0.0, 1.0, false, None).expect("a range");
        let model = Distribution::categorical(vec!["knn".into(), "ridge".into()]).expect("choices");
        let depth = Distribution::int(1, 8, false, 1).expect("a range");
        let mut known = KnownParams::default();
        for (name, distribution) in [("alpha", unit), ("model", model), ("depth", depth)] {
            known.add(&[(name.to_owned(), Param { distribution, internal: 1.0 })]);
        }
        known
    }

    #[test]
    fn a_name_that_no_trial_suggested_and_a_value_outside_of_its_range_are_refused() {
        for (name, value, problem) in [
            ("alhpa", Json::from(0.5), "no trial of the study has suggested `alhpa`"),
            ("alpha", Json::from(2.0), "--param alpha=2.0: it is outside of float 0.0 to 1.0"),
            ("model", Json::from("rigde"), "--param model=rigde: \"rigde\" is none of the choices"),
            ("depth", Json::from(3.5), "--param depth=3.5: expected a whole number, found 3.5"),
            ("depth", Json::from("deep"), "--param depth=deep: expected a number, found \"deep\""),
        ] {
            let error = known().check("--param", &[(name.to_owned(), value)]).expect_err(name);
            assert!(error.to_text().contains(problem), "{}", error.to_text());
            assert!(error.to_text().contains("--lenient"), "{}", error.to_text());
        }
        let fitting = [("alpha", Json::from(0.5)), ("model", "knn".into()), ("depth", 3i64.into())];
        for (name, value) in fitting {
            assert!(known().check("--param", &[(name.to_owned(), value)]).is_ok(), "{name}");
        }
        let anything = [("anything".to_owned(), Json::from(1.0))];
        assert!(KnownParams::default().check("--param", &anything).is_ok());
    }

    #[test]
    fn a_misspelt_name_is_recognised_and_another_name_is_not() {
        for (name, meant) in [
            ("alhpa", Some("alpha")),
            ("Alpha", Some("alpha")),
            ("dept", Some("depth")),
            ("beta", None),
        ] {
            assert_eq!(known().meant(name), meant, "{name}");
        }
    }
}
