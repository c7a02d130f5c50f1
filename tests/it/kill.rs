//! Processes that die at every point of their lives, are stopped and continue, or race with a reaper.

use crate::invariants::Inspection;
use crate::process::{
    DATABASE, Ended, HANGS, RETURNS_X, end, guest_process, has_ended, kill, kill_after, resume,
    wait_until_stopped,
};
use crate::scene::{Scene, guest};
use rusqlite::Connection;
use serde_json::Value;
use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_run_that_makes_its_study_may_die_at_any_point() {
    let points = die_at_every_point("kill-missing", &[], |_| vec![]);
    assert!(points >= 12, "only {points} points");
}

#[test]
fn a_run_on_a_study_that_is_there_may_die_at_any_point() {
    let points = die_at_every_point("kill-existing", &[], |scene| vec![scene.quadratic("")]);
    assert!(points >= 8, "only {points} points");
}

#[test]
fn a_run_that_reaps_a_lost_trial_and_retries_it_may_die_at_any_point() {
    let lost = |scene: &Scene| vec![scene.quadratic("begin.after_commit=kill")];
    let points = die_at_every_point("kill-reaping", &[], lost);
    assert!(points >= 11, "only {points} points");
}

#[test]
fn a_run_that_records_a_spooled_result_may_die_at_any_point() {
    let points = die_at_every_point("kill-spooled", &[], |scene| vec![spool_a_result(scene, "")]);
    assert!(points >= 12, "only {points} points");
}

#[test]
fn a_run_that_holds_a_lock_file_may_die_at_any_point() {
    let points = die_at_every_point("kill-lock-file", &["--lock", "file"], |_| vec![]);
    assert!(points >= 12, "only {points} points");
}

#[test]
fn a_process_may_die_while_it_spools_a_result() {
    for (point, states) in [
        ("spool.before_rename", &["FAIL", "COMPLETE"][..]),
        // The file is there: its result is as good as recorded.
        ("spool.after_rename", &["COMPLETE", "COMPLETE"]),
    ] {
        let scene = Scene::new("kill-spooling");
        let mut ended = vec![spool_a_result(&scene, &format!(";{point}=kill"))];
        assert!(ended[0].was_killed(), "{ended:?}");
        ended.push(scene.quadratic(""));
        assert_eq!(Inspection::new(&scene, &ended).recovered().assert_holds(), states, "{point}");
    }
}

/// Kills a run at its first point, then on a fresh scene at its second, and so on until one survives; each
/// time the next run makes good what was lost. Returns how many points there were.
#[track_caller]
fn die_at_every_point(name: &str, flags: &[&str], prepare: fn(&Scene) -> Vec<Ended>) -> usize {
    let quadratic = guest("quadratic");
    let arguments = [&["run", &quadratic], flags].concat();
    for n in 1.. {
        let scene = Scene::new(name);
        let mut ended = prepare(&scene);
        ended.push(scene.finish(&format!("*=kill@{n}"), &arguments));
        let survived = ended.last().is_some_and(|ended| ended.code == Some(0));
        assert!(survived || ended.last().is_some_and(Ended::was_killed), "{n}: {ended:?}");
        Inspection::new(&scene, &ended).assert_holds();

        ended.push(scene.finish("", &arguments));
        let states = Inspection::new(&scene, &ended).recovered().assert_holds();
        assert!(states.iter().all(|state| state != "WAITING"), "{n}: {states:?}");
        assert_eq!(ended.last().and_then(|ended| ended.code), Some(0), "{n}: {ended:?}");
        if survived {
            return n - 1;
        }
    }
    unreachable!("a run has an end")
}

/// A run whose database another process has locked when it has its result. More faults may follow.
fn spool_a_result(scene: &Scene, faults: &str) -> Ended {
    let faults = format!("finish.before_begin=stop@1{faults}");
    let child = scene.start(&faults, &["run", &guest("quadratic"), "--storage-timeout", "50ms"]);
    wait_until_stopped(&child);
    let others = Connection::open(scene.path(DATABASE)).unwrap();
    others.execute_batch("BEGIN EXCLUSIVE").unwrap();
    resume(&child);
    end(child)
}

