//! `trialbox trial ask`: takes a trial whose objective runs outside the sandbox.

use crate::args::quantity::parse_grace;
use crate::args::stopping::StoppingArgs;
use crate::args::storage::StudyArgs;
use crate::args::study::StudySettingArgs;
use crate::clock::SystemClock;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::study::budget::stop_text;
use crate::study::owner::owner_of_ask;
use crate::study::recovery::{DEFAULT_GRACE, Reaping, recover};
use crate::study::settings::{SettingFlags, Settings};
use crate::view::failure::failure_message;
use crate::view::output::{Output, Undelivered};
use crate::view::record::{self, params};
use std::time::Duration;
use trialbox_core::run::ask_tell::{Asked, MayAsk, ask, may_ask};
use trialbox_core::seam::pruner::NopPruner;
use trialbox_core::seam::storage::{
    BeginTrial, Claim, Ending, Outcome, RetryPolicy, TrialBatch, check_name,
};
use trialbox_core::session::{OnDeadline, SessionLimits, TrialContext};
use trialbox_core::study::failure::{FAILURE_ATTR, Failure, FailureCode};
use trialbox_core::study::stopping::StopReason;
use trialbox_core::value::text::{counted, plural};
use trialbox_core::{Clock as _, Distribution, Json, Storage, StudyRecord};

#[derive(Debug, clap::Args)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// The parameters to suggest: a JSON object of distributions, as Optuna's command line takes it
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = parse_search_space)]
    search_space: SpaceArg,

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

/// Parameters in the order given.
#[derive(Debug, Clone)]
struct SpaceArg(Vec<(String, Distribution)>);

impl AskArgs {
    pub(super) fn run(self, output: &Output) -> CommandResult {
        // Before a trial is started for it.
        for (name, distribution) in &self.search_space.0 {
            check_name("parameter name", name)?;
            if let Err(error) = distribution.require_suggestible() {
                return Err(CommandError::usage(
                    format!("parameter `{name}` of --search-space: {error}"),
                    "give a range from which a value can be drawn",
                ));
            }
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
        let (space, is_lenient) = (&self.search_space.0, self.lenient);
        let asked = match may_ask(&study, budgets, sampler.as_ref(), storage, &clock)? {
            MayAsk::Yes => begin(storage, &study, &settings, owner, space, is_lenient)?,
            MayAsk::Complete(reason) => Err(stop_text(&reason, &name)),
            MayAsk::EveryPointTaken { n_running } => Err(format!(
                "study `{name}` has no untried point, and {} {} running; `trialbox reap` requeues a lost one",
                counted(n_running, "trial"),
                plural(n_running, "is", "are")
            )),
        };
        match asked {
            Ok((claim, asked)) => {
                output.print(&asked);
                if let Err(reason) = output.delivered() {
                    give_back(storage, &claim, settings.retry, reason, output)?;
                }
            }
            // A script has nothing to do, and so nothing is printed.
            Err(reason) => output.note(&reason),
        }
        Ok(ExitCode::Done)
    }
}

/// Starts a trial and suggests its parameters; the inner error is the reason why the study takes no trial, in words.
fn begin(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    settings: &Settings,
    owner: Json,
    space: &[(String, Distribution)],
    is_lenient: bool,
) -> Result<Result<(Claim, record::Asked), String>, CommandError> {
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
        owner,
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
            Ok(Ok((claim, asked)))
        }
        Asked::BudgetReached { n_trials } => {
            let max_trials = settings.budgets.max_trials.unwrap_or(n_trials);
            Ok(Err(stop_text(&StopReason::BudgetReached { n_trials, max_trials }, &study.name)))
        }
        Asked::Stopped(stop) => Ok(Err(stop_text(&StopReason::Stopped(stop), &study.name))),
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

fn parse_search_space(text: &str) -> Result<SpaceArg, String> {
    let wanted =
        "write {\"lr\": {\"type\": \"float\", \"low\": 1e-5, \"high\": 0.1, \"log\": true}}";
    let json = Json::parse(text).map_err(|error| format!("{error}; {wanted}"))?;
    let Json::Object(members) = json else {
        return Err(format!("expected a JSON object as search space; {wanted}"));
    };
    let mut space = Vec::with_capacity(members.len());
    for (name, distribution) in members {
        let distribution = Distribution::from_json_text(&distribution.to_string())
            .map_err(|error| format!("parameter `{name}`: {error}"))?;
        space.push((name, distribution));
    }
    Ok(SpaceArg(space))
}
