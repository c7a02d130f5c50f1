//! A thousand random components: whatever they do, the host lives, and every trial that started is on record.

use crate::scene::{Ran, Scene, root};
use crate::scripted::{self, Call, Choice, Ending, float};
use arbitrary::Unstructured;
use rand_core::Rng as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use trialbox_core::TrialNumber;
use trialbox_core::seam::rng::{TrialRng, below, trial_rng};
use wasm_smith::{Component, Config, Module};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

const COMPONENTS: u32 = 1_000;

/// How many of them must at least have begun a trial, so that the test goes on looking at what it is for.
const MUST_BEGIN: usize = 600;

/// How long a process may take before it counts as hung, many times what the slowest is seen to take; as
/// coreutils' `timeout` reads it.
const PATIENCE: &str = "300s";

#[test]
fn of_a_thousand_random_components_none_hangs_the_host_breaks_it_or_goes_unrecorded() {
    let scene = Scene::new("random-components");
    let factory = Factory::new();
    let next = AtomicU32::new(0);
    let ends = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let seeds = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                for seed in seeds.take_while(|seed| *seed < COMPONENTS) {
                    let end = run(&scene, seed, &factory.component(seed));
                    ends.lock().unwrap().push(end);
                }
            });
        }
    });
    check_records(&scene, &ends.into_inner().unwrap());
}

/// How a run of one component ended.
#[derive(Debug)]
enum End {
    /// The file was refused, with the code of the reason.
    Rejected(String),
    /// A trial began, and this is the event that tells of its end.
    Trial(Value),
}

impl End {
    /// The number, the state and the failure's code of the trial that the process told of.
    fn told(&self) -> Option<(u64, (Value, Value))> {
        let End::Trial(trial) = self else { return None };
        let end = (trial["state"].clone(), trial["failure"]["code"].clone());
        Some((trial["number"].as_u64().unwrap(), end))
    }

    /// How far the component got.
    fn kind(&self) -> String {
        match self {
            End::Rejected(code) => format!("rejected {code}"),
            End::Trial(trial) => {
                let code = trial["failure"]["code"].as_str().unwrap_or_default();
                format!("{} {code}", trial["state"].as_str().unwrap()).trim_end().to_owned()
            }
        }
    }
}

/// Runs a component as a job would, all in one study; the component stays in the scene's folder.
fn run(scene: &Scene, seed: u32, component: &[u8]) -> End {
    let file = format!("{seed}.wasm");
    std::fs::write(scene.path(&file), component).unwrap();
    let mut command = Command::new("timeout");
    command.args(["--signal", "KILL", PATIENCE, env!("CARGO_BIN_EXE_trialbox")]);
    command.args(["run", &file, "--study-name", "random", "--sampler", "random", "--no-cache"]);
    command.arg("--allow-module-change");
    // `describe` runs while loading, and may have no end either. Few do: on a busy machine the others must get through.
    command.args(["--max-memory", "64MiB", "--trial-timeout", "1s", "--compile-timeout", "15s"]);
    command.args(["--format", "json"]);
    scene.isolate(&mut command);
    let ran = Ran::from(command.output().unwrap());
    // Whichever of the two processes panics: it is our code and not the guest's, which has no words of its own.
    assert!(!format!("{ran:?}").contains("panicked at"), "{file}: {ran:?}");
    let mut lines = ran.json();
    assert_eq!(lines.len(), 1, "{file}: {ran:?}");
    let event = lines.remove(0);
    match (ran.code, event["event"].as_str()) {
        (Some(code @ (0 | 1)), Some("trial")) => {
            let is_failed = event["state"] == "FAIL";
            assert_eq!(code == 1, is_failed, "{file}: {ran:?}");
            assert_eq!(event["failure"]["code"].is_string(), is_failed, "{file}: {ran:?}");
            End::Trial(event)
        }
        (Some(4), Some("error")) => End::Rejected(event["code"].as_str().unwrap().to_owned()),
        _ => panic!("{file}: {ran:?}"),
    }
}

