//! Studies on a PostgreSQL server: every command by its address, Python's Optuna on the same tables, many jobs, deaths.

#[path = "../../host/trialbox-storage/tests/common/postgres.rs"]
mod postgres;

use crate::herd::{assert_complete_and_gapless, run_together};
use crate::scene::{Ran, Scene, guest};
use postgres::Postgres;
use serde_json::Value;
use std::process::Stdio;

/// Returns the server that the tests share.
fn server() -> &'static Postgres {
    postgres::shared().expect("TRIALBOX_TEST_POSTGRES is set: `cargo xtask test servers`")
}

/// Runs a script of Optuna's on a database of the server. SQLAlchemy takes a newer driver than Optuna's if the address
/// names none.
fn python(scene: &Scene, command: &str, url: &str, arguments: &[&str]) -> Ran {
    crate::interop::python(scene, &[&[command, &for_python(url)], arguments].concat())
}

fn for_python(url: &str) -> String {
    url.replace("postgresql://", "postgresql+psycopg2://")
}

/// Returns a definition of tables, without the names of their schema and the dump's random words.
fn definition(server: &Postgres, url: &str) -> Vec<String> {
    let (_, schema) = url.rsplit_once("%3D").unwrap();
    let mut dump = server.program("pg_dump");
    let output = dump.args(["--schema-only", "--no-owner", "--schema", schema]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap().replace(schema, "SCHEMA");
    text.lines().filter(|line| !line.starts_with('\\')).map(str::to_owned).collect()
}

#[test]
fn the_tables_are_those_that_optuna_makes() {
    let scene = Scene::new("servers-tables");
    let (ours, theirs) = (server().new_database("ours"), server().new_database("theirs"));
    scene.json(&["study", "create", "--storage", &ours, "--study-name", "s"]);
    python(&scene, "enqueue", &theirs, &["s"]);
    assert_eq!(definition(server(), &ours), definition(server(), &theirs));
    for table in ["version_info", "alembic_version"] {
        let rows = |url: &str| {
            let (_, schema) = url.rsplit_once("%3D").unwrap();
            server().sql(&format!("SELECT * FROM {schema}.{table}"))
        };
        assert_eq!(rows(&ours), rows(&theirs), "{table}");
    }
}

#[test]
fn optuna_reads_what_trialbox_wrote_and_both_continue_it() {
    let scene = Scene::new("servers-interop");
    let url = server().new_database("interop");
    let run = |n: &str| {
        let quadratic = guest("quadratic");
        scene.json(&["run", &quadratic, "--storage", &url, "--study-name", "s", "-n", n]);
    };
    run("6");
    let ours = scene.json(&["study", "trials", "--storage", &url]);
    let theirs = python(&scene, "read", &url, &["s"]).json().remove(0);
    for (ours, theirs) in ours.iter().zip(theirs["trials"].as_array().unwrap()) {
        for key in
            ["number", "state", "params", "distributions", "datetime_start", "datetime_complete"]
        {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
    }
    python(&scene, "work", &url, &["s", "4"]);
    run("2");
    assert_complete_and_gapless(&scene, &url, 12);
    assert_eq!(python(&scene, "read", &url, &["s"]).json()[0]["dataframe_rows"], 12);
}

#[test]
fn trialbox_runs_what_optuna_enqueued() {
    let scene = Scene::new("servers-enqueued");
    let url = server().new_database("enqueued");
    python(&scene, "enqueue", &url, &["s"]);
    let lines = scene.json(&["run", &guest("quadratic"), "--storage", &url, "--study-name", "s"]);
    assert_eq!(
        (&lines[0]["number"], &lines[0]["params"]["x"]),
        (&Value::from(0), &Value::from(2.0))
    );
}

#[test]
fn a_study_is_copied_to_a_server_and_back() {
    let scene = Scene::new("servers-copy");
    let url = server().new_database("copy");
    let quadratic = guest("quadratic");
    scene.json(&["run", &quadratic, "--storage", "study.db", "--study-name", "s", "-n", "5"]);
    let copy = |from: &str, to: &str| {
        scene.json(&["study", "copy", "--storage", from, "--study-name", "s", "--to-storage", to]);
    };
    copy("study.db", &url);
    copy(&url, "back.db");
    let trials = |storage: &str| scene.json(&["study", "trials", "--storage", storage]);
    assert_eq!(trials("study.db"), trials(&url));
    assert_eq!(trials("study.db"), trials("back.db"));
    scene.json(&["study", "export", "--storage", &url, "--study-name", "s", "--output", "s.jsonl"]);
    let imported = server().new_database("imported");
    scene.json(&["study", "import", "s.jsonl", "--storage", &imported]);
    assert_eq!(trials(&imported), trials(&url));
}

#[test]
fn trials_are_asked_for_reported_told_retried_and_reaped() {
    let scene = Scene::new("servers-trial");
    let url = server().new_database("trial");
    let json = |arguments: &[&str]| scene.json(&[arguments, &["--storage", &url]].concat());
    json(&["study", "create", "--study-name", "s"]);
    json(&["trial", "enqueue", "--param", "x=1.5"]);
    let asked = &json(&["trial", "ask", "--search-space", "x=float(0, 2)"])[0];
    assert_eq!(asked["params"]["x"], 1.5);
    let number = asked["number"].to_string();
    json(&["trial", "report", &number, "--step", "1", "0.5"]);
    json(&["trial", "tell", &number, "--values", "0.25"]);
    let shown = &json(&["trial", "show", &number])[0];
    assert_eq!(shown["values"][0], 0.25);
    assert_eq!(json(&["study", "list"])[0]["study"], "s");
    json(&["study", "rename", "s", "t"]);
    json(&["study", "stop", "--study-name", "t"]);
    json(&["study", "delete", "--study-name", "t"]);
    assert_eq!(json(&["study", "list"]), [] as [Value; 0]);
}

#[test]
fn no_output_has_the_password_of_an_address() {
    let scene = Scene::new("servers-password");
    let url = server().new_database("password").replace("optuna@", "optuna:s3cret@");
    let quadratic = guest("quadratic");
    let submit = ["submit", &quadratic, "--trials", "4", "--parallel", "2", "--dry-run"];
    let unreachable = "postgresql://optuna:s3cret@127.0.0.1:1/x?connect_timeout=2";
    for (arguments, url) in [
        (&["run", &quadratic, "-v"][..], url.as_str()),
        (&["study", "list", "--format", "json"], &url),
        (&["study", "report"], &url),
        (&submit, &url),
        (&["doctor"], &url),
        (&["study", "snapshot", "copy.db"], &url),
        (&["study", "list", "--storage-timeout", "1s"], unreachable),
        (&["run", &quadratic], "postgresql://a:s3cret@h/x?sslmode=require"),
        (&["run", &quadratic], "postgresql://a:s3cret@h/x?colour=s3cret"),
        (&["run", &quadratic], "oracle://a:s3cret@h/x"),
    ] {
        let ran = scene.trialbox(&[arguments, &["--storage", url]].concat());
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!text.contains("s3cret"), "{arguments:?}: {text}");
    }
    let dry = scene.trialbox(&[&submit[..], &["--storage", &url]].concat());
    assert!(dry.stderr.contains("PGPASSFILE"), "{dry:?}");
    for entry in std::fs::read_dir(scene.path("")).unwrap().flatten() {
        let text = std::fs::read(entry.path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(!text.contains("s3cret"), "{}", entry.path().display());
    }
}

#[test]
fn workers_of_trialbox_and_of_optuna_share_a_study() {
    let scene = Scene::new("servers-mixed");
    let url = server().new_database("mixed");
    let quadratic = guest("quadratic");
    let ours = ["run", &quadratic, "--storage", &url, "--study-name", "s", "-n", "5"];
    let for_python = for_python(&url);
    let theirs = ["work", &for_python, "s", "8"];
    let ours = (0..4).map(|_| scene.command(&ours));
    let theirs = (0..2).map(|_| scene.python("interop.py", &theirs));
    for ran in run_together(ours.chain(theirs).collect()) {
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert_complete_and_gapless(&scene, &url, 36);
}

/// Each job is a process with one trial, and the server has connections for a few of them.
#[test]
fn many_jobs_share_few_connections_and_lose_nothing() {
    const JOBS: usize = 40;
    let scene = Scene::new("servers-many");
    let server = Postgres::start(10);
    let url = server.new_database("many");
    let quadratic = guest("quadratic");
    let arguments = ["run", &quadratic, "--storage", &url, "--study-name", "s"];
    let ran = run_together((0..JOBS).map(|_| scene.command(&arguments)).collect());
    for ran in ran {
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert_complete_and_gapless(&scene, &url, JOBS);
}

#[test]
fn a_server_that_crashes_under_load_costs_no_result() {
    const WORKERS: usize = 4;
    const TRIALS: usize = 12;
    let scene = Scene::new("servers-crash");
    let mut server = Postgres::start(20);
    let url = server.new_database("crash");
    let (quadratic, n) = (guest("quadratic"), TRIALS.to_string());
    let run =
        ["run", &quadratic, "--storage", &url, "--study-name", "s", "-n", &n, "--format", "json"];
    scene.json(&["study", "create", "--storage", &url, "--study-name", "s"]);
    let start =
        |_| scene.command(&run).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let workers: Vec<_> = (0..WORKERS).map(start).collect();
    let (_, schema) = url.rsplit_once("%3D").unwrap();
    for round in 1..=2 {
        // A part of the load is done before each crash.
        let finished = format!("SELECT count(*) FROM {schema}.trials WHERE state = 'COMPLETE'");
        let wanted = round * WORKERS * TRIALS / 4;
        let n_finished = || server.sql(&finished).parse::<usize>().unwrap();
        while n_finished() < wanted {
            std::thread::yield_now();
        }
        server.crash();
        server.restart();
    }
    let mut n_delivered = 0;
    for worker in workers {
        let ran = Ran::from(worker.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        n_delivered += ran.json().iter().filter(|line| line["state"] == "COMPLETE").count();
    }
    assert_eq!(n_delivered, WORKERS * TRIALS);
    assert_complete_and_gapless(&scene, &url, WORKERS * TRIALS);
}

#[test]
fn a_worker_that_is_killed_leaves_a_trial_that_is_reaped() {
    let scene = Scene::new("servers-kill");
    let url = server().new_database("kill");
    scene.json(&["study", "create", "--storage", &url, "--study-name", "s"]);
    let program = ["run", "--storage", &url, "--study-name", "s", "--", "sh", "-c", "sleep 600"];
    let mut worker = scene.command(&program).stderr(Stdio::null()).spawn().unwrap();
    let (_, schema) = url.rsplit_once("%3D").unwrap();
    let running = format!("SELECT count(*) FROM {schema}.trials WHERE state = 'RUNNING'");
    while server().sql(&running) != "1" {
        std::thread::yield_now();
    }
    worker.kill().unwrap();
    worker.wait().unwrap();
    let lines = scene.json(&["reap", "--storage", &url, "--study-name", "s"]);
    assert_eq!(lines[0]["number"], 0, "{lines:?}");
    let trials = scene.json(&["study", "trials", "--storage", &url]);
    let states: Vec<&Value> = trials.iter().map(|trial| &trial["state"]).collect();
    assert_eq!(states, ["FAIL", "WAITING"]);
}

#[test]
fn a_snapshot_is_a_file_with_the_servers_rows_and_the_doctor_looks_into_one() {
    let scene = Scene::new("servers-snapshot");
    let url = server().new_database("snapshot");
    let json = |arguments: &[&str]| scene.json(&[arguments, &["--storage", &url]].concat());
    json(&["run", &guest("quadratic"), "-n", "3"]);
    json(&["trial", "enqueue", "--param", "x=1.5"]);
    json(&["trial", "ask", "--search-space", "x=float(0, 2)"]);
    json(&["study", "snapshot", "copy.db"]);
    let trials = |storage: &str| scene.json(&["study", "trials", "--storage", storage]);
    assert_eq!(trials("copy.db"), trials(&url));
    let healthy = scene.trialbox(&["doctor", "--storage", &url]);
    assert_eq!(healthy.code, Some(0), "{healthy:?}");
    assert!(!healthy.stdout.contains("error["), "{healthy:?}");
    let (_, schema) = url.rsplit_once("%3D").unwrap();
    server().sql(&format!("UPDATE {schema}.trial_values SET value = NULL WHERE trial_id = 1"));
    let damaged = scene.trialbox(&["doctor", "--storage", &url]);
    assert_eq!(damaged.code, Some(3), "{damaged:?}");
    assert!(damaged.stdout.contains("trial 0 (id 1)"), "{damaged:?}");
    let repair = scene.trialbox(&["doctor", "--storage", &url, "--repair"]);
    repair.assert_error(2, &["`--repair` is for files"]);
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let scene = Scene::new("servers-silent");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgresql://a@{}/x", silent.local_addr().unwrap());
    let ran = scene.trialbox(&["study", "list", "--storage", &url, "--storage-timeout", "1s"]);
    ran.assert_error(3, &["no answer within", "--storage-timeout"]);
}

/// The results wait in the user's folder, under a name that is the same for all spellings of the address.
#[test]
fn a_result_that_the_server_does_not_take_waits_in_a_file() {
    let scene = Scene::new("servers-spool");
    let mut server = Postgres::start(10);
    let url = server.new_database("spool");
    let json = |arguments: &[&str]| {
        let flags = ["--storage", &url, "--study-name", "s", "--spool-dir", "spool"];
        scene.json(&[arguments, &flags].concat())
    };
    json(&["study", "create"]);
    json(&["trial", "ask", "--search-space", "x=float(0, 2)"]);
    server.crash();
    let tell = ["trial", "tell", "0", "--values", "0.5", "--storage-timeout", "1s"];
    let told = scene.trialbox(
        &[&tell[..], &["--storage", &url, "--study-name", "s", "--spool-dir", "spool"]].concat(),
    );
    assert!(std::fs::read_dir(scene.path("spool")).unwrap().count() == 1, "{told:?}");
    server.restart();
    scene.json(&["study", "sync", "--storage", &url, "--spool-dir", "spool"]);
    assert_eq!(json(&["study", "trials"])[0]["values"][0], 0.5);
}
