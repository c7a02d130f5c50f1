//! System calls of a filtered process, made as one that has been taken over would make them. None does any harm where
//! the filter fails: their arguments name no open descriptor and no existing path, and no signal is sent.

use super::*;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;

/// A system call, with nothing but numbers for arguments.
#[expect(unsafe_code, reason = "there is no other way to make any call there is")]
fn call(number: i64, arguments: [i64; 5]) -> io::Result<i64> {
    let ([a, b, c, d, e], caller) = (arguments, std::process::id());
    // SAFETY: a pointer is null or `/bin/true`'s name, and what comes of the calls is of no interest.
    let result = unsafe { libc::syscall(number, a, b, c, d, e) };
    if std::process::id() != caller {
        std::process::exit(0);
    }
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Calls that no guest process needs, as one that has been taken over would make them.
fn needless_calls() -> Vec<(&'static str, i64, [i64; 5])> {
    let parent = i64::from(getppid().expect("there is one").as_raw_nonzero().get());
    let program = c"/bin/true".as_ptr() as i64;
    let (signal, socket) = (libc::SIGCHLD as i64, libc::AF_UNIX as i64);
    vec![
        ("fork", libc::SYS_clone, [signal, 0, 0, 0, 0]),
        ("clone3", libc::SYS_clone3, [0; 5]),
        ("execve", libc::SYS_execve, [program, 0, 0, 0, 0]),
        ("execveat", libc::SYS_execveat, [0, program, 0, 0, 0]),
        ("socket by TCP", libc::SYS_socket, [libc::AF_INET as i64, 1, 0, 0, 0]),
        ("socket by a file", libc::SYS_socket, [socket, 1, 0, 0, 0]),
        ("socketpair", libc::SYS_socketpair, [socket, 1, 0, 0, 0]),
        ("connect", libc::SYS_connect, [0; 5]),
        ("bind", libc::SYS_bind, [0; 5]),
        ("sendmsg", libc::SYS_sendmsg, [0; 5]),
        ("recvmsg", libc::SYS_recvmsg, [0; 5]),
        ("kill the parent", libc::SYS_kill, [parent, 0, 0, 0, 0]),
        ("kill a thread of the parent", libc::SYS_tgkill, [parent, parent, 0, 0, 0]),
        ("pidfd_open the parent", libc::SYS_pidfd_open, [parent, 0, 0, 0, 0]),
        (
            "have the parent be signalled",
            libc::SYS_fcntl,
            [-1, libc::F_SETOWN as i64, parent, 0, 0],
        ),
        ("ptrace", libc::SYS_ptrace, [libc::PTRACE_SEIZE as i64, 0, 0, 0, 0]),
        ("read the parent's memory", libc::SYS_process_vm_readv, [parent, 0, 0, 0, 0]),
        ("write the parent's memory", libc::SYS_process_vm_writev, [parent, 0, 0, 0, 0]),
        ("see the parent's limits", libc::SYS_prlimit64, [parent, 0, 0, 0, 0]),
        ("be read by others", libc::SYS_prctl, [libc::PR_SET_DUMPABLE as i64, 1, 0, 0, 0]),
        ("bpf", libc::SYS_bpf, [0; 5]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [0; 5]),
        ("userfaultfd", libc::SYS_userfaultfd, [0; 5]),
        ("perf_event_open", libc::SYS_perf_event_open, [0; 5]),
        ("keyctl", libc::SYS_keyctl, [0; 5]),
        ("mount", libc::SYS_mount, [0; 5]),
        ("unshare", libc::SYS_unshare, [0; 5]),
        ("setns", libc::SYS_setns, [0; 5]),
        ("ioctl", libc::SYS_ioctl, [-1, 0, 0, 0, 0]),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, [0; 5]),
        ("fchmod", libc::SYS_fchmod, [-1, 0, 0, 0, 0]),
        ("fchown", libc::SYS_fchown, [-1, 0, 0, 0, 0]),
        ("mknodat", libc::SYS_mknodat, [0; 5]),
    ]
}

