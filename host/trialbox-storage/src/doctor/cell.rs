//! Cells of rows, of any type: the checks look for cells of a wrong type.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use std::fmt;

/// Calls `check` with all cells of each row of a query.
pub(super) fn each<const N: usize>(
    connection: &Connection,
    sql: &str,
    mut check: impl FnMut(&[Cell; N]),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut cells = [const { Cell::Null }; N];
        for (index, cell) in cells.iter_mut().enumerate() {
            *cell = Cell::read(row, index)?;
        }
        check(&cells);
    }
    Ok(())
}

/// A cell with the type that SQLite stores. SQLite does not enforce the types of columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    /// A text that is not UTF-8, which Python's driver refuses.
    BadText,
    Blob,
}

impl Cell {
    pub(super) fn read(row: &Row, column: usize) -> rusqlite::Result<Self> {
        Ok(match row.get_ref(column)? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(value) => Cell::Int(value),
            ValueRef::Real(value) => Cell::Real(value),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Cell::Text(text.to_owned()),
                Err(_) => Cell::BadText,
            },
            ValueRef::Blob(_) => Cell::Blob,
        })
    }

    pub(super) fn int(&self) -> Option<i64> {
        if let Cell::Int(value) = self { Some(*value) } else { None }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Cell::Int(value) => Some(*value as f64),
            Cell::Real(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Cell::Text(text) = self { Some(text) } else { None }
    }

    /// Returns a text whole and without quotes, and any other cell as a message shows it.
    pub(super) fn to_plain(&self) -> String {
        if let Cell::Text(text) = self { text.clone() } else { self.to_string() }
    }
}

/// Formats for a message. Long texts are cut.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An attribute may hold megabytes of JSON, which would flood the terminal.
        const MAX_CHARS: usize = 80;
        match self {
            Cell::Null => f.write_str("NULL"),
            Cell::Int(value) => write!(f, "{value}"),
            Cell::Real(value) => write!(f, "{value:?}"),
            Cell::Text(text) if text.chars().nth(MAX_CHARS).is_some() => {
                write!(f, "`{}…`", text.chars().take(MAX_CHARS).collect::<String>())
            }
            Cell::Text(text) => write!(f, "`{text}`"),
            Cell::BadText => f.write_str("a text that is not UTF-8"),
            Cell::Blob => f.write_str("a blob"),
        }
    }
}
