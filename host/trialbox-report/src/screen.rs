//! A study as one screen of a terminal, for a view that is drawn again and again.
//!
//! The screen is a value: lines of text in styles, exactly as many and as wide as the terminal has.

use crate::answers::{outstanding, reason};
use crate::figures::improvements;
use crate::label::label;
use crate::number::{duration, short};
use crate::subject::Subject;
use std::collections::BTreeMap;
use std::time::Duration;
use trialbox_core::value::text::{clean, one_line, shorten};
use trialbox_core::{FrozenTrial, TrialState};

/// The style of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As the terminal shows text.
    Plain,
    /// A heading.
    Heading,
    /// A good value.
    Good,
    /// A failure.
    Bad,
    /// Text that need not be read.
    Soft,
    /// The line that the user chose.
    Chosen,
}

/// A line of a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The text, at most as wide as the screen.
    pub text: String,
    /// Its style.
    pub style: Style,
}

/// The order of the list of trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The latest first.
    #[default]
    Latest,
    /// The best first.
    Best,
    /// The longest first.
    Longest,
}

impl Order {
    /// Returns the next order, in a circle.
    pub fn next(self) -> Self {
        match self {
            Order::Latest => Order::Best,
            Order::Best => Order::Longest,
            Order::Longest => Order::Latest,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Order::Latest => "latest first",
            Order::Best => "best first",
            Order::Longest => "longest first",
        }
    }
}

/// The part of a study that the user looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Looked {
    /// The order of the trials.
    pub order: Order,
    /// The state of the trials that are listed; all if none.
    pub state: Option<TrialState>,
    /// The index of the chosen trial in the list.
    pub chosen: usize,
    /// True if the chosen trial is shown in place of the list.
    pub is_open: bool,
}

/// The least size of a screen.
const LEAST: (usize, usize) = (40, 10);

/// Returns a screen of exactly `height` lines of at most `width` columns.
pub fn screen(subject: &Subject, looked: &Looked, width: usize, height: usize) -> Vec<Line> {
    if width < LEAST.0 || height < LEAST.1 {
        let text = format!("expected a terminal of {} x {} at least", LEAST.0, LEAST.1);
        return fit(vec![plain(text)], width, height);
    }
    let mut lines = head(subject, width);
    let listed = listed(subject, looked);
    let chosen = looked.chosen.min(listed.len().saturating_sub(1));
    match listed.get(chosen) {
        Some(trial) if looked.is_open => lines.extend(record(subject, trial)),
        _ => {
            let room = height.saturating_sub(lines.len() + 2);
            lines.extend(table(subject, looked, &listed, chosen, room));
        }
    }
    lines.truncate(height - 1);
    lines.resize(height - 1, plain(""));
    let keys = match looked.is_open {
        true => "Esc back  q quit",
        false => "↑↓ choose  Enter open  s sort  f filter  q quit",
    };
    lines.push(Line { text: keys.to_owned(), style: Style::Soft });
    fit(lines, width, height)
}

/// Returns the number of trials that are listed, for the choice of one.
pub fn n_listed(subject: &Subject, looked: &Looked) -> usize {
    listed(subject, looked).len()
}

fn plain(text: impl Into<String>) -> Line {
    Line { text: text.into(), style: Style::Plain }
}

fn fit(mut lines: Vec<Line>, width: usize, height: usize) -> Vec<Line> {
    lines.truncate(height);
    for line in &mut lines {
        // A character may take two columns, and a name of such is cut early rather than wrapped.
        let text = one_line(&line.text);
        let mut room = width;
        line.text = text
            .chars()
            .take_while(|c| {
                let columns = if *c as u32 >= 0x1100 && !('\u{2000}'..'\u{2e80}').contains(c) {
                    2
                } else {
                    1
                };
                let is_fitting = room >= columns;
                room = room.saturating_sub(columns);
                is_fitting
            })
            .collect();
    }
    lines
}

fn head(subject: &Subject, width: usize) -> Vec<Line> {
    let name = label(&subject.study().name);
    let time = subject.local(subject.now()).strftime("%H:%M:%S").to_string();
    let gap = width.saturating_sub(name.chars().count() + time.len());
    let heading = Line { text: format!("{name}{:gap$}{time}", ""), style: Style::Heading };
    let mut lines = vec![heading, plain(progress(subject, width)), plain(outstanding(subject).0)];
    lines.extend(best(subject, width));
    lines.extend(failures(subject));
    lines.push(plain(""));
    lines
}

