//! The study that a command names: found or created, and checked against the objective.

use crate::args::objective::{
    count_directions, described_directions, described_metric_names, show_directions,
};
use crate::args::study::check_new_name;
use crate::commands::submit::quote::shell_quote;
use crate::error::{CommandError, file_of};
use crate::study::known_params::KnownParams;
use crate::study::probe::check_joins;
use crate::study::settings::{PRUNER, SettingFlags, Settings};
use crate::view::output::Output;
use std::collections::BTreeMap;
use trialbox_core::session::door::Loaded;
use trialbox_core::space::declared::DeclaredSpace;
use trialbox_core::study::record::{METRIC_NAMES, NewStudy};
use trialbox_core::{
    FrozenTrial, Json, Storage, StorageError, StudyDirection, StudyId, StudyRecord,
};

/// A study as the flags and the objective want it.
#[derive(Debug, Clone)]
pub(crate) struct StudyRequest {
    /// Its name.
    pub(crate) name: String,
    /// Its directions, if the objective or the flags name them.
    pub(crate) directions: Option<Vec<StudyDirection>>,
    /// True if the flags name the directions.
    gives_directions: bool,
    /// The parameters of `--space`.
    space: DeclaredSpace,
    /// The names of the objective's values, if it names them all.
    pub(crate) metric_names: Option<Vec<String>>,
    /// The settings that the study is to remember.
    pub(crate) settings: SettingFlags,
}

/// Returns the directions that the objective describes or the flags name, if there are any.
///
/// # Errors
/// Fails if both differ.
pub(crate) fn agreed_directions(
    described: Option<Vec<StudyDirection>>,
    given: Vec<StudyDirection>,
) -> Result<Option<Vec<StudyDirection>>, CommandError> {
    match described {
        Some(described) if given.is_empty() || described == given => Ok(Some(described)),
        Some(described) => Err(CommandError::usage(
            format!(
                "expected the directions of the objective ({}), found --direction {}",
                show_directions(&described),
                show_directions(&given)
            ),
            "leave --direction out",
        )),
        None if given.is_empty() => Ok(None),
        None => Ok(Some(given)),
    }
}

/// A study that is ready for trials.
pub(crate) struct ResolvedStudy {
    pub(crate) study: StudyRecord,
    /// The settings that it remembers from now on.
    pub(crate) settings: Settings,
    /// True if this command has created it.
    pub(crate) is_new: bool,
}

impl StudyRequest {
    /// Joins the flags with the description of the objective.
    ///
    /// # Errors
    /// Fails if the directions of both differ.
    pub(crate) fn new(
        name: String,
        directions: Vec<StudyDirection>,
        space: DeclaredSpace,
        loaded: &Loaded,
        settings: SettingFlags,
    ) -> Result<Self, CommandError> {
        let gives_directions = !directions.is_empty();
        let directions = agreed_directions(described_directions(loaded), directions)?;
        let metric_names = described_metric_names(loaded);
        Ok(StudyRequest { name, directions, gives_directions, space, metric_names, settings })
    }

    /// Returns the study, created if it is missing.
    pub(crate) fn resolve(
        &self,
        storage: &mut dyn Storage,
        output: &Output,
    ) -> Result<ResolvedStudy, CommandError> {
        let (study, is_new) = match storage.open_study(&self.name) {
            Err(StorageError::NoSuchStudy { .. }) => self.create(storage)?,
            other => (other?, false),
        };
        self.settings.check_module(&study)?;
        self.check_space(storage, &study)?;
        let study = self.with_directions(storage, study, output)?;
        self.check_metric_names(&study)?;
        let (study, settings) = self.settings.resolve(storage, study)?;
        if self.settings.is_explicit(PRUNER) && study.directions.len() > 1 {
            output.note("note: --pruner has no effect on a study with several objectives");
        }
        Ok(ResolvedStudy { study, settings, is_new })
    }

