//! The system calls that a guest process may make while it loads its objective: those that wasmtime, the file system of
//! wasmtime-wasi and Rust's std need. A bug in the kernel that needs a rare call is out of reach.
//!
//! The filter (seccomp) sees the number of a call and its plain arguments, and no memory behind pointers. Landlock
//! therefore decides which files may be opened.

use crate::guest::lockdown::omitted::is_omitted;
use rustix::process::getpid;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;

/// Calls with their rules, each a list of conditions; a call without a rule is allowed with any arguments.
pub(super) type Calls = Vec<(i64, Vec<Vec<SeccompCondition>>)>;

/// Restricts this thread, and the threads that it starts later, to the calls of this file.
///
/// Returns whether the kernel enforces it.
pub(crate) fn filter_system_calls() -> bool {
    if is_omitted("seccomp") {
        return false;
    }
    let program = allowed().and_then(filter_of).and_then(BpfProgram::try_from);
    program.is_ok_and(|program| install(&program))
}

/// Returns the calls that are allowed: always, or if a condition holds.
pub(super) fn allowed() -> Result<Calls, BackendError> {
    let always = ALLOWED.iter().chain(ALLOWED_OF_OLD).map(|call| Ok((*call, vec![])));
    let sometimes = conditions().into_iter().map(|(call, any_of)| {
        let rules = any_of.into_iter().map(|condition| Ok(vec![condition?]));
        Ok((call, rules.collect::<Result<Vec<_>, BackendError>>()?))
    });
    always.chain(sometimes).collect()
}

/// Makes a filter of calls with their rules.
pub(super) fn filter_of(calls: Calls) -> Result<SeccompFilter, BackendError> {
    let rules = calls.into_iter().map(|(call, any_of)| {
        let rules = any_of.into_iter().map(SeccompRule::new);
        Ok((call, rules.collect::<Result<Vec<_>, BackendError>>()?))
    });
    let rules: BTreeMap<_, _> = rules.collect::<Result<_, BackendError>>()?;
    // `ENOSYS` stands for a call that the kernel does not know, and libraries then use another one: glibc does so for
    // `clone3`, whose flags are behind a pointer.
    let refuse = SeccompAction::Errno(libc::ENOSYS as u32);
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)
}

/// The calls that are allowed with any arguments.
const ALLOWED: &[i64] = &[
    // Memory. Compiled code is made executable, and the image of a memory is a file without a name.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Threads, and the end of threads and of the process.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getcpu,
    libc::SYS_gettid,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    // Signals within the process: a trap of the guest arrives as one.
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // Time, random numbers and identity.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_nanosleep,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // The socket to the host process, which is open already.
    libc::SYS_recvfrom,
    // Waiting: std for the socket, tokio for wasmtime-wasi.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    // Files that Landlock allows. Calls that change owners or modes, or create devices, are absent.
    libc::SYS_close,
    libc::SYS_faccessat,
    libc::SYS_fadvise64,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getdents64,
    libc::SYS_linkat,
    libc::SYS_lseek,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat2,
    libc::SYS_statx,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_write,
    libc::SYS_writev,
    // Giving up more rights.
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_seccomp,
];

/// Older variants of some of these, which C libraries still use on older architectures.
#[cfg(target_arch = "x86_64")]
const ALLOWED_OF_OLD: &[i64] = &[
    libc::SYS_access,
    libc::SYS_epoll_wait,
    libc::SYS_getdents,
    libc::SYS_link,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_rmdir,
    libc::SYS_stat,
    libc::SYS_symlink,
    libc::SYS_time,
    libc::SYS_unlink,
];
/// Older variants: `renameat`, which the crate libc does not name.
#[cfg(target_arch = "aarch64")]
const ALLOWED_OF_OLD: &[i64] = &[38];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ALLOWED_OF_OLD: &[i64] = &[];

/// Returns the calls that are allowed if one of the conditions on their arguments holds.
fn conditions() -> Vec<(i64, Vec<Result<SeccompCondition, BackendError>>)> {
    let own_pid = getpid().as_raw_nonzero().get() as u64;
    vec![
        // A new thread of this process, and no new process or namespace.
        (libc::SYS_clone, vec![makes_a_thread()]),
        // Without the commands that make the kernel send signals to other processes.
        (libc::SYS_fcntl, FCNTL_COMMANDS.map(|command| equals(1, command as u64)).into()),
        // The name of a thread, and the promise that `landlock_restrict_self` requires.
        (
            libc::SYS_prctl,
            [libc::PR_SET_NAME, libc::PR_SET_NO_NEW_PRIVS]
                .map(|option| equals(0, option as u64))
                .into(),
        ),
        // Limits of this process only.
        (libc::SYS_prlimit64, vec![equals(0, 0)]),
        // Without an address: only to the other end of the socket.
        (
            libc::SYS_sendto,
            vec![SeccompCondition::new(4, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)],
        ),
        // Signals to this process: `abort` sends one.
        (libc::SYS_tgkill, vec![equals(0, own_pid)]),
    ]
}

const FCNTL_COMMANDS: [i32; 7] = [
    libc::F_ADD_SEALS,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_GETFL,
    libc::F_GET_SEALS,
    libc::F_SETFD,
    libc::F_SETFL,
];

/// Returns the condition that `clone` makes a thread of this process, and no process or namespace.
pub(super) fn makes_a_thread() -> Result<SeccompCondition, BackendError> {
    let new_namespaces = libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWUTS;
    let thread = libc::CLONE_THREAD as u64;
    let of_clone = SeccompCmpOp::MaskedEq(thread | new_namespaces as u64);
    SeccompCondition::new(0, SeccompCmpArgLen::Qword, of_clone, thread)
}

/// Returns the condition that an argument of 32 bits has this value.
pub(super) fn equals(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

/// Installs a filter in the kernel.
///
/// Before Linux 5.16 the kernel assumes that a process with a filter runs hostile code beside its own secrets, and
/// slows it down with mitigations. The guest process has no secrets, so the flag turns the mitigations off.
fn install(program: &BpfProgram) -> bool {
    // `seccomp` has the flag since Linux 4.17.
    install_with(program, libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW) || install_with(program, 0)
}

/// Installs a filter for all threads of this process, whose filters must be the same so far.
pub(super) fn install_for_all_threads(program: &BpfProgram) -> bool {
    let all = libc::SECCOMP_FILTER_FLAG_TSYNC;
    install_with(program, all | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW) || install_with(program, all)
}

#[expect(unsafe_code, reason = "neither std nor rustix has this call")]
fn install_with(program: &BpfProgram, flags: libc::c_ulong) -> bool {
    let Ok(len) = u16::try_from(program.len()) else { return false };
    // The kernel only reads the filter, although the pointer is mutable.
    let filter = program.as_ptr().cast::<libc::sock_filter>().cast_mut();
    let description = libc::sock_fprog { len, filter };
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: `description` and the `len` instructions that it points to live until the call has returned, and
    // the kernel keeps a copy. The instructions are laid out as the kernel's (`linux/filter.h`), `#[repr(C)]`.
    unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const description) == 0 }
}
