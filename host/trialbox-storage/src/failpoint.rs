//! Faults on demand, for tests of the state after a crash. Compiled in only with the feature `failpoints`, which
//! released binaries do not have.
//!
//! `TRIALBOX_FAILPOINTS="finish.before_commit=kill;*=kill@7"`: each point whose name matches carries out the action.
//! `*` matches every point, and `@n` means only the n-th time in this process. The actions are `kill` (SIGKILL to
//! itself), `stop` (SIGSTOP to itself), `exit`, `abort`, `panic` and `sleep-MS`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The environment variable with the rules. The text also shows that a binary has failpoints: a release must not
/// contain it.
pub const MARKER: &str = "TRIALBOX_FAILPOINTS";

/// The number of matches of each rule, in the rules' order.
static HITS: Mutex<Vec<AtomicU32>> = Mutex::new(Vec::new());

/// Carries out the rules of the environment for this point.
pub fn hit(point: &str) {
    let Ok(rules) = std::env::var(MARKER) else { return };
    for (index, rule) in rules.split(';').enumerate() {
        let Some((name, action)) = rule.split_once('=') else { continue };
        let (action, wanted) = match action.split_once('@') {
            Some((action, n)) => (action, n.parse().ok()),
            None => (action, None),
        };
        if (name == "*" || name == point) && wanted.is_none_or(|n| count(index) == n) {
            carry_out(action, point);
        }
    }
}

/// Counts a match of a rule and returns the count; the first match returns 1.
fn count(rule: usize) -> u32 {
    let mut hits = HITS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    while hits.len() <= rule {
        hits.push(AtomicU32::new(0));
    }
    hits[rule].fetch_add(1, Ordering::Relaxed) + 1
}

fn carry_out(action: &str, point: &str) {
    use rustix::process::{Signal, getpid, kill_process};
    match action {
        "kill" | "stop" => {
            let signal = if action == "kill" { Signal::KILL } else { Signal::STOP };
            let _ = kill_process(getpid(), signal);
            // The signal may take a moment to arrive; nothing may happen after it.
            if action == "kill" {
                loop {
                    std::thread::park();
                }
            }
        }
        "exit" => std::process::exit(99),
        "abort" => std::process::abort(),
        "panic" => panic!("failpoint {point}"),
        other => {
            let millis = other.strip_prefix("sleep-").and_then(|millis| millis.parse().ok());
            std::thread::sleep(Duration::from_millis(millis.unwrap_or_default()));
        }
    }
}
