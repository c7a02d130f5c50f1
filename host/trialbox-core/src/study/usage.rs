//! The resources that a trial used.

use crate::value::json::Json;
use std::time::Duration;

/// The system attribute that holds the usage of a trial.
pub const USAGE_ATTR: &str = "trialbox:usage";

/// The resources that a trial used. `None` for those that were not measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// The time that the objective ran.
    pub wall: Duration,
    /// The CPU time of the process that ran it.
    pub cpu: Option<Duration>,
    /// The most memory that it had at a time, over all memories.
    pub peak_memory_bytes: Option<u64>,
    /// The number of instructions, approximately, where they were counted.
    pub fuel: Option<u64>,
    /// The number of calls of the contract.
    pub host_calls: u64,
    /// The number of reports.
    pub reports: u64,
    /// The number of user attributes.
    pub user_attrs: u64,
    /// The bytes that it logged and printed.
    pub log_bytes: u64,
}

impl Usage {
    /// Reads the result of [`Self::to_json`]. A member that is missing is 0, or not known.
    pub fn from_json(json: &Json) -> Self {
        let count = |name: &str| json.get(name).and_then(Json::as_u64);
        let seconds = |name: &str| {
            let seconds = json.get(name).and_then(Json::as_f64)?;
            Duration::try_from_secs_f64(seconds).ok()
        };
        Usage {
            wall: seconds("wall_seconds").unwrap_or_default(),
            cpu: seconds("cpu_seconds"),
            peak_memory_bytes: count("peak_memory_bytes"),
            fuel: count("fuel"),
            host_calls: count("host_calls").unwrap_or_default(),
            reports: count("reports").unwrap_or_default(),
            user_attrs: count("user_attrs").unwrap_or_default(),
            log_bytes: count("log_bytes").unwrap_or_default(),
        }
    }

    /// Returns the JSON that is stored; times are in seconds.
    pub fn to_json(&self) -> Json {
        let count = |name: &'static str, count: Option<u64>| Some((name, Json::from(count?)));
        let members = [
            Some(("wall_seconds", Json::from(self.wall.as_secs_f64()))),
            self.cpu.map(|cpu| ("cpu_seconds", Json::from(cpu.as_secs_f64()))),
            count("peak_memory_bytes", self.peak_memory_bytes),
            count("fuel", self.fuel),
            count("host_calls", Some(self.host_calls)),
            count("reports", Some(self.reports)),
            count("user_attrs", Some(self.user_attrs)),
            count("log_bytes", Some(self.log_bytes)),
        ];
        Json::object(members.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let usage = Usage {
            wall: Duration::from_millis(1500),
            cpu: Some(Duration::from_millis(250)),
            peak_memory_bytes: Some(65_536),
            fuel: None,
            host_calls: 3,
            reports: 2,
            user_attrs: 1,
            log_bytes: 7,
        };
        let text = concat!(
            r#"{"wall_seconds": 1.5, "cpu_seconds": 0.25, "peak_memory_bytes": 65536, "#,
            r#""host_calls": 3, "reports": 2, "user_attrs": 1, "log_bytes": 7}"#
        );
        assert_eq!(usage.to_json().to_string(), text);
        assert_eq!(Usage::from_json(&usage.to_json()), usage);
        assert_eq!(Usage::from_json(&Json::Null), Usage::default());
    }
}
