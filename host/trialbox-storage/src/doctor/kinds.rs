//! The kinds of findings: code, severity, meaning for Python's readers, advice, and the reason against a repair.
//!
//! The texts name no flag of a command, because a caller of the library may have none. Where a command helps, the kind
//! has a [`Remedy`], and the caller shows how to run it.

use super::{
    Kind, Remedy,
    Severity::{Error, Note, Warning},
};

const NOT_IN_ROW: &str = "the row does not say which value is right";
const HARMLESS: &str = "no program fails on it";
const NOT_A_ROW: &str = "the damage is not limited to rows";
pub(super) const UNSOUND: &str =
    "the database is damaged, has another revision, or runs triggers of unknown origin";
const MAY_BE_REMOTE: &str = "it may belong to a process on another machine";
const HISTORY: &str = "finished trials are never changed, because readers cache them";
const EVERYTHING: &str = "no program can read the studies of the database";
const WHOLE_STUDY: &str = "Optuna fails to load the whole study";
const NUMBER_BY_HAND: &str = "write the number of the study's trials with smaller ids";
const TIME_BY_HAND: &str = "write the time as text, in UTC: 2026-11-23 19:21:59.597739";
const CLEAR_OR_FINITE: &str = "set the number to NULL, or write the type FINITE";

/// The advice of a finding that needs no action.
const NO_ACTION: &str = "";

macro_rules! kinds {
    ($($name:ident: $severity:ident $code:literal {
        meaning: $meaning:expr,
        advice: $advice:expr,
        $(remedy: $remedy:ident,)?
        why_not: $why_not:expr,
    })*) => {
        $(pub(super) static $name: Kind = Kind {
            code: $code,
            severity: $severity,
            meaning: $meaning,
            advice: $advice,
            remedy: kinds!(@remedy $($remedy)?),
            why_not: $why_not,
        };)*

        /// All kinds, for documentation and tests.
        pub(super) static ALL: &[&Kind] = &[$(&$name),*];
    };
    (@remedy) => { None };
    (@remedy $remedy:ident) => { Some(Remedy::$remedy) };
}

