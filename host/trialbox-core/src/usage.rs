//! What a trial used of what it was allowed.

use crate::json::Json;
use std::time::Duration;

/// The system attribute that says what a trial used.
pub const USAGE_ATTR: &str = "trialbox:usage";

/// What a trial used. What nobody measured is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// How long the objective ran.
    pub wall: Duration,
    /// The CPU time of whatever ran it.
    pub cpu: Option<Duration>,
    /// The most memory that it had at once, over all memories.
    pub peak_memory_bytes: Option<u64>,
    /// How many instructions it executed, about, where they were counted.
    pub fuel: Option<u64>,
    /// How many calls of the contract it made.
    pub host_calls: u64,
    /// How many values it reported.
    pub reports: u64,
    /// How much it logged and printed.
    pub log_bytes: u64,
}

impl Usage {
    /// As it is stored; times in seconds.
    pub fn to_json(&self) -> Json {
        let count = |name: &'static str, count: Option<u64>| Some((name, Json::from(count?)));
        let members = [
            Some(("wall_seconds", Json::from(self.wall.as_secs_f64()))),
            self.cpu.map(|cpu| ("cpu_seconds", Json::from(cpu.as_secs_f64()))),
            count("peak_memory_bytes", self.peak_memory_bytes),
            count("fuel", self.fuel),
            count("host_calls", Some(self.host_calls)),
            count("reports", Some(self.reports)),
            count("log_bytes", Some(self.log_bytes)),
        ];
        Json::object(members.into_iter().flatten())
    }
}
