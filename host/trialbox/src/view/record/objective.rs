//! The records of objectives outside a study: what they are, and calls of them that are compared.

use super::project::StampRecord;
use super::trial::FailureRecord;
use super::value::Float;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use trialbox_core::run::FinishedTrial;
use trialbox_core::run::trace::Difference;

/// An objective.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ComponentRecord {
    /// The component's file.
    pub(crate) file: String,
    /// The size of the file.
    pub(crate) size_bytes: usize,
    /// The SHA-256 of the file, in hexadecimal.
    pub(crate) sha256: String,
    /// The version of the `trialbox:objective` contract that the component was built for; null for a file of Python.
    pub(crate) contract_version: Option<String>,
    /// The runtime of a file of Python; null for a component.
    pub(crate) runtime: Option<String>,
    /// The rights of the objective in the sandbox with these flags, each as the end of "it may …".
    pub(crate) rights: Vec<String>,
    /// The machine of the sample trial that the component carries, if it does.
    pub(crate) sample_recorded_on: Option<String>,
    /// The interfaces that the component imports.
    pub(crate) imports: Vec<String>,
    /// The interfaces and functions that the component exports.
    pub(crate) exports: Vec<String>,
    /// The source and the tools of the component, if its build has written them.
    pub(crate) stamp: Option<StampRecord>,
    /// True if the compiled code came from the cache.
    pub(crate) from_cache: bool,
    /// The version of Landlock that confines the guest process; 0 without Landlock.
    pub(crate) landlock_abi: u32,
    /// True if seccomp confines the guest process.
    pub(crate) seccomp: bool,
    /// True if a second filter leaves only the system calls that trials need.
    pub(crate) second_filter: bool,
    /// True if the guest process has a root directory that holds nothing but the grants.
    pub(crate) empty_root: bool,
    /// True if the address space is limited (`ulimit -v`), which slows memory accesses down.
    pub(crate) small_address_space: bool,
    /// The seconds until the objective was ready.
    pub(crate) load_seconds: f64,
    /// The objective's own description, if it has one.
    pub(crate) description: Option<DescriptionRecord>,
    /// The parameters that the probing call asked for.
    pub(crate) params: Vec<ParamRecord>,
    /// The reason why the probing call failed, if it did: then there may be more parameters.
    pub(crate) probe_problem: Option<String>,
}

/// An objective that is a program.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ProgramRecord {
    /// False: a program has all rights of the user.
    pub(crate) sandboxed: bool,
    /// The command, with placeholders.
    pub(crate) command: Vec<String>,
    /// The absolute path of the file that is executed.
    pub(crate) executable: String,
    /// The files that the command names.
    pub(crate) files: Vec<ProgramFileRecord>,
    /// The current folder, in which the command runs.
    pub(crate) directory: Option<String>,
    /// The revision of the current folder, if git is there and it is a work tree with a commit.
    pub(crate) git: Option<GitRecord>,
    /// The place of the values, as `--value` takes it.
    pub(crate) value: String,
    /// True if `import optuna` finds trialbox's module.
    pub(crate) as_optuna: bool,
    /// The parameters of `--space`. The program may ask for more while it runs.
    pub(crate) params: Vec<DeclaredParamRecord>,
    /// The constraints between the parameters.
    pub(crate) constraints: Vec<String>,
}

/// A parameter of `--space`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DeclaredParamRecord {
    /// The parameter's name.
    pub(crate) name: String,
    /// The range or the choices, in Optuna's form.
    pub(crate) distribution: Value,
    /// The values that other parameters must have for a trial to have this one.
    pub(crate) when: BTreeMap<String, Vec<Value>>,
}

/// A file that a command names.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ProgramFileRecord {
    /// The path, as the command has it.
    pub(crate) path: String,
    /// The SHA-256 in hexadecimal; null for a file that cannot be read or has more than 16 MiB.
    pub(crate) sha256: Option<String>,
}

/// The revision of a folder.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct GitRecord {
    /// The commit.
    pub(crate) revision: String,
    /// True if files differ from it.
    pub(crate) dirty: bool,
}

/// An objective's description of itself.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DescriptionRecord {
    /// The objective's name.
    pub(crate) name: String,
    /// The objective's version.
    pub(crate) version: String,
    /// One sentence.
    pub(crate) summary: String,
    /// The values that the objective returns.
    pub(crate) metrics: Vec<MetricRecord>,
    /// The files and directories that the objective reads.
    pub(crate) data: Vec<DataRecord>,
    /// Further entries of the author's.
    pub(crate) extra: BTreeMap<String, Value>,
}

