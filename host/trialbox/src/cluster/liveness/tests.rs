use super::*;
use std::cell::RefCell;
use std::io;
use trialbox_core::TrialNumber;
use trialbox_core::seam::storage::{Heartbeat, OWNER_TRIAL};
use trialbox_core::study::trial::TrialId;
use trialbox_storage::platform::process::ProcessId;

const UID: &str = "1000";
const CLUSTER: &str = "c";

/// Returns a trial of a process on another machine, with a heartbeat of this age.
fn trial(number: u32, silence_secs: f64, job: &[(&'static str, &str)]) -> LeasedTrial {
    let process = [("host", Json::from("elsewhere")), ("pid", Json::from(7u32))];
    let job = job.iter().map(|(key, value)| (*key, Json::from(*value)));
    let members = process.into_iter().chain(job).chain([(OWNER_TRIAL, Json::from(number))]);
    LeasedTrial {
        id: TrialId(number.into()),
        number: TrialNumber(number),
        owner: Some(Json::object(members)),
        heartbeat: Some(Heartbeat { stamp: "a".to_owned(), age_secs: silence_secs }),
        watch: None,
    }
}

/// Returns a trial of a job of this user on this cluster.
fn of_job(number: u32, silence_secs: f64, id: &str) -> LeasedTrial {
    trial(number, silence_secs, &job(id, CLUSTER, UID))
}

fn job<'a>(id: &'a str, cluster: &'a str, uid: &'a str) -> [(&'static str, &'a str); 3] {
    [("slurm_job_id", id), ("slurm_cluster", cluster), ("slurm_uid", uid)]
}

/// Returns a process of this user outside of any job.
fn login_node() -> Here {
    Here { uid: UID.to_owned(), job: None }
}

/// Returns a process in a job of this user.
fn in_job(id: &str, restart_count: u32) -> Here {
    let name = id.to_owned();
    let (id, cluster, uid) = (name.clone(), CLUSTER.to_owned(), Some(UID.to_owned()));
    Here { uid: UID.to_owned(), job: Some(JobStart { id, name, restart_count, cluster, uid }) }
}

fn says(text: &str) -> Result<Answer, SlurmError> {
    Ok(Answer { text: text.to_owned(), complaint: String::new() })
}

fn missing(program: &str) -> Result<Answer, SlurmError> {
    let error = io::Error::from(io::ErrorKind::NotFound);
    Err(SlurmError::NoCommand { program: program.to_owned(), error })
}

/// The result of a probe: `alive`, `unknown` or the reason of the loss for each trial, and the commands that ran.
#[derive(Debug, PartialEq)]
struct Probed {
    states: Vec<String>,
    asked: Vec<String>,
}

/// Probes trials with these answers of squeue and sacct, on [`CLUSTER`].
fn probe(
    here: Here,
    inquiry: Inquiry,
    trials: &[LeasedTrial],
    squeue: fn() -> Result<Answer, SlurmError>,
    sacct: fn() -> Result<Answer, SlurmError>,
) -> Probed {
    let asked = std::rc::Rc::new(RefCell::new(vec![]));
    let log = std::rc::Rc::clone(&asked);
    let ask = move |_: Duration, program: &str, _: &[&str]| {
        log.borrow_mut().push(program.to_owned());
        match program {
            "squeue" => squeue(),
            "sacct" => sacct(),
            _ => says("AccountingStorageType   = (null)\nClusterName             = c\n"),
        }
    };
    let states = Liveness { inquiry, here, ask: &ask }.look(&trials.iter().collect::<Vec<_>>());
    let states = states.into_iter().map(|state| match state {
        OwnerState::Alive => "alive".to_owned(),
        OwnerState::Unknown => "unknown".to_owned(),
        OwnerState::Gone(loss) => loss.reason,
    });
    let states = states.collect();
    let asked = asked.borrow().clone();
    Probed { states, asked }
}

#[test]
fn slurm_is_asked_once_for_all_trials_and_accounting_only_about_those_it_forgot() {
    let trials = ["1", "2", "3", "4", "5"].map(|id| of_job(id.parse().expect("a number"), 0.0, id));
    let squeue = || says("1|SUSPENDED|0|\n2|TIMEOUT|0|\n3|PENDING|0|\n");
    let seen = probe(login_node(), Inquiry::Always, &trials, squeue, || says("4|PREEMPTED\n"));
    let want = [
        "alive",
        "its process is gone: job 2 ended as TIMEOUT",
        "unknown",
        "its process is gone: job 4 ended as PREEMPTED",
        "its process is gone: job 5 is not known to Slurm any more",
    ];
    assert_eq!(seen.states, want);
    assert_eq!(seen.asked, ["scontrol", "squeue", "sacct"]);
    // The environment of a job has the cluster's name, and sacct is not needed where squeue knows all jobs.
    let seen = probe(in_job("1", 0), Inquiry::Always, &trials[..3], squeue, || missing("sacct"));
    assert_eq!(
        (&seen.states[..], seen.asked),
        (&want.map(str::to_owned)[..3], vec!["squeue".to_owned()])
    );
}

#[test]
fn a_loss_that_slurm_knows_has_the_final_state_as_a_member() {
    let ask = |_: Duration, _: &str, _: &[&str]| says("2|TIMEOUT|0|\n1|RUNNING|0|\n");
    let probe = Liveness { inquiry: Inquiry::Always, here: in_job("1", 0), ask: &ask };
    let [OwnerState::Gone(loss)] = &probe.look(&[&of_job(0, 0.0, "2")])[..] else { panic!("gone") };
    assert_eq!(
        (loss.known_by, loss.scheduler_state.as_deref()),
        (Evidence::Scheduler, Some("TIMEOUT"))
    );
    let failure = loss.to_failure_json();
    assert_eq!(failure.get("code").and_then(Json::as_str), Some("E-LOST"));
    assert_eq!(failure.get("scheduler_state").and_then(Json::as_str), Some("TIMEOUT"));
}

#[test]
fn slurm_is_not_asked_at_the_start_unless_a_heartbeat_is_older_than_a_minute() {
    let squeue = || says("1|SUSPENDED|0|\n2|RUNNING|0|\n");
    let n_asked = |inquiry, silences: [f64; 2]| {
        let trials = [of_job(1, silences[0], "1"), of_job(2, silences[1], "2")];
        let seen = probe(in_job("1", 0), inquiry, &trials, squeue, || missing("sacct"));
        seen.asked.len()
    };
    assert_eq!(n_asked(Inquiry::IfSilent, [59.0, -59.0]), 0);
    assert_eq!(n_asked(Inquiry::IfSilent, [59.0, 60.0]), 1);
    // A heartbeat of a clock that is ahead.
    assert_eq!(n_asked(Inquiry::IfSilent, [-61.0, 0.0]), 1);
    assert_eq!(n_asked(Inquiry::Always, [0.0, 0.0]), 1);
    // A trial of another cluster is not a reason to ask this one.
    let trials = [of_job(1, 0.0, "1"), trial(2, 1e6, &job("2", "d", UID))];
    let seen = probe(in_job("1", 0), Inquiry::IfSilent, &trials, squeue, || missing("sacct"));
    assert_eq!((seen.states, seen.asked.len()), (vec!["unknown".to_owned(); 2], 0));
    // A trial of `trial ask` has no heartbeat that could be old.
    let by_hand = [LeasedTrial { heartbeat: None, ..of_job(1, 0.0, "1") }];
    let ask = |inquiry| probe(in_job("2", 0), inquiry, &by_hand, squeue, || missing("sacct"));
    assert_eq!(
        ask(Inquiry::IfSilent),
        Probed { states: vec!["unknown".to_owned()], asked: vec![] }
    );
    assert_eq!(ask(Inquiry::Always).states, ["alive"]);
}

#[test]
fn an_earlier_start_of_our_own_job_is_gone_without_a_question() {
    let no_question = || panic!("Slurm is asked");
    let trials = [of_job(0, 0.0, "17")];
    let seen = probe(in_job("17", 1), Inquiry::Always, &trials, no_question, no_question);
    let want = "its process is gone: job 17 was restarted (restart 1)";
    assert_eq!(seen, Probed { states: vec![want.to_owned()], asked: vec![] });
    // The same start may run on another node too, as a task of srun.
    let seen =
        probe(in_job("17", 0), Inquiry::Always, &trials, || says("17|RUNNING|0|\n"), no_question);
    assert_eq!(seen.states, ["unknown"]);
}

#[test]
fn a_job_that_was_restarted_or_requeued_is_gone() {
    let trials = [of_job(0, 0.0, "1"), of_job(1, 0.0, "2"), of_job(2, 0.0, "3")];
    let squeue = || says("1|RUNNING|1|\n2|PENDING|1|\n3|COMPLETING|1|\n");
    let seen = probe(login_node(), Inquiry::Always, &trials, squeue, || missing("sacct"));
    let want = [
        "its process is gone: job 1 was restarted (restart 1)",
        "its process is gone: job 2 was requeued (restart 1)",
        // The heartbeat shows whether the process still records its trial.
        "unknown",
    ];
    assert_eq!(seen.states, want);
}

#[test]
fn slurm_is_not_asked_about_a_process_that_the_process_table_of_this_machine_has() {
    let members = ProcessId::current().to_members().into_iter();
    let members =
        members.chain(job("1", CLUSTER, UID).map(|(key, value)| (key, Json::from(value))));
    let ours = Json::object(members.chain([(OWNER_TRIAL, Json::from(0u32))]));
    let trials = [LeasedTrial { owner: Some(ours), ..of_job(0, 1e6, "1") }];
    let no_question = || panic!("Slurm is asked");
    let seen = probe(login_node(), Inquiry::Always, &trials, no_question, no_question);
    assert_eq!(seen, Probed { states: vec!["alive".to_owned()], asked: vec![] });
}

#[test]
fn owners_that_slurm_cannot_judge_are_left_to_their_heartbeats() {
    let asked = |job: &[(&'static str, &str)]| {
        let seen =
            probe(login_node(), Inquiry::Always, &[trial(0, 1e6, job)], || says(""), || says(""));
        assert_eq!(seen.states, ["unknown"], "{job:?}");
        seen.asked
    };
    let nothing: [&str; 0] = [];
    assert_eq!(asked(&[]), nothing);
    assert_eq!(asked(&job("1", CLUSTER, "1001")), nothing);
    assert_eq!(asked(&[("slurm_job_id", "1"), ("slurm_cluster", CLUSTER)]), nothing);
    assert_eq!(asked(&[("slurm_job_id", "1"), ("slurm_uid", UID)]), nothing);
    assert_eq!(asked(&job("1", "d", UID)), ["scontrol"]);
    // The result of a trial from `trial ask` may come from elsewhere, long after the job ended.
    let owner = job("1", CLUSTER, UID).map(|(key, value)| (key, Json::from(value)));
    let owner = Json::object(owner.into_iter().chain([(OWNER_TRIAL, Json::from(0u32))]));
    let told_elsewhere = [LeasedTrial { owner: Some(owner), ..trial(0, 1e6, &[]) }];
    let no_question = || panic!("Slurm is asked");
    let seen = probe(login_node(), Inquiry::Always, &told_elsewhere, no_question, no_question);
    assert_eq!(seen.states, ["unknown"]);
}

#[test]
fn an_incomplete_answer_of_slurm_proves_nothing_about_jobs_that_it_lacks() {
    let trials = [of_job(0, 1e6, "1"), of_job(1, 1e6, "2")];
    let check = |here: Here, squeue, want: [&str; 2]| {
        let seen = probe(here, Inquiry::Always, &trials, squeue, || panic!("it is not asked"));
        assert_eq!(seen.states, want);
    };
    let refused = || {
        let said = "slurm_load_jobs error: Unable to contact slurm controller".to_owned();
        Err(SlurmError::Refused { program: "squeue".to_owned(), said })
    };
    check(login_node(), refused, ["unknown", "unknown"]);
    check(login_node(), || missing("squeue"), ["unknown", "unknown"]);
    // squeue 22.05 complains of a user without a name on this machine, and succeeds.
    let complains = || {
        let complaint = "squeue: error: Invalid user: 1000".to_owned();
        Ok(Answer { text: String::new(), complaint })
    };
    check(login_node(), complains, ["unknown", "unknown"]);
    check(login_node(), || says("1|SUSPENDED|0|\nfoo\n"), ["alive", "unknown"]);
    // A list without the job of this process is not the list of its user.
    check(
        in_job("3", 0),
        || says("1|FAILED|0|\n"),
        ["its process is gone: job 1 ended as FAILED", "unknown"],
    );
}

#[test]
fn the_cluster_is_read_from_the_output_of_scontrol() {
    let config = "Configuration data as of 2026-11-25T18:00:00\nBatchStartTimeout       = 10 sec\n\
        ClusterName             = throwaway\nCommunicationParameters = NoCtldInAddrAny,NoInAddrAny\n";
    assert_eq!(cluster_name(config), Some("throwaway"));
    assert_eq!(cluster_name("x"), None);
}

#[test]
fn the_holder_of_a_lock_is_judged_by_its_job() {
    let jobs = "1|RUNNING|0|\n2|SUSPENDED|0|\n3|TIMEOUT|0|\n4|RUNNING|2|\n6|PENDING|0|\n";
    let gone = |text: &str| HolderState::Gone(text.to_owned());
    for (id, want) in [
        ("1", HolderState::MayRun),
        ("2", HolderState::Stopped),
        ("3", gone("job 3 ended as TIMEOUT")),
        ("4", gone("job 4 was restarted")),
        ("5", gone("job 5 is not known to Slurm any more")),
        ("6", HolderState::Unknown),
    ] {
        let lock = trial(0, 0.0, &job(id, CLUSTER, UID)).owner.expect("a job");
        for (lists, want) in [(Some(jobs), &want), (None, &HolderState::Unknown)] {
            let ask = move |_: Duration, program: &str, _: &[&str]| match (program, lists) {
                ("squeue", Some(jobs)) => says(jobs),
                ("squeue", None) => missing("squeue"),
                _ => says("ClusterName             = c\n"),
            };
            let liveness = Liveness { inquiry: Inquiry::IfSilent, here: login_node(), ask: &ask };
            assert_eq!(liveness.holder_state(&lock), *want, "{id}");
        }
    }
    // Jobs of other users and clusters, and processes outside of any job.
    let ask = |_: Duration, program: &str, _: &[&str]| match program {
        "squeue" => says("1|RUNNING|0|\n"),
        _ => says("ClusterName             = c\n"),
    };
    let liveness = Liveness { inquiry: Inquiry::IfSilent, here: login_node(), ask: &ask };
    for members in [&job("1", CLUSTER, "1001")[..], &job("1", "d", UID), &[]] {
        let lock = trial(0, 0.0, members).owner.expect("a process");
        assert_eq!(liveness.holder_state(&lock), HolderState::Unknown, "{members:?}");
    }
}
