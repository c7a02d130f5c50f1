//! What a node is, as far as it matters to trials.

use crate::args::objective::{jobs_cache_dir, users_cache_dir};
use crate::cluster::own_job::Standing;
use crate::cluster::slurm::SlurmJob;
use crate::study::provenance::cpu_model;
use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use trialbox_storage::platform::mount::{Locks, mount_of};
use trialbox_storage::platform::process::{boot_id, host_name};

/// A node, as it sees itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Slurm's name for it, or outside of a job the machine's.
    pub(crate) node: String,
    pub(crate) boot_id: Option<String>,
    /// The kernel's release.
    pub(crate) kernel: String,
    pub(crate) arch: String,
    pub(crate) cpu: Option<String>,
    /// The version of Landlock that the kernel enforces; 0 for none.
    pub(crate) landlock_abi: u32,
    pub(crate) seccomp: bool,
    pub(crate) rlimits: Rlimits,
    /// Whether memory must be checked in code for want of address space.
    pub(crate) small_address_space: bool,
    /// What the job may use on the node.
    pub(crate) job_memory_mib: Option<u64>,
    /// The folder of the study.
    pub(crate) folder: Place,
    /// Where compiled code is kept for all jobs, and for this one alone.
    pub(crate) cache: Option<Place>,
    pub(crate) job_cache: Option<Place>,
    pub(crate) is_job: bool,
    /// Whether Slurm has told the job when it ends.
    pub(crate) end_told: bool,
    /// Why squeue does not tell either, where it does not.
    pub(crate) squeue_problem: Option<String>,
    /// The name of the process that started this one.
    pub(crate) parent: Option<String>,
    /// Whether it is this process that gets Slurm's signals.
    pub(crate) gets_signals: bool,
}

/// The limits of `ulimit` on a process; `None` for no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rlimits {
    pub(crate) address_space_bytes: Option<u64>,
    pub(crate) file_size_bytes: Option<u64>,
    pub(crate) open_files: Option<u64>,
    pub(crate) processes: Option<u64>,
    pub(crate) cpu_seconds: Option<u64>,
}

/// A folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// As in [`trialbox_storage::platform::mount::Mount`]; empty if the system does not say.
    pub(crate) fs_type: String,
    pub(crate) source: String,
    pub(crate) options: Vec<String>,
    /// Whether trialbox takes its lock file there by itself.
    pub(crate) has_lock_file: bool,
    /// What its mount options do to locks, if anything is known.
    pub(crate) lock_option_problem: Option<String>,
    /// Why nothing can be written there.
    pub(crate) unwritable: Option<String>,
}

impl Facts {
    /// This machine, for a study in this folder.
    pub(crate) fn here(folder: &Path) -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let precautions = trialbox_runtime::precautions();
        let job = SlurmJob::current();
        let end_told = job.as_ref().is_some_and(|job| job.end_time.is_some());
        let unanswered = |job: &SlurmJob| Standing::of(job).err().map(|error| error.to_string());
        let named_cache = variable("TRIALBOX_CACHE_DIR").map(PathBuf::from);
        Facts {
            node: variable("SLURMD_NODENAME").unwrap_or_else(host_name),
            boot_id: boot_id(),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            cpu: cpu_model(),
            landlock_abi: precautions.landlock_abi,
            seccomp: precautions.seccomp,
            rlimits: Rlimits::here(),
            small_address_space: trialbox_runtime::address_space_is_small(),
            job_memory_mib: variable("SLURM_MEM_PER_NODE").and_then(|text| text.parse().ok()),
            folder: Place::of(folder),
            job_cache: jobs_cache_dir().filter(|_| named_cache.is_none()).map(|dir| made(&dir)),
            cache: named_cache.or_else(users_cache_dir).map(|dir| made(&dir)),
            squeue_problem: job.as_ref().filter(|_| !end_told).and_then(unanswered),
            gets_signals: job.as_ref().and_then(|job| job.task_pid) == Some(std::process::id()),
            is_job: job.is_some(),
            end_told,
            parent: parent(),
        }
    }
}

impl Rlimits {
    fn here() -> Self {
        let of = |resource| getrlimit(resource).current;
        Rlimits {
            address_space_bytes: of(Resource::As),
            file_size_bytes: of(Resource::Fsize),
            open_files: of(Resource::Nofile),
            processes: of(Resource::Nproc),
            cpu_seconds: of(Resource::Cpu),
        }
    }
}

impl Place {
    /// A folder that is there, or should be.
    fn of(path: &Path) -> Self {
        let mount = mount_of(path).ok();
        let problem = mount.as_ref().and_then(|mount| mount.lock_option_problem());
        let has_lock_file = mount.as_ref().is_some_and(|mount| mount.locks == Locks::Network);
        let (fs_type, source, options) =
            mount.map(|mount| (mount.fs_type, mount.source, mount.options)).unwrap_or_default();
        Place {
            path: path.to_owned(),
            fs_type,
            source,
            options,
            has_lock_file,
            lock_option_problem: problem.map(str::to_owned),
            unwritable: unwritable(path),
        }
    }
}

/// A folder that `run` makes if it is not there.
fn made(path: &Path) -> Place {
    // What fails is found when something is to be written in it.
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(path);
    Place::of(path)
}

fn unwritable(folder: &Path) -> Option<String> {
    let file = folder.join(format!(".trialbox-probe-{:016x}", rand::random::<u64>()));
    fs::write(&file, "").and_then(|()| fs::remove_file(&file)).err().map(|error| error.to_string())
}

fn parent() -> Option<String> {
    let pid = rustix::process::getppid()?.as_raw_nonzero();
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim().to_owned())
}
