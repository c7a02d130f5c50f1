//! The system calls that are left once an objective is loaded: a second filter, installed before its code runs.
//!
//! Loading needs what no trial needs: to make code executable, and to open files by any path. Code that has broken out
//! of WebAssembly finds none of these calls. Without grants no call takes a path or starts a thread. Without a grant
//! for writing no call changes the file system.

use crate::guest::lockdown::omitted::is_omitted;
use crate::guest::lockdown::system_calls::{
    Calls, equals, filter_of, install_for_all_threads, makes_a_thread,
};
use rustix::process::getpid;
use seccompiler::{BackendError, BpfProgram, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition};

/// The files that an objective may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileAccess {
    /// No files.
    None,
    /// The files in directories that are granted for reading.
    Reading {
        /// True if Landlock refuses to write. A filter sees the flags of `openat`, and not those of `openat2`, which
        /// stand in memory; but only `openat2` resolves a path below a directory in one call.
        is_enforced: bool,
    },
    /// The files in directories that are granted, some of them for writing.
    Writing,
}

/// Restricts all threads of this process to the calls of this file. Returns whether the kernel enforces it.
pub(crate) fn filter_after_loading(access: FileAccess) -> bool {
    if is_omitted("seccomp") || is_omitted("second-filter") {
        return false;
    }
    let program = allowed(access).and_then(filter_of).and_then(BpfProgram::try_from);
    program.is_ok_and(|program| install_for_all_threads(&program))
}

/// Returns the calls that are allowed: always, or if all conditions of one of their rules hold.
fn allowed(access: FileAccess) -> Result<Calls, BackendError> {
    let mut always: Vec<i64> = [ALWAYS, ALWAYS_OF_OLD].concat();
    let mut sometimes = conditions()?;
    if access != FileAccess::None {
        always.extend([READING, READING_OF_OLD].concat());
        // wasmtime-wasi reads and writes the streams of files on threads that it starts when it needs them.
        sometimes.push((libc::SYS_clone, vec![vec![makes_a_thread()?]]));
    }
    match access {
        FileAccess::None => {}
        FileAccess::Reading { is_enforced } => {
            sometimes.push((libc::SYS_openat, vec![without_flags(2, OPENS_TO_WRITE)?]));
            if is_enforced {
                always.push(libc::SYS_openat2);
            }
        }
        FileAccess::Writing => {
            always.extend([WRITING, WRITING_OF_OLD].concat());
            // The times of a file that is open, and of none that is named: a path could name any file of the user's.
            sometimes.push((libc::SYS_utimensat, vec![vec![equals_pointer(1, 0)?]]));
        }
    }
    let always = always.into_iter().map(|call| (call, vec![]));
    Ok(always.chain(sometimes).collect())
}

/// The flags with which `openat` changes a file or creates one.
const OPENS_TO_WRITE: i32 = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | TEMPORARY;

/// `O_TMPFILE` without `O_DIRECTORY`, which is a part of it.
const TEMPORARY: i32 = libc::O_TMPFILE & !libc::O_DIRECTORY;

/// The calls that are allowed without grants too, with any arguments.
const ALWAYS: &[i64] = &[
    // Memory that is not executable; see the conditions.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Threads, of which one may be starting.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
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
    // Time, random numbers and identity, whose calls libraries expect to succeed.
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
    // The socket to the host process, and waiting.
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_ppoll,
    libc::SYS_recvfrom,
    // What is open.
    libc::SYS_close,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
];

/// The calls for files that are open or in a granted directory, none of which changes anything.
const READING: &[i64] = &[
    libc::SYS_fadvise64,
    libc::SYS_fdatasync,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_readlinkat,
    libc::SYS_statx,
];

/// The calls that change files.
const WRITING: &[i64] = &[
    libc::SYS_ftruncate,
    libc::SYS_linkat,
    libc::SYS_mkdirat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_renameat2,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
];

