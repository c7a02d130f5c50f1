//! The lockdown of the guest process: the kernel confines it to its grants even if WebAssembly or WASI fails to.
//!
//! The process gives up its rights in three steps, each as early as possible. Descriptors and rights that it never
//! needs go before it receives anything. All files but the grants and the cache, and system calls that it never needs,
//! go before it receives the objective's bytes. The cache, and the calls that only loading needs, go before the
//! objective's code runs. The sandbox holds without these steps, so a kernel that lacks one costs a precaution, and the
//! trial runs.

mod after_loading;
mod empty_root;
mod omitted;
mod system_calls;

pub(crate) use after_loading::{FileAccess, filter_after_loading};
pub(crate) use empty_root::Visible;
pub(crate) use system_calls::filter_system_calls;

use crate::wire::protocol::Grant;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, Scope, make_bitflags,
};
use rustix::fs::{Mode, OFlags};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};
use rustix::thread::CapabilitySet;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use trialbox_files::Identity;

/// The most descriptors of the guest process, including those of the files that the guest opens.
const MAX_DESCRIPTORS: u64 = 512;

/// The stack that the functions of the host need beyond WebAssembly's.
const STACK_OF_HOST_FUNCTIONS: u64 = 4 << 20;

/// The stack that WebAssembly always gets.
const LEAST_STACK: u64 = 64 << 10;

/// The version with everything that the newest kernels can refuse; an older kernel refuses the part that it knows.
/// After loading, the guest process opens nothing but its grants, so a refusal never affects an honest guest.
const LANDLOCK_ABI: ABI = ABI::V10;

/// The accesses in a directory that is granted read-only.
const READING: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// The accesses in a directory that is granted for writing: no devices, pipes or sockets, and no execution.
const WRITING: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | MakeSym | RemoveFile | RemoveDir | Refer
});

/// The accesses in the directory of compiled code, where an entry is written aside and renamed.
const CACHING: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{ReadFile | WriteFile | MakeReg | RemoveFile});

/// The precautions of the kernel beyond those of WebAssembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precautions {
    /// The version of Landlock that the kernel enforces; 0 for none.
    pub landlock_abi: u32,
    /// True if the kernel refuses system calls that are not on a list.
    pub seccomp: bool,
    /// True if the kernel gives a process a root directory that holds the grants alone.
    pub empty_root: bool,
}

/// Returns the precautions that this machine's kernel offers, by applying them to a thread, and to a process of the
/// program `program`, that end immediately.
pub fn precautions(program: &Path) -> Precautions {
    let confined = std::thread::spawn(|| {
        let _ = rustix::thread::set_no_new_privs(true);
        (leave_only(&[], None), filter_system_calls())
    });
    let (landlock_abi, seccomp) = confined.join().unwrap_or((0, false));
    Precautions { landlock_abi, seccomp, empty_root: offers_empty_root(program) }
}

/// The second argument of a guest process that only finds out whether it gets an empty root.
const TRIES_ROOT: &str = "root";

/// The exit code of a guest process that got an empty root.
const GOT_ROOT: u8 = 57;

/// Only a process of one thread can get one.
fn offers_empty_root(program: &Path) -> bool {
    let status = Command::new(program)
        .args(["__guest", TRIES_ROOT])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.code() == Some(i32::from(GOT_ROOT)))
}

/// Returns the exit code of a guest process that was started to find out whether it gets an empty root.
pub(crate) fn tries_root() -> Option<ExitCode> {
    (std::env::args().nth(2)? == TRIES_ROOT).then(|| {
        let _ = rustix::thread::set_no_new_privs(true);
        if empty_root::enter(&[]) { ExitCode::from(GOT_ROOT) } else { ExitCode::SUCCESS }
    })
}

/// Gives this process a root directory that holds the grants alone, and the directory of compiled code if there is one.
/// Returns whether the kernel does that.
pub(crate) fn enter_empty_root(grants: &[Grant], cache_dir: Option<&Path>) -> bool {
    let granted = grants.iter().map(|grant| Visible {
        path: &grant.host,
        writable: grant.writable,
        grant: Some(grant),
    });
    let cache = cache_dir.map(|path| Visible { path, writable: true, grant: None });
    empty_root::enter(&granted.chain(cache).collect::<Vec<_>>())
}

/// Closes all descriptors but the standard three: the host process may have inherited one of a secret file. Call it
/// before anything else in the process.
#[expect(unsafe_code, reason = "a descriptor that was inherited has no owner to drop")]
pub(crate) fn close_inherited_descriptors() {
    let (first, last, flags) = (3 as libc::c_uint, libc::c_uint::MAX, 0 as libc::c_uint);
    // The C libraries of many clusters are older than the function of this name.
    // SAFETY: the call touches no memory, and no code in this process has opened a descriptor yet.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } == 0 {
        return;
    }
    // Linux before 5.9 lacks the call. Descriptors that cannot be listed stay open, as without this precaution.
    let names = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> =
        names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // SAFETY: as above. The listing's own descriptor is closed by now, and closing it again is refused.
        unsafe { libc::close(descriptor) };
    }
}

/// Gives up the rights that no guest process needs.
pub(crate) fn give_up_rights() {
    let _ = rustix::thread::set_no_new_privs(true);
    lower_limit(Resource::Core, 0);
    lower_limit(Resource::Nofile, MAX_DESCRIPTORS);
    lower_limit(Resource::Memlock, 0);
    become_first_to_be_killed();
    keep_limits();
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // The parent may have died before the kernel watched it. The parent passes its own id, because in a container it
    // may be process 1, to which orphans go.
    let parent = std::env::args().nth(2).and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    if parent.is_some() && getppid() != parent {
        std::process::exit(1);
    }
}

