//! `trialbox eval`: one call of an objective with given parameters, recorded nowhere.

use crate::args::chosen::Chosen;
use crate::args::objective::{
    DirectionArg, ObjectiveArgs, ObjectivePlan, described_directions, metric_names_attr,
};
use crate::args::param::{check_unique, parse_param};
use crate::args::program::ProgramArgs;
use crate::args::trusted::TrustedPlaces;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::project::found::or_in_folder;
use crate::study::resolve::agreed_directions;
use crate::study::sample::Sample;
use crate::study::scratch::Scratch;
use crate::view;
use crate::view::failure::{failure_help, failure_message, file_help};
use crate::view::finished::{show_backtrace, show_reports, show_usage, source_prefix};
use crate::view::objectives::show_values;
use crate::view::output::Output;
use crate::view::record::{CheckRecord, Rendered, TrialRecord};
use crate::view::trial::{show_constraint, show_value};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trialbox_core::run::FinishedTrial;
use trialbox_core::run::trace::{Difference, Trace};
use trialbox_core::seam::pruner::NopPruner;
use trialbox_core::session::SessionLimits;
use trialbox_core::session::door::Door;
use trialbox_core::session::event::Event;
use trialbox_core::session::objective::Objective;
use trialbox_core::study::artifact::ArtifactKind;
use trialbox_core::study::failure::FailureCode;
use trialbox_core::study::record::NewStudy;
use trialbox_core::{Json, StudyDirection, StudyRecord, TrialState};
use trialbox_files::write_named;
use trialbox_runtime::{Cancellation, Interrupts, Stamp};
use trialbox_samplers::{MidpointSampler, RandomSampler};

const EXAMPLES: &str = "\
Examples:
  trialbox eval quadratic.wasm --param x=1.5 --param y=-1
  trialbox eval digits.wasm --dir data::/data --param activation=tanh --defaults random --seed 7
  trialbox eval digits.wasm --dir data::/data --check --deterministic
  trialbox eval quadratic.wasm --format json | jq .values
  trialbox eval --space 'lr=log(1e-5, 0.1)' --param lr=0.01 -- python train.py --lr {lr}";

/// Call an objective once, without a study, to try it or to find its mistakes.
///
/// Parameters that are not given take the middle of their range. The objective's log goes to standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EvalArgs {
    /// The objective: a wasm component
    objective: Option<PathBuf>,

    /// A parameter's value; text that is no JSON value is taken as a string
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = parse_param)]
    param: Vec<(String, Json)>,

    /// Values of parameters that are not given
    #[arg(long, value_enum, default_value_t = Defaults::Mid)]
    defaults: Defaults,

    /// The seed of the objective's random numbers, and of --defaults random
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Direction of each objective [default: as the objective says, else minimize]
    #[arg(long, value_name = "minimize|maximize", value_enum, hide_possible_values = true)]
    direction: Vec<DirectionArg>,

    /// Call the objective three times and check that all results are equal
    ///
    /// Each call has a process of its own. Parameters, reports, attributes, constraints and values must be equal to
    /// the bit; otherwise the exit code is 1 and the first difference is named.
    #[arg(long)]
    check: bool,

    /// Write the component with this call as its sample trial, for `trialbox verify`
    ///
    /// Give --deterministic too, so that the bits are the same on every machine. A file of that name is replaced.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "command"])]
    record: Option<PathBuf>,

    #[command(flatten)]
    program: ProgramArgs,

    #[command(flatten)]
    sandbox: ObjectiveArgs,
}

/// The number of calls that `--check` makes.
const CHECK_RUNS: u32 = 3;

/// The values of parameters that are not given.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Defaults {
    /// The middle of the range; of choices the first
    Mid,
    /// A random value
    Random,
}

