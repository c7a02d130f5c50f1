//! Where the list is played: a database with a healthy study, and everything that must be as it was after a hostile
//! guest.

use super::guests;
use super::list::{End, Entry};
use crate::scene::{Ran, Scene, guest};
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OpenFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the host process may take, whatever its guest does; an honest guest takes a tenth.
const MAX_HOST_KIB: u64 = 150 << 10;

/// What a guest process may take beside its guest's memory: program, engine, buffers.
const OWN_MIB: u64 = 64;

/// No guest holds a host for so long, on the slowest of machines; longer than any limit of the list.
const WATCHDOG: Duration = Duration::from_secs(300);

/// How often a running host is looked at.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// What is kept of a log, as `--limit log` has it by default.
const MAX_LOG_BYTES: usize = 64 << 10;

/// What is stored of a trial's reports, as `--limit reports` has it by default.
const MAX_REPORTS: i64 = 10_000;

const DATABASE: &str = "study.db";
const HEALTHY: &str = "healthy";

/// Texts of the engine's that are for its own users.
const RAW_TEXTS: [&str; 4] =
    ["wasm trap:", "error while executing", "wasm backtrace", "wasmtime::"];

/// A scene with a database and a healthy study.
pub(super) struct Ground {
    scene: Scene,
    exported: String,
}

impl Ground {
    pub(super) fn new(test: &str) -> Self {
        let scene = Scene::new(test);
        std::fs::write(scene.path("honest.wasm"), guests::honest()).unwrap();
        let mut ground = Ground { scene, exported: String::new() };
        let made =
            ground.scene.trialbox(&ground.on_healthy(&["run", &guest("quadratic"), "-n", "3"]));
        assert_eq!(made.code, Some(0), "{made:?}");
        ground.exported = ground.export();
        ground
    }

    /// Creates a folder with so many files.
    pub(super) fn fill(&self, folder: &str, files: usize) {
        let folder = self.scene.path(folder);
        std::fs::create_dir(&folder).unwrap();
        for n in 0..files {
            File::create(folder.join(format!("a-file-of-a-large-data-set-{n}"))).unwrap();
        }
    }

    /// Plays these guests one after the other.
    #[track_caller]
    pub(super) fn play(&self, list: &[Entry]) {
        let problems: Vec<String> =
            list.iter().flat_map(|entry| self.problems_with(entry)).collect();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        assert_eq!(self.export(), self.exported, "the healthy study");
        let doctor = self.scene.trialbox(&["doctor", "--storage", DATABASE]);
        assert_eq!(doctor.code, Some(0), "{doctor:?}");
    }

    /// What of this guest is not as the list says.
    fn problems_with(&self, entry: &Entry) -> Vec<String> {
        let file = format!("{}.wasm", entry.name);
        std::fs::write(self.scene.path(&file), entry.guest.bytes()).unwrap();
        let before = self.rows();
        let mut command = self.scene.command(&["run", &file, "--storage", DATABASE]);
        command.args(["--study-name", entry.name, "--format", "json"]);
        command.args(entry.flags.split_whitespace()).args(entry.guest.flags());
        let host = self.watch(command, entry.name);
        let mut found = Problems::default();
        match entry.end {
            End::Complete => self.check_trial(&mut found, entry.name, &host, None),
            End::Fail(code, piece) => {
                self.check_trial(&mut found, entry.name, &host, Some((code, piece)))
            }
            End::Refused(code, piece) => {
                found.unless(host.ran.code == Some(4), || format!("{:?}", host.ran));
                found.failure(&host.event("error"), code, piece);
                found.unless(self.rows() == before, || "it wrote to the database".to_owned());
            }
        }
        found.unless(before.is_subset(&self.rows()), || "it changed what was there".to_owned());
        found.unless(host.peak_kib <= MAX_HOST_KIB, || {
            format!("the host process took {} MiB", host.peak_kib >> 10)
        });
        let allowed_kib = max_guest_kib(entry.flags);
        found.unless(host.guest_peak_kib <= allowed_kib, || {
            format!(
                "the guest process took {} of {} MiB",
                host.guest_peak_kib >> 10,
                allowed_kib >> 10
            )
        });
        found.unless(is_printable(&host.ran.stdout), || format!("printed {:?}", host.ran.stdout));
        found.unless(is_printable(&host.ran.stderr), || format!("said {:?}", host.ran.stderr));
        let honest = self.scene.trialbox(&["run", "honest.wasm", "--storage", DATABASE]);
        found.unless(honest.code == Some(0), || {
            format!("an honest objective afterwards: {honest:?}")
        });
        found.0.iter().map(|problem| format!("{} {}: {problem}", entry.id, entry.name)).collect()
    }

