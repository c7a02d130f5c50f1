//! The study that a script makes, asked of the script before there is a study.
//!
//! A script that uses Optuna says the directions of its objective in `create_study`. It is started once with a variable
//! that makes the stand-in for Optuna tell them, and ended before its objective runs.

use crate::call::FRAMING_BYTES;
use crate::config::ProgramConfig;
use crate::running::Running;
use crate::supervisor::FromSupervisor;
use std::time::{Duration, Instant};
use trialbox_core::session::protocol::{Answer, Request};
use trialbox_core::study::limits::Limit;
use trialbox_core::{Json, StudyDirection};

/// The variable that makes the stand-in tell the study and not run the trial.
const ASKS_VARIABLE: &str = "TRIALBOX_ASKS";

/// The time that a script may take to get to its study.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The interval of looks at the events outside.
const TICK: Duration = Duration::from_millis(250);

/// A study, as a script makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyOfScript {
    /// The direction of each value.
    pub directions: Vec<StudyDirection>,
    /// The names of the values, or none.
    pub metric_names: Vec<String>,
}

/// Starts a script with the stand-in for Optuna, and returns the study that it makes. Returns `None` for a script that
/// fails or ends before that: its first trial will fail too, with the reason.
pub fn study_of_script(config: &ProgramConfig) -> Option<StudyOfScript> {
    let variables = [(ASKS_VARIABLE.to_owned(), "study".to_owned())];
    let max_line_bytes = config.limits.size(Limit::Payload).saturating_add(FRAMING_BYTES);
    let mut running = Running::start(config, &[], &variables, max_line_bytes).ok()?;
    let until = Instant::now() + TIMEOUT;
    let mut is_gone = false;
    while !is_gone && Instant::now() < until && config.stops.pending().is_none() {
        let arrived = running.receive(TICK).ok()?;
        let is_end = |news: &FromSupervisor| {
            matches!(news, FromSupervisor::NotStarted { .. } | FromSupervisor::Gone { .. })
        };
        is_gone = arrived.is_closed || arrived.news.iter().any(is_end);
        while let Some(line) = running.next_request().ok()? {
            match Request::parse_with_id(&line).ok()? {
                (_, Request::Study { directions, metric_names }) => {
                    return Some(StudyOfScript { directions, metric_names });
                }
                // One script of several may end without a study, and waits for the answer.
                (id, Request::Fail { provisional: true, .. }) => {
                    let answer = Answer::Value(Json::Bool(false));
                    running.answer(&answer.to_line(id.as_ref()));
                }
                _ => return None,
            }
        }
    }
    None
}
