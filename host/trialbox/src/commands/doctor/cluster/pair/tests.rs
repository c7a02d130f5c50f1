//! Facts that two nodes may report, and the findings about them.

use super::*;
use crate::probe::{Found, Message, Rlimits};
use crate::view::finding::Severity::{self, Error, Note, Ok, Warning};

/// Returns a sound node whose folder lies on a network file system.
pub(in super::super) fn facts(node: &str) -> Facts {
    let directory = |path: &str| Directory {
        path: path.into(),
        fs_type: "nfs4".to_owned(),
        source: "filer:/home".to_owned(),
        options: vec!["rw".to_owned()],
        has_lock_file: true,
        lock_option_problem: None,
        unwritable: None,
    };
    Facts {
        node: node.to_owned(),
        boot_id: None,
        kernel: "6.1".to_owned(),
        arch: "x86_64".to_owned(),
        cpu: Some("Xeon".to_owned()),
        landlock_abi: 4,
        seccomp: true,
        empty_root: true,
        rlimits: Rlimits::default(),
        small_address_space: false,
        job_memory_mib: Some(256),
        folder: directory("/home/u/.trialbox-probe-1"),
        cache: Some(directory("/home/u/.cache/trialbox")),
        job_cache: None,
        is_job: true,
        end_told: true,
        squeue_problem: None,
        parent: Some("slurmstepd".to_owned()),
        gets_signals: true,
    }
}

/// Returns what a node sees of another in a sound folder.
fn found(rank: usize) -> Found {
    Found {
        messages: vec![Message { sent: 100.0, seen: 100.01 }],
        lock: Some(LockSeen::Refused),
        lock_afterwards: Some(true),
        cache: Some(CacheSeen { kept: true, locked: true, reopened: true }),
        names: Some((0..20).map(|round| round % 2 == rank).collect()),
        no_links: None,
    }
}

/// Returns the findings of two nodes, after a change.
fn judge_with(change: impl FnOnce(&mut Report, &mut Report)) -> Vec<Finding> {
    judge_locked(LockMode::Auto, change)
}

fn judge_locked(lock: LockMode, change: impl FnOnce(&mut Report, &mut Report)) -> Vec<Finding> {
    let report = |rank: usize| Report {
        facts: facts(["n1", "n2"][rank]),
        found: found(rank),
        problem: None,
    };
    let (mut first, mut second) = (report(0), report(1));
    change(&mut first, &mut second);
    let here = facts("login");
    Pair { here: &here, first: &first, second: &second, one_node: None, lock }.judge()
}

/// Checks the finding of one code, after a change to the second of two nodes.
#[track_caller]
fn check(change: impl FnOnce(&mut Report), code: &str, severity: Severity, piece: &str) {
    check_finding(judge_with(|_, second| change(second)), code, severity, piece);
}

#[track_caller]
fn check_finding(findings: Vec<Finding>, code: &str, severity: Severity, piece: &str) {
    let Some(finding) = findings.iter().find(|finding| finding.code == code) else {
        panic!("no {code} in {findings:?}")
    };
    assert_eq!(finding.severity, severity, "{finding:?}");
    assert!(finding.to_text().contains(piece), "`{piece}` is missing in: {}", finding.to_text());
}

fn on_local_disk(report: &mut Report) {
    report.facts.folder.has_lock_file = false;
}

#[test]
fn two_nodes_that_share_everything_are_as_they_should_be() {
    let findings = judge_with(|_, _| ());
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["same-folder", "locks", "caches", "names", "clocks"]);
    assert!(findings.iter().all(|finding| finding.severity == Ok), "{findings:?}");
    let text = findings[0].to_text();
    assert_eq!(
        text,
        "ok[same-folder]: login, n1 and n2 see the same folder, `/home/u` (nfs4, filer:/home): \
         they share the studies in it"
    );
}

