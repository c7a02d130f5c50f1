//! `trialbox trial replay`: a recorded trial run again, and whether it comes out the same.

use crate::args::chosen::Chosen;
use crate::args::limit::apply_recorded;
use crate::args::objective::{ObjectiveArgs, ObjectivePlan};
use crate::args::program::ProgramArgs;
use crate::args::storage::StudyArgs;
use crate::commands::submit::shell_quote;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::study::provenance::{
    PROGRAM_PROMISE, objective_digest, provenance, provenance_differences,
};
use crate::study::scratch::Scratch;
use crate::view::failure::failure_message;
use crate::view::objectives::show_values;
use crate::view::output::Output;
use crate::view::record::{DifferenceRecord, FailureRecord, Rendered, ReplayRecord, floats};
use std::path::PathBuf;
use std::sync::Arc;
use trialbox_core::run::replay::{RecordedAnswers, Replay, recorded_seed, replay};
use trialbox_core::seam::storage::{TrialStart, Trials as _};
use trialbox_core::session::SessionLimits;
use trialbox_core::session::objective::Objective;
use trialbox_core::study::failure::FAILURE_ATTR;
use trialbox_core::study::limits::Limits;
use trialbox_core::study::provenance::{PROGRAM, PROVENANCE_ATTR};
use trialbox_core::study::record::NewStudy;
use trialbox_core::{FrozenTrial, Json, StudyRecord, TrialNumber};
use trialbox_runtime::{Cancellation, Interrupts};
use trialbox_samplers::MidpointSampler;

pub(crate) const EXAMPLES: &str = "\
Examples:
  trialbox trial replay 7 digits.wasm --dir data::/data --storage study.db --study-name digits
  trialbox trial replay 7 digits.wasm --dir data::/data --format json | jq .equal
  trialbox trial replay 7 --recorded-command                            the command that the study holds
  trialbox trial replay 7 --space 'lr=log(1e-5, 0.1)' -- python train.py --lr {lr}

The trial takes its parameters, its seed, the pruner's answers and --deterministic from the study. Grants and variables
must be given again. Nothing is recorded. The exit code is 0 if all is equal to the bit, and 1 if something differs.
A database holds neither the sign of a zero nor the bits of a NaN; they count as equal. A program runs in the current
folder and without the sandbox: that it comes out equal once promises nothing about the next time.";

/// Run a recorded trial again and compare the results.
///
/// Parameters, reports, attributes, constraints and values are compared with the study's.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// The trial's number
    #[arg(value_name = "NUMBER")]
    number: u32,

    /// The objective: the module that ran the trial
    objective: Option<PathBuf>,

    #[command(flatten)]
    study: StudyArgs,

    /// Replay with another module, or another command, than the one that ran the trial
    #[arg(long)]
    allow_module_change: bool,

    /// Run the command that the study holds, with its --space, --value and --as-optuna
    ///
    /// It is not sandboxed, and any user who can write the database can write it: look at it first, with
    /// `trialbox trial show NUMBER -v`.
    #[arg(long, conflicts_with_all = ["objective", "command", "space", "value", "as_optuna"])]
    recorded_command: bool,

    #[command(flatten)]
    program: ProgramArgs,

    #[command(flatten)]
    sandbox: ObjectiveArgs,
}

