//! The devices and CPUs of a node, divided among the programs that run on it at the same time.

use std::collections::BTreeMap;
use thiserror::Error;

/// The environment variables that list the devices of a program: those of CUDA and of ROCm.
pub const DEVICE_VARIABLES: [&str; 2] = ["CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"];

/// The variable in which HIP numbers the devices that ROCm leaves visible.
const OF_VISIBLE: &str = "HIP_VISIBLE_DEVICES";

/// The variables with the number of threads of libraries that look at `OMP_NUM_THREADS` otherwise.
const LIKE_OPENMP: [&str; 6] = [
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
];

/// The variable of OpenMP.
const OPENMP: &str = "OMP_NUM_THREADS";

/// The variables of libraries that count CPUs by themselves: joblib, Rayon and Julia.
const OTHERS: [&str; 3] = ["LOKY_MAX_CPU_COUNT", "RAYON_NUM_THREADS", "JULIA_NUM_THREADS"];

/// The part of a node that one program has to itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// The identifiers of devices, by the variable that lists them.
    pub devices: BTreeMap<&'static str, Vec<String>>,
    /// The CPUs on which the program may run; any CPU if there is none.
    pub cpus: Vec<usize>,
    /// The number of threads that libraries are told to start.
    pub threads: Option<usize>,
}

impl Share {
    /// Returns the devices that a variable lists: those of this share, else those of the environment.
    pub(crate) fn devices_of(&self, variable: &str) -> Vec<String> {
        match self.devices.get(variable) {
            Some(devices) => devices.clone(),
            None => device_ids(&std::env::var(variable).unwrap_or_default()),
        }
    }
}

/// The terms of a division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Division {
    /// The programs that run at the same time.
    pub n_programs: usize,
    /// The size of each part; an equal part without one.
    pub each: Option<usize>,
    /// True if several programs may have the same part, where there are too few.
    pub may_share: bool,
}

/// A node with less than its programs need.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShareError {
    /// There are too few devices.
    #[error(
        "expected at least {wanted} in {variable} for {n_programs} trials at a time, found {found}: `{list}`",
        wanted = devices(*wanted)
    )]
    Devices {
        /// The variable that lists them.
        variable: String,
        /// Its value.
        list: String,
        /// The number of devices that are needed.
        wanted: usize,
        /// The number of devices in the list.
        found: usize,
        /// The programs that run at the same time.
        n_programs: usize,
    },
    /// There is no device.
    #[error("expected devices in CUDA_VISIBLE_DEVICES or ROCR_VISIBLE_DEVICES, found none")]
    NoDevices,
    /// There are too few CPUs.
    #[error("expected at least {wanted} CPUs for {n_programs} trials at a time, found {found}")]
    Cpus {
        /// The number of CPUs that are needed.
        wanted: usize,
        /// The number of CPUs that this process may use.
        found: usize,
        /// The programs that run at the same time.
        n_programs: usize,
    },
}

fn devices(n: usize) -> String {
    if n == 1 { "1 device".to_owned() } else { format!("{n} devices") }
}

impl Share {
    /// Returns the environment variables of a program with this part. `is_set` tells which variables the user has set,
    /// whose numbers of threads stay.
    pub(crate) fn variables(&self, is_set: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        for (variable, ids) in &self.devices {
            variables.push(((*variable).to_owned(), ids.join(",")));
            if *variable == DEVICE_VARIABLES[1] && is_set(OF_VISIBLE) {
                let numbers: Vec<String> =
                    (0..ids.len()).map(|number| number.to_string()).collect();
                variables.push((OF_VISIBLE.to_owned(), numbers.join(",")));
            }
        }
        if let Some(threads) = self.threads {
            // A user who has set OpenMP's number means it for the libraries that look at it too.
            let of_openmp = [OPENMP].into_iter().chain(LIKE_OPENMP).filter(|_| !is_set(OPENMP));
            let unset = of_openmp.chain(OTHERS).filter(|variable| !is_set(variable));
            variables.extend(unset.map(|variable| (variable.to_owned(), threads.to_string())));
        }
        variables
    }
}

/// Reads the list of a variable as CUDA does: it ends at the first identifier that is none, such as `-1` or
/// `NoDevFiles`. Identifiers are numbers, or names such as `GPU-8932f937-d72c-4106-c12f-20bd9faed9f6`.
pub fn device_ids(list: &str) -> Vec<String> {
    let ids = list.split(',').map(str::trim);
    ids.take_while(|id| is_device(id)).map(str::to_owned).collect()
}

fn is_device(id: &str) -> bool {
    let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    is_number || ["GPU-", "MIG-", "UUID-"].iter().any(|start| id.starts_with(start))
}

