//! Python's Optuna as a [`Proposer`]: a process that is asked and told in lines of JSON.

use crate::noise::mix;
use crate::problem::{Measured, ParamSpec, Point, Problem};
use crate::proposer::Proposer;
use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use trialbox_core::Json;

/// The prefix of the names of Optuna's samplers: `optuna-tpe`.
pub(crate) const PREFIX: &str = "optuna-";

/// One of Optuna's samplers with its default options.
pub(crate) struct OptunaProposer {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    sampler: String,
}

impl OptunaProposer {
    /// Starts `script` with an interpreter that has Optuna. `sampler` is a name without its prefix.
    ///
    /// # Errors
    /// Fails if the interpreter cannot be started.
    pub(crate) fn start(python: &Path, script: &Path, sampler: &str) -> Result<Self> {
        let mut process = Command::new(python)
            .arg(script)
            // One core each, as ours.
            .envs(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"].map(|name| (name, "1")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start `{}`", python.display()))?;
        let (Some(requests), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("`{}` has no pipes", python.display());
        };
        let answers = BufReader::new(answers);
        Ok(OptunaProposer { process, requests, answers, sampler: sampler.to_owned() })
    }

    /// Begins a new study with a sampler that has these options besides its defaults.
    ///
    /// # Errors
    /// Fails if the process has ended.
    pub(crate) fn begin_study(
        &mut self,
        params: &[ParamSpec],
        n_objectives: usize,
        seed: u64,
        options: &[(&str, Json)],
    ) -> Result<()> {
        let request = Json::object([
            ("begin", Json::from(self.sampler.as_str())),
            ("seed", Json::from(seed)),
            ("n_objectives", Json::from(n_objectives as u64)),
            ("params", Json::Array(params.iter().map(spec_json).collect())),
            ("options", Json::object(options.iter().map(|(name, value)| (*name, value.clone())))),
        ]);
        self.call(&request).map(|_| ())
    }

    /// Sends a request and returns the answer.
    ///
    /// # Errors
    /// Fails if the process has ended; its standard error says why.
    pub(crate) fn call(&mut self, request: &Json) -> Result<Json> {
        let ended = "Optuna's process ended; its traceback is above";
        writeln!(self.requests, "{request}").context(ended)?;
        let mut line = String::new();
        self.answers.read_line(&mut line).context(ended)?;
        Json::parse(&line).context(ended)
    }
}

impl Drop for OptunaProposer {
    fn drop(&mut self) {
        // Nothing is lost: the process holds no state that is needed again.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Proposer for OptunaProposer {
    fn begin(&mut self, problem: &Problem, seed: u64) -> Result<()> {
        // As ours: the same seed is another stream on another problem. Optuna takes 32 bits.
        let seed = mix(seed, problem.name) & u64::from(u32::MAX);
        self.begin_study(&problem.params, problem.n_objectives(), seed, &[])
    }

    fn ask(&mut self, _problem: &Problem) -> Result<Point> {
        match self.call(&Json::object([("ask", Json::from(true))]))? {
            Json::Object(params) => Ok(Point(params.into_iter().collect())),
            other => bail!("expected an object from Optuna, found {other}"),
        }
    }

    fn tell(&mut self, number: usize, measured: &Measured) -> Result<()> {
        let list =
            |values: &[f64]| Json::Array(values.iter().map(|value| Json::from(*value)).collect());
        let request = Json::object([
            ("tell", Json::from(number as u64)),
            ("values", list(&measured.values)),
            ("constraints", list(&measured.constraints)),
        ]);
        self.call(&request).map(|_| ())
    }
}

/// Returns a parameter as the script reads it: Optuna's own JSON of the distribution, and when it exists.
pub(crate) fn spec_json(spec: &ParamSpec) -> Json {
    let condition = spec.condition.as_ref().map_or(Json::Null, |(parent, values)| {
        let values = values.iter().map(|value| Json::from(value.as_str())).collect();
        Json::object([("parent", Json::from(parent.as_str())), ("values", Json::Array(values))])
    });
    Json::object([
        ("name", Json::from(spec.name.as_str())),
        // The text that Optuna's `json_to_distribution` takes.
        ("distribution", Json::from(spec.distribution.to_json_text())),
        ("condition", condition),
    ])
}
