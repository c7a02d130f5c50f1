//! Loops that users drive: assignments for a shell, exit statuses, reports from outside, the Python client.

use crate::scene::{Ran, Scene, root};
use serde_json::{Value, json};
use std::path::Path;

fn study(test: &str, flags: &[&str]) -> Scene {
    let scene = Scene::new(test);
    scene.json(&[&["study", "create", "--study-name", "s"][..], flags].concat());
    scene
}

fn ask(scene: &Scene, space: &[&str]) -> Value {
    scene.json(&[&["trial", "ask"][..], space].concat()).remove(0)
}

/// Runs a script in a shell, with `trialbox` on its path.
fn in_shell(scene: &Scene, shell: &str, script: &str) -> Ran {
    let mut command = std::process::Command::new(shell);
    command.args(["-c", script]);
    scene.isolate(&mut command);
    let ours = Path::new(env!("CARGO_BIN_EXE_trialbox")).parent().unwrap();
    command.env("PATH", format!("{}:/usr/bin:/bin", ours.display()));
    command.output().unwrap().into()
}

/// Choices that a shell would obey if they were not quoted.
const HOSTILE: [&str; 9] = [
    "$(touch hacked)",
    "`touch hacked`",
    "'; touch hacked; '",
    "\"; touch hacked; \"",
    "a\nTRIALBOX_TRIAL=99\ntouch hacked\n",
    "\\'; touch hacked #",
    "-n\t%s\\n\u{1b}[31m",
    "größe ${HOME} ~ * ! \u{202e}",
    " ",
];

#[test]
fn assignments_hold_every_value_in_every_shell_and_run_nothing() {
    for shell in ["sh", "bash", "dash"] {
        let scene = study(&format!("asked-shell-{shell}"), &[]);
        for (index, choice) in HOSTILE.into_iter().enumerate() {
            // A study keeps the choices of a parameter.
            let name = format!("it's \"x{index}");
            let space = json!({name: {"type": "categorical", "choices": [choice]}});
            std::fs::write(scene.path("space.json"), space.to_string()).unwrap();
            let script = format!(
                "asked=$(trialbox trial ask --shell --search-space @space.json) || exit
                eval \"$asked\"
                printf '%s.' \"$TRIALBOX_PARAM_IT_S__X{index}\"
                test -n \"$TRIALBOX_OWNER\" || exit 9
                trialbox trial tell \"$TRIALBOX_TRIAL\" --owner \"$TRIALBOX_OWNER\" --from-exit 0 \\
                    --values 1 -q >&2"
            );
            let ran = in_shell(&scene, shell, &script);
            assert_eq!(
                (ran.code, ran.stdout.as_str()),
                (Some(0), &*format!("{choice}.")),
                "{ran:?}"
            );
            assert!(!scene.path("hacked").exists(), "{choice}");
        }
        let trials = scene.json(&["study", "trials"]);
        assert_eq!(trials.len(), HOSTILE.len());
        assert!(trials.iter().all(|trial| trial["state"] == "COMPLETE"), "{trials:?}");
    }
}