/// Returns the counts by state, after a bar where the study has a budget.
fn progress(subject: &Subject, width: usize) -> String {
    let counts = TrialState::ALL.map(|state| (state, subject.in_state(state)));
    let listed = counts.iter().filter(|(_, n)| *n > 0).map(|(state, n)| format!("{n} {state}"));
    let listed = listed.collect::<Vec<_>>().join("  ");
    let Some(max_trials) = subject.ordered().max_trials.filter(|max| *max > 0) else {
        return if listed.is_empty() { "no trial has started yet".to_owned() } else { listed };
    };
    let n_done = subject.in_state(TrialState::Complete) + subject.in_state(TrialState::Pruned);
    let room = (width / 4).clamp(10, 40);
    let n_full = (n_done * room / max_trials as usize).min(room);
    format!(
        "{}{} {n_done} of {max_trials}  {listed}",
        "█".repeat(n_full),
        "░".repeat(room - n_full)
    )
}

fn best(subject: &Subject, width: usize) -> Vec<Line> {
    let names = subject.objective_labels();
    if !subject.is_single() {
        let text = format!("front   {} trials of {}", subject.front().len(), names.join(", "));
        return vec![Line { text, style: Style::Good }];
    }
    let improvements = improvements(subject, 0);
    let Some((number, value)) = improvements.last() else {
        return vec![plain("best    no trial is COMPLETE and feasible yet")];
    };
    let text = format!("best    {} {} in trial {number}", names[0], short(*value));
    let room = width.saturating_sub(text.chars().count() + 3).min(60);
    let text = format!("{text}   {}", sparkline(subject, &improvements, room));
    vec![Line { text, style: Style::Good }]
}

/// Returns the best so far as a line of blocks, from the first trial to the last.
fn sparkline(subject: &Subject, improvements: &[(u32, f64)], n_columns: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let last = subject.trials().last().map_or(0, |trial| trial.number.0);
    let finite = improvements.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let mut line = String::new();
    for column in 0..n_columns {
        let until = f64::from(last) * (column + 1) as f64 / n_columns as f64;
        let found = improvements.iter().rev().find(|(number, _)| f64::from(*number) <= until);
        line.push(match found {
            None => ' ',
            Some((_, value)) => {
                let place = (value - low) / (high - low);
                let place = if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.5 };
                BLOCKS[(place * 7.0).round() as usize]
            }
        });
    }
    line
}

fn failures(subject: &Subject) -> Vec<Line> {
    let mut by_code: BTreeMap<String, u64> = BTreeMap::new();
    for trial in subject.history().in_state(TrialState::Fail) {
        *by_code.entry(reason(trial).0).or_default() += 1;
    }
    if by_code.is_empty() {
        return vec![];
    }
    let listed = by_code.iter().map(|(code, n)| format!("{n} {code}")).collect::<Vec<_>>();
    vec![Line { text: format!("failed  {}", listed.join("  ")), style: Style::Bad }]
}

/// Returns the trials that are listed, in their order.
fn listed<'a>(subject: &'a Subject, looked: &Looked) -> Vec<&'a FrozenTrial> {
    let is_listed = |trial: &&FrozenTrial| looked.state.is_none_or(|state| trial.state == state);
    let mut listed: Vec<&FrozenTrial> = subject.trials().iter().rev().filter(is_listed).collect();
    let direction = subject.directions()[0];
    let loss = |trial: &FrozenTrial| {
        let value = trial.values.first().filter(|_| trial.state == TrialState::Complete);
        value.map_or(f64::INFINITY, |value| direction.to_minimize(*value))
    };
    match looked.order {
        // Running trials are what a watcher looks for.
        Order::Latest => listed.sort_by_key(|trial| trial.state != TrialState::Running),
        Order::Best => listed.sort_by(|a, b| loss(a).total_cmp(&loss(b))),
        Order::Longest => listed.sort_by_key(|trial| std::cmp::Reverse(elapsed(subject, trial))),
    }
    listed
}

/// Returns the time that a trial took, or has taken so far.
fn elapsed(subject: &Subject, trial: &FrozenTrial) -> Option<Duration> {
    match trial.state {
        TrialState::Running => subject.now().duration_since(trial.datetime_start?).try_into().ok(),
        _ => trial.duration(),
    }
}

fn table(
    subject: &Subject,
    looked: &Looked,
    listed: &[&FrozenTrial],
    chosen: usize,
    room: usize,
) -> Vec<Line> {
    let state = looked.state.map_or("all".to_owned(), |state| state.to_string());
    let heading =
        format!("trial   state     value        took         {state}, {}", looked.order.as_str());
    let mut lines = vec![Line { text: heading, style: Style::Heading }];
    // The chosen trial stays in sight.
    let first = (chosen + 1).saturating_sub(room);
    for (index, trial) in listed.iter().enumerate().skip(first).take(room) {
        let style = match trial.state {
            _ if index == chosen => Style::Chosen,
            TrialState::Fail => Style::Bad,
            _ if subject.is_best(trial) => Style::Good,
            _ => Style::Plain,
        };
        lines.push(Line { text: row(subject, trial), style });
    }
    lines
}

