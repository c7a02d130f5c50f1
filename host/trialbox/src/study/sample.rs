//! A trial that travels inside a module, by which others see that the module works where they are.

use crate::error::CommandError;
use trialbox_core::Json;
use trialbox_core::run::FinishedTrial;
use trialbox_core::value::text::one_line;

/// The version of the format.
const VERSION: u64 = 1;

/// A recorded trial.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// The parameters.
    pub(crate) params: Vec<(String, Json)>,
    /// The seed of the objective's random numbers.
    pub(crate) seed: u64,
    /// True if the trial ran with the same bits on every machine.
    pub(crate) deterministic: bool,
    /// The result.
    result: SampleResult,
    /// The kind of machine, and the version of trialbox.
    pub(crate) platform: String,
    /// The time that the trial ran.
    pub(crate) seconds: f64,
}

/// The part of a trial that two runs of a sample have in common.
#[derive(Debug, Clone, PartialEq)]
struct SampleResult {
    state: String,
    values: Vec<f64>,
    n_reports: u64,
}

impl SampleResult {
    fn of(trial: &FinishedTrial) -> Self {
        SampleResult {
            state: trial.state.to_string(),
            values: trial.values.clone(),
            n_reports: trial.n_reports,
        }
    }
}

impl Sample {
    /// Returns a trial as a sample.
    pub(crate) fn of(trial: &FinishedTrial, seed: u64, deterministic: bool) -> Self {
        let params = trial.params.iter();
        Sample {
            params: params.map(|(name, param)| (name.clone(), param.external())).collect(),
            seed,
            deterministic,
            result: SampleResult::of(trial),
            platform: platform(),
            seconds: trial.duration.as_secs_f64(),
        }
    }

    /// Returns the text that a module holds.
    pub(crate) fn to_text(&self) -> String {
        let params = self.params.iter().map(|(name, value)| {
            Json::object([("name", Json::from(name.clone())), ("value", value.clone())])
        });
        let values = self.result.values.iter().map(|value| Json::from(*value));
        Json::object([
            ("version", Json::from(VERSION)),
            ("params", Json::Array(params.collect())),
            // A number of JSON may have fewer bits.
            ("seed", Json::from(self.seed.to_string())),
            ("deterministic", Json::Bool(self.deterministic)),
            ("state", Json::from(self.result.state.clone())),
            ("values", Json::Array(values.collect())),
            ("reports", Json::from(self.result.n_reports)),
            ("platform", Json::from(self.platform.clone())),
            ("seconds", Json::from(self.seconds)),
        ])
        .to_string()
    }

    /// Reads the text of a module, which is the author's and not trusted.
    ///
    /// # Errors
    /// Fails for a text of another form.
    pub(crate) fn from_text(text: &str) -> Result<Self, CommandError> {
        let sample = Json::parse(text).ok().and_then(|json| Self::from_json(&json));
        sample.ok_or_else(|| CommandError {
            exit: crate::exit_code::ExitCode::Rejected,
            code: Some("E-SOURCE"),
            error: anyhow::anyhow!(
                "expected a sample trial of version {VERSION}, found other text"
            ),
            help: Some("its author records one: trialbox eval FILE --record FILE".to_owned()),
        })
    }

    fn from_json(json: &Json) -> Option<Self> {
        if json.get("version")?.as_u64()? != VERSION {
            return None;
        }
        let params = json.get("params")?.as_array()?.iter();
        let param =
            |param: &Json| Some((param.get_str("name")?.to_owned(), param.get("value")?.clone()));
        let values = json.get("values")?.as_array()?.iter();
        Some(Sample {
            params: params.map(param).collect::<Option<_>>()?,
            seed: json.get_str("seed")?.parse().ok()?,
            deterministic: json.get("deterministic")? == &Json::Bool(true),
            result: SampleResult {
                state: json.get_str("state")?.to_owned(),
                values: values.map(Json::as_f64).collect::<Option<_>>()?,
                n_reports: json.get("reports")?.as_u64()?,
            },
            platform: one_line(json.get_str("platform")?).chars().take(200).collect(),
            seconds: json.get("seconds")?.as_f64()?,
        })
    }

    /// Returns the first thing in which a run of the sample differs from it.
    pub(crate) fn difference(&self, trial: &FinishedTrial) -> Option<String> {
        let (was, is) = (&self.result, SampleResult::of(trial));
        if was.state != is.state {
            let code = trial.failure.as_ref().map(|failure| format!(" ({})", failure.code));
            let code = code.unwrap_or_default();
            return Some(format!(
                "the state was {} and is {}{code}",
                one_line(&was.state),
                is.state
            ));
        }
        if was.values.len() != is.values.len() {
            return Some(format!("it had {} values and has {}", was.values.len(), is.values.len()));
        }
        let mut pairs = was.values.iter().zip(&is.values);
        let differs = |(was, is): &(&f64, &f64)| {
            was.to_bits() != is.to_bits() && !(was.is_nan() && is.is_nan())
        };
        if let Some((was, is)) = pairs.find(differs) {
            return Some(format!("a value was {was} and is {is}"));
        }
        if was.n_reports != is.n_reports {
            return Some(format!("it had {} reports and has {}", was.n_reports, is.n_reports));
        }
        let unused = trial.unused_fixed_params.first();
        unused.map(|name| format!("the parameter `{}` was suggested and is not", one_line(name)))
    }
}

/// Returns the kind of this machine, and the version of trialbox.
pub(crate) fn platform() -> String {
    format!(
        "{} {}, trialbox {}, wasmtime {}",
        std::env::consts::ARCH,
        std::env::consts::OS,
        env!("CARGO_PKG_VERSION"),
        trialbox_runtime::WASMTIME_VERSION
    )
}
