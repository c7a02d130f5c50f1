//! Guest processes that break the protocol, for tests of the host process; never in a release.
//!
//! They behave as a process would that hostile code has taken over: they send what they like, when they like, and read
//! only what they like.

use crate::wire::protocol::{FromGuest, IMPOSTOR, ToGuest, append_frame, read_frame};
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use trialbox_core::session::door::Loaded;

/// Returns the kind of impostor that the environment asks for.
pub(crate) fn kind() -> Option<String> {
    std::env::var(IMPOSTOR).ok()
}

/// Serves the host process badly. Returns when the host process has gone.
pub(crate) fn serve(kind: &str, mut host: &UnixStream) -> io::Result<()> {
    match kind {
        // While the objective is loaded.
        "load: never reads" => {
            host.write_all(&frame(&FromGuest::NeedModule)?)?;
            wait()
        }
        "load: asks for the component without end" => loop {
            host.write_all(&frame(&FromGuest::NeedModule)?)?;
        },
        "load: asks for the component twice" => {
            host.write_all(&frame(&FromGuest::NeedModule)?.repeat(2))?;
            while host.read(&mut [0; 4096])? > 0 {}
            Ok(())
        }
        "load: asks for the component and goes" => host.write_all(&frame(&FromGuest::NeedModule)?),
        "load: says nothing" => wait(),
        "load: talks without end" => flood(host, &output()?),
        _ => {
            read_frame::<ToGuest>(&mut host)?;
            host.write_all(&frame(&FromGuest::Loaded(Loaded::default()))?)?;
            read_frame::<ToGuest>(&mut host)?;
            misbehave_in_trial(kind, host)
        }
    }
}

fn misbehave_in_trial(kind: &str, mut host: &UnixStream) -> io::Result<()> {
    match kind {
        "never reads" => flood(host, &frame(&FromGuest::ShouldPrune)?),
        "reads a byte a second" => {
            std::thread::scope(|scope| {
                scope.spawn(|| flood(host, &frame(&FromGuest::RemainingSeconds)?));
                while host.read(&mut [0]).is_ok_and(|length| length > 0) {
                    std::thread::sleep(Duration::from_secs(1));
                }
            });
            Ok(())
        }
        "talks without end" => flood(host, &output()?),
        "reports without end" => flood(host, &frame(&FromGuest::Report { value: 0.5, step: 1 })?),
        "sends a part of a message" => {
            host.write_all(&frame(&FromGuest::ShouldPrune)?[..3])?;
            wait()
        }
        "sends a byte at a time" => {
            for byte in output()?.iter().cycle() {
                host.write_all(&[*byte])?;
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        }
        "says nothing" => wait(),
        "stops reading and asks" => {
            host.shutdown(Shutdown::Read)?;
            host.write_all(&frame(&FromGuest::ShouldPrune)?)?;
            wait()
        }
        "stops writing" => {
            host.shutdown(Shutdown::Write)?;
            wait()
        }
        "leaves a process with its standard error" => {
            Command::new("/bin/sleep").arg("60").stdin(Stdio::null()).spawn().map(drop)
        }
        other => Err(io::Error::other(format!("expected a kind of impostor, found `{other}`"))),
    }
}

fn frame(message: &FromGuest) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    append_frame(&mut bytes, message)?;
    Ok(bytes)
}

fn output() -> io::Result<Vec<u8>> {
    frame(&FromGuest::Output { stderr: false, bytes: vec![b'x'; 60_000] })
}

/// Sends a frame again and again, many at a time.
fn flood(mut host: &UnixStream, frame: &[u8]) -> io::Result<()> {
    let many = frame.repeat(1 + 60_000 / frame.len());
    loop {
        host.write_all(&many)?;
    }
}

/// Waits for the end: the host process kills this one.
fn wait() -> io::Result<()> {
    loop {
        std::thread::park();
    }
}
