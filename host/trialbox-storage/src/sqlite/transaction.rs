//! SQLite's connections as transactions.

use crate::sql::transaction::{Cells, Dialect, Row, TakeRow, Transaction, TxError};
use rusqlite::Connection;
use rusqlite::types::{ToSql, ValueRef};

impl Transaction for Connection {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn execute(&self, sql: &str, params: &[&dyn ToSql]) -> Result<usize, TxError> {
        Ok(self.prepare_cached(sql)?.execute(params)?)
    }

    fn each_row(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        take: &mut TakeRow<'_>,
    ) -> Result<(), TxError> {
        let mut statement = self.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            if take(Row(row))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn execute_script(&self, sql: &str) -> Result<(), TxError> {
        Ok(self.execute_batch(sql)?)
    }
}

impl Cells for rusqlite::Row<'_> {
    fn cell(&self, index: usize) -> Result<ValueRef<'_>, TxError> {
        Ok(self.get_ref(index)?)
    }

    fn column(&self, index: usize) -> Option<&str> {
        self.as_ref().column_name(index).ok()
    }
}
