//! What is looked at before anything is made or submitted; each finding is a sentence.

use super::plan::Plan;
use super::script::is_ours;
use crate::scheduler::slurm::{SlurmError, ask, ask_with};
use crate::trial_json::show_duration;
use rustix::fs::Access;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;
use trialbox_storage::LockMode;
use trialbox_storage::mount::{Locks, Mount, mount_of};

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Fine,
    /// Worth knowing.
    Note,
    /// Probably not as the user wants it.
    Warning,
    /// Nothing is submitted.
    Error,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What was looked at, for programs.
    pub(super) check: &'static str,
    pub(super) text: String,
    /// What to do about it.
    pub(super) help: Option<String>,
}

impl Finding {
    fn new(level: Level, check: &'static str, text: impl Into<String>) -> Self {
        Finding { level, check, text: text.into(), help: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Finding { help: Some(help.into()), ..self }
    }

    /// One line, with its help on a second.
    pub(super) fn to_text(&self) -> String {
        let help = self.help.iter().map(|help| format!("\n  help: {help}")).collect::<String>();
        format!("{}: {}{help}", self.level.as_str(), self.text)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "check": self.check,
            "level": self.level.as_str(),
            "message": self.text,
            "help": self.help,
        })
    }
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Level::Fine => "ok",
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// What is known of time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    /// How long a trial takes, in the middle of so many.
    pub(super) trial: Option<(Duration, usize)>,
    /// The time limit of a task, if it was given as `--time`.
    pub(super) limit: Option<Duration>,
    /// Whether it was given in any way.
    pub(super) has_limit: bool,
}

/// Whether so many trials should run at once. Only for samplers that learn from what has ended.
pub(super) fn check_parallel(plan: &Plan) -> Finding {
    let now = plan.knowledge(plan.parallel);
    let (at_once, missing) = (now.at_once, plan.n_missing());
    let rounds = match now.n_rounds {
        1 => "1 round".to_owned(),
        n => format!("{n} rounds"),
    };
    let knows = |share: f64| format!("{:.0} %", share * 100.0);
    let fact = format!(
        "{at_once} of {missing} trials run at once, in {rounds}: of the results that a trial would know if all ran one after \
         another, it knows {} on average",
        knows(now.share)
    );
    let Some(fewer) = plan.fewer_at_once() else {
        return Finding::new(Level::Fine, "parallel", fact);
    };
    let blind = match now.n_blind {
        0 => String::new(),
        n => format!(", and {n} are drawn before anything is known"),
    };
    let then = plan.knowledge(fewer);
    Finding::new(Level::Warning, "parallel", format!("{fact}{blind}")).help(format!(
        "--parallel {fewer} makes that {}, in {} rounds; with --sampler random or qmc, which do not learn, any number is fine",
        knows(then.share),
        then.n_rounds
    ))
}

/// Whether tasks are long enough to be worth starting, and short enough for their time limit.
pub(super) fn check_times(plan: &Plan, times: &Times) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !times.has_limit {
        let text = "no --time: the partition's default holds, and jobs that say how long they take start sooner";
        findings.push(Finding::new(Level::Warning, "time", text));
    }
    let Some((trial, n_known)) = times.trial else {
        let text = "nothing is known yet of how long a trial takes";
        findings.push(Finding::new(Level::Note, "duration", text).help(
            "run one here, with the same flags, `trialbox run OBJECTIVE … -n 1`: then `submit --dry-run` says whether several \
             should share a task",
        ));
        return findings;
    };
    let task = plan.task_duration(trial);
    let known = format!("a trial takes {} (the median of {n_known})", show_duration(trial));
    if let Some(limit) = times.limit.filter(|limit| *limit < task) {
        let tasks = match plan.per_task {
            1 => String::new(),
            n => format!(", so {n} take {}", show_duration(task)),
        };
        let text = format!("{known}{tasks}, and --time gives a task {}", show_duration(limit));
        findings.push(Finding::new(Level::Warning, "duration", text).help("give more --time"));
    } else if let Some(more) = plan.more_per_task(trial, times.limit) {
        let text = format!(
            "{known}: a task would last {}, and starting it may take longer",
            show_duration(task)
        );
        let longer = Plan { per_task: more, ..plan.clone() }.task_duration(trial);
        let help = format!(
            "--trials-per-task {more} makes that {}; computing centres ask for 10 minutes or more",
            show_duration(longer)
        );
        findings.push(Finding::new(Level::Warning, "duration", text).help(help));
    } else {
        findings.push(Finding::new(Level::Fine, "duration", known));
    }
    findings
}

