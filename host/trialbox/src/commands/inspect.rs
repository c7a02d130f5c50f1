//! `trialbox inspect`: describes an objective, its needs and its parameters.

use crate::args::chosen::Chosen;
use crate::args::objective::{ObjectiveArgs, ObjectivePlan, ReadyObjective, objective_name};
use crate::args::program::ProgramArgs;
use crate::args::quantity::parse_duration;
use crate::args::trusted::TrustedPlaces;
use crate::commands::submit::shell_quote;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::project::found::or_in_folder;
use crate::study::probe::{Probe, probe};
use crate::study::provenance::{contract_version, git_revision, program_files};
use crate::study::sample::Sample;
use crate::view::output::Output;
use crate::view::record::{
    ComponentRecord, DataRecord, DeclaredParamRecord, DescriptionRecord, GitRecord, MetricRecord,
    ParamRecord, ProgramFileRecord, ProgramRecord, Rendered, distribution, to_value,
};
use crate::view::rights::{rights, rights_text};
use crate::view::trial::show_duration;
use std::path::PathBuf;
use std::time::Duration;
use trialbox_core::study::artifact::{Artifact, Description, Metric};
use trialbox_core::value::text::byte_size;
use trialbox_core::{Json, StudyDirection};
use trialbox_program::ProgramConfig;
use trialbox_runtime::{Cancellation, PythonRuntime, Stamp};

const EXAMPLES: &str = "\
Examples:
  trialbox inspect quadratic.wasm
  trialbox inspect digits.wasm --dir data::/data --format json
  trialbox inspect foreign.wasm --no-probe          look without running it
  trialbox inspect --space 'lr=log(1e-5, 0.1)' -- python train.py --lr {lr}     without running it";

/// Describe an objective and the parameters that it suggests.
///
/// The command calls the objective once, with every parameter in the middle of its range, and lists the parameters
/// that are suggested. The call ends when the objective first asks whether to stop, or after --probe-timeout. Another
/// branch of a conditional search space may suggest other parameters. A program is not called.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The objective: a wasm component
    objective: Option<PathBuf>,

    /// Do not call the objective; show no parameters
    #[arg(long)]
    no_probe: bool,

    /// Time limit of the call
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    probe_timeout: Duration,

    #[command(flatten)]
    program: ProgramArgs,

    #[command(flatten)]
    sandbox: ObjectiveArgs,
}

impl InspectArgs {
    pub(crate) fn run(mut self, output: &Output) -> CommandResult {
        or_in_folder(&mut self.objective, self.program.is_given(), output)?;
        let chosen = Chosen {
            component: self.objective.as_deref(),
            program: &self.program,
            sandbox: &self.sandbox,
        };
        let plan = chosen.plan(&Cancellation::default(), TrustedPlaces::default())?;
        let mut ready = plan.load()?;
        let component = match &plan {
            ObjectivePlan::Component(component) => component,
            ObjectivePlan::Program(config) => {
                let record = program_record(config);
                output.print(&Rendered::new(program_text(config, &record), record));
                return Ok(ExitCode::Done);
            }
        };
        let file = &component.artifact;
        let probe = if self.no_probe {
            Probe::default()
        } else {
            let name = objective_name(&ready.loaded, &file.path);
            let limits = self.sandbox.limits();
            probe(&mut ready, name, limits, self.sandbox.deterministic, self.probe_timeout)?
        };
        let runtime = component.runtime().map(PythonRuntime::label);
        let env_names: Vec<&str> = self.sandbox.env_names().collect();
        let rights = rights(file, plan.grants(), &env_names, self.sandbox.deterministic);
        let lines =
            [("may", rights_text(&rights)), ("was run", run_text(self.no_probe).to_owned())];
        let text = describe_text(file, runtime, &ready, &probe, &lines);
        let record = ComponentRecord { rights, ..component_record(file, runtime, &ready, &probe) };
        output.print(&Rendered::new(text, record));
        Ok(ExitCode::Done)
    }
}

