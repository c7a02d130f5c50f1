//! Finds RUNNING trials whose workers died, and fails them.
//!
//! The scheduler and the process table are asked first ([`OwnerProbe`]). Where they cannot tell, the heartbeat decides,
//! but two clocks are never compared: a trial is lost when one observer saw the same heartbeat stand still, by its own
//! clock, for the whole grace period. Processes are short-lived, so an observation is stored with the trial, and the
//! next process of the same machine continues it.

use crate::seam::storage::{LeasedTrial, LostTrial, RetryPolicy, Storage, StorageError};
use crate::study::failure::{Failure, FailureCode};
use crate::study::record::StudyId;
use crate::study::trial::{TrialNumber, UtcDateTime};
use crate::value::json::Json;
use std::time::Duration;

/// The number of observations of one heartbeat that a trial keeps: more than a study has machines at a time.
const MAX_WATCHERS: usize = 1000;

/// A source of evidence on the workers that own trials.
pub trait OwnerProbe {
    /// Returns one answer for each trial, in their order. All have an owner ([`LeasedTrial::owner_of_this`]).
    fn look(&self, trials: &[&LeasedTrial]) -> Vec<OwnerState>;
}

/// The state of an owner, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerState {
    /// The worker is alive.
    Alive,
    /// The worker died.
    Gone(Loss),
    /// The probe cannot tell.
    Unknown,
}

/// The reason why a trial counts as lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// A sentence for people, without a full stop.
    pub reason: String,
    /// The evidence.
    pub known_by: Evidence,
    /// The scheduler's word for the end of the job, such as `TIMEOUT`, if it has one.
    pub scheduler_state: Option<String>,
}

impl Loss {
    /// Creates the loss of a trial whose process is known to be gone; `details` ends "its process is gone: …".
    pub fn of_process(known_by: Evidence, details: &str) -> Self {
        let reason = format!("its process is gone: {details}");
        Loss { reason, known_by, scheduler_state: None }
    }

    /// Creates the loss of a trial whose heartbeat was seen to stand still for too long.
    pub fn of_silence(watched: Duration) -> Self {
        let reason = format!("its heartbeat has stood still for {} s", watched.as_secs());
        Loss { reason, known_by: Evidence::Heartbeat, scheduler_state: None }
    }

    /// Creates the loss of a trial that a user declares lost.
    pub fn by_hand(reason: impl Into<String>) -> Self {
        Loss { reason: reason.into(), known_by: Evidence::User, scheduler_state: None }
    }

    /// Returns the failure that is stored with the trial, with the scheduler's word as a member of its own.
    pub fn to_failure_json(&self) -> Json {
        let mut failure = Failure::new(FailureCode::Lost, self.reason.as_str()).to_json(&[]);
        if let (Json::Object(members), Some(state)) = (&mut failure, &self.scheduler_state) {
            members.push(("scheduler_state".to_owned(), Json::from(state.as_str())));
        }
        failure
    }
}

/// The evidence that a trial is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The process table of the machine.
    ProcessTable,
    /// The batch system.
    Scheduler,
    /// A heartbeat that stands still.
    Heartbeat,
    /// A user's word.
    User,
}

impl Evidence {
    /// Returns the stable text.
    pub fn as_str(self) -> &'static str {
        match self {
            Evidence::ProcessTable => "process_table",
            Evidence::Scheduler => "scheduler",
            Evidence::Heartbeat => "heartbeat",
            Evidence::User => "user",
        }
    }
}

/// The machine that observes heartbeats, and its clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observer {
    /// The id of the machine's boot, which tells machines and their restarts apart.
    pub boot_id: String,
    /// The time since that boot: a clock that all processes of the machine share.
    pub since_boot: Duration,
}

/// The settings of [`reap`].
pub struct ReapRequest<'a> {
    /// The probe that is asked first.
    pub probe: &'a dyn OwnerProbe,
    /// The observer of silent heartbeats.
    pub observer: Observer,
    /// The time that a heartbeat of trialbox must stand still.
    pub grace: Duration,
    /// The same for trials of other programs, such as Python workers, which choose the interval of their heartbeats.
    pub foreign_grace: Duration,
    /// Returns whether the result of a trial waits to be recorded, although its process is gone. It is asked last: a
    /// worker saves its result before it exits.
    pub has_result: &'a dyn Fn(&LeasedTrial) -> bool,
    /// The policy for retries of lost trials.
    pub retry: Option<RetryPolicy>,
    /// The time at which lost trials finish.
    pub at: UtcDateTime,
}

