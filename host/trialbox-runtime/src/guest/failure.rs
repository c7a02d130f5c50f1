//! The errors of wasmtime when a guest does not return, in the words of this project.

use crate::guest::meter::{LimitReached, is_out_of_memory};
use crate::wire::protocol::GuestLimits;
use trialbox_core::study::failure::{Failure, FailureCode};
use trialbox_core::study::limits::{Limit, LimitHit};
use trialbox_core::value::text::shorten;
use wasmtime::{Error, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// A host call that the guest may not make, such as `report` from `describe`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct IllegalCall(pub(crate) String);

/// The longest name of a function in a backtrace, in characters.
const MAX_NAME_CHARS: usize = 200;

/// The number of functions that are kept of a backtrace, the innermost ones.
const MAX_FRAMES: usize = 10;

/// The prefixes of functions that report a panic or an abort and are not its origin.
const PANICKING: [&str; 15] = [
    "__rust",
    "rust_panic",
    "rust_begin_unwind",
    "core::cell::panic_already",
    "core::option::expect_failed",
    "core::option::unwrap_failed",
    "core::panicking",
    "core::result::unwrap_failed",
    "core::slice::index::slice_",
    "core::str::slice_error_fail",
    "std::panicking",
    "std::process::abort",
    "std::sys",
    "alloc::alloc::handle_alloc_error",
    "alloc::raw_vec::",
];

/// The prefix of modules that toolchains generate to pass calls on.
const GLUE: &str = "wit-component:";

/// The prefix of the function that the host calls after it has read the result.
const POST_RETURN: &str = "cabi_post_";

/// Returns the failure of a guest that did not return. Rust and C write the text of a panic to `last_stderr`.
pub(crate) fn classify(error: &Error, last_stderr: &str, limits: &GuestLimits) -> Failure {
    let mut found = explain(error, last_stderr, limits);
    let names = error.downcast_ref().map(function_names).unwrap_or_default();
    if names.last().is_some_and(|outermost| outermost.starts_with(POST_RETURN)) {
        found.message.push_str(", after it had returned its values, which are lost");
    }
    // A component may give a function a name of a megabyte, which no message to the host process can hold.
    let names: Vec<String> =
        names.iter().skip_while(|name| is_panicking(name)).take(MAX_FRAMES).cloned().collect();
    found.with_backtrace(&names)
}

fn is_panicking(name: &str) -> bool {
    name == "abort" || PANICKING.iter().any(|begin| name.starts_with(begin))
}

fn explain(error: &Error, last_stderr: &str, limits: &GuestLimits) -> Failure {
    if let Some(LimitReached(hit)) = error.downcast_ref() {
        return limit_reached(*hit);
    }
    if let Some(I32Exit(status)) = error.downcast_ref() {
        // WASI 0.2 passes on only success or failure.
        let status = if *status == 0 { "exit(0)" } else { "exit() with an error status" };
        let message = format!("the guest called {status} instead of returning");
        return Failure::new(FailureCode::Exit, message);
    }
    if let Some(call) = error.downcast_ref::<IllegalCall>() {
        return Failure::new(FailureCode::Call, call.to_string());
    }
    if is_out_of_memory(error) {
        return out_of_memory(limits);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => {
            Failure::new(FailureCode::Panic, panic_message(last_stderr))
        }
        Some(Trap::StackOverflow) => limit_reached(hit(Limit::Stack, limits.stack_bytes)),
        Some(Trap::OutOfFuel) => limit_reached(hit(Limit::Fuel, limits.fuel.unwrap_or_default())),
        Some(trap) => {
            Failure::new(FailureCode::Trap, format!("the guest trapped: {}", describe(*trap)))
        }
        None => explain_text(&error.root_cause().to_string(), limits),
    }
}

fn hit(limit: Limit, allowed: u64) -> LimitHit {
    LimitHit { limit, allowed, used: None }
}

fn out_of_memory(limits: &GuestLimits) -> Failure {
    let what = "the system refused memory that the guest asked for:";
    Failure::of_limit(FailureCode::Memory, what, hit(Limit::Memory, limits.memory_bytes))
}

fn limit_reached(hit: LimitHit) -> Failure {
    let (code, what) = match hit.limit {
        Limit::Memory => (FailureCode::Memory, "the guest asked for memory of"),
        Limit::Memories => (FailureCode::Memory, "the guest's memories:"),
        Limit::TableElements => (FailureCode::Table, "elements of one of the guest's tables:"),
        Limit::Stack => (FailureCode::Stack, "the guest's stack is exhausted:"),
        Limit::Fuel => (FailureCode::Fuel, "the guest's fuel is used up:"),
        Limit::Payload => (FailureCode::DataSize, "one call passed too much:"),
        Limit::Handles => {
            (FailureCode::Limit, "the guest holds too many resources, such as files:")
        }
        Limit::RandomBytes => (FailureCode::Limit, "one call asked for too many random bytes:"),
        Limit::Instances => (FailureCode::Limit, "the guest has too many instances or tables:"),
        _ => (FailureCode::Limit, "the guest reached a limit:"),
    };
    Failure::of_limit(code, what, hit)
}

/// Describes a trap for readers who do not know WebAssembly.
fn describe(trap: Trap) -> &'static str {
    match trap {
        Trap::MemoryOutOfBounds => "it read or wrote memory out of bounds",
        Trap::TableOutOfBounds => "it called a function by a pointer that is out of bounds",
        Trap::IndirectCallToNull => "it called a function by a null pointer",
        Trap::BadSignature => "it called a function by a pointer to one of another type",
        Trap::IntegerOverflow => "an integer division overflows",
        Trap::IntegerDivisionByZero => "an integer was divided by zero (divide by zero)",
        Trap::BadConversionToInteger => {
            "a float that is NaN or too large was converted to an integer"
        }
        Trap::HeapMisaligned => "an atomic access is not aligned",
        Trap::NullReference | Trap::CastFailure | Trap::ArrayOutOfBounds => {
            "it used a reference as one of another type"
        }
        Trap::AllocationTooLarge => "one allocation was too large",
        Trap::UncaughtException | Trap::UnhandledTag => "it threw an exception without a handler",
        Trap::CannotLeaveComponent => "it called the host while the host was passing it data",
        Trap::CannotEnterComponent => "it was called while it was running",
        Trap::StringOutOfBounds | Trap::ListOutOfBounds => "it passed data that is out of bounds",
        Trap::InvalidDiscriminant => "it passed a case that its type does not have",
        Trap::UnalignedPointer => "it passed a pointer that is not aligned",
        _ => "it broke a rule of WebAssembly",
    }
}

