//! An objective that misbehaves in the way that the environment variable `MISFIT` names. It covers what a guest does
//! through its language's standard library, which would take many lines of WebAssembly text.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use trialbox_guest::{Checkpoint, Result, Stop, Trial, objective};

/// Returns the value that it saw, or 0 for misbehaviour without one.
#[objective(minimize)]
pub fn misfit(trial: &mut Trial) -> Result<f64> {
    let what = std::env::var("MISFIT").unwrap_or_default();
    Ok(match what.as_str() {
        "panic" => panic!("the learning rate is upside down"),
        "panic-at-length" => panic!("\u{1b}[31m{}", "no ".repeat(10 << 10)),
        "exit0" => std::process::exit(0),
        "exit7" => std::process::exit(7),
        "alloc" => allocate(),
        "sleep" => sleep(),
        "slow" => slow(trial),
        "stdin" => bytes_of_input()?,
        "clock" => since_1970(),
        "hash" => order_of_hashes(),
        "print" => print(trial),
        "count" => count(trial)?,
        "scribble" => scribble(trial),
        other => {
            return Err(Stop::failed(format_args!(
                "expected a kind of misbehaviour in MISFIT, found `{other}`"
            )));
        }
    })
}

/// Allocates until a limit is reached.
fn allocate() -> f64 {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![1u8; 1 << 20]);
        std::hint::black_box(&kept);
    }
}

fn sleep() -> f64 {
    std::thread::sleep(Duration::from_secs(1_000_000));
    0.0
}

/// Reports its parameter, sleeps for `MISFIT_SECONDS`, and returns the parameter.
fn slow(trial: &mut Trial) -> f64 {
    let x = trial.suggest_float("x", 0.0, 1.0);
    trial.report(x, 0);
    let seconds = std::env::var("MISFIT_SECONDS").unwrap_or_default();
    std::thread::sleep(Duration::from_secs_f64(seconds.parse().unwrap_or(0.0)));
    x
}

/// Returns the number of bytes on standard input.
fn bytes_of_input() -> Result<f64> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes.len() as f64)
}

/// Returns the time of day, a value that differs from trial to trial.
fn since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Returns the order in which a map with random hashes lists ten keys, as a number.
fn order_of_hashes() -> f64 {
    let map: HashMap<u32, ()> = (0..10).map(|key| (key, ())).collect();
    map.keys().fold(0.0, |order, key| order * 10.0 + f64::from(*key))
}

/// Prints more than the host keeps, with sequences that a terminal would obey.
fn print(trial: &mut Trial) -> f64 {
    for line in 0..5_000 {
        println!("\u{1b}[2J\u{1b}]0;title\u{7}line {line} \u{9b}31m\r");
        trial.info(format_args!("\u{1b}[1A{line}"));
    }
    0.0
}

/// Takes twelve steps, each of which depends on the one before, and saves them in its checkpoint. It hangs after
/// `STEPS` steps.
fn count(trial: &mut Trial) -> io::Result<f64> {
    let steps = std::env::var("STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(12);
    let checkpoint = trial.checkpoint();
    let state = match checkpoint {
        Checkpoint::Unavailable => "unavailable",
        Checkpoint::Fresh(_) => "fresh",
        Checkpoint::Resumed(_) => "resumed",
    };
    trial.set_user_attr("checkpoint", state);
    trial.set_user_attr("within_reach", within_reach());
    let mut taken = checkpoint.load("steps")?.unwrap_or_default();
    let (mut number, mut last) = (0, trial.seed());
    for bytes in taken.chunks_exact(8) {
        last = bytes.iter().rev().fold(0, |value, &byte| (value << 8) | u64::from(byte));
        trial.report(fraction(last), number);
        number += 1;
    }
    for step in 0..12 - number {
        if step == steps {
            loop {
                // A deterministic clock advances immediately, so a single sleep would return.
                sleep();
            }
        }
        last = (last ^ (last >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(1);
        taken.extend(last.to_le_bytes());
        trial.report(fraction(last), number + step);
        checkpoint.save("steps", &taken)?;
    }
    Ok(fraction(last))
}

/// Returns a number from 0 up to 1, with all the bits that a float holds.
fn fraction(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns those of these paths that exist. The test creates `leak` as a link.
fn within_reach() -> String {
    let paths = [
        "/",
        "/checkpoint",
        "/checkpoint/..",
        "/checkpoint/../0",
        "/checkpoint/../../..",
        "/checkpoint/leak",
        "/checkpoint/leaks/secret",
        "/tmp",
    ];
    paths.into_iter().filter(|path| fs::metadata(path).is_ok()).collect::<Vec<_>>().join(" ")
}

/// Writes new numbers to its checkpoint for ever, and ignores errors.
fn scribble(trial: &mut Trial) -> f64 {
    let checkpoint = trial.checkpoint();
    for number in 0_u64.. {
        let _ = checkpoint.save("scribbled", &number.to_le_bytes());
    }
    0.0
}
