//! A transaction on a connection to a server.

use crate::location::WaitCancellation;
use crate::lock::wait::LAST_PATIENCE;
use crate::postgres::errors::ServerError;
use crate::sql::transaction::{Cells, Dialect, Row, TakeRow, Transaction, TxError};
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use std::borrow::Cow;
use std::error::Error;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{self, Format, FromSql, IsNull, Type, to_sql_checked};
use tokio_postgres::{Client, Column};
use trialbox_core::UtcDateTime;
use trialbox_core::study::trial::format_datetime;

/// The time between two looks at whether the process was told to end.
const LOOK: Duration = Duration::from_millis(100);

/// A connection, whose every answer is waited for within limits: a network can swallow it.
pub(super) struct Wire<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) limit: Duration,
    pub(super) stopping: &'a WaitCancellation,
}

impl Wire<'_> {
    /// Waits for an answer.
    ///
    /// # Errors
    /// [`ServerError::Silent`] after the limit, or a few seconds after the process was told to end.
    pub(super) fn wait_for<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, ServerError> {
        self.runtime.block_on(async {
            let mut answer = pin!(answer);
            let (started, mut stopped_at) = (Instant::now(), None);
            loop {
                if let Ok(answer) = timeout(LOOK, &mut answer).await {
                    return Ok(answer?);
                }
                if stopped_at.is_none() && self.stopping.is_set() {
                    stopped_at = Some(Instant::now());
                }
                let is_last = stopped_at.is_some_and(|since| since.elapsed() >= LAST_PATIENCE);
                if is_last || started.elapsed() >= self.limit {
                    return Err(ServerError::Silent(started.elapsed()));
                }
            }
        })
    }
}

/// An open transaction.
pub(super) struct ServerTransaction<'a> {
    pub(super) wire: Wire<'a>,
    pub(super) client: &'a Client,
    pub(super) is_repeated: bool,
}

impl Transaction for ServerTransaction<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn execute(&self, sql: &str, params: &[&dyn ToSql]) -> Result<usize, TxError> {
        let params = arguments(params)?;
        let n_changed =
            self.wire.wait_for(self.client.execute_typed(&numbered(sql), &typed(&params)))?;
        Ok(usize::try_from(n_changed).unwrap_or(usize::MAX))
    }

    fn each_row(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        take: &mut TakeRow<'_>,
    ) -> Result<(), TxError> {
        let params = arguments(params)?;
        let rows = self.wire.wait_for(self.client.query_typed(&numbered(sql), &typed(&params)))?;
        for row in &rows {
            let values: Result<Vec<Value>, TxError> =
                (0..row.columns().len()).map(|index| value(row, index)).collect();
            let cells = ServerRow { values: values?, columns: row.columns() };
            if take(Row(&cells))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn execute_script(&self, sql: &str) -> Result<(), TxError> {
        Ok(self.wire.wait_for(self.client.batch_execute(sql))?)
    }

    fn is_repeated(&self) -> bool {
        self.is_repeated
    }
}

/// Returns a statement with PostgreSQL's form of parameters. No statement has a question mark of another meaning.
fn numbered(sql: &str) -> String {
    sql.replace('?', "$")
}

/// A parameter.
///
/// Whole numbers are sent as large ones, so that one that no column holds is compared and not refused. A text is sent
/// as what a literal in quotes is: the server reads it as the type that belongs in its place, be it a text, a time or
/// an enumeration.
#[derive(Debug)]
struct Argument(Value);

fn arguments(params: &[&dyn ToSql]) -> Result<Vec<Argument>, TxError> {
    let value = |param: &&dyn ToSql| {
        Ok(Argument(match param.to_sql()? {
            ToSqlOutput::Owned(value) => value,
            ToSqlOutput::Borrowed(value) => value.try_into().map_err(|_| not_a_parameter())?,
            _ => return Err(not_a_parameter()),
        }))
    };
    params.iter().map(value).collect()
}

fn not_a_parameter() -> TxError {
    ServerError::UnknownType("a parameter of SQLite's alone".to_owned()).into()
}

fn typed(arguments: &[Argument]) -> Vec<(&(dyn types::ToSql + Sync), Type)> {
    let typed = |argument: &Argument| match argument.0 {
        Value::Integer(_) => Type::INT8,
        Value::Real(_) => Type::FLOAT8,
        Value::Null | Value::Text(_) | Value::Blob(_) => Type::UNKNOWN,
    };
    arguments.iter().map(|it| (it as &(dyn types::ToSql + Sync), typed(it))).collect()
}

impl types::ToSql for Argument {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Integer(value) => out.extend_from_slice(&value.to_be_bytes()),
            Value::Real(value) => out.extend_from_slice(&value.to_be_bytes()),
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
            Value::Blob(bytes) => out.extend_from_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self.0 {
            Value::Text(_) => Format::Text,
            _ => Format::Binary,
        }
    }

    to_sql_checked!();
}

