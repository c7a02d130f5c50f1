//! The abilities of a confined process without WASI: a bug in WASI opens no more than this.
//!
//! Landlock cannot be undone, so each test runs itself again in a separate process.

mod calls;
mod escapes;

use super::*;
use crate::guest::host_state::{HostState, Rights};
use crate::guest::link::Link;
use crate::wire::protocol::GuestLimits;
use rustix::process::{getpid, test_kill_process};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use trialbox_core::study::limits::Limits;

/// The variable that marks the confined process and holds the path of its scene.
const SCENE: &str = "TRIALBOX_CONFINED_IN";

/// The file for the results of the confined process, in the directory granted for writing.
const FOUND: &str = "rw/found";

/// One line for each attempt, with its outcome.
#[derive(Default)]
struct Attempts(String);

impl Attempts {
    fn of<T>(&mut self, what: &str, result: io::Result<T>) {
        let came = result.map_or_else(|error| format!("{:?}", error.kind()), |_| "ok".to_owned());
        writeln!(self.0, "{what}: {came}").expect("a string can be written");
    }
}

#[test]
fn asking_for_the_precautions_does_not_confine_the_caller() {
    let program = Path::new("/bin/true");
    let found = precautions(program);
    assert_eq!(precautions(program), found);
    assert!(!found.empty_root, "that program does not know the argument");
    // Landlock would refuse the first, seccomp the second.
    File::open("/proc/self/status").expect("a file that is not granted");
    TcpListener::bind("127.0.0.1:0").expect("a socket");
}

/// Creates a directory granted for reading, one for writing, one for compiled code, and one that is not granted.
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
    let outside = scene.join("outside");
    std::os::unix::fs::symlink(outside.join("secret"), scene.join("rw/abslink")).expect("our own");
    std::os::unix::fs::symlink(outside, scene.join("rw/absdirlink")).expect("our own");
    scene
}

fn grants(scene: &Path) -> [Grant; 2] {
    let grant = |dir: &str, writable| {
        Grant::of(scene.join(dir), format!("/{dir}"), writable).expect("the scene has it")
    };
    [grant("ro", false), grant("rw", true)]
}

/// Runs the part of a test for the confined process, and returns its results, or `None` if the kernel cannot confine
/// it.
fn found_by_confined(test: &str, arguments: &[(&str, String)]) -> Option<(u32, String)> {
    let scene = new_scene(test);
    let program = std::env::current_exe().expect("this test's program");
    let ran = Command::new(program)
        .args(["--exact", &full_name(test)])
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

/// Returns the name by which the test harness knows a test of this module.
fn full_name(test: &str) -> String {
    let (_, module) = module_path!().split_once("::").expect("a crate and its module");
    format!("{module}::{test}")
}

/// Opens the grants for an instance.
fn preopen(scene: &Path) -> io::Result<()> {
    preopen_all(&grants(scene))
}

fn preopen_all(grants: &[Grant]) -> io::Result<()> {
    let link = Link::new(UnixStream::pair()?.0);
    let rights = Rights {
        grants,
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
fn a_directory_that_took_the_place_of_a_granted_one_is_not_opened() {
    let scene = new_scene("replaced");
    let granted = grants(&scene);
    preopen_all(&granted).expect("they are there");
    let away = scene.join("away");
    fs::rename(scene.join("ro"), &away).expect("our own directory");
    for replace in [
        |ro: &Path| fs::create_dir(ro).expect("our own directory"),
        |ro: &Path| std::os::unix::fs::symlink("outside", ro).expect("our own directory"),
    ] {
        replace(&scene.join("ro"));
        let error = preopen_all(&granted).expect_err("it is another one").to_string();
        assert!(error.contains("is not the directory that was granted as `/ro`"), "{error}");
        fs::remove_dir(scene.join("ro"))
            .or_else(|_| fs::remove_file(scene.join("ro")))
            .expect("ours");
    }
    fs::rename(&away, scene.join("ro")).expect("our own directory");
    preopen_all(&granted).expect("it is back");
    fs::remove_dir_all(&scene).expect("our own directory");
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

/// The variable with the address of a listener.
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

/// Returns an address in the abstract namespace that no other test uses.
fn abstract_address(port: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(format!("trialbox-lockdown-{port}")).expect("short enough")
}
