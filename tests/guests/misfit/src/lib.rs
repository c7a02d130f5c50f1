//! An objective that misbehaves as the environment variable `MISFIT` says: what a guest does by way of its
//! language's standard library, which no few lines of WebAssembly text would show.

use std::collections::HashMap;
use std::io::Read as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use trialbox_guest::{Result, Stop, Trial, objective};

/// Its value is 0 where what it does leaves it one; else what it has seen.
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
        other => {
            return Err(Stop::failed(format_args!("MISFIT is `{other}`, which is nothing to do")));
        }
    })
}

/// Keeps more and more, until something gives.
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

/// Its parameter, after as many seconds as `MISFIT_SECONDS` says and a report of it at once.
fn slow(trial: &mut Trial) -> f64 {
    let x = trial.suggest_float("x", 0.0, 1.0);
    trial.report(x, 0);
    let seconds = std::env::var("MISFIT_SECONDS").unwrap_or_default();
    std::thread::sleep(Duration::from_secs_f64(seconds.parse().unwrap_or(0.0)));
    x
}

/// How much there is to read.
fn bytes_of_input() -> Result<f64> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes.len() as f64)
}

/// The time of day, as a value that differs from trial to trial.
fn since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The order in which a map with random hashes lists ten keys, as a number.
fn order_of_hashes() -> f64 {
    let map: HashMap<u32, ()> = (0..10).map(|key| (key, ())).collect();
    map.keys().fold(0.0, |order, key| order * 10.0 + f64::from(*key))
}

/// More than is kept, with sequences that a terminal would obey.
fn print(trial: &mut Trial) -> f64 {
    for line in 0..5_000 {
        println!("\u{1b}[2J\u{1b}]0;title\u{7}line {line} \u{9b}31m\r");
        trial.info(format_args!("\u{1b}[1A{line}"));
    }
    0.0
}
