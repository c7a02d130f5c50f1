//! Checks the tables, their revision, and the integrity of the file.

use super::{Findings, Fix, Options, Place, kinds};
use crate::foreign::{self, ForeignKind, ForeignObject, GUARD};
use crate::schema::{OLDER_REVISIONS, REVISION, is_mlflows};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::BTreeSet;
use trialbox_core::value::text::counted;

/// The tables and columns of revision v3.2.0.a.
const TABLES: [(&str, &[&str]); 13] = [
    ("studies", &["study_id", "study_name"]),
    ("study_directions", &["study_direction_id", "direction", "study_id", "objective"]),
    ("study_user_attributes", &["study_user_attribute_id", "study_id", "key", "value_json"]),
    ("study_system_attributes", &["study_system_attribute_id", "study_id", "key", "value_json"]),
    ("trials", &["trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"]),
    ("trial_user_attributes", &["trial_user_attribute_id", "trial_id", "key", "value_json"]),
    ("trial_system_attributes", &["trial_system_attribute_id", "trial_id", "key", "value_json"]),
    ("trial_params", &["param_id", "trial_id", "param_name", "param_value", "distribution_json"]),
    ("trial_values", &["trial_value_id", "trial_id", "objective", "value", "value_type"]),
    (
        "trial_intermediate_values",
        &[
            "trial_intermediate_value_id",
            "trial_id",
            "step",
            "intermediate_value",
            "intermediate_value_type",
        ],
    ),
    ("trial_heartbeats", &["trial_heartbeat_id", "trial_id", "heartbeat"]),
    ("version_info", &["version_info_id", "schema_version", "library_version"]),
    ("alembic_version", &["version_num"]),
];

/// The largest number of SQLite's complaints that are listed: one damaged page can cause thousands.
const MAX_COMPLAINTS: usize = 20;

/// Checks the file and its tables. Returns whether the rows can be checked.
pub(super) fn check(findings: &mut Findings, connection: &Connection, options: &Options) -> bool {
    let tables = match tables(connection) {
        Ok(tables) => tables,
        Err(error) => {
            findings.sqlite(&error);
            return false;
        }
    };
    if tables.is_empty() {
        findings.add(
            &kinds::ZERO_LENGTH,
            Place::default(),
            "expected the tables of Optuna, found none",
        );
        return false;
    }
    // Optuna creates other missing tables, but without these two the database is likely that of another program.
    if !tables.contains("studies") || !tables.contains("trials") {
        let names: Vec<&str> = tables.iter().take(5).map(String::as_str).collect();
        let found = format!("expected the tables of Optuna, found {}", names.join(", "));
        findings.add(&kinds::FOREIGN_SCHEMA, Place::default(), found);
        return false;
    }
    match check_foreign(findings, connection) {
        Ok(true) => {}
        // The integrity check computes expressions too.
        Ok(false) => return false,
        Err(error) => findings.sqlite(&error),
    }
    // Each check runs after a failed one too: a damaged page may hide one table only.
    for check in [check_integrity, check_versions, check_columns, check_orphans] {
        if let Err(error) = check(findings, connection, &tables) {
            findings.sqlite(&error);
        }
    }
    check_guard(findings, connection, options);
    true
}

/// Adds a finding for each foreign object, except for the guard, which has its own check. Returns whether rows can be
/// read without running one.
fn check_foreign(findings: &mut Findings, connection: &Connection) -> rusqlite::Result<bool> {
    let objects = foreign::find(connection)?;
    for object in &objects {
        let kind = match object.kind {
            ForeignKind::Guard => continue,
            ForeignKind::Trigger => &kinds::TRIGGER_UNKNOWN,
            ForeignKind::View => &kinds::VIEW_UNKNOWN,
            ForeignKind::Index | ForeignKind::Table | ForeignKind::Constraint => {
                &kinds::TABLE_ALTERED
            }
        };
        let mut found = format!("found {object}");
        if let Some(sql) = object.removal() {
            found.push_str(&format!("; `{sql}` removes it"));
        }
        findings.add(kind, Place { key: Some(object.name.clone()), ..Place::default() }, found);
    }
    Ok(objects.iter().all(ForeignObject::spares_readers))
}

/// Returns whether the database has a trigger of the guard's name.
pub(super) fn has_guard(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = ?1";
    Ok(connection.query_row(sql, [GUARD], |_| Ok(())).optional()?.is_some())
}

fn tables(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

fn check_integrity(
    findings: &mut Findings,
    connection: &Connection,
    _tables: &BTreeSet<String>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({MAX_COMPLAINTS})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let complaint: String = row.get(0)?;
        if complaint != "ok" {
            findings.add(&kinds::INTEGRITY, Place::default(), complaint);
        }
    }
    Ok(())
}

