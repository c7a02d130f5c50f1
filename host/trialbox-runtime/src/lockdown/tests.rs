//! What a confined process can still do, tried with WASI out of the way: a bug there opens no more than this.
//!
//! There is no way back out of Landlock, so each test runs itself again as a process of its own.

use super::*;
use crate::host_state::{HostState, Rights};
use crate::link::Link;
use crate::protocol::GuestLimits;
use rustix::process::{getpid, test_kill_process};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use trialbox_core::limits::Limits;

/// Tells a process that it is the confined one, and where its scene is.
const SCENE: &str = "TRIALBOX_CONFINED_IN";

/// Where the confined process leaves what it found, in the directory granted for writing.
const FOUND: &str = "rw/found";

/// One line for each thing that is tried, with what came of it.
#[derive(Default)]
struct Attempts(String);

impl Attempts {
    fn of<T>(&mut self, what: &str, result: io::Result<T>) {
        let came = result.map_or_else(|error| format!("{:?}", error.kind()), |_| "ok".to_owned());
        writeln!(self.0, "{what}: {came}").expect("a string can be written");
    }
}

/// A folder with a directory granted for reading, one for writing, one for compiled code, and one of others'.
fn new_scene(test: &str) -> PathBuf {
    let scene = std::env::temp_dir().join(format!("trialbox-{test}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&scene);
    for dir in ["ro", "rw/dir", "cache", "outside"] {
        fs::create_dir_all(scene.join(dir)).expect("a place for temporary files");
    }
    for file in ["ro/data", "rw/data", "cache/entry", "outside/secret"] {
        fs::write(scene.join(file), file).expect("our own directory");
    }
    std::os::unix::fs::symlink("../outside/secret", scene.join("rw/link")).expect("our own");
    std::os::unix::fs::symlink("../outside", scene.join("rw/dirlink")).expect("our own");
    scene
}

fn grants(scene: &Path) -> [Grant; 2] {
    let grant =
        |dir: &str, writable| Grant { host: scene.join(dir), guest: format!("/{dir}"), writable };
    [grant("ro", false), grant("rw", true)]
}

/// Runs the test of this name again, with the part for the confined process, and gives what that found.
/// `None` where the kernel cannot confine it.
fn found_by_confined(test: &str, arguments: &[(&str, String)]) -> Option<(u32, String)> {
    let scene = new_scene(test);
    let program = std::env::current_exe().expect("this test's program");
    let ran = Command::new(program)
        .args(["--exact", &format!("lockdown::tests::{test}")])
        .env(SCENE, &scene)
        .envs(arguments.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("the program starts");
    assert!(ran.status.success(), "{ran:?}");
    let found = fs::read_to_string(scene.join(FOUND)).expect("the confined process has run");
    let secret = fs::read(scene.join("outside/secret"));
    fs::remove_dir_all(&scene).expect("our own directory");
    let (abi, attempts) = found.split_once('\n').expect("the version comes first");
    let abi = abi.parse().expect("a number");
    if abi == 0 {
        let _ = io::stderr().write_all(b"skipped 1 test: this kernel offers no Landlock\n");
        return None;
    }
    assert_eq!(secret.expect("still there"), b"outside/secret");
    Some((abi, attempts.to_owned()))
}

/// Opens the grants for an instance.
fn preopen(scene: &Path) -> io::Result<()> {
    let link = Link::new(UnixStream::pair()?.0);
    let rights = Rights {
        grants: &grants(scene),
        env: &[],
        deterministic: false,
        limits: GuestLimits::from(&Limits::default()),
    };
    HostState::new(&link, None, &rights).map(drop).map_err(io::Error::other)
}

fn leave_found(scene: &Path, abi: u32, attempts: &Attempts) {
    fs::write(scene.join(FOUND), format!("{abi}\n{}", attempts.0)).expect("it is granted");
}

fn open_to_write(path: PathBuf) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

#[test]
fn a_confined_process_reaches_its_grants_and_no_other_file() {
    if let Some(scene) = std::env::var_os(SCENE) {
        return try_files(Path::new(&scene));
    }
    let test = "a_confined_process_reaches_its_grants_and_no_other_file";
    let Some((abi, found)) = found_by_confined(test, &[]) else { return };
    // Without version 2, nothing moves between directories.
    let moved = if abi >= 2 { "ok" } else { "CrossesDevices" };
    let want = format!(
        "read what is granted: ok
list what is granted: ok
open the granted directory as WASI does: ok
make a file: ok
truncate a file: ok
move it into a directory: {moved}
remove a file: ok
read /etc/passwd: PermissionDenied
read the environment: PermissionDenied
list /: PermissionDenied
read beside it by ..: PermissionDenied
read by a link: PermissionDenied
read by a link to a directory: PermissionDenied
list by a link to a directory: PermissionDenied
read in a new thread: PermissionDenied
write to others' file: PermissionDenied
truncate others' file: PermissionDenied
make a file among others': PermissionDenied
make a directory among others': PermissionDenied
remove others' file: PermissionDenied
move a file out: PermissionDenied
move others' file in: PermissionDenied
link others' file in: CrossesDevices
write to what is granted for reading: PermissionDenied
make a file there: PermissionDenied
remove a file there: PermissionDenied
make a socket: PermissionDenied
run a program: PermissionDenied
"
    );
    assert_eq!(found, want);
}

fn try_files(scene: &Path) {
    let abi = leave_only(&grants(scene), None);
    let at = |path: &str| scene.join(path);
    let mut attempts = Attempts::default();
    let mut on = |what: &str, result: io::Result<()>| attempts.of(what, result);
    let read = |path: PathBuf| fs::read(path).map(drop);
    let list = |path: PathBuf| fs::read_dir(path).map(drop);
    on("read what is granted", read(at("ro/data")));
    on("list what is granted", list(at("ro")));
    on("open the granted directory as WASI does", preopen(scene));
    on("make a file", fs::write(at("rw/new"), "new"));
    on("truncate a file", open_to_write(at("rw/new")).and_then(|file| file.set_len(0)));
    on("move it into a directory", fs::rename(at("rw/new"), at("rw/dir/new")));
    on("remove a file", fs::remove_file(at("rw/data")));
    on("read /etc/passwd", read("/etc/passwd".into()));
    on("read the environment", read("/proc/self/environ".into()));
    on("list /", list("/".into()));
    on("read beside it by ..", read(at("rw/../outside/secret")));
    on("read by a link", read(at("rw/link")));
    on("read by a link to a directory", read(at("rw/dirlink/secret")));
    on("list by a link to a directory", list(at("rw/dirlink")));
    let elsewhere = std::thread::scope(|scope| scope.spawn(|| read(at("outside/secret"))).join());
    on("read in a new thread", elsewhere.expect("it does not panic"));
    on("write to others' file", open_to_write(at("outside/secret")).map(drop));
    on("truncate others' file", File::create(at("outside/secret")).map(drop));
    on("make a file among others'", fs::write(at("outside/new"), "new"));
    on("make a directory among others'", fs::create_dir(at("outside/dir")));
    on("remove others' file", fs::remove_file(at("outside/secret")));
    fs::write(at("rw/mine"), "mine").expect("it is granted");
    on("move a file out", fs::rename(at("rw/mine"), at("outside/mine")));
    on("move others' file in", fs::rename(at("outside/secret"), at("rw/secret")));
    on("link others' file in", fs::hard_link(at("outside/secret"), at("rw/hard")));
    on("write to what is granted for reading", open_to_write(at("ro/data")).map(drop));
    on("make a file there", fs::write(at("ro/new"), "new"));
    on("remove a file there", fs::remove_file(at("ro/data")));
    on("make a socket", UnixListener::bind(at("rw/socket")).map(drop));
    on("run a program", Command::new("/bin/true").status().map(drop));
    leave_found(scene, abi, &attempts);
}

#[test]
fn the_cache_can_be_written_until_it_is_given_up_too() {
    if let Some(scene) = std::env::var_os(SCENE) {
        return try_cache(Path::new(&scene));
    }
    let test = "the_cache_can_be_written_until_it_is_given_up_too";
    let Some((_, found)) = found_by_confined(test, &[]) else { return };
    let want = "write an entry: ok
read an entry: ok
list entries: PermissionDenied
read others' file: PermissionDenied
read an entry later: PermissionDenied
write an entry later: PermissionDenied
read what is granted later: ok
";
    assert_eq!(found, want);
}

fn try_cache(scene: &Path) {
    let at = |path: &str| scene.join(path);
    let mut attempts = Attempts::default();
    let mut on = |what: &str, result: io::Result<()>| attempts.of(what, result);
    let write = || {
        fs::write(at("cache/aside"), "code")?;
        fs::rename(at("cache/aside"), at("cache/entry"))
    };
    let read = |path: &str| fs::read(at(path)).map(drop);
    leave_only(&grants(scene), Some(&at("cache")));
    on("write an entry", write());
    on("read an entry", read("cache/entry"));
    on("list entries", fs::read_dir(at("cache")).map(drop));
    on("read others' file", read("outside/secret"));
    let abi = leave_only(&grants(scene), None);
    on("read an entry later", read("cache/entry"));
    on("write an entry later", write());
    on("read what is granted later", read("ro/data"));
    leave_found(scene, abi, &attempts);
}

/// Tells the confined process where somebody listens.
const PORT: &str = "TRIALBOX_LISTENING_ON";

#[test]
fn a_confined_process_reaches_no_port_and_no_other_process() {
    if let Some(scene) = std::env::var_os(SCENE) {
        return try_others(Path::new(&scene));
    }
    let test = "a_confined_process_reaches_no_port_and_no_other_process";
    let tcp = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = tcp.local_addr().expect("it is bound").port().to_string();
    let _unix = UnixListener::bind_addr(&abstract_address(&port)).expect("a free name");
    let Some((abi, found)) = found_by_confined(test, &[(PORT, port)]) else { return };
    let denied_from = |version| if abi >= version { "PermissionDenied" } else { "ok" };
    let want = format!(
        "connect by TCP: {tcp}
listen by TCP: {tcp}
connect by a name without a file: {scoped}
signal the parent: {scoped}
signal itself: ok
",
        tcp = denied_from(4),
        scoped = denied_from(6)
    );
    assert_eq!(found, want);
}

fn try_others(scene: &Path) {
    let port = std::env::var(PORT).expect("the parent says it");
    let tcp: u16 = port.parse().expect("a number");
    let abi = leave_only(&grants(scene), None);
    let mut attempts = Attempts::default();
    attempts.of("connect by TCP", TcpStream::connect(("127.0.0.1", tcp)));
    attempts.of("listen by TCP", TcpListener::bind(("127.0.0.1", 0)));
    let named = UnixStream::connect_addr(&abstract_address(&port));
    attempts.of("connect by a name without a file", named);
    let signal = |pid: Option<Pid>| Ok(test_kill_process(pid.expect("there is one"))?);
    attempts.of("signal the parent", signal(getppid()));
    attempts.of("signal itself", signal(Some(getpid())));
    leave_found(scene, abi, &attempts);
}

/// An address in the abstract namespace that no other test uses.
fn abstract_address(port: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(format!("trialbox-lockdown-{port}")).expect("short enough")
}

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
        ("have the parent be signalled", libc::SYS_fcntl, [-1, libc::F_SETOWN as i64, parent, 0, 0]),
        ("ptrace the parent", libc::SYS_ptrace, [libc::PTRACE_SEIZE as i64, parent, 0, 0, 0]),
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
    let test =
        "a_filtered_process_makes_no_process_no_socket_and_no_signal_and_has_threads_and_files";
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
