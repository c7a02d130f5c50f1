//! Whether an array is of a sensible shape.

use super::{Finding, Level};
use crate::commands::submit::plan::{Plan, SHORT_TASK};
use crate::view::trial::{count, show_duration};
use std::time::Duration;

/// What is known of time.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::commands::submit) struct Times {
    /// How long a trial takes, in the middle of so many.
    pub(in crate::commands::submit) trial: Option<(Duration, usize)>,
    /// The time limit of a task, if it was given as `--time`.
    pub(in crate::commands::submit) limit: Option<Duration>,
    /// Whether it was given in any way.
    pub(in crate::commands::submit) has_limit: bool,
}

/// Whether so many trials should run at once. Only for samplers that learn from what has ended.
/// Of a few trials nothing is said: a sampler draws the first ten without learning in any case.
pub(in crate::commands::submit) fn check_parallel(plan: &Plan) -> Option<Finding> {
    if plan.n_missing() < FEW_TRIALS {
        return None;
    }
    let now = plan.knowledge(plan.parallel);
    let knows = |share: f64| format!("{:.0} %", share * 100.0);
    let fact = format!(
        "with {} at once, a trial learns from {} of the results it would have if trials ran one by one",
        now.at_once,
        knows(now.share)
    );
    let Some(fewer) = plan.fewer_at_once() else {
        return Some(Finding::new(Level::Fine, "parallel", fact));
    };
    let blind = match now.n_blind {
        0 => String::new(),
        n => format!("; the first {n} learn from none"),
    };
    let then = plan.knowledge(fewer);
    let help = format!(
        "--parallel {fewer} makes that {}, in {}; with --sampler random or qmc, which do not learn, any number is fine",
        knows(then.share),
        count(then.n_rounds, "round")
    );
    Some(Finding::new(Level::Warning, "parallel", format!("{fact}{blind}")).help(help))
}

/// Fewer missing trials than this are too few to advise on how many run at once.
const FEW_TRIALS: u64 = 10;

/// All trials together take less than this: no job is needed for them.
const NO_JOB: Duration = Duration::from_secs(60);

/// Whether tasks are long enough to be worth starting, and short enough for their time limit.
pub(in crate::commands::submit) fn check_times(plan: &Plan, times: &Times) -> Vec<Finding> {
    let no_limit = || {
        let text = "no --time: the partition's default holds, and jobs that say how long they take start sooner";
        Finding::new(Level::Warning, "time", text)
    };
    let no_limit = (!times.has_limit).then(no_limit);
    no_limit.into_iter().chain([check_duration(plan, times)]).collect()
}

fn check_duration(plan: &Plan, times: &Times) -> Finding {
    let found = |level, text: String| Finding::new(level, "duration", text);
    let Some((trial, n_known)) = times.trial else {
        let text = "nothing is known yet of how long a trial takes".to_owned();
        return found(Level::Note, text).help(
            "run one here, with the same flags, `trialbox run OBJECTIVE … -n 1`: then `submit --dry-run` says whether \
             several should share a task",
        );
    };
    let known = format!("a trial takes {} (the median of {n_known})", show_duration(trial));
    let task = plan.task_duration(trial);
    if let Some(limit) = times.limit.filter(|limit| *limit < task) {
        let (tasks, help) = match plan.per_task {
            1 => (String::new(), "give more --time"),
            n => (
                format!(", so {n} take {}", show_duration(task)),
                "give more --time, or fewer --trials-per-task",
            ),
        };
        let text = format!("{known}{tasks}, and --time gives a task {}", show_duration(limit));
        return found(Level::Warning, text).help(help);
    }
    let missing = plan.n_missing();
    let all = Plan { per_task: missing, ..plan.clone() }.task_duration(trial);
    if all < NO_JOB {
        let text = format!("{known}: all {missing} take about {}", show_duration(all));
        return found(Level::Warning, text)
            .help(format!("run them here: `trialbox run OBJECTIVE … -n {missing}`"));
    }
    let Some(more) = plan.more_per_task(trial, times.limit) else {
        return found(Level::Fine, known);
    };
    let text = format!(
        "{known}: a task would last {}, and starting it may take longer",
        show_duration(task)
    );
    let longer = Plan { per_task: more, ..plan.clone() };
    let then = longer.task_duration(trial);
    let reason = match then >= SHORT_TASK {
        true => "; computing centres ask for 10 minutes or more",
        false => "",
    };
    found(Level::Warning, text).help(format!(
        "--trials-per-task {more} makes that {}, in {}{reason}",
        show_duration(then),
        count(longer.n_tasks(), "task")
    ))
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
            &check_parallel(&plan(40, 0, 1, 20)).expect("trials enough"),
            Level::Warning,
            "with 20 at once, a trial learns from 27 % of the results it would have if trials ran one by one; the first 20 \
             learn from none",
            Some(
                "--parallel 4 makes that 85 %, in 10 rounds; with --sampler random or qmc, which do not learn, any number is fine",
            ),
        );
        says(
            &check_parallel(&plan(40, 0, 1, 8)).expect("trials enough"),
            Level::Fine,
            "with 8 at once, a trial learns from 68 % of the results it would have if trials ran one by one",
            None,
        );
        assert_eq!(check_parallel(&plan(9, 0, 1, 9)), None);
        assert_eq!(check_parallel(&plan(40, 31, 1, 9)), None);
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
                "--trials-per-task 60 makes that 30 min 0 s, in 17 tasks; computing centres ask for 10 minutes or more",
            ),
        );
        let few = check_times(&plan(4, 0, 1, 4), &times(seconds(30), None));
        let help = few[0].help.as_deref();
        assert_eq!(help, Some("--trials-per-task 4 makes that 2 min 0 s, in 1 task"));
        let tiny = check_times(&plan(8, 0, 1, 4), &times(Duration::from_millis(500), None));
        says(
            &tiny[0],
            Level::Warning,
            "a trial takes 500 ms (the median of 12): all 8 take about 4.0 s",
            Some("run them here: `trialbox run OBJECTIVE … -n 8`"),
        );
        let long = check_times(&plan(1000, 0, 4, 10), &times(seconds(900), Some(seconds(1800))));
        says(
            &long[0],
            Level::Warning,
            "a trial takes 15 min 0 s (the median of 12), so 4 take 1 h 0 min, and --time gives a task 30 min 0 s",
            Some("give more --time, or fewer --trials-per-task"),
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
}
