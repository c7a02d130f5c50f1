//! Rows and their cells, of any type: the checks look for what is wrong with them.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use std::fmt;

/// Calls `check` for each row of a query, all its cells read.
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

/// A cell as SQLite holds it.
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
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map_or(Cell::BadText, |text| Cell::Text(text.to_owned()))
            }
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
}

/// As a message shows it; long texts are cut.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
