//! The invariants I1 to I14 of a study that many processes have written, whatever became of them.
//!
//! | | |
//! |---|---|
//! | I1 | SQLite finds the file whole, and no row hangs on one that is not there |
//! | I2 | trials are numbered 0, 1, … in the order in which they were inserted |
//! | I3 | every trial that a process said it had ended is so in the database, its values to the bit |
//! | I4 | after a recovery no trial is RUNNING |
//! | I5 | a trial has at most one retry, no chain is longer than allowed, and `retry_history` tells it right |
//! | I6 | every trial that was lost has its retry, or had its tries |
//! | I7 | a COMPLETE trial has its one value, finite or infinite; FAIL, RUNNING and WAITING have none |
//! | I8 | every parameter is within its distribution, which is the same in all trials |
//! | I9 | intermediate values have legal types |
//! | I10 | no trial ends before it starts, ends without a time, or is RUNNING without a heartbeat |
//! | I11 | Optuna reads and continues the study: `interop_kill` asks it |
//! | I12 | every COMPLETE trial has the value of the same objective at its parameters |
//! | I13 | after a recovery no result waits in the spool |
//! | I14 | a process's exit code agrees with what it said and with what is recorded |

use crate::process::{DATABASE, Ended, STUDY};
use crate::scene::Scene;
use rusqlite::Connection;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A database to look at, and what is known of its past.
pub(crate) struct Inspection<'a> {
    pub(crate) database: PathBuf,
    /// The `trialbox run`s so far.
    pub(crate) ended: &'a [Ended],
    pub(crate) max_retries: usize,
    /// The value of the single objective at parameters.
    pub(crate) objective: fn(&BTreeMap<String, f64>) -> f64,
    /// Whether a process has reaped since the last one died, and all have ended.
    pub(crate) is_recovered: bool,
}

impl<'a> Inspection<'a> {
    /// Of a study of the example `quadratic` while processes may be lost.
    pub(crate) fn new(scene: &Scene, ended: &'a [Ended]) -> Self {
        Inspection {
            database: scene.path(DATABASE),
            ended,
            max_retries: 3,
            objective: |params| (params["x"] - 2.0).powi(2) + (params["y"] + 1.0).powi(2),
            is_recovered: false,
        }
    }

    pub(crate) fn recovered(self) -> Self {
        Inspection { is_recovered: true, ..self }
    }

    /// The states of all trials by number, after all invariants were found to hold.
    #[track_caller]
    pub(crate) fn assert_holds(&self) -> Vec<String> {
        let violations = self.violations();
        assert!(violations.is_empty(), "{}:\n{}", self.database.display(), violations.join("\n"));
        let trials = if self.database.exists() { Trial::read_all(&self.database) } else { vec![] };
        trials.into_iter().map(|trial| trial.state).collect()
    }

    /// What does not hold, each beginning with its invariant's name.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut found = self.file_violations();
        // A process may die before it has made the file.
        let trials = if self.database.exists() { Trial::read_all(&self.database) } else { vec![] };
        for trial in &trials {
            let rules = [Trial::values, Trial::params, Trial::intermediate_values, Trial::times];
            found.extend(rules.into_iter().flat_map(|rule| rule(trial)));
            found.extend(self.recovery_violations(trial));
            found.extend(self.objective_violations(trial));
        }
        found.extend(numbering_violations(&trials));
        found.extend(distribution_violations(&trials));
        found.extend(retry_violations(&trials, self.max_retries));
        for ended in self.ended {
            found.extend(acknowledgement_violations(ended, &trials));
            found.extend(exit_violations(ended));
        }
        found
    }

    fn file_violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.is_recovered {
            found.extend(self.spool_violations());
        }
        if !self.database.exists() {
            return found;
        }
        let connection = Connection::open(&self.database).unwrap();
        let check: String =
            connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        if check != "ok" {
            found.push(format!("I1: integrity_check says {check}"));
        }
        let orphans = rows(&connection, "PRAGMA foreign_key_check", |row| row.get::<_, String>(0));
        found.extend(orphans.iter().map(|table| format!("I1: an orphan in {table}")));
        found
    }

    /// A file that its writer did not live to give its name holds no result: its trial was tried again.
    fn spool_violations(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.database.with_extension("db.spool"));
        let paths = files.into_iter().flatten().map(|file| file.unwrap().path());
        let left = paths.filter(|path| path.extension().is_some_and(|found| found == "json"));
        left.map(|path| format!("I13: {} is left", path.display())).collect()
    }

    fn recovery_violations(&self, trial: &Trial) -> Option<String> {
        let is_left = self.is_recovered && trial.state == "RUNNING";
        is_left.then(|| format!("I4: trial {} is RUNNING", trial.number))
    }

    fn objective_violations(&self, trial: &Trial) -> Option<String> {
        let ("COMPLETE", [(_, Some(value), _)]) = (trial.state.as_str(), &trial.values[..]) else {
            return None;
        };
        let params: BTreeMap<String, f64> =
            trial.params.iter().map(|param| (param.name.clone(), param.internal)).collect();
        let wanted = (self.objective)(&params);
        (wanted.to_bits() != value.to_bits())
            .then(|| format!("I12: trial {} is {value}, not {wanted}", trial.number))
    }
}

