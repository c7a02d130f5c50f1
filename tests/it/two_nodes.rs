//! Two nodes of a cluster that write one study on a shared file system whose locks end at the node.
//!
//! Each node is a FUSE mount of the same folder by bindfs. Such mounts have file locks and page caches of their
//! own, as Lustre has with `localflock` and NFS with `nolock`; only changes of names reach from one to the other.
//! Under SQLite's own locks alone, rows are lost here and the file is corrupted.

use crate::herd::run_together;
use crate::scene::{Scene, guest};
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const WRITERS: usize = 4;

#[test]
fn four_writers_on_two_nodes_with_cached_mounts_lose_nothing() {
    check_four_writers("two-nodes-cached", Caches::Kept);
}

#[test]
fn four_writers_on_two_nodes_with_uncached_mounts_lose_nothing() {
    check_four_writers("two-nodes-uncached", Caches::None);
}

/// The head node of a small cluster is the file server: for its processes the file system is a local disk.
#[test]
fn four_writers_on_a_file_server_and_a_node_lose_nothing() {
    const TRIALS_OF_WRITER: usize = 125;
    let scene = Scene::new("two-nodes-server");
    let nodes = TwoNodes::mount(&scene, Caches::Kept);
    let server = nodes.shared.join("s.db").display().to_string();
    // The server's processes have begun with SQLite's locks when the node's come.
    scene.json(&["run", &guest("quadratic"), "--storage", &server, "-n", "2"]);
    assert!(!nodes.shared.join("s.db.lock").exists());
    let n_trials = TRIALS_OF_WRITER.to_string();
    let writer = |writer: usize| {
        let database = if writer.is_multiple_of(2) { server.clone() } else { nodes.database(1) };
        scene.command(&["run", &guest("quadratic"), "--storage", &database, "-n", &n_trials])
    };
    for ran in run_together((0..WRITERS).map(writer).collect()) {
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    assert_eq!(nodes.states(), vec!["COMPLETE"; 2 + WRITERS * TRIALS_OF_WRITER]);
    nodes.assert_only_the_database_is_left();
    let report = scene.trialbox(&["doctor", "--storage", &server]);
    let because = format!("taken because `{}` lies on fuse", nodes.database(1));
    assert!(report.stdout.contains(&because), "{report:?}");
}

#[test]
fn the_lock_of_a_killed_writer_is_broken_and_the_others_lose_nothing() {
    const TRIALS_OF_WRITER: usize = 20;
    let scene = Scene::new("two-nodes-killed");
    let nodes = TwoNodes::mount(&scene, Caches::Kept);
    scene.json(&["study", "create", "--storage", &nodes.database(0), "--study-name", "quadratic"]);
    let mut writers: Vec<Child> = (0..WRITERS)
        .map(|writer| nodes.writer(&scene, writer, TRIALS_OF_WRITER))
        .map(|mut command| command.stdout(Stdio::null()).spawn().unwrap())
        .collect();
    let victim = kill_a_lock_holder(&nodes, &mut writers);
    for (index, writer) in writers.iter_mut().enumerate() {
        let status = writer.wait().unwrap();
        assert_eq!(status.success(), index != victim, "writer {index} of {WRITERS}: {status}");
    }
    // The next job ends the trial that the victim left, if it left one, and tries it again.
    let next = scene.trialbox(&["run", &guest("quadratic"), "--storage", &nodes.database(1)]);
    assert_eq!(next.code, Some(0), "{next:?}");

    let states = nodes.states();
    let (complete, lost): (Vec<&String>, _) = states.iter().partition(|state| *state == "COMPLETE");
    assert!(lost.iter().all(|state| *state == "FAIL") && lost.len() <= 1, "{lost:?}");
    assert!(complete.len() > (WRITERS - 1) * TRIALS_OF_WRITER, "{} trials", complete.len());
    nodes.assert_only_the_database_is_left();
}

#[track_caller]
fn check_four_writers(test: &str, caches: Caches) {
    const TRIALS_OF_WRITER: usize = 125;
    let scene = Scene::new(test);
    let nodes = TwoNodes::mount(&scene, caches);
    // The writers make the study together too.
    let writers = (0..WRITERS).map(|writer| nodes.writer(&scene, writer, TRIALS_OF_WRITER));
    for ran in run_together(writers.collect()) {
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    assert_eq!(nodes.states(), vec!["COMPLETE"; WRITERS * TRIALS_OF_WRITER]);
    nodes.assert_only_the_database_is_left();
}

/// Kills a writer while it holds the lock, and returns which one. The lock file names the holder, and a holder that is
/// stopped cannot let it go any more.
#[track_caller]
fn kill_a_lock_holder(nodes: &TwoNodes, writers: &mut [Child]) -> usize {
    let lock = nodes.shared.join("s.db.lock");
    let holder = || -> Option<u32> {
        let text = std::fs::read_to_string(&lock).ok()?;
        let (owner, word) = text.split_once('\n')?;
        let owner: Value = serde_json::from_str(owner).ok().filter(|_| word == "held     \n")?;
        owner["pid"].as_u64()?.try_into().ok()
    };
    loop {
        let found = holder().and_then(|pid| writers.iter().position(|writer| writer.id() == pid));
        if let Some(victim) = found {
            let pid = Pid::from_child(&writers[victim]);
            kill_process(pid, Signal::STOP).unwrap();
            wait_until_stopped(writers[victim].id());
            if holder() == Some(writers[victim].id()) {
                kill_process(pid, Signal::KILL).unwrap();
                return victim;
            }
            kill_process(pid, Signal::CONT).unwrap();
        }
        let is_running = |writer: &mut Child| writer.try_wait().unwrap().is_none();
        assert!(writers.iter_mut().all(is_running), "a writer ended before one was killed");
        std::thread::yield_now();
    }
}

/// A signal is sent before it is delivered.
fn wait_until_stopped(pid: u32) {
    // The state follows the program's name, which stands in parentheses (proc_pid_stat(5)).
    let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    while !matches!(stat().rsplit(") ").next(), Some(rest) if rest.starts_with(['T', 'Z'])) {
        std::thread::yield_now();
    }
}

/// What a mount does with what it has read.
#[derive(Clone, Copy)]
pub(crate) enum Caches {
    /// Keeps it, as long as it believes to be the only writer.
    Kept,
    /// Asks again each time.
    None,
}

/// The mounts, until dropped.
pub(crate) struct TwoNodes {
    shared: PathBuf,
    nodes: [Mounted; 2],
}

impl TwoNodes {
    pub(crate) fn mount(scene: &Scene, caches: Caches) -> Self {
        let shared = scene.path("shared");
        std::fs::create_dir(&shared).unwrap();
        let nodes = ["node1", "node2"].map(|node| Mounted::new(&shared, scene.path(node), caches));
        TwoNodes { shared, nodes }
    }

    /// Where a node has the folder.
    pub(crate) fn point(&self, node: usize) -> &Path {
        &self.nodes[node].point
    }

    fn database(&self, node: usize) -> String {
        self.point(node).join("s.db").display().to_string()
    }

    /// A writer that is not yet started; even ones are on the first node, odd ones on the second.
    fn writer(&self, scene: &Scene, writer: usize, n_trials: usize) -> Command {
        let (database, n_trials) = (self.database(writer % 2), n_trials.to_string());
        scene.command(&["run", &guest("quadratic"), "--storage", &database, "-n", &n_trials])
    }

    /// The trials' states, after the file was found to be whole, and the trials to be numbered from 0 in the
    /// order of their rows.
    #[track_caller]
    fn states(&self) -> Vec<String> {
        let connection = Connection::open(self.shared.join("s.db")).unwrap();
        let check: String =
            connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let sql = "SELECT number, state FROM trials ORDER BY trial_id";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let trials: Vec<(u32, String)> = rows.collect::<Result<_, _>>().unwrap();
        let numbers: Vec<u32> = trials.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (0..numbers.len() as u32).collect::<Vec<_>>());
        trials.into_iter().map(|(_, state)| state).collect()
    }

    /// Checks that the lock file is released and nothing else lies there.
    #[track_caller]
    fn assert_only_the_database_is_left(&self) {
        let files = std::fs::read_dir(&self.shared).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["s.db", "s.db.lock"]);
        let lock = std::fs::read_to_string(self.shared.join("s.db.lock")).unwrap();
        assert!(lock.ends_with("\nreleased \n"), "{lock}");
    }
}

/// One mount; unmounted when dropped, whatever becomes of the test.
struct Mounted {
    point: PathBuf,
}

impl Mounted {
    fn new(shared: &Path, point: PathBuf, caches: Caches) -> Self {
        std::fs::create_dir(&point).unwrap();
        let mut bindfs = Command::new("bindfs");
        if let Caches::None = caches {
            bindfs.args(["-o", "direct_io,attr_timeout=0,entry_timeout=0,ac_attr_timeout=0"]);
        }
        let status = bindfs.arg(shared).arg(&point).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "bindfs is missing: apt-get install bindfs"
        );
        Mounted { point }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily, because what a failed test leaves behind may still have files open there.
        let _ = Command::new("fusermount").arg("-uz").arg(&self.point).status();
    }
}