/// The result of [`reap`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReapReport {
    /// The trials that were failed.
    pub lost: Vec<Reaped>,
    /// The trials whose heartbeats stand still, but were not observed for long enough.
    pub suspects: Vec<Suspect>,
    /// The number of RUNNING trials that were left as they are, suspects included.
    pub n_running: usize,
}

/// A trial that was failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaped {
    /// The trial and its retry.
    pub trial: LostTrial,
    /// The reason.
    pub loss: Loss,
}

/// A trial that may be lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspect {
    /// The trial's number.
    pub number: TrialNumber,
    /// The time for which its heartbeat was observed to stand still.
    pub watched: Duration,
}

/// Fails the lost trials of a study. It reads once, asks the probe without holding a lock, and writes nothing if all
/// workers are alive.
///
/// # Errors
/// Only errors of the storage.
pub fn reap(
    storage: &mut dyn Storage,
    study: StudyId,
    request: &ReapRequest,
) -> Result<ReapReport, StorageError> {
    let held = storage.running_trials(study)?;
    let mut report = ReapReport { n_running: held.len(), ..ReapReport::default() };
    let mut notes = Vec::new();
    for (trial, state) in held.iter().zip(states(&held, request.probe)) {
        let loss = match state {
            OwnerState::Alive => continue,
            OwnerState::Gone(loss) => loss,
            OwnerState::Unknown => match judge_silence(trial, request) {
                Silence::Beats => continue,
                Silence::Suspect { watched, note } => {
                    notes.extend(note.map(|note| (trial.id, note)));
                    report.suspects.push(Suspect { number: trial.number, watched });
                    continue;
                }
                Silence::Lost { watched } => Loss::of_silence(watched),
            },
        };
        if (request.has_result)(trial) {
            continue;
        }
        let failure = loss.to_failure_json();
        let ended = storage.fail_lost_trial(trial, &failure, request.retry, request.at)?;
        // `None` if the trial finished, or its heartbeat changed, since it was read.
        if let Some(trial) = ended {
            report.lost.push(Reaped { trial, loss });
            report.n_running -= 1;
        }
    }
    // One write for all notes: each may cost a lock on a network file system.
    if !notes.is_empty() {
        storage.note_watches(&notes)?;
    }
    Ok(report)
}

/// Returns the probe's answers in the order of `held`. An owner that is not trialbox's is unknown.
fn states(held: &[LeasedTrial], probe: &dyn OwnerProbe) -> Vec<OwnerState> {
    let owned: Vec<&LeasedTrial> =
        held.iter().filter(|trial| trial.owner_of_this().is_some()).collect();
    let mut answers = if owned.is_empty() { vec![] } else { probe.look(&owned) }.into_iter();
    held.iter()
        .map(|trial| match trial.owner_of_this() {
            Some(_) => answers.next().unwrap_or(OwnerState::Unknown),
            None => OwnerState::Unknown,
        })
        .collect()
}

enum Silence {
    Beats,
    Suspect { watched: Duration, note: Option<Json> },
    Lost { watched: Duration },
}

fn judge_silence(trial: &LeasedTrial, request: &ReapRequest) -> Silence {
    // Without a heartbeat, silence says nothing: a trial that is asked for and told by hand never has one.
    let Some(heartbeat) = &trial.heartbeat else { return Silence::Beats };
    let is_ours = trial.owner_of_this().is_some();
    let grace = if is_ours { request.grace } else { request.foreign_grace };
    if heartbeat.is_recent(grace) {
        return Silence::Beats;
    }
    let observer = &request.observer;
    let watch = trial.watch.as_ref();
    let Some(since) = watched_since(watch, observer, &heartbeat.stamp) else {
        let note = add_watch(watch, observer, &heartbeat.stamp);
        return Silence::Suspect { watched: Duration::ZERO, note: Some(note) };
    };
    let watched = observer.since_boot.saturating_sub(since);
    if watched >= grace {
        Silence::Lost { watched }
    } else {
        Silence::Suspect { watched, note: None }
    }
}

/// Returns the time at which this observer first saw this heartbeat, by its own clock.
fn watched_since(watch: Option<&Json>, observer: &Observer, stamp: &str) -> Option<Duration> {
    // By the id of the boot: the clock starts again from 0 with the machine.
    let note = watch?.get(&observer.boot_id)?;
    if note.get_str("heartbeat") != Some(stamp) {
        return None;
    }
    Duration::try_from_secs_f64(note.get("since_boot_secs")?.as_f64()?).ok()
}