impl EvalArgs {
    pub(crate) fn run(mut self, output: &Output) -> CommandResult {
        or_in_folder(&mut self.objective, self.program.is_given(), output)?;
        check_unique("--param", &self.param)?;
        let interrupts = Some(Arc::new(Interrupts::install()?));
        let stops = Cancellation { interrupts, ..Cancellation::default() };
        let chosen = Chosen {
            component: self.objective.as_deref(),
            program: &self.program,
            sandbox: &self.sandbox,
        };
        let plan = chosen.plan(&stops, TrustedPlaces::default())?;
        let mut ready = plan.load()?;
        plan.check_data(&ready.loaded)?;
        if let Some(note) = plan.note() {
            output.note(&note);
        }
        let flags: Vec<StudyDirection> =
            self.direction.iter().map(|direction| (*direction).into()).collect();
        let directions = agreed_directions(described_directions(&ready.loaded), flags)?;
        let study = NewStudy {
            name: plan.name(&ready.loaded),
            directions: directions.unwrap_or_else(|| vec![StudyDirection::Minimize]),
            user_attrs: vec![],
            system_attrs: metric_names_attr(&ready.loaded).into_iter().collect(),
        };
        let mut observer = |event: Event| match event {
            Event::Logged(line) => {
                output.note(&format!("{}{}", source_prefix(line.source), line.text))
            }
            Event::Reported { step, value } if output.is_verbose() => {
                output.note(&format!("step {step}: {}", view::trial::show_float(value)));
            }
            _ => {}
        };
        if self.check {
            return self.check(output, &study, &plan, ready.door.as_mut(), &mut observer);
        }
        let (study, trial) = self.call(&study, ready.door.as_mut(), &mut observer)?;
        let exit = self.report(output, &study, &plan, &trial)?;
        if let Some(file) = &self.record {
            self.write_sample(file, &plan, &trial)?;
            output.note(&format!("`{}` holds this call as its sample trial", file.display()));
        }
        Ok(exit)
    }

    /// Writes the component with a call as its sample trial.
    fn write_sample(
        &self,
        file: &Path,
        plan: &ObjectivePlan,
        trial: &FinishedTrial,
    ) -> Result<(), CommandError> {
        let component = match plan {
            ObjectivePlan::Component(component) if trial.state == TrialState::Complete => component,
            _ => {
                return Err(CommandError::usage(
                    format!("expected a COMPLETE call to record, found {}", trial.state),
                    "mend the call first: trialbox eval OBJECTIVE",
                ));
            }
        };
        if component.artifact.kind != ArtifactKind::Component {
            return Err(CommandError::usage(
                "expected a component to record a sample in, found an objective in Python",
                "leave --record out; `trialbox test` calls the objective",
            ));
        }
        let sample = Sample::of(trial, self.seed, self.sandbox.deterministic);
        let bytes = Stamp::with_sample(&component.artifact.bytes, &sample.to_text());
        Ok(write_named(file, &bytes, None)?)
    }

    /// Calls the objective once, in a study of this process's memory.
    fn call(
        &self,
        study: &NewStudy,
        objective: &mut dyn Objective,
        observer: &mut dyn FnMut(Event),
    ) -> Result<(StudyRecord, FinishedTrial), CommandError> {
        let scratch = Scratch {
            study: study.clone(),
            params: self.param.clone(),
            sampler: match self.defaults {
                Defaults::Mid => &MidpointSampler,
                Defaults::Random => &RandomSampler,
            },
            seed: self.seed,
            pruner: &NopPruner,
            limits: SessionLimits {
                limits: self.sandbox.limits(),
                strict_fixed_params: true,
                ..SessionLimits::default()
            },
        };
        scratch.run(objective, observer)
    }