#[test]
fn a_filtered_process_makes_no_process_no_socket_and_no_signal_and_has_threads_and_files() {
    if let Some(scene) = std::env::var_os(SCENE) {
        return try_system_calls(Path::new(&scene));
    }
    let test = "calls::a_filtered_process_makes_no_process_no_socket_and_no_signal_and_has_threads_and_files";
    let Some((_, found)) = found_by_confined(test, &[]) else { return };
    let Some(found) = found.strip_prefix("filtered: ok\n") else {
        let _ = io::stderr().write_all(b"skipped 1 test: this kernel offers no seccomp\n");
        return;
    };
    let refused = needless_calls().into_iter().map(|(what, ..)| format!("{what}: ENOSYS\n"));
    let want = refused.collect::<String>()
        + "run a program: Unsupported
start a thread: ok
count the processors: ok
speak to who is there: ok
make a file: ok
rename it: ok
list a directory: ok
remove a file: ok
read /etc/passwd: PermissionDenied
read the environment: PermissionDenied
read in a new thread: PermissionDenied
";
    assert_eq!(found, want);
}

fn try_system_calls(scene: &Path) {
    let (mut ours, mut theirs) = UnixStream::pair().expect("before the filter");
    let is_filtered = filter_system_calls();
    let abi = leave_only(&grants(scene), None);
    let mut attempts = Attempts::default();
    attempts.of("filtered", if is_filtered { Ok(()) } else { Err(io::Error::other("no seccomp")) });
    if !is_filtered {
        return leave_found(scene, abi, &attempts);
    }
    for (what, number, arguments) in needless_calls() {
        let came = call(number, arguments).map_err(|error| error.raw_os_error());
        let is_unknown = came == Err(Some(libc::ENOSYS));
        let came = if is_unknown { "ENOSYS".to_owned() } else { format!("{came:?}") };
        writeln!(attempts.0, "{what}: {came}").expect("a string can be written");
    }
    let at = |path: &str| scene.join(path);
    let in_a_thread = |path: PathBuf| std::thread::spawn(|| fs::read(path).map(drop)).join();
    attempts.of("run a program", Command::new("/bin/true").status());
    attempts.of("start a thread", in_a_thread(at("ro/data")).expect("it does not panic"));
    attempts.of("count the processors", std::thread::available_parallelism());
    let spoken = ours.write_all(b"x").and_then(|()| theirs.read_exact(&mut [0]));
    attempts.of("speak to who is there", spoken);
    attempts.of("make a file", fs::write(at("rw/new"), "new"));
    attempts.of("rename it", fs::rename(at("rw/new"), at("rw/renamed")));
    attempts.of("list a directory", fs::read_dir(at("rw")).map(Iterator::count));
    attempts.of("remove a file", fs::remove_file(at("rw/renamed")));
    attempts.of("read /etc/passwd", fs::read("/etc/passwd"));
    attempts.of("read the environment", fs::read("/proc/self/environ"));
    let elsewhere = in_a_thread(at("outside/secret")).expect("it does not panic");
    attempts.of("read in a new thread", elsewhere);
    leave_found(scene, abi, &attempts);
}

/// The variable that tells a process how to end.
const ABORTS: &str = "TRIALBOX_ABORTS_BY";

#[test]
fn a_filtered_process_that_aborts_says_why_and_is_ended_by_its_own_signal() {
    if let Some(how) = std::env::var_os(ABORTS) {
        filter_system_calls();
        match how.to_str() {
            Some("panic") => std::panic::panic_any("out of ideas"),
            _ => std::process::abort(),
        }
    }
    let test = "calls::a_filtered_process_that_aborts_says_why_and_is_ended_by_its_own_signal";
    let ended = |how: &str| {
        Command::new(std::env::current_exe().expect("this test's program"))
            .args(["--exact", "--nocapture", &full_name(test)])
            .env(ABORTS, how)
            .output()
            .expect("the program starts")
    };
    assert_eq!(ended("abort").status.signal(), Some(Signal::ABORT.as_raw()));
    let panicked = ended("panic");
    // The exit code of the test harness after a panic.
    assert_eq!(panicked.status.code(), Some(101), "{panicked:?}");
    assert!(String::from_utf8_lossy(&panicked.stderr).contains("panicked at"), "{panicked:?}");
}