fn program_record(config: &ProgramConfig) -> ProgramRecord {
    let command = &config.command;
    let executable = command.executable().unwrap_or_else(|| command.program().into());
    let executable = std::path::absolute(&executable).unwrap_or(executable);
    let files = program_files(command).into_iter();
    let params = command.space().params().iter().map(|param| {
        let when = param.when.iter().map(|condition| {
            (condition.param.clone(), condition.values.iter().map(to_value).collect())
        });
        DeclaredParamRecord {
            name: param.name.clone(),
            distribution: distribution(&param.distribution),
            when: when.collect(),
        }
    });
    let constraints = command.space().relations().iter().map(|relation| relation.text().to_owned());
    let git = git_revision().and_then(|git| {
        let revision = git.get_str("revision")?.to_owned();
        Some(GitRecord { revision, dirty: git.get("dirty") == Some(&Json::Bool(true)) })
    });
    ProgramRecord {
        sandboxed: false,
        command: command.words_text(),
        executable: executable.display().to_string(),
        files: files
            .map(|file| ProgramFileRecord { path: file.path, sha256: file.sha256 })
            .collect(),
        directory: std::env::current_dir().ok().map(|folder| folder.display().to_string()),
        git,
        value: config.value_source.text(),
        as_optuna: config.as_optuna,
        params: params.collect(),
        constraints: constraints.collect(),
    }
}

fn program_text(config: &ProgramConfig, record: &ProgramRecord) -> String {
    let words: Vec<String> = record.command.iter().map(|word| shell_quote(word)).collect();
    let mut text = format!("{}: a program\n", clean(&words.join(" ")));
    let mut line = |label: &str, value: &str| {
        text.push_str(&format!("  {label:<12} {}\n", clean(value)));
    };
    line("confined by", &config.rights_text());
    line("executable", &record.executable);
    for file in &record.files {
        line("file", &file.path);
        line(
            "sha256",
            file.sha256.as_deref().unwrap_or("not read: more than 16 MiB, or unreadable"),
        );
    }
    line("folder", record.directory.as_deref().unwrap_or("unknown"));
    match &record.git {
        Some(GitRecord { revision, dirty: false }) => line("git", revision),
        Some(GitRecord { revision, dirty: true }) => {
            line("git", &format!("{revision}, with changes that are not committed"));
        }
        None => line("git", "not a work tree with a commit"),
    }
    line("value from", &config.value_source.to_string());
    if record.as_optuna {
        line("optuna", "trialbox's module");
    }
    for param in config.command.space().params() {
        let when = param.when.iter().map(|condition| {
            let values: Vec<String> = condition.values.iter().map(ToString::to_string).collect();
            format!(", if `{}` is {}", condition.param, values.join(" or "))
        });
        let when: String = when.collect();
        line("parameter", &format!("{}: {}{when}", param.name, param.distribution));
    }
    for relation in config.command.space().relations() {
        line("constraint", relation.text());
    }
    if config.command.space().is_empty() {
        text.push_str(
            "  The program suggests its parameters while it runs; `trialbox eval` shows them.\n",
        );
    }
    text
}

fn describe_text(
    artifact: &Artifact,
    runtime: Option<&str>,
    ready: &ReadyObjective,
    probe: &Probe,
    more: &[(&str, String)],
) -> String {
    let mut text = match &ready.loaded.description {
        Some(description) => heading(description),
        None => format!("{}: no description\n", artifact.path.display()),
    };
    let mut line = |label: &str, value: String| text.push_str(&format!("  {label:<12} {value}\n"));
    line(
        "file",
        format!("{}, {}", artifact.path.display(), byte_size(artifact.bytes.len() as u64)),
    );
    line("sha256", artifact.sha256.clone());
    if let Some(runtime) = runtime {
        line("runtime", runtime.to_owned());
    } else {
        line("contract", format!("trialbox:objective@{}", artifact.contract_version));
        line("imports", artifact.imports.join(", "));
    }
    for (label, value) in stamp_lines(&Stamp::read(&artifact.bytes)) {
        line(label, clean(&value));
    }
    let load_time = show_duration(ready.loaded.load_time);
    line(
        "ready in",
        format!(
            "{load_time}{}",
            if ready.loaded.from_cache { ", compiled before" } else { ", compiled now" }
        ),
    );
    for (label, value) in more {
        line(label, value.clone());
    }
    line("confined by", ready.door.confinement(&ready.loaded));
    if let Some(sample) = sample_platform(artifact) {
        line("sample", format!("a trial on {sample}; trialbox verify runs it again"));
    }
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
    if !probe.params.is_empty() && probe.problem.is_none() {
        text.push_str(
            "  These are the parameters of one call, at the middle of each range; other branches may have others.\n",
        );
    }
    if let Some(problem) = &probe.problem {
        text.push_str(&format!(
            "  the probing call failed, so there may be more parameters: {problem}\n"
        ));
    }
    text
}