/// Limits the memory for data of this process. An allocation beyond it ends the process, and the host process reads the
/// reason from standard error.
///
/// The kernel counts private pages that can be written (`RLIMIT_DATA` in setrlimit(2), since Linux 4.7). It does not
/// count addresses that are only reserved, of which wasmtime takes 4 GiB and more for each memory, so a limit on the
/// address space (`RLIMIT_AS`) would refuse every guest.
pub(crate) fn limit_memory(bytes: u64) {
    let maximum = getrlimit(Resource::Data).maximum;
    let current = Some(maximum.map_or(bytes, |most| most.min(bytes)));
    let _ = setrlimit(Resource::Data, Rlimit { current, maximum });
}

/// Limits the memory for data of this process as [`limit_memory`] does, and takes away the right to a higher limit.
pub(crate) fn limit_memory_for_good(bytes: u64) {
    lower_limit(Resource::Data, bytes);
}

/// The figures of this process that the kernel gives in a file, which is opened before the process is confined.
#[derive(Debug)]
pub(crate) struct OwnStatus(Option<File>);

impl OwnStatus {
    pub(crate) fn open() -> Self {
        OwnStatus(File::open("/proc/self/status").ok())
    }

    /// Returns the memory for data, in bytes, as [`limit_memory`] limits it, and closes the file.
    pub(crate) fn take_data_bytes(&mut self) -> Option<u64> {
        let mut bytes = [0; 4096];
        let length = self.0.take()?.read_at(&mut bytes, 0).ok()?;
        let text = String::from_utf8_lossy(&bytes[..length]);
        let line = text.lines().find_map(|line| line.strip_prefix("VmData:"))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib << 10)
    }
}

/// Lets this thread's stack grow to WebAssembly's limit plus the need of the host's functions. Returns the size that
/// WebAssembly can use, which is less if the system allows no more (`ulimit -Hs`).
pub(crate) fn make_room_for_stack(wasm_bytes: u64) -> u64 {
    let found = getrlimit(Resource::Stack);
    let wanted = wasm_bytes.saturating_add(STACK_OF_HOST_FUNCTIONS);
    if found.current.is_some_and(|current| current < wanted) {
        let current = Some(found.maximum.map_or(wanted, |most| most.min(wanted)));
        let _ = setrlimit(Resource::Stack, Rlimit { current, maximum: found.maximum });
    }
    let most = getrlimit(Resource::Stack).current.unwrap_or(u64::MAX);
    wasm_bytes.min(most.saturating_sub(STACK_OF_HOST_FUNCTIONS).max(LEAST_STACK))
}

/// Makes the kernel choose this process rather than the host process when a job's memory is used up: the host process
/// then records why the trial failed. The scale of 1000 is that of proc_pid_oom_score_adj(5).
fn become_first_to_be_killed() {
    let _ = fs::write("/proc/self/oom_score_adj", "500");
}

/// Gives up root's right to raise limits. Other rights of root's stay, such as to read a file that is granted and
/// another user's.
fn keep_limits() {
    let Ok(mut rights) = rustix::thread::capabilities(None) else { return };
    for set in [&mut rights.effective, &mut rights.permitted, &mut rights.inheritable] {
        set.remove(CapabilitySet::SYS_RESOURCE);
    }
    let _ = rustix::thread::set_capabilities(None, rights);
}

fn lower_limit(resource: Resource, most: u64) {
    let lower = |found: Option<u64>| Some(found.map_or(most, |found| found.min(most)));
    let found = getrlimit(resource);
    let _ = setrlimit(
        resource,
        Rlimit { current: lower(found.current), maximum: lower(found.maximum) },
    );
}

/// Confines this thread, and the threads that it starts later, to the grants and the directory of compiled code, if
/// there is one: no other file, no TCP, no signals to other processes. A second call can only confine it further.
///
/// Returns the version of Landlock with which the kernel enforces this, or 0 if it does not. The manual page
/// landlock(7) lists the rules of each version.
pub(crate) fn leave_only(grants: &[Grant], cache_dir: Option<&Path>) -> u32 {
    // An error means that the kernel has Landlock but does not do what its version promises.
    restrict(grants, cache_dir).unwrap_or(0)
}

fn restrict(grants: &[Grant], cache_dir: Option<&Path>) -> Result<u32, RulesetError> {
    if omitted::is_omitted("landlock") {
        return Ok(0);
    }
    let granted = grants.iter().map(|grant| {
        let access = if grant.writable { WRITING } else { READING };
        (grant.host.as_path(), access, Some(grant))
    });
    // A directory that cannot be opened now gets no rule; the code that opens it later reports the error.
    let cache = cache_dir.map(|dir| (dir, CACHING, None));
    let rules = granted.chain(cache).filter_map(|(dir, access, grant)| {
        let dir = open_directory(dir).ok()?;
        // One that took the place of a granted directory gets no rule either.
        grant.map_or(Ok(()), |grant| grant.require(Identity::of_open(&dir)?)).ok()?;
        Some(Ok::<_, RulesetError>(PathBeneath::new(dir, access)))
    });
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))?
        .handle_access(AccessNet::from_all(LANDLOCK_ABI))?
        .scope(Scope::from_all(LANDLOCK_ABI))?
        .create()?
        .add_rules(rules)?
        .restrict_self()?;
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi as u32,
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => 0,
    })
}

/// Opens a directory for a rule. `DIRECTORY` makes an automounter mount it, which `PATH` alone does not: the rule would
/// then be for the empty directory below the mount.
fn open_directory(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests;