    /// A trial that is COMPLETE, or FAIL with a code and a piece of its message.
    fn check_trial(
        &self,
        found: &mut Problems,
        study: &str,
        host: &HostRun,
        failure: Option<(&str, &str)>,
    ) {
        let (exit, state) = if failure.is_some() { (1, "FAIL") } else { (0, "COMPLETE") };
        found.unless(host.ran.code == Some(exit), || format!("{:?}", host.ran));
        let event = host.event("trial");
        found.unless(event["state"] == state, || format!("ended as {}", event["state"]));
        let log = event["log"].as_array().into_iter().flatten();
        let log: usize = log.map(|line| line["text"].as_str().unwrap().len()).sum();
        found.unless(log <= MAX_LOG_BYTES, || format!("{log} bytes of its log were kept"));

        let (recorded, reports, recorded_failure) = self.recorded(study);
        found.unless(recorded == state, || format!("recorded as {recorded}"));
        found.unless(reports <= MAX_REPORTS, || format!("{reports} reports were stored"));
        if let Some((code, piece)) = failure {
            found.failure(&event["failure"], code, piece);
            if let Some(limit) = event["failure"]["limit"].as_object() {
                let flag = limit["flag"].as_str().unwrap_or_default();
                found.unless(flag.starts_with("--"), || format!("no flag moves {limit:?}"));
            }
            found.failure(&recorded_failure, code, piece);
            found.unless(is_in_time(&event), || format!("it ran on after its time: {event}"));
        }
    }

    /// State, number of stored reports and failure of a study's only trial.
    fn recorded(&self, study: &str) -> (String, i64, Value) {
        let sql = "SELECT state,
                (SELECT count(*) FROM trial_intermediate_values v WHERE v.trial_id = t.trial_id),
                (SELECT value_json FROM trial_system_attributes a
                    WHERE a.trial_id = t.trial_id AND key = 'trialbox:failure')
            FROM trials t JOIN studies s ON s.study_id = t.study_id WHERE study_name = ?";
        let row = self.open().query_one(sql, [study], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?))
        });
        let Ok((state, reports, failure)) = row else {
            return (format!("{row:?}"), 0, Value::Null);
        };
        (state, reports, failure.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap()))
    }

    /// Every row of every table.
    fn rows(&self) -> BTreeSet<String> {
        let database = self.open();
        let mut tables =
            database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
        let tables: Vec<String> =
            tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut all = BTreeSet::new();
        for table in tables {
            let mut statement = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let values: Vec<SqlValue> = (0..columns).map(|at| row.get(at).unwrap()).collect();
                all.insert(format!("{table}: {}", show(&values)));
            }
        }
        all
    }

    fn open(&self) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        Connection::open_with_flags(self.scene.path(DATABASE), flags).unwrap()
    }

    fn export(&self) -> String {
        let ran = self.scene.trialbox(&self.on_healthy(&["study", "export", "--format", "json"]));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout
    }

    fn on_healthy<'a>(&self, arguments: &[&'a str]) -> Vec<&'a str> {
        [arguments, &["--storage", DATABASE, "--study-name", HEALTHY]].concat()
    }

    /// Runs the host process to its end, and looks at how much memory it takes.
    #[track_caller]
    fn watch(&self, mut command: Command, name: &str) -> HostRun {
        // Files and no pipes: a pipe is full before the process ends, and is read only afterwards.
        let (stdout, stderr) = (self.scene.path("stdout"), self.scene.path("stderr"));
        command.stdin(Stdio::null());
        command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        let mut host = command.spawn().unwrap();
        let started = Instant::now();
        let process = pidfd_open(Pid::from_child(&host), PidfdFlags::empty()).unwrap();
        let (mut peak_kib, mut guest_peak_kib) = (0, 0);
        loop {
            peak_kib = peak_memory_kib(host.id()).unwrap_or_default().max(peak_kib);
            for guest in children(&host) {
                guest_peak_kib = peak_memory_kib(guest).unwrap_or_default().max(guest_peak_kib);
            }
            let mut fds = [PollFd::new(&process, PollFlags::IN)];
            poll(&mut fds, Some(&LOOK)).unwrap();
            if !fds[0].revents().is_empty() {
                break;
            }
            if started.elapsed() > WATCHDOG {
                host.kill().unwrap();
                panic!("{name}: the host process had not ended after {WATCHDOG:?}");
            }
        }
        let code = host.wait().unwrap().code();
        let read = |path| String::from_utf8(std::fs::read(path).unwrap()).unwrap();
        let ran = Ran { code, stdout: read(stdout), stderr: read(stderr) };
        HostRun { ran, peak_kib, guest_peak_kib }
    }
}