/// Returns which code of the objective this command has run.
fn run_text(no_probe: bool) -> &'static str {
    match no_probe {
        true => "its description alone, in the sandbox",
        false => "its description and one call, in the sandbox",
    }
}

/// Returns the machine of the sample trial that a component carries.
fn sample_platform(artifact: &Artifact) -> Option<String> {
    let sample = Sample::from_text(&Stamp::read_sample(&artifact.bytes)?).ok()?;
    Some(sample.platform)
}

/// Returns what a component says that it was built from.
fn stamp_lines(stamp: &Stamp) -> Vec<(&'static str, String)> {
    let built = match (&stamp.name, &stamp.version) {
        (Some(name), Some(version)) => Some(format!("{name} {version}")),
        _ => None,
    };
    let tools: Vec<&str> =
        [&stamp.built_by, &stamp.sdk].into_iter().flatten().map(String::as_str).collect();
    let tools = (!tools.is_empty()).then(|| tools.join(", "));
    [
        ("built from", built),
        ("licence", stamp.license.clone()),
        ("source", stamp.source.clone()),
        ("revision", stamp.revision.clone()),
        ("built with", tools),
    ]
    .into_iter()
    .filter_map(|(label, value)| Some((label, value?)))
    .collect()
}

fn heading(description: &Description) -> String {
    let metrics: Vec<String> = description
        .metrics
        .iter()
        .map(|metric| {
            let name = metric.name.as_deref().unwrap_or("its value");
            format!("{} {}", direction_of(metric), clean(name))
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

fn component_record(
    artifact: &Artifact,
    runtime: Option<&str>,
    ready: &ReadyObjective,
    probe: &Probe,
) -> ComponentRecord {
    let params = probe.params.iter().map(|(name, param)| ParamRecord {
        name: name.clone(),
        distribution: distribution(&param.distribution),
    });
    ComponentRecord {
        file: artifact.path.display().to_string(),
        size_bytes: artifact.bytes.len(),
        sha256: artifact.sha256.clone(),
        contract_version: contract_version(artifact).map(str::to_owned),
        runtime: runtime.map(str::to_owned),
        rights: vec![],
        sample_recorded_on: sample_platform(artifact),
        imports: artifact.imports.clone(),
        exports: artifact.exports.clone(),
        stamp: Some(Stamp::read(&artifact.bytes))
            .filter(|stamp| *stamp != Stamp::default())
            .as_ref()
            .map(Into::into),
        from_cache: ready.loaded.from_cache,
        landlock_abi: ready.loaded.landlock_abi,
        seccomp: ready.loaded.seccomp,
        second_filter: ready.loaded.second_filter,
        empty_root: ready.loaded.empty_root,
        small_address_space: ready.loaded.small_address_space,
        load_seconds: ready.loaded.load_time.as_secs_f64(),
        description: ready.loaded.description.as_ref().map(description_record),
        params: params.collect(),
        probe_problem: probe.problem.clone(),
    }
}

fn description_record(description: &Description) -> DescriptionRecord {
    let metrics = description.metrics.iter().map(|metric| MetricRecord {
        name: metric.name.clone(),
        direction: direction_of(metric).to_string(),
    });
    let data = description.data.iter().map(|source| DataRecord {
        path: source.path.clone(),
        summary: source.summary.clone(),
        sha256: source.sha256.clone(),
    });
    let extra = description.extra.iter().map(|(key, text)| match Json::parse(text) {
        Ok(value) => (key.clone(), to_value(&value)),
        Err(_) => (key.clone(), text.clone().into()),
    });
    DescriptionRecord {
        name: description.name.clone(),
        version: description.version.clone(),
        summary: description.summary.clone(),
        metrics: metrics.collect(),
        data: data.collect(),
        extra: extra.collect(),
    }
}

fn direction_of(metric: &Metric) -> StudyDirection {
    if metric.maximize { StudyDirection::Maximize } else { StudyDirection::Minimize }
}

/// Text of the author's, in one line of bounded length.
fn clean(text: &str) -> String {
    trialbox_core::value::text::clean(text).replace(['\n', '\t'], " ").chars().take(4096).collect()
}