impl ReplayArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let recorded = storage.trial(study.id, TrialNumber(self.number))?;
        let (seed, kept) = provenance_of(&recorded)?;
        let interrupts = Some(Arc::new(Interrupts::install()?));
        let stops = Cancellation { interrupts, ..Cancellation::default() };
        let plan = self.plan(&recorded, kept, &stops)?;
        self.check(&recorded, kept, &plan)?;

        let deterministic =
            self.sandbox.deterministic || kept.get("deterministic") == Some(&Json::Bool(true));
        let mut limits = Limits::default();
        if let Some(recorded) = kept.get("limits") {
            apply_recorded(recorded, &mut limits);
        }
        let limits = self.sandbox.limits_over(limits);
        let mut ready = plan.load()?;
        plan.check_data(&ready.loaded)?;
        ready.door.set_terms(limits, deterministic)?;
        let replayed = run_again(&study, &recorded, seed, limits, ready.door.as_mut())?;
        if let Some(interruption) = replayed.interruption {
            output.note("the replay was interrupted; nothing was compared");
            return Ok(ExitCode::of(interruption));
        }
        let env_names = self.sandbox.env_names();
        let now = provenance(&plan, &ready.loaded, env_names, &limits, deterministic);
        let mut notes = provenance_differences(kept, &now);
        if !plan.grants().is_empty() {
            notes.push(
                "the granted files may have changed: only data described with a digest is checked"
                    .to_owned(),
            );
        }
        self.report(output, &study, &recorded, &replayed, &plan, &notes);
        let equal = replayed.difference.is_none();
        Ok(if equal { ExitCode::Done } else { ExitCode::TrialFailed })
    }

    /// Resolves the objective: that of the command line, or the command that the study holds.
    fn plan(
        &self,
        recorded: &FrozenTrial,
        kept: &Json,
        stops: &Cancellation,
    ) -> Result<ObjectivePlan, CommandError> {
        let was_program = kept.get_str("module") == Some(PROGRAM);
        let mut program = self.program.clone();
        if self.recorded_command {
            if !was_program {
                return Err(CommandError::usage(
                    format!(
                        "expected a trial of a program, found trial {} of a component",
                        recorded.number
                    ),
                    "give the component: trialbox trial replay NUMBER OBJECTIVE.wasm",
                ));
            }
            program = self.program.recorded(kept)?;
        } else if was_program && self.objective.is_none() && program.command.is_empty() {
            return Err(CommandError::usage(
                format!(
                    "expected the objective of trial {}, which was run by the program `{}`",
                    recorded.number,
                    command_text(kept)
                ),
                "a program runs without the sandbox: give it after `--`, or add --recorded-command",
            ));
        }
        let component = self.objective.as_deref();
        let chosen = Chosen { component, program: &program, sandbox: &self.sandbox };
        chosen.plan(stops, self.study.storage.trusted()?)
    }

    /// Refuses another objective than the one that ran the trial.
    fn check(
        &self,
        recorded: &FrozenTrial,
        kept: &Json,
        plan: &ObjectivePlan,
    ) -> Result<(), CommandError> {
        if self.allow_module_change {
            return Ok(());
        }
        let number = recorded.number;
        let (was, is) = (kept.get_str("module"), objective_digest(plan));
        let shown = plan.shown();
        let problem = match (was, plan) {
            (Some(PROGRAM), ObjectivePlan::Program(config)) => {
                let is = shell_words(&config.command.words_text());
                let was = command_text(kept);
                (was != is).then(|| {
                    format!("trial {number} was run by another command: `{was}`, not `{is}`")
                })
            }
            (Some(PROGRAM), ObjectivePlan::Component(_)) => Some(format!(
                "trial {number} was run by the program `{}`, and `{}` is a component",
                command_text(kept),
                shown
            )),
            (Some(was), _) if was != is => Some(format!(
                "trial {number} was run by another component: {was}, and `{}` is {is}",
                shown
            )),
            _ => None,
        };
        problem.map_or(Ok(()), |problem| {
            Err(CommandError::usage(
                problem,
                "give that one, or see what this one makes of it with --allow-module-change",
            ))
        })
    }

    fn report(
        &self,
        output: &Output,
        study: &StudyRecord,
        recorded: &FrozenTrial,
        replayed: &Replay,
        plan: &ObjectivePlan,
        notes: &[String],
    ) {
        let number = recorded.number;
        let mut text = match &replayed.difference {
            None => {
                let (params, reports) = (recorded.params.len(), recorded.intermediate_values.len());
                let values = match &recorded.values[..] {
                    [] => String::new(),
                    values => format!("  {}", show_values(study, values)),
                };
                format!(
                    "trial {number} replayed: equal to the bit\n  {}{values}  \
                     (parameters: {params}, stored reports: {reports})",
                    recorded.state
                )
            }
            Some(difference) => {
                format!("trial {number} replayed: it differs\n  {difference}")
            }
        };
        if let (Some(failure), true) = (&replayed.failure, replayed.difference.is_some()) {
            text.push_str(&format!("\n  {}: {}", failure.code, failure_message(failure)));
        }
        // What may be why, if there is a what. What a program leaves open holds in any case.
        let has_difference = replayed.difference.is_some();
        for note in notes.iter().filter(|note| has_difference || *note == PROGRAM_PROMISE) {
            text.push_str(&format!("\n  note: {note}"));
        }
        let record = ReplayRecord {
            study: study.name.clone(),
            number: number.0,
            sandboxed: plan.is_sandboxed(),
            equal: replayed.difference.is_none(),
            difference: replayed.difference.as_ref().map(DifferenceRecord::of),
            recorded_state: recorded.state.as_str(),
            state: replayed.state.as_str(),
            failure: replayed.failure.as_ref().map(FailureRecord::of),
            values: floats(&replayed.values),
            notes: notes.to_vec(),
        };
        output.print(&Rendered::new(text, record));
    }
}

