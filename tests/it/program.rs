//! Objectives that are programs: how they take parameters and give values, and all ways in which they end.

use crate::scene::{Ran, Scene};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};

/// Runs one trial of a shell script.
fn run_script(scene: &Scene, flags: &[&str], script: &str) -> Ran {
    let run = ["run", "--study-name", "s", "--format", "json"];
    let arguments = [&run[..], flags, &["--", "sh", "-c", script]].concat();
    // The scripts call `trialbox`, as a user's would.
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_trialbox")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = scene.command(&arguments).env("PATH", path).output().unwrap();
    Ran::from(output)
}

/// Starts one trial of a shell script, and waits until the script has made the file `pid`.
fn start_script(scene: &Scene, script: &str) -> Child {
    let arguments = ["run", "--study-name", "s", "--", "sh", "-c", script];
    let mut host =
        scene.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !scene.path("pid").exists() {
        assert!(host.try_wait().unwrap().is_none(), "the host has ended");
        std::thread::yield_now();
    }
    host
}

/// Runs one trial of a shell script and returns its record.
#[track_caller]
fn trial_of(flags: &[&str], name: &str, script: &str) -> Value {
    let scene = Scene::new(&format!("program-{name}"));
    let ran = run_script(&scene, flags, script);
    let lines = ran.json();
    assert_eq!(lines.len(), 1, "{ran:?}");
    lines[0].clone()
}

/// Checks that a script's trial fails with a code and a message that starts so.
#[track_caller]
fn check_failure(name: &str, flags: &[&str], script: &str, code: &str, message: &str) {
    let trial = trial_of(flags, name, script);
    assert_eq!(
        (&trial["state"], &trial["failure"]["code"]),
        (&json!("FAIL"), &json!(code)),
        "{trial}"
    );
    let found = trial["failure"]["message"].as_str().unwrap();
    assert!(found.starts_with(message), "{found}");
}

/// Sends a line by the protocol.
const SEND: &str = r#"send() { printf '%s\n' "$1" >&"$TRIALBOX_REQUESTS"; }; "#;

