//! System calls as code would make them that has broken out of WebAssembly, for the table in docs/sandbox.md; never in
//! a release.
//!
//! They are made where the objective's code would run: after the last step of the lockdown. A call that should not pass
//! gets arguments with which it does no harm.

use crate::wire::protocol::{ESCAPED, Grant};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// More memory than any limit of the tests' allows.
const MUCH_MEMORY: i64 = 1 << 40;

/// Makes the calls, if the environment asks for it, and returns a line for each: `yes` or `no`, and the attempt.
pub(crate) fn attempts(grants: &[Grant]) -> Option<String> {
    let outside = PathBuf::from(std::env::var_os(ESCAPED)?);
    let mut found = Found(String::new());
    try_files_of_the_user(&mut found, &outside);
    try_grants(&mut found, grants);
    try_network(&mut found);
    try_processes(&mut found);
    try_kernel(&mut found);
    Some(found.0)
}

struct Found(String);

impl Found {
    /// Notes an attempt. A call that fails for its harmless arguments has passed.
    fn note(&mut self, what: &str, result: &io::Result<i64>) {
        let refused = [
            libc::ENOSYS,
            libc::EPERM,
            libc::EACCES,
            libc::ENOENT,
            libc::EROFS,
            libc::EXDEV,
            libc::ENOMEM,
        ];
        let is_refused = result
            .as_ref()
            .is_err_and(|error| error.raw_os_error().is_some_and(|code| refused.contains(&code)));
        self.0.push_str(if is_refused { "no: " } else { "yes: " });
        self.0.push_str(what);
        self.0.push('\n');
    }
}

#[expect(unsafe_code, reason = "there is no other way to make any call there is")]
fn call(number: i64, arguments: &[i64]) -> io::Result<i64> {
    let at = |index: usize| arguments.get(index).copied().unwrap_or(0);
    let caller = std::process::id();
    // SAFETY: pointers are null, or to paths and structures that live longer than the call; no call changes memory of
    // this process that anything refers to.
    let result = unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) };
    if std::process::id() != caller {
        std::process::exit(0);
    }
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A path as an argument.
struct Text(CString);

impl Text {
    fn new(path: &Path) -> Self {
        Text(CString::new(path.as_os_str().as_bytes()).unwrap_or_default())
    }

    fn at(&self) -> i64 {
        self.0.as_ptr() as i64
    }
}

const CWD: i64 = libc::AT_FDCWD as i64;
const READ: i64 = libc::O_RDONLY as i64;
const WRITE: i64 = libc::O_WRONLY as i64;
const CREATE: i64 = (libc::O_CREAT | libc::O_WRONLY) as i64;

/// Opens a file by `openat2`, whose flags a filter cannot see.
fn open_by_structure(path: &Text, flags: i64, mode: i64) -> io::Result<i64> {
    let how = [flags, mode, 0];
    call(libc::SYS_openat2, &[CWD, path.at(), how.as_ptr() as i64, size_of_val(&how) as i64])
}

/// The files beside the grants. The folder has the files `secret`, `removed` and `moved`, and the link `link`.
fn try_files_of_the_user(found: &mut Found, outside: &Path) {
    let at = |name: &str| Text::new(&outside.join(name));
    let (secret, new) = (at("secret"), at("new"));
    let mut status = [0_u8; 512];
    let status = status.as_mut_ptr() as i64;
    let mut note = |what: &str, result: io::Result<i64>| {
        found.note(&format!("a user's file: {what}"), &result)
    };
    note("see its size and times", call(libc::SYS_newfstatat, &[CWD, secret.at(), status]));
    note("see them by `statx`", call(libc::SYS_statx, &[CWD, secret.at(), 0, 0x7ff, status]));
    note("read it", call(libc::SYS_openat, &[CWD, secret.at(), READ]));
    note("read it by `openat2`", open_by_structure(&secret, READ, 0));
    note("list its folder", call(libc::SYS_openat, &[CWD, Text::new(outside).at(), READ]));
    note("read a link", call(libc::SYS_readlinkat, &[CWD, at("link").at(), status, 512]));
    note("write to it", call(libc::SYS_openat, &[CWD, secret.at(), WRITE]));
    note("write to it by `openat2`", open_by_structure(&secret, WRITE, 0));
    note("make one", call(libc::SYS_openat, &[CWD, new.at(), CREATE, 0o600]));
    note("cut it short", call(libc::SYS_truncate, &[secret.at(), 14]));
    note("set its times", call(libc::SYS_utimensat, &[CWD, secret.at()]));
    note("change its mode", call(libc::SYS_fchmodat, &[CWD, secret.at(), 0o600]));
    note("change its owner", call(libc::SYS_fchownat, &[CWD, secret.at(), -1, -1]));
    note("remove it", call(libc::SYS_unlinkat, &[CWD, at("removed").at()]));
    let moved = call(libc::SYS_renameat2, &[CWD, at("moved").at(), CWD, at("elsewhere").at()]);
    note("rename it", moved);
}

