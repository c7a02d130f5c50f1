//! Objects of a schema beside Optuna's tables and the guard that SQLite runs when a trial is read or written.
//!
//! A trigger can change or drop a result, a view in a table's place can compute for ever, and a clause `ON CONFLICT`
//! can swallow a row without an error. Optuna makes none of them, so a database that has one is refused.

use crate::schema::OPTUNAS_TABLES;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::fmt;
use trialbox_core::StorageError;
use trialbox_core::seam::storage::Remedy;

/// The name of the guard.
pub(crate) const GUARD: &str = "trialbox_guard_state";

/// A trigger that rejects illegal changes of a trial's state: a second claim of a waiting trial, and any change of a
/// finished one. Optuna assumes that these do not happen, but does not prevent them. It sees an `IntegrityError`, which
/// it already treats as a lost race.
pub(crate) const GUARD_SQL: &str = "\
CREATE TRIGGER IF NOT EXISTS trialbox_guard_state BEFORE UPDATE OF state ON trials
WHEN (NEW.state = 'RUNNING' AND OLD.state <> 'WAITING') OR OLD.state IN ('COMPLETE', 'PRUNED', 'FAIL')
BEGIN SELECT RAISE(ABORT, 'trialbox: state transition refused'); END";

/// The number of objects that an error names.
const MAX_NAMED: usize = 5;

/// An object of a schema that neither Optuna nor trialbox makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignObject {
    pub(crate) kind: ForeignKind,
    pub(crate) name: String,
    /// The table of a trigger or an index.
    table: String,
}

/// The kinds of objects that are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForeignKind {
    /// A trigger that is not the guard.
    Trigger,
    /// A trigger with the guard's name and another text.
    Guard,
    View,
    /// An index of a table of Optuna's that computes expressions.
    Index,
    /// A table of Optuna's that is virtual, computes columns, or has a clause `ON CONFLICT`.
    Table,
    /// A table of Optuna's with a constraint or a default that calls a function.
    Constraint,
}

impl ForeignObject {
    /// Returns whether rows can be read without running what the object holds.
    pub(crate) fn spares_readers(&self) -> bool {
        match self.kind {
            ForeignKind::Trigger | ForeignKind::Guard | ForeignKind::Constraint => true,
            ForeignKind::View => {
                !OPTUNAS_TABLES.iter().any(|it| it.eq_ignore_ascii_case(&self.name))
            }
            ForeignKind::Index | ForeignKind::Table => false,
        }
    }

    /// Returns the statement that removes the object without loss, for a name that needs no quotes.
    pub(crate) fn removal(&self) -> Option<String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !self.name.chars().all(is_plain) || self.name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let kind = match self.kind {
            ForeignKind::Trigger | ForeignKind::Guard => "TRIGGER",
            ForeignKind::View => "VIEW",
            ForeignKind::Index => "INDEX",
            ForeignKind::Table | ForeignKind::Constraint => return None,
        };
        Some(format!("DROP {kind} {}", self.name))
    }
}

/// Formats with an article: "a trigger `t` on the table `trials`".
impl fmt::Display for ForeignObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, table) = (&self.name, &self.table);
        match self.kind {
            ForeignKind::Trigger => write!(f, "a trigger `{name}` on `{table}`"),
            ForeignKind::Guard => {
                write!(f, "a trigger `{name}` with a text that is not trialbox's")
            }
            ForeignKind::View => write!(f, "a view `{name}`"),
            ForeignKind::Index => write!(f, "an index `{name}` with an expression on `{table}`"),
            ForeignKind::Table => {
                write!(f, "a table `{name}` that is virtual, computes columns or has ON CONFLICT")
            }
            ForeignKind::Constraint => {
                write!(f, "a table `{name}` with a constraint or a default that calls a function")
            }
        }
    }
}

/// Finds the foreign objects of a schema.
pub(crate) fn find(connection: &Connection) -> rusqlite::Result<Vec<ForeignObject>> {
    Ok(Schema::read(connection)?.foreign_objects())
}

/// The objects of a schema, each with its type, its name, its table and its text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Schema(Vec<[String; 4]>);