/// A host process that has ended.
struct HostRun {
    ran: Ran,
    /// The most memory that it was seen to have had, without its guest process.
    peak_kib: u64,
    /// The most memory that its guest process was seen to have had.
    guest_peak_kib: u64,
}

impl HostRun {
    fn event(&self, event: &str) -> Value {
        let events = self.ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        events.into_iter().find(|found: &Value| found["event"] == event).unwrap_or_default()
    }
}

/// The most memory that a process has had so far (proc(5)); `None` when it has none any more. The figures of
/// wait4(2) would count its guest process too.
fn peak_memory_kib(process: u32) -> Option<u64> {
    // The kernel lets a parent that waits in vfork(2) go on a moment before the child has a memory of its own.
    let program = std::fs::read_link(format!("/proc/{process}/exe")).ok()?;
    if program == std::env::current_exe().unwrap() {
        return None;
    }
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The processes that a process has started, as far as the kernel lists them.
fn children(process: &Child) -> Vec<u32> {
    let path = format!("/proc/{0}/task/{0}/children", process.id());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// What a guest process may take: the limit on its memory, or on its compiler's, and what it has for itself.
fn max_guest_kib(flags: &str) -> u64 {
    let words: Vec<&str> = flags.split_whitespace().collect();
    let limits = words.windows(2).filter_map(|pair| match pair[0] {
        "--max-memory" => pair[1].strip_suffix("MiB"),
        _ => pair[1].strip_prefix("compile-memory=")?.strip_suffix("MiB"),
    });
    let mib: Option<u64> = limits.map(|mib| mib.parse::<u64>().unwrap()).max();
    mib.map_or(u64::MAX, |mib| (mib + OWN_MIB) << 10)
}

/// What is not as it should be.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn unless(&mut self, is_good: bool, problem: impl FnOnce() -> String) {
        if !is_good {
            self.0.push(problem());
        }
    }

    /// The failure has this code, and a message with this piece that is for people.
    fn failure(&mut self, failure: &Value, code: &str, piece: &str) {
        let message = failure["message"].as_str().unwrap_or_default();
        let is_for_people = !message.is_empty()
            && is_printable(message)
            && RAW_TEXTS.iter().all(|raw| !message.contains(raw));
        self.unless(failure["code"] == code && message.contains(piece) && is_for_people, || {
            format!("{code} with `{piece}` was expected, not {failure}")
        });
    }
}

/// Whether a trial that reached the limit on its time was stopped within a second. On a busy machine only the time of
/// the processor says so.
fn is_in_time(trial: &Value) -> bool {
    let limit = &trial["failure"]["limit"];
    let (allowed, used) = (limit["allowed"].as_f64(), trial["usage"]["cpu_seconds"].as_f64());
    limit["name"] != "trial-time" || used <= allowed.map(|millis| millis / 1000.0 + 1.0)
}

/// Whether a terminal prints it, and does nothing else.
fn is_printable(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !c.is_control())
}

fn show(values: &[SqlValue]) -> String {
    let values = values.iter().map(|value| match value {
        SqlValue::Null => "null".to_owned(),
        SqlValue::Integer(value) => value.to_string(),
        SqlValue::Real(value) => format!("{value:?}"),
        SqlValue::Text(text) => text.clone(),
        SqlValue::Blob(bytes) => format!("{bytes:?}"),
    });
    values.collect::<Vec<_>>().join(" | ")
}
