//! What stands before a trial: the objective is got ready, and the study found or made. `submit` does the same,
//! once for all of its tasks.

use super::RunArgs;
use crate::args::objective::{
    ReadyObjective, count_directions, described_directions, described_metric_names,
    metric_names_attr, objective_name, show_directions,
};
use crate::args::param::refuse_twice;
use crate::error::CommandError;
use crate::study::provenance::module_digest;
use crate::study::recovery::{Reaping, recover};
use crate::study::settings::{ModuleFlags, SettingFlags, Settings};
use crate::view::output::Output;
use std::collections::BTreeMap;
use std::sync::Arc;
use trialbox_core::run::reap::Reaped;
use trialbox_core::study::record::NewStudy;
use trialbox_core::{Json, Storage, StorageError, StudyDirection, StudyId, StudyRecord};
use trialbox_runtime::{Cancellation, ObjectiveFile};

/// An objective that is ready, and what the flags say of its study.
pub(crate) struct Prepared {
    pub(crate) file: Arc<ObjectiveFile>,
    pub(crate) flags: SettingFlags,
    pub(crate) ready: ReadyObjective,
}

impl RunArgs {
    /// Gets the objective ready and looks whether its data is there. No database is touched: a file that is no
    /// objective must leave no trace there.
    pub(crate) fn prepare(&self, stops: &Cancellation) -> Result<Prepared, CommandError> {
        refuse_twice("--fix", &self.fix)?;
        let mut flags = self.setting_flags()?;
        let file = Arc::new(ObjectiveFile::read(&self.objective, &self.sandbox.limits())?);
        flags.module = Some(ModuleFlags {
            digest: module_digest(&file),
            may_change: self.allow_module_change,
        });
        let ready = self.sandbox.load(&file, stops)?;
        self.sandbox.check_data(&ready.loaded)?;
        Ok(Prepared { file, flags, ready })
    }

    /// The study, made if it is not there, and what holds for its trials, which it remembers from now on.
    pub(crate) fn resolve_study(
        &self,
        storage: &mut dyn Storage,
        prepared: &Prepared,
        output: &Output,
    ) -> Result<(StudyRecord, Settings), CommandError> {
        let Prepared { flags, ready, .. } = prepared;
        let study = self.open_or_create_study(storage, flags, ready)?;
        refuse_other_names(&study, ready)?;
        let (study, settings) = flags.resolve(storage, study)?;
        if flags.pruner.is_some() && study.directions.len() > 1 {
            output.note("note: with several objectives nothing is pruned; --pruner has no effect");
        }
        Ok((study, settings))
    }