impl Schema {
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT type, name, tbl_name, sql FROM sqlite_master";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        let mut objects = Vec::new();
        while let Some(row) = rows.next()? {
            let mut cells = [const { String::new() }; 4];
            for (index, cell) in cells.iter_mut().enumerate() {
                *cell = text(row.get_ref(index)?);
            }
            objects.push(cells);
        }
        Ok(Schema(objects))
    }

    /// Returns whether a database has studies. One without is another program's, and has its own refusal.
    fn has_studies(&self) -> bool {
        let is_studies = |name: &str| name.eq_ignore_ascii_case("studies");
        self.0.iter().any(|[kind, name, ..]| kind == "table" && is_studies(name))
    }

    /// Returns whether the guard is there.
    pub(crate) fn has_guard(&self) -> bool {
        self.0
            .iter()
            .any(|[kind, name, _, sql]| kind == "trigger" && name == GUARD && is_guard(sql))
    }

    /// Returns the objects that neither Optuna nor trialbox makes.
    pub(crate) fn foreign_objects(&self) -> Vec<ForeignObject> {
        let mut found = Vec::new();
        if !self.has_studies() {
            return found;
        }
        for [object, name, table, sql] in &self.0 {
            if let Some(kind) = kind_of(object, name, table, sql) {
                found.push(ForeignObject { kind, name: name.clone(), table: table.clone() });
            }
        }
        found
    }
}

/// Returns the kind of a foreign object, or `None` for an object that is harmless.
fn kind_of(object: &str, name: &str, table: &str, sql: &str) -> Option<ForeignKind> {
    let is_optunas = OPTUNAS_TABLES.iter().any(|it| it.eq_ignore_ascii_case(table));
    match object {
        "trigger" if name != GUARD => Some(ForeignKind::Trigger),
        "trigger" if !is_guard(sql) => Some(ForeignKind::Guard),
        "view" => Some(ForeignKind::View),
        "table" if is_optunas && has_word(sql, &["VIRTUAL", "AS", "CONFLICT"]) => {
            Some(ForeignKind::Table)
        }
        "table" if is_optunas && calls_function(sql) => Some(ForeignKind::Constraint),
        "index" if is_optunas && (sql.matches('(').count() > 1 || has_word(sql, &["WHERE"])) => {
            Some(ForeignKind::Index)
        }
        _ => None,
    }
}

/// Returns whether a trigger's text is the guard's. SQLite stores it without `IF NOT EXISTS`.
fn is_guard(sql: &str) -> bool {
    let wanted = GUARD_SQL.replacen("IF NOT EXISTS ", "", 1);
    wanted.split_whitespace().eq(sql.split_whitespace())
}

/// Returns whether a text has one of these words, in upper or lower case, anywhere: in quotes and comments too, so that
/// no spelling of SQL hides it.
fn has_word(sql: &str, words: &[&str]) -> bool {
    let is_separator = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    sql.split(is_separator).any(|found| words.iter().any(|word| word.eq_ignore_ascii_case(found)))
}

/// Returns whether a constraint or a default of a table can call a function, which runs when a row is written: a check
/// that matches a pattern can take hours, and SQLite does not look at the clock meanwhile.
///
/// Optuna has `CHECK (version_info_id=1)`, and with old releases of SQLAlchemy `CHECK (state IN (…))`: no function. A
/// word before a parenthesis is one, unless it is known not to be. Quotes and comments are not read, so that no
/// spelling hides a call: a table with an unusual one is refused.
fn calls_function(sql: &str) -> bool {
    let upper = sql.to_ascii_uppercase();
    let Some(first) = ["CHECK", "DEFAULT"].iter().filter_map(|word| upper.find(word)).min() else {
        return false;
    };
    if has_word(&upper[first..], &["LIKE", "GLOB", "REGEXP", "MATCH"]) || upper.contains("/*") {
        return true;
    }
    for piece in upper.split_inclusive('(') {
        let Some(text) = piece.strip_suffix('(') else { break };
        let text = text.trim_end();
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let word = text.rsplit(|c: char| !is_part(c)).next().unwrap_or_default();
        let is_quoted = text.ends_with(['"', '`', ']', '\'']);
        if is_quoted || !(word.is_empty() || HARMLESS_BEFORE_PARENTHESIS.contains(&word)) {
            // The name of the table, and of one that is referred to.
            let ahead = text.trim_end_matches(|c| is_part(c) || "\"`[]'".contains(c)).trim_end();
            if !(ahead.ends_with("TABLE") || ahead.ends_with("REFERENCES")) {
                return true;
            }
        }
    }
    false
}

/// Words of a table's text that stand before a parenthesis and call nothing: types, keys and operators.
const HARMLESS_BEFORE_PARENTHESIS: [&str; 18] = [
    "VARCHAR", "CHAR", "NVARCHAR", "DECIMAL", "NUMERIC", "FLOAT", "DOUBLE", "INTEGER", "KEY",
    "UNIQUE", "CHECK", "DEFAULT", "IN", "AND", "OR", "NOT", "BETWEEN", "CASE",
];

