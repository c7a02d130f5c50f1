//! The identity of a process among those of all machines, and the evidence that it lives.

use std::sync::OnceLock;
use trialbox_core::Json;

/// The identity of a process. A pid alone is not enough: the system reuses it, and other machines have it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessId {
    /// The machine's name.
    pub host: String,
    /// The machine's current boot; absent without `/proc`.
    pub boot_id: Option<String>,
    /// The process's number on the machine.
    pub pid: u32,
    /// The time of its start, in clock ticks since the boot.
    pub start_ticks: Option<u64>,
    /// The namespace of the pid: containers may number their processes themselves. Absent without `/proc`.
    pub pid_namespace: Option<String>,
}

/// The evidence that a process lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// The process runs.
    Alive,
    /// The process has ended; the text is the evidence.
    Gone(String),
    /// The process is on another machine, or its identity is incomplete.
    Unknown,
}

impl ProcessId {
    /// Returns the identity of this process.
    pub fn current() -> Self {
        let pid = std::process::id();
        ProcessId::of_pid(pid).unwrap_or_else(|| ProcessId {
            host: host_name(),
            boot_id: boot_id(),
            pid,
            start_ticks: None,
            pid_namespace: pid_namespace(),
        })
    }

    /// Returns the identity of a process of this machine; `None` if it does not run.
    pub fn of_pid(pid: u32) -> Option<Self> {
        let Seen::Running { start_ticks } = look(pid) else { return None };
        Some(ProcessId {
            host: host_name(),
            boot_id: boot_id(),
            pid,
            start_ticks: Some(start_ticks),
            pid_namespace: pid_namespace(),
        })
    }

    /// Returns the members of the JSON object that names the process: `host`, `pid`, `boot_id`, `pid_start_ticks`,
    /// `pid_namespace`.
    pub fn to_members(&self) -> Vec<(&'static str, Json)> {
        let mut members =
            vec![("host", Json::from(self.host.as_str())), ("pid", Json::from(self.pid))];
        if let Some(boot_id) = &self.boot_id {
            members.push(("boot_id", Json::from(boot_id.as_str())));
        }
        if let Some(ticks) = self.start_ticks {
            members.push(("pid_start_ticks", Json::from(ticks)));
        }
        if let Some(namespace) = &self.pid_namespace {
            members.push(("pid_namespace", Json::from(namespace.as_str())));
        }
        members
    }

    /// Reads the object of [`Self::to_members`]; `None` if the host or the pid is missing.
    pub fn from_json(json: &Json) -> Option<Self> {
        Some(ProcessId {
            host: read_text(json, "host")?,
            boot_id: read_text(json, "boot_id"),
            pid: read_number(json, "pid")?,
            start_ticks: read_number(json, "pid_start_ticks"),
            pid_namespace: read_text(json, "pid_namespace"),
        })
    }

    /// Returns the evidence that the process lives, as far as this machine can know. It knows nothing about other
    /// machines and about its own earlier boots. The boot decides, not the host's name: two machines may have the same
    /// name.
    pub fn life(&self) -> Life {
        match (&self.boot_id, boot_id()) {
            (Some(theirs), Some(ours)) if *theirs == ours => self.life_here(),
            _ => Life::Unknown,
        }
    }

    /// Returns the evidence for a process of this boot. In another container, the pid belongs to another process or to
    /// none.
    fn life_here(&self) -> Life {
        if self.pid_namespace.is_none() || self.pid_namespace != pid_namespace() {
            return Life::Unknown;
        }
        match look(self.pid) {
            Seen::Running { start_ticks } => match self.start_ticks {
                Some(own) if own != start_ticks => Life::Gone(format!(
                    "process {} on {} is a later one with the same number",
                    self.pid, self.host
                )),
                _ => Life::Alive,
            },
            Seen::Ended => Life::Gone(format!("no process {} on {}", self.pid, self.host)),
            Seen::Hidden => Life::Unknown,
        }
    }
}