#[test]
fn parameters_stand_in_the_command_and_in_the_environment() {
    let scene = Scene::new("program-params");
    let space =
        ["--space", "x=float(-5, 5)", "--space", "n=int(1, 9)", "--space", "opt=choice(adam, sgd)"];
    let command = [
        "--",
        "sh",
        "-c",
        "echo \"$TRIALBOX_PARAM_X $0 $TRIALBOX_PARAM_OPT $TRIALBOX_PARAMS\" >&2; echo $1",
    ];
    let words = ["{n}", "{x}"];
    let arguments = [&["run", "-v", "--study-name", "s"][..], &space, &command, &words].concat();
    let ran = scene.trialbox(&arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let trial = &scene.json(&["trial", "show", "0", "--study-name", "s"])[0];
    let params = &trial["params"];
    assert_eq!(trial["values"], json!([params["x"]]));
    let (x, n, opt) = (&params["x"], &params["n"], params["opt"].as_str().unwrap());
    let line = format!("{x} {n} {opt} {{\"x\": {x}, \"n\": {n}, \"opt\": \"{opt}\"}}");
    assert!(ran.stderr.contains(&line), "`{line}` is missing in {}", ran.stderr);
    let provenance = &trial["system_attrs"]["trialbox:provenance"];
    assert_eq!(provenance["module"], json!("program"));
    assert_eq!(provenance["command"][3], json!("{n}"));
}

#[test]
fn a_script_suggests_reports_and_finishes_by_commands() {
    let scene = Scene::new("program-commands");
    let script = "set -e
        lr=$(trialbox suggest 'lr=log(1e-5, 0.1)')
        opt=$(trialbox suggest 'opt=choice(adam, sgd)')
        again=$(trialbox suggest 'lr=log(1e-5, 0.1)')
        test \"$lr\" = \"$again\"
        for step in 0 1 2; do
            trialbox report -0.5 --step $step
            if trialbox should-prune; then exit 9; fi
        done
        trialbox result 0.25 --attr opt=$opt";
    let ran = run_script(&scene, &[], script);
    let trial = &ran.json()[0];
    assert_eq!(
        (&trial["state"], &trial["values"]),
        (&json!("COMPLETE"), &json!([0.25])),
        "{ran:?}"
    );
    assert_eq!(trial["user_attrs"]["opt"], trial["params"]["opt"]);
    let kept = &scene.json(&["trial", "show", "0", "--study-name", "s"])[0];
    assert_eq!(kept["intermediate_values"], json!([[0, -0.5], [1, -0.5], [2, -0.5]]));
    assert!(kept["params"]["lr"].as_f64().unwrap() >= 1e-5);
}

#[test]
fn a_command_of_a_trial_says_so_outside_of_one() {
    let scene = Scene::new("program-outside");
    for arguments in [
        &["suggest", "x=float(0, 1)"][..],
        &["report", "0.5", "--step", "1"],
        &["should-prune"],
        &["result", "0.5"],
    ] {
        let ran = scene.trialbox(arguments);
        ran.assert_error(2, &["expected to run inside a trial", "trialbox run -- SCRIPT"]);
    }
}

#[test]
fn a_redirection_of_the_script_s_own_does_no_harm() {
    let scene = Scene::new("program-redirections");
    let script = "set -e
        echo kept > notes.txt
        exec 3<> notes.txt 4>&1
        x=$(trialbox suggest 'x=int(7, 7)')
        trialbox report 1 --step 0
        exec 3>&1 4< notes.txt
        trialbox result \"$x\"";
    let ran = run_script(&scene, &[], script);
    assert_eq!(ran.json()[0]["values"], json!([7.0]), "{ran:?}");
    assert_eq!(std::fs::read_to_string(scene.path("notes.txt")).unwrap(), "kept\n");

    // Where the supervisor's ends cannot be seen, the descriptors count, if they still are the pipes.
    let blind = "export TRIALBOX_REQUESTS_PATH=/nowhere TRIALBOX_ANSWERS_PATH=/nowhere; ";
    let ran = run_script(&scene, &[], &format!("{blind} trialbox result 3"));
    assert_eq!(ran.json()[0]["values"], json!([3.0]), "{ran:?}");
    let script = format!("{blind} exec 3<> notes.txt; trialbox result 3 2> refused; cat notes.txt");
    let trial = &run_script(&scene, &[], &script).json()[0];
    assert_eq!(trial["failure"]["code"], json!("E-VALUE"), "{trial}");
    let refused = std::fs::read_to_string(scene.path("refused")).unwrap();
    let want = "expected a pipe of the trial at `/nowhere` or at descriptor 3, found neither";
    assert!(refused.contains(want), "{refused}");
    assert_eq!(std::fs::read_to_string(scene.path("notes.txt")).unwrap(), "kept\n");
}

#[test]
fn calls_at_the_same_time_get_their_own_answers() {
    let script = "for i in 1 2 3 4 5 6 7 8; do
            (test \"$(trialbox suggest \"x$i=int($i, $i)\")\" = $i || echo \"$i\" >> wrong) &
        done
        wait
        trialbox result $(cat wrong 2> /dev/null | wc -l)";
    let trial = trial_of(&[], "parallel-calls", script);
    assert_eq!(trial["values"], json!([0.0]), "{trial}");
    assert_eq!(trial["params"].as_object().unwrap().len(), 8);

    // A caller that dies before it reads its answer leaves it to no other.
    let request = r#"{"call": "suggest_int", "name": "lost", "low": 1, "high": 1}"#;
    let script = format!(
        "printf '%s\\n' '{request}' > \"$TRIALBOX_REQUESTS_PATH\"; trialbox result $(trialbox suggest 'n=int(3, 3)')"
    );
    assert_eq!(trial_of(&[], "lost-call", &script)["values"], json!([3.0]));
}

#[test]
fn a_script_is_pruned_by_its_own_word() {
    let trial = trial_of(&[], "pruned", "trialbox report 1 --step 0; trialbox result --pruned");
    assert_eq!((&trial["state"], &trial["values"]), (&json!("PRUNED"), &json!([1.0])));
}

#[test]
fn values_come_from_the_last_line_a_pattern_or_a_file() {
    for (name, value, script) in [
        ("last", "last-line", "echo epoch 1; echo 0.5; echo"),
        ("pattern", "pattern:loss=([0-9.]+)", "echo loss=9; echo loss=0.5 done; echo bye"),
        ("file", "file:out.json", "echo '{\"value\": 0.5}' > out.json"),
    ] {
        let trial = trial_of(&["--value", value], name, script);
        assert_eq!(trial["values"], json!([0.5]), "{name}: {trial}");
    }
}

#[test]
fn trials_at_the_same_time_have_a_file_of_values_each() {
    let scene = Scene::new("program-value-files");
    let run = ["run", "-n", "4", "-j", "4", "--study-name", "s", "--space", "x=float(0, 1)"];
    let script = r#"echo "$1" > "$TRIALBOX_VALUE_FILE"
        while [ $(ls out-* | wc -l) -lt 4 ]; do :; done"#;
    let command = ["--format", "json", "--", "bash", "-c", script, "bash", "{x}"];
    let shared = scene.trialbox(&[&run[..], &["--value", "file:out.json"], &command].concat());
    shared.assert_error(2, &["found --value file:out.json", "file:out-{trial}.json"]);
    let own = scene.trialbox(&[&run[..], &["--value", "file:out-{trial}.json"], &command].concat());
    let trials = own.json();
    assert_eq!(trials.len(), 4, "{own:?}");
    for trial in trials {
        assert_eq!(trial["values"][0], trial["params"]["x"], "{trial}");
    }
}

#[test]
fn a_wrong_call_of_a_script_fails_its_trial() {
    for (name, call, text) in [
        (
            "range",
            "suggest 'lr=loguniform(1, 2)'",
            "wrong call `trialbox suggest lr=loguniform(1, 2)`",
        ),
        ("step", "report 0.5", "wrong call `trialbox report 0.5`"),
        ("flag", "report 0.5 --stp 1", "unexpected argument"),
        ("name", "should_prune", "wrong call `trialbox should_prune`"),
        ("value", "result 0,5", "wrong call `trialbox result 0,5`"),
    ] {
        // The script does not look at exit codes.
        let trial = trial_of(
            &[],
            name,
            &format!("trialbox {call} 2> /dev/null; trialbox result 0.3; true"),
        );
        assert_eq!(trial["state"], "FAIL", "{name}: {trial}");
        let message = trial["failure"]["message"].as_str().unwrap();
        assert!(message.contains(text), "{name}: {message}");
    }
    let trial = trial_of(&[], "infinite", "trialbox report -inf --step 0; trialbox result 1");
    assert_eq!(trial["state"], "COMPLETE", "{trial}");
}

#[test]
fn a_value_that_cannot_be_read_fails_the_trial_with_the_text() {
    let flags = ["--value", "last-line"];
    for (name, script, text) in [
        ("comma", "echo 0,92", "`0,92`"),
        ("none", "echo None", "`None`"),
        ("progress", "echo 0.5; echo done", "`done`"),
    ] {
        let message = format!(
            "expected one number for each objective in the last line of standard output, found {text}"
        );
        check_failure(name, &flags, script, "E-VALUE", &message);
    }
    let message = "the program exited with 0, but it wrote no file `out.json`";
    check_failure("no-file", &["--value", "file:out.json"], "true", "E-VALUE", message);
    let scene = Scene::new("program-stale");
    std::fs::write(scene.path("out.json"), "0.5").unwrap();
    let ran = run_script(&scene, &["--value", "file:out.json"], "true");
    let message = "the program exited with 0, but `out.json` is older than the trial";
    assert_eq!(ran.json()[0]["failure"]["message"], json!(message));
}

#[test]
fn each_ending_without_a_result_has_its_code() {
    for (name, script, code, message) in [
        ("exit-1", "echo no >&2; exit 1", "E-EXIT", "the program exited with status 1"),
        ("segv", "kill -SEGV $$", "E-DIED", "the program was killed by SIGSEGV"),
        ("silent", "exit 0", "E-VALUE", "the program exited with 0, and reported no result"),
        (
            "closes",
            "exec 3>&- 4<&- >&- 2>&-; exit 0",
            "E-VALUE",
            "the program exited with 0, and reported no result",
        ),
    ] {
        check_failure(name, &[], script, code, message);
    }
    let scene = Scene::new("program-no-value");
    let ran =
        scene.trialbox(&["run", "--study-name", "s", "--", "sh", "-c", "echo epoch 1; echo 0.25"]);
    assert!(ran.stdout.contains("and reported no result; its last line is `0.25`"), "{ran:?}");
    for way in ["--as-optuna", "`train.run()`", "`trialbox result VALUE`", "--value last-line"] {
        assert!(ran.stdout.contains(way), "`{way}` is missing in {ran:?}");
    }
    let trial = trial_of(&[], "stderr", "echo first; echo the reason >&2; exit 1");
    assert_eq!(
        trial["failure"]["log"],
        Value::Null,
        "the record of `run` leaves the log to the text"
    );
}

#[test]
fn each_broken_rule_of_the_protocol_has_its_code() {
    let complete = r#"send '{"call": "complete", "values": [1]}'"#;
    let twice = format!("{SEND}{complete}; {complete}; sleep 60");
    check_failure(
        "twice",
        &[],
        &twice,
        "E-CALL",
        "the program called `complete` after its result `complete`",
    );
    let late = format!(r#"{SEND}{complete}; send '{{"call": "fail", "message": "no"}}'; sleep 60"#);
    check_failure(
        "late",
        &[],
        &late,
        "E-CALL",
        "the program called `fail` after its result `complete`",
    );
    let status = format!("{SEND}{complete}; exit 3");
    let message = "the program exited with status 3 after it had reported its result";
    check_failure("status", &[], &status, "E-EXIT", message);
    let broken = format!("{SEND}send 'loss: 0.5'; sleep 60");
    let message = "the program sent an invalid message: expected a request as a JSON object on one line, \
                   found `loss: 0.5`";
    check_failure("broken", &[], &broken, "E-DATA", message);
    let version = format!(r#"{SEND}send '{{"call": "trial", "protocol": 2}}'; sleep 60"#);
    check_failure(
        "version",
        &[],
        &version,
        "E-DATA",
        "expected version 1 of the protocol, found 2",
    );
    let endless = "yes '{\"call\": \"remaining_seconds\"}' >&\"$TRIALBOX_REQUESTS\"";
    let message = "the program sends requests and does not read the answers";
    check_failure("deaf", &[], endless, "E-DATA", message);
    let long = "head -c 3000000 /dev/zero | tr '\\0' x >&\"$TRIALBOX_REQUESTS\"; sleep 60";
    check_failure("long", &[], long, "E-DATA-SIZE", "the program's message is too long");
    let range = format!(
        r#"{SEND}send '{{"call": "suggest_float", "name": "x", "low": 1, "high": 0}}'; sleep 60"#
    );
    check_failure(
        "range",
        &[],
        &range,
        "E-SUGGEST",
        "the objective's suggest-float of parameter `x` is invalid",
    );
    let nan = format!(r#"{SEND}send '{{"call": "complete", "values": [NaN]}}'"#);
    check_failure("nan", &[], &nan, "E-VALUE", "");
}

#[test]
fn a_program_that_ignores_its_end_is_killed() {
    let flags = ["--trial-timeout", "1s", "--kill-after", "200ms"];
    check_failure(
        "endless",
        &flags,
        "trap '' TERM; while :; do sleep 60; done",
        "E-TIME",
        "the trial's time is over",
    );
    // A program that hangs after its result is ended too, and the result counts.
    let complete =
        format!(r#"{SEND}send '{{"call": "complete", "values": [1]}}'; trap '' TERM; sleep 60"#);
    let trial = trial_of(&["--kill-after", "200ms"], "hangs", &complete);
    assert_eq!(trial["values"], json!([1.0]));
}

#[test]
fn a_program_that_takes_too_much_memory_is_killed() {
    let script = "x=$(head -c 200000000 /dev/zero | tr '\\0' x); sleep 60";
    let message = "the program and what it started took";
    check_failure("memory", &["--max-memory", "50MiB"], script, "E-MEM", message);
}

#[test]
fn nothing_of_a_program_survives_its_trial() {
    let scene = Scene::new("program-survivors");
    // One process in the program's group, and one that left it and its session.
    let script = "sleep 600 & setsid sleep 600 & echo $! > pid; jobs -p > group; trialbox result 1";
    let ran = run_script(&scene, &["-v"], script);
    assert_eq!(ran.json()[0]["values"], json!([1.0]), "{ran:?}");
    assert!(
        ran.stderr.contains("the program left 2 processes behind, which trialbox killed"),
        "{ran:?}"
    );
    for file in ["pid", "group"] {
        for pid in std::fs::read_to_string(scene.path(file)).unwrap().split_whitespace() {
            assert!(
                !std::path::Path::new("/proc").join(pid).exists(),
                "process {pid} of `{file}` is alive"
            );
        }
    }
}

#[test]
fn nothing_of_a_program_survives_a_host_that_is_killed() {
    let scene = Scene::new("program-orphans");
    let script = "echo $$ > pid.new; mv pid.new pid; exec sleep 600";
    let mut host = start_script(&scene, script);
    let pid = std::fs::read_to_string(scene.path("pid")).unwrap();
    host.kill().unwrap();
    host.wait().unwrap();
    while std::path::Path::new("/proc").join(pid.trim()).exists() {
        std::thread::yield_now();
    }
}

#[test]
fn a_program_behind_a_shell_gets_the_time_for_its_end() {
    let scene = Scene::new("program-behind-shell");
    // The outer shell dies of SIGTERM, and the inner one saves its work.
    let inner = "trap 'touch saved; exit' TERM; echo $$ > pid.new; mv pid.new pid; while :; do sleep 0.05; done";
    std::fs::write(scene.path("inner.sh"), inner).unwrap();
    let mut host = start_script(&scene, "sh inner.sh; echo never");
    let pid = rustix::process::Pid::from_child(&host);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(host.wait().unwrap().code(), Some(75));
    assert!(scene.path("saved").exists());
}

#[test]
fn a_result_survives_a_signal_and_a_slow_exit() {
    let scene = Scene::new("program-slow-exit");
    let script = "trialbox result 3; kill -TERM $PPID_OF_HOST; trap '' TERM; sleep 60";
    // The host process is the parent of the supervisor, which is that of the script.
    let host = "PPID_OF_HOST=$(cut -d' ' -f4 /proc/$PPID/stat); ";
    let ran = run_script(&scene, &["--kill-after", "500ms", "-v"], &format!("{host}{script}"));
    let trial = &ran.json()[0];
    assert_eq!(trial["values"], json!([3.0]), "{trial}");
    assert!(ran.stderr.contains("s after its result and was ended"), "{}", ran.stderr);
    // The program's own end counts, if it came first.
    let script = "trap 'trialbox result 4; exit 1' TERM; kill -TERM $PPID_OF_HOST; while :; do sleep 0.05; done";
    let trial = &run_script(&scene, &[], &format!("{host}{script}")).json()[0];
    assert_eq!(trial["failure"]["code"], json!("E-INTERRUPTED"), "{trial}");
}

#[test]
fn a_killed_supervisor_takes_its_program_with_it() {
    let scene = Scene::new("program-killed-supervisor");
    let script = "sleep 600 & echo $! $$ > pids; kill -KILL $PPID; while :; do sleep 60; done";
    let trial = &run_script(&scene, &[], script).json()[0];
    assert_eq!(trial["failure"]["code"], json!("E-DIED"), "{trial}");
    wait_for_end(&scene, "pids");
}

#[test]
fn a_program_ends_with_the_host_and_the_supervisor() {
    let scene = Scene::new("program-killall");
    let script = "cut -d' ' -f4 /proc/$PPID/stat > host; cat /proc/$PPID/comm > name; echo $$ > pids; \
                  echo $PPID > supervisor; mv host pid; while :; do sleep 60; done";
    let mut host = start_script(&scene, script);
    // `killall trialbox` finds processes by this name.
    let name = std::fs::read_to_string(scene.path("name")).unwrap();
    assert!(!name.contains("trialbox"), "{name}");
    let supervisor = std::fs::read_to_string(scene.path("supervisor")).unwrap();
    host.kill().unwrap();
    let supervisor = rustix::process::Pid::from_raw(supervisor.trim().parse().unwrap()).unwrap();
    let _ = rustix::process::kill_process(supervisor, rustix::process::Signal::KILL);
    host.wait().unwrap();
    wait_for_end(&scene, "pids");
}

/// Waits until no process runs that the file names.
fn wait_for_end(scene: &Scene, file: &str) {
    for pid in std::fs::read_to_string(scene.path(file)).unwrap().split_whitespace() {
        while is_alive(pid) {
            std::thread::yield_now();
        }
    }
}

/// Returns whether a process runs. One that is dead may wait for its parent.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn a_program_has_no_terminal_and_a_file_without_a_first_line_is_a_script() {
    let script = "exec 2>&1; (: < /dev/tty) && exit 9; test $(cut -d' ' -f6 /proc/$$/stat) = $$ && trialbox result 1";
    assert_eq!(trial_of(&[], "no-terminal", script)["values"], json!([1.0]));
    let scene = Scene::new("program-no-first-line");
    let file = scene.path("plain");
    std::fs::write(&file, "echo $1").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let flags = ["run", "--study-name", "s", "--format", "json", "--value", "last-line"];
    let ran = scene.trialbox(&[&flags[..], &["--", "./plain", "0.5"]].concat());
    assert_eq!(ran.json()[0]["values"], json!([0.5]), "{ran:?}");
}

#[test]
fn the_end_of_the_job_bounds_the_time_for_the_end() {
    let scene = Scene::new("program-last-moment");
    let flags = ["--job-time", "3s", "--reserve", "2s", "--kill-after", "1h"];
    let ran = run_script(&scene, &flags, "trap '' TERM; while :; do sleep 60; done");
    assert_eq!(ran.json()[0]["failure"]["code"], json!("E-INTERRUPTED"), "{ran:?}");
    assert!(
        ran.stderr.contains("--kill-after 1 h 0 min is not less than --reserve 2.0 s"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_failing_program_is_not_retried_and_an_interrupted_one_is() {
    let scene = Scene::new("program-interrupted");
    run_script(&scene, &["--max-retries", "3"], "exit 1");
    assert_eq!(scene.json(&["study", "trials", "--study-name", "s"]).len(), 1);
    let script =
        "trap 'exit 0' TERM; echo $$ > pid.new; mv pid.new pid; while :; do sleep 0.05; done";
    let mut host = start_script(&scene, script);
    let pid = rustix::process::Pid::from_child(&host);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(host.wait().unwrap().code(), Some(75));
    let trials = scene.json(&["study", "trials", "--study-name", "s"]);
    let states: Vec<&Value> = trials.iter().map(|trial| &trial["state"]).collect();
    assert_eq!(states, ["FAIL", "FAIL", "WAITING"]);
    assert_eq!(trials[1]["failure"]["code"], json!("E-INTERRUPTED"));
}

#[test]
fn a_program_continues_from_its_checkpoint() {
    let scene = Scene::new("program-checkpoint");
    // The first attempt leaves a file and is interrupted; the second finds it.
    let script = "if [ -e \"$TRIALBOX_CHECKPOINT/half\" ]; then echo 0.5; exit; fi
        touch \"$TRIALBOX_CHECKPOINT/half\"; kill -TERM $(cat host.pid); while :; do sleep 0.05; done";
    let arguments = [
        "run",
        "--study-name",
        "s",
        "--checkpoint-dir",
        "ck",
        "--value",
        "last-line",
        "--",
        "sh",
        "-c",
        script,
    ];
    let command = "echo $$ > host.pid; exec \"$@\"";
    let trialbox = env!("CARGO_BIN_EXE_trialbox");
    let start = || {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", command, "sh", trialbox]).args(arguments).current_dir(&scene.folder);
        scene.isolate(&mut shell);
        Ran::from(shell.output().unwrap())
    };
    let first = start();
    assert_eq!(first.code, Some(75), "{first:?}");
    let second = start();
    assert_eq!(second.code, Some(0), "{second:?}");
    let trials = scene.json(&["study", "trials", "--study-name", "s"]);
    assert_eq!(trials[1]["values"], json!([0.5]), "{second:?}");
}

#[test]
fn a_program_needs_its_dashes_and_no_flag_of_the_sandbox() {
    let scene = Scene::new("program-usage");
    let wrong = |arguments: &[&str], pieces: &[&str]| {
        scene.trialbox(arguments).assert_error(2, pieces);
    };
    wrong(
        &["run", "--", "a.wasm"],
        &["expected a program after `--`, found the component `a.wasm`"],
    );
    wrong(&["run", "a.wasm", "--", "true"], &["expected a component or a program, found both"]);
    wrong(&["run"], &["expected an objective, found none", "a program after `--`"]);
    wrong(&["run", "--space", "x=int(1, 2)"], &["expected a program for --space, found none"]);
    wrong(
        &["run", "--dir", ".::/d", "--", "true"],
        &["expected a component for --dir, found a program"],
    );
    wrong(&["run", "--deterministic", "--", "true"], &["expected a component for --deterministic"]);
    wrong(
        &["run", "--space", "x=float(0, 1)", "a.wasm"],
        &["expected a program for --space, found a component"],
    );
    wrong(&["run", "--space", "x=flat(0, 1)", "--", "true"], &["expected float(LOW, HIGH)"]);
    let ran = scene.trialbox(&["run", "--", "no-such-program"]);
    ran.assert_error(4, &["expected a program that can be executed, found `no-such-program`"]);
    assert!(!scene.path("trialbox.db").exists(), "a usage error leaves no database");
    let plain = scene.path("plain.sh");
    std::fs::write(&plain, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = scene.trialbox(&["run", "--", "./plain.sh"]);
    ran.assert_error(4, &["found `./plain.sh`", "chmod +x"]);
}

#[test]
fn a_study_of_a_component_does_not_go_on_with_a_program_unasked() {
    let scene = Scene::new("program-mixed");
    let quadratic = crate::scene::guest("quadratic");
    assert_eq!(scene.trialbox(&["run", &quadratic, "--study-name", "s"]).code, Some(0));
    let ran = scene.trialbox(&["run", "--study-name", "s", "--", "true"]);
    ran.assert_error(2, &["study `s` was created by a different module", "found program"]);
}

#[test]
fn submit_writes_the_command_behind_the_flags() {
    let scene = Scene::new("program-submit");
    std::fs::write(scene.path("train.py"), "").unwrap();
    let flags = [
        "submit",
        "--dry-run",
        "-v",
        "--trials",
        "9",
        "--parallel",
        "3",
        "--time",
        "1h",
        "--storage",
        "s.db",
    ];
    let words = [
        "--space",
        "lr=log(1e-5, 0.1)",
        "--",
        "--mail-type=END",
        "--",
        "sh",
        "train.py",
        "--lr={lr}",
        "a b",
    ];
    let ran = scene.trialbox(&[&flags[..], &words].concat());
    assert!(ran.stderr.contains("not sandboxed: the program has all rights of the user"));
    let script = ran.stdout;
    assert!(script.contains("#SBATCH --mail-type=END\n"), "{script}\n{}", ran.stderr);
    assert!(script.contains("-- sh train.py \"--lr={lr}\" \"a b\""), "{script}");
    assert!(script.contains("--space \"lr=log(1e-5, 0.1)\""), "{script}");
    assert!(script.contains("--study-name train"), "{script}");
}

#[test]
fn the_shell_client_of_the_protocol_s_page_works() {
    let page = std::fs::read_to_string(crate::scene::root().join("docs/protocol.md")).unwrap();
    let (_, rest) = page.split_once("```bash\n").unwrap();
    let (script, _) = rest.split_once("```").unwrap();
    let trial = trial_of(&[], "page", script);
    assert_eq!(trial["values"], json!([trial["params"]["x"]]), "{trial}");
}

#[test]
fn every_request_of_the_protocol_s_page_gets_an_answer_of_its_form() {
    let page = std::fs::read_to_string(crate::scene::root().join("docs/protocol.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `{\"call\": "));
    let requests: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert_eq!(requests.len(), 18);
    // One result a trial: each request has a trial of its own.
    let scene = Scene::new("program-requests");
    for request in requests {
        let send = format!("printf '%s\\n' '{request}' >&\"$TRIALBOX_REQUESTS\"");
        let script = format!(
            "{send}; IFS= read -r answer <&\"$TRIALBOX_ANSWERS\"; printf '%s' \"$answer\" > answer"
        );
        run_script(&scene, &[], &script);
        let answer: Value =
            serde_json::from_str(&std::fs::read_to_string(scene.path("answer")).unwrap()).unwrap();
        let row = page.lines().find(|line| line.contains(&format!("| `{request}` |"))).unwrap();
        let shown: Value = serde_json::from_str(row.split('`').nth(3).unwrap()).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&answer), keys(&shown), "{request}");
    }
}

#[test]
fn the_example_of_a_shell_script_runs() {
    let scene = Scene::new("program-example");
    let script = crate::scene::root().join("examples/program/train.sh").display().to_string();
    let ran = run_script(&scene, &[], &format!("exec {script}"));
    let trial = &ran.json()[0];
    assert_eq!(trial["state"], json!("COMPLETE"), "{ran:?}");
    assert_eq!(trial["n_reports"], json!(5));
}
