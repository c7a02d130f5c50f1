//! The parameters that one call of an objective suggests, recorded nowhere.

use crate::args::objective::{ReadyObjective, described_directions};
use crate::error::CommandError;
use crate::study::known_params::KnownParams;
use crate::study::scratch::Scratch;
use crate::view::failure::failure_message;
use std::time::Duration;
use trialbox_core::seam::pruner::{Judgement, Pruner, RunningTrial};
use trialbox_core::session::SessionLimits;
use trialbox_core::study::failure::FailureCode;
use trialbox_core::study::limits::{Limit, Limits};
use trialbox_core::study::record::NewStudy;
use trialbox_core::{Distribution, History, Param, StudyDirection, StudyRecord};
use trialbox_samplers::MidpointSampler;

/// The usual time limit of a probing call.
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// The result of calling the objective once.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    pub(crate) params: Vec<(String, Param)>,
    /// The reason of a failed call, such as data that is not granted.
    pub(crate) problem: Option<String>,
}

/// Calls the objective until it has suggested its parameters, each in the middle of its range.
pub(crate) fn probe(
    ready: &mut ReadyObjective,
    name: String,
    mut limits: Limits,
    deterministic: bool,
    timeout: Duration,
) -> Result<Probe, CommandError> {
    limits.set(Limit::TrialTime, timeout.as_millis().try_into().ok());
    ready.door.set_terms(limits, deterministic)?;
    let scratch = Scratch {
        study: NewStudy {
            name,
            directions: described_directions(&ready.loaded)
                .unwrap_or_else(|| vec![StudyDirection::Minimize]),
            user_attrs: vec![],
            system_attrs: vec![],
        },
        params: vec![],
        sampler: &MidpointSampler,
        seed: 0,
        pruner: &AlwaysPruner,
        limits: SessionLimits { limits, ..SessionLimits::default() },
    };
    let (_, trial) = scratch.run(ready.door.as_mut(), &mut |_| ())?;
    // The time limit is the usual end of a probe: the parameters before it are the result.
    let failure = trial.failure.filter(|failure| failure.code != FailureCode::Time);
    let problem = failure.map(|failure| format!("{}: {}", failure.code, failure_message(&failure)));
    Ok(Probe { params: trial.params, problem })
}

/// Checks that trials with these parameters can join a study. Optuna keeps the kind, the choices and `log` of a
/// parameter for the whole study. `origin` is what has the parameters, such as `this module`.
///
/// # Errors
/// A parameter that differs too much from the one that the study has.
pub(crate) fn check_joins<'a>(
    study: &StudyRecord,
    known: &KnownParams,
    params: impl Iterator<Item = (&'a String, &'a Distribution)>,
    origin: &str,
) -> Result<(), CommandError> {
    for (name, found) in params {
        let Some(recorded) = known.get(name) else { continue };
        if recorded.check_compatible(found).is_err() {
            let study = &study.name;
            return Err(CommandError::usage(
                format!(
                    "study `{study}` has parameter `{name}` as {recorded}, and {origin} has it as {found}"
                ),
                "start a new study with --study-name NAME: a study keeps the kind, the choices and `log` of its \
                 parameters",
            ));
        }
    }
    Ok(())
}

/// A pruner that stops an objective as soon as it asks.
struct AlwaysPruner;

impl Pruner for AlwaysPruner {
    fn uses_history(&self) -> bool {
        false
    }

    fn judge(&self, _history: &History, _current: &RunningTrial) -> Judgement {
        Judgement::new(true)
    }
}
