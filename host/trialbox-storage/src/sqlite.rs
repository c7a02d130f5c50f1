//! A study in a SQLite file, shared by any number of processes, Python's Optuna among them.

use crate::rows::{
    decode_datetime, decode_distribution, decode_final_value, decode_json, decode_param,
    decode_state, decode_value, encode_final_value, encode_value, unreadable,
};
use crate::schema::{self, CheckError, Version};
use crate::url::Options;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior,
    params,
};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use trialbox_core::distribution::Distribution;
use trialbox_core::json::Json;
use trialbox_core::storage::{
    BeginTrial, BegunTrial, Claim, ClaimLoss, FIXED_PARAMS_ATTR, OWNER_ATTR, Outcome, Storage,
    StorageError, TrialBatch, TrialStart, check_name,
};
use trialbox_core::study::{NewStudy, StudyDirection, StudyId, StudyRecord, StudySummary};
use trialbox_core::trial::{
    FrozenTrial, Param, TrialId, TrialNumber, UtcDateTime, format_datetime,
};

/// How many studies an error lists.
const MAX_LISTED_STUDIES: usize = 10;

/// SQLite counts its waiting in milliseconds of 31 bits.
const LONGEST_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(i32::MAX as u64);

/// A connection to a SQLite file with Optuna's tables.
#[derive(Debug)]
pub struct SqliteStorage {
    connection: Connection,
    url: String,
}

/// What goes wrong inside a transaction.
enum TxError {
    Sqlite(rusqlite::Error),
    Storage(StorageError),
}

impl From<rusqlite::Error> for TxError {
    fn from(error: rusqlite::Error) -> Self {
        TxError::Sqlite(error)
    }
}

impl From<StorageError> for TxError {
    fn from(error: StorageError) -> Self {
        TxError::Storage(error)
    }
}

impl SqliteStorage {
    /// Opens a database, or makes it if `options` say so.
    ///
    /// # Errors
    /// A missing or unwritable file; a file that is no database of Optuna's, or one of another version.
    pub fn open(path: &Path, options: &Options) -> Result<Self, StorageError> {
        let url = format!("sqlite:///{}", path.display());
        if !path.exists() {
            if !options.create {
                return Err(StorageError::WrongDatabase {
                    problem: format!("there is no database `{}`", path.display()),
                    help: "`trialbox run` and `trialbox study create` make one; --storage says where it is".to_owned(),
                });
            }
            schema::create_file(path).map_err(|error| cannot_create(path, error))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |error| backend(&format!("open the database `{}`", path.display()), error);
        let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(options.timeout.min(LONGEST_TIMEOUT)).map_err(failed)?;
        // As Optuna has it, whose deletions rely on it.
        connection.pragma_update(None, "foreign_keys", false).map_err(failed)?;
        // A result must outlive a power cut; the few writes of a trial can afford it.
        connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(|error| not_a_database(path, error))?;
        match schema::check(&connection, &url) {
            Ok(Version::Current) => {}
            Ok(Version::Empty) if options.create => {
                schema::fill_empty(&mut connection).map_err(failed)?
            }
            Ok(Version::Empty) => {
                return Err(StorageError::WrongDatabase {
                    problem: format!("the database `{}` is empty", path.display()),
                    help: "`trialbox study create` fills it".to_owned(),
                });
            }
            Err(CheckError::Wrong(error)) => return Err(error),
            Err(CheckError::Sqlite(error)) => return Err(not_a_database(path, error)),
        }
        Ok(SqliteStorage { connection, url })
    }

    /// A transaction that holds the write lock from its beginning: what it reads stays true until it commits.
    fn write<T>(
        &mut self,
        action: &str,
        body: impl FnOnce(&Transaction) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        self.transact(TransactionBehavior::Immediate, action, body)
    }

    /// A transaction that sees one moment of the database.
    fn read<T>(
        &mut self,
        action: &str,
        body: impl FnOnce(&Transaction) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        self.transact(TransactionBehavior::Deferred, action, body)
    }

    fn transact<T>(
        &mut self,
        behavior: TransactionBehavior,
        action: &str,
        body: impl FnOnce(&Transaction) -> Result<T, TxError>,
    ) -> Result<T, StorageError> {
        let result = (|| {
            let transaction = self.connection.transaction_with_behavior(behavior)?;
            let value = body(&transaction)?;
            // Dropped without this, it rolls back.
            transaction.commit()?;
            Ok(value)
        })();
        result.map_err(|error| match error {
            // A column of another type than Optuna writes there.
            TxError::Sqlite(
                error @ (rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::FromSqlConversionFailure(..)),
            ) => unreadable(format!("failed to {action}: {error}")),
            TxError::Sqlite(error) => backend(&format!("{action} in `{}`", self.url), error),
            TxError::Storage(error) => error,
        })
    }
}

impl Storage for SqliteStorage {
    fn url(&self) -> &str {
        &self.url
    }

