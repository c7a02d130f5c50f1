//! A trial as the database holds it.

use crate::space::distribution::Distribution;
use crate::value::json::Json;
use std::collections::BTreeMap;
use std::fmt;

/// A point in time as Optuna 5 stores it: naive UTC, to the microsecond.
pub type UtcDateTime = jiff::civil::DateTime;

/// A trial's key in the database. Ids of a deleted study may be given out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrialId(pub i64);

/// A trial's place in its study, counted from 0 without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrialNumber(pub u32);

impl fmt::Display for TrialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrialState {
    /// Enqueued, and not started yet.
    Waiting,
    /// Started by a worker, and not finished yet.
    Running,
    /// Finished with a value for each objective.
    Complete,
    /// Finished early on a pruner's advice.
    Pruned,
    /// Finished without a result.
    Fail,
}

impl TrialState {
    /// All states, in the order in which people list them.
    pub const ALL: [TrialState; 5] = [
        TrialState::Complete,
        TrialState::Pruned,
        TrialState::Fail,
        TrialState::Running,
        TrialState::Waiting,
    ];

    /// Returns the database's word, in upper case.
    pub fn as_str(self) -> &'static str {
        match self {
            TrialState::Waiting => "WAITING",
            TrialState::Running => "RUNNING",
            TrialState::Complete => "COMPLETE",
            TrialState::Pruned => "PRUNED",
            TrialState::Fail => "FAIL",
        }
    }

    /// Reads the database's word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Returns whether the trial is finished. A finished trial is never changed again: readers cache it for good.
    pub fn is_finished(self) -> bool {
        matches!(self, TrialState::Complete | TrialState::Pruned | TrialState::Fail)
    }

    /// Returns whether the objective was evaluated, to its end or until the pruner stopped it: the trial taught
    /// something.
    pub fn is_evaluated(self) -> bool {
        matches!(self, TrialState::Complete | TrialState::Pruned)
    }

    /// Returns whether a trial in this state counts towards the number of trials that a study may have. A trial that
    /// failed does not: it has no result, and another may take its place.
    pub fn counts_towards_budget(self) -> bool {
        matches!(self, TrialState::Complete | TrialState::Pruned | TrialState::Running)
    }
}

impl fmt::Display for TrialState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A parameter's value with its distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// The distribution that the objective asked for.
    pub distribution: Distribution,
    /// The value in internal representation. It may lie outside the range, when a user fixed it so.
    pub internal: f64,
}

impl Param {
    /// Returns the value as the objective sees it.
    pub fn external(&self) -> Json {
        self.distribution.to_external(self.internal)
    }
}

/// A trial read back from a study.
#[derive(Debug, Clone, PartialEq)]
pub struct FrozenTrial {
    /// The database's key.
    pub id: TrialId,
    /// The place in the study.
    pub number: TrialNumber,
    /// The state.
    pub state: TrialState,
    /// One value for each objective if the trial is COMPLETE; the last intermediate value, or nothing, if PRUNED.
    pub values: Vec<f64>,
    /// The time of its start.
    pub datetime_start: Option<UtcDateTime>,
    /// The time of its end.
    pub datetime_complete: Option<UtcDateTime>,
    /// The parameters, in the order in which they were suggested.
    pub params: Vec<(String, Param)>,
    /// The attributes of users and objectives.
    pub user_attrs: BTreeMap<String, Json>,
    /// The attributes of samplers, pruners and trialbox.
    pub system_attrs: BTreeMap<String, Json>,
    /// The reported values, by step.
    pub intermediate_values: BTreeMap<i64, f64>,
}

impl FrozenTrial {
    /// Returns a parameter by its name.
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|(found, _)| found == name).map(|(_, param)| param)
    }

    /// Returns whether the trial has all of these parameters with the same values; it may have more.
    pub fn has_values_of(&self, point: &[(String, Param)]) -> bool {
        point.iter().all(|(name, param)| {
            self.param(name).is_some_and(|found| found.internal == param.internal)
        })
    }

    /// Returns the value of a single objective.
    pub fn value(&self) -> Option<f64> {
        if let [value] = self.values[..] { Some(value) } else { None }
    }

    /// Returns the time that it ran.
    pub fn duration(&self) -> Option<std::time::Duration> {
        let (start, complete) = (self.datetime_start?, self.datetime_complete?);
        // The clocks of two machines may have written the two times, so the difference may be negative.
        complete.duration_since(start).try_into().ok()
    }
}

