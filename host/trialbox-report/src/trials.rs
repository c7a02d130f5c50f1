//! The table of trials, and the records that its rows open.

use crate::answers::reason;
use crate::kind::{Kind, kind_of};
use crate::markup::Markup;
use crate::number::{duration, short};
use crate::params::Parameter;
use crate::subject::{Subject, is_own};
use std::collections::BTreeSet;
use trialbox_core::study::failure::FAILURE_ATTR;
use trialbox_core::study::provenance::PROVENANCE_ATTR;
use trialbox_core::study::trial::format_datetime;
use trialbox_core::study::usage::USAGE_ATTR;
use trialbox_core::value::text::{counted, one_line, shorten};
use trialbox_core::{FrozenTrial, Json, TrialState};

/// The number of trials that the table lists.
const MAX_ROWS: usize = 1000;

/// The number of parameters that have a column.
const MAX_COLUMNS: usize = 8;

/// The bytes of the rows, beyond which fewer trials are listed.
const MAX_TABLE_BYTES: usize = 58_000;

/// The bytes of the rows and the records together. Trials without a record are left to the command that shows one.
const MAX_BYTES: usize = 76_000;

/// The longest text in a cell and in a record, in characters.
const MAX_CELL_CHARS: usize = 40;
const MAX_TEXT_CHARS: usize = 300;

/// Adds the section with the table and the records.
pub(crate) fn section(html: &mut Markup, subject: &Subject) {
    let parameters: Vec<&Parameter> =
        subject.by_importance().into_iter().take(MAX_COLUMNS).collect();
    let (listed, rows) = rows(subject, &parameters);
    html.raw("<section id=\"trials\" aria-labelledby=\"h-trials\"><h2 id=\"h-trials\">Trials</h2>");
    html.raw("<p>");
    html.text(&match listed.len() == subject.trials().len() {
        true => format!("All {}.", counted(listed.len() as u64, "trial")),
        false => format!(
            "{} of {}: the best, those that failed last, and the latest.",
            listed.len(),
            counted(subject.trials().len() as u64, "trial")
        ),
    });
    html.raw(" <label class=\"script\">Filter <input id=\"filter\" type=\"search\"></label>");
    html.raw(" <span id=\"shown\" role=\"status\"></span></p>");
    html.raw(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of trials\">",
    );
    html.raw("<table id=\"table\">");
    header(html, subject, &parameters);
    html.raw("<tbody>");
    html.append(&rows);
    html.raw("</tbody></table></div>");
    records(html, subject, &listed, MAX_BYTES.saturating_sub(rows.len()));
    html.raw("</section>");
}

/// Returns the indices of the trials that are listed, and their rows: all, or as many as the page has room for.
fn rows(subject: &Subject, parameters: &[&Parameter]) -> (Vec<usize>, Markup) {
    let mut n_rows = MAX_ROWS;
    loop {
        let listed = listed(subject, n_rows);
        let mut rows = Markup::default();
        listed.iter().for_each(|index| row(&mut rows, subject, *index, parameters));
        if rows.len() <= MAX_TABLE_BYTES || listed.len() < 2 {
            return (listed, rows);
        }
        n_rows = listed.len() * MAX_TABLE_BYTES / (rows.len() + MAX_TABLE_BYTES / 50);
    }
}

/// Returns the indices of at most `n_rows` trials: half of them the best, a tenth the last that failed, and the latest.
fn listed(subject: &Subject, n_rows: usize) -> Vec<usize> {
    let trials = subject.trials();
    if trials.len() <= n_rows {
        return (0..trials.len()).collect();
    }
    let mut chosen: BTreeSet<usize> = BTreeSet::new();
    let by_number = |number: &u32| trials.binary_search_by_key(number, |trial| trial.number.0).ok();
    chosen.extend(subject.front().iter().take(n_rows / 4).filter_map(by_number));
    let direction = subject.directions()[0];
    let mut best: Vec<usize> = (0..trials.len())
        .filter(|index| kind_of(&trials[*index]) == Kind::Complete)
        .filter(|index| !trials[*index].values.is_empty())
        .collect();
    let loss = |index: &usize| direction.to_minimize(trials[*index].values[0]);
    best.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
    chosen.extend(best.into_iter().take(n_rows / 2));
    let failed = (0..trials.len()).rev().filter(|index| trials[*index].state == TrialState::Fail);
    chosen.extend(failed.take(n_rows / 10));
    for index in (0..trials.len()).rev() {
        if chosen.len() >= n_rows {
            break;
        }
        chosen.insert(index);
    }
    chosen.into_iter().collect()
}

fn header(html: &mut Markup, subject: &Subject, parameters: &[&Parameter]) {
    html.raw(
        "<caption class=\"hidden\">Trials with their values and parameters</caption><thead><tr>",
    );
    let mut names = vec!["trial".to_owned(), "state".to_owned()];
    names.extend(subject.objective_labels());
    names.push("took".to_owned());
    names.extend(parameters.iter().map(|parameter| parameter.label()));
    names.push("why it failed".to_owned());
    for name in names {
        html.raw("<th scope=\"col\"><button type=\"button\">");
        html.text(&shorten(&one_line(&name), MAX_CELL_CHARS));
        html.raw("</button></th>");
    }
    html.raw("</tr></thead>");
}