    /// Calls the objective several times, each in a process of its own, and names the first difference.
    fn check(
        &self,
        output: &Output,
        study: &NewStudy,
        plan: &ObjectivePlan,
        door: &mut dyn Door,
        observer: &mut dyn FnMut(Event),
    ) -> CommandResult {
        let mut first: Option<(Trace, FinishedTrial)> = None;
        for run in 1..=CHECK_RUNS {
            let mut trace = Trace::default();
            let mut both = |event: Event| {
                trace.observe(&event);
                // What it logs is of interest once.
                if run == 1 {
                    observer(event);
                }
            };
            let (_, trial) = self.call(study, door, &mut both)?;
            trace.finish(&trial);
            if trial.interruption.is_some() {
                output.note("the check was interrupted; nothing was compared");
                return Ok(ExitCode::Interrupted);
            }
            let Some((expected, _)) = &first else {
                first = Some((trace, trial));
                door.restart();
                continue;
            };
            if let Some(difference) = expected.first_difference(&trace) {
                self.report_difference(output, &study.name, plan, run, &difference);
                return Ok(ExitCode::TrialFailed);
            }
            door.restart();
        }
        let Some((trace, trial)) = first else { unreachable!("there is at least one run") };
        self.check_params(&trial)?;
        let mut text = format!(
            "{CHECK_RUNS} runs gave the same to the bit: {}, after {} calls",
            trial.state,
            trace.n_calls()
        );
        if let Some(failure) = &trial.failure {
            text.push_str(&format!("\n  {}: {}", failure.code, failure_message(failure)));
            text.push_str(&show_backtrace(failure));
        }
        let record = CheckRecord::equal(
            &study.name,
            CHECK_RUNS,
            plan.is_sandboxed(),
            trace.n_calls(),
            &trial,
        );
        output.print(&Rendered::new(text, record));
        Ok(if trial.failure.is_some() { ExitCode::TrialFailed } else { ExitCode::Done })
    }

    fn report_difference(
        &self,
        output: &Output,
        name: &str,
        plan: &ObjectivePlan,
        run: u32,
        difference: &Difference,
    ) {
        let mut text = format!("not deterministic: in run {run} of {CHECK_RUNS} {difference}");
        if plan.is_sandboxed() && !self.sandbox.deterministic {
            text.push_str(
                "\n  help: clocks and the order of directories differ from run to run; --deterministic fixes them",
            );
        }
        let record = CheckRecord::different(name, run, plan.is_sandboxed(), difference);
        output.print(&Rendered::new(text, record));
    }

    /// Refuses values of `--param` that the objective cannot take, or does not suggest.
    fn check_params(&self, trial: &FinishedTrial) -> Result<(), CommandError> {
        match &trial.failure {
            Some(failure) if failure.code == FailureCode::FixedParam => {
                Err(CommandError::usage(failure.message.clone(), "change --param"))
            }
            _ => Ok(()),
        }
    }

    fn report(
        &self,
        output: &Output,
        study: &StudyRecord,
        plan: &ObjectivePlan,
        trial: &FinishedTrial,
    ) -> CommandResult {
        self.check_params(trial)?;
        let mut text = match (&trial.failure, &trial.values[..]) {
            (Some(failure), _) => {
                format!("{}  {}: {}", trial.state, failure.code, failure_message(failure))
            }
            (None, []) => trial.state.to_string(),
            (None, values) => format!("{}  {}", trial.state, show_values(study, values)),
        };
        text.push_str(&trial.failure.as_ref().map(show_backtrace).unwrap_or_default());
        let help_of = |failure| failure_help(failure).or_else(|| file_help(failure, plan.grants()));
        if let Some(help) = trial.failure.as_ref().and_then(help_of) {
            text.push_str(&format!("\n  help: {help}"));
        }
        for (name, param) in &trial.params {
            let given = self.param.iter().any(|(given, _)| given == name);
            let value = show_value(&param.external());
            text.push_str(&format!(
                "\n  {name} = {value}{}",
                if given { "" } else { "  (default)" }
            ));
        }
        for constraint in &trial.constraints {
            text.push_str(&format!("\n  constraint {}", show_constraint(constraint)));
        }
        for (key, value) in &trial.user_attrs {
            text.push_str(&format!("\n  user attribute {key}: {value}"));
        }
        let reports = show_reports(trial).map(|reports| format!(" and {reports}"));
        let reports = reports.unwrap_or_default();
        text.push_str(&format!("\n  used {}{reports}", show_usage(&trial.usage)));
        output.print(&Rendered::new(
            text,
            TrialRecord::of_finished(study, trial, plan.is_sandboxed()),
        ));
        Ok(match (trial.interruption, trial.state) {
            (Some(_), _) => ExitCode::Interrupted,
            (None, TrialState::Fail) => ExitCode::TrialFailed,
            _ => ExitCode::Done,
        })
    }
}
