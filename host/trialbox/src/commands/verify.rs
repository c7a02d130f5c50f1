//! `trialbox verify`: runs the sample trial that an objective carries, and holds its result against the recorded one.

use crate::args::objective::{
    ObjectiveArgs, described_directions, metric_names_attr, objective_name, read_objective,
};
use crate::args::trusted::TrustedPlaces;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::plan::ObjectivePlan;
use crate::study::sample::{Sample, platform};
use crate::study::scratch::Scratch;
use crate::view::objectives::show_values;
use crate::view::output::Output;
use crate::view::record::{Float, Rendered, VerifiedRecord};
use crate::view::trial::show_duration;
use std::path::PathBuf;
use std::sync::Arc;
use trialbox_core::StudyDirection;
use trialbox_core::seam::pruner::NopPruner;
use trialbox_core::session::SessionLimits;
use trialbox_core::session::door::{Rejection, RejectionCode};
use trialbox_core::study::record::NewStudy;
use trialbox_runtime::{Cancellation, Interrupts, Stamp};
use trialbox_samplers::MidpointSampler;

const EXAMPLES: &str = "\
Examples:
  trialbox verify ghcr.io/lab/digits:1.2 --dir data::/data
  trialbox verify digits.wasm --dir data::/data

The author records the sample: trialbox eval digits.wasm --dir data::/data --deterministic --record shared.wasm";

/// Run the sample trial of an objective, and compare it to the bit.
///
/// Shows that an objective works here as it worked for its author: the digest is checked, and the trial that the module
/// carries is called with the same parameters and the same seed, in the sandbox. Nothing is recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The objective: a wasm component or a source, as `trialbox pull` takes it
    objective: PathBuf,

    #[command(flatten)]
    sandbox: ObjectiveArgs,
}

impl VerifyArgs {
    pub(crate) fn run(mut self, output: &Output) -> CommandResult {
        let limits = self.sandbox.limits();
        let artifact = Arc::new(read_objective(&self.objective, &limits, &self.sandbox.sharing)?);
        let sample = match Stamp::read_sample(&artifact.bytes) {
            Some(text) => Sample::from_text(&text)?,
            None => return Err(no_sample(&artifact.path.display().to_string())),
        };
        self.sandbox.deterministic |= sample.deterministic;
        let interrupts = Some(Arc::new(Interrupts::install()?));
        let stops = Cancellation { interrupts, ..Cancellation::default() };
        let component = self.sandbox.plan(&artifact, &stops, TrustedPlaces::default())?;
        let plan = ObjectivePlan::Component(Box::new(component));
        let mut ready = plan.load()?;
        plan.check_data(&ready.loaded)?;
        let directions = described_directions(&ready.loaded);
        let scratch = Scratch {
            study: NewStudy {
                name: objective_name(&ready.loaded, &artifact.path),
                directions: directions.unwrap_or_else(|| vec![StudyDirection::Minimize]),
                user_attrs: vec![],
                system_attrs: metric_names_attr(&ready.loaded).into_iter().collect(),
            },
            params: sample.params.clone(),
            sampler: &MidpointSampler,
            seed: sample.seed,
            pruner: &NopPruner,
            limits: SessionLimits { limits, ..SessionLimits::default() },
        };
        let (study, trial) = scratch.run(ready.door.as_mut(), &mut |_| {})?;
        if trial.interruption.is_some() {
            output.note("the sample trial was interrupted; nothing was compared");
            return Ok(ExitCode::Interrupted);
        }
        let difference = sample.difference(&trial);
        let time = show_duration(trial.duration);
        let mut text = format!("{}: sha256 {}\n", artifact.path.display(), artifact.sha256);
        match &difference {
            None => text.push_str(&format!(
                "  its sample trial gave the same to the bit: {}, in {time}\n",
                show_values(&study, &trial.values)
            )),
            Some(difference) => {
                text.push_str(&format!("  its sample trial differs: {difference}\n"));
                if !sample.deterministic {
                    text.push_str(
                        "  help: it was recorded without --deterministic, so machines may differ\n",
                    );
                }
            }
        }
        text.push_str(&format!("  recorded on {}\n  run here on {}", sample.platform, platform()));
        let equal = difference.is_none();
        let record = VerifiedRecord {
            objective: artifact.path.display().to_string(),
            sha256: artifact.sha256.clone(),
            equal,
            difference,
            recorded_on: sample.platform,
            run_on: platform(),
            recorded_seconds: Float(sample.seconds),
            seconds: trial.duration.as_secs_f64(),
        };
        output.print(&Rendered::new(text, record));
        Ok(if equal { ExitCode::Done } else { ExitCode::TrialFailed })
    }
}

fn no_sample(name: &str) -> CommandError {
    Rejection::new(
        RejectionCode::Invalid,
        format!("expected a sample trial in `{name}`, found none"),
        "its author records one: trialbox eval FILE --record FILE; `trialbox test` calls the objective without one",
    )
    .into()
}