    fn create_study(&mut self, study: &NewStudy) -> Result<StudyRecord, StorageError> {
        check_name("study name", &study.name)?;
        self.write("make a study", |tx| {
            if find_study(tx, &study.name)?.is_some() {
                return Err(StorageError::DuplicateStudy { name: study.name.clone() }.into());
            }
            tx.execute("INSERT INTO studies (study_name) VALUES (?1)", params![study.name])?;
            let id = StudyId(tx.last_insert_rowid());
            // In the order of the objectives: some of Optuna's readers take the rows as they come.
            for (objective, direction) in (0i64..).zip(&study.directions) {
                tx.execute(
                    "INSERT INTO study_directions (direction, study_id, objective) VALUES (?1, ?2, ?3)",
                    params![direction.as_str(), id.0, objective],
                )?;
            }
            for (key, value) in &study.user_attrs {
                upsert_study_attr(tx, Table::User, id, key, value)?;
            }
            for (key, value) in &study.system_attrs {
                upsert_study_attr(tx, Table::System, id, key, value)?;
            }
            read_study(tx, id)
        })
    }

    fn open_study(&mut self, name: &str) -> Result<StudyRecord, StorageError> {
        self.read("read a study", |tx| match find_study(tx, name)? {
            Some(id) => read_study(tx, id),
            None => {
                let mut statement =
                    tx.prepare("SELECT study_name FROM studies ORDER BY study_id LIMIT ?1")?;
                let known = statement.query_map([MAX_LISTED_STUDIES as i64], |row| row.get(0))?;
                let known = known.collect::<Result<_, _>>()?;
                Err(StorageError::NoSuchStudy { name: name.to_owned(), known }.into())
            }
        })
    }

    fn list_studies(&mut self) -> Result<Vec<StudySummary>, StorageError> {
        self.read("list the studies", |tx| {
            let mut statement = tx.prepare("SELECT study_id FROM studies ORDER BY study_id")?;
            let ids: Vec<i64> =
                statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            ids.into_iter().map(|id| read_summary(tx, StudyId(id))).collect()
        })
    }

    fn set_study_defaults(
        &mut self,
        study: StudyId,
        user_attrs: &[(String, Json)],
    ) -> Result<StudyRecord, StorageError> {
        self.write("set the study's defaults", |tx| {
            let found = read_study(tx, study)?;
            for (key, value) in
                user_attrs.iter().filter(|(key, _)| !found.user_attrs.contains_key(key))
            {
                upsert_study_attr(tx, Table::User, study, key, value)?;
            }
            read_study(tx, study)
        })
    }

    fn set_study_user_attrs(
        &mut self,
        study: StudyId,
        user_attrs: &[(String, Json)],
    ) -> Result<StudyRecord, StorageError> {
        self.write("set the study's attributes", |tx| {
            read_study(tx, study)?;
            for (key, value) in user_attrs {
                upsert_study_attr(tx, Table::User, study, key, value)?;
            }
            read_study(tx, study)
        })
    }

    fn enqueue_trial(
        &mut self,
        study: StudyId,
        params: &[(String, Json)],
    ) -> Result<TrialNumber, StorageError> {
        self.write("enqueue a trial", |tx| {
            read_study(tx, study)?;
            let (id, number) = insert_trial(tx, study, "WAITING", None)?;
            upsert_trial_attr(
                tx,
                Table::System,
                id,
                FIXED_PARAMS_ATTR,
                &Json::object(params.iter().cloned()),
            )?;
            Ok(number)
        })
    }