/// A trial as its rows are.
struct Trial {
    number: i64,
    state: String,
    start: Option<String>,
    complete: Option<String>,
    values: Vec<(i64, Option<f64>, String)>,
    params: Vec<Param>,
    intermediate_values: Vec<(i64, Option<f64>, String)>,
    system_attrs: BTreeMap<String, Value>,
    has_heartbeat: bool,
}

struct Param {
    name: String,
    internal: f64,
    distribution: String,
}

impl Trial {
    /// All trials, in the order in which they were inserted.
    fn read_all(database: &Path) -> Vec<Trial> {
        let connection = Connection::open(database).unwrap();
        let sql = format!(
            "SELECT trial_id, number, state, datetime_start, datetime_complete,
               EXISTS (SELECT 1 FROM trial_heartbeats h WHERE h.trial_id = t.trial_id)
             FROM trials t JOIN studies s ON s.study_id = t.study_id
             WHERE study_name = '{STUDY}' ORDER BY trial_id"
        );
        let mut statement = connection.prepare(&sql).unwrap();
        let trials = statement.query_map([], |row| Trial::read(&connection, row)).unwrap();
        trials.collect::<Result<_, _>>().unwrap()
    }

    fn read(connection: &Connection, row: &rusqlite::Row) -> rusqlite::Result<Trial> {
        let id: i64 = row.get(0)?;
        let of_trial = |sql: &str| format!("{sql} WHERE trial_id = {id} ORDER BY 1");
        let value = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let attrs = of_trial("SELECT \"key\", value_json FROM trial_system_attributes");
        let attr = |row: &rusqlite::Row| Ok((row.get(0)?, row.get::<_, String>(1)?));
        let attrs = rows(connection, &attrs, attr).into_iter();
        Ok(Trial {
            number: row.get(1)?,
            state: row.get(2)?,
            start: row.get(3)?,
            complete: row.get(4)?,
            values: rows(
                connection,
                &of_trial("SELECT objective, value, value_type FROM trial_values"),
                value,
            ),
            params: rows(
                connection,
                &of_trial("SELECT param_name, param_value, distribution_json FROM trial_params"),
                |row| {
                    let (name, internal, distribution) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok(Param { name, internal, distribution })
                },
            ),
            intermediate_values: rows(
                connection,
                &of_trial(
                    "SELECT step, intermediate_value, intermediate_value_type FROM trial_intermediate_values",
                ),
                value,
            ),
            system_attrs: attrs
                .map(|(key, text): (String, String)| (key, serde_json::from_str(&text).unwrap()))
                .collect(),
            has_heartbeat: row.get(5)?,
        })
    }

    fn values(&self) -> Vec<String> {
        let legal = match self.state.as_str() {
            "COMPLETE" => self.values.len() == 1,
            "PRUNED" => self.values.len() <= 1,
            _ => self.values.is_empty(),
        };
        let is_value = |(objective, value, kind): &(i64, Option<f64>, String)| {
            *objective == 0 && kind != "NAN" && is_encoded(*value, kind)
        };
        let broken = !legal || !self.values.iter().all(is_value);
        let problem =
            || format!("I7: trial {} is {} with values {:?}", self.number, self.state, self.values);
        broken.then(problem).into_iter().collect()
    }

    fn params(&self) -> Vec<String> {
        let outside = self.params.iter().filter(|param| !param.is_within());
        let show = |param: &Param| {
            let Param { name, internal, distribution } = param;
            format!("I8: trial {} has {name} = {internal}, not of {distribution}", self.number)
        };
        outside.map(show).collect()
    }

    fn intermediate_values(&self) -> Vec<String> {
        let broken =
            self.intermediate_values.iter().filter(|(_, value, kind)| !is_encoded(*value, kind));
        broken.map(|value| format!("I9: trial {} reported {value:?}", self.number)).collect()
    }