#[test]
fn five_hundred_processes_may_die_and_nothing_is_lost() {
    let scene = Scene::new("kill-storm");
    let mut ended = storm(&scene, 500);
    storm_inspection(&scene, &ended).assert_holds();
    let killed = ended.iter().filter(|ended| ended.was_killed()).count();
    let acknowledged: usize = ended.iter().map(|ended| ended.events_of("trial").count()).sum();
    // Most die, at every kind of point; some live to tell.
    assert!(killed >= 250 && acknowledged >= 25, "{killed} killed, {acknowledged} acknowledged");

    ended.extend(recover(&scene, 500));
    let states = storm_inspection(&scene, &ended).recovered().assert_holds();
    let count = |state: &str| states.iter().filter(|found| *found == state).count();
    assert_eq!(count("COMPLETE"), 500);
    assert_eq!(count("COMPLETE") + count("FAIL"), states.len());
}

const MAX_RETRIES: usize = 1000;
const AT_ONCE: usize = 32;

pub(crate) fn storm_inspection<'a>(scene: &Scene, ended: &'a [Ended]) -> Inspection<'a> {
    Inspection { max_retries: MAX_RETRIES, ..Inspection::new(scene, ended) }
}

/// Where a process of the storm dies.
enum Fate {
    /// At this failpoint, if it comes there.
    At(String),
    /// From outside, after this share of the longest life so far.
    After(f64),
}

impl Fate {
    /// The fates of a storm's processes are always the same; the moment of a death from outside is not.
    fn of(index: usize) -> Fate {
        let random = splitmix64(index as u64);
        let share = (random >> 40) as f64 / f64::from(1 << 24);
        // The first make the database, and have points that the others do not have.
        if index < AT_ONCE {
            return Fate::At(format!("*=kill@{}", 1 + random % 16));
        }
        let point = match random % 8 {
            0 => "begin.before_commit",
            1 => "begin.after_commit",
            2 | 3 => "finish.before_commit",
            4 => "finish.after_commit",
            5 => "reap.before_commit",
            6 => "reap.after_commit",
            _ => return Fate::After(share),
        };
        Fate::At(format!("{point}=kill"))
    }
}

/// Vigna 2015, <https://prng.di.unimi.it/splitmix64.c>: the `index`-th number from seed 0.
fn splitmix64(index: u64) -> u64 {
    let mut z = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// So many processes, [`AT_ONCE`] at a time, each with one trial and a death of its own.
pub(crate) fn storm(scene: &Scene, processes: usize) -> Vec<Ended> {
    let (next, longest_millis) = (AtomicUsize::new(0), AtomicU64::new(0));
    let ended = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= processes {
                        break;
                    }
                    let one = live_and_die(scene, &Fate::of(index), &longest_millis);
                    ended.lock().unwrap().push(one);
                }
            });
        }
    });
    ended.into_inner().unwrap()
}

fn live_and_die(scene: &Scene, fate: &Fate, longest_millis: &AtomicU64) -> Ended {
    let retries = MAX_RETRIES.to_string();
    let arguments = ["run", &guest("quadratic"), "--max-retries", &retries];
    let started = Instant::now();
    match fate {
        Fate::At(faults) => {
            let ended = scene.finish(faults, &arguments);
            let millis = started.elapsed().as_millis().try_into().unwrap();
            longest_millis.fetch_max(millis, Ordering::Relaxed);
            ended
        }
        Fate::After(share) => {
            let longest = Duration::from_millis(longest_millis.load(Ordering::Relaxed));
            let mut child = scene.start("", &arguments);
            kill_after(&mut child, longest.mul_f64(*share));
            end(child)
        }
    }
}

/// Two processes that run trials until the study has so many.
pub(crate) fn recover(scene: &Scene, trials: usize) -> Vec<Ended> {
    let trials = trials.to_string();
    let arguments = ["run", &guest("quadratic"), "-n", &trials, "--max-trials", &trials];
    let children = [scene.start("", &arguments), scene.start("", &arguments)];
    // Each is read to its end, while the other goes on.
    std::thread::scope(|scope| {
        let ends = children.map(|child| scope.spawn(|| end(child)));
        ends.map(|ended| ended.join().unwrap()).into()
    })
}

#[test]
fn a_retry_draws_what_the_lost_trial_drew_whether_it_was_recorded_or_not() {
    for point in ["record.before_commit", "record.after_commit"] {
        let scene = Scene::new("kill-record");
        let (hangs, returns) =
            (scene.objective("hangs", HANGS), scene.objective("returns", RETURNS_X));
        let alone = scene.trialbox(&["run", &returns, "--seed", "7", "--format", "json"]);
        let mut ended =
            vec![scene.finish(&format!("{point}=kill"), &["run", &hangs, "--seed", "7"])];
        assert!(ended[0].was_killed(), "{ended:?}");
        ended.push(scene.finish("", &["run", &returns]));
        assert_eq!(inspect_x(&scene, &ended).recovered().assert_holds(), ["FAIL", "COMPLETE"]);
        assert_eq!(ended[1].events[0]["params"], alone.json()[0]["params"]);
        let lost = &trials(&scene)[0];
        assert_eq!(lost["params"] == alone.json()[0]["params"], point == "record.after_commit");
    }
}

