//! The text of a trial that has just finished.

use crate::view::trial::show_duration;
use trialbox_core::run::FinishedTrial;
use trialbox_core::session::transcript::LogLevel;
use trialbox_core::session::transcript::LogSource;
use trialbox_core::study::failure::Failure;
use trialbox_core::study::usage::Usage;
use trialbox_core::value::text::{byte_size, counted};

/// Returns the last lines that a failed trial logged and printed.
pub(crate) fn last_lines(trial: &FinishedTrial) -> String {
    const SHOWN: usize = 10;
    let dropped = match trial.transcript.dropped_bytes() {
        0 => String::new(),
        bytes => {
            format!("\n  | ({} of log before this were not kept; --limit log)", byte_size(bytes))
        }
    };
    let lines: Vec<String> = trial
        .transcript
        .lines()
        .rev()
        .take(SHOWN)
        .map(|line| format!("\n  | {}{}", source_prefix(line.source), line.text))
        .collect();
    dropped + &lines.into_iter().rev().collect::<String>()
}

/// Returns a line for each function that was running when a trial failed, innermost first.
pub(crate) fn show_backtrace(failure: &Failure) -> String {
    failure.backtrace.iter().map(|name| format!("\n    at {name}")).collect()
}

/// Returns the text before a line of the transcript.
pub(crate) fn source_prefix(source: LogSource) -> String {
    match source {
        LogSource::Log(level) => format!("[{}] ", level_name(level)),
        LogSource::Stdout | LogSource::Stderr => String::new(),
        LogSource::Host => "[trialbox] ".to_owned(),
    }
}

/// Formats the usage of a trial: `0.3 s, 0.25 s of CPU, 12 MiB of memory, 40 calls, 2 KiB of log`.
pub(crate) fn show_usage(usage: &Usage) -> String {
    let parts = [
        Some(show_duration(usage.wall)),
        usage.cpu.map(|cpu| format!("{} of CPU", show_duration(cpu))),
        usage.peak_memory_bytes.map(|bytes| format!("{} of memory", byte_size(bytes))),
        usage.gpu_memory_bytes.map(|bytes| format!("{} of GPU memory", byte_size(bytes))),
        usage.gpu_percent.map(|percent| format!("GPU {percent:.0} % busy")),
        usage.fuel.map(|fuel| format!("{fuel} instructions")),
        Some(format!("{} calls", usage.host_calls)),
        (usage.log_bytes > 0).then(|| format!("{} of log", byte_size(usage.log_bytes))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Formats the number of a trial's reports, and of the stored ones unless all are stored; `None` without reports.
pub(crate) fn show_reports(trial: &FinishedTrial) -> Option<String> {
    let stored = match trial.n_reports_stored {
        stored if stored as u64 == trial.n_reports => String::new(),
        stored => format!(", of which {stored} are stored"),
    };
    (trial.n_reports > 0).then(|| format!("{}{stored}", count_reports(trial)))
}

/// Formats the number of reports: `1 report`, `7 reports`.
pub(crate) fn count_reports(trial: &FinishedTrial) -> String {
    counted(trial.n_reports, "report")
}

/// Returns the name of a level, in lower case.
pub(crate) fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warning => "warning",
        LogLevel::Error => "error",
    }
}
