//! What Slurm says of an array before it is submitted.

use super::{Finding, Level};
use crate::cluster::slurm::{SlurmError, ask, ask_within};
use crate::commands::submit::plan::Plan;
use std::time::Duration;

/// Asks Slurm whether it would take the array. Where there is no Slurm that is an error, but for a dry run.
pub(in crate::commands::submit) fn check_slurm(
    plan: &Plan,
    label: &str,
    script: &str,
    is_dry_run: bool,
) -> Vec<Finding> {
    let config = match ask("scontrol", &["show", "config"]) {
        Ok(config) => config,
        Err(SlurmError::NoCommand { error, .. }) => {
            let level = if is_dry_run { Level::Warning } else { Level::Error };
            let text =
                format!("Slurm's commands are not here: `scontrol` cannot be started: {error}");
            return vec![Finding::new(level, "slurm", text).help(
                "submit on a machine with sbatch and scontrol, such as the login node; --dry-run shows the script anywhere",
            )];
        }
        Err(error) => {
            return vec![Finding::new(
                Level::Error,
                "slurm",
                format!("Slurm does not answer: {error}"),
            )];
        }
    };
    if let Some(too_large) = max_array_size(&config).and_then(|size| check_array_size(plan, size)) {
        return vec![too_large];
    }
    let accepted = match ask_within(ACCEPTANCE, "sbatch", &["--test-only"], script) {
        Ok(_) => Finding::new(Level::Fine, "slurm", "sbatch accepts the job"),
        Err(error) => Finding::new(
            Level::Error,
            "slurm",
            match error {
                SlurmError::Refused { said, .. } => {
                    format!("sbatch does not accept the job: {said}")
                }
                error => format!("sbatch does not say whether it accepts the job: {error}"),
            },
        )
        .help(
            "change --time, --mem, --account, --partition and the like, or what stands after `--`",
        ),
    };
    [Some(accepted), check_queue(label)].into_iter().flatten().collect()
}

/// How long sbatch may take: it asks a controller that may be busy, again and again.
const ACCEPTANCE: Duration = Duration::from_secs(60);

/// Whether jobs of that name are there already: their tasks and the new ones would share the trials.
fn check_queue(label: &str) -> Option<Finding> {
    let queue = ask("squeue", &["-h", "--me", "-n", label, "-o", "%F"]).ok()?;
    let mut jobs: Vec<&str> = queue.split_whitespace().collect();
    jobs.dedup();
    if jobs.is_empty() {
        return None;
    }
    let text = format!(
        "in the queue there is already a job `{label}` ({}): trials that it has not begun yet count as missing",
        jobs.join(", ")
    );
    Some(Finding::new(Level::Warning, "queue", text).help(
        "no trial is run twice, and surplus tasks end at once; to begin with fewer, cancel one of both",
    ))
}

/// What `scontrol show config` says of arrays.
fn max_array_size(config: &str) -> Option<u64> {
    let line = config.lines().find_map(|line| line.trim().strip_prefix("MaxArraySize"))?;
    line.trim_start().strip_prefix('=')?.trim().parse().ok()
}

/// Whether Slurm allows arrays of so many tasks. An index must be less than `MaxArraySize`, and ours begin with 1.
pub(in crate::commands::submit) fn check_array_size(
    plan: &Plan,
    max_array_size: u64,
) -> Option<Finding> {
    let (n_tasks, most) = (plan.n_tasks(), max_array_size.saturating_sub(1).max(1));
    if n_tasks <= most {
        return None;
    }
    let text = format!(
        "{n_tasks} tasks are more than an array may have here: {most} (MaxArraySize = {max_array_size})"
    );
    let fits = plan.n_missing().div_ceil(most);
    let finding = Finding::new(Level::Error, "array_size", text);
    Some(finding.help(format!(
        "--trials-per-task {fits} makes it {} tasks",
        plan.n_missing().div_ceil(fits)
    )))
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
        let found = (finding.level, finding.text.as_str(), finding.help.as_deref());
        let text = "2500 tasks are more than an array may have here: 1000 (MaxArraySize = 1001)";
        let help = "--trials-per-task 3 makes it 834 tasks";
        assert_eq!(found, (Level::Error, text, Some(help)));
        assert_eq!(check_array_size(&plan(2500, 0, 3, 50), 1001), None);
        // A site may have turned arrays off.
        assert!(check_array_size(&plan(2, 0, 1, 1), 0).is_some());
    }

    #[test]
    fn the_array_size_is_read_from_scontrols_lines() {
        let config = "MailProg                = /bin/mail\nMaxArraySize            = 1001\nMaxDBDMsgs              = 20016\n";
        assert_eq!(max_array_size(config), Some(1001));
        assert_eq!(max_array_size("MaxJobCount = 10000\n"), None);
        assert_eq!(max_array_size("MaxArraySize = (null)\n"), None);
    }
}
