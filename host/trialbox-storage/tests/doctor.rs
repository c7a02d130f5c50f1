//! Tests the findings of an examination and the effects of a repair.
//!
//! `doctor/cases.sql` lists bad rows and whether Optuna can read them. `tests/it` compares that list with Optuna.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trialbox_core::run::UnrecordedTrial;
use trialbox_core::seam::storage::{
    BeginTrial, Claim, Ending, Leases as _, Outcome, Reader as _, Studies as _, TrialBatch,
    TrialStart, Trials as _,
};
use trialbox_core::study::trial::{TrialId, parse_datetime};
use trialbox_core::{Json, StorageError, TrialNumber};
use trialbox_storage::doctor::{Finding, Fix, Options, Report, Severity, examine, kinds, repair};
use trialbox_storage::platform::process::{ProcessId, boot_id, host_name};
use trialbox_storage::spool::{Spool, SpooledResult};
use trialbox_storage::{LockMode, SqlStorage};

const CREATE: &str = include_str!("../src/create.sql");
const BASE: &str = include_str!("doctor/base.sql");
const CASES: &str = include_str!("doctor/cases.sql");

/// Findings about the machine that runs the tests.
const MACHINE: [&str; 3] = ["network-locks", "mount-unknown", "disk-full"];

struct Case {
    name: &'static str,
    code: &'static str,
    python_fails: bool,
    we_fail: bool,
    is_repaired: bool,
    /// The codes of other findings of the same rows.
    also: Vec<&'static str>,
    sql: String,
}

fn cases() -> Vec<Case> {
    let (host, boot_id) = (host_name(), boot_id().unwrap());
    let blocks = CASES.split("\n--- ").skip(1);
    blocks
        .map(|block| {
            let (head, sql) = block.split_once('\n').unwrap();
            let words: Vec<&str> = head.split_whitespace().collect();
            let [name, python, ours, repair, also @ ..] = &words[..] else { panic!("{head}") };
            assert!([python, ours].iter().all(|word| ["fails", "reads"].contains(word)), "{head}");
            assert!(["left", "repaired"].contains(repair), "{head}");
            Case {
                name,
                code: name.split('/').next().unwrap(),
                python_fails: *python == "fails",
                we_fail: *ours == "fails",
                is_repaired: *repair == "repaired",
                also: also.to_vec(),
                sql: sql
                    .replace("HOST", &host)
                    .replace("BOOT", &boot_id)
                    .replace("PIDS", &pid_namespace()),
            }
        })
        .collect()
}

fn options() -> Options {
    // Only this process has the files, so SQLite's locks are enough on every file system.
    let storage = trialbox_storage::Options { lock: LockMode::Sqlite, ..Default::default() };
    Options {
        storage,
        spool: None,
        grace: Duration::from_secs(300),
        now: parse_datetime("2026-11-24 02:00:00").unwrap(),
    }
}

/// Returns the options with a change in those of the storage.
fn with(change: impl Fn(&mut trialbox_storage::Options)) -> Options {
    let mut options = options();
    change(&mut options.storage);
    options
}

fn folder(test: &str) -> PathBuf {
    let folder = common::own_folder().join("doctor").join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Creates a database without findings, then executes `sql`.
fn database(test: &str, sql: &str) -> PathBuf {
    let path = folder(&test.replace('/', "_")).join("study.db");
    let connection = Connection::open(&path).unwrap();
    // Optuna does not enforce foreign keys. A test's database does not need to survive a power failure.
    let pragmas = "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF;";
    connection.execute_batch(&[pragmas, CREATE, BASE, sql].concat()).unwrap();
    path
}

/// Returns the findings about the database, without those about the machine.
fn about_database(report: &Report) -> Vec<&Finding> {
    let findings = report.findings.iter();
    findings.filter(|finding| !MACHINE.contains(&finding.kind.code)).collect()
}

fn codes(report: &Report) -> BTreeSet<&'static str> {
    about_database(report).iter().map(|finding| finding.kind.code).collect()
}

/// Returns the number of findings of a kind.
fn count(report: &Report, code: &str) -> usize {
    report.findings.iter().filter(|finding| finding.kind.code == code).count()
}

