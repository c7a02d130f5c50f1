//! The owner of a trial: one attempt of one process, told apart from every other, and whether it still lives.

use crate::cluster::owner_members;
use crate::error::CommandError;
use trialbox_core::Json;
use trialbox_core::run::reap::Observer;
use trialbox_core::seam::storage::OWNER_TOKEN;
use trialbox_storage::platform::process::{ProcessId, boot_id, host_name, since_boot};

/// Returns the owner token of a new attempt of this process, as the system attribute `trialbox:owner` holds it.
///
/// The 128 random bits under [`OWNER_TOKEN`] tell attempts apart. The rest serves to find out whether the attempt is
/// still alive: Slurm can run one array task twice at a time under one job id, when a dead node comes back.
pub(crate) fn new_owner() -> Json {
    owner(ProcessId::current().to_members())
}

/// Returns the owner token of a trial that starts here and is told elsewhere. This process ends immediately, so the
/// owner is the given process.
pub(crate) fn owner_of_ask(pid: Option<u32>) -> Result<Json, CommandError> {
    let Some(pid) = pid else { return Ok(owner(vec![("host", Json::from(host_name()))])) };
    let process = ProcessId::of_pid(pid).ok_or_else(|| {
        CommandError::usage(
            format!("--owner-pid {pid}: there is no such process"),
            "give the process that will tell the result, in a shell script: --owner-pid $$",
        )
    })?;
    Ok(owner(process.to_members()))
}

fn owner(process: Vec<(&'static str, Json)>) -> Json {
    let mut members = vec![(OWNER_TOKEN, Json::from(format!("{:032x}", rand::random::<u128>())))];
    members.extend(process);
    members.extend(owner_members());
    Json::object(members)
}

/// Returns this machine as an observer of heartbeats.
pub(crate) fn observer() -> Observer {
    Observer { boot_id: boot_id().unwrap_or_else(host_name), since_boot: since_boot() }
}
