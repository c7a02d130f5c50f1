//! Who runs a trial: one attempt of one process, told apart from every other.

use trialbox_core::json::Json;

/// The owner token of a new attempt, as the system attribute `trialbox:owner` holds it.
///
/// The uuid alone tells attempts apart. The rest is for whoever has to find out whether the attempt is still
/// alive: Slurm can run the same array task twice at once under one job id, when a dead node comes back.
pub(crate) fn new_owner() -> Json {
    let mut members = vec![
        ("uuid", Json::from(format!("{:032x}", rand::random::<u128>()))),
        ("host", Json::from(rustix::system::uname().nodename().to_string_lossy().into_owned())),
        ("pid", Json::from(std::process::id())),
    ];
    if let Ok(boot_id) = std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        members.push(("boot_id", Json::from(boot_id.trim())));
    }
    if let Some(ticks) = start_time_ticks() {
        members.push(("pid_start_ticks", Json::from(ticks)));
    }
    for (key, variable) in [
        ("slurm_job_id", "SLURM_JOB_ID"),
        ("slurm_array_job_id", "SLURM_ARRAY_JOB_ID"),
        ("slurm_array_task_id", "SLURM_ARRAY_TASK_ID"),
        ("slurm_restart_count", "SLURM_RESTART_COUNT"),
    ] {
        if let Ok(value) = std::env::var(variable) {
            members.push((key, Json::from(value)));
        }
    }
    Json::object(members)
}

/// When this process started, in clock ticks since boot: field 22 of `/proc/self/stat` (proc(5)).
fn start_time_ticks() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, and may itself hold spaces.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}