/// A row with its cells in SQLite's types.
struct ServerRow<'a> {
    values: Vec<Value>,
    columns: &'a [Column],
}

impl Cells for ServerRow<'_> {
    fn cell(&self, index: usize) -> Result<ValueRef<'_>, TxError> {
        match self.values.get(index) {
            Some(value) => Ok(value.into()),
            None => Err(rusqlite::Error::InvalidColumnIndex(index).into()),
        }
    }

    fn column(&self, index: usize) -> Option<&str> {
        self.columns.get(index).map(Column::name)
    }
}

/// The bytes of a cell, as the server sends them.
struct Bytes<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Bytes<'a> {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Bytes(bytes))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Reads a cell in the server's binary form (PostgreSQL's sources, the functions `…_send`).
fn value(row: &tokio_postgres::Row, index: usize) -> Result<Value, TxError> {
    let cell: Option<Bytes<'_>> = row.try_get(index).map_err(ServerError::from)?;
    let Some(Bytes(bytes)) = cell else { return Ok(Value::Null) };
    let kind = row.columns().get(index).map(Column::type_).cloned().unwrap_or(Type::UNKNOWN);
    let wrong = || TxError::from(ServerError::UnknownType(format!("a cell of type {kind}")));
    Ok(match kind {
        Type::BOOL => Value::Integer(i64::from(bytes != [0])),
        Type::INT2 => Value::Integer(i16::from_be_bytes(fixed(bytes).ok_or_else(wrong)?).into()),
        Type::INT4 => Value::Integer(i32::from_be_bytes(fixed(bytes).ok_or_else(wrong)?).into()),
        Type::INT8 => Value::Integer(i64::from_be_bytes(fixed(bytes).ok_or_else(wrong)?)),
        Type::FLOAT4 => Value::Real(f32::from_be_bytes(fixed(bytes).ok_or_else(wrong)?).into()),
        Type::FLOAT8 => Value::Real(f64::from_be_bytes(fixed(bytes).ok_or_else(wrong)?)),
        Type::TIMESTAMP => {
            Value::Text(time(i64::from_be_bytes(fixed(bytes).ok_or_else(wrong)?)).into_owned())
        }
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
            Value::Text(std::str::from_utf8(bytes).map_err(|_| wrong())?.to_owned())
        }
        _ => return Err(wrong()),
    })
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

/// Returns a time as Optuna's readers and SQLite's columns have it. PostgreSQL counts microseconds since 2000, and has
/// times that no calendar has.
fn time(microseconds: i64) -> Cow<'static, str> {
    let epoch = UtcDateTime::constant(2000, 1, 1, 0, 0, 0, 0);
    match epoch.checked_add(Duration::from_micros(microseconds.unsigned_abs())) {
        Ok(time) if microseconds >= 0 => Cow::Owned(format_datetime(time)),
        _ => match epoch.checked_sub(Duration::from_micros(microseconds.unsigned_abs())) {
            Ok(time) if microseconds < 0 => Cow::Owned(format_datetime(time)),
            _ => Cow::Borrowed("infinity"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_2000() {
        for (microseconds, want) in [
            (0, "2000-01-01 00:00:00.000000"),
            (1, "2000-01-01 00:00:00.000001"),
            (-1, "1999-12-31 23:59:59.999999"),
            (i64::MAX, "infinity"),
            (i64::MIN, "infinity"),
        ] {
            assert_eq!(time(microseconds), want, "{microseconds}");
        }
    }
}