/// Every end is in the database as it was told, and nothing else is.
fn check_records(scene: &Scene, ends: &[End]) {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for end in ends {
        *kinds.entry(end.kind()).or_default() += 1;
    }
    assert_eq!(ends.len(), COMPONENTS as usize, "{kinds:#?}");
    // Nothing that a guest does may end the process that it runs in.
    assert!(!kinds.keys().any(|kind| kind.ends_with("E-DIED")), "{kinds:#?}");

    let told: BTreeMap<u64, (Value, Value)> = ends.iter().filter_map(End::told).collect();
    let began = ends.iter().filter(|end| matches!(end, End::Trial(_))).count();
    assert_eq!(told.len(), began, "each trial has a number of its own");
    let stored = scene.json(&["study", "trials", "--study-name", "random"]);
    let stored: BTreeMap<u64, (Value, Value)> = stored
        .iter()
        .map(|trial| {
            let failure = &trial["system_attrs"]["trialbox:failure"]["code"];
            (trial["number"].as_u64().unwrap(), (trial["state"].clone(), failure.clone()))
        })
        .collect();
    assert_eq!(stored, told);
    assert!(began >= MUST_BEGIN, "only {began} began a trial: {kinds:#?}");
    let ran = scene.trialbox(&["doctor", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json().last().unwrap()["errors"], 0, "{ran:?}");
}

/// Makes components from seeds.
struct Factory {
    resolve: Resolve,
    /// What an objective must be, and what it may be.
    worlds: [WorldId; 2],
    /// An honest objective, to be damaged.
    honest: Vec<u8>,
}

impl Factory {
    fn new() -> Self {
        let mut resolve = Resolve::default();
        let wit = std::fs::read_to_string(root().join("guest-sdk/wit/objective.wit")).unwrap();
        let package = resolve.push_source("objective.wit", &wit).unwrap();
        let worlds = ["minimal", "described"]
            .map(|world| resolve.select_world(&[package], Some(world)).unwrap());
        Factory { resolve, worlds, honest: honest_objective() }
    }

    /// The component of a seed: of ten, seven are random code behind the contract's imports and exports, two are
    /// an honest objective with some damage, and one is any component at all.
    fn component(&self, seed: u32) -> Vec<u8> {
        let mut rng = trial_rng(1, TrialNumber(seed));
        match seed % 10 {
            0 => {
                let bytes = random_bytes(&mut rng);
                Component::new(config(&mut rng), &mut Unstructured::new(&bytes)).unwrap().to_bytes()
            }
            1 | 2 => damaged(&self.honest, &mut rng),
            _ => self.random_objective(&mut rng),
        }
    }

    fn random_objective(&self, rng: &mut TrialRng) -> Vec<u8> {
        let world = self.worlds[usize::from(below(16, rng) == 0)];
        let abi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
        let shape = dummy_module(&self.resolve, world, abi);
        let config =
            Config { available_imports: Some(shape.clone()), exports: Some(shape), ..config(rng) };
        let bytes = random_bytes(rng);
        let mut module = Module::new(config, &mut Unstructured::new(&bytes)).unwrap();
        if below(8, rng) != 0 {
            module.ensure_termination(10_000).unwrap();
        }
        let mut module = module.to_bytes();
        embed_component_metadata(&mut module, &self.resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
    }
}

fn random_bytes(rng: &mut TrialRng) -> Vec<u8> {
    let mut bytes = vec![0; 1 << (8 + below(7, rng))];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// Code as the sandbox's engine accepts it, and now and then whatever wasm-smith can think of.
fn config(rng: &mut TrialRng) -> Config {
    let any = below(32, rng) == 0;
    Config {
        exceptions_enabled: any,
        gc_enabled: any,
        memory64_enabled: any,
        reference_types_enabled: any,
        threads_enabled: any,
        disallow_traps: below(2, rng) == 0,
        max_memory32_bytes: 128 << 20,
        ..Config::default()
    }
}

/// Flips, cuts and inserts a few bytes.
fn damaged(honest: &[u8], rng: &mut TrialRng) -> Vec<u8> {
    let mut bytes = honest.to_vec();
    for _ in 0..=below(3, rng) {
        let at = below(bytes.len() as u64, rng) as usize;
        match below(8, rng) {
            0 => bytes.truncate(at.max(8)),
            1 => {
                bytes.drain(at..(at + 4).min(bytes.len()));
            }
            2 => bytes.insert(at, rng.next_u32() as u8),
            _ => bytes[at] ^= 1 << below(8, rng),
        }
    }
    bytes
}

/// An objective that makes use of all that it is offered.
fn honest_objective() -> Vec<u8> {
    let calls = [
        float("x", -1.0, 1.0),
        Call::Float { name: "y", low: 0.0, high: 1.0, log: false, step: Some(0.25) },
        Call::Int { name: "n", low: 1, high: 100, log: true, step: 1 },
        Call::Categorical {
            name: "kind",
            choices: &[
                Choice::None,
                Choice::Bool(true),
                Choice::Int(7),
                Choice::Real(0.5),
                Choice::Text("seven"),
            ],
        },
        Call::Report(0.5, 1),
        Call::Reports(100),
        Call::ObeyPruner,
        Call::Attr { key: "note", json: "{\"a\": [1, null]}" },
        Call::Constraint { name: "c", value: -1.0 },
    ];
    scripted::component(&calls, &Ending::Floats(1))
}
