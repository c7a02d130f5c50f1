//! A PostgreSQL server of the test's own, on a socket in a temporary folder and a free port of this machine.
//!
//! The server belongs to an unprivileged user, because PostgreSQL refuses root, and ends with the test program, however
//! that ends.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};

/// The variable that asks for a server: the tests of servers are a tier of their own.
const WANTED: &str = "TRIALBOX_TEST_POSTGRES";

/// The user who runs the server where the tests run as root.
const UNPRIVILEGED: &str = "daemon";

/// Initializes a cluster if there is none, runs the server in it, and removes it at the end. The first line of its
/// output says that the cluster is there.
const SCRIPT: &str = r#"
set -e
[ -d "$1/data" ] || initdb -D "$1/data" -U optuna --auth=trust --no-sync -E UTF8 --locale=C >"$1/initdb.log" 2>&1
echo ready
set +e
postgres -D "$1/data" -k "$1" -p "$2" -c "max_connections=$3" -c listen_addresses=127.0.0.1 -c fsync=off \
    >>"$1/server.log" 2>&1 </dev/null &
server=$!
trap 'kill -INT $server' TERM
wait $server
wait $server
[ -e "$1/keep" ] || rm -rf "$1"
"#;

/// A running server.
pub(crate) struct Postgres {
    folder: PathBuf,
    port: u16,
    max_connections: u32,
    child: Child,
    /// Keeps the thread that started the server, with which the server ends.
    _parent: mpsc::Sender<()>,
}

/// Returns the server that all tests of a program share; `None` if none is wanted.
///
/// # Panics
/// Panics if one is wanted and cannot be started.
pub(crate) fn shared() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    std::env::var_os(WANTED)?;
    Some(SERVER.get_or_init(|| Postgres::start(100)))
}

impl Postgres {
    /// Starts a server that allows so many connections.
    pub(crate) fn start(max_connections: u32) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("trialbox-postgres-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).expect("a folder");
        if is_root() {
            let status = Command::new("chown").arg(UNPRIVILEGED).arg(&folder).status();
            assert!(status.expect("chown").success());
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let (child, parent) = spawn(&folder, port, max_connections);
        let server = Postgres { folder, port, max_connections, child, _parent: parent };
        server.await_answer();
        server
    }

    /// Ends the server immediately, as a crash does, and waits for its end. Its databases stay.
    pub(crate) fn crash(&mut self) {
        std::fs::write(self.folder.join("keep"), "").expect("a mark");
        let pid = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).expect("a pid");
        let pid = pid.lines().next().expect("a line");
        let status = Command::new("kill").args(["-QUIT", pid]).status().expect("kill");
        assert!(status.success());
        self.child.wait().expect("a script that ends");
        std::fs::remove_file(self.folder.join("keep")).expect("the mark");
    }

    /// Starts the server again after a crash.
    pub(crate) fn restart(&mut self) {
        let (child, parent) = spawn(&self.folder, self.port, self.max_connections);
        (self.child, self._parent) = (child, parent);
        self.await_answer();
    }

    /// Returns the address of an empty database: a schema of its own, which is made faster than a database.
    pub(crate) fn new_database(&self, name: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let schema =
            format!("{}_{}", name.replace('-', "_"), NUMBER.fetch_add(1, Ordering::Relaxed));
        self.sql(&format!("CREATE SCHEMA {schema}"));
        format!("{}?options=-c%20search_path%3D{schema}", self.url())
    }

    /// Returns the address of the server's first database.
    pub(crate) fn url(&self) -> String {
        format!("postgresql://optuna@127.0.0.1:{}/postgres", self.port)
    }

    /// Runs statements and returns what they print, a line for each row.
    ///
    /// # Panics
    /// Panics if a statement fails.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let output = self.psql(sql).output().expect("psql");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn psql(&self, sql: &str) -> Command {
        let mut command = self.program("psql");
        command.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        command.stdin(Stdio::null());
        command
    }

    /// Returns a command of one of PostgreSQL's programs that connects to the server.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(programs().join(name));
        command.args(["-d", "postgres", "-U", "optuna", "-p", &self.port.to_string()]);
        command.arg("-h").arg(&self.folder);
        command
    }

    fn await_answer(&self) {
        for _ in 0..6000 {
            let status = self.psql("SELECT 1").stdout(Stdio::null()).stderr(Stdio::null()).status();
            if status.expect("psql").success() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let log = std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
        panic!("the server does not answer: {log}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// Starts the script on a thread that lives as long as the sender: the kernel's signal at the end of the parent is at
/// the end of the thread that started a process (prctl(2), `PR_SET_PDEATHSIG`).
fn spawn(folder: &Path, port: u16, max_connections: u32) -> (Child, mpsc::Sender<()>) {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid", UNPRIVILEGED, "--regid", UNPRIVILEGED, "--clear-groups"]);
    }
    command.args(["--pdeathsig", "TERM", "sh", "-c", SCRIPT, "sh"]).arg(folder);
    command.args([port.to_string(), max_connections.to_string()]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut paths = vec![programs()];
    paths.extend(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(paths).expect("paths"));
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped());
    let (parent, ended) = mpsc::channel::<()>();
    let (started, child) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = started.send(command.spawn());
        let _ = ended.recv();
    });
    let mut child = child.recv().expect("a thread").expect("setpriv and sh");
    let mut line = String::new();
    let output = child.stdout.take().expect("a pipe");
    BufReader::new(output).read_line(&mut line).expect("the script's first line");
    assert_eq!(line, "ready\n", "see {}", folder.join("initdb.log").display());
    (child, parent)
}

/// Returns the folder of the newest release of PostgreSQL that is installed.
fn programs() -> PathBuf {
    let releases = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = releases.map(|entry| entry.path().join("bin")).max_by_key(|path| {
        let release = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        release.and_then(|release| release.parse::<u32>().ok())
    });
    newest.expect("PostgreSQL is installed")
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id");
    output.stdout.trim_ascii() == b"0"
}
