//! The batch system that started this process, as its environment and its commands describe it.
//!
//! `slurm` runs Slurm's commands. `own_job` asks about the job of this process, `job_end` watches when it ends, and
//! `job_table` and `liveness` find out whether the owners of trials are alive.

pub(crate) mod job_end;
mod job_table;
pub(crate) mod liveness;
pub(crate) mod own_job;
pub(crate) mod process_table;
pub(crate) mod slurm;

use trialbox_core::Json;

/// The variables that identify a task of a batch system, by the member of an owner token that holds each: of Slurm
/// (sbatch(1)), PBS Professional and Torque (qsub(1B)), and LSF (bsub(1)).
const MEMBERS: [(&str, &[&str]); 11] = [
    ("slurm_job_id", &["SLURM_JOB_ID"]),
    ("slurm_array_job_id", &["SLURM_ARRAY_JOB_ID"]),
    ("slurm_array_task_id", &["SLURM_ARRAY_TASK_ID"]),
    ("slurm_restart_count", &["SLURM_RESTART_COUNT"]),
    ("slurm_cluster", &["SLURM_CLUSTER_NAME"]),
    ("slurm_uid", &["SLURM_JOB_UID"]),
    ("slurm_node", &["SLURMD_NODENAME"]),
    ("pbs_job_id", &["PBS_JOBID"]),
    ("pbs_array_index", &["PBS_ARRAY_INDEX", "PBS_ARRAYID"]),
    ("lsf_job_id", &["LSB_JOBID"]),
    ("lsf_array_index", &["LSB_JOBINDEX"]),
];

/// Returns the members of an owner token that identify this task of a batch system; none outside of one.
pub(crate) fn owner_members() -> Vec<(&'static str, Json)> {
    members_of(|variable| std::env::var(variable).ok())
}

fn members_of(variable: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, Json)> {
    let value = |names: &[&str]| {
        names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()))
    };
    let found = MEMBERS.iter().filter_map(|(key, names)| Some((*key, value(names)?)));
    found.map(|(key, value)| (key, Json::from(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(environment: &[(&str, &str)], want: &[(&str, &str)]) {
        let found = members_of(|name| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        let want: Vec<_> = want.iter().map(|(key, value)| (*key, Json::from(*value))).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn the_members_identify_a_task_of_any_batch_system() {
        check(&[("HOME", "/home/u")], &[]);
        check(
            &[
                ("SLURM_JOB_ID", "17"),
                ("SLURM_ARRAY_JOB_ID", "12"),
                ("SLURM_ARRAY_TASK_ID", "3"),
                ("SLURM_RESTART_COUNT", "1"),
            ],
            &[
                ("slurm_job_id", "17"),
                ("slurm_array_job_id", "12"),
                ("slurm_array_task_id", "3"),
                ("slurm_restart_count", "1"),
            ],
        );
        check(
            &[("PBS_JOBID", "12[3].server"), ("PBS_ARRAY_INDEX", "3")],
            &[("pbs_job_id", "12[3].server"), ("pbs_array_index", "3")],
        );
        check(&[("PBS_ARRAYID", "3")], &[("pbs_array_index", "3")]);
        check(
            &[("LSB_JOBID", "12"), ("LSB_JOBINDEX", "3")],
            &[("lsf_job_id", "12"), ("lsf_array_index", "3")],
        );
    }
}