/// Divides the devices that `lists` holds by variable. Each program gets as many as the others; without a device there
/// is nothing to divide.
///
/// # Errors
/// Fails if there are too few devices, or none although each program is to have some.
pub fn divide_devices(
    lists: &[(&'static str, Vec<String>)],
    division: Division,
) -> Result<Vec<BTreeMap<&'static str, Vec<String>>>, ShareError> {
    let Division { n_programs, each, may_share } = division;
    let mut parts = vec![BTreeMap::new(); n_programs];
    let lists: Vec<_> = lists.iter().filter(|(_, ids)| !ids.is_empty()).collect();
    if lists.is_empty() && each.is_some() {
        return Err(ShareError::NoDevices);
    }
    for (variable, ids) in lists {
        let each = each.unwrap_or_else(|| (ids.len() / n_programs.max(1)).max(1));
        let wanted = each * n_programs;
        if each > ids.len() || (wanted > ids.len() && !may_share) {
            return Err(ShareError::Devices {
                variable: (*variable).to_owned(),
                list: ids.join(","),
                wanted: if may_share { each } else { wanted },
                found: ids.len(),
                n_programs,
            });
        }
        for (index, part) in parts.iter_mut().enumerate() {
            let own = (0..each).map(|n| ids[(index * each + n) % ids.len()].clone());
            part.insert(*variable, own.collect());
        }
    }
    Ok(parts)
}

/// Divides the CPUs that this process may use: `each` for every program, none of them another's.
///
/// # Errors
/// Fails if there are too few.
pub fn divide_cpus(
    allowed: &[usize],
    each: usize,
    n_programs: usize,
) -> Result<Vec<Vec<usize>>, ShareError> {
    let wanted = each * n_programs;
    if wanted > allowed.len() {
        return Err(ShareError::Cpus { wanted, found: allowed.len(), n_programs });
    }
    Ok(allowed.chunks(each.max(1)).take(n_programs).map(<[usize]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUDA: &str = DEVICE_VARIABLES[0];
    const ROCR: &str = DEVICE_VARIABLES[1];

    fn division(n_programs: usize, each: Option<usize>, may_share: bool) -> Division {
        Division { n_programs, each, may_share }
    }

    /// Divides CUDA's devices and returns each part as its variable has it.
    fn divide(list: &str, division: Division) -> Result<Vec<String>, ShareError> {
        let parts = divide_devices(&[(CUDA, device_ids(list))], division)?;
        Ok(parts
            .iter()
            .map(|part| part.get(CUDA).map_or(String::new(), |ids| ids.join(",")))
            .collect())
    }

    #[test]
    fn a_list_is_read_as_cuda_reads_it() {
        for (list, want) in [
            ("0,1", vec!["0", "1"]),
            (" 3 , 10", vec!["3", "10"]),
            ("GPU-8932f937,MIG-0a/1/2", vec!["GPU-8932f937", "MIG-0a/1/2"]),
            ("0,-1,1", vec!["0"]),
            ("NoDevFiles", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(device_ids(list), want, "{list}");
        }
    }

    #[test]
    fn each_program_gets_as_many_devices_as_the_others_and_none_of_theirs() {
        for (list, n, each, want) in [
            ("0,1", 2, None, vec!["0", "1"]),
            ("GPU-a,GPU-b", 2, None, vec!["GPU-a", "GPU-b"]),
            ("0,1,2,3", 2, None, vec!["0,1", "2,3"]),
            ("0,1,2", 2, None, vec!["0", "1"]),
            ("4,5,6,7", 2, Some(1), vec!["4", "5"]),
            ("0,1", 1, None, vec!["0,1"]),
        ] {
            assert_eq!(
                divide(list, division(n, each, false)),
                Ok(want.into_iter().map(str::to_owned).collect())
            );
        }
    }

    #[test]
    fn too_few_devices_are_an_error_or_shared() {
        let error = divide("0", division(2, None, false)).expect_err("too few");
        let text = "expected at least 2 devices in CUDA_VISIBLE_DEVICES for 2 trials at a time, found 1: `0`";
        assert_eq!(error.to_string(), text);
        let want = |parts: &[&str]| Ok(parts.iter().map(|part| (*part).to_owned()).collect());
        assert_eq!(divide("0", division(2, None, true)), want(&["0", "0"]));
        assert_eq!(divide("0,1", division(3, None, true)), want(&["0", "1", "0"]));
        assert_eq!(divide("0,1,2", division(2, Some(2), true)), want(&["0,1", "2,0"]));
        assert!(
            divide("0", division(1, Some(2), true)).is_err(),
            "one program cannot have one device twice"
        );
        assert_eq!(divide("", division(2, None, false)), want(&["", ""]));
        assert_eq!(divide("", division(2, Some(1), true)), Err(ShareError::NoDevices));
    }

    #[test]
    fn cpus_are_divided_in_their_order() {
        assert_eq!(divide_cpus(&[0, 2, 5, 7], 2, 2), Ok(vec![vec![0, 2], vec![5, 7]]));
        assert_eq!(divide_cpus(&[3, 4, 5], 1, 2), Ok(vec![vec![3], vec![4]]));
        assert!(divide_cpus(&[0, 1], 2, 2).is_err());
    }

    #[test]
    fn the_user_s_numbers_of_threads_stay() {
        let share = Share { threads: Some(2), ..Share::default() };
        let names = |set: &[&str]| -> Vec<String> {
            share.variables(|name| set.contains(&name)).into_iter().map(|(name, _)| name).collect()
        };
        assert!(names(&[]).contains(&"OMP_NUM_THREADS".to_owned()));
        assert_eq!(
            names(&["OMP_NUM_THREADS", "JULIA_NUM_THREADS"]),
            ["LOKY_MAX_CPU_COUNT", "RAYON_NUM_THREADS"]
        );
        assert!(!names(&["MKL_NUM_THREADS"]).contains(&"MKL_NUM_THREADS".to_owned()));
    }

    #[test]
    fn hip_numbers_the_devices_that_are_left() {
        let parts = divide_devices(&[(ROCR, device_ids("2,3"))], division(2, None, false))
            .expect("two devices");
        let share = Share { devices: parts[1].clone(), ..Share::default() };
        let variables = share.variables(|name| name == OF_VISIBLE);
        let want = [(ROCR, "3"), (OF_VISIBLE, "0")];
        assert_eq!(variables, want.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