#[test]
fn a_loop_keeps_no_variable_of_an_earlier_trial() {
    let scene = study("asked-shell-loop", &[]);
    let space = "k = \"choice(a, b)\"\nm = { range = \"int(1, 9)\", when = { k = \"a\" } }\n";
    std::fs::write(scene.path("space.toml"), space).unwrap();
    for k in ["a", "b"] {
        scene.json(&["trial", "enqueue", "--param", &format!("k={k}")]);
    }
    let script = "for i in 1 2 3; do
        asked=$(trialbox trial ask --shell --max-trials 2 --search-space @space.toml) || exit
        eval \"$asked\"
        [ -n \"$TRIALBOX_TRIAL\" ] || { echo \"end$TRIALBOX_OWNER\"; exit; }
        echo \"$TRIALBOX_TRIAL $TRIALBOX_PARAM_K ${TRIALBOX_PARAM_M+has}\"
        done";
    let ran = in_shell(&scene, "sh", script);
    assert_eq!(ran.stdout, "0 a has\n1 b \nend\n", "{ran:?}");
    assert!(ran.stderr.contains("has its 2 trials") || ran.stderr.contains("2"), "{ran:?}");
    let same = ["trial", "ask", "--shell", "--space", "a-b=int(1, 2)", "--space", "a_b=int(1, 2)"];
    scene.trialbox(&same).assert_error(2, &["found `a-b` and `a_b`"]);
}

#[test]
fn an_exit_status_decides_over_the_values() {
    let scene = study("asked-exit", &[]);
    for (status, values, state, message) in [
        ("0", &["--values", "0.5"][..], "COMPLETE", ""),
        ("0", &[], "FAIL", "expected a number as result, found nothing"),
        ("0", &["--values", "None"], "FAIL", "expected a number as result, found `None`"),
        ("3", &["--values", "0.5"], "FAIL", "the program exited with status 3"),
        ("139", &[], "FAIL", "the program exited with status 139, as a shell reports SIGSEGV"),
        ("-9", &[], "FAIL", "the program was killed by SIGKILL"),
        ("127", &[], "FAIL", "the program exited with status 127: it was not found"),
        ("1", &["--reason", "no data"], "FAIL", "no data"),
    ] {
        let number = ask(&scene, &[])["number"].to_string();
        let tell = ["trial", "tell", &number, "--from-exit", status];
        let told = scene.json(&[&tell[..], values].concat()).remove(0);
        assert_eq!(told["state"], state, "{status} {values:?}");
        let shown = scene.json(&["trial", "show", &number]).remove(0);
        let failure = shown["failure"]["message"].as_str().unwrap_or_default();
        assert_eq!(failure, message, "{status} {values:?}");
    }
    let both = ["trial", "tell", "0", "--from-exit", "0", "--state", "fail"];
    assert_eq!(scene.trialbox(&both).code, Some(2));
}

#[test]
fn reports_from_outside_are_judged_by_the_pruner_and_obey_the_owner() {
    let threshold = ["--pruner", "threshold", "--pruner-opt", "upper=1.5"];
    let scene = study("asked-report", &threshold);
    let asked = ask(&scene, &[]);
    let owner = asked["owner"].as_str().unwrap();
    let report = |value: &str, step: &str, more: &[&str]| {
        scene.trialbox(&[&["trial", "report", "0", value, "--step", step], more].concat())
    };
    let advice = |more: &[&str]| scene.trialbox(&[&["trial", "should-prune", "0"], more].concat());
    assert_eq!(report("1", "0", &["--owner", owner]).code, Some(0));
    assert_eq!(advice(&["--owner", owner]).code, Some(1));
    let again = report("9", "0", &[]);
    again.assert_error(0, &["step 0 was already reported; the first value is kept"]);
    assert_eq!(report("-2", "1", &[]).code, Some(0));
    assert_eq!(report("2", "2", &[]).code, Some(0));
    assert_eq!(advice(&[]).code, Some(0));
    let json = advice(&["--format", "json"]).json();
    assert_eq!(json[0]["prune"], json!(true));

    report("1", "3", &["--owner", "other"]).assert_error(6, &["its token is another"]);
    advice(&["--owner", "other"]).assert_error(6, &["its token is another"]);
    let told = scene.json(&["trial", "tell", "0", "--state", "pruned"]).remove(0);
    assert_eq!((&told["state"], &told["values"]), (&json!("PRUNED"), &json!([2.0])));
    let kept = scene.json(&["trial", "show", "0"]).remove(0);
    assert_eq!(kept["intermediate_values"], json!([[0, 1.0], [1, -2.0], [2, 2.0]]));
    report("1", "4", &[]).assert_error(6, &["trial 0 is PRUNED"]);
    advice(&[]).assert_error(6, &["trial 0 is PRUNED"]);
}

#[test]
fn what_cannot_be_read_beside_a_result_does_not_lose_it() {
    let scene = study("asked-beside", &[]);
    for (flags, problem) in [
        (&["--report", "x"][..], "--report: expected STEP=VALUE, such as 10=0.5, found `x`"),
        (&["--report", "1=0.5", "--report", "1.5=2"], "found `1.5=2`"),
        (&["--constraint", "size"], "--constraint: expected NAME=VALUE with a number"),
        (&["--constraint", "size=nan"], "--constraint: expected NAME=VALUE with a number"),
        (&["--user-attr", "x"], "--user-attr: expected NAME=VALUE"),
        (&["--user-attr", "x=1", "--user-attr", "x=2"], "--user-attr x was given twice"),
    ] {
        let number = ask(&scene, &[])["number"].to_string();
        let tell = ["trial", "tell", &number, "--values", "0.5"];
        let ran = scene.trialbox(&[&tell[..], flags].concat());
        let want = format!("trial {number} is told without what cannot be read: ");
        ran.assert_error(2, &[&want, problem]);
        assert!(ran.stdout.contains("COMPLETE: 0.5"), "{flags:?}: {ran:?}");
        let trial = scene.json(&["trial", "show", &number]).remove(0);
        assert_eq!(trial["values"], json!([0.5]), "{flags:?}");
    }
    // Without a result there is nothing to lose, and the report is the value of a pruned trial.
    let number = ask(&scene, &[])["number"].to_string();
    let tell = ["trial", "tell", &number, "--state", "pruned", "--report", "x"];
    scene.trialbox(&tell).assert_error(2, &["is not told: --report: expected STEP=VALUE"]);
    assert_eq!(scene.json(&["trial", "show", &number]).remove(0)["state"], "RUNNING");
}

#[test]
fn the_help_of_ask_names_every_reason_for_no_trial() {
    let help = Scene::new("asked-help").trialbox(&["trial", "ask", "--help"]).stdout;
    assert!(help.contains("no untried"), "{help}");
}

#[test]
fn the_python_client_passes_its_unit_tests() {
    let scene = Scene::new("asked-python-unit");
    let mut python = std::process::Command::new("python3");
    python.arg(root().join("guest-sdk/python/tests/test_study.py"));
    scene.isolate(&mut python);
    let ran = Ran::from(python.env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn the_python_loop_on_the_page_runs_as_printed() {
    let scene = Scene::new("asked-python");
    let database = scene.path("study.db").display().to_string();
    scene.json(&["study", "create", "--storage", &database, "--study-name", "train"]);
    let page = std::fs::read_to_string(root().join("docs/programs.md")).unwrap();
    let blocks = page.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next());
    let [script] = blocks.filter(|block| block.contains("study.ask")).collect::<Vec<_>>()[..]
    else {
        panic!("one loop");
    };
    std::fs::write(scene.path("loop.py"), script).unwrap();
    let client = root().join("guest-sdk/python").display().to_string();
    let script = format!("PYTHONPATH={client} PYTHONDONTWRITEBYTECODE=1 exec python3 loop.py");
    let ran = in_shell(&scene, "sh", &script);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let trials = scene.json(&["study", "trials", "--storage", &database]);
    assert_eq!(trials.len(), 20);
    assert!(trials.iter().all(|trial| trial["state"] != "RUNNING" && trial["state"] != "FAIL"));
    assert!(trials.iter().any(|trial| trial["user_attrs"]["epochs"] == json!(10)), "{trials:?}");
}
