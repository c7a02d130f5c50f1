//! `cargo xtask check`: everything that a reviewer should not have to look for.

use crate::shell::{cargo, cargo_with};
use crate::stage::Stage;
use crate::{guests, tidy};
use anyhow::Result;
use std::time::Duration;

/// A part of the check.
struct Part {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<()>,
    /// The usual time on two cores, on a fresh clone.
    seconds: u64,
}

const PARTS: [Part; 6] = [
    Part {
        name: "fmt",
        about: "formatting",
        run: || cargo(["fmt", "--all", "--check"]),
        seconds: 5,
    },
    Part { name: "clippy", about: "clippy", run: || clippy(&[]), seconds: 150 },
    Part {
        name: "clippy-failpoints",
        about: "clippy of the code with faults on demand",
        run: || clippy(&["--features", "trialbox/failpoints"]),
        seconds: 30,
    },
    Part { name: "docs", about: "documentation", run: docs, seconds: 60 },
    Part {
        name: "guests",
        about: "formatting and clippy of the guests",
        run: guests::check_all,
        seconds: 60,
    },
    Part {
        name: "tidy",
        about: "the repository's own rules: edges between crates, licences, walls, words",
        run: tidy::run,
        seconds: 10,
    },
];

/// Returns all parts.
pub(crate) fn stages() -> Vec<Stage> {
    let stage = |part: &'static Part| Stage {
        name: part.name,
        about: part.about,
        expected: Duration::from_secs(part.seconds),
        needs: &[],
        run: Box::new(|_| (part.run)()),
    };
    PARTS.iter().map(stage).collect()
}

fn clippy(features: &[&str]) -> Result<()> {
    let all = ["clippy", "--workspace", "--all-targets"].iter().chain(features);
    cargo(all.chain(&["--", "--deny", "warnings"]).copied())
}

fn docs() -> Result<()> {
    cargo_with(
        &[("RUSTDOCFLAGS", "--deny warnings")],
        ["doc", "--workspace", "--no-deps", "--document-private-items"],
    )
}
