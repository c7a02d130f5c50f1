//! The flags that divide a node's devices and CPUs among the programs that run at the same time.

use crate::args::quantity::parse_count;
use crate::cluster::slurm::cpus_of_job;
use crate::error::CommandError;
use std::num::NonZeroU32;
use std::process::{Command, Stdio};
use trialbox_program::{
    DEVICE_VARIABLES, Division, Share, ShareError, device_ids, divide_cpus, divide_devices,
};

/// The flags of devices and CPUs.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Program")]
pub(crate) struct DeviceArgs {
    /// GPUs of each trial of a program
    ///
    /// Those of CUDA_VISIBLE_DEVICES and ROCR_VISIBLE_DEVICES are divided: no trial sees those of another that runs at
    /// the same time. `submit` asks Slurm for them. [default: an equal part of the GPUs that are visible]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(crate) gpus_per_trial: Option<NonZeroU32>,

    /// Let trials have the same GPUs where there are too few
    ///
    /// [default: an error]
    #[arg(long)]
    share_gpus: bool,

    /// CPUs of each trial of a program
    ///
    /// The program runs on no others, and OMP_NUM_THREADS and its like have this number unless they are set. `submit`
    /// asks Slurm for them. [default: all CPUs of this process]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(crate) cpus_per_trial: Option<NonZeroU32>,
}

impl DeviceArgs {
    /// Divides the node among the workers of this process. `env` are the variables of `--env`.
    ///
    /// # Errors
    /// Fails if there are too few devices or CPUs.
    pub(crate) fn shares(
        &self,
        n_workers: NonZeroU32,
        env: &[(String, String)],
    ) -> Result<Vec<Share>, CommandError> {
        let division = Division {
            n_programs: n_workers.get() as usize,
            each: self.gpus_per_trial.map(|n| n.get() as usize),
            may_share: self.share_gpus,
        };
        let is_divided = n_workers.get() > 1 || division.each.is_some();
        let lists = visible_devices(env, is_divided);
        let parts = divide_devices(&lists, division).map_err(|error| self.explain(&error))?;
        let mut shares: Vec<Share> =
            parts.into_iter().map(|devices| Share { devices, ..Share::default() }).collect();
        self.add_cpus(&mut shares)?;
        Ok(shares)
    }

    fn add_cpus(&self, shares: &mut [Share]) -> Result<(), CommandError> {
        let Some(each) = self.cpus_per_trial.map(|n| n.get() as usize) else { return Ok(()) };
        let mut allowed = allowed_cpus();
        // Where Slurm does not bind jobs to their CPUs, jobs that each take the first CPUs would all take the same.
        let is_bound = cpus_of_job().is_none_or(|of_job| allowed.len() <= of_job);
        if let Some(of_job) = cpus_of_job() {
            allowed.truncate(of_job);
        }
        let parts =
            divide_cpus(&allowed, each, shares.len()).map_err(|error| self.explain(&error))?;
        for (share, cpus) in shares.iter_mut().zip(parts) {
            share.threads = Some(each);
            if is_bound {
                share.cpus = cpus;
            }
        }
        Ok(())
    }

    /// Refuses the flags for a component.
    pub(crate) fn refuse(&self) -> Result<(), CommandError> {
        let given = [
            ("--gpus-per-trial", self.gpus_per_trial.is_some()),
            ("--share-gpus", self.share_gpus),
            ("--cpus-per-trial", self.cpus_per_trial.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((flag, _)) => Err(CommandError::usage(
                format!("expected a program for {flag}, found a component"),
                "give a program after `--`, such as: -- python train.py; a component has one CPU and no devices",
            )),
        }
    }

    fn explain(&self, error: &ShareError) -> CommandError {
        let help = match error {
            ShareError::Devices { found, .. } if *found > 0 && !self.share_gpus => {
                let each = self.gpus_per_trial.map_or(1, |n| n.get() as usize);
                let fits = (found / each).max(1);
                format!(
                    "run fewer at a time with --jobs {fits}, ask Slurm for more GPUs, or let trials share them with \
                     --share-gpus"
                )
            }
            ShareError::Devices { .. } => "give a smaller --gpus-per-trial".to_owned(),
            ShareError::NoDevices => {
                "ask Slurm for GPUs (--gres=gpu:1), set CUDA_VISIBLE_DEVICES, or leave --gpus-per-trial out"
                    .to_owned()
            }
            ShareError::Cpus { wanted, .. } => format!(
                "give a smaller --cpus-per-trial or --jobs, or ask Slurm for --cpus-per-task={wanted}"
            ),
        };
        CommandError::usage(error.to_string(), help)
    }
}

/// Returns the devices that the environment lists. Without a list and outside of a job they are those of `nvidia-smi`,
/// if they are to be divided: there a missing list means that all are visible.
fn visible_devices(env: &[(String, String)], is_divided: bool) -> Vec<(&'static str, Vec<String>)> {
    let given =
        |name: &str| env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let list = |name: &'static str| given(name).or_else(|| std::env::var(name).ok());
    let lists: Vec<_> = DEVICE_VARIABLES
        .into_iter()
        .filter_map(|name| Some((name, device_ids(&list(name)?))))
        .collect();
    let is_job = std::env::var_os("SLURM_JOB_ID").is_some();
    if lists.is_empty() && is_divided && !is_job {
        return vec![(DEVICE_VARIABLES[0], devices_of_nvidia())];
    }
    lists
}

/// Returns the names of NVIDIA's devices, if its program is there.
fn devices_of_nvidia() -> Vec<String> {
    let asked = Command::new("nvidia-smi")
        .args(["--query-gpu=uuid", "--format=csv,noheader"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match asked {
        Ok(output) if output.status.success() => {
            device_ids(&String::from_utf8_lossy(&output.stdout).trim().replace('\n', ","))
        }
        _ => vec![],
    }
}

/// Returns the CPUs on which this process may run.
fn allowed_cpus() -> Vec<usize> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect(),
        Err(_) => vec![],
    }
}