/// Returns the machine's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns the id of the machine's current boot, which is unique among all boots of all machines.
pub fn boot_id() -> Option<String> {
    // Tests use one machine as several.
    #[cfg(feature = "failpoints")]
    if let Ok(pretended) = std::env::var("TRIALBOX_BOOT_ID") {
        return Some(pretended);
    }
    static BOOT_ID: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(text.trim().to_owned())
    };
    BOOT_ID.get_or_init(read).clone()
}

/// Returns the namespace that numbers the processes which this one sees.
fn pid_namespace() -> Option<String> {
    static NAMESPACE: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let link = std::fs::read_link("/proc/self/ns/pid").ok()?;
        Some(link.to_string_lossy().into_owned())
    };
    NAMESPACE.get_or_init(read).clone()
}

/// Returns the time since the machine was started, including its sleep.
pub fn since_boot() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    std::time::Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}

/// The visible state of a process.
enum Seen {
    Running {
        start_ticks: u64,
    },
    Ended,
    /// The process exists but belongs to another user, and `/proc` hides it (`hidepid`), as on many clusters.
    Hidden,
}

/// Looks at a process: reads fields 3 and 22 of `/proc/PID/stat` (proc(5)). If that fails, checks that a signal could
/// be sent.
fn look(pid: u32) -> Seen {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the program's name in parentheses, which may itself contain spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')').unwrap_or_default();
    let mut fields = rest.split_whitespace();
    let state = fields.next();
    let start_ticks = fields.nth(18).unwrap_or_default().parse().ok();
    match (state, start_ticks) {
        // A zombie has ended, but its parent has not collected it yet.
        (Some("Z" | "X"), _) => Seen::Ended,
        (Some(_), Some(start_ticks)) => Seen::Running { start_ticks },
        _ if accepts_signals(pid) => Seen::Hidden,
        _ => Seen::Ended,
    }
}

fn accepts_signals(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    let Some(pid) = rustix::process::Pid::from_raw(pid) else { return false };
    // Any other error, such as that of a missing permission, means that the process exists.
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

fn read_text(json: &Json, key: &str) -> Option<String> {
    Some(json.get(key)?.as_str()?.to_owned())
}

fn read_number<N: TryFrom<i64>>(json: &Json, key: &str) -> Option<N> {
    json.get(key)?.as_i64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_reads_back_as_itself() {
        let this = ProcessId::current();
        assert_eq!(this.life(), Life::Alive);
        assert_eq!(ProcessId::from_json(&Json::object(this.to_members())), Some(this));
    }

    #[test]
    fn a_process_that_has_ended_is_gone_even_before_its_parent_has_noticed() {
        let mut child =
            std::process::Command::new("sleep").arg("1000").spawn().expect("sleep runs");
        let id = ProcessId::of_pid(child.id()).expect("it runs");
        assert_eq!(id.life(), Life::Alive);
        child.kill().expect("it can be ended");
        // It is a zombie until it is waited for; the kernel takes a moment to make it one.
        while id.life() == Life::Alive {
            std::thread::yield_now();
        }
        assert!(matches!(id.life(), Life::Gone(_)));
        child.wait().expect("it has ended");
        assert!(matches!(id.life(), Life::Gone(_)));
    }

    #[test]
    fn another_start_time_is_another_process_and_another_life_or_machine_is_unknown() {
        let this = ProcessId::current();
        let reused =
            ProcessId { start_ticks: this.start_ticks.map(|ticks| ticks + 1), ..this.clone() };
        assert!(matches!(reused.life(), Life::Gone(_)));
        let restarted = ProcessId { boot_id: Some("x".to_owned()), ..this.clone() };
        assert_eq!(restarted.life(), Life::Unknown);
        // Another container of the machine numbers its processes itself.
        let contained = ProcessId { pid_namespace: Some("pid:[1]".to_owned()), ..reused };
        assert_eq!(contained.life(), Life::Unknown);
    }
}
