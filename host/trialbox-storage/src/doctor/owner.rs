//! Whether the process that owns a running trial is still there.

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use std::fs;
use trialbox_core::json::Json;

/// What can be known about a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    /// It runs on this machine.
    Alive,
    /// It is gone, and this is how we know.
    Gone(String),
    /// The machine was started anew, if its name is its own.
    Restarted(String),
    /// It is, or was, where we cannot look.
    Elsewhere(String),
}

/// This machine, as far as processes are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Here {
    host: String,
    boot_id: Option<String>,
    pid_namespace: Option<String>,
}

impl Here {
    pub(super) fn this() -> Self {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let namespace = fs::read_link("/proc/self/ns/pid").ok();
        Here {
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            boot_id: boot_id.map(|id| id.trim().to_owned()),
            pid_namespace: namespace.map(|name| name.to_string_lossy().into_owned()),
        }
    }
}

/// Looks for the owner of a trial; `None` if the token does not say who it is.
pub(super) fn look(owner: &Json, here: &Here) -> Option<Life> {
    let host = owner.get("host")?.as_str()?;
    let pid = i32::try_from(owner.get("pid")?.as_i64()?).ok()?;
    let job = owner.get("slurm_job_id").and_then(Json::as_str);
    let job = job.map(|job| format!(" of job {job}")).unwrap_or_default();
    let who = format!("process {pid}{job} on `{host}`");
    if host != here.host {
        return Some(Life::Elsewhere(who));
    }
    let text = |key| owner.get(key).and_then(Json::as_str);
    let is_same = |theirs: Option<&str>, ours: &Option<String>| theirs == ours.as_deref();
    let boot_id = text("boot_id");
    if boot_id.is_none() || here.boot_id.is_none() {
        return Some(Life::Elsewhere(who));
    }
    if !is_same(boot_id, &here.boot_id) {
        return Some(Life::Restarted(format!("`{host}` was started anew since {who} took it")));
    }
    let namespace = text("pid_namespace");
    if namespace.is_some() && !is_same(namespace, &here.pid_namespace) {
        return Some(Life::Elsewhere(format!("{who}, in another container")));
    }
    let ticks = owner.get("pid_start_ticks").and_then(Json::as_i64);
    Some(match process(pid, ticks) {
        Some(reason) => Life::Gone(format!("{who} {reason}")),
        None => Life::Alive,
    })
}

/// Whether no process of this machine has that number.
pub(super) fn is_process_gone(pid: i32) -> bool {
    Pid::from_raw(pid).is_none_or(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

/// Why a process is not the one that started at `ticks` after boot, or none at all; `None` if it runs.
fn process(pid: i32, ticks: Option<i64>) -> Option<&'static str> {
    if is_process_gone(pid) {
        return Some("is gone");
    }
    // Others' processes can be hidden, and then the signal above is all there is to go by.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, in parentheses: the state is the first field, the start time the twentieth (proc(5)).
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return Some("has ended");
    }
    let started: i64 = fields.nth(18)?.parse().ok()?;
    (ticks? != started).then_some("is gone, and another has its number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(host: &str, boot_id: &str, pid: u32, ticks: i64) -> Json {
        Json::object([
            ("host", Json::from(host)),
            ("boot_id", Json::from(boot_id)),
            ("pid", Json::from(pid)),
            ("pid_start_ticks", Json::from(ticks)),
        ])
    }

    fn own_ticks() -> i64 {
        let stat = fs::read_to_string("/proc/self/stat").expect("/proc is there");
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        fields.split_whitespace().nth(19).expect("22 fields").parse().expect("a number")
    }

    #[test]
    fn a_living_process_is_told_from_a_dead_one_and_from_its_successor() {
        let here = Here::this();
        let boot_id = here.boot_id.clone().expect("a boot id");
        let own = |ticks| token(&here.host, &boot_id, std::process::id(), ticks);
        assert_eq!(look(&own(own_ticks()), &here), Some(Life::Alive));
        let successor = look(&own(own_ticks() + 1), &here);
        assert!(
            matches!(successor, Some(Life::Gone(why)) if why.contains("another has its number"))
        );
        let mut child = std::process::Command::new("true").spawn().expect("`true` starts");
        let pid = child.id();
        child.wait().expect("it ends");
        let dead = look(&token(&here.host, &boot_id, pid, 1), &here);
        assert!(matches!(dead, Some(Life::Gone(why)) if why.contains("is gone")));
    }

    #[test]
    fn what_runs_elsewhere_cannot_be_judged() {
        let here = Here::this();
        let boot_id = here.boot_id.clone().expect("a boot id");
        let elsewhere = look(&token("another", &boot_id, 1, 1), &here);
        assert_eq!(elsewhere, Some(Life::Elsewhere("process 1 on `another`".to_owned())));
        let before = look(&token(&here.host, "before", 1, 1), &here);
        assert!(matches!(before, Some(Life::Restarted(_))));
        let Json::Object(mut members) = token(&here.host, &boot_id, 4_000_000, 1) else { panic!() };
        members.push(("pid_namespace".to_owned(), Json::from("pid:[1]")));
        assert!(matches!(look(&Json::Object(members), &here), Some(Life::Elsewhere(_))));
        assert_eq!(look(&Json::from("somebody"), &here), None);
    }
}
