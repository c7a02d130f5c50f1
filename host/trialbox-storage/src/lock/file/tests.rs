use super::*;
use crate::location::Options;
use crate::lock::holder::HolderState;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A lock in a new folder, with times that a test can wait for, and without a database.
fn lock(test: &str) -> LockFile {
    let folder = std::env::temp_dir().join(format!("trialbox-lock-{test}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let lock = LockFile::of(&folder.join("s.db"), "it is a test", &HolderProbe::default());
    let timing = Timing { settle: Duration::from_millis(50), ..lock.timing };
    LockFile { timing, ..lock }
}

fn quick(lock: LockFile, stale_after: Duration) -> LockFile {
    let timing = Timing { stale_after, touch_interval: stale_after / 50, ..lock.timing };
    LockFile { timing, ..lock }
}

fn wait(timeout: Duration) -> LockWait {
    LockWait::new(&Options { timeout, ..Options::default() }, Path::new("s.db"))
}

const LONG: Duration = Duration::from_secs(60);

fn names(lock: &LockFile) -> Vec<String> {
    let folder = Folder::open(lock.path.parent().expect("a folder")).expect("it is there");
    let names = folder.names().expect("it can be read");
    names.into_iter().map(|name| name.to_string_lossy().into_owned()).collect()
}

fn found(lock: &LockFile) -> LockText {
    LockText::read(&lock.path).expect("a file").expect("it is there")
}

fn write_lock(path: &Path, token: &str, process: &ProcessId, word: Word) {
    let mut members = vec![("token", Json::from(token))];
    members.extend(process.to_members());
    fs::write(path, format!("{}\n{}", Json::object(members), word.line())).expect("a file");
}

/// A process of another machine, of which only its files say whether it is alive.
fn stranger() -> ProcessId {
    let boot_id = Some("another boot".to_owned());
    ProcessId { host: "elsewhere".to_owned(), boot_id, ..ProcessId::current() }
}

/// A process of this machine that is gone.
fn dead() -> ProcessId {
    ProcessId { start_ticks: Some(1), ..ProcessId::current() }
}

#[test]
fn a_lock_is_held_by_one_and_stays_behind_released() {
    let lock = lock("one");
    assert!(!LockFile::is_in_use(&lock.database));
    let held = lock.acquire(&mut wait(LONG)).expect("it is free");
    assert!(held.is_ours());
    let second = lock.acquire(&mut wait(Duration::ZERO));
    let Err(LockError::Busy { holder: Some(holder) }) = second else { panic!("it is held") };
    assert!(holder.starts_with(&format!("process {}", std::process::id())), "{holder}");
    drop(held);
    assert_eq!(names(&lock), ["s.db.lock"]);
    assert_eq!(found(&lock).word, Some(Word::Released));
    assert!(LockFile::is_in_use(&lock.database));
    lock.acquire(&mut wait(Duration::ZERO)).expect("it is free again");
}

#[test]
fn the_reason_of_the_first_lock_stands() {
    let first = lock("reason");
    drop(first.acquire(&mut wait(LONG)).expect("it is free"));
    let second = LockFile { reason: "of another reason".to_owned(), ..first.clone() };
    drop(second.acquire(&mut wait(LONG)).expect("it is free"));
    assert_eq!(found(&first).reason(), Some("it is a test"));
}

#[test]
fn a_dead_holders_lock_is_broken_immediately_and_litter_is_removed() {
    let lock = lock("dead");
    write_lock(&lock.path, "t", &dead(), Word::Held);
    let claim = |token: &str| with_suffix(&lock.path, &format!(".after-{token}"));
    write_lock(&claim("earlier"), "u", &dead(), Word::Claimed);
    for name in ["old", "new"] {
        fs::write(claim(name), "").expect("a file");
    }
    let old = File::options().write(true).open(claim("old")).expect("it is there");
    let yesterday = SystemTime::now() - LITTER_AGE - Duration::from_secs(60);
    old.set_modified(yesterday).expect("it can be touched");
    let held = lock.acquire(&mut wait(Duration::ZERO)).expect("its holder is dead");
    assert!(held.is_ours() && held.is_settled);
    assert_eq!(names(&lock), ["s.db.lock", "s.db.lock.after-new"]);
}

#[test]
fn a_holder_whose_lock_was_taken_over_knows_it_and_leaves_the_others_alone() {
    let lock = lock("taken");
    let held = lock.acquire(&mut wait(Duration::ZERO)).expect("it is free");
    fs::remove_file(&lock.path).expect("it is there");
    let other = lock.acquire(&mut wait(Duration::ZERO)).expect("it is free");
    assert!(!held.is_ours() && other.is_ours());
    // The release is the third window of earlier protocols: it must not touch what has the name now.
    drop(held);
    assert!(other.is_ours());
    assert_eq!(found(&lock).word, Some(Word::Held));
}

#[test]
fn a_lock_that_is_touched_is_never_broken() {
    let mut lock = quick(lock("touched"), Duration::from_secs(1));
    let held = lock.acquire(&mut wait(Duration::ZERO)).expect("it is free");
    // For the other side the holder is a stranger.
    let text = fs::read_to_string(&lock.path).expect("it is there");
    let ours = ProcessId::current().boot_id.expect("a boot");
    let foreign = text.replace(&ours, &"0".repeat(ours.len()));
    held.file.write_all_at(foreign.as_bytes(), 0).expect("it can be written");
    let other = lock.acquire(&mut wait(Duration::from_millis(2500)));
    assert!(matches!(other, Err(LockError::Busy { .. })), "{other:?}");
    assert!(held.is_ours());
    // Without touches it is broken, so the touches are what has kept it.
    lock = quick(lock, Duration::from_millis(5));
    lock.acquire(&mut wait(LONG)).expect("it stands still between two touches");
    assert!(!held.is_ours());
}

#[test]
fn a_strangers_lock_that_stands_still_is_broken_after_its_time_and_a_pause() {
    let lock = quick(lock("still"), Duration::from_millis(300));
    write_lock(&lock.path, "t", &stranger(), Word::Held);
    let early = lock.acquire(&mut wait(Duration::from_millis(100)));
    let Err(LockError::Busy { holder: Some(holder) }) = early else { panic!("{early:?}") };
    assert!(holder.ends_with(" on elsewhere"), "{holder}");
    let started = Instant::now();
    let held = lock.acquire(&mut wait(Duration::from_secs(20))).expect("it stands still");
    assert!(started.elapsed() >= Duration::from_millis(300) + lock.timing.settle);
    assert!(held.is_ours());
}

#[test]
fn a_holder_that_lives_on_this_machine_is_never_broken() {
    let lock = quick(lock("alive"), Duration::from_millis(50));
    for word in [Word::Held, Word::Claimed] {
        write_lock(&lock.path, "t", &ProcessId::current(), word);
        let other = lock.acquire(&mut wait(Duration::from_millis(300)));
        assert!(matches!(other, Err(LockError::Busy { holder: Some(_) })), "{other:?}");
        assert!(lock.path.exists());
    }
}

#[test]
fn the_batch_system_is_asked_once_about_a_silent_holder_and_believed() {
    let asked = Arc::new(AtomicU32::new(0));
    let stopped = Arc::new(AtomicBool::new(true));
    let (count, is_stopped) = (asked.clone(), stopped.clone());
    let probe = HolderProbe::new(vec![("slurm_job_id", Json::from("17"))], move |lock| {
        count.fetch_add(1, Ordering::Relaxed);
        assert_eq!(lock.get("token").and_then(Json::as_str), Some("t"));
        match is_stopped.load(Ordering::Relaxed) {
            true => HolderState::Stopped,
            false => HolderState::Gone("its job has ended".to_owned()),
        }
    });
    let lock = LockFile { probe, ..quick(lock("asked"), Duration::from_millis(400)) };
    write_lock(&lock.path, "t", &stranger(), Word::Held);
    let other = lock.acquire(&mut wait(Duration::from_millis(600)));
    assert!(matches!(other, Err(LockError::Busy { .. })), "{other:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    stopped.store(false, Ordering::Relaxed);
    drop(lock.acquire(&mut wait(LONG)).expect("the batch system says that its holder is gone"));
    let text = fs::read_to_string(&lock.path).expect("it is there");
    assert!(text.contains("\"slurm_job_id\": \"17\""), "{text}");
}

#[test]
fn a_holder_whose_job_runs_keeps_its_lock_for_longer() {
    let probe = HolderProbe::new(vec![], |_| HolderState::MayRun);
    let lock = LockFile { probe, ..quick(lock("job"), Duration::from_millis(200)) };
    write_lock(&lock.path, "t", &stranger(), Word::Held);
    let started = Instant::now();
    lock.acquire(&mut wait(LONG)).expect("it stood still for very long");
    assert!(started.elapsed() >= Duration::from_millis(800));
}

#[test]
fn a_dead_process_leaves_its_claim_to_the_next_and_a_living_one_keeps_it() {
    let lock = lock("claim");
    write_lock(&lock.path, "holder", &dead(), Word::Held);
    let claim = with_suffix(&lock.path, ".after-holder");
    write_lock(&claim, "rival", &ProcessId::current(), Word::Claimed);
    let other = lock.acquire(&mut wait(Duration::from_millis(200)));
    assert!(matches!(other, Err(LockError::Busy { .. })), "{other:?}");
    assert!(lock.path.exists() && claim.exists());
    write_lock(&claim, "rival", &dead(), Word::Claimed);
    let held = lock.acquire(&mut wait(LONG)).expect("all are dead");
    assert!(held.is_ours());
    assert_eq!(names(&lock), ["s.db.lock"]);
}

#[test]
fn a_lock_that_was_touched_since_it_was_judged_is_not_broken() {
    let lock = lock("judged");
    write_lock(&lock.path, "holder", &dead(), Word::Held);
    let last = Sighting::again(None, &lock.path).expect("a file");
    let file = File::options().write(true).open(&lock.path).expect("it is there");
    file.set_modified(SystemTime::now() + Duration::from_secs(5)).expect("it can be touched");
    let taken = lock.take(last.as_ref(), &mut None, &mut wait(LONG)).expect("nothing fails");
    assert!(taken.is_none());
    assert_eq!(found(&lock).token(), Some("holder"));
    assert_eq!(names(&lock), ["s.db.lock"], "the claim is withdrawn");
}

#[test]
fn a_claim_that_another_process_renamed_is_held_after_a_pause() {
    let lock = lock("moved");
    write_lock(&lock.path, "t", &stranger(), Word::Released);
    let last = Sighting::again(None, &lock.path).expect("a file");
    let claim = lock.claim_after(last.as_ref());
    let held = lock.create(&claim, last.as_ref()).expect("a folder").expect("it is free");
    fs::rename(&claim, &lock.path).expect("it is there");
    assert!(held.is_ours());
    drop(held);
    assert_eq!(found(&lock).word, Some(Word::Unsettled));
    let started = Instant::now();
    lock.acquire(&mut wait(LONG)).expect("it is free");
    assert!(started.elapsed() >= lock.timing.settle, "the pause is inherited");
}

#[test]
fn the_first_lock_of_a_database_waits_until_no_journal_stands_beside_it() {
    let lock = lock("journal");
    fs::write(&lock.database, "").expect("a file");
    let journal = with_suffix(&lock.database, "-journal");
    let magic = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    fs::write(&journal, magic).expect("a file");
    let early = lock.acquire(&mut wait(Duration::from_millis(300)));
    assert!(matches!(early, Err(LockError::Busy { holder: None })), "{early:?}");
    assert_eq!(found(&lock).word, Some(Word::Unsettled), "and SQLite's processes see it");
    // SQLite's other modes leave a file of no bytes or with a header of zeroes.
    for at_rest in [&[][..], &[0; 100]] {
        fs::write(&journal, at_rest).expect("a file");
        assert!(!has_journal(&lock.database));
    }
    let started = Instant::now();
    drop(lock.acquire(&mut wait(LONG)).expect("it is free"));
    assert!(started.elapsed() >= lock.timing.settle);
    assert_eq!(found(&lock).word, Some(Word::Released));
}

#[test]
fn a_retired_lock_leaves_no_trace() {
    let lock = lock("retired");
    drop(lock.acquire(&mut wait(LONG)).expect("it is free"));
    fs::write(kind_of(&lock.database), "").expect("a file");
    lock.retire(&mut wait(LONG)).expect("it is free");
    assert!(!LockFile::is_in_use(&lock.database));
    assert_eq!(names(&lock), Vec::<String>::new());
}

#[test]
fn in_a_sticky_folder_the_lock_goes_and_its_mark_stays() {
    use std::os::unix::fs::PermissionsExt as _;
    let lock = lock("sticky");
    let folder = lock.path.parent().expect("a folder");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o1777)).expect("our own folder");
    for _ in 0..2 {
        drop(lock.acquire(&mut wait(Duration::ZERO)).expect("it is free"));
        assert_eq!(names(&lock), ["s.db.lock-kind"]);
        assert!(LockFile::is_in_use(&lock.database));
    }
}

#[test]
fn what_is_no_file_in_the_place_of_a_lock_is_named_immediately() {
    let lock = lock("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &lock.path, kind, mode, 0).expect("a FIFO");
    let Err(LockError::Io(error)) = lock.acquire(&mut wait(LONG)) else {
        panic!("a FIFO was taken for a lock");
    };
    let path = lock.path.display();
    assert_eq!(error.to_string(), format!("`{path}`: expected a regular file, found a named pipe"));
    assert_eq!(names(&lock), ["s.db.lock"]);
}

#[test]
fn of_many_threads_one_at_a_time_holds_the_lock() {
    let lock = lock("many");
    let inside = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let held = lock.acquire(&mut wait(LONG)).expect("it is free in turn");
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    assert!(held.is_ours());
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(names(&lock), ["s.db.lock"]);
}