kinds! {
    // The file.
    MISSING_FILE: Error "missing-file" {
        meaning: EVERYTHING,
        advice: "check the path of the database, or create a study",
        remedy: CreateStudy,
        why_not: "there is no database",
    }
    ZERO_LENGTH: Error "zero-length" {
        meaning: "Optuna takes the file for a new database and creates empty tables: the former contents are lost",
        advice: "restore a copy, or delete the file and start anew",
        why_not: "the database holds no rows",
    }
    NOT_A_DATABASE: Error "not-a-database" {
        meaning: EVERYTHING,
        advice: "restore a copy, or choose another database",
        remedy: ChooseDatabase,
        why_not: NOT_A_ROW,
    }
    UNREADABLE_FILE: Error "unreadable-file" {
        meaning: EVERYTHING,
        advice: "correct the permissions of the file and its directory, then examine the database again",
        remedy: Examine,
        why_not: NOT_A_ROW,
    }
    LOCKED: Error "locked" {
        meaning: "Optuna fails after waiting for 5 seconds",
        advice: "find the process that holds the file with `fuser`, or wait longer for the lock",
        remedy: WaitLonger,
        why_not: "the database could not be read",
    }
    HOT_JOURNAL: Warning "hot-journal" {
        meaning: "the next program that writes rolls back an incomplete transaction; \
            a program that may only read fails",
        advice: "never delete the journal; open the database once with write access",
        remedy: RollBack,
        why_not: "the next program that opens the database rolls back",
    }
    JOURNAL_PRESENT: Note "journal-present" {
        meaning: "a process is writing at this moment, or ended while it was writing",
        advice: "if no process has the database open, open it once with write access",
        remedy: RollBack,
        why_not: HARMLESS,
    }
    WAL_PRESENT: Note "wal-present" {
        meaning: "the newest transactions are in the `-wal` file and not yet in the database file",
        advice: "never copy or move the database file alone; copy it with SQLite",
        remedy: Snapshot,
        why_not: HARMLESS,
    }
    WAL_STRAY: Warning "wal-stray" {
        meaning: "SQLite reads the `-wal` file as part of the database. It may come from another database of that \
            name, or from an incomplete copy",
        advice: "find the origin of the file before any program writes; \
            if the database is complete without it, move it away",
        why_not: "the file may hold the newest transactions",
    }
    SHM_STRAY: Note "shm-stray" {
        meaning: "Optuna ignores the file: it is the index of a write-ahead log that is gone",
        advice: "delete the file when no process has the database open",
        why_not: MAY_BE_REMOTE,
    }
    JOURNAL_WAL: Note "journal-wal" {
        meaning: "readers and writers do not wait for each other; this works only between processes of one machine",
        advice: "on a file system that several machines use, leave WAL mode",
        remedy: LeaveWal,
        why_not: "the user chooses the journal mode",
    }
    NOT_WRITABLE: Warning "not-writable" {
        meaning: "Optuna opens the database and fails on the first write: SQLite keeps its journal beside the file",
        advice: "correct the permissions with `chmod`, or the options of the mount",
        why_not: "the owner decides on permissions",
    }
    CREATION_LEFTOVER: Note "creation-leftover" {
        meaning: "Optuna ignores the file: a job started to create a database and did not finish",
        advice: "delete the file",
        why_not: MAY_BE_REMOTE,
    }
    SPOOL_ENTRIES: Warning "spool-entries" {
        meaning: "results of finished trials are in the spool and not in the database: \
            Optuna shows their trials as RUNNING",
        advice: "merge the results",
        remedy: Sync,
        why_not: "another command merges results",
    }
    LOCK_FILE: Note "lock-file" {
        meaning: "processes of trialbox take turns by this file, because SQLite's locks may not reach all of \
            them; Optuna ignores it; the next job breaks the lock of a dead process",
        advice: "nothing to do; where all jobs run on one machine now, SQLite's locks suffice",
        remedy: RetireLock,
        why_not: MAY_BE_REMOTE,
    }

    // The schema.
    FOREIGN_SCHEMA: Error "foreign-schema" {
        meaning: "Optuna would add its tables to the database of another program",
        advice: "choose another database",
        remedy: ChooseDatabase,
        why_not: NOT_A_ROW,
    }
    REVISION_OLDER: Error "revision-older" {
        meaning: "Optuna 3.2 and later refuse to open the database",
        advice: "make a copy, then upgrade the database with Optuna",
        remedy: Upgrade,
        why_not: "Optuna upgrades databases",
    }
    REVISION_UNKNOWN: Error "revision-unknown" {
        meaning: "Optuna 5.0 refuses to open the database and asks for a newer Optuna",
        advice: "use the version of Optuna that created the database, or a newer trialbox",
        why_not: NOT_A_ROW,
    }
    REVISION_MLFLOW: Error "revision-mlflow" {
        meaning: "Optuna and MLflow keep their revisions in one table of this database, and Optuna refuses it",
        advice: "give each program a database of its own; \
            to read the studies, write `v3.2.0.a` into `alembic_version` of a copy",
        why_not: "MLflow refuses the revision of Optuna",
    }
    REVISION_TWICE: Error "revision-twice" {
        meaning: "Optuna fails to open the database: its migrations allow one revision",
        advice: "find out which revision the tables have, and delete the other row of `alembic_version`",
        why_not: "the rows do not say which revision the tables have",
    }
    REVISION_MISSING: Note "revision-missing" {
        meaning: "Optuna writes the revision the next time it opens the database",
        advice: NO_ACTION,
        why_not: "Optuna and trialbox write it when they open the database",
    }
    VERSION_INFO_MISSING: Warning "version-info-missing" {
        meaning: "Optuna writes its own version the next time it opens the database; \
            the version that created the tables is lost",
        advice: "open the database once with Optuna",
        why_not: "Optuna writes it when it opens the database",
    }
    TABLE_MISSING: Error "table-missing" {
        meaning: "trialbox refuses the database; Optuna creates the missing table, empty, the next time it opens \
            the database",
        advice: "restore a copy if the table held rows; else open the database once with Optuna",
        why_not: "its rows are lost",
    }
    COLUMN_MISSING: Error "column-missing" {
        meaning: "Optuna fails on every query of the table",
        advice: "restore a copy, or add the column by hand",
        why_not: NOT_A_ROW,
    }
    GUARD_MISSING: Note "guard-missing" {
        meaning: "two Python workers can take the same enqueued trial, and two reapers can requeue the same lost one",
        advice: "create the trigger, or accept its absence",
        remedy: CreateGuard,
        why_not: "its absence was accepted",
    }

    GUARD_ALTERED: Error "guard-altered" {
        meaning: "trialbox refuses the database: a trigger of that name must reject illegal changes of a trial's state",
        advice: "let a repair create the trigger anew",
        remedy: CreateGuard,
        why_not: "another finding prevents repairs",
    }
    TRIGGER_UNKNOWN: Error "trigger-unknown" {
        meaning: "trialbox refuses the database; Optuna lets SQLite run the trigger, \
            which can change or drop results without an error",
        advice: "if no program needs the trigger, drop it with `sqlite3`",
        why_not: "only the user knows which program needs it",
    }
    VIEW_UNKNOWN: Error "view-unknown" {
        meaning: "trialbox refuses the database; a view in the place of a table can compute for ever",
        advice: "if no program needs the view, drop it with `sqlite3`",
        why_not: "only the user knows which program needs it",
    }
    TABLE_ALTERED: Error "table-altered" {
        meaning: "trialbox refuses the database; with Optuna, SQLite computes columns or expressions of others, \
            or drops rows without an error",
        advice: "drop the index, or copy the rows into the tables of a new database",
        why_not: NOT_A_ROW,
    }

    // The whole database.
    INTEGRITY: Error "integrity" {
        meaning: "some queries fail or return wrong rows, depending on the damaged page",
        advice: "copy the database with its `-wal` and `-journal` files, then recover the rows from the copy",
        remedy: RecoverRows,
        why_not: NOT_A_ROW,
    }
    ORPHAN_ROWS: Warning "orphan-rows" {
        meaning: "Optuna ignores the rows today; SQLite reuses ids, and a later trial of that id inherits the rows",
        advice: "delete the rows by hand when no process writes",
        why_not: "they may be the last trace of a deleted study",
    }
    TEXT_NOT_UTF8: Error "text-not-utf8" {
        meaning: WHOLE_STUDY,
        advice: "write the text anew by hand",
        why_not: NOT_IN_ROW,
    }
    WRONG_TYPE: Error "wrong-type" {
        meaning: "Optuna returns a value of another type than its users expect, or fails to load the study; \
            trialbox refuses the study",
        advice: "correct the row by hand",
        why_not: NOT_IN_ROW,
    }
    NAME_NULL: Warning "name-null" {
        meaning: "Optuna reads the row under the name None; trialbox leaves it out",
        advice: "write a name, or delete the row",
        why_not: NOT_IN_ROW,
    }
    NAME_TOO_LONG: Warning "name-too-long" {
        meaning: "Optuna reads it on SQLite; PostgreSQL and MySQL refuse more than 512 characters, \
            so the study cannot move there",
        advice: "use shorter names",
        why_not: "programs refer to the name",
    }

    // Studies.
    DIRECTION_UNKNOWN: Error "direction-unknown" {
        meaning: "Optuna fails to list the studies, this one and all others",
        advice: "write MINIMIZE or MAXIMIZE",
        why_not: NOT_IN_ROW,
    }
    DIRECTION_NOT_SET: Error "direction-not-set" {
        meaning: "Optuna loads the study and cannot determine its best trial; trialbox refuses the study",
        advice: "write MINIMIZE or MAXIMIZE",
        why_not: NOT_IN_ROW,
    }
    DIRECTIONS_MISSING: Warning "directions-missing" {
        meaning: "Optuna loads the study without objectives: there is no best trial, and every result is refused",
        advice: "add a row to `study_directions` for each objective",
        why_not: NOT_IN_ROW,
    }
    DIRECTIONS_GAP: Warning "directions-gap" {
        meaning: "Optuna counts the rows and takes them in order: directions apply to other objectives than intended",
        advice: "number the objectives from 0",
        why_not: NOT_IN_ROW,
    }
    DIRECTIONS_ORDER: Warning "directions-order" {
        meaning: "lists of studies, in the dashboard too, show the directions in another order than the study itself",
        advice: "insert the rows anew, in the order of the objectives",
        why_not: "a running worker may have read them",
    }

    // Trials.
    NUMBER_NULL: Error "number-null" {
        meaning: WHOLE_STUDY,
        advice: NUMBER_BY_HAND,
        why_not: "another trial has the number that follows from the ids",
    }
    NUMBER_NOT_INTEGER: Error "number-not-integer" {
        meaning: WHOLE_STUDY,
        advice: NUMBER_BY_HAND,
        why_not: NOT_IN_ROW,
    }
    NUMBER_OUT_OF_RANGE: Error "number-out-of-range" {
        meaning: "Optuna reads the number; trialbox refuses the study",
        advice: NUMBER_BY_HAND,
        why_not: HISTORY,
    }
    NUMBER_DUPLICATE: Warning "number-duplicate" {
        meaning: "Optuna shows one of the trials and hides the others",
        advice: "give each trial its own number when no process uses the study",
        why_not: HISTORY,
    }
    NUMBER_GAP: Warning "number-gap" {
        meaning: "Optuna's command `best-trial` shows the wrong trial or fails",
        advice: "if that matters, copy the study: copying numbers the trials anew",
        remedy: CopyStudy,
        why_not: HISTORY,
    }
    NUMBER_ORDER: Warning "number-order" {
        meaning: "Optuna takes larger ids for later trials and can miss some when it reads only new ones",
        advice: "copy the study: copying numbers the trials anew",
        remedy: CopyStudy,
        why_not: HISTORY,
    }
    STATE_UNKNOWN: Error "state-unknown" {
        meaning: WHOLE_STUDY,
        advice: "write RUNNING, COMPLETE, PRUNED, FAIL or WAITING",
        why_not: NOT_IN_ROW,
    }
    DATETIME_TYPE: Error "datetime-type" {
        meaning: WHOLE_STUDY,
        advice: TIME_BY_HAND,
        why_not: "the unit and the epoch of the number are unknown",
    }
    DATETIME_UNREADABLE: Error "datetime-unreadable" {
        meaning: WHOLE_STUDY,
        advice: TIME_BY_HAND,
        why_not: NOT_IN_ROW,
    }
    DATETIME_OFFSET: Warning "datetime-offset" {
        meaning: "Optuna drops the offset and takes the rest for UTC: the time is wrong by the offset",
        advice: "write the time in UTC, without an offset",
        why_not: HISTORY,
    }
    DATETIME_ORDER: Warning "datetime-order" {
        meaning: "the trial's duration is negative: `duration` in data frames and plots is wrong",
        advice: "compare the clocks of the machines",
        why_not: HISTORY,
    }
    DATETIME_MISSING: Note "datetime-missing" {
        meaning: "Optuna reads the trial and refuses to copy it into another study",
        advice: NO_ACTION,
        why_not: HISTORY,
    }
    DATETIME_LOCAL: Note "datetime-local" {
        meaning: "Optuna 4.9 and older wrote the local time of the worker, Optuna 5 reads UTC: \
            old trials may appear shifted by the time zone",
        advice: NO_ACTION,
        why_not: "the rows do not say which kind of time they hold",
    }
    DATETIME_MIXED: Warning "datetime-mixed" {
        meaning: "some times look like local time of Optuna 4.9 or older: Optuna 5 shows them shifted by the time zone",
        advice: "use one version of Optuna for one study",
        why_not: "the rows do not say which kind of time they hold",
    }

    // Values.
    FINITE_NULL: Error "finite-null" {
        meaning: WHOLE_STUDY,
        advice: "write the value, or delete the row and set the trial to FAIL",
        why_not: "a COMPLETE trial needs its value",
    }
    INFINITE_WITH_VALUE: Error "infinite-with-value" {
        meaning: WHOLE_STUDY,
        advice: CLEAR_OR_FINITE,
        why_not: NOT_IN_ROW,
    }
    VALUE_NAN: Error "value-nan" {
        meaning: WHOLE_STUDY,
        advice: "delete the row and set the trial to FAIL",
        why_not: "a COMPLETE trial needs its value",
    }
    VALUE_TYPE_UNKNOWN: Error "value-type-unknown" {
        meaning: WHOLE_STUDY,
        advice: "write FINITE, INF_POS or INF_NEG",
        why_not: NOT_IN_ROW,
    }
    OBJECTIVE_GAP: Error "objective-gap" {
        meaning: WHOLE_STUDY,
        advice: "delete the row, or write the missing ones, numbered from 0",
        why_not: NOT_IN_ROW,
    }
    OBJECTIVE_NEGATIVE: Error "objective-negative" {
        meaning: "Optuna counts from the last objective; trialbox refuses the study",
        advice: "write the objective counted from 0",
        why_not: NOT_IN_ROW,
    }
    VALUE_TEXT: Error "value-text" {
        meaning: "Optuna returns a string instead of a number, and sorting trials fails; trialbox refuses the study",
        advice: "write the number",
        why_not: NOT_IN_ROW,
    }
    COMPLETE_WITHOUT_VALUES: Warning "complete-without-values" {
        meaning: "Optuna loads the study, but its best trial and most samplers fail",
        advice: "set the trial to FAIL",
        why_not: HISTORY,
    }
    VALUE_COUNT: Warning "value-count" {
        meaning: "Optuna loads the study, but its best trials and most samplers fail",
        advice: "set the trial to FAIL, or write the missing values",
        why_not: HISTORY,
    }
    FAIL_WITH_VALUES: Warning "fail-with-values" {
        meaning: "Optuna loads the study, and refuses to copy the trial into another",
        advice: "delete the values before copying",
        why_not: HISTORY,
    }
    UNFINISHED_WITH_VALUES: Warning "unfinished-with-values" {
        meaning: "Optuna's worker can no longer record the result of the trial",
        advice: "delete the values when no worker runs the trial",
        why_not: MAY_BE_REMOTE,
    }
    INTERMEDIATE_FINITE_NULL: Error "intermediate-finite-null" {
        meaning: WHOLE_STUDY,
        advice: "if the objective reported NaN, write the type NAN",
        why_not: NOT_IN_ROW,
    }
    INTERMEDIATE_INFINITE_WITH_VALUE: Error "intermediate-infinite-with-value" {
        meaning: WHOLE_STUDY,
        advice: CLEAR_OR_FINITE,
        why_not: NOT_IN_ROW,
    }
    INTERMEDIATE_NAN_WITH_VALUE: Error "intermediate-nan-with-value" {
        meaning: WHOLE_STUDY,
        advice: CLEAR_OR_FINITE,
        why_not: NOT_IN_ROW,
    }
    INTERMEDIATE_TYPE_UNKNOWN: Error "intermediate-type-unknown" {
        meaning: WHOLE_STUDY,
        advice: "write FINITE, INF_POS, INF_NEG or NAN",
        why_not: NOT_IN_ROW,
    }
    STEP_NEGATIVE: Note "step-negative" {
        meaning: "Optuna reads the step, though its `report` refuses to write it",
        advice: NO_ACTION,
        why_not: HARMLESS,
    }

    // Parameters.
    PARAM_NOT_A_NUMBER: Error "param-not-a-number" {
        meaning: WHOLE_STUDY,
        advice: "write the value in internal representation: a number, or the index of the choice",
        why_not: NOT_IN_ROW,
    }
    PARAM_ODD: Warning "param-odd" {
        meaning: "Optuna returns None instead of a number, and samplers fail; trialbox shows `nan`",
        advice: "write the number",
        why_not: NOT_IN_ROW,
    }
    PARAM_TEXT: Error "param-text" {
        meaning: "Optuna returns a string instead of a number, and samplers fail; trialbox refuses the study",
        advice: "write the number",
        why_not: NOT_IN_ROW,
    }
    CHOICE_OUT_OF_RANGE: Error "choice-out-of-range" {
        meaning: WHOLE_STUDY,
        advice: "write the index of one of the choices, counted from 0",
        why_not: NOT_IN_ROW,
    }
    CHOICE_NEGATIVE: Warning "choice-negative" {
        meaning: "Optuna and trialbox count from the end of the choices; other programs may fail",
        advice: "write the index counted from 0",
        why_not: NOT_IN_ROW,
    }
    PARAM_OUT_OF_RANGE: Note "param-out-of-range" {
        meaning: "Optuna reads the value: a user may enqueue any value",
        advice: NO_ACTION,
        why_not: HARMLESS,
    }
    DISTRIBUTION_JSON: Error "distribution-json" {
        meaning: WHOLE_STUDY,
        advice: "write the distribution in Optuna's JSON format",
        why_not: NOT_IN_ROW,
    }
    DISTRIBUTION_UNKNOWN: Error "distribution-unknown" {
        meaning: WHOLE_STUDY,
        advice: "write FloatDistribution, IntDistribution or CategoricalDistribution",
        why_not: NOT_IN_ROW,
    }
    DISTRIBUTION_ATTRIBUTE: Error "distribution-attribute" {
        meaning: WHOLE_STUDY,
        advice: "keep only Optuna's own attributes: low, high, log and step, or choices",
        why_not: NOT_IN_ROW,
    }
    DISTRIBUTION_RANGE: Error "distribution-range" {
        meaning: WHOLE_STUDY,
        advice: "write a `low` that is not above `high`",
        why_not: NOT_IN_ROW,
    }
    DISTRIBUTION_INEXACT: Warning "distribution-inexact" {
        meaning: "Optuna reads the range, but integers beyond 2^53 are rounded in the database",
        advice: "use smaller integers",
        why_not: HARMLESS,
    }
    DISTRIBUTION_LEGACY: Note "distribution-legacy" {
        meaning: "Optuna 3 and later take it for another distribution than today's: \
            a parameter of that name can no longer be suggested",
        advice: "make a copy, then upgrade the database with Optuna",
        remedy: Upgrade,
        why_not: "Optuna upgrades databases",
    }
    DISTRIBUTIONS_INCOMPATIBLE: Warning "distributions-incompatible" {
        meaning: "a worker that suggests the parameter may fail, depending on the trial that it compares with",
        advice: "use another name or another study for another distribution",
        why_not: HISTORY,
    }

    // Attributes.
    ATTRIBUTE_NOT_JSON: Error "attribute-not-json" {
        meaning: WHOLE_STUDY,
        advice: "write JSON, or delete the row",
        why_not: NOT_IN_ROW,
    }
    ATTRIBUTE_NESTED: Error "attribute-nested" {
        meaning: "Optuna reads it; trialbox refuses more than 128 levels of nesting",
        advice: "store large structures in a file, and delete the row",
        why_not: NOT_IN_ROW,
    }

    // Running, waiting and requeued trials.
    STUCK_RUNNING: Warning "stuck-running" {
        meaning: "the trial stays RUNNING: Optuna fails it only if it has a heartbeat and a worker checks heartbeats",
        advice: "fail the trial and requeue it",
        remedy: Reap,
        why_not: "the death of its worker is not proven",
    }
    RUNNING_SILENT: Warning "running-silent" {
        meaning: "the last heartbeat is older than the grace; a worker that checks heartbeats fails the trial",
        advice: "if its job has ended (`squeue -j JOB`), fail the trial and requeue it",
        remedy: Reap,
        why_not: MAY_BE_REMOTE,
    }
    RUNNING_WITHOUT_HEARTBEAT: Note "running-without-heartbeat" {
        meaning: "the database does not show whether the trial has a worker; Optuna never fails it",
        advice: "if no worker runs it, set it to FAIL: study.tell(number, state=FAIL)",
        why_not: MAY_BE_REMOTE,
    }
    HEARTBEAT_UNREADABLE: Warning "heartbeat-unreadable" {
        meaning: "workers that check heartbeats fail at every trial",
        advice: "delete the row of `trial_heartbeats`",
        why_not: NOT_IN_ROW,
    }
    OWNER_UNREADABLE: Note "owner-unreadable" {
        meaning: "Optuna ignores the attribute: only trialbox reads it",
        advice: NO_ACTION,
        why_not: NOT_IN_ROW,
    }
    FIXED_PARAMS_UNUSABLE: Warning "fixed-params-unusable" {
        meaning: "the worker that takes the trial fails when it suggests the parameter",
        advice: "enqueue it anew with a value that the parameter can take, and set this one to FAIL",
        why_not: NOT_IN_ROW,
    }
    FIXED_PARAM_OUT_OF_RANGE: Note "fixed-param-out-of-range" {
        meaning: "Optuna warns and uses the value unchanged",
        advice: NO_ACTION,
        why_not: HARMLESS,
    }
    RETRY_DUPLICATE: Warning "retry-duplicate" {
        meaning: "one lost trial was requeued more than once: its parameters use the budget twice",
        advice: "set the surplus WAITING trials to FAIL",
        why_not: "a worker may be about to take one of them",
    }
    RETRY_INCONSISTENT: Warning "retry-inconsistent" {
        meaning: "the retry limit counts wrongly: lost trials are requeued too often or too rarely",
        advice: NO_ACTION,
        why_not: HISTORY,
    }

    // The machine.
    NETWORK_LOCKS: Warning "network-locks" {
        meaning: "Optuna relies on SQLite's locks, which may not reach other machines here: \
            rows are lost or the file is damaged, without an error",
        advice: "write from one machine only, use a server database for Python workers, or a lock file for trialbox",
        remedy: LockFile,
        why_not: "the file system decides on locks",
    }
    WAL_ON_NETWORK: Error "wal-on-network" {
        meaning: "the write-ahead log works between the processes of one machine only: \
            with two machines, rows are lost without an error",
        advice: "when no process has the database open, leave WAL mode",
        remedy: LeaveWal,
        why_not: "a process on another machine may have the database open",
    }
    MOUNT_UNKNOWN: Note "mount-unknown" {
        meaning: "SQLite's locks were never tested on this file system",
        advice: "use a known file system, or write from one machine only",
        why_not: HARMLESS,
    }
    DISK_FULL: Warning "disk-full" {
        meaning: "the next write may fail: Optuna's worker then ends with an error, and its trial stays RUNNING",
        advice: "free some space",
        why_not: "the user decides which files can be deleted",
    }
}