fn check_orphans(
    findings: &mut Findings,
    connection: &Connection,
    _tables: &BTreeSet<String>,
) -> rusqlite::Result<()> {
    let sql = "SELECT \"table\", parent, count(*), min(rowid)
        FROM pragma_foreign_key_check GROUP BY 1, 2";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(1)?);
        let (n_rows, first): (u32, Option<i64>) = (row.get(2)?, row.get(3)?);
        let mut found = format!("{} without a parent in `{parent}`", counted(n_rows.into(), "row"));
        // A table without row ids has none to show.
        if let Some(first) = first {
            found.push_str(&format!(", the first with id {first}"));
        }
        findings.add(&kinds::ORPHAN_ROWS, Place { key: Some(table), ..Place::default() }, found);
    }
    check_parentless(findings, connection)
}

/// Finds rows whose foreign key is NULL, which SQLite does not count as a violation.
fn check_parentless(findings: &mut Findings, connection: &Connection) -> rusqlite::Result<()> {
    for (table, columns) in TABLES {
        // The first column is the table's own key.
        let parent = ["trial_id", "study_id"].into_iter().find(|id| columns[1..].contains(id));
        let Some(parent) = parent else { continue };
        let sql = format!("SELECT count(*) FROM {table} WHERE {parent} IS NULL");
        let n_rows: u32 = connection.query_row(&sql, [], |row| row.get(0))?;
        if n_rows > 0 {
            let place = Place { key: Some(table.to_owned()), ..Place::default() };
            let found = format!("{} with NULL as `{parent}`", counted(n_rows.into(), "row"));
            findings.add(&kinds::ORPHAN_ROWS, place, found);
        }
    }
    Ok(())
}

fn check_versions(
    findings: &mut Findings,
    connection: &Connection,
    tables: &BTreeSet<String>,
) -> rusqlite::Result<()> {
    let mut schema_version = None;
    if tables.contains("version_info") {
        let sql = "SELECT schema_version FROM version_info";
        schema_version =
            connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).optional()?;
        if schema_version.is_none() {
            let found = "expected a row in `version_info`, found none";
            findings.add(&kinds::VERSION_INFO_MISSING, Place::default(), found);
        }
    }
    let mut revisions: Vec<String> = Vec::new();
    if tables.contains("alembic_version") {
        let mut statement = connection.prepare("SELECT version_num FROM alembic_version")?;
        revisions = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    }
    // Optuna writes the revision into a database without one, and takes any schema but 12 for its oldest.
    let is_current = matches!(schema_version, None | Some(Some(12)));
    let (kind, found) = match &revisions[..] {
        [revision] if revision == REVISION => return Ok(()),
        [revision] if OLDER_REVISIONS.contains(&revision.as_str()) => {
            (&kinds::REVISION_OLDER, format!("`{revision}`"))
        }
        [revision] if is_mlflows(revision, tables) => {
            (&kinds::REVISION_MLFLOW, format!("`{revision}` of MLflow"))
        }
        [revision] => (&kinds::REVISION_UNKNOWN, format!("`{revision}`")),
        [] if is_current => (&kinds::REVISION_MISSING, "none".to_owned()),
        [] => {
            let version = match schema_version.flatten() {
                Some(version) => version.to_string(),
                None => "NULL".to_owned(),
            };
            (&kinds::REVISION_OLDER, format!("none, with schema version {version}"))
        }
        several => {
            let quoted: Vec<String> = several.iter().map(|name| format!("`{name}`")).collect();
            (&kinds::REVISION_TWICE, quoted.join(" and "))
        }
    };
    let found = format!("expected the revision `{REVISION}`, found {found}");
    findings.add(kind, Place::default(), found);
    Ok(())
}

fn check_columns(
    findings: &mut Findings,
    connection: &Connection,
    tables: &BTreeSet<String>,
) -> rusqlite::Result<()> {
    for (table, wanted) in TABLES {
        let place = Place { key: Some(table.to_owned()), ..Place::default() };
        if !tables.contains(table) {
            // An absent revision has its own finding.
            if table != "alembic_version" {
                findings.add(&kinds::TABLE_MISSING, place, "the table is missing");
            }
            continue;
        }
        let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let columns: BTreeSet<String> =
            statement.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for column in wanted.iter().filter(|column| !columns.contains(**column)) {
            let found = format!("the column `{column}` is missing");
            findings.add(&kinds::COLUMN_MISSING, place.clone(), found);
        }
    }
    Ok(())
}

/// Checks that the guard has its own text, and that the database has it if the options expect that.
pub(super) fn check_guard(findings: &mut Findings, connection: &Connection, options: &Options) {
    let place = Place::default();
    let is_guard = |object: &ForeignObject| object.kind == ForeignKind::Guard;
    if foreign::find(connection).is_ok_and(|objects| objects.iter().any(is_guard)) {
        let found = format!("the trigger `{GUARD}` has another text than trialbox gives it");
        findings.add_fixable(&kinds::GUARD_ALTERED, place, found, Some(Fix::MakeGuard));
    } else if options.storage.guard && matches!(has_guard(connection), Ok(false)) {
        let found = format!("the trigger `{GUARD}` is missing");
        findings.add_fixable(&kinds::GUARD_MISSING, place, found, Some(Fix::MakeGuard));
    }
}
