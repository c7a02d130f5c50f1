//! `trialbox test`: the tests of a project, then trials in the sandbox that are held against each other.

use crate::args::objective::{
    ObjectiveArgs, described_directions, metric_names_attr, objective_name, read_objective,
};
use crate::args::trusted::TrustedPlaces;
use crate::commands::build::{build_crate, is_folder};
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::plan::{ObjectivePlan, ReadyObjective};
use crate::project::cargo;
use crate::project::found::{Project, no_project};
use crate::study::scratch::Scratch;
use crate::view::failure::{failure_help, failure_message, file_help};
use crate::view::finished::show_backtrace;
use crate::view::objectives::show_values;
use crate::view::output::Output;
use crate::view::record::{CheckRecord, Rendered};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trialbox_core::StudyDirection;
use trialbox_core::run::FinishedTrial;
use trialbox_core::run::trace::{Difference, Trace};
use trialbox_core::seam::pruner::NopPruner;
use trialbox_core::session::SessionLimits;
use trialbox_core::study::record::NewStudy;
use trialbox_runtime::{Cancellation, Interrupts};
use trialbox_samplers::RandomSampler;

const EXAMPLES: &str = "\
Examples:
  trialbox test                             the project in the current folder
  trialbox test mine --dir data::/data      the one in mine, with the data that its objective reads
  trialbox test objective.py                a file of Python
  trialbox test mine.wasm                   a component, which has no tests of its own";

/// Test an objective: its own tests, then three trials in the sandbox.
///
/// In a project of Rust `cargo test` runs first, then the component is built. Each of the three trials has other
/// parameters and is called twice: both calls must be equal to the bit. Nothing is recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TestArgs {
    /// The project's folder, a wasm component or a file of Python [default: the current folder]
    source: Option<PathBuf>,

    /// Leave the project's own tests out
    #[arg(long)]
    only_sandbox: bool,

    #[command(flatten)]
    sandbox: ObjectiveArgs,
}

/// The number of trials in the sandbox.
const TRIALS: u64 = 3;

impl TestArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let source = self.source.clone().unwrap_or_default();
        let file = if is_folder(&source) {
            let Some(project) = Project::in_folder(&source)? else {
                return Err(no_project(&source));
            };
            if let Project::Crate { folder, .. } = &project {
                if !self.only_sandbox && cargo::test(folder)? != ExitCode::Done {
                    return Ok(ExitCode::TrialFailed);
                }
                let built = build_crate(&project, None, &[])?;
                output.note(&built.text());
            }
            project.objective()
        } else {
            source
        };
        self.run_trials(&file, output)
    }

    /// Calls the objective twice with each of several sets of parameters.
    fn run_trials(&self, file: &Path, output: &Output) -> CommandResult {
        let interrupts = Some(Arc::new(Interrupts::install()?));
        let stops = Cancellation { interrupts, ..Cancellation::default() };
        let artifact =
            Arc::new(read_objective(file, &self.sandbox.limits(), &self.sandbox.sharing)?);
        let component = self.sandbox.plan(&artifact, &stops, TrustedPlaces::default())?;
        let plan = ObjectivePlan::Component(Box::new(component));
        let mut ready = plan.load()?;
        plan.check_data(&ready.loaded)?;
        let directions = described_directions(&ready.loaded);
        let study = NewStudy {
            name: objective_name(&ready.loaded, file),
            directions: directions.unwrap_or_else(|| vec![StudyDirection::Minimize]),
            user_attrs: vec![],
            system_attrs: metric_names_attr(&ready.loaded).into_iter().collect(),
        };
        let mut exit = ExitCode::Done;
        for number in 0..TRIALS {
            let first = self.call(&study, &mut ready, number)?;
            let second = self.call(&study, &mut ready, number)?;
            if [&first, &second].iter().any(|call| call.trial.interruption.is_some()) {
                output.note("the test was interrupted");
                return Ok(ExitCode::Interrupted);
            }
            let difference = first.trace.first_difference(&second.trace);
            exit =
                exit.worst(report(output, &study.name, &plan, number, &first, difference.as_ref()));
        }
        Ok(exit)
    }

    /// Calls the objective once, in a study of this process's memory and in a guest process of its own.
    fn call(
        &self,
        study: &NewStudy,
        ready: &mut ReadyObjective,
        number: u64,
    ) -> Result<Call, CommandError> {
        let scratch = Scratch {
            study: study.clone(),
            params: vec![],
            sampler: &RandomSampler,
            seed: number,
            pruner: &NopPruner,
            limits: SessionLimits { limits: self.sandbox.limits(), ..SessionLimits::default() },
        };
        let mut trace = Trace::default();
        let (record, trial) =
            scratch.run(ready.door.as_mut(), &mut |event| trace.observe(&event))?;
        trace.finish(&trial);
        ready.door.restart();
        let values = show_values(&record, &trial.values);
        Ok(Call { trace, trial, values })
    }
}

/// One call of the objective.
struct Call {
    trace: Trace,
    trial: FinishedTrial,
    /// The values, for people.
    values: String,
}

/// Prints the outcome of a trial, and returns the exit code that it asks for.
fn report(
    output: &Output,
    objective: &str,
    plan: &ObjectivePlan,
    number: u64,
    call: &Call,
    difference: Option<&Difference>,
) -> ExitCode {
    let trial = &call.trial;
    let mut text = format!("trial {number}  {}", trial.state);
    if let Some(failure) = &trial.failure {
        text.push_str(&format!("  {}: {}", failure.code, failure_message(failure)));
        text.push_str(&show_backtrace(failure));
        let help = failure_help(failure).or_else(|| file_help(failure, plan.grants()));
        help.iter().for_each(|help| text.push_str(&format!("\n  help: {help}")));
    } else {
        text.push_str(&format!("  {}", call.values));
    }
    match difference {
        None => text.push_str("  (twice the same to the bit)"),
        Some(difference) => text.push_str(&format!(
            "\n  not deterministic: in the second call {difference}\n  help: clocks and the order of directories \
             differ from run to run; --deterministic fixes them"
        )),
    }
    let record = match difference {
        None => CheckRecord::equal(objective, 2, true, call.trace.n_calls(), trial),
        Some(difference) => CheckRecord::different(objective, 2, true, difference),
    };
    output.print(&Rendered::new(text, record));
    match (difference, &trial.failure) {
        (None, None) => ExitCode::Done,
        _ => ExitCode::TrialFailed,
    }
}
