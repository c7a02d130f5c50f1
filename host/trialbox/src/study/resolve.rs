//! The study that a command names: found or created, and checked against the objective.

use crate::args::objective::{
    count_directions, described_directions, described_metric_names, show_directions,
};
use crate::error::CommandError;
use crate::study::settings::{PRUNER, SettingFlags, Settings};
use crate::view::output::Output;
use std::collections::BTreeMap;
use trialbox_core::session::door::Loaded;
use trialbox_core::study::record::{METRIC_NAMES, NewStudy};
use trialbox_core::{Json, Storage, StorageError, StudyDirection, StudyId, StudyRecord};

/// A study as the flags and the objective want it.
#[derive(Debug, Clone)]
pub(crate) struct StudyRequest {
    /// Its name.
    pub(crate) name: String,
    /// Its directions, if the objective or the flags name them.
    pub(crate) directions: Option<Vec<StudyDirection>>,
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
        loaded: &Loaded,
        settings: SettingFlags,
    ) -> Result<Self, CommandError> {
        let directions = agreed_directions(described_directions(loaded), directions)?;
        let metric_names = described_metric_names(loaded);
        Ok(StudyRequest { name, directions, metric_names, settings })
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
        self.check(&study)?;
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
        let found = match storage.map(|storage| storage.open_study(&self.name)) {
            None | Some(Err(StorageError::NoSuchStudy { .. })) => None,
            Some(found) => Some(found?),
        };
        if let Some(study) = &found {
            self.check(study)?;
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
        self.settings.check_rules(&study.directions)?;
        match storage.create_study(&study) {
            // Another job created it after the look.
            Err(StorageError::DuplicateStudy { .. }) => {
                Ok((storage.open_study(&self.name)?, false))
            }
            other => Ok((other?, true)),
        }
    }

    fn check(&self, study: &StudyRecord) -> Result<(), CommandError> {
        self.check_directions(study)?;
        self.check_metric_names(study)
    }

    fn check_directions(&self, study: &StudyRecord) -> Result<(), CommandError> {
        match &self.directions {
            Some(directions) if *directions != study.directions => Err(CommandError::usage(
                format!(
                    "study `{}` has {}, and this component has {}",
                    study.name,
                    count_directions(&study.directions),
                    count_directions(directions)
                ),
                "choose another --study-name",
            )),
            _ => Ok(()),
        }
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
