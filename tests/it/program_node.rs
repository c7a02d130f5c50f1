//! Programs and the node that they run on: their share of its devices and CPUs, and their confinement.

use crate::scene::{Ran, Scene};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};

/// Runs trials of a shell script with these variables.
fn run_script(scene: &Scene, variables: &[(&str, &str)], flags: &[&str], script: &str) -> Ran {
    let run = ["run", "--study-name", "s", "--value", "last-line", "--format", "json"];
    let mut command = scene.command(&[&run[..], flags, &["--", "sh", "-c", script]].concat());
    command.env_remove("OMP_NUM_THREADS").envs(variables.iter().copied());
    Ran::from(command.output().unwrap())
}

/// Appends a line about the trial to a file, and waits until `n` trials have done so.
fn meet(n: usize, line: &str) -> String {
    format!("echo \"{line}\" >> seen; while [ $(wc -l < seen) -lt {n} ]; do :; done; echo 1")
}

fn lines_of(scene: &Scene, file: &str) -> Vec<String> {
    std::fs::read_to_string(scene.path(file)).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn each_of_two_simultaneous_trials_sees_its_own_devices_also_after_failures() {
    for (name, list, own) in [
        ("numbers", "0,1", [["0"], ["1"]]),
        ("names", "GPU-8932f937,GPU-1c11ba23", [["GPU-8932f937"], ["GPU-1c11ba23"]]),
    ] {
        let scene = Scene::new(&format!("program-devices-{name}"));
        let variables = [("CUDA_VISIBLE_DEVICES", list), ("ROCR_VISIBLE_DEVICES", list)];
        // The first two run at the same time; every third trial fails.
        let script = format!(
            "{}; [ $((TRIALBOX_TRIAL % 3)) = 2 ] && exit 3; echo 1",
            meet(2, "$TRIALBOX_TRIAL $CUDA_VISIBLE_DEVICES $ROCR_VISIBLE_DEVICES")
        );
        let ran = run_script(&scene, &variables, &["--jobs", "2", "-n", "6", "--catch"], &script);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let mut seen = BTreeSet::new();
        for line in lines_of(&scene, "seen") {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(words[1], words[2], "{line}");
            let trial = &scene.json(&["trial", "show", words[0], "--study-name", "s"])[0];
            let devices = &trial["system_attrs"]["trialbox:provenance"]["devices"];
            assert_eq!(devices["CUDA_VISIBLE_DEVICES"], json!([words[1]]), "{trial}");
            seen.insert(words[1].to_owned());
        }
        let want: BTreeSet<String> = own.iter().map(|[id]| (*id).to_owned()).collect();
        assert_eq!(seen, want);
    }
}

#[test]
fn too_few_devices_are_an_error_before_a_trial_unless_they_are_shared() {
    let scene = Scene::new("program-devices-few");
    let one = [("CUDA_VISIBLE_DEVICES", "3")];
    let ran = run_script(&scene, &one, &["--jobs", "2", "-n", "2"], "echo 1");
    let found =
        "expected at least 2 devices in CUDA_VISIBLE_DEVICES for 2 trials at a time, found 1: `3`";
    ran.assert_error(2, &[]);
    assert!(ran.stdout.contains(found) && ran.stdout.contains("--share-gpus"), "{ran:?}");
    assert!(!scene.path("trialbox.db").exists());
    let flags = ["--jobs", "2", "-n", "2", "--share-gpus"];
    let ran = run_script(&scene, &one, &flags, &meet(2, "$CUDA_VISIBLE_DEVICES"));
    assert_eq!((ran.code, lines_of(&scene, "seen")), (Some(0), vec!["3".to_owned(); 2]), "{ran:?}");
    let ran =
        run_script(&scene, &[("CUDA_VISIBLE_DEVICES", "")], &["--gpus-per-trial", "1"], "echo 1");
    assert!(ran.code == Some(2) && ran.stdout.contains("found none"), "{ran:?}");
    let ran = scene.trialbox(&["run", &crate::scene::guest("quadratic"), "--gpus-per-trial", "1"]);
    ran.assert_error(2, &["expected a program for --gpus-per-trial, found a component"]);
}

#[test]
fn cpus_of_a_trial_are_its_affinity_and_its_number_of_threads() {
    let scene = Scene::new("program-cpus");
    let allowed = std::thread::available_parallelism().unwrap().get();
    let script = "echo \"$(nproc) $OMP_NUM_THREADS $MKL_NUM_THREADS\" > seen; echo 1";
    let ran = run_script(&scene, &[], &["--cpus-per-trial", "1"], script);
    // `nproc` looks at OMP_NUM_THREADS too.
    assert_eq!(
        (ran.code, lines_of(&scene, "seen")),
        (Some(0), vec!["1 1 1".to_owned()]),
        "{ran:?}"
    );
    let trial = &scene.json(&["trial", "show", "0", "--study-name", "s"])[0];
    assert_eq!(
        trial["system_attrs"]["trialbox:provenance"]["cpus"].as_array().map(Vec::len),
        Some(1)
    );
    let set = [("OMP_NUM_THREADS", "7")];
    let script = "grep Cpus_allowed_list /proc/self/status > cpus
        echo $OMP_NUM_THREADS$MKL_NUM_THREADS > seen; echo 1";
    let ran = run_script(&scene, &set, &["--cpus-per-trial", "1"], script);
    assert_eq!((ran.code, lines_of(&scene, "seen")), (Some(0), vec!["7".to_owned()]), "{ran:?}");
    assert!(!lines_of(&scene, "cpus")[0].contains(['-', ',']), "{:?}", lines_of(&scene, "cpus"));
    let too_many = (allowed + 1).to_string();
    let ran = run_script(&scene, &[], &["--cpus-per-trial", &too_many], "echo 1");
    assert!(ran.code == Some(2) && ran.stdout.contains("CPUs for 1 trials at a time"), "{ran:?}");
    // A job that Slurm does not bind would share its first CPUs with others.
    let job = [("SLURM_JOB_ID", "1"), ("SLURM_CPUS_ON_NODE", "1")];
    if allowed > 1 {
        let script = "grep Cpus_allowed_list /proc/self/status > cpus; echo 1";
        let ran = run_script(&scene, &job, &["--cpus-per-trial", "1"], script);
        assert!(ran.code == Some(0) && lines_of(&scene, "cpus")[0].contains(['-', ',']), "{ran:?}");
    }
}

/// Tries to leave the confinement, and prints each attempt with its success.
const ESCAPES: &str = r#"
import os, socket, subprocess, sys, tempfile

def attempt(name, what):
    try:
        what()
        print(name, "yes")
    except OSError as error:
        print(name, error.strerror)

def write(path):
    with open(path, "w") as file:
        file.write("x")

def child(words):
    if subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        raise OSError(1, "the child failed")

secret, tcp, udp = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
attempt("read a secret", lambda: open(secret).read())
attempt("see a list of names", lambda: os.listdir(os.path.dirname(secret)))
attempt("read it by a child", lambda: child(["cat", secret]))
attempt("write beside the script", lambda: write("beside"))
attempt("overwrite the script", lambda: write(__file__))
attempt("cut the secret short", lambda: os.truncate(secret, 0))
attempt("TCP", lambda: socket.create_connection(("127.0.0.1", tcp)))
attempt("UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", udp)))
attempt("UDP 6", lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
attempt("signal the parent", lambda: os.kill(os.getppid(), 0))
attempt("read the parent's environment", lambda: open(f"/proc/{os.getppid()}/environ").read())
attempt("scratch", lambda: tempfile.NamedTemporaryFile().write(b"x"))
attempt("shared memory", lambda: write(f"/dev/shm/trialbox-test-{os.getpid()}"))
attempt("clean", lambda: os.remove(f"/dev/shm/trialbox-test-{os.getpid()}"))
attempt("granted", lambda: write(sys.argv[4] + "/result"))
attempt("local sockets", lambda: socket.socketpair())
print(os.environ["TMPDIR"])
print(1.0)
"#;

/// Runs the escapes, and returns what each of them came to, with the trial.
fn escapes(
    scene: &Scene,
    flags: &[&str],
    variables: &[(&str, &str)],
) -> (Vec<(String, String)>, Value) {
    for folder in ["project", "private", "out"] {
        std::fs::create_dir_all(scene.path(folder)).unwrap();
    }
    std::fs::write(scene.path("project/escape.py"), ESCAPES).unwrap();
    std::fs::write(scene.path("private/secret"), "secret").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (tcp_port, udp_port) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    let out = scene.path("out").display().to_string();
    let run = ["run", "-v", "--storage", "study.db", "--study-name", "s", "--value", "last-line"];
    let (secret, tcp_port, udp_port) = (
        scene.path("private/secret").display().to_string(),
        tcp_port.to_string(),
        udp_port.to_string(),
    );
    let words =
        ["--", "/usr/bin/python3", "project/escape.py", &secret, &tcp_port, &udp_port, &out];
    let grant = format!("{out}:rw");
    let mut arguments = [&run[..], flags].concat();
    if flags.iter().any(|flag| flag.starts_with("--confine")) {
        arguments.extend(["--dir", &grant]);
    }
    let mut command = scene.command(&[&arguments[..], &words].concat());
    let ran = Ran::from(command.envs(variables.iter().copied()).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let found = ran.stderr.lines().filter_map(|line| {
        let line = line.trim();
        let attempt = ATTEMPTS
            .iter()
            .find(|(name, _)| line.strip_prefix(name).is_some_and(|end| end.starts_with(' ')))?;
        Some((attempt.0.to_owned(), line[attempt.0.len() + 1..].to_owned()))
    });
    let found = found.collect();
    let trials = scene.json(&["study", "trials", "--storage", "study.db", "--study-name", "s"]);
    let number = trials.last().unwrap()["number"].to_string();
    let shown =
        scene.json(&["trial", "show", &number, "--storage", "study.db", "--study-name", "s"]);
    (found, shown[0].clone())
}

/// The attempts, and whether a confined program succeeds.
const ATTEMPTS: [(&str, bool); 16] = [
    ("read a secret", false),
    ("see a list of names", false),
    ("read it by a child", false),
    ("write beside the script", false),
    ("overwrite the script", false),
    ("cut the secret short", false),
    ("TCP", false),
    ("UDP 6", false),
    ("UDP", false),
    ("netlink", false),
    ("signal the parent", false),
    ("read the parent's environment", false),
    ("scratch", true),
    ("shared memory", true),
    ("granted", true),
    ("local sockets", true),
];

#[test]
fn a_confined_program_reaches_nothing_but_its_own_files_and_grants() {
    let scene = Scene::new("program-confined");
    let (found, trial) = escapes(&scene, &["--confine"], &[]);
    let confined = &trial["system_attrs"]["trialbox:provenance"]["confined"];
    let landlock_abi = confined["landlock_abi"].as_u64().unwrap();
    for (name, may) in ATTEMPTS {
        // Signals stay inside from Linux 6.12 on, which the record says.
        if name == "signal the parent" && landlock_abi < 6 {
            continue;
        }
        let result =
            found.iter().find(|(attempt, _)| attempt == name).map(|(_, result)| result.as_str());
        assert!(result.is_some_and(|result| (result == "yes") == may), "{name}: {result:?}");
    }
    assert_eq!(std::fs::read_to_string(scene.path("private/secret")).unwrap(), "secret");
    assert_eq!(confined["network"], json!(false));
    let out = scene.path("out").canonicalize().unwrap().display().to_string();
    assert!(confined["write"].as_array().unwrap().contains(&json!(out)), "{confined}");
}

#[test]
fn what_is_not_confined_is_not_refused() {
    let scene = Scene::new("program-not-confined");
    let (found, trial) = escapes(&scene, &[], &[("TMPDIR", "/tmp")]);
    for name in ["read a secret", "TCP", "UDP", "signal the parent", "write beside the script"] {
        assert!(found.contains(&(name.to_owned(), "yes".to_owned())), "{name}: {found:?}");
    }
    assert_eq!(trial["system_attrs"]["trialbox:provenance"]["confined"], Value::Null);
    let scene = Scene::new("program-confined-network");
    let (found, _) = escapes(&scene, &["--confine", "--allow-net"], &[]);
    for (name, want) in [("TCP", "yes"), ("UDP", "yes"), ("read a secret", "Permission denied")] {
        assert!(found.contains(&(name.to_owned(), want.to_owned())), "{name}: {found:?}");
    }
}

#[test]
fn a_kernel_that_confines_no_files_is_refused_unless_that_is_accepted() {
    let scene = Scene::new("program-confined-old");
    let run = |flag: &str| {
        let arguments =
            ["run", "--study-name", "s", "--value", "last-line", flag, "--", "echo", "1"];
        Ran::from(scene.command(&arguments).env("TRIALBOX_WITHOUT", "landlock").output().unwrap())
    };
    let refused = [
        "found one that does not confine files (the kernel has no Landlock)",
        "--confine=available",
    ];
    run("--confine").assert_error(2, &refused);
    assert!(!scene.path("trialbox.db").exists());
    let ran = run("--confine=available");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("not confined here: files"), "{ran:?}");
}

#[test]
fn the_rights_of_a_confined_program_are_shown_and_its_scratch_folder_goes() {
    let scene = Scene::new("program-confined-shown");
    let ran = scene.trialbox(&["inspect", "--confine", "--", "sh", "-c", "echo 1"]);
    assert!(ran.stdout.contains("confined by the kernel"), "{ran:?}");
    let tmp = scene.path("tmp");
    std::fs::create_dir(&tmp).unwrap();
    let script = "echo x > $TMPDIR/left; mkdir $TMPDIR/a; echo 1";
    let tmp_text = tmp.display().to_string();
    let ran = run_script(&scene, &[("TMPDIR", &tmp_text)], &["--confine"], script);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0);
    let ran = scene.trialbox(&["run", "--dir", "tmp:rw", "--", "sh", "-c", "echo 1"]);
    ran.assert_error(2, &["--confine leaves it what is granted"]);
    let ran = scene.trialbox(&["run", "--confine", "--dir", ".:rw", "--", "sh", "-c", "echo 1"]);
    ran.assert_error(2, &["it holds the database", "grant a subdirectory"]);
}