    fn times(&self) -> Vec<String> {
        let legal = match (self.state.as_str(), &self.start, &self.complete) {
            ("WAITING", None, None) => true,
            ("RUNNING", Some(_), None) => self.has_heartbeat,
            // All are written alike, so the texts sort as the times do.
            ("COMPLETE" | "PRUNED" | "FAIL", Some(start), Some(complete)) => start <= complete,
            _ => false,
        };
        let problem = || {
            format!(
                "I10: trial {} is {} from {:?} to {:?}, with a heartbeat: {}",
                self.number, self.state, self.start, self.complete, self.has_heartbeat
            )
        };
        (!legal).then(problem).into_iter().collect()
    }

    /// The numbers of the lost trials that this one stands for.
    fn retry_history(&self) -> Vec<i64> {
        let history = self.system_attrs.get("retry_history").and_then(Value::as_array);
        history.into_iter().flatten().map(|number| number.as_i64().unwrap()).collect()
    }

    /// Whether its process was lost: our reapers say so, and Optuna's say nothing.
    fn was_lost(&self) -> bool {
        let failure = self.system_attrs.get("trialbox:failure");
        self.state == "FAIL" && failure.is_none_or(|failure| failure["code"] == "E-LOST")
    }
}

impl Param {
    fn is_within(&self) -> bool {
        let distribution: Value = serde_json::from_str(&self.distribution).unwrap();
        let attributes = &distribution["attributes"];
        if let Some(choices) = attributes["choices"].as_array() {
            return self.internal.fract() == 0.0
                && (0.0..choices.len() as f64).contains(&self.internal);
        }
        let bound = |name: &str| attributes[name].as_f64().unwrap();
        (bound("low")..=bound("high")).contains(&self.internal)
    }
}

fn is_encoded(value: Option<f64>, kind: &str) -> bool {
    matches!((value, kind), (Some(_), "FINITE") | (None, "INF_POS" | "INF_NEG" | "NAN"))
}

fn numbering_violations(trials: &[Trial]) -> Option<String> {
    let numbers: Vec<i64> = trials.iter().map(|trial| trial.number).collect();
    let wanted: Vec<i64> = (0i64..).take(numbers.len()).collect();
    (numbers != wanted).then(|| format!("I2: the numbers are {numbers:?}"))
}

fn distribution_violations(trials: &[Trial]) -> Vec<String> {
    let mut of_name: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for param in trials.iter().flat_map(|trial| &trial.params) {
        of_name.entry(&param.name).or_default().insert(&param.distribution);
    }
    let several = of_name.into_iter().filter(|(_, distributions)| distributions.len() > 1);
    several.map(|(name, found)| format!("I8: {name} has the distributions {found:?}")).collect()
}

fn retry_violations(trials: &[Trial], max_retries: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut retry_of: BTreeMap<i64, &Trial> = BTreeMap::new();
    for retry in trials {
        let Some(lost) = retry.retry_history().last().copied() else { continue };
        if let Some(other) = retry_of.insert(lost, retry) {
            let (one, two) = (other.number, retry.number);
            found.push(format!("I5: trials {one} and {two} are both retries of trial {lost}"));
        }
        let consistent = trials
            .iter()
            .find(|trial| trial.number == lost)
            .is_some_and(|lost| is_retry_of(retry, lost, max_retries));
        if !consistent {
            let (number, attrs) = (retry.number, &retry.system_attrs);
            found.push(format!("I5: trial {number} is no retry of trial {lost}: {attrs:?}"));
        }
    }
    for lost in trials.iter().filter(|trial| trial.was_lost()) {
        let had_its_tries = lost.retry_history().len() >= max_retries;
        if !had_its_tries && !retry_of.contains_key(&lost.number) {
            found.push(format!("I6: trial {} was lost and has no retry", lost.number));
        }
    }
    found
}

/// Whether a trial carries on where another was lost: its attributes, and the parameters it had.
fn is_retry_of(retry: &Trial, lost: &Trial, max_retries: usize) -> bool {
    let history = retry.retry_history();
    let first = history.first().map(|number| Value::from(*number));
    let kept = |param: &Param| {
        let same = retry.params.iter().find(|found| found.name == param.name);
        same.is_some_and(|same| same.internal.to_bits() == param.internal.to_bits())
    };
    history == [lost.retry_history(), vec![lost.number]].concat()
        && history.len() <= max_retries
        && retry.system_attrs.get("failed_trial") == first.as_ref()
        && lost.state == "FAIL"
        && lost.number < retry.number
        && lost.params.iter().all(kept)
}

