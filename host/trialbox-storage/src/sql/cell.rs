//! Cells of rows that others may have written, with errors that name the row.

use crate::rows::unreadable;
use crate::sql::transaction::{Row, TxError};
use rusqlite::types::{FromSql, Type};

/// Reads a cell. An error names its row, which is `what`.
pub(crate) fn cell<T: FromSql>(
    row: Row<'_>,
    index: usize,
    what: impl Fn() -> String,
) -> Result<T, TxError> {
    row.get(index).map_err(|error| {
        let TxError::Sqlite(error) = error else { return error };
        match problem(&error, row.column(index)) {
            Some(problem) => unreadable(format!("{}: {problem}", what())).into(),
            None => error.into(),
        }
    })
}

/// Reads a cell's text where it stands. An error names its row, which is `what`.
pub(crate) fn text<'row>(
    row: Row<'row>,
    index: usize,
    what: impl Fn() -> String,
) -> Result<&'row str, TxError> {
    if let Ok(text) = row.value(index)?.as_str() {
        return Ok(text);
    }
    // The one that owns its text knows what is wrong.
    cell::<String>(row, index, &what)?;
    Err(unreadable(what()).into())
}

/// Returns what is wrong with a cell, or `None` if the error is about something else. SQLite names the column for some
/// errors only.
pub(crate) fn problem(error: &rusqlite::Error, column: Option<&str>) -> Option<String> {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    let (column, found) = match error {
        InvalidColumnType(_, name, found) => (Some(name.as_str()), word(*found)),
        FromSqlConversionFailure(_, found, _) => (column, word(*found)),
        Utf8Error(..) => (column, word(Type::Text)),
        IntegralValueOutOfRange(_, value) => {
            let column = column.unwrap_or("an integer's column");
            return Some(format!("expected an integer in range in `{column}`, found {value}"));
        }
        _ => return None,
    };
    let column = column.unwrap_or("a column");
    if matches!(error, Utf8Error(..)) {
        return Some(format!("expected UTF-8 in `{column}`, found other bytes"));
    }
    Some(format!("expected a value of another type in `{column}`, found {found}"))
}

fn word(found: Type) -> &'static str {
    match found {
        Type::Null => "NULL",
        Type::Integer => "an integer",
        Type::Real => "a float",
        Type::Text => "text",
        Type::Blob => "bytes",
    }
}
