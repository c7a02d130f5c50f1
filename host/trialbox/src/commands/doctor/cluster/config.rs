//! Judges a cluster's configuration (`scontrol show config`, slurm.conf(5)).

use crate::view::finding::Finding;
use std::collections::BTreeMap;

/// The seconds after SIGTERM within which a trial is surely recorded.
const ENOUGH_TO_RECORD: u64 = 5;

/// The output of `scontrol show config`: values by their names in lower case.
#[derive(Debug, Clone, Default)]
pub(super) struct Config(BTreeMap<String, String>);

impl Config {
    pub(super) fn read(text: &str) -> Self {
        let mut values = BTreeMap::new();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
        Config(values)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Returns the number at the start of a value such as `30 sec`.
    fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.split_whitespace().next()?.parse().ok()
    }

    pub(super) fn version(&self) -> Option<&str> {
        self.text("slurm_version")
    }

    /// Returns a finding for each setting that Slurm shows.
    pub(super) fn judge(&self) -> Vec<Finding> {
        let findings = [
            self.signals(),
            self.kill_wait(),
            self.array_size(),
            self.requeue(),
            self.preemption(),
        ];
        findings.into_iter().flatten().collect()
    }

    /// Judges which processes of a job get its signals.
    ///
    /// With `proctrack/linuxproc` and `pgid` all of them do. With `proctrack/cgroup` only the process that slurmstepd
    /// started does, unless `SignalChildrenProcesses` is set (cgroup.conf(5), since 23.11).
    fn signals(&self) -> Option<Finding> {
        let tracking = self.text("proctracktype")?;
        let signals_children = self.text("signalchildrenprocesses").is_some_and(|value| {
            ["yes", "true", "1"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
        });
        if tracking != "proctrack/cgroup" || signals_children {
            let found = format!("Slurm signals all processes of a job ({tracking})");
            return Some(
                Finding::ok("signals", found)
                    .meaning("a trial is recorded when its job is cancelled or preempted"),
            );
        }
        let found = format!("Slurm signals only the first process of a job ({tracking})");
        Some(
            Finding::note("signals", found)
                .meaning(
                    "the shell of a batch script gets the signals, and the programs that it \
                     starts do not",
                )
                .advice(
                    "end the batch script with `exec trialbox run …` or `srun trialbox run …`, \
                     so that a trial is recorded when its job is cancelled or preempted",
                ),
        )
    }

    fn kill_wait(&self) -> Option<Finding> {
        let seconds = self.number("killwait")?;
        let found = format!("Slurm kills a job {seconds} s after it asked it to end (KillWait)");
        Some(if seconds < ENOUGH_TO_RECORD {
            Finding::warning("kill-wait", found)
                .meaning(
                    "a busy database may need longer to record a trial, which is then requeued",
                )
                .advice("leave --reserve as it is: `run` stops a trial before its job ends")
        } else {
            Finding::ok("kill-wait", found).meaning("enough to record a trial")
        })
    }

    fn array_size(&self) -> Option<Finding> {
        // The largest index is MaxArraySize - 1 (slurm.conf(5)), and the indices of `submit` start at 1.
        let size = self.number("maxarraysize")?;
        let most = size.saturating_sub(1);
        let found = format!("an array of `submit` may have {most} tasks (MaxArraySize {size})");
        Some(if size <= 1 {
            Finding::warning("array-size", found)
                .meaning("this cluster accepts no array jobs")
                .advice("submit single jobs with `run --n-trials N`")
        } else {
            let meaning = "for more trials, let each task run several (`submit --trials-per-task`)";
            Finding::ok("array-size", found).meaning(meaning)
        })
    }

    fn requeue(&self) -> Option<Finding> {
        Some(if self.text("jobrequeue")? == "0" {
            let found = "Slurm does not requeue a job whose node fails (JobRequeue)";
            Finding::note("requeue", found)
                .meaning("its trial is requeued by the next `run`, if there is one")
                .advice("give sbatch --requeue")
        } else {
            let found = "Slurm requeues a job whose node fails (JobRequeue)";
            Finding::ok("requeue", found).meaning("its trial is retried")
        })
    }

    fn preemption(&self) -> Option<Finding> {
        let mode = self.text("preemptmode")?;
        let has = |word: &str| mode.split(',').any(|part| part.eq_ignore_ascii_case(word));
        let found = format!("jobs may be preempted (PreemptMode {mode})");
        let note = |meaning: &str, advice: &str| {
            Finding::note("preemption", &*found).meaning(meaning).advice(advice)
        };
        Some(if has("REQUEUE") {
            let meaning = "preempted jobs are requeued, and their trials are retried";
            Finding::ok("preemption", found).meaning(meaning)
        } else if has("CANCEL") {
            note(
                "a preempted job is not requeued, and its trial waits for the next `run`",
                "submit a few tasks more than there are trials",
            )
        } else if has("SUSPEND") || has("GANG") {
            note(
                "a suspended job keeps its trial and continues it, as long as squeue answers",
                "where squeue does not answer, give --grace a time longer than any suspension",
            )
        } else {
            Finding::ok("preemption", "jobs are not preempted (PreemptMode)")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::finding::Severity::{self, Note, Ok, Warning};

    #[track_caller]
    fn check(line: &str, code: &str, severity: Severity, piece: &str) {
        let findings = Config::read(&format!("Configuration data as of now\n{line}\n")).judge();
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.code, finding.severity), (code, severity), "{finding:?}");
        assert!(finding.to_text().contains(piece), "{}", finding.to_text());
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
        check("MaxArraySize            = 0", "array-size", Warning, "no array jobs");
        check("JobRequeue              = 0", "requeue", Note, "--requeue");
        check("JobRequeue              = 1", "requeue", Ok, "requeues a job");
        check("PreemptMode             = OFF", "preemption", Ok, "not preempted");
        check("PreemptMode             = REQUEUE", "preemption", Ok, "retried");
        check("PreemptMode             = CANCEL", "preemption", Note, "not requeued");
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
    fn a_setting_that_slurm_does_not_show_is_not_judged() {
        assert_eq!(Config::read("").judge(), []);
        assert_eq!(Config::read("SLURM_VERSION = 22.05.8").version(), Some("22.05.8"));
    }
}
