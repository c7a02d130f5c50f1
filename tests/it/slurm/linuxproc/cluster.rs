//! Tests of the clusters themselves: silent nodes, restarted controllers, preemption.

use crate::scene::Scene;
use crate::slurm::cluster::{Cluster, Options, Proctrack};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::path::Path;
use std::time::Duration;

/// A script that writes its ids to a file and sleeps. With the argument `short` it ends immediately after a restart.
const JOB: &str = "#!/bin/bash
#SBATCH --requeue --open-mode=append
echo $SLURM_JOB_ID ${SLURM_RESTART_COUNT:-0} $SLURMD_NODENAME $$ >>starts
[ \"$1$SLURM_RESTART_COUNT\" = short1 ] || exec sleep 1000
";

#[test]
fn a_silent_nodes_job_runs_twice_at_once_until_the_node_comes_back() {
    let scene = Scene::new("slurm-silent-node");
    let mut options = Options::new(Proctrack::Linuxproc);
    options.slurmd_timeout = Duration::from_secs(5);
    let mut cluster = Cluster::start(&scene, &options);
    std::fs::write(scene.path("job.sh"), JOB).unwrap();
    let job = cluster.sbatch(&["job.sh"]);
    let node = cluster.node_of(job);
    let first = start(&cluster.wait_for_lines("starts", 1)[0]);
    cluster.kill_slurmd(&node);
    let second = start(&cluster.wait_for_lines("starts", 2)[1]);
    let id = job.to_string();
    assert_eq!((&first.job_id, &first.restarts, &first.node), (&id, &"0".into(), &node));
    assert_eq!((second.job_id, second.restarts), (id, "1".into()));
    assert_ne!(second.node, node);
    assert!(runs(&first.pid) && runs(&second.pid));

    cluster.revive(&node);
    wait_for_end(&first.pid);
    assert!(runs(&second.pid));
    let task = &cluster.job_states(job)[&0];
    assert_eq!((task.state.as_str(), task.restarts), ("RUNNING", 1));
}

#[test]
fn a_job_outlives_a_restart_of_the_controller() {
    let scene = Scene::new("slurm-restart");
    let mut cluster = Cluster::start(&scene, &Options::new(Proctrack::Linuxproc));
    std::fs::write(scene.path("job.sh"), JOB).unwrap();
    let job = cluster.sbatch(&["job.sh"]);
    let start = start(&cluster.wait_for_lines("starts", 1)[0]);
    cluster.restart_controller();
    let before_end = cluster.wait_until(job, "to be known", |tasks| tasks[&0].state == "RUNNING");
    assert_eq!(before_end[&0].restarts, 0);
    assert!(runs(&start.pid));
    cluster.run("scancel", &[&job.to_string()]);
    assert_eq!(cluster.wait_for(job)[&0].state, "CANCELLED");
}

#[test]
fn a_job_of_low_makes_room_for_one_of_high_and_is_run_again() {
    let scene = Scene::new("slurm-preempted");
    let mut options = Options::new(Proctrack::Linuxproc);
    (options.nodes, options.cpus) = (1, 1);
    let cluster = Cluster::start(&scene, &options);
    std::fs::write(scene.path("job.sh"), JOB).unwrap();
    let low = cluster.sbatch(&["--partition", "low", "job.sh", "short"]);
    cluster.wait_for_lines("starts", 1);
    let high = cluster.sbatch(&["--partition", "high", "--wrap", "true"]);
    let (high, low) = (&cluster.wait_for(high)[&0], &cluster.wait_for(low)[&0]);
    assert_eq!((high.state.as_str(), high.restarts), ("COMPLETED", 0));
    assert_eq!((low.state.as_str(), low.exit_code.as_str(), low.restarts), ("COMPLETED", "0:0", 1));
}

/// A line that [`JOB`] has written.
struct Start {
    job_id: String,
    restarts: String,
    node: String,
    pid: String,
}

fn start(line: &str) -> Start {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let [job_id, restarts, node, pid] = words.try_into().unwrap();
    Start { job_id, restarts, node, pid }
}

/// Returns whether a process exists and has not ended. Only then it has an environment.
fn runs(pid: &str) -> bool {
    std::fs::read(Path::new("/proc").join(pid).join("environ")).is_ok_and(|text| !text.is_empty())
}

/// Waits until a process that is not a child has ended.
#[track_caller]
fn wait_for_end(pid: &str) {
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let timeout = Timespec::try_from(Duration::from_secs(60)).unwrap();
    let n_ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout)).unwrap();
    assert_eq!(n_ended, 1, "process {pid:?} is still there");
}