#[test]
fn a_trial_that_was_reaped_while_its_process_was_stopped_is_not_overwritten() {
    let scene = Scene::new("kill-stopped");
    let returns = scene.objective("returns", RETURNS_X);
    let child = scene.start("finish.before_begin=stop@1", &["run", &returns]);
    wait_until_stopped(&child);
    // On the same machine a stopped process is known to live, whatever the grace.
    let spared = scene.finish("", &["reap", "--grace", "0s", "--force"]);
    assert_eq!(spared.events[0]["n_running"], 1);
    let reaped = scene.finish("", &["reap", "--trial", "0"]);
    assert_eq!(reaped.events[0]["retry"], 1);
    resume(&child);

    let mut ended = vec![end(child)];
    assert_eq!(ended[0].code, Some(6), "{ended:?}");
    let lost = &ended[0].events[0];
    assert_eq!(lost["event"], "claim_lost");
    let key = lost["kept_as"].as_str().unwrap().to_owned();
    assert!(key.starts_with("trialbox:late_result:0:"), "{key}");
    assert_eq!(trials(&scene)[0]["state"], "FAIL");
    let values = lost["values"].clone();
    assert_eq!(study(&scene)["user_attrs"][&key]["values"], values);

    ended.push(scene.finish("", &["run", &returns]));
    assert_eq!(inspect_x(&scene, &ended).recovered().assert_holds(), ["FAIL", "COMPLETE"]);
    // The retry drew the same, so it found the same.
    assert_eq!(ended[1].events[0]["values"], values);
}

#[test]
fn a_trial_that_was_reaped_in_the_middle_and_came_to_nothing_leaves_nothing() {
    let scene = Scene::new("kill-stopped-middle");
    let hangs = scene.objective("hangs", HANGS);
    let child = scene.start("record.before_begin=stop@1", &["run", &hangs]);
    wait_until_stopped(&child);
    assert_eq!(scene.finish("", &["reap", "--trial", "0", "--max-retries", "0"]).code, Some(0));
    resume(&child);
    let ended = end(child);
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert_eq!(ended.events[0]["kept_as"], Value::Null);
    let trial = &trials(&scene)[0];
    assert_eq!((&trial["state"], &trial["params"]), (&"FAIL".into(), &serde_json::json!({})));
}

#[test]
fn who_commits_first_decides_between_a_result_and_a_reaper() {
    let scene = Scene::new("kill-race");
    let returns = scene.objective("returns", RETURNS_X);
    let reap = |faults, number| scene.start(faults, &["reap", "--trial", number]);
    // The reaper has seen the trial run, and finds it ended.
    let teller = scene.start("finish.before_begin=stop@1", &["run", &returns]);
    wait_until_stopped(&teller);
    let reaper = reap("reap.before_begin=stop@1", "0");
    wait_until_stopped(&reaper);
    resume(&teller);
    let mut ended = vec![end(teller)];
    resume(&reaper);
    assert_eq!((ended[0].code, end(reaper).events.len()), (Some(0), 0));
    // The teller waits for the reaper's transaction, and finds the trial taken away.
    let teller = scene.start("finish.before_begin=stop@1", &["run", &returns]);
    wait_until_stopped(&teller);
    let reaper = reap("reap.before_commit=stop@1", "1");
    wait_until_stopped(&reaper);
    resume(&teller);
    resume(&reaper);
    ended.push(end(teller));
    assert_eq!((ended[1].code, end(reaper).events.len()), (Some(6), 1));
    // The reaper waits for the teller's transaction. The retry of trial 1 is the next to run.
    let teller = scene.start("finish.before_commit=stop@1", &["run", &returns]);
    wait_until_stopped(&teller);
    let reaper = reap("", "2");
    resume(&teller);
    ended.push(end(teller));
    assert_eq!((ended[2].code, end(reaper).events.len()), (Some(0), 0));
    let states = inspect_x(&scene, &ended).recovered().assert_holds();
    assert_eq!(states, ["COMPLETE", "FAIL", "COMPLETE"]);
}

