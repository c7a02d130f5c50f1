//! Workers of trialbox and of Python's Optuna that hold trials of one study at the same time, and keep apart.

use crate::scene::Scene;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// Half of them begin with a worker of ours, half with one of Python's.
const ROUNDS: usize = 40;

/// What the seeds of all workers are counted from.
const SEED: u64 = 7;

/// How many standard deviations a rank sum must be above its mean. Were the workers blind to each other, both
/// samples would be of one distribution, and it would be so with a probability of 0.001: from 20 distances
/// on, a rank sum is as good as normal, and what is equal counts against us. The seeds are fixed, so that
/// every run finds the same; measured were 4.6 (ours beside theirs), 4.2 (theirs beside ours) and 7.6 (all).
const BOUND: f64 = 3.09;

/// Two workers of each kind ask in turn, and all hold what they got until the last has asked. A trial that is
/// held has stored `x` alone: where its `y` lies is known from the shared relative parameters, or not at all,
/// in which case the trial counts for nothing. Against that, the same without a liar, where nothing is shared.
#[test]
fn workers_of_both_kinds_keep_apart_from_the_relative_params_that_the_others_share() {
    let (with, without) = std::thread::scope(|scope| {
        let without = scope.spawn(|| Workers::start("interop-liar-without", false).distances());
        (Workers::start("interop-liar-with", true).distances(), without.join().unwrap())
    });
    assert_farther("ours beside one of theirs", &with.ours, &without.ours);
    assert_farther("theirs beside one of ours", &with.theirs, &without.theirs);
    assert_farther("nearest of all four", &with.nearest, &without.nearest);
}

/// Distances of simultaneous proposals in the unit square.
#[derive(Default)]
struct Distances {
    /// From a proposal of ours to the only one that was held then, of Python's; one a round of every second.
    ours: Vec<f64>,
    /// The other way round.
    theirs: Vec<f64>,
    /// From a proposal to the nearest of the other three, its mean over the four; one a round.
    nearest: Vec<f64>,
}

/// Two workers of ours, which are processes that live for one `ask`, and two of Python's, on a study with 30
/// finished trials.
struct Workers {
    scene: Scene,
    is_liar: bool,
    pythons: [Python; 2],
}

/// A worker that is told what to do line by line.
struct Python {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// A trial that runs, and where its point is.
struct Held {
    number: u64,
    point: [f64; 2],
}

impl Workers {
    fn start(test: &str, is_liar: bool) -> Workers {
        let scene = Scene::new(test);
        let option = format!("constant_liar={is_liar}");
        let seed = SEED.to_string();
        let create = ["study", "create", "--storage", "study.db", "--study-name", "s"];
        let sampler = ["--seed", &seed, "--sampler", "tpe", "--sampler-opt", &option];
        scene.json(&[&create[..], &sampler].concat());
        let filled = scene.python("interop_liar.py", &["history", "study.db", "s"]).status();
        assert!(filled.unwrap().success());
        let pythons = [SEED, SEED + 1].map(|seed| Python::start(&scene, seed, is_liar));
        Workers { scene, is_liar, pythons }
    }

    fn distances(mut self) -> Distances {
        let mut distances = Distances::default();
        for round in 0..ROUNDS {
            let is_ours = |turn: usize| (round + turn) % 2 == 1;
            let held: Vec<Held> = (0..4)
                .map(|turn| if is_ours(turn) { self.ask_ours() } else { self.ask_python(turn / 2) })
                .collect();
            let second = distance(held[0].point, held[1].point);
            if is_ours(1) {
                distances.ours.push(second);
            } else {
                distances.theirs.push(second);
            }
            distances.nearest.push(mean_to_nearest(&held));
            // FAIL trials say nothing to TPE: every round begins as the first did.
            let numbers: Vec<String> = held.iter().map(|held| held.number.to_string()).collect();
            self.pythons[0].tell(&format!("fail {}", numbers.join(" ")));
        }
        self.pythons.into_iter().for_each(Python::end);
        distances
    }

    fn ask_ours(&self) -> Held {
        let unit = json!({ "type": "float", "low": 0.0, "high": 1.0 });
        let space =
            if self.is_liar { json!({ "x": unit }) } else { json!({ "x": unit, "y": unit }) };
        let study = ["--storage", "study.db", "--study-name", "s"];
        let ask = ["trial", "ask", "--search-space", &space.to_string()];
        let asked = &self.scene.json(&[&ask[..], &study].concat())[0];
        let show = ["trial", "show", &asked["number"].to_string()];
        let shown = &self.scene.json(&[&show[..], &study].concat())[0];
        let shared = &shown["system_attrs"]["tpe:relative_params:0"];
        self.held(
            &json!({ "number": asked["number"], "params": shown["params"], "shared": shared }),
        )
    }

    fn ask_python(&mut self, worker: usize) -> Held {
        let asked = self.pythons[worker].tell("ask");
        self.held(&asked)
    }

    /// With a liar, `x` is stored and the whole point is shared; without, the other way round.
    #[track_caller]
    fn held(&self, asked: &Value) -> Held {
        let (params, shared) = (&asked["params"], &asked["shared"]);
        let point = if self.is_liar {
            let point: Value = serde_json::from_str(shared.as_str().unwrap()).unwrap();
            assert_eq!(*params, json!({ "x": point["x"] }));
            point
        } else {
            assert_eq!(*shared, Value::Null);
            params.clone()
        };
        let point = ["x", "y"].map(|name| point[name].as_f64().unwrap());
        Held { number: asked["number"].as_u64().unwrap(), point }
    }
}

impl Python {
    fn start(scene: &Scene, seed: u64, is_liar: bool) -> Python {
        let (seed, is_liar) = (seed.to_string(), is_liar.to_string());
        let mut command =
            scene.python("interop_liar.py", &["worker", "study.db", "s", &seed, &is_liar]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (commands, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Python { process, commands, answers: BufReader::new(answers) }
    }

    #[track_caller]
    fn tell(&mut self, command: &str) -> Value {
        writeln!(self.commands, "{command}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn end(self) {
        let Python { mut process, commands, .. } = self;
        // The end of its commands is its end.
        drop(commands);
        assert!(process.wait().unwrap().success());
    }
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

fn mean_to_nearest(held: &[Held]) -> f64 {
    let nearest = |one: &Held| {
        let others = held.iter().filter(|other| other.number != one.number);
        others.map(|other| distance(one.point, other.point)).fold(f64::INFINITY, f64::min)
    };
    held.iter().map(nearest).sum::<f64>() / held.len() as f64
}

/// The first sample is larger: the test of Mann and Whitney 1947, "On a Test of Whether one of Two Random
/// Variables is Stochastically Larger than the Other", by its normal approximation.
#[track_caller]
fn assert_farther(what: &str, with: &[f64], without: &[f64]) {
    let (n, m) = (with.len() as f64, without.len() as f64);
    assert_eq!(with.len() % (ROUNDS / 2), 0);
    let pairs = with.iter().flat_map(|a| without.iter().map(move |b| (a, b)));
    let n_larger = pairs.filter(|(a, b)| a > b).count() as f64;
    let z = (n_larger - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt();
    let (with, without) = (with.iter().sum::<f64>() / n, without.iter().sum::<f64>() / m);
    assert!(z > BOUND, "{what}: {with} with a liar, {without} without, z = {z}");
}
