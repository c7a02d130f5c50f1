//! `trialbox trial ask`: takes a trial whose objective runs outside the sandbox.

use crate::args::quantity::parse_grace;
use crate::args::space_flag::{SpaceArg, declared_space, parse_space};
use crate::args::stopping::StoppingArgs;
use crate::args::storage::StudyArgs;
use crate::args::study::StudySettingArgs;
use crate::clock::SystemClock;
use crate::commands::submit::quote::posix_assignment;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::study::budget::stop_text;
use crate::study::owner::owner_of_ask;
use crate::study::recovery::{DEFAULT_GRACE, Reaping, recover};
use crate::study::settings::{SettingFlags, Settings};
use crate::view::failure::failure_message;
use crate::view::output::{Output, Undelivered};
use crate::view::record::{self, Rendered, params};
use std::time::Duration;
use trialbox_core::run::ask_tell::{Asked, MayAsk, ask, may_ask};
use trialbox_core::seam::pruner::NopPruner;
use trialbox_core::seam::storage::{BeginTrial, Claim, Ending, Outcome, RetryPolicy, TrialBatch};
use trialbox_core::session::{OnDeadline, SessionLimits, TrialContext};
use trialbox_core::space::declared::DeclaredSpace;
use trialbox_core::study::failure::{FAILURE_ATTR, Failure, FailureCode};
use trialbox_core::study::stopping::StopReason;
use trialbox_core::value::text::{counted, plural};
use trialbox_core::{Clock as _, Json, Storage, StudyRecord, TrialNumber};
use trialbox_program::{check_variables, param_variable, variables_of};

#[derive(Debug, clap::Args)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// The parameters to suggest: 'lr=log(1e-5, 0.1)', a file such as @space.toml, or JSON
    ///
    /// JSON is an object of distributions, as Optuna's command line takes it. Ranges are those of `trialbox run
    /// --space`. [default: those of an enqueued trial]
    #[arg(
        long,
        visible_alias = "space",
        value_name = "NAME=RANGE|@FILE|JSON",
        value_parser = parse_space
    )]
    search_space: Vec<SpaceArg>,

    /// Print assignments that a POSIX shell can `eval`
    ///
    /// TRIALBOX_TRIAL, which is empty if no trial was started, TRIALBOX_OWNER, TRIALBOX_PARAMS (JSON), and for each
    /// parameter a variable such as TRIALBOX_PARAM_LR. [default: JSON]
    #[arg(long)]
    shell: bool,

    #[command(flatten)]
    stopping: StoppingArgs,

    /// Let --max-trials, --stop-when-value and --patience change a study that remembers others
    #[arg(long = "override")]
    overrule: bool,

    /// Treat enqueued values as Optuna does
    ///
    /// A value outside of its range is used, and one that --search-space does not have is ignored. [default: the trial
    /// fails]
    #[arg(long)]
    lenient: bool,

    /// Process that will tell the result, in a shell script $$
    ///
    /// If it dies before, the next job on the same machine fails and requeues the trial. Without it, and on other
    /// machines, only `trialbox reap --trial` can.
    #[arg(long, value_name = "PID")]
    owner_pid: Option<u32>,

    /// The time without a heartbeat after which another job's trial counts as lost
    #[arg(
        long,
        value_name = "TIME",
        default_value = DEFAULT_GRACE,
        value_parser = parse_grace,
        hide_short_help = true
    )]
    grace: Duration,
}

impl AskArgs {
    pub(super) fn run(self, output: &Output) -> CommandResult {
        // Before a trial is started for it.
        let space = declared_space("--search-space", &self.search_space)?;
        if self.shell {
            check_variables(&space).map_err(|error| {
                CommandError::usage(error.to_string(), "rename one of them, or leave --shell out")
            })?;
        }
        let owner = owner_of_ask(self.owner_pid)?;
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let given = StudySettingArgs { stopping: self.stopping, ..StudySettingArgs::default() };
        let mut flags = SettingFlags::new(&given.explicit(None)?);
        flags.overrule = self.overrule;
        let (study, settings) = flags.resolve(storage.as_mut(), study)?;
        let spool = self.study.storage.spool();
        let reaping = Reaping::at_start(&study, self.grace)?;
        recover(storage.as_mut(), spool.as_ref(), &study, &reaping, output)?;
        let (sampler, clock) = (settings.sampler.build(), SystemClock::new());
        let (storage, budgets) = (storage.as_mut(), &settings.budgets);
        let asked = loop {
            let begun = match may_ask(&study, budgets, sampler.as_ref(), storage, &clock)? {
                MayAsk::Yes => begin(storage, &study, &settings, &owner, &space, self.lenient)?,
                MayAsk::Complete(reason) => Begun::None(stop_text(&reason, &name)),
                MayAsk::EveryPointTaken { n_running } => Begun::None(format!(
                    "study `{name}` has no untried point, and {} {} running; `trialbox reap` requeues a lost one",
                    counted(n_running, "trial"),
                    plural(n_running, "is", "are")
                )),
            };
            match begun {
                Begun::Trial(claim, asked) => break Ok((claim, asked)),
                Begun::None(reason) => break Err(reason),
                // A finite search visits each of its points.
                Begun::Excluded { number, reason } => {
                    output.note(&format!("trial {number} is PRUNED: {reason}"));
                }
            }
        };
        match asked {
            Ok((claim, asked)) => {
                if self.shell {
                    let text = shell_text(&space, &asked);
                    output.print_as_it_is(&Rendered::new(text, asked));
                } else {
                    output.print(&asked);
                }
                if let Err(reason) = output.delivered() {
                    give_back(storage, &claim, settings.retry, reason, output)?;
                }
            }
            // A script has nothing to do, and so nothing is printed. Variables keep no earlier trial.
            Err(reason) => {
                output.note(&reason);
                if self.shell && !output.is_json() {
                    output.write_file("TRIALBOX_TRIAL='' TRIALBOX_OWNER=''\n");
                }
            }
        }
        Ok(ExitCode::Done)
    }
}

