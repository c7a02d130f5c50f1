//! Asks Slurm about an array before it is submitted.

use crate::cluster::slurm::{SlurmError, ask, ask_within};
use crate::commands::submit::plan::Plan;
use crate::view::finding::{Finding, Severity};
use std::time::Duration;

/// The time limit of `sbatch --test-only`, which repeats its request to a busy controller.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Asks Slurm whether it would accept the array. Without Slurm that is an error, or a warning in a dry run.
pub(in crate::commands::submit) fn check_slurm(
    plan: &Plan,
    label: &str,
    script: &str,
    is_dry_run: bool,
) -> Vec<Finding> {
    let config = match ask("scontrol", &["show", "config"]) {
        Ok(config) => config,
        Err(SlurmError::NoCommand { error, .. }) => {
            let severity = if is_dry_run { Severity::Warning } else { Severity::Error };
            let found = format!("cannot find Slurm: `scontrol` cannot be started: {error}");
            return vec![Finding::new(severity, "slurm", found).advice(
                "submit on a machine with sbatch and scontrol, such as the login node; --dry-run \
                 shows the script anywhere",
            )];
        }
        Err(error) => {
            return vec![Finding::error("slurm", format!("Slurm does not answer: {error}"))];
        }
    };
    if let Some(size) = max_array_size(&config)
        && let Some(too_large) = check_array_size(plan, size)
    {
        return vec![too_large];
    }
    [Some(check_acceptance(script)), check_queue(label)].into_iter().flatten().collect()
}

fn check_acceptance(script: &str) -> Finding {
    let found = match ask_within(TEST_TIMEOUT, "sbatch", &["--test-only"], script) {
        Ok(_) => return Finding::ok("slurm", "sbatch accepts the job"),
        Err(SlurmError::Refused { said, .. }) => format!("sbatch does not accept the job: {said}"),
        Err(error) => format!("sbatch does not tell whether it accepts the job: {error}"),
    };
    Finding::error("slurm", found).advice(
        "change --time, --mem, --account, --partition and the like, or the flags after `--`",
    )
}

/// Checks whether jobs of this name are queued already: their tasks and the new ones would share the trials.
fn check_queue(label: &str) -> Option<Finding> {
    let queue = ask("squeue", &["-h", "--me", "-n", label, "-o", "%F"]).ok()?;
    let mut jobs: Vec<&str> = queue.split_whitespace().collect();
    jobs.dedup();
    if jobs.is_empty() {
        return None;
    }
    let found = format!("the queue already has a job `{label}` ({})", jobs.join(", "));
    Some(
        Finding::warning("queue", found)
            .meaning(
                "trials that it has not started yet count as missing; no trial runs twice, and \
                 surplus tasks end immediately",
            )
            .advice("to start fewer tasks, cancel one of the two jobs"),
    )
}

/// Reads `MaxArraySize` from `scontrol show config`.
fn max_array_size(config: &str) -> Option<u64> {
    let line = config.lines().find_map(|line| line.trim().strip_prefix("MaxArraySize"))?;
    line.trim_start().strip_prefix('=')?.trim().parse().ok()
}

/// Checks whether Slurm allows this number of tasks. An index must be less than `MaxArraySize`, and ours start at 1.
pub(in crate::commands::submit) fn check_array_size(
    plan: &Plan,
    max_array_size: u64,
) -> Option<Finding> {
    let (n_tasks, most) = (plan.n_tasks(), max_array_size.saturating_sub(1).max(1));
    if n_tasks <= most {
        return None;
    }
    let found = format!(
        "the array has {n_tasks} tasks, and Slurm allows {most} here (MaxArraySize = {max_array_size})"
    );
    let fits = plan.n_missing().div_ceil(most);
    let advice =
        format!("--trials-per-task {fits} makes it {} tasks", plan.n_missing().div_ceil(fits));
    Some(Finding::error("array-size", found).advice(advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(n_trials: u64, n_present: u64, per_task: u64, parallel: u64) -> Plan {
        Plan { n_trials, n_present, per_task, jobs: 1, parallel }
    }

    #[test]
    fn an_array_that_is_too_large_is_refused_with_what_fits() {
        assert_eq!(check_array_size(&plan(1000, 0, 1, 50), 1001), None);
        let finding = check_array_size(&plan(2500, 0, 1, 50), 1001).expect("too large");
        let found = (finding.severity, finding.found.as_str(), finding.advice.as_str());
        let text = "the array has 2500 tasks, and Slurm allows 1000 here (MaxArraySize = 1001)";
        let advice = "--trials-per-task 3 makes it 834 tasks";
        assert_eq!(found, (Severity::Error, text, advice));
        assert_eq!(check_array_size(&plan(2500, 0, 3, 50), 1001), None);
        // A site may have turned arrays off.
        assert!(check_array_size(&plan(2, 0, 1, 1), 0).is_some());
    }

    #[test]
    fn the_array_size_is_read_from_scontrols_lines() {
        let config = "MailProg                = /bin/mail\nMaxArraySize            = 1001\n\
            MaxDBDMsgs              = 20016\n";
        assert_eq!(max_array_size(config), Some(1001));
        assert_eq!(max_array_size("MaxJobCount = 10000\n"), None);
        assert_eq!(max_array_size("MaxArraySize = (null)\n"), None);
    }
}
