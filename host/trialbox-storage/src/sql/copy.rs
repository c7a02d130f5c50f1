//! A copy of a server's tables in a file of SQLite's, row by row and with their ids.

use crate::schema::OPTUNAS_TABLES;
use crate::sql::transaction::{Dialect, Transaction, TxError};
use rusqlite::Connection;
use rusqlite::types::{ToSql, Value};
use std::ops::ControlFlow;

/// The columns that hold words.
const WORDS: [&str; 4] = ["direction", "state", "value_type", "intermediate_value_type"];

/// Replaces the rows of Optuna's tables in a file by those of another database.
pub(crate) fn copy_tables(from: &dyn Transaction, to: &Connection) -> Result<(), TxError> {
    let written = to.unchecked_transaction()?;
    for table in OPTUNAS_TABLES {
        copy_table(from, to, table)?;
    }
    Ok(written.commit()?)
}

fn copy_table(from: &dyn Transaction, to: &dyn Transaction, table: &str) -> Result<(), TxError> {
    to.execute(&format!("DELETE FROM {table}"), &[])?;
    let names: Vec<String> =
        to.all("SELECT name FROM pragma_table_info(?1)", &[&table], |row| row.get(0))?;
    let read: Vec<String> = names.iter().map(|name| copied(from.dialect(), name)).collect();
    let written: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let places: Vec<String> = (1..=names.len()).map(|place| format!("?{place}")).collect();
    let select = format!("SELECT {} FROM {table} ORDER BY 1", read.join(", "));
    let insert =
        format!("INSERT INTO {table} ({}) VALUES ({})", written.join(", "), places.join(", "));
    from.each_row(&select, &[], &mut |row| {
        let mut cells = Vec::with_capacity(names.len());
        for index in 0..names.len() {
            cells.push(row.get::<Value>(index)?);
        }
        let cells: Vec<&dyn ToSql> = cells.iter().map(|cell| cell as &dyn ToSql).collect();
        to.write_one(&insert, &cells, "1 row of a copy")?;
        Ok(ControlFlow::Continue(()))
    })
}

/// Returns a column as a file has it.
fn copied(dialect: Dialect, name: &str) -> String {
    let column = format!("\"{name}\"");
    match (dialect, name) {
        // A server has the time of its own zone there, SQLite UTC.
        (Dialect::Postgres, "heartbeat") => {
            format!("{column} AT TIME ZONE current_setting('TimeZone') AT TIME ZONE 'UTC'")
        }
        _ if WORDS.contains(&name) => dialect.word(&column),
        _ => column,
    }
}