/// A value that an objective returns.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct MetricRecord {
    /// The value's name, if it has one.
    pub(crate) name: Option<String>,
    /// `minimize` or `maximize`.
    pub(crate) direction: String,
}

/// A file or directory that an objective reads.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DataRecord {
    /// The path inside the sandbox.
    pub(crate) path: String,
    /// The content of the data and its origin.
    pub(crate) summary: String,
    /// The expected SHA-256, if the objective names one.
    pub(crate) sha256: Option<String>,
}

/// A parameter that an objective asks for.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ParamRecord {
    /// The parameter's name.
    pub(crate) name: String,
    /// The range or the choices, in Optuna's form.
    pub(crate) distribution: Value,
}

/// The result of comparing several calls.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CheckRecord {
    /// The objective's name.
    pub(crate) objective: String,
    /// The number of calls that were made.
    pub(crate) runs: u32,
    /// False if the objective is a program, which runs without the sandbox.
    pub(crate) sandboxed: bool,
    /// True if all calls were equal to the bit.
    pub(crate) deterministic: bool,
    /// The number of host calls in each call. Only if the calls were equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calls: Option<u64>,
    /// The state in which each call ended. Only if the calls were equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<&'static str>,
    /// The failure of each call, null if there was none. Only if the calls were equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Option<FailureRecord>>,
    /// The first difference. Only if the calls differed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) difference: Option<CallDifference>,
}

impl CheckRecord {
    /// Returns the result of calls that were equal, each with this number of calls of the host.
    pub(crate) fn equal(
        objective: &str,
        runs: u32,
        sandboxed: bool,
        n_calls: u64,
        trial: &FinishedTrial,
    ) -> Self {
        CheckRecord {
            objective: objective.to_owned(),
            runs,
            sandboxed,
            deterministic: true,
            calls: Some(n_calls),
            state: Some(trial.state.as_str()),
            failure: Some(trial.failure.as_ref().map(FailureRecord::of)),
            difference: None,
        }
    }

    /// Returns the result of calls of which the last differed from the first.
    pub(crate) fn different(
        objective: &str,
        runs: u32,
        sandboxed: bool,
        difference: &Difference,
    ) -> Self {
        CheckRecord {
            objective: objective.to_owned(),
            runs,
            sandboxed,
            deterministic: false,
            calls: None,
            state: None,
            failure: None,
            difference: Some(CallDifference::of(difference)),
        }
    }
}

/// The first difference between two calls.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CallDifference {
    /// The subject, such as `the report at step 3`.
    what: String,
    /// Its value in the first call.
    first: String,
    /// Its value in the other call.
    other: String,
}

impl CallDifference {
    /// Returns the record of a difference.
    pub(crate) fn of(difference: &Difference) -> Self {
        let Difference { what, was, is } = difference.clone();
        CallDifference { what, first: was, other: is }
    }
}

/// A recorded trial that was run again.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ReplayRecord {
    /// The study's name.
    pub(crate) study: String,
    /// The trial's number.
    pub(crate) number: u32,
    /// False if the objective is a program, which runs without the sandbox.
    pub(crate) sandboxed: bool,
    /// True if the replay was equal to the recorded trial to the bit.
    pub(crate) equal: bool,
    /// The first difference, if there is one.
    pub(crate) difference: Option<DifferenceRecord>,
    /// The recorded state.
    pub(crate) recorded_state: &'static str,
    /// The state of the replay.
    pub(crate) state: &'static str,
    /// The failure of the replay, if it failed.
    pub(crate) failure: Option<FailureRecord>,
    /// The values of the replay.
    pub(crate) values: Vec<Float>,
    /// Differences between the circumstances then and now, such as the version of trialbox.
    pub(crate) notes: Vec<String>,
}

/// The first difference between a recorded trial and its replay.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DifferenceRecord {
    /// The subject, such as `the report at step 3`.
    what: String,
    /// Its recorded value.
    recorded: String,
    /// Its value in the replay.
    replayed: String,
}

impl DifferenceRecord {
    /// Returns the record of a difference.
    pub(crate) fn of(difference: &Difference) -> Self {
        let Difference { what, was, is } = difference.clone();
        DifferenceRecord { what, recorded: was, replayed: is }
    }
}
