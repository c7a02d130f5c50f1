//! Tests that need Slurm to track processes by cgroups, as it does in production.

mod interop;

use super::checkpoints::{Counting, check_that_interruptions_leave_no_trace};
use super::cluster::leftovers::{cgroup_of, processes_of};
use super::cluster::{Cluster, Options, Proctrack};
use super::submit::check_submit_to_the_complete_study;
use super::time_limit::{check_that_a_requeued_job_ends, check_that_no_trial_stays_running};
use crate::scene::Scene;
use crate::scripted::endless;
use rustix::process::{Pid, test_kill_process};

/// A script that writes a line when it starts, and another when it gets SIGTERM.
const POLITE: &str = "#!/bin/bash
trap 'echo asked >>$1; exit' TERM
echo runs >>$1
sleep 1000 & wait
";

#[test]
fn scancel_asks_what_the_batch_script_became_and_kills_what_it_called() {
    let scene = Scene::new("slurm-signals");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Cgroup));
    std::fs::write(scene.path("polite.sh"), POLITE).unwrap();
    for (name, call) in [("became", "exec bash polite.sh"), ("called", "bash polite.sh")] {
        std::fs::write(scene.path("job.sh"), format!("#!/bin/bash\n{call} {name}\n")).unwrap();
        let job = cluster.sbatch(&["job.sh"]);
        cluster.wait_for_lines(name, 1);
        cluster.run("scancel", &[&job.to_string()]);
        assert_eq!(cluster.wait_for(job)[&0].state, "CANCELLED", "{name}");
    }
    assert_eq!(cluster.wait_for_lines("became", 1), ["runs", "asked"]);
    assert_eq!(cluster.wait_for_lines("called", 1), ["runs"]);
}

#[test]
fn nothing_is_left_of_a_cluster_that_was_dropped() {
    let scene = Scene::new("slurm-dropped");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Cgroup));
    // The environment identifies one process; only its cgroup identifies the other.
    let script = "#!/bin/bash\nsleep 1000 &\nsetsid env --ignore-environment sleep 1000 &\n\
                  echo $! >>pids\necho $$ >>pids\nwait\n";
    std::fs::write(scene.path("job.sh"), script).unwrap();
    let node = cluster.node_of(cluster.sbatch(&["job.sh"]));
    let pids = cluster.wait_for_lines("pids", 2);
    let is_alive = |pid: &String| test_kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap());
    assert!(pids.iter().all(|pid| is_alive(pid).is_ok()) && cgroup_of(&node).exists());

    let nodes = cluster.nodes().to_vec();
    drop(cluster);
    assert_eq!(processes_of(&scene.path("slurm/slurm.conf")), []);
    let left: Vec<&String> = nodes.iter().filter(|node| cgroup_of(node).exists()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn no_trial_stays_running_when_its_jobs_time_is_over_however_it_was_started() {
    let scene = Scene::new("slurm-time-limit");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Cgroup));
    check_that_no_trial_stays_running(&scene, &cluster, endless(&scene));
}

#[test]
fn a_job_that_has_itself_started_again_ends_when_its_trial_has_had_its_tries() {
    let scene = Scene::new("slurm-requeued");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Cgroup));
    check_that_a_requeued_job_ends(&scene, &cluster);
}

#[test]
fn submit_leads_from_nothing_to_the_complete_study_and_its_scripts_pass_shellcheck() {
    let scene = Scene::new("slurm-submit");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Cgroup));
    check_submit_to_the_complete_study(&scene, &cluster);
}

#[test]
fn a_trial_that_slurm_interrupts_three_times_ends_with_the_value_of_one_that_it_does_not_to_the_bit()
 {
    let scene = Scene::new("slurm-checkpoints");
    let mut options = Options::new(Proctrack::Cgroup);
    (options.nodes, options.cpus) = (1, 1);
    let cluster = Cluster::start(&scene, &options);
    check_that_interruptions_leave_no_trace(&scene, &cluster, Counting::Program);
}
