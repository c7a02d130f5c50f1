//! Misuse of `#[objective]` that must not compile.
//!
//! ```compile_fail
//! # use trialbox_guest::{Result, Trial, objective};
//! #[objective(minimise = "loss")]
//! fn unknown_key(trial: &mut Trial) -> Result<f64> { Ok(0.0) }
//! # fn main() {}
//! ```
//! ```compile_fail
//! # use trialbox_guest::objective;
//! #[objective]
//! struct NotAFunction;
//! # fn main() {}
//! ```
//! ```compile_fail,E0308
//! # use trialbox_guest::{Result, Trial, objective};
//! #[objective]
//! fn not_a_trial(trial: &mut String) -> Result<f64> { Ok(0.0) }
//! # fn main() {}
//! ```
//! ```compile_fail,E0277
//! # use trialbox_guest::{Result, Trial, objective};
//! #[objective]
//! fn not_a_number(trial: &mut Trial) -> Result<String> { Ok(String::new()) }
//! # fn main() {}
//! ```
//! ```compile_fail,E0428
//! # use trialbox_guest::{Result, Trial, objective};
//! #[objective]
//! fn one(trial: &mut Trial) -> Result<f64> { Ok(0.0) }
//! mod inner {
//!     # use trialbox_guest::{Result, Trial, objective};
//!     #[objective]
//!     fn two(trial: &mut Trial) -> Result<f64> { Ok(0.0) }
//! }
//! # fn main() {}
//! ```
//! ```compile_fail,E0080
//! # use trialbox_guest::{Result, Trial, objective};
//! #[objective(data("/data/train.csv", "the data", sha256 = "ABC"))]
//! fn not_a_checksum(trial: &mut Trial) -> Result<f64> { Ok(0.0) }
//! # fn main() {}
//! ```