/// Whether Slurm allows arrays of so many tasks. An index must be less than `MaxArraySize`, and ours begin with 1.
pub(super) fn check_array_size(plan: &Plan, max_array_size: u64) -> Option<Finding> {
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

/// Whether the database can be written, and seen by other nodes.
pub(super) fn check_storage(path: &Path, lock: LockMode) -> Finding {
    let error = |text: String| Finding::new(Level::Error, "storage", text);
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let shown = path.display();
    if !folder.is_dir() {
        return error(format!("the folder `{}` of the database is not there", folder.display()))
            .help("make it first, or say another --storage");
    }
    let is_writable = |path: &Path| rustix::fs::access(path, Access::WRITE_OK).is_ok();
    if !is_writable(folder) || (path.exists() && !is_writable(path)) {
        return error(format!("the database `{shown}` cannot be written, or not its folder"))
            .help("say another --storage");
    }
    let mount = match mount_of(path) {
        Ok(mount) => mount,
        Err(error) => {
            return Finding::new(Level::Warning, "storage", format!("`{shown}`: {error}"));
        }
    };
    if let Some(finding) = unseen("storage", "the database", path, &mount) {
        return finding;
    }
    match (mount.locks, lock) {
        (Locks::Local, LockMode::Auto | LockMode::Sqlite) => Finding::new(
            Level::Note,
            "storage",
            format!(
                "`{shown}` lies on {}, a disk of this machine: fine only if all nodes are this machine",
                mount.fs_type
            ),
        ),
        (_, LockMode::Sqlite) => Finding::new(
            Level::Warning,
            "storage",
            format!("`{shown}` lies on {}, and --lock sqlite trusts its locks", mount.fs_type),
        )
        .help("leave --lock out: a lock file is safe there"),
        (Locks::Unknown, LockMode::Auto) => Finding::new(
            Level::Warning,
            "storage",
            format!("`{shown}` lies on {}, whose locks are not known", mount.fs_type),
        )
        .help("--lock file is safe wherever it is"),
        _ => Finding::new(
            Level::Fine,
            "storage",
            format!("`{shown}` lies on {}: a lock file keeps writers apart", mount.fs_type),
        ),
    }
}

/// Whether other nodes can see a file or folder that tasks need.
pub(super) fn check_seen(what: &str, path: &Path) -> Option<Finding> {
    unseen("files", what, path, &mount_of(path).ok()?)
}

fn unseen(check: &'static str, what: &str, path: &Path, mount: &Mount) -> Option<Finding> {
    let real = path.canonicalize().or_else(|_| std::path::absolute(path)).ok()?;
    let temporary = ["/tmp", "/var/tmp", "/dev/shm"].iter().find(|folder| real.starts_with(folder));
    let is_memory = ["tmpfs", "ramfs"].contains(&mount.fs_type.as_str());
    let place = match temporary {
        Some(folder) => (*folder).to_owned(),
        None if is_memory => format!("{} ({})", mount.mount_point.display(), mount.fs_type),
        None => return None,
    };
    let text =
        format!("{what} `{}` lies in {place}, which every node has for itself", path.display());
    let help = "put it where all nodes see it, such as your home or project folder";
    Some(Finding::new(Level::Warning, check, text).help(help))
}

/// Whether a file can be written without losing somebody's work.
pub(super) fn check_file(path: &Path, flag: &str) -> Option<Finding> {
    let shown = path.display();
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            let text = format!("`{shown}` cannot be read: {error}");
            return Some(
                Finding::new(Level::Error, "script", text).help(format!("choose another {flag}")),
            );
        }
    };
    let mut beginning = Vec::new();
    let _ = file.take(4096).read_to_end(&mut beginning);
    if is_ours(&String::from_utf8_lossy(&beginning)) {
        return None;
    }
    let text = format!("`{shown}` is there, and `trialbox submit` did not write it");
    Some(
        Finding::new(Level::Error, "script", text)
            .help(format!("choose another name with {flag}, or move it away")),
    )
}

/// Whether sbatch can name a log in this folder: it takes `%` and `\` in it for parts of a pattern.
pub(super) fn check_folder(folder: &Path) -> Option<Finding> {
    let text =
        folder.to_str().filter(|text| !text.chars().any(|c| c.is_control() || "%\\".contains(c)));
    if text.is_some() {
        return None;
    }
    let text = format!(
        "`{}` has a character in its name that sbatch takes for something else",
        folder.display()
    );
    Some(
        Finding::new(Level::Error, "folder", text)
            .help("submit from a folder without % and \\ in its path"),
    )
}