/// Older variants of some of these, which C libraries still use on older architectures.
#[cfg(target_arch = "x86_64")]
const ALWAYS_OF_OLD: &[i64] = &[libc::SYS_epoll_wait, libc::SYS_poll, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const ALWAYS_OF_OLD: &[i64] = &[];
#[cfg(target_arch = "x86_64")]
const READING_OF_OLD: &[i64] = &[libc::SYS_getdents];
#[cfg(not(target_arch = "x86_64"))]
const READING_OF_OLD: &[i64] = &[];
#[cfg(target_arch = "x86_64")]
const WRITING_OF_OLD: &[i64] = &[libc::SYS_renameat];
/// Older variants: `renameat`, which the crate libc does not name.
#[cfg(target_arch = "aarch64")]
const WRITING_OF_OLD: &[i64] = &[38];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const WRITING_OF_OLD: &[i64] = &[];

/// Returns the calls that are allowed without grants too, if one of the rules on their arguments holds.
fn conditions() -> Result<Calls, BackendError> {
    let own_pid = getpid().as_raw_nonzero().get() as u64;
    let fcntl = [libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_GETFL, libc::F_SETFD, libc::F_SETFL];
    let fcntl = fcntl.into_iter().map(|command| Ok(vec![equals(1, command as u64)?]));
    Ok(vec![
        (libc::SYS_fcntl, fcntl.collect::<Result<_, BackendError>>()?),
        // The objective's code is executable already, and no other code becomes it.
        (libc::SYS_mmap, vec![without_flags(2, libc::PROT_EXEC)?]),
        (libc::SYS_mprotect, vec![without_flags(2, libc::PROT_EXEC)?]),
        // The name of a thread that is starting.
        (libc::SYS_prctl, vec![vec![equals(0, libc::PR_SET_NAME as u64)?]]),
        // To see the limits of this process, and to change the one on memory, which each call of the objective has.
        (
            libc::SYS_prlimit64,
            vec![
                vec![equals(0, 0)?, equals_pointer(2, 0)?],
                vec![equals(0, 0)?, equals(1, libc::RLIMIT_DATA as u64)?],
            ],
        ),
        // Without an address: only to the other end of the socket.
        (libc::SYS_sendto, vec![vec![equals_pointer(4, 0)?]]),
        // Signals to this process: `abort` sends one.
        (libc::SYS_tgkill, vec![vec![equals(0, own_pid)?]]),
    ])
}

/// Returns the rule that an argument has none of these flags.
fn without_flags(argument: u8, flags: i32) -> Result<Vec<SeccompCondition>, BackendError> {
    let none = SeccompCmpOp::MaskedEq(flags as u64);
    Ok(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Qword, none, 0)?])
}

/// Returns the condition that an argument of 64 bits has this value.
fn equals_pointer(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::lockdown::system_calls;
    use std::collections::BTreeMap;

    /// A process that took compiled code from the cache has this filter alone.
    #[test]
    fn every_call_of_a_trial_is_allowed_while_loading_and_no_condition_of_loading_is_lifted() {
        let loading: BTreeMap<_, _> = system_calls::allowed().expect("rules").into_iter().collect();
        assert!(loading.len() > 80, "{}", loading.len());
        for access in [
            FileAccess::None,
            FileAccess::Reading { is_enforced: false },
            FileAccess::Reading { is_enforced: true },
            FileAccess::Writing,
        ] {
            let calls = allowed(access).expect("rules");
            assert!(calls.len() > 40, "{access:?}: {}", calls.len());
            let names: std::collections::BTreeSet<_> = calls.iter().map(|(call, _)| call).collect();
            assert_eq!(
                names.len(),
                calls.len(),
                "{access:?}: a later entry would hide an earlier one"
            );
            for (call, rules) in calls {
                let Some(of_loading) = loading.get(&call) else {
                    panic!("{access:?}: call {call} is refused while loading")
                };
                if of_loading.is_empty() {
                    continue;
                }
                let is_no_wider = |rule: &Vec<SeccompCondition>| {
                    of_loading.iter().any(|wide| wide.iter().all(|it| rule.contains(it)))
                };
                assert!(!rules.is_empty(), "{access:?}: call {call} has conditions while loading");
                assert!(rules.iter().all(is_no_wider), "{access:?}: call {call}: {rules:?}");
            }
        }
    }
}
