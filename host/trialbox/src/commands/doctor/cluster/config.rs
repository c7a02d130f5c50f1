//! What a cluster's configuration means for trials (`scontrol show config`, slurm.conf(5)).

use super::finding::{
    Finding,
    Severity::{Note, Ok, Warning},
};
use std::collections::BTreeMap;

/// How long after SIGTERM a trial surely is recorded.
const ENOUGH_TO_RECORD: u64 = 5;

/// `scontrol show config`, as names in lower case and values.
#[derive(Debug, Clone, Default)]
pub(super) struct Config(BTreeMap<String, String>);

impl Config {
    pub(super) fn read(text: &str) -> Self {
        let line = |line: &str| {
            let (key, value) = line.split_once('=')?;
            Some((key.trim().to_ascii_lowercase(), value.trim().to_owned()))
        };
        Config(text.lines().filter_map(line).collect())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The number that a value begins with: `30 sec`.
    fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.split_whitespace().next()?.parse().ok()
    }

    pub(super) fn version(&self) -> Option<&str> {
        self.text("slurm_version")
    }

    pub(super) fn judge(&self) -> Vec<Finding> {
        let found = [
            self.signals(),
            self.kill_wait(),
            self.array_size(),
            self.requeue(),
            self.preemption(),
        ];
        found.into_iter().flatten().collect()
    }

    /// Who gets the signals: all of a job's processes with `proctrack/linuxproc` and `pgid`, only the one that
    /// slurmstepd started with `proctrack/cgroup`, unless `SignalChildrenProcesses` (cgroup.conf(5), from 23.11 on).
    fn signals(&self) -> Option<Finding> {
        let tracking = self.text("proctracktype")?;
        let all = self.text("signalchildrenprocesses").is_some_and(|value| {
            ["yes", "true", "1"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
        });
        if tracking != "proctrack/cgroup" || all {
            let found = format!("Slurm signals all processes of a job ({tracking})");
            return Some(Finding::ok(
                "signals",
                found,
                "trials are recorded when a job is cancelled or preempted",
            ));
        }
        Some(Finding::new(
            Note,
            "signals",
            format!("Slurm signals only the process that it has started itself ({tracking})"),
            "the shell of a batch script gets the signals, and the programs that it starts do not",
            "let the last line of a script be `exec trialbox run …` or `srun trialbox run …`, so that a trial is recorded when its job is cancelled or preempted",
        ))
    }

    fn kill_wait(&self) -> Option<Finding> {
        let seconds = self.number("killwait")?;
        let found = format!("a job that is to end is killed after {seconds} s (KillWait)");
        Some(if seconds < ENOUGH_TO_RECORD {
            Finding::new(
                Warning,
                "kill-wait",
                found,
                "on a busy database that may be too short to record the trial, which then is tried again",
                "keep to --reserve, by which trials end before their job does",
            )
        } else {
            Finding::ok("kill-wait", found, "enough to record its trial")
        })
    }

    fn array_size(&self) -> Option<Finding> {
        // The largest index is one less than this (slurm.conf(5)), and those of `submit` begin with 1.
        let size = self.number("maxarraysize")?;
        let found = format!(
            "an array of `submit` may have {} tasks (MaxArraySize {size})",
            size.saturating_sub(1)
        );
        Some(if size <= 1 {
            let advice = "submit single jobs with `run -n`";
            Finding::new(Warning, "array-size", found, "there are no arrays here", advice)
        } else {
            let meaning = "for more trials, let each task run several (`submit --trials-per-task`)";
            Finding::ok("array-size", found, meaning)
        })
    }

    fn requeue(&self) -> Option<Finding> {
        Some(match self.text("jobrequeue")? {
            "0" => Finding::new(
                Note,
                "requeue",
                "a job whose node fails is not started again (JobRequeue)",
                "its trial is queued again by the next `run`, but there may be none",
                "give sbatch --requeue",
            ),
            _ => Finding::ok(
                "requeue",
                "a job whose node fails is started again (JobRequeue)",
                "its trial is tried again",
            ),
        })
    }

    fn preemption(&self) -> Option<Finding> {
        let mode = self.text("preemptmode")?;
        let found = format!("jobs may be preempted (PreemptMode {mode})");
        let is = |word: &str| mode.split(',').any(|part| part.eq_ignore_ascii_case(word));
        Some(if is("REQUEUE") {
            Finding::ok(
                "preemption",
                found,
                "they are started again, and their trials are tried again",
            )
        } else if is("CANCEL") {
            Finding::new(
                Note,
                "preemption",
                found,
                "a preempted job is not started again, and its trial waits for the next `run`",
                "submit a few tasks more than there are trials",
            )
        } else if is("SUSPEND") || is("GANG") {
            Finding::new(
                Note,
                "preemption",
                found,
                "a job that is suspended keeps its trial as long as Slurm can be asked for it, and goes on with it",
                "where squeue cannot be asked, give --grace a time that no job is suspended for",
            )
        } else {
            Finding::new(Ok, "preemption", "no job is preempted (PreemptMode)", "", "")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[track_caller]
    fn check(line: &str, code: &str, severity: Severity, piece: &str) {
        let findings = Config::read(&format!("Configuration data as of now\n{line}\n")).judge();
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.code, finding.severity), (code, severity), "{finding:?}");
        assert!(finding.text().contains(piece), "{}", finding.text());
    }

    #[test]
    fn each_setting_is_judged_by_itself() {
        check("KillWait                = 30 sec", "kill-wait", Ok, "30 s");
        check("KillWait                = 4 sec", "kill-wait", Warning, "--reserve");
        check(
            "MaxArraySize            = 1001",
            "array-size",
            Ok,
            "may have 1000 tasks (MaxArraySize 1001)",
        );
        check("MaxArraySize            = 0", "array-size", Warning, "no arrays");
        check("JobRequeue              = 0", "requeue", Note, "--requeue");
        check("JobRequeue              = 1", "requeue", Ok, "started again");
        check("PreemptMode             = OFF", "preemption", Ok, "no job is preempted");
        check("PreemptMode             = REQUEUE", "preemption", Ok, "tried again");
        check("PreemptMode             = CANCEL", "preemption", Note, "not started again");
        check("PreemptMode             = GANG,SUSPEND", "preemption", Note, "--grace");
        check("ProctrackType           = proctrack/linuxproc", "signals", Ok, "all processes");
        check(
            "ProctrackType           = proctrack/cgroup",
            "signals",
            Note,
            "`exec trialbox run …`",
        );
    }

    #[test]
    fn a_site_can_have_all_processes_signalled() {
        for (value, severity) in [("yes", Ok), ("no", Note), ("(null)", Note)] {
            let text = format!(
                "ProctrackType = proctrack/cgroup\nCgroup Support Configuration:\nSignalChildrenProcesses = {value}"
            );
            let findings = Config::read(&text).judge();
            assert_eq!(findings[0].severity, severity, "{value}");
        }
    }

    #[test]
    fn what_is_not_told_is_not_judged() {
        assert_eq!(Config::read("").judge(), []);
        assert_eq!(Config::read("SLURM_VERSION = 22.05.8").version(), Some("22.05.8"));
    }
}