fn row(subject: &Subject, trial: &FrozenTrial) -> String {
    let value = match (trial.values.first(), trial.intermediate_values.last_key_value()) {
        (Some(value), _) => short(*value),
        (None, Some((_, value))) => format!("({})", short(*value)),
        (None, None) => String::new(),
    };
    let took = elapsed(subject, trial).map(duration).unwrap_or_default();
    let rest = match (trial.state, trial.intermediate_values.last_key_value()) {
        (TrialState::Fail, _) => {
            let (code, message) = reason(trial);
            format!("{code}: {message}")
        }
        (TrialState::Running, Some((step, _))) => format!("step {step}  {}", params(trial)),
        _ => params(trial),
    };
    format!("{:<7} {:<9} {value:<12} {took:<12} {rest}", trial.number, trial.state)
}

fn params(trial: &FrozenTrial) -> String {
    let shown = trial.params.iter().map(|(name, param)| {
        let value = match param.external() {
            trialbox_core::Json::Float(value) => short(value),
            trialbox_core::Json::String(text) => shorten(&text, 24),
            other => shorten(&other.to_string(), 24),
        };
        format!("{}={value}", label(name))
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn record(subject: &Subject, trial: &FrozenTrial) -> Vec<Line> {
    let heading = format!("trial {}: {}", trial.number, trial.state);
    let mut lines = vec![Line { text: heading, style: Style::Heading }];
    for (name, value) in subject.objective_labels().iter().zip(&trial.values) {
        lines.push(Line { text: format!("  {name} = {}", short(*value)), style: Style::Good });
    }
    if trial.state == TrialState::Fail {
        let (code, message) = reason(trial);
        lines.push(Line { text: format!("  {code}: {message}"), style: Style::Bad });
    }
    if let Some(elapsed) = elapsed(subject, trial) {
        lines.push(plain(format!("  took {}", duration(elapsed))));
    }
    for (name, param) in &trial.params {
        let value = shorten(&clean(&param.external().to_string()), 60);
        lines.push(plain(format!("  {} = {value}", label(name))));
    }
    if let Some((step, value)) = trial.intermediate_values.last_key_value() {
        lines.push(plain(format!("  last report: {} at step {step}", short(*value))));
    }
    for (key, value) in &trial.user_attrs {
        lines.push(plain(format!("  {}: {}", label(key), shorten(&value.to_string(), 60))));
    }
    let command = format!("{} {}", subject.ordered().show_trial, trial.number);
    lines.push(Line { text: format!("  all of it: {command}"), style: Style::Soft });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{moment, study, trial, with_subject, with_unit};
    use trialbox_core::{Json, StudyDirection};

    fn trials() -> Vec<FrozenTrial> {
        let mut trials: Vec<FrozenTrial> = (0..30)
            .map(|number| {
                let x = f64::from(number * 7 % 30) / 29.0;
                with_unit(trial(number, &[(x - 0.4).powi(2)]), "x", x)
            })
            .collect();
        trials[5].state = TrialState::Fail;
        trials[5].values.clear();
        let failure = [("code", Json::from("E-MEM")), ("message", "too much memory".into())];
        trials[5].system_attrs.insert("trialbox:failure".to_owned(), Json::object(failure));
        trials[29].state = TrialState::Running;
        trials[29].values.clear();
        trials[29].datetime_complete = None;
        trials[29].datetime_start = Some(moment(60 * 29));
        trials[29].intermediate_values.insert(3, 0.125);
        trials
    }

    fn text(looked: &Looked, width: usize, height: usize) -> String {
        with_subject(&study("digits", &[StudyDirection::Minimize]), trials(), |subject| {
            let lines = screen(subject, looked, width, height);
            assert_eq!(lines.len(), height);
            let lines = lines.iter().map(|line| line.text.trim_end());
            lines.map(|line| format!("{line}\n")).collect()
        })
    }

    /// Compares a screen with the one in the repository, or writes it.
    fn check(file: &str, found: &str) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests").join(file);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, found).expect("the file can be written");
        }
        let want = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == want, "{file} differs; UPDATE_DOCS=1 writes it:\n{found}");
    }

    #[test]
    fn screens_are_as_kept() {
        let open = Looked { is_open: true, ..Looked::default() };
        for (file, looked, width, height) in [
            ("screen-80x24.txt", Looked::default(), 80, 24),
            ("screen-200x60.txt", Looked::default(), 200, 60),
            ("screen-open.txt", open, 80, 24),
        ] {
            check(file, &text(&looked, width, height));
        }
    }

    #[test]
    fn every_size_gives_a_screen_of_that_size() {
        for (width, height) in [(1, 1), (40, 10), (41, 11), (80, 24), (300, 100)] {
            for order in [Order::Latest, Order::Best, Order::Longest] {
                let looked = Looked { order, chosen: 1000, ..Looked::default() };
                let text = text(&looked, width, height);
                assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            }
        }
    }
}