fn add_watch(watch: Option<&Json>, observer: &Observer, stamp: &str) -> Json {
    let mut notes = match watch {
        Some(Json::Object(notes)) => notes.clone(),
        _ => vec![],
    };
    // Observations of an earlier heartbeat are out of date.
    notes.retain(|(boot_id, note)| {
        *boot_id != observer.boot_id && note.get_str("heartbeat") == Some(stamp)
    });
    notes.push((
        observer.boot_id.clone(),
        Json::object([
            ("heartbeat", Json::from(stamp)),
            ("since_boot_secs", Json::from(observer.since_boot.as_secs_f64())),
        ]),
    ));
    // The oldest observations come first.
    let surplus = notes.len().saturating_sub(MAX_WATCHERS);
    notes.drain(..surplus);
    Json::Object(notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::storage::Heartbeat;
    use crate::study::trial::TrialId;

    struct NoProbe;
    impl OwnerProbe for NoProbe {
        fn look(&self, trials: &[&LeasedTrial]) -> Vec<OwnerState> {
            vec![OwnerState::Unknown; trials.len()]
        }
    }

    fn held(stamp: &str, age_secs: f64, watch: Option<Json>) -> LeasedTrial {
        LeasedTrial {
            id: TrialId(1),
            number: TrialNumber(0),
            owner: None,
            heartbeat: Some(Heartbeat { stamp: stamp.to_owned(), age_secs }),
            watch,
        }
    }

    fn request(machine: &str, since_boot_secs: u64) -> ReapRequest<'static> {
        ReapRequest {
            probe: &NoProbe,
            observer: Observer {
                boot_id: machine.to_owned(),
                since_boot: Duration::from_secs(since_boot_secs),
            },
            grace: Duration::from_secs(300),
            foreign_grace: Duration::from_secs(300),
            has_result: &|_| false,
            retry: None,
            at: UtcDateTime::constant(2026, 11, 25, 0, 0, 0, 0),
        }
    }

    #[track_caller]
    fn note(silence: Silence) -> Json {
        match silence {
            Silence::Suspect { note: Some(note), watched: Duration::ZERO } => note,
            _ => panic!("a first look at silence is a note"),
        }
    }

    /// The clocks of writer and reader differ by an hour: nothing happens before the reader itself has seen
    /// the heart stand still for the grace.
    #[test]
    fn a_skewed_clock_makes_a_suspect_and_only_watching_a_lost_trial() {
        for age_secs in [3600.0, -3600.0] {
            let first = note(judge_silence(&held("a", age_secs, None), &request("m", 1000)));
            let again = |stamp, now| {
                judge_silence(&held(stamp, age_secs, Some(first.clone())), &request("m", now))
            };
            assert!(matches!(again("a", 1299), Silence::Suspect { note: None, .. }));
            assert!(matches!(again("a", 1300), Silence::Lost { .. }));
            // It beat meanwhile: the watch begins anew.
            note(again("b", 1300));
            // Another machine's clock says nothing about ours.
            note(judge_silence(&held("a", age_secs, Some(first.clone())), &request("n", 9000)));
        }
    }

    #[test]
    fn a_recent_heartbeat_or_none_is_left_alone() {
        assert!(matches!(judge_silence(&held("a", 299.0, None), &request("m", 0)), Silence::Beats));
        let silent = LeasedTrial { heartbeat: None, ..held("a", 0.0, None) };
        assert!(matches!(judge_silence(&silent, &request("m", 0)), Silence::Beats));
    }

    #[test]
    fn notes_of_observers_are_bounded_and_the_newest_stay() {
        let mut watch = None;
        let mut look = |machine: usize, stamp: &str| {
            let observer =
                Observer { boot_id: machine.to_string(), since_boot: Duration::from_secs(1) };
            watch = Some(add_watch(watch.as_ref(), &observer, stamp));
            let Some(Json::Object(notes)) = &watch else { panic!("an object") };
            (notes.len(), notes.last().map(|(machine, _)| machine.clone()))
        };
        for machine in 0..MAX_WATCHERS {
            assert_eq!(look(machine, "a").0, machine + 1);
        }
        assert_eq!(look(7777, "a"), (MAX_WATCHERS, Some("7777".to_owned())));
        // A heart that has beaten: what was seen before counts no more.
        assert_eq!(look(3, "b"), (1, Some("3".to_owned())));
    }

    #[test]
    fn the_hearts_of_others_have_a_grace_of_their_own() {
        let request =
            ReapRequest { foreign_grace: Duration::from_secs(3600), ..request("m", 1000) };
        let owner = Json::object([("uuid", Json::from("u")), ("trial", Json::from(0u32))]);
        let foreign = held("a", 1800.0, None);
        let ours = LeasedTrial { owner: Some(owner), ..foreign.clone() };
        assert!(matches!(judge_silence(&foreign, &request), Silence::Beats));
        note(judge_silence(&ours, &request));
    }
}
