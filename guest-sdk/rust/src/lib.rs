//! Objectives for hyperparameter optimisation, written in Rust and run by [trialbox] in its sandbox.
//!
//! An objective is a function with an attribute. It asks its [`Trial`] for parameters, with Optuna's
//! names for the calls, and returns the value to minimise or maximise:
//!
//! ```
//! use trialbox_guest::{Result, Trial, objective};
//!
//! /// Minimises (x − 2)² + (y + 1)², which is 0 at x = 2, y = −1.
//! #[objective(minimize = "loss")]
//! pub fn quadratic(trial: &mut Trial) -> Result<f64> {
//!     let x = trial.suggest_float("x", -10.0, 10.0);
//!     let y = trial.suggest_float("y", -10.0, 10.0);
//!     Ok((x - 2.0).powi(2) + (y + 1.0).powi(2))
//! }
//!
//! # fn main() -> Result<()> {
//! // The same function, with chosen parameters, in an ordinary test:
//! let mut trial = Trial::fixed([("x", 2.0.into()), ("y", 1.0.into())]);
//! assert_eq!(quadratic(&mut trial)?, 4.0);
//! # Ok(())
//! # }
//! ```
//!
//! `Cargo.toml` sets `crate-type = ["cdylib", "rlib"]`: the first for trialbox, the second for tests.
//! `cargo build --release --target wasm32-wasip2` then builds the component.
//!
//! A training loop reports its intermediate values, and stops early when the study's pruner decides so:
//!
//! ```
//! use trialbox_guest::{Result, Trial, objective};
//!
//! #[objective(minimize = "loss")]
//! pub fn train(trial: &mut Trial) -> Result<f64> {
//!     let lr = trial.suggest_float_log("lr", 1e-5, 1e-1);
//!     let layers = trial.suggest_int("layers", 1, 4);
//!     let optimizer = trial.suggest_categorical("optimizer", &["sgd", "adam"]);
//!     # let _ = (layers, optimizer);
//!
//!     let mut loss = 1.0;
//!     for epoch in 0..10 {
//!         loss *= 1.0 - lr; // … one pass over the data …
//!         trial.step(loss, epoch)?;
//!     }
//!     Ok(loss)
//! }
//! ```
//!
//! `?` takes every error and every text, also `Box<dyn Error>` and `anyhow::Error`: the trial fails with the
//! message, see [`Stop`]. So it does when the objective panics.
//!
//! On WebAssembly the host creates the trial. On other targets there is no host, and a test creates
//! its trial with [`Trial::fixed`], which exists only there.
//!
//! [trialbox]: https://docs.rs/trialbox

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

// The generated bindings, and the glue of `#[objective]`, name this crate from outside.
extern crate self as trialbox_guest;

mod trial;

mod attr;
mod checkpoint;
mod choice;
mod outcome;
mod stop;

// The attributes are for the code that wit-bindgen writes. All unsafe code of this crate is in there.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[allow(missing_docs, unreachable_pub, reason = "generated")]
#[allow(clippy::allow_attributes_without_reason, clippy::undocumented_unsafe_blocks, reason = "generated")]
#[allow(clippy::unwrap_used, reason = "generated")]
#[rustfmt::skip]
#[path = "bindings.rs"]
pub mod __bindings;

mod component;
mod description;
#[cfg(not(target_family = "wasm"))]
mod fixed;
#[cfg(target_family = "wasm")]
mod host;
#[cfg(doctest)]
mod misuse;

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use crate::attr::Attr;
pub use crate::checkpoint::Checkpoint;
pub use crate::choice::Choice;
pub use crate::outcome::Values;
pub use crate::stop::{Pruned, Result, Stop};
pub use crate::trial::{Level, Trial};

/// Marks a function as the objective of its crate, which has exactly one.
///
/// The function has one parameter, a [`&mut Trial`](Trial), and returns a [`Result`] with one value
/// for each metric, see [`Values`]. It stays an ordinary function that tests can call.
///
/// The arguments, all optional, become the objective's description. trialbox shows the description
/// and names the study after it:
///
/// * `minimize = "loss"`, `maximize = "accuracy"`: the metrics, in the order of the returned values.
///   A single metric needs no name: `maximize`. Without a metric, `minimize` is the default.
/// * `name = "…"`: the objective's name; the package's name is the default.
/// * `data("/data/train.csv", "the content and its source", sha256 = "…")`: a file or directory
///   that the objective reads. The checksum is optional. The argument may be repeated.
///
/// The first paragraph of the function's documentation becomes the summary. Version, authors,
/// licence and repository come from `Cargo.toml`.
///
/// ```
/// use trialbox_guest::{Result, Trial, objective};
///
/// /// A small and accurate model of the housing prices.
/// #[objective(
///     minimize = "error",
///     minimize = "megabytes",
///     name = "housing",
///     data("/data/housing.csv", "the 1990 census of California, from the StatLib repository"),
/// )]
/// pub fn housing(trial: &mut Trial) -> Result<(f64, f64)> {
///     let trees = trial.suggest_int_log("trees", 10, 1000);
///     Ok((1.0 / trees as f64, 0.1 * trees as f64))
/// }
/// ```
///
/// The compiler finds mistakes, such as two metrics for one value:
///
/// ```compile_fail
/// # use trialbox_guest::{Result, Trial, objective};
/// #[objective(minimize = "error", minimize = "megabytes")]
/// pub fn housing(trial: &mut Trial) -> Result<f64> {
///     Ok(0.0)
/// }
/// ```
#[doc(inline)]
pub use trialbox_guest_macros::objective;

/// The items that the glue of `#[objective]` uses. They are not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::description::{DataSource, Direction, Metadata, Metric, first, optional};

    #[cfg(target_family = "wasm")]
    pub use crate::{
        __export_component as export_component,
        host::{describe, evaluate},
    };
    #[cfg(target_family = "wasm")]
    pub use wit_bindgen::rt;
}