/// Returns a cell as text; damaged schemas hold other types.
fn text(cell: ValueRef<'_>) -> String {
    match cell {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        _ => String::new(),
    }
}

/// Refuses a database with foreign objects.
///
/// # Errors
/// [`StorageError::WrongDatabase`] names them.
pub(crate) fn refuse(objects: &[ForeignObject], url: &str) -> Result<(), StorageError> {
    let Some(first) = objects.first() else { return Ok(()) };
    let mut named: Vec<String> =
        objects.iter().take(MAX_NAMED).map(ForeignObject::to_string).collect();
    if objects.len() > MAX_NAMED {
        named.push(format!("{} more", objects.len() - MAX_NAMED));
    }
    let problem = format!(
        "`{url}` has {}: neither Optuna nor trialbox makes that, and SQLite would run it",
        named.join(", ")
    );
    let help = match first.removal() {
        Some(sql) => Remedy::RunSql { url: url.to_owned(), sql },
        None => Remedy::Examine { url: url.to_owned() },
    };
    Err(StorageError::WrongDatabase { problem, help })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_foreign_by_its_kind_and_its_text() {
        use ForeignKind::{Constraint, Guard, Index, Table, Trigger, View};
        let guard = GUARD_SQL.replace("IF NOT EXISTS ", "").replace('\n', "  ");
        for (object, name, table, sql, want) in [
            ("trigger", "t", "trials", "…", Some(Trigger)),
            ("trigger", "t", "others", "…", Some(Trigger)),
            ("trigger", "TRIALBOX_GUARD_STATE", "trials", &guard, Some(Trigger)),
            ("trigger", GUARD, "trials", &guard, None),
            ("trigger", GUARD, "trials", "CREATE TRIGGER … BEGIN SELECT 1; END", Some(Guard)),
            ("view", "mine", "mine", "…", Some(View)),
            ("table", "Trials", "Trials", "CREATE VIRTUAL TABLE Trials USING fts5(a)", Some(Table)),
            ("table", "trials", "trials", "CREATE TABLE trials (a, b aS (a + 1))", Some(Table)),
            ("table", "trials", "trials", "(a NOT NULL ON/**/conflict IGNORE)", Some(Table)),
            ("table", "trials", "trials", "CREATE TABLE trials (assay, \"key\" TEXT)", None),
            ("table", "others", "others", "CREATE VIRTUAL TABLE others USING fts5(a)", None),
            ("table", "trials", "trials", "(a CHECK (state IN ('A', 'B')), CHECK (id=1))", None),
            ("table", "trials", "trials", "(a CHECK (a > 0 AND (b < 1)) DEFAULT 1)", None),
            ("table", "trials", "trials", "(a CHECK (length(a) < 9))", Some(Constraint)),
            ("table", "trials", "trials", "(a, CHECK (\"length\" (a) < 9))", Some(Constraint)),
            ("table", "trials", "trials", "(a, check(b/**/IN (1)))", Some(Constraint)),
            ("table", "trials", "trials", "(a CHECK ('a' LIKE '%a%a%a'))", Some(Constraint)),
            ("table", "trials", "trials", "(a DEFAULT (printf('%.*c', 9, 1)))", Some(Constraint)),
            ("table", "others", "others", "(a CHECK (length(a) < 9))", None),
            ("index", "i", "trials", "CREATE INDEX i ON trials (study_id, state)", None),
            ("index", "i", "trials", "CREATE INDEX i ON trials (hex(state))", Some(Index)),
            ("index", "i", "trials", "CREATE INDEX i ON trials (state) WHERE 1", Some(Index)),
            ("index", "sqlite_autoindex_trials_1", "trials", "", None),
        ] {
            assert_eq!(kind_of(object, name, table, sql), want, "{object} {name}: {sql}");
        }
    }

    #[test]
    fn a_statement_is_suggested_only_for_a_plain_name() {
        let removal = |kind, name: &str| {
            ForeignObject { kind, name: name.to_owned(), table: String::new() }.removal()
        };
        assert_eq!(removal(ForeignKind::Trigger, "skip_1").as_deref(), Some("DROP TRIGGER skip_1"));
        assert_eq!(removal(ForeignKind::View, "a'; rm -rf ~; '"), None);
        assert_eq!(removal(ForeignKind::View, "1a"), None);
        assert_eq!(removal(ForeignKind::Table, "trials"), None);
    }
}