/// Formats a trial as assignments. Parameters of the space that the trial lacks are unset: a loop would keep those of
/// an earlier trial.
fn shell_text(space: &DeclaredSpace, asked: &record::Asked) -> String {
    let values: Vec<(String, Json)> = asked
        .params
        .iter()
        .map(|(name, value)| (name.clone(), Json::parse(&value.to_string()).unwrap_or(Json::Null)))
        .collect();
    let mut lines = vec![
        posix_assignment("TRIALBOX_TRIAL", &asked.number.to_string()),
        posix_assignment("TRIALBOX_OWNER", asked.owner.as_deref().unwrap_or_default()),
    ];
    let absent = space.params().iter().filter(|param| !asked.params.contains_key(&param.name));
    lines.extend(absent.map(|param| format!("unset {}", param_variable(&param.name))));
    let variables = variables_of(&values);
    lines.extend(variables.iter().map(|(name, value)| posix_assignment(name, value)));
    lines.join("\n")
}

/// The result of an attempt to start a trial.
enum Begun {
    Trial(Claim, record::Asked),
    /// A constraint excluded the trial's point.
    Excluded {
        number: TrialNumber,
        reason: String,
    },
    /// The study takes no trial, for this reason.
    None(String),
}

/// Starts a trial and suggests its parameters.
fn begin(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    settings: &Settings,
    owner: &Json,
    space: &DeclaredSpace,
    is_lenient: bool,
) -> Result<Begun, CommandError> {
    let clock = SystemClock::new();
    let sampler = settings.sampler.build();
    let context = TrialContext {
        study,
        seed: settings.seed,
        sampler: sampler.as_ref(),
        held: &[],
        pruner: &NopPruner,
        clock: &clock,
        limits: SessionLimits { strict_fixed_params: !is_lenient, ..SessionLimits::default() },
        retry: None,
        on_deadline: OnDeadline::default(),
        provenance: &[],
    };
    let request = BeginTrial {
        owner: owner.clone(),
        has_heartbeat: false,
        max_trials: settings.budgets.max_trials,
        at: clock.utc_now(),
    };
    match ask(&context, storage, &request, space)? {
        Asked::Begun { claim, params: suggested } => {
            let asked = record::Asked {
                number: claim.number.0,
                params: params(&suggested),
                owner: claim.owner.get("uuid").and_then(Json::as_str).map(str::to_owned),
            };
            Ok(Begun::Trial(claim, asked))
        }
        Asked::Excluded { number, reason } => Ok(Begun::Excluded { number, reason }),
        Asked::BudgetReached { n_trials } => {
            let max_trials = settings.budgets.max_trials.unwrap_or(n_trials);
            let reason = StopReason::BudgetReached { n_trials, max_trials };
            Ok(Begun::None(stop_text(&reason, &study.name)))
        }
        Asked::Stopped(stop) => Ok(Begun::None(stop_text(&StopReason::Stopped(stop), &study.name))),
        Asked::Refused { number, failure } => Err(CommandError::usage(
            format!("{}; trial {number} is FAIL", failure_message(&failure)),
            "change --search-space, or choose another study",
        )),
    }
}

/// Fails and requeues a trial whose parameters did not reach the program that asked: its result would never be told.
fn give_back(
    storage: &mut dyn Storage,
    claim: &Claim,
    retry: RetryPolicy,
    reason: &Undelivered,
    output: &Output,
) -> Result<(), CommandError> {
    let failure = Failure::new(FailureCode::Lost, format!("the trial did not start: {reason}"));
    let mut batch = TrialBatch::default();
    batch.system_attrs.push((FAILURE_ATTR.to_owned(), failure.to_json(&[])));
    let at = SystemClock::new().utc_now();
    let ending = Ending { outcome: Outcome::Fail, at, retry: Some(retry) };
    let retry = storage.finish_trial(claim, &batch, &ending)?;
    let requeued = retry.map_or_else(
        || "it is not tried again".to_owned(),
        |retry| format!("it was requeued as trial {retry}"),
    );
    output.note(&format!("trial {} was given back; {requeued}", claim.number));
    Ok(())
}
