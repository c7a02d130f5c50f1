//! `trialbox study stop | resume`: stops a study for all its jobs, and resumes it.

use crate::args::storage::NamedStudyArgs;
use crate::clock::SystemClock;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::study::budget::show_stop;
use crate::view::output::Output;
use crate::view::record::{Rendered, Resumed, StopRecord, Stopped, stop_of};
use trialbox_core::seam::storage::StudyAttrs;
use trialbox_core::study::stopping::{STOP_ATTR, StudyStop};
use trialbox_core::value::text::counted;
use trialbox_core::{Clock as _, Json};
use trialbox_storage::platform::process::host_name;

#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    study: NamedStudyArgs,

    /// The reason, which `study show` and stopped jobs print
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl StopArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let earlier = stop_of(&study);
        let (stop, was) = match (earlier, self.reason) {
            // The first stop tells more than a second one without a reason.
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
            n => format!("; {} continue", counted(n as u64, "RUNNING trial")),
        };
        let text = format!("study `{name}` is{was} stopped: no further trial starts{running}");
        let stop = StopRecord::of(&stop);
        output.print(&Rendered::new(text, Stopped { study: name, n_running, stop }));
        Ok(ExitCode::Done)
    }
}

/// Lifts the stop of a study.
pub(crate) fn resume(args: &NamedStudyArgs, output: &Output) -> CommandResult {
    let (mut storage, name) = args.open()?;
    let study = storage.open_study(&name)?;
    let stop = stop_of(&study);
    let text = match &stop {
        Some(stop) => {
            storage.set_study_attrs(study.id, &stop_attr(Json::Null))?;
            format!("study `{name}` continues; it was stopped{}", show_stop(stop))
        }
        None => format!("study `{name}` was not stopped"),
    };
    let was = stop.as_ref().map(StopRecord::of);
    output.print(&Rendered::new(text, Resumed { study: name, was }));
    Ok(ExitCode::Done)
}

fn stop_attr(value: Json) -> StudyAttrs {
    StudyAttrs { user: vec![(STOP_ATTR.to_owned(), value)], ..StudyAttrs::default() }
}

/// Returns the user and the machine, such as `anna@node7`; the machine alone where the environment names no user.
fn user_and_host() -> String {
    for variable in ["USER", "LOGNAME"] {
        if let Some(user) = std::env::var(variable).ok().filter(|user| !user.is_empty()) {
            return format!("{user}@{}", host_name());
        }
    }
    host_name()
}
