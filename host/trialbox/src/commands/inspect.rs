//! `trialbox inspect`: what an objective is, wants and asks for.

use crate::args::objective::{
    ObjectiveArgs, ReadyObjective, described_directions, objective_name, show_directions,
};
use crate::args::storage::parse_duration;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::study::scratch::Scratch;
use crate::view::output::Output;
use crate::view::record::to_value;
use crate::view::trial::{show_bytes, show_duration};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use trialbox_core::seam::pruner::{Judgement, Pruner, RunningTrial};
use trialbox_core::session::SessionLimits;
use trialbox_core::study::artifact::{Artifact, Description};
use trialbox_core::study::failure::FailureCode;
use trialbox_core::study::limits::Limit;
use trialbox_core::study::record::NewStudy;
use trialbox_core::{History, Json, Param, StudyDirection};
use trialbox_runtime::{Cancellation, read_artifact};
use trialbox_samplers::SamplerConfig;

const EXAMPLES: &str = "\
Examples:
  trialbox inspect quadratic.wasm
  trialbox inspect digits.wasm --dir data::/data --format json
  trialbox inspect somebody-elses.wasm --no-probe          look without running it";

/// Show what an objective is, what it wants and which parameters it asks for.
///
/// The parameters are found out by calling the objective once, with every parameter in the middle of its
/// range, until it first asks whether to stop or the probing time is over. Another branch of a conditional
/// search space may ask for others.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The objective: a wasm component
    objective: PathBuf,

    /// Do not call the objective to find out its parameters
    #[arg(long)]
    no_probe: bool,

    /// How long the call may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    probe_timeout: Duration,

    #[command(flatten)]
    sandbox: ObjectiveArgs,
}

impl InspectArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let file = Arc::new(read_artifact(&self.objective, &self.sandbox.limits())?);
        let mut ready = self.sandbox.load(&file, &Cancellation::default())?;
        let probe = if self.no_probe { Probe::default() } else { self.probe(&mut ready)? };
        let text = describe_text(&file, &ready, &probe);
        output.result(&text, || describe_json(&file, &ready, &probe));
        Ok(ExitCode::Done)
    }

    /// Calls the objective until it has asked for its parameters.
    fn probe(&self, ready: &mut ReadyObjective) -> Result<Probe, crate::error::CommandError> {
        let mut limits = self.sandbox.limits();
        limits.set(Limit::TrialTime, self.probe_timeout.as_millis().try_into().ok());
        ready.door.set_terms(limits, self.sandbox.deterministic)?;
        let scratch = Scratch {
            study: NewStudy {
                name: objective_name(&ready.loaded, &self.objective),
                directions: described_directions(&ready.loaded)
                    .unwrap_or_else(|| vec![StudyDirection::Minimize]),
                user_attrs: vec![],
                system_attrs: vec![],
            },
            params: vec![],
            sampler: SamplerConfig::Midpoint,
            seed: 0,
            pruner: &AlwaysPruner,
            limits: SessionLimits { limits, ..SessionLimits::default() },
        };
        let (_, trial) = scratch.run(ready.door.as_mut(), &mut |_| ())?;
        // A call that was cut short has told what it was made for.
        let failure = trial.failure.filter(|failure| failure.code != FailureCode::Time);
        Ok(Probe {
            params: trial.params,
            problem: failure.map(|failure| format!("{}: {}", failure.code, failure.message)),
        })
    }
}

/// What calling the objective once has shown.
#[derive(Debug, Default)]
struct Probe {
    params: Vec<(String, Param)>,
    /// Why the call failed, if it did: data that is not granted, for instance.
    problem: Option<String>,
}

/// Cancellation an objective as soon as it asks.
struct AlwaysPruner;

impl Pruner for AlwaysPruner {
    fn uses_history(&self) -> bool {
        false
    }

    fn judge(&self, _history: &History, _current: &RunningTrial) -> Judgement {
        Judgement::new(true)
    }
}