    fn begin_trial(
        &mut self,
        study: StudyId,
        request: &BeginTrial,
    ) -> Result<TrialStart, StorageError> {
        self.write("begin a trial", |tx| {
            if let Some(max_trials) = request.max_trials {
                let n_trials = count_towards_budget(tx, study)?;
                if n_trials >= max_trials {
                    return Ok(TrialStart::BudgetReached { n_trials });
                }
            }
            let (id, number) = match claim_waiting(tx, study, request.at)? {
                Some(claimed) => claimed,
                None => {
                    require_study(tx, study)?;
                    insert_trial(tx, study, "RUNNING", Some(request.at))?
                }
            };
            upsert_trial_attr(tx, Table::System, id, OWNER_ATTR, &request.owner)?;
            beat(tx, id)?;
            let claim = Claim { id, number, owner: request.owner.clone() };
            let fixed_params = read_fixed_params(tx, id)?;
            Ok(TrialStart::Begun(Box::new(BegunTrial {
                claim,
                fixed_params,
                params: read_params_of(tx, id)?,
            })))
        })
    }

    fn recorded_distribution(
        &mut self,
        study: StudyId,
        trial: TrialId,
        param: &str,
    ) -> Result<Option<Distribution>, StorageError> {
        self.read("read a parameter's distribution", |tx| {
            let text: Option<String> = tx
                .prepare_cached(
                    "SELECT p.distribution_json FROM trials t JOIN trial_params p ON p.trial_id = t.trial_id
                     WHERE t.study_id = ?1 AND p.param_name = ?2 AND t.trial_id <> ?3 LIMIT 1",
                )?
                .query_row(params![study.0, param, trial.0], |row| row.get(0))
                .optional()?;
            let what = || format!("parameter `{param}`");
            Ok(text.map(|text| decode_distribution(&text, what)).transpose()?)
        })
    }

    fn record(&mut self, claim: &Claim, batch: &TrialBatch) -> Result<(), StorageError> {
        self.write("record a trial's progress", |tx| {
            require_ours(tx, claim)?;
            insert_batch(tx, claim.id, batch)?;
            Ok(beat(tx, claim.id)?)
        })
    }

    fn finish_trial(
        &mut self,
        claim: &Claim,
        batch: &TrialBatch,
        outcome: &Outcome,
        at: UtcDateTime,
    ) -> Result<(), StorageError> {
        self.write("record a trial's result", |tx| {
            require_ours(tx, claim)?;
            insert_batch(tx, claim.id, batch)?;
            for (objective, value) in (0i64..).zip(outcome.values()) {
                let (value, kind) = encode_final_value(*value)?;
                tx.execute(
                    "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?1, ?2, ?3, ?4)",
                    params![claim.id.0, objective, value, kind],
                )?;
            }
            tx.execute(
                "UPDATE trials SET state = ?2, datetime_complete = ?3 WHERE trial_id = ?1",
                params![claim.id.0, outcome.state().as_str(), format_datetime(at)],
            )?;
            Ok(())
        })
    }