fn acknowledgement_violations(ended: &Ended, trials: &[Trial]) -> Vec<String> {
    let is_recorded = |event: &&Value| {
        let trial = trials.iter().find(|trial| event["number"] == trial.number);
        trial.is_some_and(|trial| {
            let values: Vec<Value> =
                trial.values.iter().map(|(_, value, _)| value.unwrap().into()).collect();
            event["state"] == trial.state && event["values"] == Value::from(values)
        })
    };
    let broken = ended.events_of("trial").filter(|event| !is_recorded(event));
    broken.map(|event| format!("I3: acknowledged, but not recorded: {event}")).collect()
}

/// The codes of `exit_code.rs`; a signal may come at any time, also after the last word.
fn exit_violations(ended: &Ended) -> Option<String> {
    let states: BTreeSet<&str> =
        ended.events_of("trial").filter_map(|event| event["state"].as_str()).collect();
    let said = |event: &str| ended.events_of(event).next().is_some();
    let agrees = match ended.code {
        Some(0) => states.is_subset(&BTreeSet::from(["COMPLETE", "PRUNED"])),
        Some(1) => states.contains("FAIL") && !said("claim_lost"),
        Some(3) => said("error"),
        Some(6) => said("claim_lost"),
        Some(_) => false,
        None => ended.was_killed(),
    };
    let problem = || {
        let Ended { code, signal, events, stderr } = ended;
        format!("I14: code {code:?}, signal {signal:?}, said {events:?}, {stderr}")
    };
    (!agrees).then(problem)
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    read: impl FnMut(&rusqlite::Row) -> rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap()
}

/// A checker that finds nothing proves nothing.
#[test]
fn each_invariant_is_reported_when_it_is_broken() {
    let scene = Scene::new("invariants");
    let mut ended = vec![scene.quadratic("begin.after_commit=kill"), scene.quadratic("")];
    let inspection = Inspection::new(&scene, &ended).recovered();
    assert_eq!(inspection.assert_holds(), ["FAIL", "COMPLETE"]);

    let insert = "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES";
    for (invariant, damage) in [
        ("I1", format!("{insert} (99, 0, 1.0, 'FINITE')")),
        ("I2", "UPDATE trials SET number = 7 WHERE number = 1".to_owned()),
        ("I3", "UPDATE trial_values SET value = value + 1e-9".to_owned()),
        ("I4", "UPDATE trials SET state = 'RUNNING' WHERE number = 1".to_owned()),
        (
            "I5",
            "INSERT INTO trials (number, study_id, state) VALUES (2, 1, 'WAITING');
             INSERT INTO trial_system_attributes (trial_id, \"key\", value_json)
             SELECT 3, \"key\", value_json FROM trial_system_attributes WHERE trial_id = 2"
                .to_owned(),
        ),
        ("I5", "UPDATE trial_system_attributes SET value_json = '7' WHERE \"key\" = 'failed_trial'".to_owned()),
        ("I6", "DELETE FROM trial_system_attributes WHERE \"key\" = 'retry_history'".to_owned()),
        ("I7", "DELETE FROM trial_values".to_owned()),
        ("I7", format!("{insert} (1, 0, 1.0, 'FINITE')")),
        ("I8", "UPDATE trial_params SET param_value = 10.5 WHERE param_name = 'x'".to_owned()),
        (
            "I9",
            "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
             VALUES (2, 0, NULL, 'FINITE')"
                .to_owned(),
        ),
        ("I10", "UPDATE trials SET datetime_complete = '2000-01-01 00:00:00.000000'".to_owned()),
        ("I12", "UPDATE trial_params SET param_value = 0.5 WHERE param_name = 'x'".to_owned()),
    ] {
        let database = scene.path("damaged.db");
        std::fs::copy(scene.path(DATABASE), &database).unwrap();
        let connection = Connection::open(&database).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF; DROP TRIGGER trialbox_guard_state").unwrap();
        connection.execute_batch(&damage).unwrap();
        drop(connection);
        let violations = Inspection { database, ..Inspection::new(&scene, &ended).recovered() }.violations();
        let prefix = format!("{invariant}:");
        assert!(violations.iter().any(|found| found.starts_with(&prefix)), "{damage}: {violations:?}");
    }

    std::fs::create_dir(scene.path("study.db.spool")).unwrap();
    std::fs::write(scene.path("study.db.spool/0-a.json"), "").unwrap();
    ended[1].code = Some(1);
    let violations = Inspection::new(&scene, &ended).recovered().violations();
    let named: Vec<&str> = violations.iter().filter_map(|text| text.split(':').next()).collect();
    assert_eq!(named, ["I13", "I14"], "{violations:?}");
}