/// The prefix of the keys of trialbox's own attributes. A retry does not inherit them.
pub const OWN_PREFIX: &str = "trialbox:";

/// The part of a key, after a sampler's name, of the attributes by which running trials tell each other of a joint
/// draw: `tpe:relative_params:0` of Optuna's. Once a trial is finished, its parameters tell the same.
pub const JOINT_DRAW: &str = ":relative_params:";

/// The prefix of the attributes by which trialbox's own samplers tell later trials something.
pub const SAMPLER_PREFIX: &str = "trialbox:sampler:";

/// Returns whether samplers and pruners may depend on a system attribute of a trial in this state.
pub fn is_of_search(state: TrialState, key: &str) -> bool {
    let is_for_samplers = !key.starts_with(OWN_PREFIX) || key.starts_with(SAMPLER_PREFIX);
    is_for_samplers && !(state.is_finished() && key.contains(JOINT_DRAW))
}

/// The prefix of the system attributes that hold a trial's named constraints, as Optuna 5 writes them.
pub const CONSTRAINT_PREFIX: &str = "constraints:";

/// The longest name of a study, parameter or attribute, in characters: what the schema's columns hold.
pub const MAX_NAME_CHARS: usize = 512;

/// Formats a point in time as the database holds it: `2026-11-23 19:21:59.597739`.
pub fn format_datetime(at: UtcDateTime) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

/// Formats a point in time as RFC 3339 has it, in UTC: `2026-11-23T19:21:59.597739Z`.
pub fn format_rfc3339(at: UtcDateTime) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Reads a point in time as SQLAlchemy's readers do, which is Python's `datetime.fromisoformat`: a date, then any
/// character and a time, or no time for midnight. An offset is dropped.
pub fn parse_datetime(text: &str) -> Option<UtcDateTime> {
    let n_date =
        if text.as_bytes().get(4) == Some(&b'-') { "YYYY-MM-DD" } else { "YYYYMMDD" }.len();
    let date: jiff::civil::Date = text.get(..n_date)?.parse().ok()?;
    let mut rest = text.get(n_date..)?.chars();
    if rest.next().is_none() {
        return Some(date.at(0, 0, 0, 0));
    }
    let time = rest.as_str();
    let time = time.split(['+', '-', 'Z']).next().unwrap_or(time);
    // Python has no leap seconds.
    if seconds_of(time).is_some_and(|seconds| seconds >= "60") {
        return None;
    }
    format!("{date}T{time}").parse().ok()
}

/// Returns the two digits of the seconds of `HH:MM:SS` or `HHMMSS`.
fn seconds_of(time: &str) -> Option<&str> {
    if time.as_bytes().get(2) == Some(&b':') { time.get(6..8) } else { time.get(4..6) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes_have_six_digits_and_are_read_leniently() {
        let at = parse_datetime("2026-11-23 19:21:59.597739").expect("a date and time");
        assert_eq!(format_datetime(at), "2026-11-23 19:21:59.597739");
        assert_eq!(format_rfc3339(at), "2026-11-23T19:21:59.597739Z");
        for (text, want) in [
            ("2026-11-23 19:21:59", "2026-11-23 19:21:59.000000"),
            ("2026-11-23 19:21:59.5", "2026-11-23 19:21:59.500000"),
            ("2026-11-23T19:21:59.123456Z", "2026-11-23 19:21:59.123456"),
            ("2026-11-23T19:21:59+02:00", "2026-11-23 19:21:59.000000"),
            ("2026-11-23 19:21:59.123456789", "2026-11-23 19:21:59.123456"),
        ] {
            assert_eq!(parse_datetime(text).map(format_datetime).as_deref(), Some(want), "{text}");
        }
        for (text, want) in [
            ("2026-11-23", "2026-11-23 00:00:00.000000"),
            ("20261123", "2026-11-23 00:00:00.000000"),
            ("2026-11-23_19:21", "2026-11-23 19:21:00.000000"),
            ("20261123T192159", "2026-11-23 19:21:59.000000"),
        ] {
            assert_eq!(parse_datetime(text).map(format_datetime).as_deref(), Some(want), "{text}");
        }
        for text in
            ["", "yesterday", "2026-11-23 ", "2026-13-23", "2026-11-23 19:21:60", " 2026-11-23"]
        {
            assert_eq!(parse_datetime(text), None, "{text}");
        }
    }
}
