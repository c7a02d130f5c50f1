//! A throw-away Slurm cluster: one controller and several nodes, all of them processes of this machine. What they
//! write lies in the test's folder, they listen on loopback alone, and nobody needs to know who they are.
//!
//! There is no accounting database: `scontrol` remembers the jobs of a cluster for as long as it lives.

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

/// How Slurm knows which processes belong to a job, and so whom it signals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Proctrack {
    /// As production does. Every signal but KILL goes to the batch script or to what `srun` started, and not to
    /// their children.
    Cgroup,
    /// By the parents in the process table. Signals reach children too, and a child whose parent has died
    /// outlives its job.
    Linuxproc,
}

/// What clusters differ in. Slurm counts times in whole seconds.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) proctrack: Proctrack,
    pub(crate) nodes: usize,
    /// Of each node. They are pretended: the machine may have fewer.
    pub(crate) cpus: usize,
    /// Between TERM and KILL at the end of a job; Slurm's own default is 30 s.
    pub(crate) kill_wait: Duration,
    /// What a preempted job of the partition `low` has left.
    pub(crate) grace: Duration,
    /// Before a requeued job may start again, at least 5 s; Slurm's own default is 120 s.
    pub(crate) requeue_wait: Duration,
    /// Of silence, until a node is down and its jobs are requeued.
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

/// A running cluster, until dropped; then its daemons and all that runs in its jobs are killed.
///
/// Partitions are `main` (the default), and `low` and `high`: a job of `low` is requeued when one of `high` needs
/// its cores. Keep it on the thread that started it: its daemons are killed when that ends, too.
pub(crate) struct Cluster {
    layout: Layout,
    controller: Option<Child>,
    /// By the node's name.
    slurmds: BTreeMap<String, Child>,
}

/// How long anything may take. It is there to end a test that would never end, and no test is about it.
const PATIENCE: Duration = Duration::from_secs(300);

/// Slurm tells nobody when the state of a job or a node changes: its own `sbatch --wait` asks every few seconds.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(200);

/// What bash reads before each batch script.
const NODE_SCRIPT: &str = "node.sh";

impl Cluster {
    /// Starts a cluster in the scene's folder, and waits until all its nodes are up.
    #[track_caller]
    pub(crate) fn start(scene: &Scene, options: &Options) -> Self {
        let layout = Layout::make(&scene.folder, options);
        // Where an earlier run of the test was killed, its jobs may still be running.
        leftovers::end(&layout.conf, &[]);
        // The nodes know nothing of each other's processes, as on a cluster of several machines.
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

    /// The nodes' names.
    pub(crate) fn nodes(&self) -> &[String] {
        &self.layout.nodes
    }

    /// A program, not yet started, in the environment of a user of the cluster, which their jobs inherit. Home is
    /// the test's folder, so that caches and databases are the test's own.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.layout.home).env_clear();
        command.env("HOME", &self.layout.home).env("SLURM_CONF", &self.layout.conf);
        command.env("PATH", search_path()).stdin(Stdio::null());
        command.env("BASH_ENV", self.layout.home.join(NODE_SCRIPT));
        command
    }

    /// Runs a program, which must end with 0, and gives what it prints.
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

    /// Waits until jobs have written so many lines to a file of the test's folder; these lines.
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

    /// Kills a node's daemon. Its jobs go on, and nobody hears of them any more.
    pub(crate) fn kill_slurmd(&mut self, node: &str) {
        let mut slurmd = self.slurmds.remove(node).unwrap();
        slurmd.kill().unwrap();
        slurmd.wait().unwrap();
    }

    /// Starts a killed daemon again, and waits until its node is up. What it finds of jobs that were requeued
    /// meanwhile it kills.
    #[track_caller]
    pub(crate) fn revive(&mut self, node: &str) {
        self.start_slurmd(node);
        self.wait_until_up(&[node.to_owned()]);
    }

    /// Ends the controller in good order, as for maintenance, and starts it again. Killed instead, it would hold
    /// every running job for an administrator (`launch_failed_requeued_held`).
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

    /// A daemon that does not fork, so that it is our child, and that dies with the test's thread, so that a test
    /// run that is interrupted leaves no cluster behind.
    fn daemon(&self, program: &str, arguments: &[&str], name: &str) -> Child {
        let mut command = self.command("setpriv", &["--pdeathsig", "SIGKILL", program]);
        command.args(arguments).arg("-f").arg(&self.layout.conf);
        // Errors in the configuration are met before the log is opened.
        let output = File::create(self.layout.log(&format!("{name}.out"))).unwrap();
        command.stdout(output.try_clone().unwrap()).stderr(output);
        command.spawn().unwrap()
    }

    /// Waits until nodes can take jobs, if they have no others.
    #[track_caller]
    fn wait_until_up(&self, nodes: &[String]) {
        let names = nodes.join(",");
        self.poll("nodes to be up", || {
            let query = ["-h", "-N", "-p", "main", "-o", "%t", "-n", &names];
            let shown = self.command("sinfo", &query).output().unwrap();
            let states = String::from_utf8(shown.stdout).unwrap();
            // One that is not heard of has a star.
            let is_up = |state: &&str| ["idle", "mix", "alloc", "comp"].contains(state);
            (states.lines().filter(is_up).count() == nodes.len()).then_some(())
        });
    }

    /// Asks until there is an answer.
    #[track_caller]
    pub(crate) fn poll<T>(&self, wanted: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            let ended = self.daemons().find(|daemon| has_ended(daemon));
            assert!(ended.is_none(), "a daemon ended: {ended:?}\n{}", self.account());
            let waited = started.elapsed();
            assert!(waited < PATIENCE, "waited {waited:?} for {wanted}\n{}", self.account());
            std::thread::sleep(BETWEEN_QUESTIONS);
        }
    }

    fn daemons(&self) -> impl Iterator<Item = &Child> {
        self.controller.iter().chain(self.slurmds.values())
    }

    /// What a reader of a failed test wants to know of the cluster.
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
        // The controller first, so that it starts nothing anew. Nothing of it is to be kept, so none is asked to
        // leave: a test that wants its jobs to end politely cancels them.
        for daemon in self.controller.iter_mut().chain(self.slurmds.values_mut()) {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        leftovers::end(&self.layout.conf, &self.layout.nodes);
        let _ = std::fs::remove_dir_all(&self.layout.spool);
    }
}

/// Whether a child has ended, which nobody is told of in another way by this.
fn has_ended(child: &Child) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(Pid::from_child(child)), options).unwrap().is_some()
}

/// The binary under test comes first; Debian keeps the daemons where only root looks.
fn search_path() -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_trialbox"));
    format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", binary.parent().unwrap().display())
}

/// The end of a log, under its name, if there is anything in it.
fn last_lines(log: &PathBuf) -> Option<String> {
    let text = String::from_utf8_lossy(&std::fs::read(log).ok()?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(40)..].join("\n");
    (!tail.is_empty()).then(|| format!("--- the end of {}\n{tail}", log.display()))
}