/// Returns the texts of the findings of a kind.
fn found<'a>(report: &'a Report, code: &str) -> Vec<&'a str> {
    let findings = report.findings.iter().filter(|finding| finding.kind.code == code);
    findings.map(|finding| finding.found.as_str()).collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn query<T: rusqlite::types::FromSql>(path: &Path, sql: &str) -> T {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_sound_database_gives_no_findings() {
    let path = database("sound", "");
    assert_eq!(examine(&path, &options()).findings.len(), codes_of_machine(&path));
    assert_eq!(codes(&examine(&path, &options())), BTreeSet::new());
}

fn codes_of_machine(path: &Path) -> usize {
    let report = examine(path, &options());
    report.findings.iter().filter(|finding| MACHINE.contains(&finding.kind.code)).count()
}

#[test]
fn each_bad_row_is_found_and_the_file_left_as_it_is() {
    let mut wrong = Vec::new();
    for case in cases() {
        let path = database(&format!("rows/{}", case.name), &case.sql);
        let before = fs::read(&path).unwrap();
        let found = codes(&examine(&path, &options()));
        let code = Some(case.code).filter(|code| *code != "none");
        let want: BTreeSet<&str> = case.also.iter().copied().chain(code).collect();
        if found != want {
            wrong.push(format!("{}: found {found:?}, wanted {want:?}", case.name));
        }
        assert_eq!(fs::read(&path).unwrap(), before, "{}", case.name);
        assert_eq!(names(path.parent().unwrap()).len(), 1, "{}", case.name);
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn what_python_or_trialbox_cannot_read_is_an_error_and_what_both_read_is_none() {
    for case in cases() {
        let kind = kinds().iter().find(|kind| kind.code == case.code);
        let is_error = kind.is_some_and(|kind| kind.severity == Severity::Error);
        assert_eq!(is_error, case.python_fails || case.we_fail, "{}", case.name);
        assert_eq!(kind.is_none(), case.code == "none", "{}", case.name);
    }
}

/// Uses a database as the commands do: lists, reads, and runs a trial of each study.
fn use_it(path: &Path) -> Result<(), StorageError> {
    let mut storage = SqlStorage::open_file(path, &options().storage)?;
    for summary in storage.list_studies()? {
        let study = storage.open_study(&summary.study.name)?;
        let trials = storage.trials(study.id)?;
        storage.history(study.id)?;
        storage.outcomes(study.id)?;
        storage.running_trials(study.id)?;
        if let Some(last) = trials.last() {
            storage.trial(study.id, last.number)?;
        }
        let now = options().now;
        let request =
            BeginTrial { owner: "o".into(), has_heartbeat: true, max_trials: None, at: now };
        let TrialStart::Begun(begun) = storage.begin_trial(study.id, &request)? else { continue };
        storage.record(&begun.claim, &TrialBatch::default())?;
        let ending = Ending::new(Outcome::Complete(vec![1.0; study.directions.len()]), now);
        storage.finish_trial(&begun.claim, &TrialBatch::default(), &ending)?;
    }
    Ok(())
}

#[test]
fn trialbox_uses_what_the_list_says_and_refuses_the_rest() {
    let mut wrong = Vec::new();
    for case in cases() {
        let path = database(&format!("ours/{}", case.name), &case.sql);
        let used = use_it(&path);
        if used.is_err() != case.we_fail {
            wrong.push(format!("{}: {used:?}", case.name));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_repair_mends_what_can_be_proven_and_nothing_else() {
    for case in cases() {
        let path = database(&format!("repair/{}", case.name), &case.sql);
        let before = fs::read(&path).unwrap();
        let repaired = repair(&path, &options()).unwrap();
        let left = codes(&repaired.report);
        let is_left = left.contains(case.code) || case.code == "none";
        assert_eq!(is_left, !case.is_repaired, "{}: {left:?}", case.name);
        let done: Vec<&str> = repaired.done.iter().map(|finding| finding.kind.code).collect();
        assert_eq!(done.contains(&case.code), case.is_repaired, "{}", case.name);
        match &repaired.copy {
            Some(copy) => {
                let copied = examine(copy, &options());
                assert!(codes(&copied).contains(case.code), "{}", case.name);
            }
            None => assert_eq!(fs::read(&path).unwrap(), before, "{}", case.name),
        }
        assert_eq!(repaired.copy.is_some(), !repaired.done.is_empty(), "{}", case.name);
    }
}

/// Returns all rows of a database, by table and row id.
fn rows(path: &Path) -> BTreeMap<(String, i64), String> {
    let connection = Connection::open(path).unwrap();
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut statement = connection.prepare(tables).unwrap();
    let tables: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut found = BTreeMap::new();
    for table in tables {
        let mut statement = connection.prepare(&format!("SELECT rowid, * FROM {table}")).unwrap();
        let n_columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells: Vec<String> = (1..n_columns)
                .map(|index| match row.get_ref(index).unwrap() {
                    ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    other => format!("{other:?}"),
                })
                .collect();
            found.insert((table.clone(), row.get(0).unwrap()), cells.join(" "));
        }
    }
    found
}

/// Returns the row that a repair reports to change; `None` for the trigger and for files.
fn row_of(fix: &Fix) -> Option<(String, i64)> {
    match fix {
        Fix::Number { trial_id, .. } | Fix::EndTrial { trial_id, .. } => {
            Some(("trials".to_owned(), *trial_id))
        }
        Fix::DeleteValue { value_id } => Some(("trial_values".to_owned(), *value_id)),
        Fix::ClearNumber { column, row_id } | Fix::UpperCase { column, row_id, .. } => {
            Some((column.table().to_owned(), *row_id))
        }
        Fix::MakeGuard | Fix::RemoveFile(_) | Fix::RetireLock => None,
    }
}

/// Returns the rows that differ between two databases.
fn changed_rows(
    before: &BTreeMap<(String, i64), String>,
    after: &BTreeMap<(String, i64), String>,
) -> BTreeSet<(String, i64)> {
    let keys = before.keys().chain(after.keys());
    keys.filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

#[test]
fn a_repair_changes_the_rows_that_it_reports_and_no_others() {
    let mut n_rows = 0;
    for case in cases() {
        let path = database(&format!("only/{}", case.name), &case.sql);
        let before = rows(&path);
        let repaired = repair(&path, &options()).unwrap();
        let after = rows(&path);
        let fixes: Vec<&Fix> =
            repaired.done.iter().filter_map(|finding| finding.fix.as_ref()).collect();
        let mut wanted: BTreeSet<(String, i64)> =
            fixes.iter().filter_map(|fix| row_of(fix)).collect();
        if fixes.iter().any(|fix| matches!(fix, Fix::EndTrial { .. })) {
            // The failure of the trial is recorded in an attribute of its own.
            let reasons = after.iter().filter(|(key, row)| {
                key.0 == "trial_system_attributes" && row.contains("trialbox:failure")
            });
            wanted.extend(reasons.map(|(key, _)| key.clone()));
        }
        assert_eq!(changed_rows(&before, &after), wanted, "{}", case.name);
        n_rows += wanted.len();
    }
    assert!(n_rows > 8, "only {n_rows} rows were repaired");
}

#[test]
fn the_repair_of_a_trial_whose_worker_died_leaves_others_running() {
    let dead = cases().into_iter().find(|case| case.name == "stuck-running").unwrap();
    let living = "
        INSERT INTO trials VALUES (8, 6, 1, 'RUNNING', '2026-11-24 01:03:00.000000', NULL),
            (9, 7, 1, 'RUNNING', '2026-11-24 01:04:00.000000', NULL);
        INSERT INTO trial_heartbeats VALUES (8, 8, '2026-11-24 01:59:30'), (9, 9, '2026-11-24 01:59:40');
        INSERT INTO trial_system_attributes VALUES (20, 4, 'trialbox:failure', '\"left by Optuna\"');";
    let path = database("living", &[&dead.sql, living].concat());
    let repaired = repair(&path, &options()).unwrap();
    let done: Vec<&str> = repaired.done.iter().map(|finding| finding.kind.code).collect();
    assert_eq!(done, ["stuck-running"]);
    let states = "SELECT group_concat(trial_id || state, ' ' ORDER BY trial_id)
        FROM trials WHERE trial_id IN (4, 8, 9)";
    assert_eq!(query::<String>(&path, states), "4FAIL 8RUNNING 9RUNNING");
    let reason =
        "SELECT value_json FROM trial_system_attributes WHERE trial_system_attribute_id = 20";
    let reason: String = query(&path, reason);
    assert!(reason.contains("E-LOST"), "{reason}");
}

#[test]
fn all_faults_of_a_database_are_found_in_one_examination() {
    let sql = "
        UPDATE trials SET number = NULL WHERE trial_id = 6;
        UPDATE trial_values SET value = NULL;
        UPDATE trial_params SET distribution_json = '{' WHERE trial_id = 1;
        UPDATE trial_user_attributes SET value_json = 'inf';";
    let report = examine(&database("all", sql), &options());
    assert_eq!(count(&report, "number-null"), 1);
    assert_eq!(count(&report, "finite-null"), 3, "in both studies");
    assert_eq!(count(&report, "distribution-json"), 3);
    assert_eq!(count(&report, "attribute-not-json"), 1);
    let finding = report.findings.iter().find(|finding| finding.kind.code == "finite-null");
    let place = &finding.unwrap().place;
    let found = (place.study.as_deref(), place.number, place.trial_id, place.key.as_deref());
    assert_eq!(found, (Some("s"), Some(0), Some(1), Some("objective 0")));
    let severities: Vec<Severity> =
        report.findings.iter().map(|finding| finding.kind.severity).collect();
    assert!(severities.is_sorted(), "the worst comes first");
}

#[test]
fn repaired_rows_hold_what_can_be_proven() {
    let path = database(
        "contents",
        "DROP TRIGGER trialbox_guard_state;
         UPDATE trials SET number = NULL WHERE trial_id IN (2, 3);
         UPDATE trials SET state = 'pruned' WHERE trial_id = 2;
         UPDATE trial_values SET value = NULL WHERE trial_id = 2;
         UPDATE trial_values SET value = 1e300 WHERE trial_id = 6 AND objective = 0;",
    );
    let repaired = repair(&path, &options()).unwrap();
    assert_eq!(codes(&repaired.report), BTreeSet::new());
    let trials = "SELECT group_concat(number || state, ' ' ORDER BY trial_id)
        FROM trials WHERE study_id = 1";
    let trials: String = query(&path, trials);
    assert_eq!(trials, "0COMPLETE 1PRUNED 2FAIL 3RUNNING 4WAITING 5WAITING");
    // The state in lower case had hidden that the trial needs no value.
    assert_eq!(query::<i64>(&path, "SELECT count(*) FROM trial_values WHERE trial_id = 2"), 0);
    assert_eq!(query::<i64>(&path, "SELECT value IS NULL FROM trial_values WHERE trial_id = 6"), 1);
    assert_eq!(query::<f64>(&path, "SELECT value FROM trial_values WHERE trial_id = 1"), 0.5);
    let changed = Connection::open(&path)
        .unwrap()
        .execute_batch("UPDATE trials SET state = 'RUNNING' WHERE trial_id = 1");
    assert!(changed.unwrap_err().to_string().contains("state transition refused"));
    let name = repaired.copy.unwrap().file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(name, "study.db.before-repair-20261124T020000");
}

#[test]
fn a_trial_whose_worker_died_fails_with_its_reason() {
    let dead = cases().into_iter().find(|case| case.name == "stuck-running").unwrap();
    let path = database("dead", &dead.sql);
    repair(&path, &options()).unwrap();
    let end: String =
        query(&path, "SELECT state || ' ' || datetime_complete FROM trials WHERE trial_id = 4");
    assert_eq!(end, "FAIL 2026-11-24 02:00:00.000000");
    let reason: String = query(
        &path,
        "SELECT value_json FROM trial_system_attributes
         WHERE trial_id = 4 AND \"key\" = 'trialbox:failure'",
    );
    assert!(
        reason.starts_with("{\"code\": \"E-LOST\", \"message\": \"no process 4194303 on "),
        "{reason}"
    );
}

#[test]
fn a_trial_whose_result_waits_in_the_spool_is_not_failed() {
    let dead = cases().into_iter().find(|case| case.name == "stuck-running").unwrap();
    let path = database("spooled", &dead.sql);
    let owner =
        "SELECT value_json FROM trial_system_attributes WHERE trial_system_attribute_id = 9";
    let owner = Json::parse(&query::<String>(&path, owner)).unwrap();
    let result = SpooledResult {
        study: "s".to_owned(),
        trial: UnrecordedTrial {
            claim: Claim { id: TrialId(4), number: TrialNumber(3), owner },
            batch: TrialBatch::default(),
            ending: Ending::new(Outcome::Complete(vec![0.5]), options().now),
        },
    };
    let file = Spool::of(&path, None).keep(&result).unwrap();
    let repaired = repair(&path, &options()).unwrap();
    assert_eq!((repaired.done.len(), repaired.copy), (0, None));
    assert_eq!(query::<String>(&path, "SELECT state FROM trials WHERE trial_id = 4"), "RUNNING");
    let texts = found(&repaired.report, "spool-entries");
    let about_trial = format!("its result waits in `{}`", file.display());
    assert_eq!(texts, ["found 1 result in the spool", about_trial.as_str()]);
    assert_eq!(count(&repaired.report, "stuck-running"), 0);

    // The same for a result that names a database which was renamed to this one.
    let renamed = path.with_file_name("renamed.db");
    fs::rename(&path, &renamed).unwrap();
    assert_eq!(repair(&renamed, &options()).unwrap().done.len(), 0);
    // A spool that cannot be read may hold the result of any trial.
    fs::remove_file(&file).unwrap();
    let unreadable = path.with_file_name("renamed.db.spool");
    fs::create_dir(&unreadable).unwrap();
    let repaired = without_roots_rights(&unreadable, move || repair(&renamed, &options()).unwrap());
    assert_eq!(repaired.done.len(), 0, "{:?}", repaired.done);
}

/// Runs something while a directory cannot be read, not even by root.
fn without_roots_rights<T: Send + 'static>(
    directory: &Path,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    fs::set_permissions(directory, fs::Permissions::from_mode(0o000)).unwrap();
    let done = std::thread::spawn(move || {
        let nothing = CapabilitySet::empty();
        let sets = CapabilitySets { effective: nothing, permitted: nothing, inheritable: nothing };
        set_capabilities(None, sets).unwrap();
        body()
    });
    let done = done.join().unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    done
}

/// Returns the namespace of this process: process ids of another namespace have no meaning here.
fn pid_namespace() -> String {
    ProcessId::current().pid_namespace.unwrap()
}

/// Returns SQL that gives the running trial of `base.sql`, number 3, an owner with that trial number.
fn owner(trial: u32, host: &str, boot_id: &str, pid: u32) -> String {
    format!(
        "INSERT INTO trial_system_attributes VALUES (9, 4, 'trialbox:owner', '{{\"uuid\": \"0\",
            \"trial\": {trial}, \"host\": \"{host}\", \"boot_id\": \"{boot_id}\", \"pid\": {pid},
            \"pid_namespace\": \"{}\"}}');",
        pid_namespace()
    )
}

#[test]
fn a_process_that_lives_or_runs_on_another_machine_keeps_its_trial() {
    let (host, boot_id) = (host_name(), boot_id().unwrap());
    for (test, owner) in [
        ("alive", owner(3, &host, &boot_id, std::process::id())),
        ("distant", owner(3, "elsewhere", "another boot", 4_194_303)),
        // Two machines can have one name: the heartbeat shows that the other process lives.
        ("twin", owner(3, &host, "another", 4_194_303)),
        // Optuna copies the owner into the retry of a trial whose worker died.
        ("copied", owner(2, &host, &boot_id, 4_194_303)),
    ] {
        assert_eq!(codes(&examine(&database(test, &owner), &options())), BTreeSet::new(), "{test}");
    }
    let silent = "UPDATE trial_heartbeats SET heartbeat = '2026-11-24 01:00:00' WHERE trial_id = 4";
    let silent = database("silent", &[&owner(3, "elsewhere", "x", 4_194_303), silent].concat());
    let repaired = repair(&silent, &options()).unwrap();
    assert_eq!(codes(&repaired.report), BTreeSet::from(["running-silent"]));
    assert_eq!(repaired.copy, None);
}

#[track_caller]
fn check_file(test: &str, bytes: &[u8], code: &str) {
    let path = folder(test).join("study.db");
    fs::write(&path, bytes).unwrap();
    let report = examine(&path, &options());
    assert_eq!(codes(&report), BTreeSet::from([code]));
    assert_eq!(report.count(Severity::Error), 1);
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(repair(&path, &options()).unwrap().done, vec![]);
    assert_eq!(names(path.parent().unwrap()).len(), 1);
}

#[test]
fn a_file_of_another_format_differs_from_an_empty_one_and_a_missing_one() {
    check_file("empty", b"", "zero-length");
    check_file("elf", &b"\x7fELF".repeat(500), "not-a-database");
    check_file("short", b"SQLite format 3\0", "not-a-database");
    let path = folder("missing").join("study.db");
    assert_eq!(codes(&examine(&path, &options())), BTreeSet::from(["missing-file"]));
    assert!(!path.exists());
    let path = folder("foreign").join("study.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE birds (name TEXT)").unwrap();
    assert_eq!(codes(&examine(&path, &options())), BTreeSet::from(["foreign-schema"]));
}

#[test]
fn a_damaged_page_is_found() {
    let path = database("damaged", "");
    let mut bytes = fs::read(&path).unwrap();
    let root = "SELECT rootpage - 1 FROM sqlite_master WHERE name = 'trial_params'";
    let page = 4096 * usize::from(query::<u16>(&path, root));
    bytes[page..page + 4096].fill(0xAA);
    fs::write(&path, &bytes).unwrap();
    let report = examine(&path, &options());
    assert!(codes(&report).contains("integrity"), "{report:?}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
    bytes.truncate(page + 100);
    fs::write(&path, &bytes).unwrap();
    assert!(codes(&examine(&path, &options())).contains("integrity"));
}

#[test]
fn a_journal_that_must_be_rolled_back_is_found_and_left_to_the_next_writer() {
    let path = database("hot", "");
    let writer = Connection::open(&path).unwrap();
    // SQLite writes changed pages that do not fit into the cache before the transaction is complete.
    writer
        .execute_batch(
            "PRAGMA cache_size = 1; BEGIN IMMEDIATE;
             INSERT INTO study_user_attributes
             WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             SELECT i, 1, 'key' || i, '\"' || hex(zeroblob(50)) || '\"' FROM n;",
        )
        .unwrap();
    let crashed = folder("hot-crashed").join("study.db");
    fs::copy(&path, &crashed).unwrap();
    let journal = crashed.with_file_name("study.db-journal");
    fs::copy(path.with_file_name("study.db-journal"), &journal).unwrap();
    let before = (fs::read(&crashed).unwrap(), fs::read(&journal).unwrap());
    let report = examine(&crashed, &options());
    assert_eq!(codes(&report), BTreeSet::from(["hot-journal", "journal-present"]));
    assert_eq!((fs::read(&crashed).unwrap(), fs::read(&journal).unwrap()), before);
    assert_eq!(query::<i64>(&crashed, "SELECT count(*) FROM study_user_attributes"), 1);
    assert_eq!(codes(&examine(&crashed, &options())), BTreeSet::new());
}

#[test]
fn a_database_in_wal_mode_is_read_without_new_files_and_repaired_with_its_log() {
    let path = database("wal", "PRAGMA journal_mode = WAL;");
    let folder = path.parent().unwrap();
    assert_eq!(names(folder).len(), 1, "no process has it open");
    assert_eq!(codes(&examine(&path, &options())), BTreeSet::from(["journal-wal"]));
    assert_eq!(names(folder).len(), 1);
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("UPDATE trials SET number = NULL WHERE trial_id = 2").unwrap();
    let want = BTreeSet::from(["journal-wal", "wal-present", "number-null"]);
    assert_eq!(codes(&examine(&path, &options())), want);
    let repaired = repair(&path, &options()).unwrap();
    assert_eq!(codes(&repaired.report), BTreeSet::from(["journal-wal", "wal-present"]));
    assert!(codes(&examine(&repaired.copy.unwrap(), &options())).contains("number-null"));
}

/// Reads the database and the file after it. The third file, the index, changes when a reader takes a lock.
fn contents(folder: &Path, files: &[&str]) -> Vec<Vec<u8>> {
    files.iter().take(2).map(|name| fs::read(folder.join(name)).unwrap()).collect()
}

#[test]
fn a_log_that_a_crash_left_is_read_and_left_as_it_is() {
    let path = database("wal-crash", "PRAGMA journal_mode = WAL;");
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("UPDATE trials SET number = NULL WHERE trial_id = 2").unwrap();
    for (test, files, stray) in [
        ("wal-crashed", &["study.db", "study.db-wal", "study.db-shm"][..], None),
        ("wal-without-index", &["study.db", "study.db-wal"], None),
        ("wal-index-alone", &["study.db", "study.db-shm"], Some("shm-stray")),
    ] {
        let crashed = folder(test);
        for name in files {
            fs::copy(path.with_file_name(name), crashed.join(name)).unwrap();
        }
        let before = contents(&crashed, files);
        let mut want = BTreeSet::from(["journal-wal"]);
        want.extend(stray);
        if stray.is_none() {
            want.extend(["wal-present", "number-null"]);
        }
        assert_eq!(codes(&examine(&crashed.join("study.db"), &options())), want, "{test}");
        assert_eq!(contents(&crashed, files), before, "{test}");
        assert_eq!(names(&crashed).len(), files.len(), "{test}");
    }
}

#[test]
fn a_link_to_a_database_shows_what_lies_beside_the_file_itself() {
    let path = database("linked", "PRAGMA journal_mode = WAL;");
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("UPDATE trials SET number = NULL WHERE trial_id = 2").unwrap();
    let link = folder("link").join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let want = BTreeSet::from(["journal-wal", "wal-present", "number-null"]);
    assert_eq!(codes(&examine(&link, &options())), want);
    assert_eq!(names(link.parent().unwrap()).len(), 1);
}

#[test]
fn a_log_beside_a_database_that_has_none_is_found() {
    let path = database("wal-stray", "");
    fs::write(path.with_file_name("study.db-wal"), "of another program").unwrap();
    assert_eq!(codes(&examine(&path, &options())), BTreeSet::from(["wal-stray"]));
    assert_eq!(names(path.parent().unwrap()).len(), 2);
}

#[test]
fn a_database_of_another_revision_or_with_damage_is_not_repaired() {
    let null = "UPDATE trials SET number = NULL WHERE trial_id = 2;";
    let older = "UPDATE alembic_version SET version_num = 'v3.0.0.d';";
    let path = database("unsound", &[null, older].concat());
    let before = fs::read(&path).unwrap();
    let repaired = repair(&path, &options()).unwrap();
    assert_eq!((repaired.done, repaired.copy), (vec![], None));
    assert_eq!(fs::read(&path).unwrap(), before);
    let finding = repaired.report.findings.iter().find(|found| found.kind.code == "number-null");
    let why_not = finding.unwrap().why_not;
    assert_eq!(
        why_not,
        "the database is damaged, has another revision, or runs triggers of unknown origin"
    );
}

#[test]
fn a_database_that_another_process_has_locked_is_reported_as_locked() {
    let path = database("locked", "UPDATE trials SET number = NULL WHERE trial_id = 2;");
    let options = with(|storage| storage.timeout = Duration::from_millis(10));
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(codes(&examine(&path, &options)), BTreeSet::from(["locked"]));
    other.execute_batch("ROLLBACK; BEGIN IMMEDIATE").unwrap();
    let error = repair(&path, &options).unwrap_err();
    assert!(error.to_string().contains("repair the database"), "{error}");
    assert_eq!(names(path.parent().unwrap()).len(), 1, "no copy is made");
}

#[test]
fn what_jobs_left_beside_a_database_is_found_and_only_dead_jobs_files_removed() {
    let path = database("beside", "");
    let folder = path.parent().unwrap();
    let host = host_name();
    let ours = format!(".study.db.{host}.{}.ThreadId-1-7.tmp", std::process::id());
    let dead = format!(".study.db.{host}.4194303.ThreadId-1-7.tmp");
    for name in [
        ours.as_str(),
        dead.as_str(),
        ".study.db.elsewhere.1.ThreadId-1-7.tmp",
        ".other.db.elsewhere.1.ThreadId-1-7.tmp",
        "study.db.lock",
    ] {
        fs::write(folder.join(name), "{\"host\": \"n1\"}").unwrap();
    }
    fs::create_dir(folder.join("study.db.spool")).unwrap();
    let options = with(|storage| storage.lock = LockMode::Auto);
    assert_eq!(
        codes(&examine(&path, &options)),
        BTreeSet::from(["creation-leftover", "lock-file"]),
        "an empty spool is not reported"
    );
    fs::write(folder.join("study.db.spool/3.json"), "{}").unwrap();
    let before = names(folder);
    let report = examine(&path, &options);
    let left = ["creation-leftover", "spool-entries", "lock-file"];
    assert_eq!(left.map(|code| count(&report, code)), [3, 1, 1]);
    assert_eq!(names(folder), before);
    let repaired = repair(&path, &options).unwrap();
    assert_eq!(repaired.copy, None, "nothing in the database was changed");
    let mut want = before;
    want.remove(&dead);
    assert_eq!(names(folder), want);
}

#[test]
fn what_cannot_be_written_is_found() {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    let path = database("permissions", "");
    let folder = path.parent().unwrap().to_owned();
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(&path, 0o444);
    set_mode(&folder, 0o555);
    // Root can write everything, so the examination runs in a thread without that capability.
    let examined = std::thread::spawn(move || {
        let nothing = CapabilitySet::empty();
        let sets = CapabilitySets { effective: nothing, permitted: nothing, inheritable: nothing };
        set_capabilities(None, sets).unwrap();
        let report = examine(&path, &options());
        about_database(&report).iter().map(|finding| finding.kind.code).collect::<Vec<_>>()
    });
    let codes = examined.join().unwrap();
    set_mode(&folder, 0o755);
    assert_eq!(codes, ["not-writable", "not-writable"], "the file and its folder");
}

#[test]
fn a_copy_has_the_permissions_of_the_database() {
    let path = database("private", "DROP TRIGGER trialbox_guard_state;");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let copy = repair(&path, &options()).unwrap().copy.unwrap();
    assert_eq!(fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o640);
    // A second repair in the same second makes a second copy.
    Connection::open(&path).unwrap().execute_batch("DROP TRIGGER trialbox_guard_state").unwrap();
    let copy = repair(&path, &options()).unwrap().copy.unwrap();
    assert!(copy.to_string_lossy().ends_with(".before-repair-20261124T020000-2"), "{copy:?}");
}

#[test]
fn a_repair_between_machines_waits_for_the_lock_file_and_releases_it() {
    let path = database("lock-file", "UPDATE trials SET number = NULL WHERE trial_id = 2;");
    let folder = path.parent().unwrap();
    let options = with(|storage| {
        storage.lock = LockMode::File;
        storage.timeout = Duration::from_millis(10);
    });
    let before = fs::read(&path).unwrap();
    let lock = folder.join("study.db.lock");
    let holder = ProcessId::current().to_members();
    fs::write(&lock, Json::object(holder).to_string()).unwrap();
    let error = repair(&path, &options).unwrap_err();
    assert!(
        format!("{:?}", std::error::Error::source(&error)).contains("holds the lock"),
        "{error}"
    );
    assert_eq!((fs::read(&path).unwrap(), names(folder).len()), (before, 2));
    fs::remove_file(&lock).unwrap();
    let repaired = repair(&path, &options).unwrap();
    assert_eq!(codes(&repaired.report), BTreeSet::from(["lock-file"]));
    let [text] = found(&repaired.report, "lock-file")[..] else { panic!("{repaired:?}") };
    assert_eq!(text, "found the lock file, released; taken because it was asked for");
    assert_eq!(names(folder).len(), 3, "the database, its copy and the lock file");

    // A repair with SQLite's locks takes the lock file away, and only then they suffice.
    let plain = with(|storage| storage.lock = LockMode::Sqlite);
    let refused = SqlStorage::open_file(&path, &plain.storage).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("has the lock file"), "{refused}");
    let repaired = repair(&path, &plain).unwrap();
    assert_eq!(repaired.done.iter().map(|it| it.kind.code).collect::<Vec<_>>(), ["lock-file"]);
    assert_eq!(codes(&repaired.report), BTreeSet::new());
    SqlStorage::open_file(&path, &plain.storage).unwrap();
    assert!(!lock.exists());
}

#[test]
fn a_finding_about_a_lock_names_its_holder_or_its_death() {
    let path = database("lock-holder", "");
    let mut holder = ProcessId::current();
    let lock = path.with_file_name("study.db.lock");
    let mut texts = Vec::new();
    for pid in [std::process::id(), 4_194_303] {
        holder.pid = pid;
        fs::write(&lock, Json::object(holder.to_members()).to_string()).unwrap();
        let report = examine(&path, &options());
        let [text] = found(&report, "lock-file")[..] else { panic!("{report:?}") };
        texts.push(text.to_owned());
    }
    let [living, dead] = &texts[..] else { panic!("{texts:?}") };
    let by = format!("held by process {} on ", std::process::id());
    assert!(living.contains(&by), "{living}");
    assert!(dead.contains("its holder is dead"), "{dead}");
}

#[test]
fn files_of_dead_waiters_are_removed_and_of_living_ones_kept() {
    let path = database("lock-waiters", "");
    let folder = path.parent().unwrap();
    let mut waiter = ProcessId::current();
    for (name, pid) in [("living", std::process::id()), ("dead", 4_194_303)] {
        waiter.pid = pid;
        let text = format!("{}\nclaimed  \n", Json::object(waiter.to_members()));
        fs::write(folder.join(format!("study.db.lock.after-{name}")), text).unwrap();
    }
    let repaired = repair(&path, &options()).unwrap();
    assert_eq!((repaired.done.len(), repaired.copy), (1, None));
    let left = ["study.db", "study.db.lock.after-living"].map(str::to_owned);
    assert_eq!(names(folder), BTreeSet::from(left));
}

#[test]
fn a_guard_that_the_options_do_not_expect_is_not_reported() {
    let path = database("unguarded", "DROP TRIGGER trialbox_guard_state;");
    let options = with(|storage| storage.guard = false);
    assert_eq!(codes(&examine(&path, &options)), BTreeSet::new());
    assert_eq!(repair(&path, &options).unwrap().copy, None);
}

#[test]
fn codes_are_unique_and_in_kebab_case() {
    let codes: Vec<&str> = kinds().iter().map(|kind| kind.code).collect();
    let distinct: BTreeSet<&str> = codes.iter().copied().collect();
    assert_eq!(distinct.len(), codes.len());
    for code in codes {
        // The 8 is that of UTF-8.
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'-' || byte == b'8';
        assert!(code.bytes().all(is_plain), "{code}");
    }
}

#[test]
fn texts_of_kinds_name_no_flag_and_their_remedies_come_after_an_advice() {
    for kind in kinds() {
        assert!(!kind.meaning.is_empty(), "{}", kind.code);
        for text in [kind.meaning, kind.advice] {
            assert!(!text.contains("--") && !text.ends_with('.'), "{}: {text}", kind.code);
        }
        assert!(kind.remedy.is_none() || !kind.advice.is_empty(), "{}", kind.code);
    }
}

#[test]
fn a_finding_states_the_expected_and_the_found_value() {
    let path = database(
        "texts",
        "UPDATE trials SET datetime_start = 'noon' WHERE trial_id = 3;
         UPDATE trials SET number = NULL WHERE trial_id = 2;
         UPDATE trial_values SET value = 1.5 WHERE trial_value_id = 3;
         UPDATE trial_intermediate_values SET intermediate_value_type = 'nan' WHERE step = 3;
         UPDATE trial_params SET param_value = 11 WHERE param_id = 2;
         UPDATE trial_system_attributes SET value_json = '[9]' WHERE trial_system_attribute_id = 3;
         INSERT INTO trial_values VALUES (9, 4, 0, 1.0, 'FINITE');",
    );
    let report = examine(&path, &options());
    for (code, text) in [
        ("datetime-unreadable", "expected a date and time, found `noon`"),
        ("infinite-with-value", "expected NULL for the type INF_POS, found 1.5"),
        ("intermediate-type-unknown", "expected a type of value, found `nan`"),
        ("number-null", "expected the number 1, found NULL"),
        ("unfinished-with-values", "expected no value for the state RUNNING, found 1 value"),
    ] {
        assert_eq!(found(&report, code), [text], "{code}");
    }
    let out_of_range = found(&report, "param-out-of-range").concat();
    assert!(out_of_range.ends_with(", found 11.0"), "{out_of_range}");
}
