//! Judges the shape of an array: trials at a time, and trials per task.

use crate::commands::submit::plan::{Plan, SHORT_TASK};
use crate::view::finding::Finding;
use crate::view::trial::show_duration;
use std::time::Duration;
use trialbox_core::value::text::counted;
use trialbox_samplers::SamplerConfig;

/// The known times of the study and of the job.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::commands::submit) struct Times {
    /// The median duration of a trial, and the number of trials that it comes from.
    pub(in crate::commands::submit) trial: Option<(Duration, usize)>,
    /// The time limit of a task, if it was given as `--time`.
    pub(in crate::commands::submit) limit: Option<Duration>,
    /// True if the time limit was given in any way.
    pub(in crate::commands::submit) has_limit: bool,
}

/// Judges the number of trials at a time, for samplers that learn from finished trials.
///
/// Returns `None` for a few trials: a sampler draws the first ten without learning in any case.
pub(in crate::commands::submit) fn check_parallel(plan: &Plan) -> Option<Finding> {
    if plan.n_missing() < FEW_TRIALS {
        return None;
    }
    let now = plan.knowledge(plan.parallel);
    let mut found = format!(
        "with {} trials at a time, a trial learns from {} of the results that it would have \
         if trials ran one after another",
        now.at_a_time,
        format_share(now.share)
    );
    let Some(fewer) = plan.fewer_at_a_time() else {
        return Some(Finding::ok("parallel", found));
    };
    if now.n_blind > 0 {
        found.push_str(&format!("; the first {} learn from none", now.n_blind));
    }
    let then = plan.knowledge(fewer);
    let advice = format!(
        "--parallel {fewer} raises that to {}, in {}; with a sampler that does not learn ({}), \
         any number is fine",
        format_share(then.share),
        counted(then.n_rounds, "round"),
        SamplerConfig::names_of_those_that_do_not_learn()
    );
    Some(Finding::warning("parallel", found).advice(advice))
}

fn format_share(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// The number of missing trials below which [`check_parallel`] gives no advice.
const FEW_TRIALS: u64 = 10;

/// The duration of all trials together below which a job is not worth its start.
const NO_JOB: Duration = Duration::from_secs(60);

/// Judges whether tasks are long enough to be worth their start, and short enough for their time limit.
pub(in crate::commands::submit) fn check_times(plan: &Plan, times: &Times) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !times.has_limit {
        findings.push(
            Finding::warning("time", "no --time was given, so the partition's default holds")
                .meaning("jobs with a time limit of their own start sooner"),
        );
    }
    findings.push(match times.trial {
        Some((trial, n_known)) => check_duration(plan, times, trial, n_known),
        None => Finding::note("duration", "the duration of a trial is not known yet").advice(
            "run one trial here with the same flags, `trialbox run OBJECTIVE … -n 1`: then \
             `submit --dry-run` tells whether several should share a task",
        ),
    });
    findings
}

fn check_duration(plan: &Plan, times: &Times, trial: Duration, n_known: usize) -> Finding {
    let known = format!("a trial takes {} (the median of {n_known})", show_duration(trial));
    if let Some(limit) = times.limit
        && limit < plan.task_duration(trial)
    {
        return time_is_too_short(plan, trial, limit, &known);
    }
    let missing = plan.n_missing();
    let all = Plan { per_task: missing, ..plan.clone() }.task_duration(trial);
    if all < NO_JOB {
        let found = format!("{known}: all {missing} take about {}", show_duration(all));
        return Finding::warning("duration", found)
            .advice(format!("run them here: `trialbox run OBJECTIVE … -n {missing}`"));
    }
    match plan.more_per_task(trial, times.limit) {
        Some(more) => tasks_are_too_short(plan, trial, more, &known),
        None => Finding::ok("duration", known),
    }
}

/// Returns the finding for tasks that take longer than their time limit.
fn time_is_too_short(plan: &Plan, trial: Duration, limit: Duration, known: &str) -> Finding {
    let limit = show_duration(limit);
    if plan.per_task == 1 {
        let found = format!("{known}, and --time gives a task {limit}");
        return Finding::warning("duration", found).advice("raise --time");
    }
    let task = show_duration(plan.task_duration(trial));
    let found =
        format!("{known}, so {} take {task}, and --time gives a task {limit}", plan.per_task);
    Finding::warning("duration", found).advice("raise --time, or lower --trials-per-task")
}

