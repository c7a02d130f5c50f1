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
    /// The most memory that it had on GPUs, where they were looked at.
    pub gpu_memory_bytes: Option<u64>,
    /// The mean utilisation of its GPUs in percent.
    pub gpu_percent: Option<f64>,
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
        Usage {
            wall: read_seconds(json, "wall_seconds").unwrap_or_default(),
            cpu: read_seconds(json, "cpu_seconds"),
            peak_memory_bytes: read_count(json, "peak_memory_bytes"),
            gpu_memory_bytes: read_count(json, "gpu_memory_bytes"),
            gpu_percent: json.get("gpu_percent").and_then(Json::as_f64),
            fuel: read_count(json, "fuel"),
            host_calls: read_count(json, "host_calls").unwrap_or_default(),
            reports: read_count(json, "reports").unwrap_or_default(),
            user_attrs: read_count(json, "user_attrs").unwrap_or_default(),
            log_bytes: read_count(json, "log_bytes").unwrap_or_default(),
        }
    }

    /// Returns the JSON that is stored; times are in seconds.
    pub fn to_json(&self) -> Json {
        let members = [
            ("wall_seconds", Some(Json::from(self.wall.as_secs_f64()))),
            ("cpu_seconds", self.cpu.map(|cpu| Json::from(cpu.as_secs_f64()))),
            ("peak_memory_bytes", self.peak_memory_bytes.map(Json::from)),
            ("gpu_memory_bytes", self.gpu_memory_bytes.map(Json::from)),
            ("gpu_percent", self.gpu_percent.map(Json::from)),
            ("fuel", self.fuel.map(Json::from)),
            ("host_calls", Some(Json::from(self.host_calls))),
            ("reports", Some(Json::from(self.reports))),
            ("user_attrs", Some(Json::from(self.user_attrs))),
            ("log_bytes", Some(Json::from(self.log_bytes))),
        ];
        Json::object(members.into_iter().filter_map(|(name, value)| Some((name, value?))))
    }
}

fn read_count(json: &Json, name: &str) -> Option<u64> {
    json.get(name)?.as_u64()
}

fn read_seconds(json: &Json, name: &str) -> Option<Duration> {
    // Another program may have written a negative number, or one that no duration holds.
    Duration::try_from_secs_f64(json.get(name)?.as_f64()?).ok()
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
            gpu_memory_bytes: Some(1024),
            gpu_percent: Some(12.5),
            fuel: None,
            host_calls: 3,
            reports: 2,
            user_attrs: 1,
            log_bytes: 7,
        };
        let text = concat!(
            r#"{"wall_seconds": 1.5, "cpu_seconds": 0.25, "peak_memory_bytes": 65536, "#,
            r#""gpu_memory_bytes": 1024, "gpu_percent": 12.5, "#,
            r#""host_calls": 3, "reports": 2, "user_attrs": 1, "log_bytes": 7}"#
        );
        assert_eq!(usage.to_json().to_string(), text);
        assert_eq!(Usage::from_json(&usage.to_json()), usage);
        assert_eq!(Usage::from_json(&Json::Null), Usage::default());
    }
}
