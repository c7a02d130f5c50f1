//! Which process something belongs to, told apart from every other on every machine, and whether it lives.

use trialbox_core::Json;

/// A process. A pid alone names another one after a while, and on another machine, and after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessId {
    /// The machine's name.
    pub host: String,
    /// The machine's current life; absent where there is no `/proc`.
    pub boot_id: Option<String>,
    /// The process's number there.
    pub pid: u32,
    /// When it started, in clock ticks of the machine's life.
    pub start_ticks: Option<u64>,
    /// Who gave it its number: containers may number their processes themselves. Absent without `/proc`.
    pub pid_namespace: Option<String>,
}

/// Whether a process lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Alive,
    /// It is gone; why we know.
    Gone(String),
    /// It ran on another machine, or says too little.
    Unknown,
}

impl ProcessId {
    /// This process.
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

    /// Another process of this machine, if it runs.
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

    /// Members of the JSON object that names the process: `host`, `pid`, `boot_id`, `pid_start_ticks`,
    /// `pid_namespace`.
    pub fn to_members(&self) -> Vec<(&'static str, Json)> {
        let mut members =
            vec![("host", Json::from(self.host.as_str())), ("pid", Json::from(self.pid))];
        members.extend(self.boot_id.as_deref().map(|boot_id| ("boot_id", Json::from(boot_id))));
        members.extend(self.start_ticks.map(|ticks| ("pid_start_ticks", Json::from(ticks))));
        let namespace = self.pid_namespace.as_deref();
        members.extend(namespace.map(|namespace| ("pid_namespace", Json::from(namespace))));
        members
    }

    /// Reads what [`Self::to_members`] wrote.
    pub fn from_json(json: &Json) -> Option<Self> {
        let text = |key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
        let number = |key: &str| json.get(key).and_then(Json::as_i64);
        Some(ProcessId {
            host: text("host")?,
            boot_id: text("boot_id"),
            pid: number("pid")?.try_into().ok()?,
            start_ticks: number("pid_start_ticks").and_then(|ticks| ticks.try_into().ok()),
            pid_namespace: text("pid_namespace"),
        })
    }

    /// Whether the process lives, as far as this machine can know. Of other machines it knows nothing, nor
    /// of its own earlier lives: their name is no proof, as two machines may have the same.
    pub fn life(&self) -> Life {
        match (&self.boot_id, boot_id()) {
            (Some(theirs), Some(ours)) if *theirs == ours => self.life_here(),
            _ => Life::Unknown,
        }
    }

    /// The machine is this one. In another container of it the number is another process's, or no process's.
    fn life_here(&self) -> Life {
        if self.pid_namespace.is_none() || self.pid_namespace != pid_namespace() {
            return Life::Unknown;
        }
        match look(self.pid) {
            Seen::Running { start_ticks }
                if self.start_ticks.is_none_or(|own| own == start_ticks) =>
            {
                Life::Alive
            }
            Seen::Running { .. } => {
                Life::Gone(format!("process {} of {} is another one now", self.pid, self.host))
            }
            Seen::Ended => Life::Gone(format!("no process {} on {}", self.pid, self.host)),
            Seen::Hidden => Life::Unknown,
        }
    }
}

/// The machine's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What tells the machine's current life from its others and from every other machine.
pub fn boot_id() -> Option<String> {
    // So that one machine can play several in tests.
    #[cfg(feature = "failpoints")]
    if let Ok(pretended) = std::env::var("TRIALBOX_BOOT_ID") {
        return Some(pretended);
    }
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

/// Who numbers the processes that this one sees.
fn pid_namespace() -> Option<String> {
    let link = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// The time since the machine was started, its sleep included.
pub fn since_boot() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    std::time::Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}

/// What can be seen of a process.
enum Seen {
    Running {
        start_ticks: u64,
    },
    Ended,
    /// It is there, but belongs to another user, and `/proc` hides it (`hidepid`), as on many clusters.
    Hidden,
}

/// Looks at a process: fields 3 and 22 of `/proc/PID/stat` (proc(5)), and where that is no help, whether
/// there is anything to send a signal to.
fn look(pid: u32) -> Seen {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the program's name in parentheses, and may itself hold spaces.
    let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    match (fields.next(), fields.nth(18).and_then(|ticks| ticks.parse().ok())) {
        // A zombie has ended; only its parent has not noticed.
        (Some("Z" | "X"), _) => Seen::Ended,
        (Some(_), Some(start_ticks)) => Seen::Running { start_ticks },
        _ if accepts_signals(pid) => Seen::Hidden,
        _ => Seen::Ended,
    }
}

fn accepts_signals(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let answer = pid.map(rustix::process::test_kill_process);
    !matches!(answer, None | Some(Err(rustix::io::Errno::SRCH)))
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
        // Until it is waited for it is a zombie; the kernel needs a moment to make it one.
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
