//! `trialbox study stop | resume`: ends a study for all its jobs, and lets it go on.

use crate::args::storage::StudyArgs;
use crate::clock::SystemClock;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::study::budget::{show_stop, stop_json};
use crate::view::output::Output;
use serde_json::json;
use trialbox_core::seam::storage::StudyAttrs;
use trialbox_core::study::stopping::{STOP_ATTR, StudyStop};
use trialbox_core::{Clock as _, Json};
use trialbox_storage::platform::process::host_name;

#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// Why, for whoever finds the study stopped
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl StopArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let earlier = study.user_attrs.get(STOP_ATTR).and_then(StudyStop::from_json);
        let (stop, was) = match (earlier, self.reason) {
            // Who stopped it first, and why, says more than that it was tried again.
            (Some(earlier), None) => (earlier, " already"),
            (_, reason) => {
                let (at, by) = (Some(SystemClock::new().utc_now()), Some(user_and_host()));
                let stop = StudyStop { at, by, reason };
                storage.set_study_attrs(study.id, &stop_attr(stop.to_json()))?;
                (stop, "")
            }
        };
        let n_running = storage.running_trials(study.id)?.len();
        let running = match n_running {
            0 => String::new(),
            n => format!("; {n} are RUNNING and go on"),
        };
        output.result(
            &format!("study `{name}` is{was} stopped: no trial is begun{running}"),
            || {
                let mut value = stop_json(&stop);
                value["event"] = "stopped".into();
                value["study"] = name.as_str().into();
                value["n_running"] = n_running.into();
                value
            },
        );
        Ok(ExitCode::Done)
    }
}

pub(crate) fn resume(args: &StudyArgs, output: &Output) -> CommandResult {
    let (mut storage, name) = args.open()?;
    let study = storage.open_study(&name)?;
    let stop = study.user_attrs.get(STOP_ATTR).and_then(StudyStop::from_json);
    let text = match &stop {
        Some(stop) => {
            storage.set_study_attrs(study.id, &stop_attr(Json::Null))?;
            format!("study `{name}` continues; it was stopped{}", show_stop(stop))
        }
        None => format!("study `{name}` was not stopped"),
    };
    output.result(
        &text,
        || json!({ "event": "resumed", "study": name, "was": stop.as_ref().map(stop_json) }),
    );
    Ok(ExitCode::Done)
}

fn stop_attr(value: Json) -> StudyAttrs {
    StudyAttrs { user: vec![(STOP_ATTR.to_owned(), value)], ..StudyAttrs::default() }
}

/// Who stops it: `anna@node7`, or the machine alone where the environment names nobody.
fn user_and_host() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    match named("USER").or_else(|| named("LOGNAME")) {
        Some(user) => format!("{user}@{}", host_name()),
        None => host_name(),
    }
}
