//! Every kind of finding: its stable code, how bad it is, what it means for Python's readers, what to do, and
//! why it is left alone where nothing proves what the right contents would be.

use super::{
    Kind,
    Severity::{Error, Note, Warning},
};

const SAYS_NOTHING: &str = "the row does not say what it should have been";
const HARMLESS: &str = "nobody stumbles over it";
const NOT_IN_PLACE: &str = "what is broken is more than a row";
pub(super) const UNSOUND: &str = "the database itself is damaged, or of another revision";
const OTHERS: &str = "it may belong to a process on another machine";
const HISTORY: &str =
    "readers keep finished trials for good, so what they have seen is never changed";
const EVERYTHING: &str = "no program can read the database's studies";
const WHOLE_STUDY: &str = "Optuna fails to load the whole study";

macro_rules! kinds {
    ($($name:ident $code:literal $severity:ident $meaning:expr, $advice:expr, $why_not:expr;)*) => {
        $(pub(super) static $name: Kind = Kind {
            code: $code, severity: $severity, meaning: $meaning, advice: $advice, why_not: $why_not,
        };)*

        /// All of them, for documentation and tests.
        pub(super) static ALL: &[&Kind] = &[$(&$name),*];
    };
}

kinds! {
    // The file.
    MISSING_FILE "missing-file" Error EVERYTHING, "see whether --storage names the right path; `trialbox study create` makes a database", "there is nothing to repair";
    ZERO_LENGTH "zero-length" Error "Optuna takes it for a new database and fills it with empty tables: what was in it is gone", "restore a copy, or delete the file and begin again", "there is nothing in it to repair";
    NOT_A_DATABASE "not-a-database" Error EVERYTHING, "choose another --storage, or restore a copy", NOT_IN_PLACE;
    UNREADABLE_FILE "unreadable-file" Error EVERYTHING, "see to the permissions of the file and its folder, then ask again", NOT_IN_PLACE;
    LOCKED "locked" Error "Optuna gives up after 5 seconds of waiting", "see who holds the file with `fuser`, or ask again with a longer --storage-timeout", "it could not be read";
    HOT_JOURNAL "hot-journal" Warning "the next program that writes here takes back a half-written transaction, as it should; a program that may only read fails", "open the database once with write access, for example with `trialbox study list`; never delete the journal", "rolling back is for whoever opens the database next";
    JOURNAL_PRESENT "journal-present" Note "somebody is writing at this moment", "nothing; if nobody is, open the database once with write access", HARMLESS;
    WAL_PRESENT "wal-present" Note "the newest transactions are in the `-wal` file, not yet in the database file", "never copy or move the database file alone: use `trialbox study snapshot` or sqlite3's `.backup`", HARMLESS;
    WAL_STRAY "wal-stray" Warning "SQLite reads the `-wal` file as part of the database, which it may not be: it is left from another file of that name, or the database was copied without care", "find out where the file comes from before anybody writes; if the database is complete without it, move it away", "it may hold the newest transactions";
    SHM_STRAY "shm-stray" Note "none: it is an index of a write-ahead log that is gone", "delete it, when nobody has the database open", OTHERS;
    JOURNAL_WAL "journal-wal" Note "readers and writers do not wait for each other; it works as long as all of them are on one machine", "on a file system that machines share: sqlite3 FILE 'PRAGMA journal_mode=DELETE'", "it was somebody's choice";
    NOT_WRITABLE "not-writable" Warning "Optuna opens it, and fails as soon as it writes: SQLite keeps its journal beside the database", "see to the permissions, with `chmod` or on the mount", "permissions are their owner's decision";
    CREATION_LEFTOVER "creation-leftover" Note "none: it is a database that a job began to make and did not finish", "delete it", OTHERS;
    SPOOL_ENTRIES "spool-entries" Warning "results of finished trials lie beside the database and not in it: Optuna shows their trials as running", "merge them: trialbox study sync", "merging is `trialbox study sync`'s work";
    LOCK_FILE "lock-file" Note "Optuna does not look at it", "nothing, if a job is using the database; a lock whose holder is dead is broken by the next job", OTHERS;

    // The schema.
    FOREIGN_SCHEMA "foreign-schema" Error "Optuna would add its tables to somebody else's", "choose another --storage", NOT_IN_PLACE;
    REVISION_OLDER "revision-older" Error "Optuna 3.2 and later refuse to open it", "make a copy, then: optuna storage upgrade --storage URL", "an upgrade is Optuna's work";
    REVISION_UNKNOWN "revision-unknown" Error "Optuna 5.0 refuses to open it and asks for a newer Optuna", "use the Optuna that made it, or a newer trialbox", NOT_IN_PLACE;
    REVISION_TWICE "revision-twice" Error "Optuna fails to open it: its migrations allow one revision", "find out which revision the tables have, and delete the other row of `alembic_version`", "nothing says which of them is true";
    REVISION_MISSING "revision-missing" Note "Optuna writes the revision itself the next time it opens the database", "nothing", "Optuna and trialbox do it when they open the database";
    VERSION_INFO_MISSING "version-info-missing" Warning "Optuna writes its own version the next time it opens the database; what made the tables is not known any more", "open it once with Optuna", "Optuna does it when it opens the database";
    TABLE_MISSING "table-missing" Warning "Optuna makes the missing table, empty, the next time it opens the database; what was in it is gone", "restore a copy, if it held anything", "its rows are gone";
    COLUMN_MISSING "column-missing" Error "Optuna fails on every query of the table", "restore a copy, or add the column by hand", NOT_IN_PLACE;
    GUARD_MISSING "guard-missing" Note "of several Python workers, two can take the same enqueued trial, and two reapers can retry the same lost one", "let trialbox doctor --repair make it, or pass --no-guard if it was left out on purpose", "it was left out on purpose";

    // The whole database.
    INTEGRITY "integrity" Error "some queries fail or give wrong answers; which, depends on the damaged page", "make a copy of all its files, then try: sqlite3 COPY .recover", NOT_IN_PLACE;
    ORPHAN_ROWS "orphan-rows" Warning "none today; but SQLite gives ids out again, and a later trial of that id inherits the rows", "delete them by hand, when nobody writes", "they may be all that is left of a deleted study";
    TEXT_NOT_UTF8 "text-not-utf8" Error WHOLE_STUDY, "write the text anew by hand", SAYS_NOTHING;
    WRONG_TYPE "wrong-type" Warning "Optuna hands out a value of another type than its users expect, or fails to load the study", "correct the row by hand", SAYS_NOTHING;
    NAME_TOO_LONG "name-too-long" Warning "none on SQLite; PostgreSQL and MySQL refuse more than 512 characters, so the study cannot move there", "use shorter names", "programs know the name";

    // Studies.
    DIRECTION_UNKNOWN "direction-unknown" Error "Optuna fails to list the studies, this one and all others", "write MINIMIZE or MAXIMIZE", SAYS_NOTHING;
    DIRECTION_NOT_SET "direction-not-set" Warning "Optuna loads the study, and cannot say which of its trials is best", "write MINIMIZE or MAXIMIZE", SAYS_NOTHING;
    DIRECTIONS_MISSING "directions-missing" Warning "Optuna loads the study as one without objectives: no best trial, no result is accepted", "add a row to `study_directions` for each objective", SAYS_NOTHING;
    DIRECTIONS_GAP "directions-gap" Warning "Optuna counts the rows and takes them in order: directions move to other objectives than they were written for", "number the objectives from 0", SAYS_NOTHING;
    DIRECTIONS_ORDER "directions-order" Warning "lists of studies, in the dashboard too, show the directions in another order than the study itself", "insert the rows anew, in the order of the objectives", "a running worker may have read them";

    // Trials.
    NUMBER_NULL "number-null" Error WHOLE_STUDY, "write the count of the study's trials with smaller ids", "another trial has the number that counting gives";
    NUMBER_NOT_INTEGER "number-not-integer" Error WHOLE_STUDY, "write the count of the study's trials with smaller ids", SAYS_NOTHING;
    NUMBER_DUPLICATE "number-duplicate" Warning "Optuna shows one of the trials and hides the others", "give each trial its own number, when nobody uses the study", HISTORY;
    NUMBER_GAP "number-gap" Warning "Optuna's command `best-trial` picks the wrong trial or fails", "nothing, or copy the study: copying numbers the trials anew", HISTORY;
    NUMBER_ORDER "number-order" Warning "Optuna takes later ids for later trials and can miss some when it reads only what is new", "copy the study: copying numbers the trials anew", HISTORY;
    STATE_UNKNOWN "state-unknown" Error WHOLE_STUDY, "write RUNNING, COMPLETE, PRUNED, FAIL or WAITING", SAYS_NOTHING;
    DATETIME_TYPE "datetime-type" Error WHOLE_STUDY, "write the time as text, in UTC: 2026-11-23 19:21:59.597739", "a number does not say whether it counts seconds, and from when";
    DATETIME_UNREADABLE "datetime-unreadable" Error WHOLE_STUDY, "write the time as text, in UTC: 2026-11-23 19:21:59.597739", SAYS_NOTHING;
    DATETIME_OFFSET "datetime-offset" Warning "Optuna drops the offset and takes the rest for UTC: the time is wrong by the offset", "write the time in UTC, without offset", HISTORY;
    DATETIME_ORDER "datetime-order" Warning "the trial's duration is negative: `duration` in data frames and plots is wrong", "nothing; see whether the machines' clocks agree", HISTORY;
    DATETIME_MISSING "datetime-missing" Note "Optuna reads it, but refuses to copy the trial into another study", "nothing", HISTORY;
    DATETIME_LOCAL "datetime-local" Note "Optuna 4.9 and older wrote the local time of the worker, Optuna 5 reads UTC: old trials may appear shifted", "nothing; keep it in mind when you compare times", "no row says which kind of time it holds";
    DATETIME_MIXED "datetime-mixed" Warning "some times look like local time of Optuna 4.9 or older: Optuna 5 shows them shifted by the time zone", "nothing; use one version of Optuna for one study", "no row says which kind of time it holds";

    // Values.
    FINITE_NULL "finite-null" Error WHOLE_STUDY, "write the value, or delete the row and set the trial to FAIL", "without its value a COMPLETE trial is none";
    INFINITE_WITH_VALUE "infinite-with-value" Error WHOLE_STUDY, "set the number to NULL, or write the type FINITE", SAYS_NOTHING;
    VALUE_NAN "value-nan" Error WHOLE_STUDY, "delete the row and set the trial to FAIL", "without its value a COMPLETE trial is none";
    VALUE_TYPE_UNKNOWN "value-type-unknown" Error WHOLE_STUDY, "write FINITE, INF_POS or INF_NEG", SAYS_NOTHING;
    OBJECTIVE_GAP "objective-gap" Error WHOLE_STUDY, "delete the row, or write the missing ones, numbered from 0", SAYS_NOTHING;
    VALUE_TEXT "value-text" Warning "Optuna hands out a string for a number, and sorting trials fails", "write the number", SAYS_NOTHING;
    COMPLETE_WITHOUT_VALUES "complete-without-values" Warning "Optuna loads the study, but its best trial and most samplers fail", "set the trial to FAIL", HISTORY;
    VALUE_COUNT "value-count" Warning "Optuna loads the study, but its best trials and most samplers fail", "set the trial to FAIL, or write the missing values", HISTORY;
    FAIL_WITH_VALUES "fail-with-values" Warning "Optuna loads the study, but refuses to copy the trial into another", "nothing, or delete the values", HISTORY;
    UNFINISHED_WITH_VALUES "unfinished-with-values" Warning "Optuna's worker cannot record the trial's own result any more", "delete the values, when nobody runs the trial", OTHERS;
    INTERMEDIATE_FINITE_NULL "intermediate-finite-null" Error WHOLE_STUDY, "if the objective reported NaN, write the type NAN", SAYS_NOTHING;
    INTERMEDIATE_INFINITE_WITH_VALUE "intermediate-infinite-with-value" Error WHOLE_STUDY, "set the number to NULL, or write the type FINITE", SAYS_NOTHING;
    INTERMEDIATE_NAN_WITH_VALUE "intermediate-nan-with-value" Error WHOLE_STUDY, "write either the type FINITE or NULL for the number", SAYS_NOTHING;
    INTERMEDIATE_TYPE_UNKNOWN "intermediate-type-unknown" Error WHOLE_STUDY, "write FINITE, INF_POS, INF_NEG or NAN", SAYS_NOTHING;
    STEP_NEGATIVE "step-negative" Note "Optuna reads it, though its `report` refuses to write it", "nothing", HARMLESS;

    // Parameters.
    PARAM_NOT_A_NUMBER "param-not-a-number" Error WHOLE_STUDY, "write the value in internal representation: a number, or the index of the choice", SAYS_NOTHING;
    PARAM_ODD "param-odd" Warning "Optuna hands out None or a string for a number, and samplers fail", "write the number", SAYS_NOTHING;
    CHOICE_OUT_OF_RANGE "choice-out-of-range" Error WHOLE_STUDY, "write the index of one of the choices, counted from 0", SAYS_NOTHING;
    CHOICE_NEGATIVE "choice-negative" Warning "Optuna counts from the end of the choices, trialbox refuses the row", "write the index counted from 0", SAYS_NOTHING;
    PARAM_OUT_OF_RANGE "param-out-of-range" Note "none: a user may enqueue such a value", "nothing", HARMLESS;
    DISTRIBUTION_JSON "distribution-json" Error WHOLE_STUDY, "write the distribution as Optuna does", SAYS_NOTHING;
    DISTRIBUTION_UNKNOWN "distribution-unknown" Error WHOLE_STUDY, "write FloatDistribution, IntDistribution or CategoricalDistribution", SAYS_NOTHING;
    DISTRIBUTION_ATTRIBUTE "distribution-attribute" Error WHOLE_STUDY, "leave only Optuna's own attributes in it: low, high, log and step, or choices", SAYS_NOTHING;
    DISTRIBUTION_RANGE "distribution-range" Error WHOLE_STUDY, "write a range that is one", SAYS_NOTHING;
    DISTRIBUTION_INEXACT "distribution-inexact" Warning "Optuna reads it, but integers beyond 2^53 are rounded in the database", "use smaller integers", HARMLESS;
    DISTRIBUTION_LEGACY "distribution-legacy" Note "Optuna 3 and later treat it as another kind than today's: the same name cannot be suggested any more", "make a copy, then: optuna storage upgrade --storage URL", "an upgrade is Optuna's work";
    DISTRIBUTIONS_INCOMPATIBLE "distributions-incompatible" Warning "a worker that suggests the parameter fails or not, depending on which trial it compares with", "use another name, or another study, for another distribution", HISTORY;

    // Attributes.
    ATTRIBUTE_NOT_JSON "attribute-not-json" Error WHOLE_STUDY, "write JSON, or delete the row", SAYS_NOTHING;
    ATTRIBUTE_NESTED "attribute-nested" Warning "Optuna reads it; trialbox refuses more than 128 levels of nesting", "store large structures elsewhere", HARMLESS;

    // Trials that wait, run or were retried.
    STUCK_RUNNING "stuck-running" Warning "the trial stays RUNNING for ever: Optuna ends it only if it has a heartbeat and a worker asks for heartbeats", "trialbox reap ends it and retries it", "it is not certain that its process is gone";
    RUNNING_SILENT "running-silent" Warning "no sign of life for longer than the grace; a worker that asks for heartbeats ends it", "if the job is gone (squeue -j JOB): trialbox reap", OTHERS;
    RUNNING_WITHOUT_HEARTBEAT "running-without-heartbeat" Note "nobody can tell whether it is running; Optuna never ends it", "if no worker runs it any more, set it to FAIL: study.tell(number, state=FAIL)", OTHERS;
    HEARTBEAT_UNREADABLE "heartbeat-unreadable" Warning "workers that ask for heartbeats fail at every trial", "delete the row of `trial_heartbeats`", SAYS_NOTHING;
    OWNER_UNREADABLE "owner-unreadable" Note "none: the attribute is trialbox's", "nothing", SAYS_NOTHING;
    FIXED_PARAMS_UNUSABLE "fixed-params-unusable" Warning "the worker that takes the trial fails as soon as it suggests the parameter", "enqueue it anew with a value that the parameter can take, and set this one to FAIL", SAYS_NOTHING;
    FIXED_PARAM_OUT_OF_RANGE "fixed-param-out-of-range" Note "Optuna warns, and uses the value as it is", "nothing, if it is meant", HARMLESS;
    RETRY_DUPLICATE "retry-duplicate" Warning "one lost trial is retried more than once: the budget is spent twice on the same parameters", "set the surplus WAITING trials to FAIL", "somebody may be about to take one of them";
    RETRY_INCONSISTENT "retry-inconsistent" Warning "the retry limit counts wrongly: too many or too few retries", "nothing", HISTORY;

    // Where it lies.
    NETWORK_LOCKS "network-locks" Warning "Optuna trusts SQLite's locks, which may not reach other machines here: rows get lost, or the file is damaged, without an error", "let one machine write, or use --lock file for trialbox and a server database for Python workers", "it is the file system's property";
    WAL_ON_NETWORK "wal-on-network" Error "the write-ahead log works between the processes of one machine only: with two, rows are lost without an error", "when nobody has it open: sqlite3 FILE 'PRAGMA journal_mode=DELETE'", "somebody on another machine may have it open";
    MOUNT_UNKNOWN "mount-unknown" Note "nobody knows whether SQLite's locks can be trusted on this file system", "prefer a file system that is known, or let one machine write", HARMLESS;
    DISK_FULL "disk-full" Warning "the next write may fail: Optuna's worker then ends with an error and its trial stays RUNNING", "free some space", "whose files could go is not trialbox's to say";
}