/// The files in the first granted directory: `data` and the directory `dir`.
fn try_grants(found: &mut Found, grants: &[Grant]) {
    let none = PathBuf::from("/nothing/is/granted");
    let granted = grants.first().map_or(&none, |grant| &grant.host);
    let at = |name: &str| Text::new(&granted.join(name));
    let data = at("data");
    let mut note = |what: &str, result: io::Result<i64>| {
        found.note(&format!("a granted directory: {what}"), &result)
    };
    note("read a file", call(libc::SYS_openat, &[CWD, data.at(), READ]));
    let by_descriptor = call(libc::SYS_openat, &[CWD, data.at(), READ])
        .and_then(|descriptor| call(libc::SYS_utimensat, &[descriptor, 0]));
    note("set the times of an open file", by_descriptor);
    note("set times by a path", call(libc::SYS_utimensat, &[CWD, data.at()]));
    note("write to a file", call(libc::SYS_openat, &[CWD, data.at(), WRITE]));
    note("write to a file by `openat2`", open_by_structure(&data, WRITE, 0));
    note("make a file", call(libc::SYS_openat, &[CWD, at("made").at(), CREATE, 0o600]));
    note("make a directory", call(libc::SYS_mkdirat, &[CWD, at("made-too").at(), 0o700]));
    let target = Text::new(Path::new("/etc/passwd"));
    note("make a symbolic link", call(libc::SYS_symlinkat, &[target.at(), CWD, at("soft").at()]));
    let linked = call(libc::SYS_linkat, &[CWD, data.at(), CWD, at("hard").at()]);
    note("link its own file once more", linked);
    note("remove a file", call(libc::SYS_unlinkat, &[CWD, at("removed").at()]));
    note("change a mode", call(libc::SYS_fchmodat, &[CWD, data.at(), 0o755]));
    let pipe = i64::from(libc::S_IFIFO | 0o600);
    note("make a pipe or a device", call(libc::SYS_mknodat, &[CWD, at("pipe").at(), pipe]));
}

fn try_network(found: &mut Found) {
    let (tcp, unix) = (i64::from(libc::AF_INET), i64::from(libc::AF_UNIX));
    found.note("network: make a socket", &call(libc::SYS_socket, &[tcp, 1]));
    found.note("network: make a local socket", &call(libc::SYS_socket, &[unix, 1]));
    found.note("network: connect", &call(libc::SYS_connect, &[-1]));
    found.note("network: pass descriptors", &call(libc::SYS_sendmsg, &[-1]));
}

fn try_processes(found: &mut Found) {
    let host = i64::from(rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get()));
    let program = Text::new(Path::new("/bin/true"));
    let thread = i64::from(libc::CLONE_THREAD | libc::CLONE_SIGHAND);
    let mut note =
        |what: &str, result: io::Result<i64>| found.note(&format!("processes: {what}"), &result);
    note("start one", call(libc::SYS_clone, &[i64::from(libc::SIGCHLD)]));
    note("start a thread", call(libc::SYS_clone, &[thread]));
    note("start one by `clone3`", call(libc::SYS_clone3, &[]));
    note("run a program", call(libc::SYS_execve, &[program.at()]));
    note("signal the host process", call(libc::SYS_kill, &[host, 0]));
    note("trace the host process", call(libc::SYS_ptrace, &[libc::PTRACE_SEIZE.into(), host]));
    note("read its memory", call(libc::SYS_process_vm_readv, &[host]));
    note("open it", call(libc::SYS_pidfd_open, &[host]));
    let descriptors = libc::RLIMIT_NOFILE as i64;
    let limits = [4096_u64, 4096];
    let raised = call(libc::SYS_prlimit64, &[0, descriptors, limits.as_ptr() as i64]);
    note("change its limits on files and processes", raised);
}

fn try_kernel(found: &mut Found) {
    let private = i64::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
    let data = i64::from(libc::PROT_READ | libc::PROT_WRITE);
    let code = i64::from(libc::PROT_READ | libc::PROT_EXEC);
    let mut note =
        |what: &str, result: io::Result<i64>| found.note(&format!("kernel: {what}"), &result);
    let unlimited = [u64::MAX, u64::MAX];
    let memory = libc::RLIMIT_DATA as i64;
    let raised = call(libc::SYS_prlimit64, &[0, memory, unlimited.as_ptr() as i64]);
    note("raise its limit on memory", raised);
    note("map a terabyte of memory", call(libc::SYS_mmap, &[0, MUCH_MEMORY, data, private, -1]));
    note("map executable memory", call(libc::SYS_mmap, &[0, 4096, code, private, -1]));
    note("make memory executable", call(libc::SYS_mprotect, &[0, 0, code]));
    note("make a file in memory", call(libc::SYS_memfd_create, &[program_name(), 0]));
    note("`mount`", call(libc::SYS_mount, &[]));
    note("`unshare`", call(libc::SYS_unshare, &[i64::from(libc::CLONE_NEWUSER)]));
    note("`chroot`", call(libc::SYS_chroot, &[]));
    note("`io_uring_setup`", call(libc::SYS_io_uring_setup, &[]));
    note("`bpf`", call(libc::SYS_bpf, &[]));
    note("`keyctl`", call(libc::SYS_keyctl, &[]));
    note("`userfaultfd`", call(libc::SYS_userfaultfd, &[]));
    note("`perf_event_open`", call(libc::SYS_perf_event_open, &[]));
    note("`ioctl`", call(libc::SYS_ioctl, &[-1]));
    note("`prctl` but for names", call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE.into(), 1]));
    note("`seccomp`", call(libc::SYS_seccomp, &[-1]));
}

fn program_name() -> i64 {
    c"x".as_ptr() as i64
}
