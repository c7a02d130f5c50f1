//! Guest processes that a signal ends, as a fault in the engine or the kernel's need for memory does.

use crate::kill::{inspect_x, wait_until_running};
use crate::process::{HANGS, end, guest_process, has_ended};
use crate::scene::Scene;
use rustix::process::{Signal, pidfd_send_signal};
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
