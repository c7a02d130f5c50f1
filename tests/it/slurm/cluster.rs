//! A temporary Slurm cluster: a controller and several nodes, all of them processes of this machine.
//!
//! The daemons write to the test's folder, listen on loopback only, and use no authentication. There is no accounting
//! database: `scontrol` remembers a cluster's jobs for as long as the cluster lives.

mod config;
mod jobs;
pub(crate) mod leftovers;

pub(crate) use jobs::{Job, Task};

use crate::scene::{Ran, Scene};
use config::Layout;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The way in which Slurm tracks the processes of a job, and so chooses those that it signals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Proctrack {
    /// As in production. Every signal but KILL goes to the batch script or to the processes that `srun` started, and
    /// not to their children.
    Cgroup,
    /// By the parents in the process table. Signals reach children too, and a child whose parent died outlives its job.
    Linuxproc,
}

/// The options of a cluster. Slurm counts times in whole seconds.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) proctrack: Proctrack,
    pub(crate) nodes: usize,
    /// The CPUs of each node, of which the machine may have fewer.
    pub(crate) cpus: usize,
    /// The time between TERM and KILL at the end of a job; Slurm's default is 30 s.
    pub(crate) kill_wait: Duration,
    /// The time that a preempted job of the partition `low` has left.
    pub(crate) grace: Duration,
    /// The time before a requeued job may restart, at least 5 s; Slurm's default is 120 s.
    pub(crate) requeue_wait: Duration,
    /// The silence after which a node is down and its jobs are requeued.
    pub(crate) slurmd_timeout: Duration,
}

impl Options {
    pub(crate) fn new(proctrack: Proctrack) -> Self {
        Options {
            proctrack,
            nodes: 4,
            cpus: 4,
            kill_wait: Duration::from_secs(5),
            grace: Duration::ZERO,
            requeue_wait: Duration::from_secs(5),
            slurmd_timeout: Duration::from_secs(10),
        }
    }
}

/// A running cluster. Dropping it kills the daemons and all processes of its jobs.
///
/// The partitions are `main` (the default), `low` and `high`: a job of `low` is requeued when one of `high` needs its
/// cores. The daemons die with the thread that started the cluster.
pub(crate) struct Cluster {
    layout: Layout,
    controller: Option<Child>,
    /// The daemons by the node's name.
    slurmds: BTreeMap<String, Child>,
}

/// The limit of every wait, which ends a test that would hang.
const WAIT_TIMEOUT: Duration = Duration::from_secs(300);

/// The limit of waits of `cargo xtask bench recipe`, whose jobs are long.
const BENCH_TIMEOUT: Duration = Duration::from_secs(7200);

/// The folder of a virtual environment with scikit-learn and Optuna, with which `cargo xtask bench recipe` runs the
/// recipe in full.
pub(crate) fn bench_environment() -> Option<String> {
    std::env::var("TRIALBOX_BENCH_ENVIRONMENT").ok()
}

/// The pause between two questions. Slurm has no notification of changes: its own `sbatch --wait` polls too.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(200);

/// The script that bash reads before each batch script.
const NODE_SCRIPT: &str = "node.sh";

impl Cluster {
    /// Starts a cluster in the scene's folder, and waits until all of its nodes are up.
    #[track_caller]
    pub(crate) fn start(scene: &Scene, options: &Options) -> Self {
        let layout = Layout::make(&scene.folder, options);
        // An earlier run of the test may have been killed and left its jobs running.
        leftovers::end(&layout.conf, &[]);
        // A boot id for each node, so that no node can look up another's processes, as on several machines.
        let script = "export TRIALBOX_BOOT_ID=$SLURMD_NODENAME\n";
        std::fs::write(scene.path(NODE_SCRIPT), script).unwrap();
        let mut cluster = Cluster { layout, controller: None, slurmds: BTreeMap::new() };
        cluster.start_controller();
        for node in cluster.layout.nodes.clone() {
            cluster.start_slurmd(&node);
        }
        cluster.wait_until_up(&cluster.layout.nodes);
        cluster
    }

    /// Returns the nodes' names.
    pub(crate) fn nodes(&self) -> &[String] {
        &self.layout.nodes
    }