#[test]
fn a_result_and_a_reaper_at_the_same_moment_make_one_ending() {
    let scene = Scene::new("kill-close-race");
    let returns = scene.objective("returns", RETURNS_X);
    let mut ended = vec![];
    for round in 0..10 {
        let teller = scene.start("finish.before_begin=stop@1", &["run", &returns]);
        wait_until_stopped(&teller);
        let reap = ["reap", "--trial", &running_number(&scene)];
        let reaper = scene.start("reap.before_begin=stop@1", &reap);
        wait_until_stopped(&reaper);
        // Both are about to ask for the lock; each is let go first every other time.
        let (first, second) = if round % 2 == 0 { (&teller, &reaper) } else { (&reaper, &teller) };
        resume(first);
        resume(second);
        let (teller, reaper) = (end(teller), end(reaper));
        let both = (teller.code, reaper.events_of("trial_lost").count());
        assert!([(Some(0), 0), (Some(6), 1)].contains(&both), "{teller:?} {reaper:?}");
        ended.push(teller);
        inspect_x(&scene, &ended).recovered().assert_holds();
    }
}

#[test]
fn a_guest_dies_with_its_host_and_the_next_run_tries_again() {
    let scene = Scene::new("kill-host");
    let (hangs, returns) = (scene.objective("hangs", HANGS), scene.objective("returns", RETURNS_X));
    let mut host = scene.start("", &["run", &hangs]);
    wait_until_running(&scene, &mut host);
    let guest = guest_process(&host);
    host.kill().unwrap();
    let mut ended = vec![end(host)];
    // The kernel does it at once, or it never happens: then nothing else would end this guest.
    if !has_ended(&guest, Duration::from_secs(60)) {
        kill(&guest);
        panic!("the guest outlived its host");
    }

    ended.push(scene.finish("", &["run", &returns]));
    assert_eq!(inspect_x(&scene, &ended).recovered().assert_holds(), ["FAIL", "COMPLETE"]);
    let trials = trials(&scene);
    let failure = &trials[0]["system_attrs"]["trialbox:failure"];
    assert_eq!(failure["code"], "E-LOST");
    assert!(failure["message"].as_str().unwrap().starts_with("its process is gone"), "{failure}");
    assert_eq!(trials[1]["system_attrs"]["failed_trial"], 0);
    assert_eq!(trials[1]["system_attrs"]["retry_history"], serde_json::json!([0]));
}

#[test]
fn a_host_outlives_its_guest_and_records_how_that_died() {
    let scene = Scene::new("kill-guest");
    let hangs = scene.objective("hangs", HANGS);
    let mut host = scene.start("", &["run", &hangs]);
    wait_until_running(&scene, &mut host);
    kill(&guest_process(&host));
    let ended = [end(host)];
    assert_eq!(inspect_x(&scene, &ended).recovered().assert_holds(), ["FAIL"]);
    let failure = &ended[0].events[0]["failure"];
    assert_eq!(failure["code"], "E-DIED");
    assert!(failure["message"].as_str().unwrap().contains("signal 9"), "{failure}");
}

/// Of a study whose objective is `x` itself.
pub(crate) fn inspect_x<'a>(scene: &Scene, ended: &'a [Ended]) -> Inspection<'a> {
    Inspection { objective: |params| params["x"], ..Inspection::new(scene, ended) }
}

/// Waits until a process that was started runs the objective of a trial that asks for `x`.
///
/// The row of a trial says RUNNING before the guest is told to start; a parameter is recorded only after the guest
/// has asked for it.
#[track_caller]
pub(crate) fn wait_until_running(scene: &Scene, child: &mut Child) {
    let has_asked = |trial: &Value| trial["params"]["x"].is_f64();
    while !scene.path(DATABASE).exists() || !running(scene).iter().any(has_asked) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it ran a trial");
        std::thread::yield_now();
    }
}

fn running_number(scene: &Scene) -> String {
    running(scene)[0]["number"].to_string()
}

fn running(scene: &Scene) -> Vec<Value> {
    let ran = scene.finish("", &["study", "trials", "--state", "running"]);
    if ran.code == Some(0) { ran.events } else { vec![] }
}

/// Returns the study's trials; none while the study is being made.
pub(crate) fn trials(scene: &Scene) -> Vec<Value> {
    let listed = scene.finish("", &["study", "trials"]);
    if listed.code == Some(0) { listed.events } else { Vec::new() }
}

pub(crate) fn study(scene: &Scene) -> Value {
    scene.finish("", &["study", "show"]).events.remove(0)
}
