//! Sentences that answer the first questions about a study, in the order in which people ask them.

use crate::figures::{edges_of_best, improvements};
use crate::label::label;
use crate::number::{duration, percent, short};
use crate::subject::Subject;
use std::collections::BTreeMap;
use std::time::Duration;
use trialbox_core::study::failure::FAILURE_ATTR;
use trialbox_core::value::text::{counted, one_line, plural, shorten};
use trialbox_core::{FrozenTrial, Json, TrialState, UtcDateTime};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The word for programs: `progress`, `best`, `failures`, `importance`, `edges` or `outlook`.
    pub topic: &'static str,
    /// The question's heading.
    pub heading: &'static str,
    /// One sentence or several.
    pub text: String,
    /// True if the user should do something about it.
    pub is_warning: bool,
}

/// The longest message of a failure, in characters.
const MAX_MESSAGE_CHARS: usize = 160;

/// The number of failures that are named by their codes.
const MAX_CODES: usize = 3;

/// Returns the answers to the first questions about a study.
pub fn answers(subject: &Subject) -> Vec<Answer> {
    vec![
        progress(subject),
        best(subject),
        failures(subject),
        importance(subject),
        edges(subject),
        outlook(subject),
    ]
}

fn answer(topic: &'static str, heading: &'static str, text: String) -> Answer {
    Answer { topic, heading, text, is_warning: false }
}

/// Answers: is it alive and on time?
fn progress(subject: &Subject) -> Answer {
    let counts = TrialState::ALL.map(|state| (state, subject.in_state(state) as u64));
    let listed = counts.iter().filter(|(_, n)| *n > 0).map(|(state, n)| format!("{n} {state}"));
    let listed = listed.collect::<Vec<_>>().join(", ");
    let n_trials = subject.trials().len() as u64;
    let mut text = match n_trials {
        0 => "No trial has started yet.".to_owned(),
        n => format!("{}: {listed}.", counted(n, "trial")),
    };
    let (sentences, is_warning) = outstanding(subject);
    text.push_str(&format!(" {sentences}"));
    let text = text.trim_end().to_owned();
    Answer { is_warning, ..answer("progress", "Progress", text) }
}

/// Returns the sentences about the latest trial and those to come, and whether they warn.
pub(crate) fn outstanding(subject: &Subject) -> (String, bool) {
    let n_running = subject.in_state(TrialState::Running) as u64;
    let mut text = String::new();
    if let Some(last) = subject.trials().iter().filter_map(|trial| trial.datetime_complete).max() {
        let ago = since(last, subject.now());
        text.push_str(&format!("The last one finished {} ago.", duration(ago)));
    }
    if let Some(stopped) = &subject.ordered().stopped {
        return (format!("{text} {stopped}").trim_start().to_owned(), true);
    }
    if let Some(max_trials) = subject.ordered().max_trials {
        let n_done = subject.in_state(TrialState::Complete) + subject.in_state(TrialState::Pruned);
        let n_missing = max_trials.saturating_sub(n_done as u64);
        text.push_str(&missing(subject, n_missing, max_trials, n_running));
    } else if n_running == 0 && !subject.trials().is_empty() {
        text.push_str(" No trial is running.");
    }
    (text.trim_start().to_owned(), false)
}

fn missing(subject: &Subject, n_missing: u64, max_trials: u64, n_running: u64) -> String {
    if n_missing == 0 {
        return format!(" The study is complete: it has its {}.", counted(max_trials, "trial"));
    }
    let rest = format!(
        " {n_missing} of {} {} missing",
        counted(max_trials, "trial"),
        plural(n_missing, "is", "are")
    );
    if n_running == 0 {
        return format!("{rest}, and no trial is running.");
    }
    match rate(subject) {
        Some(per_second) => {
            let left = Duration::from_secs_f64((n_missing as f64 / per_second).min(1e9));
            let rate = short((per_second * 3600.0 * 10.0).round() / 10.0);
            format!("{rest}: {} more at the latest rate, {rate} an hour.", duration(left))
        }
        None => format!("{rest}."),
    }
}

/// Returns the trials that finished per second, of the latest twenty.
fn rate(subject: &Subject) -> Option<f64> {
    let mut ends: Vec<UtcDateTime> =
        subject.trials().iter().filter_map(|trial| trial.datetime_complete).collect();
    ends.sort_unstable();
    let latest = &ends[ends.len().saturating_sub(20)..];
    let seconds = since(*latest.first()?, subject.now()).as_secs_f64();
    (latest.len() >= 2 && seconds > 0.0).then(|| (latest.len() - 1) as f64 / seconds)
}

