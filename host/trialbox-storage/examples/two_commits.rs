//! The lower bound on the cost of a trial in a shared SQLite file: a process that takes a number in one transaction,
//! durably records a result in another, and does nothing else. `cargo xtask bench herd` measures trialbox against it.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use std::time::Duration;

const DISTRIBUTION: &str = r#"{"name": "FloatDistribution",
 "attributes": {"step": null, "low": -10.0, "high": 10.0, "log": false}}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database = std::env::args().nth(1).ok_or("usage: two_commits DATABASE")?;
    let mut connection = Connection::open(database)?;
    // SQLite's own waits have no jitter and soon last 100 ms: many processes lose more time waiting than writing.
    connection.busy_handler(Some(|_| {
        std::thread::sleep(Duration::from_millis(64).mul_f64(rand::random::<f64>()));
        true
    }))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let trial = begin(&mut connection)?;
    finish(&mut connection, trial)?;
    Ok(())
}

fn begin(connection: &mut Connection) -> rusqlite::Result<i64> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let newest: Option<i64> = tx
        .query_row(
            "SELECT number FROM trials WHERE study_id = 1 ORDER BY trial_id DESC LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()?;
    tx.execute(
        "INSERT INTO trials (number, study_id, state, datetime_start) VALUES (?1, 1, 'RUNNING', datetime('now'))",
        [newest.map_or(0, |newest| newest + 1)],
    )?;
    let trial = tx.last_insert_rowid();
    tx.commit()?;
    Ok(trial)
}

fn finish(connection: &mut Connection, trial: i64) -> rusqlite::Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (name, value) in [("x", 0.5), ("y", -0.5)] {
        tx.execute(
            "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?1, ?2, ?3, ?4)",
            params![trial, name, value, DISTRIBUTION],
        )?;
    }
    tx.execute(
        "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?1, 0, 1.0, 'FINITE')",
        [trial],
    )?;
    tx.execute(
        "UPDATE trials SET state = 'COMPLETE', datetime_complete = datetime('now') WHERE trial_id = ?1",
        [trial],
    )?;
    tx.commit()
}
