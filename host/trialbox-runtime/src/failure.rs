//! What wasmtime says when a guest does not return, in our words.

use crate::limits::LimitReached;
use crate::protocol::BreakKind;
use trialbox_core::limits::Limit;
use wasmtime::{Error, Trap};
use wasmtime_wasi::I32Exit;

/// A host call that the guest may not make, such as `report` from `describe`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct IllegalCall(pub(crate) String);

/// The kind and message of a guest that broke. `last_stderr` is where Rust and C write a panic's text.
pub(crate) fn classify(error: &Error, last_stderr: &str) -> (BreakKind, String) {
    if let Some(LimitReached(hit)) = error.downcast_ref() {
        let (kind, what) = match hit.limit {
            Limit::Memory => (BreakKind::Memory, "the guest asked for memory of"),
            Limit::Memories => (BreakKind::Memory, "the guest's memories:"),
            Limit::TableElements => (BreakKind::Table, "elements of one of the guest's tables:"),
            _ => (BreakKind::Limit, "the guest met a limit:"),
        };
        return (kind, format!("{what} {hit}"));
    }
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        return (BreakKind::Exit, format!("the guest called exit({status}) instead of returning"));
    }
    if let Some(call) = error.downcast_ref::<IllegalCall>() {
        return (BreakKind::Call, call.to_string());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => {
            (BreakKind::Stack, "the guest's stack (1 MiB) is exhausted".to_owned())
        }
        Some(Trap::UnreachableCodeReached) => (BreakKind::Trap, panic_message(last_stderr)),
        Some(trap) => (BreakKind::Trap, format!("the guest trapped: {trap}")),
        None => (
            BreakKind::Data,
            format!("the guest passed data that makes no sense: {}", error.root_cause()),
        ),
    }
}

/// The text of a Rust panic, or what is known without one.
fn panic_message(stderr: &str) -> String {
    let Some(start) = stderr.rfind("panicked at ") else {
        return "the guest aborted: it reached code that it declares unreachable, as a panic or abort() does".to_owned();
    };
    let mut lines = stderr[start..].lines();
    let place =
        lines.next().unwrap_or_default().trim_start_matches("panicked at ").trim_end_matches(':');
    let text: Vec<&str> = lines.take_while(|line| !line.starts_with("note: ")).collect();
    format!("the objective panicked at {place}: {}", text.join(" ").trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_panic_is_quoted_with_its_place() {
        let stderr = "epoch 3\nthread '<unnamed>' panicked at src/lib.rs:7:5:\nindex 3 is out of range\nnote: run with `RUST_BACKTRACE=1`\n";
        assert_eq!(
            panic_message(stderr),
            "the objective panicked at src/lib.rs:7:5: index 3 is out of range"
        );
        assert!(panic_message("").starts_with("the guest aborted"));
    }
}
