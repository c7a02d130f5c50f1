//! `trialbox submit` without a cluster: the scripts, the checks, and the calls of a fake sbatch.

use crate::scene::{Ran, Scene, digits_data, guest};
use crate::scripted::objective_of;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Runs trialbox where Slurm's commands are missing.
fn without_slurm(scene: &Scene, arguments: &[&str]) -> Ran {
    scene.command(arguments).env("PATH", "/nowhere").output().unwrap().into()
}

/// Runs trialbox with fake commands of Slurm, which log submissions to `sbatch.log`. `sbatch` is the body of a shell
/// script that answers a submission.
pub(crate) fn with_slurm(scene: &Scene, sbatch: &str, arguments: &[&str]) -> Ran {
    fake_slurm(scene, sbatch);
    let path = format!("{}:/usr/bin:/bin", scene.path("bin").display());
    scene.command(arguments).env("PATH", path).output().unwrap().into()
}

/// Writes the fake commands of [`with_slurm`] to the folder `bin`.
pub(crate) fn fake_slurm(scene: &Scene, sbatch: &str) {
    let bin = scene.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let sbatch = format!(
        "if [ \"$1\" = --test-only ]; then cat > test-only.txt; exit; fi\necho \"$@\" >> sbatch.log\n\
         case $* in *close*) cat > close.txt;; *) cat > array.txt;; esac\n{sbatch}"
    );
    let commands = [
        ("sbatch", sbatch.as_str()),
        ("scontrol", "echo 'MaxArraySize            = 1001'"),
        ("squeue", ""),
    ];
    for (name, body) in commands {
        let path = bin.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Returns the names of the files in the scene's folder.
fn files(scene: &Scene) -> Vec<String> {
    let entries = std::fs::read_dir(&scene.folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn read(scene: &Scene, name: &str) -> String {
    std::fs::read_to_string(scene.path(name)).unwrap()
}

pub(crate) const ACCEPT: &str = "case $* in *close*) echo 4712;; *) echo '4711;north';; esac";

#[test]
fn a_dry_run_prints_the_script_and_leaves_nothing_behind() {
    let scene = Scene::new("submit-dry");
    let quadratic = guest("quadratic");
    let arguments = ["submit", &quadratic, "--trials", "40", "--parallel", "8", "--time", "2h"];
    let ran = without_slurm(
        &scene,
        &[&arguments[..], &["--mem", "4GiB", "--dry-run", "--", "-p", "long"]].concat(),
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let want = format!(
        "\
#!/bin/bash
# Written by trialbox submit, which may overwrite it.
# To keep your changes, delete the line above. submit then asks for another --script instead of overwriting this file.
# For study quadratic in {0}/trialbox.db
# 40 trials of study quadratic: 40 tasks of 1 trial, 8 at a time.
#SBATCH --job-name=quadratic
#SBATCH --array=1-40%8
#SBATCH --chdir={0}
#SBATCH --output=quadratic-%A.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --time=02:00:00
#SBATCH --mem=4G
#SBATCH -p long

# With exec, signals of Slurm reach trialbox.
exec {1} run {quadratic} \\
    --storage trialbox.db \\
    --study-name quadratic \\
    --cache-dir {2} \\
    --n-trials 1",
        scene.folder.display(),
        env!("CARGO_BIN_EXE_trialbox"),
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache").display()
    );
    let script = ran.stdout.replace(" \\\n    --requeue", "");
    assert_eq!(script.trim_end(), want);
    assert!(ran.stderr.contains("warning[slurm]: cannot find Slurm"), "{}", ran.stderr);
    assert_eq!(files(&scene), Vec::<String>::new());
}

#[test]
fn without_slurm_a_submission_names_what_is_missing_and_creates_nothing() {
    let scene = Scene::new("submit-no-slurm");
    let quadratic = guest("quadratic");
    let ran = without_slurm(&scene, &["submit", &quadratic, "--trials", "40", "--parallel", "8"]);
    ran.assert_error(2, &["no job was submitted", "caused by: cannot find Slurm", "login node"]);
    assert_eq!(files(&scene), Vec::<String>::new());
}

/// Flags whose values are special to bash, sbatch or shellcheck.
const ODD: [&str; 16] = [
    "--trials",
    "20",
    "--parallel",
    "2",
    "-j",
    "2",
    "--study-name",
    "it's $HOME & \"more\"",
    "--env",
    "A=$(id) `id` \\",
    "--env",
    "B=~",
    "--stop-when-value",
    "-0.5",
    "--storage",
    "my study.db",
];

#[test]
fn shellcheck_finds_nothing_in_the_scripts() {
    let scene = Scene::new("submit-shellcheck");
    let (digits, data) = (guest("digits"), digits_data());
    let more = ["--dir", &data, "--dry-run", "--format", "json"];
    let ran = without_slurm(&scene, &[&["submit", &digits], &ODD[..], &more].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let shown = &ran.json()[0];
    for (name, key) in [("array.sh", "script_text"), ("close.sh", "closing_script_text")] {
        std::fs::write(scene.path(name), shown[key].as_str().unwrap()).unwrap();
        let mut command = Command::new("shellcheck");
        let ran: Ran = command.arg(scene.path(name)).output().unwrap().into();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{}", shown[key]);
    }
}

#[test]
fn the_scripts_run_the_given_flags_and_the_second_writes_the_report() {
    let scene = Scene::new("submit-scripts");
    let (quadratic, more) =
        (guest("quadratic"), ["--no-closing-job", "--dry-run", "--format", "json"]);
    let ran = without_slurm(&scene, &[&["submit", &quadratic], &ODD[..], &more[1..]].concat());
    let shown = &ran.json()[0];
    let bash = |key: &str| {
        let mut command = Command::new("bash");
        let script = shown[key].as_str().unwrap();
        command.args(["-c", script]);
        scene.isolate(&mut command);
        let ran: Ran = command.output().unwrap().into();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran
    };
    let study = || scene.json(&["study", "show", "--storage", "my study.db"])[0].clone();
    // By default a task runs as many trials as it runs at a time.
    bash("script_text");
    assert_eq!((study()["study"].clone(), study()["n_trials"].clone()), (ODD[7].into(), 2.into()));
    bash("closing_script_text");
    assert_eq!(study()["n_trials"], 22);
    let report = read(&scene, "it-s-HOME-more-report.txt");
    assert!(report.starts_with("Written by trialbox submit"), "{report}");
    for piece in ["22 (22 COMPLETE)", "loss (minimize) = ", "\nFailed trials:\n", "\nImportance of"]
    {
        assert!(report.contains(piece), "{report}");
    }
    let without = without_slurm(
        &scene,
        &[&["submit", &quadratic], &["--trials", "30", "--parallel", "2"][..], &more].concat(),
    );
    assert_eq!(without.json()[0]["closing_script_text"], Value::Null);
}

#[test]
fn a_submission_creates_the_study_and_chains_a_closing_job() {
    let scene = Scene::new("submit-study");
    let quadratic = guest("quadratic");
    let arguments = [
        "submit",
        &quadratic,
        "--trials",
        "40",
        "--parallel",
        "8",
        "--seed",
        "7",
        "--sampler",
        "random",
    ];
    let ran = with_slurm(&scene, ACCEPT, &[&arguments[..], &["--format", "json"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let submitted = &ran.json()[0];
    for (key, want) in [
        ("event", Value::from("submitted")),
        ("study", "quadratic".into()),
        ("job_id", "4711".into()),
        ("closing_job_id", "4712".into()),
        ("n_missing", 40.into()),
        ("n_tasks", 40.into()),
        ("parallel", 8.into()),
        ("trials_per_task", 1.into()),
        ("script", "quadratic.sbatch".into()),
        ("closing_script", "quadratic-close.sbatch".into()),
        ("log", "quadratic-4711.log".into()),
        ("report", "quadratic-report.txt".into()),
    ] {
        assert_eq!(submitted[key], want, "{key}");
    }
    // A sampler that does not learn loses nothing.
    let checks = submitted["checks"].as_array().unwrap();
    assert!(!checks.is_empty() && checks.iter().all(|check| check["code"] != "parallel"));
    let folder = scene.folder.display();
    // The scripts' directives are on the command line too, so that variables of the user do not override them.
    let flags = |name: &str, array: &str, log: &str| {
        format!(
            "--parsable --job-name={name}{array} --chdir={folder} --output={name}-{log}.log \
             --open-mode=append --requeue"
        )
    };
    let array = flags("quadratic", " --array=1-40%8", "%A");
    let closing = flags("quadratic-close", "", "%j");
    let want = format!("{array}\n{closing} --dependency=afterany:4711\n");
    assert_eq!(read(&scene, "sbatch.log"), want);
    // What was checked and shown is what sbatch gets.
    assert_eq!(read(&scene, "test-only.txt"), read(&scene, "quadratic.sbatch"));
    assert_eq!(read(&scene, "array.txt"), read(&scene, "quadratic.sbatch"));
    assert_eq!(read(&scene, "close.txt"), read(&scene, "quadratic-close.sbatch"));
    let closing = read(&scene, "quadratic-close.sbatch");
    assert!(closing.contains("--n-trials 40") && closing.contains("--max-failures 3"), "{closing}");
    assert!(!read(&scene, "quadratic.sbatch").contains("--max-failures"));
    let attrs = &scene.json(&["study", "show"])[0]["user_attrs"];
    assert_eq!(attrs["trialbox:max_trials"], 40);
    assert_eq!(
        (&attrs["trialbox:seed"], &attrs["trialbox:sampler"]["name"]),
        (&7.into(), &"random".into())
    );
}

#[test]
fn only_missing_trials_are_submitted_and_more_trials_need_no_override() {
    let scene = Scene::new("submit-missing");
    let quadratic = guest("quadratic");
    scene.json(&["run", &quadratic, "-n", "5", "--max-trials", "5"]);
    let submit = |trials: &str, more: &[&str]| {
        let arguments =
            ["submit", &quadratic, "--trials", trials, "--parallel", "2", "--format", "json"];
        with_slurm(&scene, ACCEPT, &[&arguments[..], more].concat())
    };
    let nothing = submit("5", &[]);
    assert_eq!((nothing.code, &nothing.json()[0]["event"]), (Some(0), &"budget_reached".into()));
    submit("3", &[])
        .assert_error(2, &["a limit of 5 trials, and --trials would lower it to 3", "--override"]);
    assert!(!scene.path("sbatch.log").exists());

    let ran = submit("12", &["--trials-per-task", "3"]);
    let more = &ran.json()[0];
    assert_eq!(
        (&more["n_present"], &more["n_missing"], &more["n_tasks"]),
        (&5.into(), &7.into(), &3.into())
    );
    assert_eq!(scene.json(&["study", "show"])[0]["user_attrs"]["trialbox:max_trials"], 12);
    assert!(read(&scene, "quadratic.sbatch").contains("--n-trials 3"));
    // The duration of a trial is known now: such short trials should share a task.
    let checks = more["checks"].as_array().unwrap();
    let duration = checks.iter().find(|check| check["code"] == "duration").unwrap();
    assert_eq!(duration["severity"], "warning");
    assert!(
        duration["advice"].as_str().unwrap().contains("`trialbox run OBJECTIVE … -n 7`"),
        "{duration}"
    );
    // The rules that a study remembers hold for `submit` as for `run`.
    scene.json(&["study", "stop", "--study-name", "quadratic"]);
    assert_eq!(submit("20", &[]).json()[0]["event"], "study_stopped");
}

#[test]
fn two_files_of_one_name_or_one_named_as_the_database_are_refused() {
    let scene = Scene::new("submit-places");
    let quadratic = guest("quadratic");
    let amount = ["submit", &quadratic, "--trials", "4", "--parallel", "2", "--storage", "s.db"];
    for (flags, what) in [
        (&["--report", "./s.db"][..], "the database and the report are the same file"),
        (&["--script", "s.db"], "the database and the script are the same file"),
        (&["--script", "r", "--report", "r"], "the script and the report are the same file"),
    ] {
        let ran = with_slurm(&scene, "echo 4711", &[&amount[..], flags].concat());
        ran.assert_error(2, &["no job was submitted", what]);
        assert!(!scene.path("s.db").exists() && !scene.path("sbatch.log").exists(), "{what}");
    }
}

#[test]
fn a_refusal_of_sbatch_is_shown_and_the_new_study_does_no_harm() {
    let scene = Scene::new("submit-refused");
    let quadratic = guest("quadratic");
    let arguments = ["submit", &quadratic, "--trials", "40", "--parallel", "8"];
    let refuse = "echo 'sbatch: error: Batch job submission failed: too many jobs' >&2; exit 1";
    let ran = with_slurm(&scene, refuse, &arguments);
    ran.assert_error(
        2,
        &["`sbatch` says: Batch job submission failed: too many jobs", "submit again"],
    );
    assert_eq!(scene.json(&["study", "show"])[0]["n_trials"], 0);
    let again = with_slurm(&scene, ACCEPT, &[&arguments[..], &["--env", "KEY=secret"]].concat());
    let mode = std::fs::metadata(scene.path("quadratic.sbatch")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(
        again.stdout.starts_with("submitted job 4711: 40 tasks of 1 trial, 8 at a time"),
        "{}",
        again.stdout
    );
    for piece in [
        "squeue -j 4711,4712",
        "tail -F quadratic-4711.log",
        "to stop:\n  scancel 4711 4712    # 4711 alone starts the closing job",
    ] {
        assert!(again.stderr.contains(piece), "{}", again.stderr);
    }
    // The array is submitted even where sbatch refuses the closing job.
    let ran =
        with_slurm(&scene, &format!("case $* in *close*) exit 1;; esac\n{ACCEPT}"), &arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("the array was submitted, but its closing job was not"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_impossible_submission_is_refused_before_anything_is_created() {
    let scene = Scene::new("submit-refusals");
    let quadratic = guest("quadratic");
    std::fs::write(scene.path("mine.sh"), "#!/bin/bash\n# mine\n").unwrap();
    for (arguments, pieces) in [
        (&["-n", "3"][..], &["--n-trials limits one process", "--trials-per-task N"][..]),
        (&["--max-trials", "3"], &["--max-trials limits the study", "--trials N"]),
        (&["--storage", "memory:"], &["`memory:` is neither"]),
        (&["--storage", "no/such/study.db"], &["cannot find the folder `no/such` of the database"]),
        (&["--script", "mine.sh"], &["`mine.sh` exists and was not written by `trialbox submit`"]),
        (&["--report", "mine.sh"], &["`mine.sh` exists", "--report"]),
        (
            &["--trials-per-task", "1", "--", "--array=1-3"],
            &["cannot set `--array=1-3` after `--`"],
        ),
        (&["--trials-per-task", "0"], &["expected a whole number of at least 1, found `0`"]),
        (&["--cpus", "+2"], &["expected a whole number of at least 1, found `+2`"]),
        (
            &["--mail-type=END"],
            &["found\n\n  tip: flags of sbatch go after `--`, such as: -- --mail-type"],
        ),
        (&["--dir", "nowhere::/data"], &["cannot grant `nowhere`"]),
    ] {
        let always = ["submit", &quadratic, "--trials", "40", "--parallel", "8"];
        let ran = with_slurm(&scene, ACCEPT, &[&always[..], arguments].concat());
        ran.assert_error(2, pieces);
    }
    let many =
        with_slurm(&scene, ACCEPT, &["submit", &quadratic, "--trials", "2500", "--parallel", "8"]);
    many.assert_error(
        2,
        &[
            "the array has 2500 tasks, and Slurm allows 1000 here",
            "--trials-per-task 3 makes it 834 tasks",
        ],
    );
    assert_eq!(read(&scene, "mine.sh"), "#!/bin/bash\n# mine\n");
    assert_eq!(
        files(&scene).into_iter().filter(|name| name != "test-only.txt").collect::<Vec<_>>(),
        ["bin", "mine.sh"]
    );
}

#[test]
fn flags_from_the_environment_are_in_the_script_and_a_relative_time_becomes_absolute() {
    let scene = Scene::new("submit-environment");
    let quadratic = guest("quadratic");
    let arguments = [
        "submit",
        &quadratic,
        "--trials",
        "9",
        "--parallel",
        "1",
        "--until",
        "+2h",
        "--catch",
        "--dry-run",
    ];
    let mut command = scene.command(&arguments);
    command
        .env("PATH", "/nowhere")
        .env("TRIALBOX_STORAGE", "other.db")
        .env("TRIALBOX_STUDY_NAME", "s");
    let ran: Ran = command.output().unwrap().into();
    for piece in [" --storage other.db ", " --study-name s ", " --catch "] {
        assert!(ran.stdout.contains(piece), "`{piece}` is missing in {}", ran.stdout);
    }
    let until = ran.stdout.lines().find_map(|line| line.trim().strip_prefix("--until ")).unwrap();
    let until = until.trim_end_matches([' ', '\\']);
    assert_eq!(
        (until.len(), until.ends_with('Z')),
        ("2026-11-25T18:00:00Z".len(), true),
        "{until}"
    );
}

#[test]
fn a_study_of_the_same_name_elsewhere_keeps_its_script() {
    let scene = Scene::new("submit-same-name");
    let quadratic = guest("quadratic");
    let submit = |more: &[&str]| {
        let always = ["submit", &quadratic, "--trials", "40", "--parallel", "8"];
        with_slurm(&scene, ACCEPT, &[&always[..], more].concat())
    };
    assert_eq!(submit(&["--storage", "a.db"]).code, Some(0));
    let script = read(&scene, "quadratic.sbatch");
    // Named by default, the files of the second study carry the name of its database.
    let ran = submit(&["--storage", "b.db"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(scene.path("b-quadratic.sbatch").exists(), "{:?}", files(&scene));
    let of = format!("belongs to study quadratic in {}/a.db", scene.folder.display());
    let taken = ["--storage", "c.db", "--script", "quadratic.sbatch"];
    let ran = submit(&taken);
    ran.assert_error(2, &[&of, "--script"]);
    assert_eq!(ran.stderr.matches("move the file away").count(), 1, "{}", ran.stderr);
    assert_eq!(read(&scene, "quadratic.sbatch"), script);
    assert!(!scene.path("c.db").exists());
    // The same study may be submitted again, under any path of its database.
    let again = scene.path("a.db").display().to_string();
    assert_eq!(submit(&["--storage", &again]).code, Some(0));
    assert_eq!(submit(&["--storage", "d.db", "--script", "d.sbatch"]).code, Some(0));
}

#[test]
fn running_trials_are_counted_when_no_trial_is_missing() {
    let scene = Scene::new("submit-running");
    let quadratic = guest("quadratic");
    scene.json(&["study", "create", "--study-name", "quadratic"]);
    for _ in 0..2 {
        scene.json(&["trial", "ask", "--study-name", "quadratic"]);
    }
    let ran =
        with_slurm(&scene, ACCEPT, &["submit", &quadratic, "--trials", "2", "--parallel", "2"]);
    let want = "study `quadratic` has 2 trials: no trial is missing, and no job was submitted; \
        2 of them are still RUNNING\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), want), "{ran:?}");
}

#[test]
fn failed_trials_are_counted_by_code_before_more_are_submitted() {
    let scene = Scene::new("submit-failures");
    let inside = r#"(core module $m (memory (export "memory") 1)
    (func (export "evaluate") (result i32) unreachable))
  (core instance $i (instantiate $m))"#;
    std::fs::write(scene.path("fails.wasm"), objective_of(inside)).unwrap();
    scene.trialbox(&["run", "fails.wasm", "-n", "2"]);
    let failed = scene.json(&["study", "trials", "--state", "fail"]);
    assert_eq!(failed.len(), 2);
    let arguments = ["--trials", "40", "--parallel", "2", "--dry-run"];
    let ran = without_slurm(&scene, &[&["submit", "fails.wasm"][..], &arguments].concat());
    for piece in [
        "warning[failures]: 2 trials have failed: 2 E-PANIC (the guest aborted: ",
        "no trial of the study is COMPLETE",
        "run one trial first",
    ] {
        assert!(ran.stderr.contains(piece), "`{piece}` is missing in {}", ran.stderr);
    }
}

#[test]
fn a_dry_run_with_an_error_shows_it_and_not_the_script() {
    let scene = Scene::new("submit-dry-error");
    let quadratic = guest("quadratic");
    let dry = ["submit", &quadratic, "--trials", "2500", "--parallel", "8", "--dry-run"];
    let ran = with_slurm(&scene, ACCEPT, &dry);
    ran.assert_error(2, &["no job was submitted", "the array has 2500 tasks, and Slurm allows"]);
    assert_eq!(ran.stdout, "");
    assert!(with_slurm(&scene, ACCEPT, &[&dry[..], &["-v"]].concat()).stdout.contains("#SBATCH"));
}

#[test]
fn the_short_help_shows_the_common_flags_and_the_long_one_all() {
    let scene = Scene::new("submit-help");
    let help = |flag: &str| scene.trialbox(&["submit", flag]).stdout;
    let (short, long) = (help("-h"), help("--help"));
    for flag in ["--trials <", "--parallel <", "--time <", "--account <", "--storage <", "--dir <"]
    {
        assert!(short.contains(flag), "{flag} is missing in {short}");
    }
    for flag in ["--sampler <", "--fuel <", "--report <"] {
        assert!(!short.contains(flag) && long.contains(flag), "{flag}: {short}");
    }
    assert!(short.lines().count() < 80, "{short}");
}

#[test]
fn a_script_that_is_replaced_before_sbatch_reads_is_not_what_runs() {
    let scene = Scene::new("submit-swapped");
    let quadratic = guest("quadratic");
    // A fake sbatch that finds another file in the script's place.
    let swap = "for name in *.sbatch; do echo 'touch swapped' > \"$name\"; done\necho 4711";
    let ran = with_slurm(&scene, swap, &["submit", &quadratic, "--trials", "2", "--parallel", "1"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for text in ["array.txt", "close.txt"] {
        let text = read(&scene, text);
        assert!(text.starts_with("#!/bin/bash\n") && !text.contains("touch swapped"), "{text}");
    }
}

#[test]
fn names_that_start_with_a_dash_or_hold_line_breaks_reach_the_task_unchanged() {
    let scene = Scene::new("submit-names");
    std::fs::copy(guest("quadratic"), scene.path("-q.wasm")).unwrap();
    for (name, label) in [("-x y", "x-y"), ("two\n#SBATCH --hold\nlines", "two-SBATCH-hold-lines")]
    {
        let study = format!("--study-name={name}");
        // Names with line breaks come from other programs: trialbox makes none.
        scene.json(&["study", "create", "--study-name", "plain"]);
        let database = rusqlite::Connection::open(scene.path("trialbox.db")).unwrap();
        let renamed = database
            .execute("UPDATE studies SET study_name = ?1 WHERE study_name = 'plain'", [name]);
        assert_eq!(renamed, Ok(1));
        drop(database);
        let submit = ["submit", "--trials", "2", "--parallel", "1", &study, "--report=-r.txt"];
        // Flags of sbatch follow two dashes, so the objective needs a path.
        let ran = with_slurm(&scene, ACCEPT, &[&submit[..], &["./-q.wasm"]].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(read(&scene, "sbatch.log").contains(&format!("--job-name={label} ")));
        for script in ["array.txt", "close.txt"] {
            let mut bash = Command::new("bash");
            bash.args(["-c", &read(&scene, script)]);
            scene.isolate(&mut bash);
            let ran: Ran = bash.output().unwrap().into();
            assert_eq!(ran.code, Some(0), "{script}: {ran:?}");
        }
        let trials = scene.json(&["study", "trials", &study]);
        assert_eq!(trials.len(), 2, "{name}");
        assert!(read(&scene, "-r.txt").starts_with("Written by trialbox submit"));
        std::fs::remove_file(scene.path("-r.txt")).unwrap();
    }
}

#[test]
fn a_report_replaces_a_link_that_another_user_left_under_its_name() {
    let scene = Scene::new("submit-report-link");
    let quadratic = guest("quadratic");
    let submit = ["submit", &quadratic, "--trials", "1", "--parallel", "1"];
    let ran = with_slurm(&scene, ACCEPT, &submit);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    std::fs::write(scene.path("victim"), "precious").unwrap();
    std::os::unix::fs::symlink("victim", scene.path("quadratic-report.txt")).unwrap();
    let mut bash = Command::new("bash");
    bash.args(["-c", &read(&scene, "close.txt")]);
    scene.isolate(&mut bash);
    let ran: Ran = bash.output().unwrap().into();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(read(&scene, "victim"), "precious");
    assert!(scene.path("quadratic-report.txt").symlink_metadata().unwrap().is_file());
    assert!(!files(&scene).iter().any(|name| name.contains("report.txt.")), "{:?}", files(&scene));
}
