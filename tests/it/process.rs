//! Processes that a test kills, stops and resumes, and their output.

use crate::scene::{Scene, guest};
use crate::schema::assert_documented;
use crate::scripted::objective_of;
pub(crate) use crate::watched::has_ended;
use crate::watched::watch;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, pidfd_send_signal, waitpid};
use serde_json::Value;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// The database of these tests, in the scene's folder.
pub(crate) const DATABASE: &str = "study.db";
/// The study in [`DATABASE`].
pub(crate) const STUDY: &str = "s";

/// The end of a process, by itself or by a signal.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// The complete lines of its output, which are all that it acknowledged.
    pub(crate) events: Vec<Value>,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn was_killed(&self) -> bool {
        self.signal == Some(Signal::KILL.as_raw())
    }

    pub(crate) fn events_of<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |found| found["event"] == event)
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        // A process that dies while it prints leaves an incomplete line, which acknowledges nothing.
        let stdout = String::from_utf8(output.stdout).unwrap();
        let lines = stdout.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let events: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_documented(&events);
        Ended {
            code: output.status.code(),
            signal: output.status.signal(),
            events,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Scene {
    /// Returns a command on [`STUDY`] in [`DATABASE`] that prints JSON.
    pub(crate) fn on_study(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.args(["--storage", DATABASE, "--study-name", STUDY, "--format", "json"]);
        // These tests run several components on one study.
        command.args((arguments[0] == "run").then_some("--allow-module-change"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a command of [`Self::on_study`] with faults at its failpoints.
    pub(crate) fn start(&self, faults: &str, arguments: &[&str]) -> Child {
        self.on_study(arguments).env("TRIALBOX_FAILPOINTS", faults).spawn().unwrap()
    }

    /// Runs such a command to its end.
    pub(crate) fn finish(&self, faults: &str, arguments: &[&str]) -> Ended {
        end(self.start(faults, arguments))
    }

    /// Runs one trial of the example `quadratic`.
    pub(crate) fn quadratic(&self, faults: &str) -> Ended {
        self.finish(faults, &["run", &guest("quadratic")])
    }

    /// Writes an objective of [`asking`] to a file, and returns the file's name.
    pub(crate) fn objective(&self, name: &str, body: &str) -> String {
        let file = format!("{name}.wasm");
        std::fs::write(self.path(&file), asking(body)).unwrap();
        file
    }
}

/// Waits until a process has ended.
pub(crate) fn end(child: Child) -> Ended {
    child.wait_with_output().unwrap().into()
}

/// Waits until a process stops itself at a failpoint.
#[track_caller]
pub(crate) fn wait_until_stopped(child: &Child) {
    let (_, status) =
        waitpid(Some(Pid::from_child(child)), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped(), "it ended before it was stopped: {status:?}");
}

/// Resumes a stopped process.
pub(crate) fn resume(child: &Child) {
    kill_process(Pid::from_child(child), Signal::CONT).unwrap();
}

/// Kills a process after this time, unless it ends before.
pub(crate) fn kill_after(child: &mut Child, time: Duration) {
    if !has_ended(&watch(Pid::from_child(child)), time) {
        child.kill().unwrap();
    }
}

/// Returns the guest process of a `trialbox run`.
#[track_caller]
pub(crate) fn guest_process(host: &Child) -> OwnedFd {
    watch(guest_pid(host))
}

/// Returns the id of the guest process of a `trialbox run`.
#[track_caller]
pub(crate) fn guest_pid(host: &Child) -> Pid {
    let found = children(host);
    let [guest] = found[..] else { panic!("one guest process was expected, not {found:?}") };
    Pid::from_raw(guest).unwrap()
}

/// Waits until a `trialbox run` has started a guest process.
#[track_caller]
pub(crate) fn wait_for_guest(host: &mut Child) {
    while children(host).is_empty() {
        assert!(host.try_wait().unwrap().is_none(), "it ended before it started a guest process");
        std::thread::yield_now();
    }
}

fn children(host: &Child) -> Vec<i32> {
    let children = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The parent is the second field after the program's name (proc(5)).
        let parent: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        (parent == host.id()).then_some(pid)
    });
    children.collect()
}

/// Kills a process that is not a child.
pub(crate) fn kill(process: &OwnedFd) {
    pidfd_send_signal(process, Signal::KILL).unwrap();
}

/// Returns an objective that suggests the float `x` in [0, 1] and then runs `body`, which finds it as `(local.get $x)`.
pub(crate) fn asking(body: &str) -> Vec<u8> {
    objective_of(&format!(
        r#"(import "trialbox:objective/trial@0.1.0" (instance $trial
    (export "suggest-float" (func (param "name" string) (param "low" f64) (param "high" f64)
      (param "log" bool) (param "step" (option f64)) (result f64)))))
  (core module $memory (memory (export "memory") 1) (data (i32.const 16) "x"))
  (core instance $memory (instantiate $memory))
  (core func $suggest (canon lower (func $trial "suggest-float") (memory $memory "memory")))
  (core module $m
    (import "memory" "memory" (memory 1))
    (export "memory" (memory 0))
    (import "trial" "suggest" (func $suggest (param i32 i32 f64 f64 i32 i32 f64) (result f64)))
    (func (export "evaluate") (result i32) (local $x f64)
      (local.set $x (call $suggest (i32.const 16) (i32.const 1) (f64.const 0) (f64.const 1)
        (i32.const 0) (i32.const 0) (f64.const 0)))
      {body}))
  (core instance $i (instantiate $m (with "memory" (instance $memory))
    (with "trial" (instance (export "suggest" (func $suggest))))))"#
    ))
}

/// A body that never returns.
pub(crate) const HANGS: &str = "(loop $l (br $l)) unreachable";

/// A body that returns `x`.
pub(crate) const RETURNS_X: &str = "(f64.store (i32.const 48) (local.get $x))
  (i32.store8 (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (i32.const 48))
  (i32.store (i32.const 40) (i32.const 1)) (i32.const 32)";