fn describe_text(artifact: &Artifact, ready: &ReadyObjective, probe: &Probe) -> String {
    let mut text = match &ready.loaded.description {
        Some(description) => heading(description),
        None => format!("{}: says nothing of itself\n", artifact.path.display()),
    };
    let mut line = |label: &str, value: String| text.push_str(&format!("  {label:<12} {value}\n"));
    line(
        "file",
        format!("{}, {}", artifact.path.display(), show_bytes(artifact.bytes.len() as u64)),
    );
    line("sha256", artifact.sha256.clone());
    line("contract", format!("trialbox:objective@{}", artifact.contract_version));
    line("imports", artifact.imports.join(", "));
    let load_time = show_duration(ready.loaded.load_time);
    line(
        "ready in",
        format!(
            "{load_time}{}",
            if ready.loaded.from_cache { ", compiled before" } else { ", compiled now" }
        ),
    );
    line("confined by", ready.door.confinement(&ready.loaded));
    if ready.loaded.small_address_space {
        line("note", "addresses are limited (ulimit -v): 1.3 to 1.7 times slower".to_owned());
    }
    if let Some(description) = &ready.loaded.description {
        for source in &description.data {
            line("reads", format!("{}: {}", clean(&source.path), clean(&source.summary)));
        }
        for (key, value) in &description.extra {
            line(&clean(key), clean(value));
        }
    }
    for (name, param) in &probe.params {
        line("parameter", format!("{}: {}", clean(name), clean(&param.distribution.to_string())));
    }
    if let Some(problem) = &probe.problem {
        text.push_str(&format!(
            "  the probing call failed, so there may be more parameters: {problem}\n"
        ));
    }
    text
}

fn heading(description: &Description) -> String {
    let metrics: Vec<String> = description
        .metrics
        .iter()
        .map(|metric| {
            let direction =
                if metric.maximize { StudyDirection::Maximize } else { StudyDirection::Minimize };
            let name = metric.name.as_deref().unwrap_or("its value");
            format!("{} {}", show_directions(&[direction]), clean(name))
        })
        .collect();
    let mut text = format!(
        "{} {}: {}\n",
        clean(&description.name),
        clean(&description.version),
        metrics.join(", ")
    );
    if !description.summary.is_empty() {
        text.push_str(&format!("  {}\n", clean(&description.summary)));
    }
    text
}

fn describe_json(artifact: &Artifact, ready: &ReadyObjective, probe: &Probe) -> Value {
    let description = ready.loaded.description.as_ref().map(|found| {
        let metrics = found.metrics.iter().map(|metric| {
            json!({ "name": metric.name, "direction": if metric.maximize { "maximize" } else { "minimize" } })
        });
        let data = found.data.iter().map(|source| {
            json!({ "path": source.path, "summary": source.summary, "sha256": source.sha256 })
        });
        json!({
            "name": found.name,
            "version": found.version,
            "summary": found.summary,
            "metrics": metrics.collect::<Vec<_>>(),
            "data": data.collect::<Vec<_>>(),
            "extra": found.extra.iter().map(|(key, text)| {
                (key.clone(), Json::parse(text).map_or(Value::from(text.clone()), |value| to_value(&value)))
            }).collect::<serde_json::Map<_, _>>(),
        })
    });
    let params = probe.params.iter().map(|(name, param)| {
        let distribution = Json::parse(&param.distribution.to_json_text());
        json!({ "name": name, "distribution": distribution.map_or(Value::Null, |json| to_value(&json)) })
    });
    json!({
        "event": "objective",
        "file": artifact.path.display().to_string(),
        "size_bytes": artifact.bytes.len(),
        "sha256": artifact.sha256,
        "contract_version": artifact.contract_version,
        "imports": artifact.imports,
        "exports": artifact.exports,
        "from_cache": ready.loaded.from_cache,
        "landlock_abi": ready.loaded.landlock_abi,
        "seccomp": ready.loaded.seccomp,
        "small_address_space": ready.loaded.small_address_space,
        "load_seconds": ready.loaded.load_time.as_secs_f64(),
        "description": description,
        "params": params.collect::<Vec<_>>(),
        "probe_problem": probe.problem,
    })
}

/// Text of the author's, in one line of bounded length.
fn clean(text: &str) -> String {
    trialbox_core::value::text::clean(text).replace(['\n', '\t'], " ").chars().take(4096).collect()
}