fn since(from: UtcDateTime, to: UtcDateTime) -> Duration {
    // The clocks of two machines may have written the two times.
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// Answers: how good is the best?
fn best(subject: &Subject) -> Answer {
    let names = subject.objective_labels();
    let text = if !subject.is_single() {
        match subject.front() {
            [] => "No trial is COMPLETE and feasible yet.".to_owned(),
            front => format!(
                "The Pareto front of {} holds {}.",
                names.join(", "),
                counted(front.len() as u64, "trial")
            ),
        }
    } else {
        match subject.front().first().and_then(|number| subject.trial(*number)) {
            None => "No trial is COMPLETE and feasible yet.".to_owned(),
            Some(best) => single_best(subject, best, &names[0]),
        }
    };
    answer("best", "Best", text)
}

fn single_best(subject: &Subject, best: &FrozenTrial, name: &str) -> String {
    let value = best.value().unwrap_or(f64::NAN);
    let mut text = format!("{} {} in trial {}", label(name), short(value), best.number);
    let index = subject.trials().iter().position(|trial| trial.number == best.number);
    let shown: Vec<String> = subject
        .by_importance()
        .iter()
        .take(6)
        .filter_map(|parameter| {
            let value = parameter.value(index?)?;
            Some(format!(
                "{} = {}",
                parameter.label(),
                shorten(&one_line(&parameter.show(value)), 40)
            ))
        })
        .collect();
    if !shown.is_empty() {
        text.push_str(&format!(": {}", shown.join(", ")));
    }
    text.push('.');
    let improvements = improvements(subject, 0);
    let n_later = subject.results().filter(|trial| trial.number > best.number).count();
    if let [(_, first), .., _] = improvements[..] {
        text.push_str(&format!(
            " It improved {} from {} on, and {} finished since.",
            counted(improvements.len() as u64 - 1, "time"),
            short(first),
            counted(n_later as u64, "further trial")
        ));
    }
    text
}

/// Answers: what failed, and why?
fn failures(subject: &Subject) -> Answer {
    let failed: Vec<&FrozenTrial> = subject.history().in_state(TrialState::Fail).collect();
    if failed.is_empty() {
        return answer("failures", "Failures", "No trial failed.".to_owned());
    }
    let mut by_code: BTreeMap<String, (u64, String, u32)> = BTreeMap::new();
    for trial in &failed {
        let (code, message) = reason(trial);
        let entry = by_code.entry(code).or_insert((0, message, trial.number.0));
        entry.0 += 1;
    }
    let mut codes: Vec<(String, (u64, String, u32))> = by_code.into_iter().collect();
    codes.sort_by_key(|(_, (count, ..))| std::cmp::Reverse(*count));
    let n_codes = codes.len();
    let listed = codes.into_iter().take(MAX_CODES).map(|(code, (count, message, number))| {
        format!("{count} {code} (trial {number}: {message})")
    });
    let mut text =
        format!("{} of {} failed: ", failed.len(), counted(subject.trials().len() as u64, "trial"));
    text.push_str(&listed.collect::<Vec<_>>().join(", "));
    if n_codes > MAX_CODES {
        text.push_str(&format!(" and {} more", counted((n_codes - MAX_CODES) as u64, "kind")));
    }
    text.push('.');
    // A few failures belong to a search; a fifth of it is a waste.
    let is_warning = failed.len() * 5 >= subject.trials().len();
    Answer { is_warning, ..answer("failures", "Failures", text) }
}

/// Returns the code and the message of a trial that failed.
pub(crate) fn reason(trial: &FrozenTrial) -> (String, String) {
    let failure = trial.system_attrs.get(FAILURE_ATTR);
    let text = |key: &str| failure.and_then(|failure| failure.get(key)).and_then(Json::as_str);
    let shown = |text: &str, n: usize| shorten(&one_line(text), n);
    let code = text("code").map_or("without a reason".to_owned(), |code| shown(code, 40));
    let message =
        text("message").map_or("none was recorded".to_owned(), |it| shown(it, MAX_MESSAGE_CHARS));
    (code, message)
}

/// Answers: which parameters matter?
fn importance(subject: &Subject) -> Answer {
    let text = match subject.importances() {
        Err(reason) => format!("Not known: {}.", one_line(reason)),
        Ok(importances) => {
            let clear = importances.iter().filter(|(_, share)| *share >= 0.1).take(3);
            let listed =
                clear.map(|(name, share)| format!("{} ({})", label(name), percent(*share)));
            let listed: Vec<String> = listed.collect();
            let n_left = importances.len() - listed.len();
            match (&listed[..], n_left) {
                ([], n) => format!("None of the {n} parameters stands out."),
                (listed, 0) => format!("{}.", listed.join(", ")),
                (listed, n) => format!(
                    "{}; {n} {} little.",
                    listed.join(", "),
                    plural(n as u64, "other matters", "others matter")
                ),
            }
        }
    };
    answer("importance", "What matters", text)
}

/// Answers: is the best at the end of a range?
fn edges(subject: &Subject) -> Answer {
    let edges = edges_of_best(subject);
    if edges.is_empty() {
        let text = match subject.front() {
            [] => "Not known: there is no best trial.",
            _ => "The best lies inside of every range.",
        };
        return answer("edges", "Ranges", text.to_owned());
    }
    let listed = edges.iter().map(|(parameter, edge)| {
        format!(
            "`{}` at the {} end of {}",
            parameter.label(),
            edge.as_str(),
            parameter.show_range()
        )
    });
    let text = format!(
        "The best lies at the end of a range: {}. A wider range may hold better trials.",
        listed.collect::<Vec<_>>().join(", ")
    );
    Answer { is_warning: true, ..answer("edges", "Ranges", text) }
}

/// Answers: what would more trials bring?
fn outlook(subject: &Subject) -> Answer {
    const FEW: usize = 20;
    let n_results = subject.results().count();
    let heading = "More trials";
    if n_results < FEW {
        let text = format!("Too early to tell: {} so far.", counted(n_results as u64, "result"));
        return answer("outlook", heading, text);
    }
    let middle = subject.results().nth(n_results / 2).map_or(0, |trial| trial.number.0);
    let text = if subject.is_single() {
        single_outlook(subject, middle, n_results)
    } else {
        let recent = subject.front().iter().filter(|number| **number >= middle).count();
        format!(
            "{recent} of {} on the front come from the second half of the results: {}",
            counted(subject.front().len() as u64, "trial"),
            if 4 * recent >= subject.front().len() {
                "more trials would likely extend it."
            } else {
                "more trials would likely add little."
            }
        )
    };
    answer("outlook", heading, text)
}

fn single_outlook(subject: &Subject, middle: u32, n_results: usize) -> String {
    let improvements = improvements(subject, 0);
    let direction = subject.directions()[0];
    let before = improvements.iter().rev().find(|(number, _)| *number < middle);
    let (Some((_, before)), Some((_, last)), Some(first)) =
        (before, improvements.last(), subject.results().next())
    else {
        return "Not known.".to_owned();
    };
    let gain = direction.to_minimize(*before) - direction.to_minimize(*last);
    let total = direction.to_minimize(first.values[0]) - direction.to_minimize(*last);
    let n_records = improvements.iter().filter(|(number, _)| *number >= middle).count();
    if n_records == 0 || gain <= 0.0 {
        return format!(
            "The second half of the {n_results} results improved nothing: more trials of this search \
             would likely bring little."
        );
    }
    let share = gain / total;
    let verdict = match share {
        share if share >= 0.05 => "more trials would likely still improve it.",
        _ => "more trials would likely bring small gains.",
    };
    format!(
        "The second half of the {n_results} results improved the best {}, by {} of the whole improvement: {verdict}",
        counted(n_records as u64, "time"),
        percent(share)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{moment, study, trial, with_subject, with_unit};
    use trialbox_core::StudyDirection;

    fn texts(trials: Vec<FrozenTrial>) -> Vec<(&'static str, String, bool)> {
        with_subject(&study("s", &[StudyDirection::Minimize]), trials, |subject| {
            answers(subject).into_iter().map(|it| (it.topic, it.text, it.is_warning)).collect()
        })
    }

    #[test]
    fn a_study_without_trials_has_answers_too() {
        let texts = texts(vec![]);
        assert_eq!(texts[0].1, "No trial has started yet.");
        assert_eq!(texts[1].1, "No trial is COMPLETE and feasible yet.");
        assert_eq!(texts[5].1, "Too early to tell: 0 results so far.");
    }

    #[test]
    fn the_answers_name_values_reasons_and_ends_of_ranges() {
        let mut trials: Vec<FrozenTrial> = (0..40)
            .map(|number| {
                let x = f64::from(number) / 39.0;
                with_unit(trial(number, &[1.0 - x]), "x", x)
            })
            .collect();
        for number in [3, 4] {
            let failure = [("code", Json::from("E-MEM")), ("message", "too much\nmemory".into())];
            trials[number].state = TrialState::Fail;
            trials[number].values.clear();
            trials[number].system_attrs.insert(FAILURE_ATTR.to_owned(), Json::object(failure));
        }
        let answers = texts(trials);
        let want = [
            (
                "progress",
                "40 trials: 38 COMPLETE, 2 FAIL. The last one finished 2 min 5 s ago. No trial is running.",
                false,
            ),
            (
                "best",
                "value 0 in trial 39: x = 1. It improved 37 times from 1 on, and 0 further trials finished since.",
                false,
            ),
            ("failures", "2 of 40 trials failed: 2 E-MEM (trial 3: too much\\nmemory).", false),
            ("importance", "x (100 %).", false),
            (
                "edges",
                "The best lies at the end of a range: `x` at the upper end of 0 to 1. \
                 A wider range may hold better trials.",
                true,
            ),
            (
                "outlook",
                "The second half of the 38 results improved the best 19 times, by 49 % of the whole improvement: \
                 more trials would likely still improve it.",
                false,
            ),
        ];
        for (answer, (topic, text, is_warning)) in answers.iter().zip(want) {
            assert_eq!((answer.0, answer.1.as_str(), answer.2), (topic, text, is_warning));
        }
    }

    #[test]
    fn clocks_that_disagree_give_no_negative_time() {
        assert_eq!(since(moment(100), moment(40)), Duration::ZERO);
    }
}