/// Asks Slurm whether it would take the array. Where there is no Slurm that is an error, but for a dry run.
pub(super) fn check_slurm(
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
    let accepted = match ask_with("sbatch", &["--test-only"], script, ACCEPTANCE) {
        Ok(_) => Finding::new(Level::Fine, "slurm", "sbatch accepts the job"),
        Err(error) => Finding::new(
            Level::Error,
            "slurm",
            format!("sbatch does not accept the job: {error}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(n_trials: u64, n_present: u64, per_task: u64, parallel: u64) -> Plan {
        Plan { n_trials, n_present, per_task, jobs: 1, parallel }
    }

    #[track_caller]
    fn says(finding: &Finding, level: Level, text: &str, help: Option<&str>) {
        let found = (finding.level, finding.text.as_str(), finding.help.as_deref());
        assert_eq!(found, (level, text, help));
    }

    #[test]
    fn too_many_at_once_is_said_with_what_is_lost() {
        says(
            &check_parallel(&plan(40, 0, 1, 20)),
            Level::Warning,
            "20 of 40 trials run at once, in 2 rounds: of the results that a trial would know if all ran one after another, it \
             knows 27 % on average, and 20 are drawn before anything is known",
            Some(
                "--parallel 4 makes that 85 %, in 10 rounds; with --sampler random or qmc, which do not learn, any number is fine",
            ),
        );
        says(
            &check_parallel(&plan(40, 0, 1, 8)),
            Level::Fine,
            "8 of 40 trials run at once, in 5 rounds: of the results that a trial would know if all ran one after another, it \
             knows 68 % on average",
            None,
        );
    }

    #[test]
    fn an_array_that_is_too_large_is_refused_with_what_fits() {
        assert_eq!(check_array_size(&plan(1000, 0, 1, 50), 1001), None);
        let finding = check_array_size(&plan(2500, 0, 1, 50), 1001).expect("too large");
        says(
            &finding,
            Level::Error,
            "2500 tasks are more than an array may have here: 1000 (MaxArraySize = 1001)",
            Some("--trials-per-task 3 makes it 834 tasks"),
        );
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

    #[test]
    fn short_trials_get_a_number_for_a_task_and_long_ones_more_time() {
        let seconds = Duration::from_secs;
        let times = |trial, limit| Times { trial: Some((trial, 12)), limit, has_limit: true };
        let short = check_times(&plan(1000, 0, 1, 10), &times(seconds(30), Some(seconds(7200))));
        says(
            &short[0],
            Level::Warning,
            "a trial takes 30.0 s (the median of 12): a task would last 30.0 s, and starting it may take longer",
            Some(
                "--trials-per-task 60 makes that 30 min 0 s; computing centres ask for 10 minutes or more",
            ),
        );
        let long = check_times(&plan(1000, 0, 4, 10), &times(seconds(900), Some(seconds(1800))));
        says(
            &long[0],
            Level::Warning,
            "a trial takes 15 min 0 s (the median of 12), so 4 take 1 h 0 min, and --time gives a task 30 min 0 s",
            Some("give more --time"),
        );
        let fine = check_times(&plan(1000, 0, 1, 10), &times(seconds(900), Some(seconds(1800))));
        says(&fine[0], Level::Fine, "a trial takes 15 min 0 s (the median of 12)", None);
        assert_eq!((short.len(), long.len(), fine.len()), (1, 1, 1));
    }

    #[test]
    fn a_missing_time_is_a_warning_and_an_unknown_duration_a_note() {
        let findings = check_times(&plan(40, 0, 1, 8), &Times::default());
        let levels: Vec<_> = findings.iter().map(|it| (it.check, it.level)).collect();
        assert_eq!(levels, [("time", Level::Warning), ("duration", Level::Note)]);
    }

    #[test]
    fn what_lies_in_memory_or_in_tmp_is_not_seen_by_other_nodes() {
        let finding = check_seen("the objective", Path::new("/dev/shm")).expect("no node sees it");
        assert_eq!(finding.level, Level::Warning);
        assert!(
            finding.text.contains("/dev/shm, which every node has for itself"),
            "{}",
            finding.text
        );
        assert_eq!(check_seen("the objective", Path::new("/proc")), None);
    }

    #[test]
    fn sbatch_would_not_find_a_log_in_a_folder_with_a_pattern_in_its_name() {
        for name in ["/a/50%", "/a\\b", "/a\nb"] {
            assert!(check_folder(Path::new(name)).is_some(), "{name}");
        }
        assert_eq!(check_folder(Path::new("/home/my study #1")), None);
    }
}