/// A program in place of `nvidia-smi`, which answers as that of the driver 550 does, and notes its calls.
const NVIDIA_SMI: &str = "#!/bin/sh
echo call >> CALLS
case $1 in
--query-compute-apps=*) sed 's/$/, 512/' PID; echo '1, 9999' ;;
*) printf '%s\\n' '0, GPU-8932f937-d72c-4106-c12f-20bd9faed9f6, 90' '1, GPU-1c11ba23, 30' ;;
esac
";

/// Runs a trial with a program in place of `nvidia-smi`.
fn run_with_nvidia_smi(scene: &Scene, text: &str, script: &str) -> Ran {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, at) = (scene.path("bin"), |name: &str| scene.path(name).display().to_string());
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join("nvidia-smi");
    let text = text.replace("CALLS", &at("calls")).replace("PID", &at("pid"));
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    run_script(scene, &[("PATH", &path), ("CUDA_VISIBLE_DEVICES", "1")], &[], script)
}

#[test]
fn the_use_of_gpus_is_that_of_the_trial_s_processes_and_devices() {
    let scene = Scene::new("program-gpu-usage");
    // The second look starts after the answers of the first were noted, which a trial of any length may lack.
    let script = "echo $$ > pid; until [ -e calls ] && [ $(wc -l < calls) -ge 3 ]; do sleep 0.05; done; echo 1";
    let ran = run_with_nvidia_smi(&scene, NVIDIA_SMI, script);
    let usage = &ran.json()[0]["usage"];
    assert_eq!(usage["gpu_memory_bytes"], json!(512_u64 << 20), "{ran:?}");
    assert_eq!(usage["gpu_percent"], json!(30.0), "{ran:?}");
}

#[test]
fn a_trial_does_not_wait_for_an_nvidia_smi_that_hangs() {
    let scene = Scene::new("program-gpu-hangs");
    let hangs = "#!/bin/sh\necho call >> CALLS\nexec sleep 600\n";
    let script = "until [ -e calls ]; do sleep 0.05; done; echo 1";
    let started = std::time::Instant::now();
    let ran = run_with_nvidia_smi(&scene, hangs, script);
    let trial = &ran.json()[0];
    assert_eq!(trial["values"], json!([1.0]), "{ran:?}");
    assert_eq!(trial["usage"].get("gpu_memory_bytes"), None);
    assert!(started.elapsed().as_secs() < 600, "it was not waited for");
}