/// Returns the trial's seed and provenance, if it can be replayed.
fn provenance_of(recorded: &FrozenTrial) -> Result<(u64, &Json), CommandError> {
    let number = recorded.number;
    if !recorded.state.is_finished() {
        let problem = format!("trial {number} is {}: it has not ended", recorded.state);
        return Err(CommandError::usage(problem, "wait for it, or replay another"));
    }
    let failure = recorded.system_attrs.get(FAILURE_ATTR).and_then(|failure| failure.get("code"));
    if let Some(code @ ("E-LOST" | "E-INTERRUPTED")) = failure.and_then(Json::as_str) {
        return Err(CommandError::usage(
            format!("trial {number} was cut short ({code}): it has no end to compare with"),
            "replay its retry, or a trial that ended by itself",
        ));
    }
    let kept = recorded.system_attrs.get(PROVENANCE_ATTR);
    let (Some(seed), Some(kept)) = (recorded_seed(recorded), kept) else {
        return Err(CommandError::usage(
            format!("trial {number} does not say what ran it: it has no `{PROVENANCE_ATTR}`"),
            "only trials that `trialbox run` has run can be replayed",
        ));
    };
    Ok((seed, kept))
}

/// Returns the recorded command of a program, as a shell reads it.
fn command_text(kept: &Json) -> String {
    let words = kept.get("command").and_then(Json::as_array).unwrap_or_default();
    shell_words(
        &words.iter().map(|word| word.as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>(),
    )
}

fn shell_words(words: &[String]) -> String {
    words.iter().map(|word| shell_quote(word)).collect::<Vec<_>>().join(" ")
}

/// Runs the trial again, in a study of this process's memory.
fn run_again(
    study: &StudyRecord,
    recorded: &FrozenTrial,
    seed: u64,
    limits: Limits,
    objective: &mut dyn Objective,
) -> Result<Replay, CommandError> {
    let scratch = Scratch {
        study: NewStudy {
            name: study.name.clone(),
            directions: study.directions.clone(),
            user_attrs: vec![],
            system_attrs: vec![],
        },
        params: vec![],
        sampler: &MidpointSampler,
        seed: 0,
        pruner: &RecordedAnswers::of(recorded),
        limits: SessionLimits { limits, ..SessionLimits::default() },
    };
    scratch.with(|context, storage, request| {
        let TrialStart::Begun(begun) = storage.begin_trial(context.study.id, request)? else {
            unreachable!("the study has no limit")
        };
        Ok(replay(context, storage, *begun, objective, recorded, seed))
    })
}