#[test]
fn locks_that_do_not_hold_are_a_warning_only_where_the_lock_file_is_taken() {
    let useless = |report: &mut Report| report.found.lock = Some(LockSeen::Given);
    check(useless, "locks", Warning, "lock file there by itself");
    let by_hand = |report: &mut Report| {
        useless(report);
        on_local_disk(report);
    };
    check(by_hand, "locks", Error, "give every command --lock file");
    let told = judge_locked(LockMode::File, |_, second| by_hand(second));
    check_finding(told, "locks", Warning, "with --lock file");
    let told = judge_locked(LockMode::Sqlite, |_, second| useless(second));
    check_finding(told, "locks", Error, "give every command --lock file");
}

#[test]
fn a_file_system_without_locks_or_with_locks_that_stay_is_no_place_for_a_study() {
    let impossible = |report: &mut Report| {
        report.found.lock = Some(LockSeen::Impossible("Function not implemented".to_owned()));
    };
    check(impossible, "locks", Error, "Function not implemented");
    check(|report| report.found.lock_afterwards = Some(false), "locks", Error, "not free");
}

#[test]
fn caches_matter_as_far_as_locks_and_new_opening_do_not_help() {
    let sees = |kept, locked, reopened| {
        move |report: &mut Report| report.found.cache = Some(CacheSeen { kept, locked, reopened })
    };
    check(sees(false, true, true), "caches", Ok, "SQLite reads this way");
    check(sees(false, false, true), "caches", Warning, "study snapshot");
    check(sees(false, false, false), "caches", Error, "no kind of lock");
    let without_locks = |report: &mut Report| {
        sees(false, true, true)(report);
        report.found.lock = Some(LockSeen::Given);
    };
    check(without_locks, "caches", Warning, "old contents");
    let by_hand = |report: &mut Report| {
        sees(false, false, true)(report);
        on_local_disk(report);
    };
    check(by_hand, "caches", Error, "--lock file");
}

#[test]
fn a_name_belongs_to_exactly_one_node() {
    let both = |report: &mut Report| report.found.names = Some(vec![true; 20]);
    check(both, "names", Error, "the same 20 files, and both or neither created 10");
    let neither = |report: &mut Report| report.found.names = Some(vec![false; 20]);
    check(neither, "names", Error, "both or neither");
    let no_links = |report: &mut Report| report.found.no_links = Some("not supported".to_owned());
    check(no_links, "names", Note, "not supported");
}

#[test]
fn clocks_that_are_apart_for_sure_are_told_from_slow_messages() {
    let messages = |there: f64, back: f64| {
        judge_with(|first, second| {
            second.found.messages = vec![Message { sent: 100.0, seen: 100.0 + there }];
            first.found.messages = vec![Message { sent: 100.0, seen: 100.0 + back }];
        })
    };
    check_finding(messages(0.5, 0.25), "clocks", Ok, "at most 500 ms apart");
    check_finding(messages(30.0, 1.0), "clocks", Note, "at most 30.0 s apart");
    // The second clock is ahead, and behind.
    check_finding(messages(30.0, -29.0), "clocks", Warning, "29.0 s to 30.0 s apart");
    check_finding(messages(-29.0, 30.0), "clocks", Warning, "29.0 s to 30.0 s apart");
}

#[test]
fn a_folder_that_is_local_to_one_of_the_machines_needs_the_lock_file_by_hand() {
    check(on_local_disk, "mounts", Warning, "nfs4 on login and nfs4 on n2");
    let told = judge_locked(LockMode::File, |_, second| on_local_disk(second));
    assert!(told.iter().all(|finding| finding.code != "mounts"), "{told:?}");
}

#[test]
fn one_node_says_nothing_of_two() {
    let same = |report: &mut Report| report.facts.node = "n1".to_owned();
    check(same, "one-node", Warning, "both tasks ran on n1");
    check(same, "locks", Ok, "hold between two processes of n1");
}