/// Parts of texts of errors without a type, and the descriptions that replace them. wasmtime reports errors in lifting
/// and lowering values this way, and errors of its tables.
const TEXTS: [(&str, &str); 21] = [
    ("return pointer not aligned", "the pointer to its result is not aligned"),
    ("realloc return: result not aligned", "its `realloc` gave a pointer that is not aligned"),
    (
        "realloc return: beyond end of memory",
        "its `realloc` gave a pointer beyond the end of memory",
    ),
    ("pointer out of bounds", "a pointer is out of bounds of its memory"),
    ("pointer size overflow", "a pointer is out of bounds of its memory"),
    ("not aligned", "a pointer is not aligned"),
    ("out of bounds of memory", "a string or list is out of bounds of its memory"),
    ("size overflow", "a string or list is out of bounds of its memory"),
    ("byte length", "a string is too long"),
    ("utf-8", "a string is not utf-8"),
    ("utf-16", "a string is not utf-16"),
    ("surrogate", "a string is not utf-16"),
    ("for `char`", "a character is not in Unicode"),
    ("discriminant", "a value has a case that its type does not have"),
    ("unknown handle index", "it used a resource that it does not hold"),
    ("resource not present", "it used a resource that it does not hold"),
    ("used with the wrong type", "it used a resource as one of another type"),
    ("of another type", "it used a resource as one of another type"),
    ("own resource", "it gave away a resource that it has only borrowed or lent"),
    ("owned resource", "it gave away a resource that it has only borrowed or lent"),
    ("borrow handles still remain", "it kept a resource that it had only borrowed"),
];

/// Parts of texts that report a limit.
const LIMIT_TEXTS: [(&str, Limit); 8] = [
    ("fuel allocated for hostcalls", Limit::Payload),
    ("handle limit", Limit::Handles),
    ("no free keys", Limit::Handles),
    ("resource table", Limit::Handles),
    ("requested len", Limit::RandomBytes),
    ("instance count too high", Limit::Instances),
    ("table count too high", Limit::Instances),
    ("memory count too high", Limit::Memories),
];

fn explain_text(text: &str, limits: &GuestLimits) -> Failure {
    if let Some((_, limit)) = LIMIT_TEXTS.iter().find(|(piece, _)| text.contains(piece)) {
        let allowed = match limit {
            Limit::Payload => limits.payload_bytes,
            Limit::Handles => limits.handles,
            Limit::RandomBytes => limits.random_bytes,
            Limit::Memories => limits.memories,
            _ => limits.instances,
        };
        return limit_reached(LimitHit { used: asked_for(text), ..hit(*limit, allowed) });
    }
    let said = TEXTS.iter().find(|(piece, _)| text.contains(piece)).map_or(text, |(_, said)| said);
    Failure::new(FailureCode::Data, format!("the guest passed invalid data: {said}"))
}

/// Returns the amount in a text such as `requested len 7 exceeds limit 5`.
fn asked_for(text: &str) -> Option<u64> {
    let (_, amount) = text.split_once("requested len ")?;
    amount.split(' ').next()?.parse().ok()
}

/// Returns the text of a Rust panic, or a description without one.
fn panic_message(stderr: &str) -> String {
    let Some(start) = stderr.rfind("panicked at ") else {
        return "the guest aborted: it reached code that it declares unreachable, \
                as a panic or abort() does"
            .to_owned();
    };
    let mut lines = stderr[start..].lines();
    let place =
        lines.next().unwrap_or_default().trim_start_matches("panicked at ").trim_end_matches(':');
    let text: Vec<&str> = lines.take_while(|line| !line.starts_with("note: ")).collect();
    format!("the objective panicked at {place}: {}", text.join(" ").trim())
}

/// Returns the running functions, innermost first, as far as the component names them.
fn function_names(backtrace: &WasmBacktrace) -> Vec<String> {
    let frames = backtrace.frames().iter();
    let frames =
        frames.filter(|frame| !frame.module().name().unwrap_or_default().starts_with(GLUE));
    let names = frames.filter_map(|frame| frame.func_name());
    // `#` omits the hash of Rust's symbols. A component may have names of a mebibyte.
    names
        .map(|name| shorten(&format!("{:#}", rustc_demangle::demangle(name)), MAX_NAME_CHARS))
        .collect()
}

#[cfg(test)]
mod tests;