    /// Returns what [`Self::resolve`] would find or refuse; nothing is written. `storage` is `None` where there is no
    /// database yet. The study is `None` where it would be created.
    pub(crate) fn preview(
        &self,
        storage: Option<&mut (dyn Storage + 'static)>,
    ) -> Result<(Option<StudyRecord>, Settings), CommandError> {
        let mut found = None;
        if let Some(storage) = storage {
            found = match storage.open_study(&self.name) {
                Err(StorageError::NoSuchStudy { .. }) => None,
                study => Some(self.preview_of(storage, study?)?),
            };
        }
        if found.is_none() {
            check_new_name(&self.name)?;
        }
        let study = found.clone().unwrap_or_else(|| StudyRecord {
            id: StudyId(0),
            name: self.name.clone(),
            directions: self.directions_or_default(),
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
        });
        Ok((found, self.settings.preview(study)?))
    }

    /// Returns a study that exists with the directions that it would get.
    fn preview_of(
        &self,
        storage: &mut dyn Storage,
        mut study: StudyRecord,
    ) -> Result<StudyRecord, CommandError> {
        self.settings.check_module(&study)?;
        self.check_space(storage, &study)?;
        if let Some(directions) = self.other_directions(&study) {
            let trials = storage.trials(study.id)?;
            let has_value = |trial: &FrozenTrial| {
                !trial.values.is_empty() || !trial.intermediate_values.is_empty()
            };
            if !self.may_change_directions(&study) || trials.iter().any(has_value) {
                return Err(self.contradicts(storage.url(), &study, directions));
            }
            directions.clone_into(&mut study.directions);
        }
        self.check_metric_names(&study)?;
        Ok(study)
    }

    /// Checks that the parameters of `--space` can join the study's, before a trial fails of it.
    fn check_space(
        &self,
        storage: &mut dyn Storage,
        study: &StudyRecord,
    ) -> Result<(), CommandError> {
        if self.space.is_empty() {
            return Ok(());
        }
        let known = KnownParams::of(&storage.history(study.id)?);
        check_joins(
            study,
            &known,
            self.space.params().iter().map(|param| (&param.name, &param.distribution)),
            "--space",
        )
    }

    fn directions_or_default(&self) -> Vec<StudyDirection> {
        self.directions.clone().unwrap_or_else(|| vec![StudyDirection::Minimize])
    }

    /// Returns the study, and whether this command has created it.
    fn create(&self, storage: &mut dyn Storage) -> Result<(StudyRecord, bool), CommandError> {
        let mut system_attrs = Vec::new();
        if let Some(names) = &self.metric_names {
            let names = names.iter().cloned().map(Json::from).collect();
            system_attrs.push((METRIC_NAMES.to_owned(), Json::Array(names)));
        }
        let study = NewStudy {
            name: self.name.clone(),
            directions: self.directions_or_default(),
            user_attrs: self.settings.attributes_of_new_study(),
            system_attrs,
        };
        check_new_name(&self.name)?;
        self.settings.check_rules(&study.directions)?;
        match storage.create_study(&study) {
            // Another job created it after the look.
            Err(StorageError::DuplicateStudy { .. }) => {
                Ok((storage.open_study(&self.name)?, false))
            }
            other => Ok((other?, true)),
        }
    }

    /// Returns the directions that the flags or the objective name, if the study has others.
    fn other_directions(&self, study: &StudyRecord) -> Option<&[StudyDirection]> {
        self.directions.as_deref().filter(|directions| *directions != study.directions)
    }

    /// Returns whether `--direction` may change the directions of a study without a value. Names of its values are
    /// those of its directions.
    fn may_change_directions(&self, study: &StudyRecord) -> bool {
        self.gives_directions && study.metric_names().is_none()
    }

    /// Returns the study with the directions of the flags. A study without a value takes others: a script that names
    /// its own directions fails before it has one, and its user then gives the flag.
    fn with_directions(
        &self,
        storage: &mut dyn Storage,
        study: StudyRecord,
        output: &Output,
    ) -> Result<StudyRecord, CommandError> {
        let Some(directions) = self.other_directions(&study) else { return Ok(study) };
        let changed = match self.may_change_directions(&study) {
            true => storage.set_directions(study.id, directions)?,
            false => None,
        };
        let Some(changed) = changed else {
            return Err(self.contradicts(storage.url(), &study, directions));
        };
        output.note(&format!(
            "note: the direction of study `{}` was {}, and is {} from now on; no trial of it has a value",
            study.name,
            show_directions(&study.directions),
            show_directions(directions)
        ));
        Ok(changed)
    }

    /// Returns the error of directions that differ from those of the study.
    fn contradicts(
        &self,
        url: &str,
        study: &StudyRecord,
        directions: &[StudyDirection],
    ) -> CommandError {
        let (has, name) = (count_directions(&study.directions), &study.name);
        if !self.gives_directions {
            let found = count_directions(directions);
            return CommandError::usage(
                format!("study `{name}` has {has}, and this component has {found}"),
                "choose another --study-name",
            );
        }
        let found = show_directions(directions);
        CommandError::usage(
            format!("study `{name}` has {has} and trials with values, found --direction {found}"),
            format!(
                "choose another --study-name, or delete the study and its trials: \
                 trialbox study delete {} --storage {}",
                shell_quote(name),
                file_of(url)
            ),
        )
    }

    /// Checks that the objectives stand in the same order: otherwise every value would be taken for another.
    fn check_metric_names(&self, study: &StudyRecord) -> Result<(), CommandError> {
        let (Some(stored), Some(described)) = (study.metric_names(), &self.metric_names) else {
            return Ok(());
        };
        let is_permuted =
            stored != *described && stored.iter().all(|name| described.contains(name));
        if !is_permuted {
            return Ok(());
        }
        Err(CommandError::usage(
            format!(
                "study `{}` has the objectives {}, and this component has them as {}",
                study.name,
                stored.join(", "),
                described.join(", ")
            ),
            "choose another --study-name, or make the study with --metric-name in the component's order",
        ))
    }
}
