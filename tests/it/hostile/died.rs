//! Guest processes as the kernel sees them: those that a signal ends, as a fault in the engine or the kernel's need for
//! memory does, and what is in the memory of one.

use crate::kill::{inspect_x, wait_until_running};
use crate::process::{HANGS, end, guest_pid, guest_process, has_ended};
use crate::scene::Scene;
use rustix::process::{Signal, pidfd_send_signal};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

#[test]
fn a_guest_process_that_a_signal_ends_is_a_failed_trial_which_names_it() {
    for signal in [Signal::SEGV, Signal::ABORT, Signal::KILL] {
        let scene = Scene::new("hostile-died");
        let hangs = scene.objective("hangs", HANGS);
        let mut host = scene.start("", &["run", &hangs]);
        wait_until_running(&scene, &mut host);
        let guest = guest_process(&host);
        // The handler of SIGSEGV takes what comes from outside for a fault that would come again, and steps aside.
        while !has_ended(&guest, Duration::from_millis(10)) {
            let _ = pidfd_send_signal(&guest, signal);
        }
        let ended = [end(host)];
        assert_eq!(ended[0].code, Some(1), "{ended:?}");
        let trial = &ended[0].events[0];
        let failure = &trial["failure"];
        assert_eq!(failure["code"], "E-DIED", "{failure}");
        let name = format!("signal {}", signal.as_raw());
        assert!(failure["message"].as_str().unwrap().contains(&name), "{failure}");
        // A guest may do this to itself each time: it is no loss that a retry would make good.
        assert_eq!(trial["retry"], serde_json::Value::Null);
        assert_eq!(inspect_x(&scene, &ended).recovered().assert_holds(), ["FAIL"]);
    }
}

#[test]
fn a_guest_process_does_not_have_the_key_in_its_memory() {
    let scene = Scene::new("hostile-memory-of-key");
    let hangs = scene.objective("hangs", HANGS);
    let mut command = scene.on_study(&["run", &hangs]);
    command.args(["--cache-dir", "cache"]).env("XDG_STATE_HOME", scene.path("user"));
    let mut host = command.spawn().unwrap();
    wait_until_running(&scene, &mut host);
    let key = fs::read(scene.path("user/trialbox/cache.key")).unwrap();
    let guest = guest_pid(&host).as_raw_nonzero();
    let memory = File::open(format!("/proc/{guest}/mem")).unwrap();
    let mut looked_at = 0;
    for line in fs::read_to_string(format!("/proc/{guest}/maps")).unwrap().lines() {
        let (range, rights) = line.split_once(' ').unwrap();
        let bound = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let (first, last) = range.split_once('-').map(|(a, b)| (bound(a), bound(b))).unwrap();
        if rights.starts_with("rw") && last - first <= 256 << 20 {
            let mut bytes = vec![0; (last - first) as usize];
            memory.read_exact_at(&mut bytes, first).unwrap();
            assert!(!bytes.windows(key.len()).any(|found| found == key), "{line}");
            looked_at += bytes.len();
        }
    }
    assert!(looked_at > 256 << 10, "{looked_at}");
    host.kill().unwrap();
    host.wait().unwrap();
}