    fn trials(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError> {
        self.read("read the trials", |tx| TrialReader::read(tx, study))
    }
}

/// Which of the twin tables of attributes.
#[derive(Clone, Copy)]
enum Table {
    User,
    System,
}

impl Table {
    fn word(self) -> &'static str {
        match self {
            Table::User => "user",
            Table::System => "system",
        }
    }
}

fn find_study(tx: &Transaction, name: &str) -> rusqlite::Result<Option<StudyId>> {
    tx.query_row("SELECT study_id FROM studies WHERE study_name = ?1", params![name], |row| {
        row.get(0).map(StudyId)
    })
    .optional()
}

/// Fails when the study was deleted since it was opened.
fn require_study(tx: &Transaction, study: StudyId) -> Result<String, TxError> {
    let name = tx
        .query_row("SELECT study_name FROM studies WHERE study_id = ?1", params![study.0], |row| {
            row.get(0)
        })
        .optional()?;
    name.ok_or_else(|| {
        StorageError::NoSuchStudy { name: format!("(id {}, deleted)", study.0), known: vec![] }
            .into()
    })
}

fn read_study(tx: &Transaction, id: StudyId) -> Result<StudyRecord, TxError> {
    let name = require_study(tx, id)?;
    let mut statement = tx.prepare_cached(
        "SELECT direction FROM study_directions WHERE study_id = ?1 ORDER BY objective",
    )?;
    let directions: Vec<String> =
        statement.query_map([id.0], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let read = |text: String| {
        let unknown = || unreadable(format!("study `{name}`: unknown direction `{text}`"));
        StudyDirection::parse(&text).ok_or_else(unknown)
    };
    let directions = directions.into_iter().map(read).collect::<Result<_, _>>()?;
    let user_attrs = read_study_attrs(tx, Table::User, id)?;
    let system_attrs = read_study_attrs(tx, Table::System, id)?;
    Ok(StudyRecord { id, name, directions, user_attrs, system_attrs })
}

fn read_study_attrs(
    tx: &Transaction,
    table: Table,
    id: StudyId,
) -> Result<BTreeMap<String, Json>, TxError> {
    let sql = format!(
        "SELECT \"key\", value_json FROM study_{}_attributes WHERE study_id = ?1",
        table.word()
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map([id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut attrs = BTreeMap::new();
    for row in rows {
        let (key, text): (String, String) = row?;
        let value = decode_json(&text, || format!("attribute `{key}` of a study"))?;
        attrs.insert(key, value);
    }
    Ok(attrs)
}

fn read_summary(tx: &Transaction, id: StudyId) -> Result<StudySummary, TxError> {
    let study = read_study(tx, id)?;
    let mut n_trials = BTreeMap::new();
    let mut statement =
        tx.prepare_cached("SELECT state, count(*) FROM trials WHERE study_id = ?1 GROUP BY state")?;
    let counts = statement.query_map([id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for count in counts {
        let (state, count): (String, i64) = count?;
        n_trials.insert(
            decode_state(&state, || format!("a trial of study `{}`", study.name))?,
            count.unsigned_abs(),
        );
    }
    let start: Option<String> = tx
        .prepare_cached("SELECT min(datetime_start) FROM trials WHERE study_id = ?1")?
        .query_row([id.0], |row| row.get(0))?;
    let datetime_start = decode_datetime(start, || format!("study `{}`", study.name))?;
    Ok(StudySummary { study, n_trials, datetime_start })
}

fn upsert_study_attr(
    tx: &Transaction,
    table: Table,
    id: StudyId,
    key: &str,
    value: &Json,
) -> Result<(), TxError> {
    check_name("attribute key", key)?;
    let sql = format!(
        "INSERT INTO study_{}_attributes (study_id, \"key\", value_json) VALUES (?1, ?2, ?3)
         ON CONFLICT (study_id, \"key\") DO UPDATE SET value_json = excluded.value_json",
        table.word()
    );
    tx.prepare_cached(&sql)?.execute(params![id.0, key, value.to_string()])?;
    Ok(())
}

fn upsert_trial_attr(
    tx: &Transaction,
    table: Table,
    id: TrialId,
    key: &str,
    value: &Json,
) -> Result<(), TxError> {
    check_name("attribute key", key)?;
    let sql = format!(
        "INSERT INTO trial_{}_attributes (trial_id, \"key\", value_json) VALUES (?1, ?2, ?3)
         ON CONFLICT (trial_id, \"key\") DO UPDATE SET value_json = excluded.value_json",
        table.word()
    );
    tx.prepare_cached(&sql)?.execute(params![id.0, key, value.to_string()])?;
    Ok(())
}

/// Trials that count against `--max-trials`: failed ones do not, or a broken objective would use it up.
fn count_towards_budget(tx: &Transaction, study: StudyId) -> rusqlite::Result<u64> {
    tx.query_row(
        "SELECT count(*) FROM trials WHERE study_id = ?1 AND state IN ('COMPLETE', 'PRUNED', 'RUNNING')",
        [study.0],
        |row| row.get(0).map(i64::unsigned_abs),
    )
}

/// Takes the lowest WAITING trial. The state is compared again in the UPDATE, which Optuna does not do.
fn claim_waiting(
    tx: &Transaction,
    study: StudyId,
    at: UtcDateTime,
) -> Result<Option<(TrialId, TrialNumber)>, TxError> {
    let claimed = tx
        .prepare_cached(
            "UPDATE trials SET state = 'RUNNING', datetime_start = ?2
             WHERE trial_id = (SELECT trial_id FROM trials WHERE study_id = ?1 AND state = 'WAITING' ORDER BY number LIMIT 1)
               AND state = 'WAITING'
             RETURNING trial_id, number",
        )?
        .query_row(params![study.0, format_datetime(at)], read_id_and_number)
        .optional()?;
    Ok(claimed)
}

/// Appends a trial. Its number is counted under the write lock, so no two get the same.
fn insert_trial(
    tx: &Transaction,
    study: StudyId,
    state: &str,
    start: Option<UtcDateTime>,
) -> Result<(TrialId, TrialNumber), TxError> {
    let inserted = tx
        .prepare_cached(
            "INSERT INTO trials (number, study_id, state, datetime_start)
             SELECT count(*), ?1, ?2, ?3 FROM trials WHERE study_id = ?1 RETURNING trial_id, number",
        )?
        .query_row(params![study.0, state, start.map(format_datetime)], read_id_and_number)?;
    Ok(inserted)
}

fn read_id_and_number(row: &rusqlite::Row) -> rusqlite::Result<(TrialId, TrialNumber)> {
    Ok((TrialId(row.get(0)?), TrialNumber(row.get(1)?)))
}

/// Optuna's heartbeat: the database's own time, in UTC.
fn beat(tx: &Transaction, id: TrialId) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (?1, CURRENT_TIMESTAMP)
         ON CONFLICT (trial_id) DO UPDATE SET heartbeat = excluded.heartbeat",
    )?
    .execute([id.0])?;
    Ok(())
}

/// Fails unless the trial is RUNNING and has our token.
fn require_ours(tx: &Transaction, claim: &Claim) -> Result<(), TxError> {
    let found: Option<(String, Option<String>)> = tx
        .prepare_cached(
            "SELECT t.state, (SELECT value_json FROM trial_system_attributes a WHERE a.trial_id = t.trial_id AND a.\"key\" = ?2)
             FROM trials t WHERE t.trial_id = ?1",
        )?
        .query_row(params![claim.id.0, OWNER_ATTR], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let reason = match found {
        None => ClaimLoss::Vanished,
        Some((state, owner)) => match decode_state(&state, || format!("trial {}", claim.number))? {
            state if state.is_finished() => ClaimLoss::Finished(state),
            trialbox_core::trial::TrialState::Running if owner == Some(claim.owner.to_string()) => {
                return Ok(());
            }
            _ => ClaimLoss::TakenOver,
        },
    };
    Err(StorageError::ClaimLost { number: claim.number, reason }.into())
}

fn insert_batch(tx: &Transaction, id: TrialId, batch: &TrialBatch) -> Result<(), TxError> {
    for (name, param) in &batch.params {
        check_name("parameter name", name)?;
        tx.prepare_cached(
            "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![id.0, name, param.internal, param.distribution.to_json_text()])?;
    }
    for (step, value) in &batch.intermediate_values {
        let (value, kind) = encode_value(*value);
        tx.prepare_cached(
            "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (trial_id, step) DO UPDATE SET
               intermediate_value = excluded.intermediate_value,
               intermediate_value_type = excluded.intermediate_value_type",
        )?
        .execute(params![id.0, step, value, kind])?;
    }
    for (key, value) in &batch.user_attrs {
        upsert_trial_attr(tx, Table::User, id, key, value)?;
    }
    for (key, value) in &batch.system_attrs {
        upsert_trial_attr(tx, Table::System, id, key, value)?;
    }
    Ok(())
}

fn read_fixed_params(tx: &Transaction, id: TrialId) -> Result<Vec<(String, Json)>, TxError> {
    let text: Option<String> = tx
        .query_row(
            "SELECT value_json FROM trial_system_attributes WHERE trial_id = ?1 AND \"key\" = ?2",
            params![id.0, FIXED_PARAMS_ATTR],
            |row| row.get(0),
        )
        .optional()?;
    let Some(text) = text else { return Ok(vec![]) };
    match decode_json(&text, || format!("`{FIXED_PARAMS_ATTR}` of trial with id {}", id.0))? {
        Json::Object(members) => Ok(members),
        _ => Ok(vec![]),
    }
}

/// The parameters that a claimed trial already has, as a retried one does.
fn read_params_of(tx: &Transaction, id: TrialId) -> Result<Vec<(String, Param)>, TxError> {
    let mut statement = tx.prepare_cached(
        "SELECT param_name, param_value, distribution_json FROM trial_params WHERE trial_id = ?1 ORDER BY param_id",
    )?;
    let rows = statement.query_map([id.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut found = Vec::new();
    for row in rows {
        let (name, internal, text): (String, Option<f64>, String) = row?;
        let what = || format!("parameter `{name}` of trial with id {}", id.0);
        let param = decode_param(internal, decode_distribution(&text, what)?, what)?;
        found.push((name, param));
    }
    Ok(found)
}

/// Reads all trials of a study with one query for each table.
struct TrialReader {
    trials: Vec<FrozenTrial>,
    index: HashMap<i64, usize>,
}

impl TrialReader {
    fn read(tx: &Transaction, study: StudyId) -> Result<Vec<FrozenTrial>, TxError> {
        let mut reader = TrialReader { trials: Vec::new(), index: HashMap::new() };
        reader.read_trials(tx, study)?;
        reader.read_values(tx, study)?;
        reader.read_params(tx, study)?;
        reader.read_attrs(tx, Table::User, study)?;
        reader.read_attrs(tx, Table::System, study)?;
        reader.read_intermediate_values(tx, study)?;
        reader.trials.sort_by_key(|trial| trial.number);
        Ok(reader.trials)
    }

    fn read_trials(&mut self, tx: &Transaction, study: StudyId) -> Result<(), TxError> {
        let mut statement = tx.prepare(
            "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials
             WHERE study_id = ?1 ORDER BY trial_id",
        )?;
        let mut rows = statement.query([study.0])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let number: Option<u32> = row.get(1)?;
            let Some(number) = number else {
                return Err(unreadable(format!("trial with id {id}: its number is NULL")).into());
            };
            let what = || format!("trial {number}");
            let state: String = row.get(2)?;
            self.index.insert(id, self.trials.len());
            self.trials.push(FrozenTrial {
                id: TrialId(id),
                number: TrialNumber(number),
                state: decode_state(&state, what)?,
                values: Vec::new(),
                datetime_start: decode_datetime(row.get(3)?, what)?,
                datetime_complete: decode_datetime(row.get(4)?, what)?,
                params: Vec::new(),
                user_attrs: BTreeMap::new(),
                system_attrs: BTreeMap::new(),
                intermediate_values: BTreeMap::new(),
            });
        }
        Ok(())
    }

    fn read_values(&mut self, tx: &Transaction, study: StudyId) -> Result<(), TxError> {
        let mut statement = tx.prepare(
            "SELECT t.trial_id, v.objective, v.value, v.value_type FROM trials t
             JOIN trial_values v ON v.trial_id = t.trial_id WHERE t.study_id = ?1 ORDER BY t.trial_id, v.objective",
        )?;
        let mut rows = statement.query([study.0])?;
        while let Some(row) = rows.next()? {
            let Some(trial) = self.trial(row.get(0)?) else { continue };
            let objective: i64 = row.get(1)?;
            let what = || format!("value {objective} of trial {}", trial.number);
            if objective != trial.values.len() as i64 {
                return Err(unreadable(format!(
                    "{}: value {} is missing",
                    what(),
                    trial.values.len()
                ))
                .into());
            }
            let kind: String = row.get(3)?;
            let value = decode_final_value(row.get(2)?, &kind, what)?;
            trial.values.push(value);
        }
        Ok(())
    }

    fn read_params(&mut self, tx: &Transaction, study: StudyId) -> Result<(), TxError> {
        let mut statement = tx.prepare(
            "SELECT t.trial_id, p.param_name, p.param_value, p.distribution_json FROM trials t
             JOIN trial_params p ON p.trial_id = t.trial_id WHERE t.study_id = ?1 ORDER BY p.param_id",
        )?;
        // Thousands of trials share a few distributions.
        let mut known: HashMap<String, Distribution> = HashMap::new();
        let mut rows = statement.query([study.0])?;
        while let Some(row) = rows.next()? {
            let Some(trial) = self.trial(row.get(0)?) else { continue };
            let (name, text): (String, String) = (row.get(1)?, row.get(3)?);
            let what = || format!("parameter `{name}` of trial {}", trial.number);
            let distribution = match known.get(&text) {
                Some(distribution) => distribution.clone(),
                None => {
                    let distribution = decode_distribution(&text, what)?;
                    known.insert(text, distribution.clone());
                    distribution
                }
            };
            let param = decode_param(row.get(2)?, distribution, what)?;
            trial.params.push((name, param));
        }
        Ok(())
    }

    fn read_attrs(
        &mut self,
        tx: &Transaction,
        table: Table,
        study: StudyId,
    ) -> Result<(), TxError> {
        let sql = format!(
            "SELECT t.trial_id, a.\"key\", a.value_json FROM trials t
             JOIN trial_{}_attributes a ON a.trial_id = t.trial_id WHERE t.study_id = ?1",
            table.word()
        );
        let mut statement = tx.prepare(&sql)?;
        let mut rows = statement.query([study.0])?;
        while let Some(row) = rows.next()? {
            let Some(trial) = self.trial(row.get(0)?) else { continue };
            let (key, text): (String, String) = (row.get(1)?, row.get(2)?);
            let value =
                decode_json(&text, || format!("attribute `{key}` of trial {}", trial.number))?;
            match table {
                Table::User => trial.user_attrs.insert(key, value),
                Table::System => trial.system_attrs.insert(key, value),
            };
        }
        Ok(())
    }

    fn read_intermediate_values(
        &mut self,
        tx: &Transaction,
        study: StudyId,
    ) -> Result<(), TxError> {
        let mut statement = tx.prepare(
            "SELECT t.trial_id, i.step, i.intermediate_value, i.intermediate_value_type FROM trials t
             JOIN trial_intermediate_values i ON i.trial_id = t.trial_id WHERE t.study_id = ?1",
        )?;
        let mut rows = statement.query([study.0])?;
        while let Some(row) = rows.next()? {
            let Some(trial) = self.trial(row.get(0)?) else { continue };
            let (step, kind): (i64, String) = (row.get(1)?, row.get(3)?);
            let value = decode_value(row.get(2)?, &kind, || {
                format!("step {step} of trial {}", trial.number)
            })?;
            trial.intermediate_values.insert(step, value);
        }
        Ok(())
    }

    fn trial(&mut self, id: i64) -> Option<&mut FrozenTrial> {
        self.trials.get_mut(*self.index.get(&id)?)
    }
}

fn cannot_create(path: &Path, error: std::io::Error) -> StorageError {
    let folder: PathBuf = path
        .parent()
        .filter(|folder| *folder != Path::new(""))
        .unwrap_or(Path::new("."))
        .to_owned();
    let help = match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("make the folder `{}` first, or choose another --storage", folder.display())
        }
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            format!("the folder `{}` cannot be written: choose another --storage", folder.display())
        }
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "free some space".to_owned()
        }
        _ => "choose another --storage".to_owned(),
    };
    StorageError::Backend {
        action: format!("make the database `{}`", path.display()),
        help: Some(help),
        source: Box::new(error),
    }
}

fn not_a_database(path: &Path, error: rusqlite::Error) -> StorageError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StorageError::WrongDatabase {
            problem: format!("`{}` is not a SQLite database", path.display()),
            help: "choose another --storage; this file was not touched".to_owned(),
        },
        _ => backend(&format!("read the database `{}`", path.display()), error),
    }
}

/// SQLite's error in our words: what was being done, and what can be done about it.
fn backend(action: &str, error: rusqlite::Error) -> StorageError {
    let help = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Some(
            "somebody else has been writing for longer than --storage-timeout: raise it, or see who holds the file with `fuser`",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Some(
            "the file and its folder must be writable: SQLite keeps its journal beside the database",
        ),
        Some(ErrorCode::CannotOpen) => {
            Some("check the path, and that the file and its folder can be read and written")
        }
        Some(ErrorCode::DiskFull) => Some("free some space, then run the same command again"),
        Some(ErrorCode::DatabaseCorrupt) => Some("make a copy, then try `sqlite3 COPY .recover`"),
        _ => None,
    };
    StorageError::Backend {
        action: action.to_owned(),
        help: help.map(str::to_owned),
        source: Box::new(error),
    }
}