/// Returns the finding for tasks that should run `more` trials.
fn tasks_are_too_short(plan: &Plan, trial: Duration, more: u64, known: &str) -> Finding {
    let task = show_duration(plan.task_duration(trial));
    let longer = Plan { per_task: more, ..plan.clone() };
    let duration = longer.task_duration(trial);
    let mut advice = format!(
        "--trials-per-task {more} makes that {}, in {}",
        show_duration(duration),
        counted(longer.n_tasks(), "task")
    );
    if duration >= SHORT_TASK {
        advice.push_str("; computing centres ask for at least 10 minutes");
    }
    Finding::warning("duration", format!("{known}, so a task would take {task}"))
        .meaning("starting the task may take longer than that")
        .advice(advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::finding::Severity;

    fn plan(n_trials: u64, n_present: u64, per_task: u64, parallel: u64) -> Plan {
        Plan { n_trials, n_present, per_task, jobs: 1, parallel }
    }

    #[track_caller]
    fn check(finding: &Finding, severity: Severity, text: &str, advice: &str) {
        let found = (finding.severity, finding.found.as_str(), finding.advice.as_str());
        assert_eq!(found, (severity, text, advice));
    }

    #[test]
    fn too_many_trials_at_a_time_are_a_warning_with_the_loss() {
        check(
            &check_parallel(&plan(40, 0, 1, 20)).expect("trials enough"),
            Severity::Warning,
            "with 20 trials at a time, a trial learns from 27 % of the results that it would have \
         if trials ran one after another; \
             the first 20 learn from none",
            "--parallel 4 raises that to 85 %, in 10 rounds; with a sampler that does not learn (random, qmc, \
             grid or brute-force), any number is fine",
        );
        check(
            &check_parallel(&plan(40, 0, 1, 8)).expect("trials enough"),
            Severity::Ok,
            "with 8 trials at a time, a trial learns from 68 % of the results that it would have \
         if trials ran one after another",
            "",
        );
        assert_eq!(check_parallel(&plan(9, 0, 1, 9)), None);
        assert_eq!(check_parallel(&plan(40, 31, 1, 9)), None);
    }

    #[test]
    fn short_trials_get_a_number_for_a_task_and_long_ones_more_time() {
        let seconds = Duration::from_secs;
        let times = |trial, limit| Times { trial: Some((trial, 12)), limit, has_limit: true };
        let short = check_times(&plan(1000, 0, 1, 10), &times(seconds(30), Some(seconds(7200))));
        check(
            &short[0],
            Severity::Warning,
            "a trial takes 30.0 s (the median of 12), so a task would take 30.0 s",
            "--trials-per-task 60 makes that 30 min 0 s, in 17 tasks; computing centres ask for at least 10 minutes",
        );
        let few = check_times(&plan(4, 0, 1, 4), &times(seconds(30), None));
        assert_eq!(few[0].advice, "--trials-per-task 4 makes that 2 min 0 s, in 1 task");
        let tiny = check_times(&plan(8, 0, 1, 4), &times(Duration::from_millis(500), None));
        check(
            &tiny[0],
            Severity::Warning,
            "a trial takes 500 ms (the median of 12): all 8 take about 4.0 s",
            "run them here: `trialbox run OBJECTIVE … -n 8`",
        );
        let long = check_times(&plan(1000, 0, 4, 10), &times(seconds(900), Some(seconds(1800))));
        check(
            &long[0],
            Severity::Warning,
            "a trial takes 15 min 0 s (the median of 12), so 4 take 1 h 0 min, and --time gives a task 30 min 0 s",
            "raise --time, or lower --trials-per-task",
        );
        let fine = check_times(&plan(1000, 0, 1, 10), &times(seconds(900), Some(seconds(1800))));
        check(&fine[0], Severity::Ok, "a trial takes 15 min 0 s (the median of 12)", "");
        assert_eq!((short.len(), long.len(), fine.len()), (1, 1, 1));
    }

    #[test]
    fn a_missing_time_is_a_warning_and_an_unknown_duration_a_note() {
        let findings = check_times(&plan(40, 0, 1, 8), &Times::default());
        let found: Vec<_> = findings.iter().map(|it| (it.code, it.severity)).collect();
        assert_eq!(found, [("time", Severity::Warning), ("duration", Severity::Note)]);
    }
}