/// Adds a row. End tags of rows and cells may be left out in HTML, and a thousand rows have many.
fn row(html: &mut Markup, subject: &Subject, index: usize, parameters: &[&Parameter]) {
    let trial = &subject.trials()[index];
    let id = format!("t{}", trial.number);
    let class = if subject.is_best(trial) { "is-best" } else { "" };
    match class.is_empty() {
        true => html.open("tr", &[("id", (&id).into())]),
        false => html.open("tr", &[("id", (&id).into()), ("class", class.into())]),
    }
    html.raw("<td>");
    html.text(&trial.number.to_string());
    html.raw("<td>");
    html.text(state_word(trial));
    for objective in 0..subject.directions().len() {
        html.raw("<td>");
        html.text(&trial.values.get(objective).map(|value| short(*value)).unwrap_or_default());
    }
    html.raw("<td>");
    html.text(&trial.duration().map(duration).unwrap_or_default());
    for parameter in parameters {
        html.raw("<td>");
        let shown = parameter.value(index).map(|value| parameter.show(value));
        html.text(&shorten(&one_line(&shown.unwrap_or_default()), MAX_CELL_CHARS));
    }
    html.raw("<td>");
    if trial.state == TrialState::Fail {
        let (code, message) = reason(trial);
        html.text(&shorten(&format!("{code}: {message}"), 90));
    }
    html.raw("\n");
}

fn state_word(trial: &FrozenTrial) -> &'static str {
    match kind_of(trial) {
        Kind::Infeasible => "INFEASIBLE",
        _ => trial.state.as_str(),
    }
}

/// Adds the records of the trials that people open first, up to a number of bytes: the best, the failed,
/// the latest.
fn records(html: &mut Markup, subject: &Subject, listed: &[usize], max_bytes: usize) {
    let mut order: Vec<usize> = listed.to_vec();
    order.sort_by_key(|index| {
        let trial = &subject.trials()[*index];
        let rank = match (subject.is_best(trial), trial.state) {
            (true, _) => 0,
            (_, TrialState::Fail | TrialState::Running) => 1,
            _ => 2,
        };
        (rank, std::cmp::Reverse(trial.number))
    });
    html.raw("<script type=\"application/json\" id=\"records\">{\"\":");
    html.json(&Json::from(subject.ordered().show_trial.as_str()));
    let start = html.len();
    for index in order {
        let trial = &subject.trials()[index];
        let mut record = Markup::default();
        record.raw(",");
        let number = Json::from(trial.number.to_string().as_str());
        record.json(&number);
        record.raw(":");
        record.json(&record_of(subject, trial));
        if html.len() - start + record.len() > max_bytes {
            break;
        }
        html.append(&record);
    }
    html.raw("}</script>");
}

/// Returns a trial as a list of headings and texts.
fn record_of(subject: &Subject, trial: &FrozenTrial) -> Json {
    let mut lines: Vec<(String, String)> = Vec::new();
    for (label, at) in [("started", trial.datetime_start), ("finished", trial.datetime_complete)] {
        let at = at.map(|at| format_datetime(subject.local(at)));
        lines.extend(at.map(|at| (label.to_owned(), at.chars().take(19).collect())));
    }
    for (name, param) in &trial.params {
        let shown = match param.external() {
            Json::String(text) => text,
            other => other.to_string(),
        };
        lines.push((name.clone(), shown));
    }
    for (name, value) in trial.constraints_shown() {
        lines.push((format!("constraint {name}"), short(value)));
    }
    for (key, value) in &trial.user_attrs {
        lines.push((format!("attribute {key}"), value.to_string()));
    }
    for (key, value) in &trial.system_attrs {
        match (key.as_str(), value) {
            (FAILURE_ATTR, failure) => lines.extend(failure_lines(failure)),
            (USAGE_ATTR, Json::Object(members)) => {
                lines.extend(
                    members.iter().map(|(key, value)| (format!("used {key}"), value.to_string())),
                );
            }
            (PROVENANCE_ATTR, provenance) => {
                let members = ["module", "git", "trialbox"].into_iter();
                lines
                    .extend(members.filter_map(|key| {
                        Some((key.to_owned(), provenance.get(key)?.to_string()))
                    }));
            }
            (key, value) if !is_own(key) => lines.push((key.to_owned(), value.to_string())),
            _ => {}
        }
    }
    let pair = |(label, text): (String, String)| {
        let label = shorten(&one_line(&label), MAX_CELL_CHARS * 2);
        Json::Array(vec![label.into(), shorten(&text, MAX_TEXT_CHARS).into()])
    };
    Json::Array(lines.into_iter().map(pair).collect())
}

fn failure_lines(failure: &Json) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for key in ["code", "message"] {
        if let Some(text) = failure.get(key).and_then(Json::as_str) {
            lines.push((key.to_owned(), text.to_owned()));
        }
    }
    for key in ["backtrace", "log"] {
        if let Some(Json::Array(texts)) = failure.get(key) {
            let texts: Vec<&str> = texts.iter().filter_map(Json::as_str).collect();
            lines.push((key.to_owned(), texts.join("\n")));
        }
    }
    lines
}
