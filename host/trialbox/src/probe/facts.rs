//! The facts about a node that matter to trials.

use crate::args::directories::{jobs_cache_dir, users_cache_dir};
use crate::cluster::own_job::Standing;
use crate::cluster::slurm::SlurmJob;
use crate::own_program::own_program;
use crate::study::provenance::cpu_model;
use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use trialbox_files::{Folder, create_folders};
use trialbox_storage::platform::mount::{Locks, mount_of};
use trialbox_storage::platform::process::{boot_id, host_name};

/// The description of a node by a task that runs there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Facts {
    /// Slurm's name of the node, or outside of a job the machine's.
    pub(crate) node: String,
    /// The kernel's id of this start of the machine.
    pub(crate) boot_id: Option<String>,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// The processor's architecture, such as `x86_64`.
    pub(crate) arch: String,
    /// The processor's model.
    pub(crate) cpu: Option<String>,
    /// The ABI version of Landlock that the kernel enforces; 0 for none.
    pub(crate) landlock_abi: u32,
    /// True if the kernel filters system calls with seccomp.
    pub(crate) seccomp: bool,
    /// True if the kernel gives a guest process a root directory that holds nothing but the grants.
    #[serde(default)]
    pub(crate) empty_root: bool,
    /// The limits on the process.
    pub(crate) rlimits: Rlimits,
    /// True if memory accesses must be checked in code for lack of address space.
    pub(crate) small_address_space: bool,
    /// The job's memory on the node.
    pub(crate) job_memory_mib: Option<u64>,
    /// The study's folder.
    pub(crate) folder: Directory,
    /// The cache of compiled code for all jobs.
    pub(crate) cache: Option<Directory>,
    /// The cache for this job alone, which replaces one that cannot be written.
    pub(crate) job_cache: Option<Directory>,
    /// True if the process runs in a job of Slurm.
    pub(crate) is_job: bool,
    /// True if Slurm tells the job when it ends.
    pub(crate) end_told: bool,
    /// The error of squeue, which is asked where Slurm does not tell.
    pub(crate) squeue_problem: Option<String>,
    /// The name of the parent process.
    pub(crate) parent: Option<String>,
    /// True if Slurm's signals go to this process.
    pub(crate) gets_signals: bool,
}

/// The limits of `ulimit` on a process; `None` for no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rlimits {
    /// The limit on its address space (`ulimit -v`).
    pub(crate) address_space_bytes: Option<u64>,
    /// The limit on the size of files that it writes (`ulimit -f`).
    pub(crate) file_size_bytes: Option<u64>,
    /// The limit on its open files (`ulimit -n`).
    pub(crate) open_files: Option<u64>,
    /// The limit on the user's processes (`ulimit -u`).
    pub(crate) processes: Option<u64>,
    /// The limit on its CPU time (`ulimit -t`).
    pub(crate) cpu_seconds: Option<u64>,
}

/// A directory and its file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Directory {
    /// The path.
    #[cfg_attr(test, schemars(with = "String"))]
    pub(crate) path: PathBuf,
    /// The type, as in [`trialbox_storage::platform::mount::Mount`]; empty if unknown.
    pub(crate) fs_type: String,
    /// The device or the server of the file system; empty if unknown.
    pub(crate) source: String,
    /// The options with which it is mounted.
    pub(crate) options: Vec<String>,
    /// True if trialbox uses its lock file there by itself.
    pub(crate) has_lock_file: bool,
    /// The effect of the mount options on locks, if they have one.
    pub(crate) lock_option_problem: Option<String>,
    /// The error of writing a file there.
    pub(crate) unwritable: Option<String>,
}

impl Facts {
    /// Collects the facts about this machine, for a study in this folder.
    pub(crate) fn here(folder: &Path) -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let program = own_program().unwrap_or_default();
        let precautions = trialbox_runtime::precautions(&program);
        let job = SlurmJob::current();
        let end_told = job.as_ref().is_some_and(|job| job.end_time.is_some());
        let squeue_problem = match &job {
            Some(job) if !end_told => Standing::of(job).err().map(|error| error.to_string()),
            _ => None,
        };
        let named_cache = variable("TRIALBOX_CACHE_DIR").map(PathBuf::from);
        Facts {
            node: variable("SLURMD_NODENAME").unwrap_or_else(host_name),
            boot_id: boot_id(),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            cpu: cpu_model(),
            landlock_abi: precautions.landlock_abi,
            seccomp: precautions.seccomp,
            empty_root: precautions.empty_root,
            rlimits: Rlimits::here(),
            small_address_space: trialbox_runtime::address_space_is_small(),
            job_memory_mib: variable("SLURM_MEM_PER_NODE").and_then(|text| text.parse().ok()),
            folder: Directory::of(folder),
            job_cache: jobs_cache_dir()
                .filter(|_| named_cache.is_none())
                .map(|path| Directory::created(&path)),
            cache: named_cache.or_else(users_cache_dir).map(|path| Directory::created(&path)),
            squeue_problem,
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

impl Directory {
    /// Examines a directory.
    fn of(path: &Path) -> Self {
        let mount = mount_of(path).ok();
        let problem = mount.as_ref().and_then(|mount| mount.lock_option_problem());
        let has_lock_file = mount.as_ref().is_some_and(|mount| mount.locks == Locks::Network);
        let (fs_type, source, options) =
            mount.map(|mount| (mount.fs_type, mount.source, mount.options)).unwrap_or_default();
        Directory {
            path: path.to_owned(),
            fs_type,
            source,
            options,
            has_lock_file,
            lock_option_problem: problem.map(str::to_owned),
            unwritable: unwritable(path),
        }
    }

    /// Examines a directory, and creates it first as `run` would.
    fn created(path: &Path) -> Self {
        // A failure shows when a file is written there.
        let _ = create_folders(path, 0o700);
        Directory::of(path)
    }
}

/// Returns the error of creating and removing a file, if there is one.
fn unwritable(folder: &Path) -> Option<String> {
    let tried = Folder::open_named(folder).and_then(|folder| folder.check_writable());
    tried.err().map(|error| error.into_reason().to_string())
}

/// Returns the name of the parent process.
fn parent() -> Option<String> {
    let pid = rustix::process::getppid()?.as_raw_nonzero();
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim().to_owned())
}
