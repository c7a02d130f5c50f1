//! What the guest process gives up, so that the kernel holds it to its grants even where WebAssembly or WASI
//! should fail to.
//!
//! In three steps, each as early as it can be: descriptors, rights and system calls that it never needs, before
//! anything is received; all files but the grants and the cache, before the objective's bytes are; the cache,
//! before its code runs. None is needed for the sandbox to hold, so a kernel that cannot do one loses a
//! precaution, and the trial runs.

mod omitted;
mod system_calls;

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
use std::os::fd::OwnedFd;
use std::path::Path;

/// How many descriptors the guest process may have, its own and those of the files that the guest opens.
const MAX_DESCRIPTORS: u64 = 512;

/// What functions of the host need of the stack below those of WebAssembly.
const STACK_OF_HOST_FUNCTIONS: u64 = 4 << 20;

/// WebAssembly always gets as much.
const LEAST_STACK: u64 = 64 << 10;

/// All that the newest kernels can refuse; an older one refuses what it knows of it. The guest process needs
/// nothing of a later version either, because after loading it opens nothing but what is granted.
const LANDLOCK_ABI: ABI = ABI::V10;

/// In a directory that is granted read-only.
const READING: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// In a directory that is granted for writing too: no devices, pipes or sockets are made there, nothing is run.
const WRITING: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | MakeSym | RemoveFile | RemoveDir | Refer
});

/// In the directory of compiled code: an entry is written aside and renamed.
const CACHING: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{ReadFile | WriteFile | MakeReg | RemoveFile});

/// What a kernel can do for a guest process beyond what WebAssembly does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precautions {
    /// The version of Landlock that it enforces; 0 for none.
    pub landlock_abi: u32,
    /// Whether it refuses system calls that are not on a list.
    pub seccomp: bool,
}

/// Finds out what this machine's kernel does, by having it done to a thread that ends at once.
pub fn precautions() -> Precautions {
    let confined = std::thread::spawn(|| {
        let _ = rustix::thread::set_no_new_privs(true);
        let landlock_abi = leave_only(&[], None);
        Precautions { landlock_abi, seccomp: filter_system_calls() }
    });
    confined.join().unwrap_or(Precautions { landlock_abi: 0, seccomp: false })
}

/// Closes all descriptors but the standard three. Whoever started the host process may have left one of a
/// secret open. To be called before anything else in the process.
#[expect(unsafe_code, reason = "a descriptor that was inherited has no owner to drop")]
pub(crate) fn close_inherited_descriptors() {
    let (first, last, flags) = (3 as libc::c_uint, libc::c_uint::MAX, 0 as libc::c_uint);
    // The C library's own function is younger than the C libraries of many clusters.
    // SAFETY: no memory is touched, and nobody in this process has opened a descriptor yet.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } == 0 {
        return;
    }
    // Linux before 5.9. What cannot be listed stays open, as it would without this precaution.
    let names = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> =
        names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // SAFETY: as above. The listing's own descriptor is closed by now, and closing it again is refused.
        unsafe { libc::close(descriptor) };
    }
}

/// Gives up what no guest process needs.
pub(crate) fn give_up_rights() {
    let _ = rustix::thread::set_no_new_privs(true);
    lower_limit(Resource::Core, 0);
    lower_limit(Resource::Nofile, MAX_DESCRIPTORS);
    lower_limit(Resource::Memlock, 0);
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // The parent may have died before the kernel was told to watch it. It says itself who it is, because in
    // a container it may well be process 1, to which orphans go.
    let parent = std::env::args().nth(2).and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    if parent.is_some() && getppid() != parent {
        std::process::exit(1);
    }
}

/// Does something with this much memory for data at most. What it allocates beyond ends the process, and the host
/// process reads why.
pub(crate) fn with_memory_limit<T>(bytes: u64, work: impl FnOnce() -> T) -> T {
    let found = getrlimit(Resource::Data);
    let current = Some(found.current.map_or(bytes, |found| found.min(bytes)));
    let _ = setrlimit(Resource::Data, Rlimit { current, maximum: found.maximum });
    let done = work();
    let _ = setrlimit(Resource::Data, found);
    done
}

/// Lets this thread's stack grow as far as WebAssembly's may, and a little more for the host's functions. Returns how
/// far WebAssembly's can: less where the system allows no more (`ulimit -Hs`).
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

fn lower_limit(resource: Resource, most: u64) {
    let lower = |found: Option<u64>| Some(found.map_or(most, |found| found.min(most)));
    let found = getrlimit(resource);
    let _ = setrlimit(
        resource,
        Rlimit { current: lower(found.current), maximum: lower(found.maximum) },
    );
}

/// Leaves this thread, and those that it starts from now on, nothing but the grants and the directory of
/// compiled code, if one is given: no other file, no TCP, no signals to other processes. It can be called
/// again, to leave less.
///
/// Returns the version of Landlock by which the kernel enforces it, 0 if it does not; see landlock(7) for
/// what each version covers.
pub(crate) fn leave_only(grants: &[Grant], cache_dir: Option<&Path>) -> u32 {
    // An error means that the kernel has Landlock and cannot do with it what its version promises.
    restrict(grants, cache_dir).unwrap_or(0)
}

fn restrict(grants: &[Grant], cache_dir: Option<&Path>) -> Result<u32, RulesetError> {
    if omitted::is_omitted("landlock") {
        return Ok(0);
    }
    let granted = grants.iter().map(|grant| {
        let access = if grant.writable { WRITING } else { READING };
        (grant.host.as_path(), access)
    });
    // A directory that cannot be opened now gets no rule, and whoever wants it later learns why.
    let rules = granted.chain(cache_dir.map(|dir| (dir, CACHING))).filter_map(|(dir, access)| {
        let dir = open_directory(dir).ok()?;
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

/// Names a directory to the kernel. `DIRECTORY` has it mounted if it is an automounter's and nobody has used
/// it yet, which `PATH` alone does not do; the rule would be for the empty place below the mount.
fn open_directory(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests;