    /// Returns a command in the environment of a user of the cluster, which jobs inherit. The home is the test's
    /// folder, so that each test has caches and databases of its own.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.layout.home).env_clear();
        command.env("HOME", &self.layout.home).env("SLURM_CONF", &self.layout.conf);
        command.env("PATH", search_path()).stdin(Stdio::null());
        command.env("BASH_ENV", self.layout.home.join(NODE_SCRIPT));
        command
    }

    /// Runs a program, which must exit with 0, and returns its standard output.
    #[track_caller]
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        self.finish(&mut self.command(program, arguments))
    }

    #[track_caller]
    pub(crate) fn finish(&self, command: &mut Command) -> String {
        let output = command.output();
        let ran = Ran::from(output.unwrap_or_else(|error| panic!("{command:?}: {error}")));
        assert_eq!(ran.code, Some(0), "{command:?}: {}\n{}", ran.stderr, self.account());
        ran.stdout
    }

    /// Waits until jobs have written this number of lines to a file in the test's folder, and returns the lines.
    #[track_caller]
    pub(crate) fn wait_for_lines(&self, file: &str, n: usize) -> Vec<String> {
        let path = self.layout.home.join(file);
        self.poll(&format!("{n} lines of {file}"), || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            let lines: Vec<String> = whole.map(str::to_owned).collect();
            (lines.len() >= n).then_some(lines)
        })
    }

    /// Kills a node's daemon. The node's jobs continue, and Slurm does not hear of them any more.
    pub(crate) fn kill_slurmd(&mut self, node: &str) {
        let mut slurmd = self.slurmds.remove(node).unwrap();
        slurmd.kill().unwrap();
        slurmd.wait().unwrap();
    }

    /// Restarts a killed daemon, and waits until its node is up. The daemon kills jobs that were requeued meanwhile.
    #[track_caller]
    pub(crate) fn revive(&mut self, node: &str) {
        self.start_slurmd(node);
        self.wait_until_up(&[node.to_owned()]);
    }

    /// Stops the controller as for maintenance, and restarts it. A killed controller would hold every running job for
    /// an administrator (`launch_failed_requeued_held`).
    #[track_caller]
    pub(crate) fn restart_controller(&mut self) {
        let mut controller = self.controller.take().unwrap();
        kill_process(Pid::from_child(&controller), Signal::TERM).unwrap();
        controller.wait().unwrap();
        self.start_controller();
        self.poll("the controller to answer", || {
            let answer = self.command("scontrol", &["ping"]).output().unwrap();
            answer.status.success().then_some(())
        });
    }

    fn start_controller(&mut self) {
        self.controller = Some(self.daemon("slurmctld", &["-D"], "slurmctld"));
    }

    fn start_slurmd(&mut self, node: &str) {
        let slurmd = self.daemon("slurmd", &["-D", "-N", node], &format!("slurmd-{node}"));
        self.slurmds.insert(node.to_owned(), slurmd);
    }

    /// Starts a daemon that does not fork, so that it is a child of this process. It dies with the test's thread, so
    /// that an interrupted test run leaves no cluster behind.
    fn daemon(&self, program: &str, arguments: &[&str], name: &str) -> Child {
        let mut command = self.command("setpriv", &["--pdeathsig", "SIGKILL", program]);
        command.args(arguments).arg("-f").arg(&self.layout.conf);
        // A daemon reports errors of its configuration before it opens its log.
        let output = File::create(self.layout.log(&format!("{name}.out"))).unwrap();
        command.stdout(output.try_clone().unwrap()).stderr(output);
        command.spawn().unwrap()
    }

    /// Waits until nodes accept jobs.
    #[track_caller]
    fn wait_until_up(&self, nodes: &[String]) {
        let names = nodes.join(",");
        self.poll("nodes to be up", || {
            let query = ["-h", "-N", "-p", "main", "-o", "%t", "-n", &names];
            let shown = self.command("sinfo", &query).output().unwrap();
            let states = String::from_utf8(shown.stdout).unwrap();
            // A star marks a node that does not answer.
            let is_up = |state: &&str| ["idle", "mix", "alloc", "comp"].contains(state);
            (states.lines().filter(is_up).count() == nodes.len()).then_some(())
        });
    }

    /// Asks until `ask` returns an answer.
    #[track_caller]
    pub(crate) fn poll<T>(&self, wanted: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        let limit = if bench_environment().is_some() { BENCH_TIMEOUT } else { WAIT_TIMEOUT };
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            let ended = self.daemons().find(|daemon| has_ended(daemon));
            assert!(ended.is_none(), "a daemon ended: {ended:?}\n{}", self.account());
            let waited = started.elapsed();
            assert!(waited < limit, "waited {waited:?} for {wanted}\n{}", self.account());
            std::thread::sleep(BETWEEN_QUESTIONS);
        }
    }

    fn daemons(&self) -> impl Iterator<Item = &Child> {
        self.controller.iter().chain(self.slurmds.values())
    }

    /// Returns the state of the cluster for the message of a failed test.
    fn account(&self) -> String {
        let mut text = String::new();
        let programs: [&[&str]; 2] =
            [&["sinfo", "-N"], &["squeue", "-o", "%i %T %r %N restarts=%y"]];
        for program in programs {
            if let Ok(output) = self.command(program[0], &program[1..]).output() {
                text += &String::from_utf8_lossy(&output.stdout);
                text += &String::from_utf8_lossy(&output.stderr);
            }
        }
        let logs = [self.layout.log("slurmctld.log"), self.layout.log("slurmctld.out")];
        text + &logs.iter().find_map(last_lines).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The controller comes first, so that it starts no new jobs. Nothing is kept, so the daemons are killed.
        for daemon in self.controller.iter_mut().chain(self.slurmds.values_mut()) {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        leftovers::end(&self.layout.conf, &self.layout.nodes);
        let _ = std::fs::remove_dir_all(&self.layout.spool);
    }
}

/// Returns whether a child has ended, and leaves its exit status to a later wait.
fn has_ended(child: &Child) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(Pid::from_child(child)), options).unwrap().is_some()
}

/// Returns the PATH, with the binary under test first. Debian's daemons lie in `sbin`.
fn search_path() -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_trialbox"));
    format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", binary.parent().unwrap().display())
}

/// Returns the last lines of a log with its name, unless it is empty.
fn last_lines(log: &PathBuf) -> Option<String> {
    let text = String::from_utf8_lossy(&std::fs::read(log).ok()?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(40)..].join("\n");
    (!tail.is_empty()).then(|| format!("--- the end of {}\n{tail}", log.display()))
}