    /// What [`Self::resolve_study`] would find or make, and refuse. Nothing is written; `storage` is `None` where
    /// there is no database yet, and so is the study where it would be made.
    pub(crate) fn preview_study(
        &self,
        storage: Option<&mut (dyn Storage + 'static)>,
        prepared: &Prepared,
    ) -> Result<(Option<StudyRecord>, Settings), CommandError> {
        let Prepared { flags, ready, .. } = prepared;
        let wanted = self.wanted_directions(ready)?;
        let name = self.study_name(ready);
        let found = match storage.map(|storage| storage.open_study(&name)) {
            None | Some(Err(StorageError::NoSuchStudy { .. })) => None,
            Some(found) => Some(found?),
        };
        if let Some(study) = &found {
            refuse_other_directions(study, wanted.as_deref())?;
            refuse_other_names(study, ready)?;
        }
        let study = found.clone().unwrap_or_else(|| StudyRecord {
            id: StudyId(0),
            name,
            directions: directions_or_default(wanted.as_deref()),
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
        });
        Ok((found, flags.preview(study)?))
    }

    /// Writes what earlier jobs could not, and ends trials whose jobs are gone.
    pub(crate) fn recover(
        &self,
        storage: &mut dyn Storage,
        study: &StudyRecord,
        output: &Output,
    ) -> Result<Vec<Reaped>, CommandError> {
        let reaping = Reaping::at_start(study, self.grace);
        recover(storage, self.storage.spool().as_ref(), study, &reaping, output)
    }

    /// The same, and asks Slurm for all that nothing else is known of: trials of dead jobs are still to be run.
    pub(crate) fn find_lost(
        &self,
        storage: &mut dyn Storage,
        study: &StudyRecord,
        output: &Output,
    ) -> Result<Vec<Reaped>, CommandError> {
        let reaping = Reaping::at_end(study, self.grace);
        recover(storage, self.storage.spool().as_ref(), study, &reaping, output)
    }

    /// The study's name.
    pub(crate) fn study_name(&self, ready: &ReadyObjective) -> String {
        self.study_name.clone().unwrap_or_else(|| objective_name(&ready.loaded, &self.objective))
    }

    /// The study that the flags and the objective name, which must fit both.
    fn open_or_create_study(
        &self,
        storage: &mut dyn Storage,
        settings: &SettingFlags,
        ready: &ReadyObjective,
    ) -> Result<StudyRecord, CommandError> {
        let name = self.study_name(ready);
        let wanted = self.wanted_directions(ready)?;
        let study = match storage.open_study(&name) {
            Err(StorageError::NoSuchStudy { .. }) => {
                let attrs = settings.attributes_of_new_study();
                self.create_study(storage, &name, wanted.as_deref(), attrs, ready)?
            }
            other => other?,
        };
        refuse_other_directions(&study, wanted.as_deref())?;
        Ok(study)
    }

    /// The directions that the objective or the flags ask for, which must agree; `None` if neither says anything.
    fn wanted_directions(
        &self,
        ready: &ReadyObjective,
    ) -> Result<Option<Vec<StudyDirection>>, CommandError> {
        let described = described_directions(&ready.loaded);
        let flags: Vec<StudyDirection> =
            self.direction.iter().map(|direction| (*direction).into()).collect();
        if let (Some(described), false) =
            (&described, flags.is_empty() || described.as_ref() == Some(&flags))
        {
            return Err(CommandError::usage(
                format!(
                    "the objective says that it wants to {}, and --direction says {}",
                    show_directions(described),
                    show_directions(&flags)
                ),
                "leave --direction out",
            ));
        }
        Ok(described.or(Some(flags).filter(|flags| !flags.is_empty())))
    }

    fn create_study(
        &self,
        storage: &mut dyn Storage,
        name: &str,
        directions: Option<&[StudyDirection]>,
        user_attrs: Vec<(String, Json)>,
        ready: &ReadyObjective,
    ) -> Result<StudyRecord, CommandError> {
        let study = NewStudy {
            name: name.to_owned(),
            directions: directions_or_default(directions),
            user_attrs,
            system_attrs: metric_names_attr(&ready.loaded).into_iter().collect(),
        };
        self.stopping.check(&study.directions)?;
        match storage.create_study(&study) {
            // Another job was first, between our look and our try.
            Err(StorageError::DuplicateStudy { .. }) => Ok(storage.open_study(name)?),
            other => Ok(other?),
        }
    }
}

fn directions_or_default(directions: Option<&[StudyDirection]>) -> Vec<StudyDirection> {
    directions.map_or_else(|| vec![StudyDirection::Minimize], <[_]>::to_vec)
}

fn refuse_other_directions(
    study: &StudyRecord,
    wanted: Option<&[StudyDirection]>,
) -> Result<(), CommandError> {
    match wanted {
        Some(wanted) if wanted != study.directions => Err(CommandError::usage(
            format!(
                "study `{}` has {}, and this component has {}",
                study.name,
                count_directions(&study.directions),
                count_directions(wanted)
            ),
            "choose another --study-name",
        )),
        _ => Ok(()),
    }
}

/// Refuses a study whose names of the objectives are those of the component in another order: every value would
/// be taken for another.
fn refuse_other_names(study: &StudyRecord, ready: &ReadyObjective) -> Result<(), CommandError> {
    let (Some(kept), Some(described)) =
        (study.metric_names(), described_metric_names(&ready.loaded))
    else {
        return Ok(());
    };
    let is_permuted = kept != described && kept.iter().all(|name| described.contains(name));
    if !is_permuted {
        return Ok(());
    }
    Err(CommandError::usage(
        format!(
            "study `{}` has the objectives {}, and this component has them as {}",
            study.name,
            kept.join(", "),
            described.join(", ")
        ),
        "choose another --study-name, or make the study with --metric-name in the component's order",
    ))
}
