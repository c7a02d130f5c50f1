//! The hostile guests, numbered as threats: what each does, and what is to come of it.

use super::guests::{self, Guest};
use crate::scripted::{Call, Choice, Ending, component, float};

/// One hostile guest, and what is to come of a trial of it.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// The number of the threat, `H01` to `H42`; several guests may share it.
    pub(super) id: &'static str,
    /// The guest's name, which is its file's and its study's.
    pub(super) name: &'static str,
    pub(super) guest: Guest,
    /// Further flags of `run`, divided by spaces.
    pub(super) flags: &'static str,
    pub(super) end: End,
}

/// How a command on a hostile guest ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// Exit code 0, and a trial that is COMPLETE.
    Complete,
    /// Exit code 1, and a trial that is FAIL with this code; its message holds this piece.
    Fail(&'static str, &'static str),
    /// Exit code 4 with this code, and no trial; the message holds this piece.
    Refused(&'static str, &'static str),
}

use End::{Complete, Fail, Refused};
use Guest::{Described, Made, Misfit, Utf16, Wat};

const fn entry(
    id: &'static str,
    name: &'static str,
    guest: Guest,
    flags: &'static str,
    end: End,
) -> Entry {
    Entry { id, name, guest, flags, end }
}

const SHORT: &str = "--trial-timeout 500ms";

/// Bounds guests that reach another limit first, on the slowest of machines, and would run for ever without it.
const BOUNDED: &str = "--trial-timeout 200s";

/// Takes too long, or too much.
#[rustfmt::skip]
pub(super) const TOO_MUCH: &[Entry] = &[
    entry("H01", "loop", Wat("loop"), SHORT, Fail("E-TIME", "limit `trial-time` allows 0.5 s")),
    entry("H01", "loop-fuel", Wat("loop"), "--fuel 10000000", Fail("E-FUEL", "limit `fuel` allows 10000000")),
    // Its host has something to do all the time, and the time is over all the same.
    entry("H01", "log-endless", Wat("log-endless"), SHORT, Fail("E-TIME", "limit `trial-time` allows 0.5 s")),
    entry("H01", "ask-endless", Wat("ask-endless"), SHORT, Fail("E-TIME", "limit `trial-time` allows 0.5 s")),
    entry("H02", "start-loop", Wat("start-loop"), SHORT, Fail("E-TIME", "limit `trial-time` allows 0.5 s")),
    entry("H02", "start-loop-described", Described("start-loop-described"), "--compile-timeout 2s",
        Refused("E-COMPILE-LIMIT", "limit `compile-time` allows 2 s; raise it with --compile-timeout")),
    entry("H02", "describe-loop", Described("describe-loop"), "--compile-timeout 2s",
        Refused("E-COMPILE-LIMIT", "limit `compile-time` allows 2 s; raise it with --compile-timeout")),
    entry("H03", "memory-grow", Wat("memory-grow"), "--max-memory 64MiB",
        Fail("E-MEM", "limit `memory` allows 64 MiB")),
    // The pages are really there: the guest process has half a gigabyte, its host has not.
    entry("H03", "memory-touched", Wat("memory-touched"), "--max-memory 512MiB",
        Fail("E-MEM", "limit `memory` allows 512 MiB")),
    entry("H04", "memory-minimum", Wat("memory-minimum"), "--max-memory 64MiB",
        Fail("E-MEM", "limit `memory` allows 64 MiB")),
    entry("H05", "table-minimum", Wat("table-minimum"), "", Fail("E-TABLE", "limit `table-elements` allows")),
    entry("H05", "table-grow", Wat("table-grow"), BOUNDED, Fail("E-TABLE", "limit `table-elements` allows")),
    entry("H06", "many-memories", Made(guests::many_memories), "", Fail("E-MEM", "limit `memories` allows 64")),
    entry("H07", "many-instances", Made(guests::many_instances), "", Refused("E-INVALID", "instances")),
    entry("H08", "recursion", Wat("recursion"), "", Fail("E-STACK", "limit `stack` allows 1 MiB")),
    entry("H37", "sleep", Misfit("sleep"), SHORT, Fail("E-TIME", "limit `trial-time` allows 0.5 s")),
    entry("H37", "stdin", Misfit("stdin"), "", Complete),
    entry("H38", "alloc", Misfit("alloc"), "--max-memory 64MiB", Fail("E-MEM", "limit `memory` allows 64 MiB")),
    entry("H24", "handles", Wat("handles"), BOUNDED, Fail("E-LIMIT", "limit `handles` allows 10000")),
    entry("H40", "random-huge", Wat("random-huge"), "", Fail("E-LIMIT", "limit `random-bytes` allows 16 MiB")),
];

/// Takes memory by other ways than its own memories. The folder `many` has [`MANY`] files.
#[rustfmt::skip]
pub(super) const MEMORY: &[Entry] = &[
    entry("H05", "ten-tables", Made(guests::ten_tables), "--max-memory 64MiB --limit table-elements=10000000",
        Fail("E-MEM", "limit `memory` allows 64 MiB")),
    entry("H05", "tables-grow", Wat("tables-grow"), "--max-memory 64MiB --trial-timeout 200s",
        Fail("E-MEM", "limit `memory` allows 64 MiB")),
    // The host process has one copy of the file.
    entry("H26", "largest", Made(guests::largest), "--max-memory 512MiB", Complete),
    entry("H07", "many-components", Made(guests::many_components), "",
        Refused("E-INVALID", "too many modules and components")),
    entry("H07", "deep-components", Made(guests::deep_components), "",
        Refused("E-INVALID", "too many")),
    entry("H20", "long-names", Made(guests::long_names), "", Fail("E-PANIC", "aborted")),
    entry("H20", "long-import", Made(guests::long_import), "", Refused("E-CAPABILITY", "acme:gpu/nnn")),
    entry("H20", "long-description", Made(guests::long_description), "", Refused("E-ABI", "name")),
    entry("H24", "directory-streams", Wat("directory-streams"),
        "--dir many::/many --max-memory 32MiB --trial-timeout 200s", Fail("E-MEM", "limit `memory` allows 32 MiB")),
    entry("H24", "directory-streams-sorted", Wat("directory-streams"),
        "--deterministic --dir many::/many --max-memory 32MiB --trial-timeout 200s",
        Fail("E-MEM", "limit `memory` allows 32 MiB")),
];

/// The files of the folder `many`.
pub(super) const MANY: usize = 10_000;

/// Guests that break a rule of WebAssembly or of the contract, or pass invalid values.
#[rustfmt::skip]
pub(super) const BREAKS: &[Entry] = &[
    entry("H09", "unreachable", Wat("unreachable"), "", Fail("E-PANIC", "aborted")),
    entry("H09", "divide", Wat("divide"), "", Fail("E-TRAP", "divide by zero")),
    entry("H09", "load", Wat("load"), "", Fail("E-TRAP", "out of bounds")),
    entry("H09", "null-call", Wat("null-call"), "", Fail("E-TRAP", "")),
    entry("H10", "log-outside", Wat("log-outside"), "", Fail("E-DATA", "out of bounds")),
    entry("H10", "values-outside", Wat("values-outside"), "", Fail("E-DATA", "out of bounds")),
    entry("H10", "values-endless", Wat("values-endless"), "", Fail("E-DATA", "out of bounds")),
    entry("H10", "result-misaligned", Wat("result-misaligned"), "", Fail("E-DATA", "align")),
    entry("H10", "result-case", Wat("result-case"), "", Fail("E-DATA", "")),
    entry("H11", "utf8", Wat("utf8"), "", Fail("E-DATA", "utf-8")),
    entry("H11", "utf16-odd", Utf16("utf16-odd"), "", Fail("E-DATA", "align")),
    entry("H11", "utf16-surrogate", Utf16("utf16-surrogate"), "", Fail("E-DATA", "")),
    entry("H12", "log-huge", Wat("log-huge"), "", Fail("E-DATA-SIZE", "limit `payload` allows")),
    entry("H13", "aliased-list", Wat("aliased-list"), "", Fail("E-DATA-SIZE", "limit `payload` allows")),
    entry("H14", "choices-billion", Wat("choices-billion"), "", Fail("E-DATA", "")),
    entry("H14", "choices-half-million", Wat("choices-half-million"), "",
        Fail("E-DATA-SIZE", "limit `payload` allows")),
    entry("H14", "choices-many", Wat("choices-many"), "", Fail("E-SUGGEST", "limit `choices` allows 10000")),
    entry("H14", "choices-none", Wat("choices-none"), "", Fail("E-SUGGEST", "")),
    entry("H15", "name-long", Wat("name-long"), "", Fail("E-SUGGEST", "limit `name-length` allows 512")),
    entry("H15", "name-empty", Made(|| calls(&[float("", 0.0, 1.0)])), "", Fail("E-SUGGEST", "name")),
    entry("H15", "bounds-nan", Made(|| calls(&[float("x", f64::NAN, 1.0)])), "", Fail("E-SUGGEST", "`x`")),
    entry("H15", "bounds-infinite", Made(|| calls(&[float("x", 0.0, f64::INFINITY)])), "", Fail("E-SUGGEST", "`x`")),
    entry("H15", "bounds-inverted", Made(|| calls(&[float("x", 1.0, 0.0)])), "", Fail("E-SUGGEST", "`x`")),
    // As in Optuna: a range may change, and within a trial the first value stands.
    entry("H16", "other-range", Made(|| calls(&[float("x", 0.0, 1.0), float("x", 0.0, 2.0)])), "", Complete),
    entry("H16", "other-kind", Made(|| calls(&[float("x", 0.0, 1.0), int("x", 0, 1, 1)])), "",
        Fail("E-SUGGEST", "`x`")),
    entry("H16", "log-of-zero", Made(log_of_zero), "", Fail("E-SUGGEST", "`x`")),
    entry("H16", "step-zero", Made(|| calls(&[int("x", 0, 10, 0)])), "", Fail("E-SUGGEST", "`x`")),
    entry("H16", "ints-beyond-floats", Made(|| calls(&[int("x", i64::MIN, i64::MAX, 1)])), "",
        Fail("E-SUGGEST", "`x`")),
    entry("H16", "other-choices", Made(other_choices), "", Fail("E-SUGGEST", "`x`")),
    entry("H21", "realloc-outside", Wat("realloc-outside"), "", Fail("E-DATA", "memory")),
    entry("H21", "realloc-misaligned", Wat("realloc-misaligned"), "--env X=1", Fail("E-DATA", "align")),
    // The guest's own code traps, even where the host has called it.
    entry("H21", "realloc-trap", Wat("realloc-trap"), "", Fail("E-PANIC", "aborted")),
    entry("H21", "realloc-loop", Wat("realloc-loop"), SHORT, Fail("E-TIME", "limit `trial-time` allows 0.5 s")),
    entry("H21", "realloc-grow", Wat("realloc-grow"), "", Complete),
    entry("H22", "realloc-import", Wat("realloc-import"), "", Fail("E-TRAP", "")),
];

/// Returns, reports, logs or ends as an honest guest would not.
#[rustfmt::skip]
pub(super) const ENDS: &[Entry] = &[
    entry("H17", "value-nan", Made(|| values(&[f64::NAN])), "", Fail("E-VALUE", "NaN")),
    entry("H17", "value-infinite", Made(|| values(&[f64::INFINITY])), "", Complete),
    entry("H17", "values-two", Wat("values-two"), "", Fail("E-VALUE", "2 values, but the study has 1 objective")),
    entry("H18", "reports", Wat("reports"), "", Complete),
    entry("H18", "attrs", Wat("attrs"), BOUNDED, Fail("E-BUDGET", "limit `user-attrs` allows 1000")),
    entry("H18", "params", Wat("params"), "--limit params=100 --trial-timeout 200s",
        Fail("E-BUDGET", "limit `params` allows 100")),
    entry("H18", "attrs-large", Wat("attrs-large"), BOUNDED, Fail("E-BUDGET", "limit `trial-data` allows 2 MiB")),
    entry("H18", "choices-large", Wat("choices-large"), BOUNDED, Fail("E-BUDGET", "limit `trial-data` allows 2 MiB")),
    entry("H19", "reports-odd", Made(|| calls(&ODD_REPORTS)), "", Complete),
    entry("H20", "log-flood", Wat("log-flood"), "", Complete),
    entry("H20", "print-flood", Misfit("print"), "", Complete),
    entry("H20", "names", Made(names_with_escapes), "", Complete),
    entry("H20", "error-text", Wat("error-text"), "", Fail("E-GUEST", "red")),
    entry("H20", "panic-at-length", Misfit("panic-at-length"), "", Fail("E-PANIC", "panicked at src/lib.rs")),
    entry("H23", "post-return-trap", Wat("post-return-trap"), "", Fail("E-PANIC", "value")),
    entry("H23", "post-return-loop", Wat("post-return-loop"), SHORT, Fail("E-TIME", "limit `trial-time` allows 0.5 s")),
    entry("H23", "post-return-import", Wat("post-return-import"), "", Fail("E-TRAP", "value")),
    entry("H38", "exit-0", Misfit("exit0"), "", Fail("E-EXIT", "exit(0)")),
    entry("H38", "exit-7", Misfit("exit7"), "", Fail("E-EXIT", "exit() with an error status")),
    entry("H38", "panic", Misfit("panic"), "", Fail("E-PANIC", "the learning rate is upside down")),
    entry("H39", "clock", Misfit("clock"), "", Complete),
    entry("H39", "hash", Misfit("hash"), "", Complete),
];

/// Is no objective that can run here.
#[rustfmt::skip]
pub(super) const REFUSED: &[Entry] = &[
    entry("H26", "truncated", Made(guests::truncated), "", Refused("E-INVALID", "truncated or damaged at byte")),
    entry("H26", "damaged", Made(guests::damaged), "", Refused("E-INVALID", "")),
    entry("H26", "random", Made(guests::random), "", Refused("E-INVALID", "is not wasm")),
    entry("H26", "random-component", Made(guests::random_component), "",
        Refused("E-INVALID", "truncated or damaged at byte")),
    entry("H26", "empty", Made(Vec::new), "", Refused("E-INVALID", "is empty")),
    entry("H26", "too-large", Made(guests::large), "--limit module-size=1MiB",
        Refused("E-MODULE-SIZE", "limit `module-size` allows 1 MiB; raise it with --limit module-size")),
    entry("H26", "text", Made(|| b"(component)".to_vec()), "", Refused("E-INVALID", "is WebAssembly text")),
    entry("H26", "zip", Made(|| b"PK\x03\x04\x14\0\0\0".to_vec()), "", Refused("E-INVALID", "zip")),
    entry("H26", "gzip", Made(|| b"\x1f\x8b\x08\0\0\0\0\0".to_vec()), "", Refused("E-INVALID", "gzip")),
    entry("H26", "tar", Made(guests::tar), "", Refused("E-INVALID", "tar")),
    entry("H26", "page", Made(|| b"<!DOCTYPE html><title>404</title>".to_vec()), "", Refused("E-INVALID", "HTML")),
    entry("H26", "lfs", Made(|| b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n".to_vec()), "",
        Refused("E-INVALID", "Git LFS pointer")),
    entry("H27", "core-module", Made(guests::core_module), "", Refused("E-NOT-COMPONENT", "core wasm module")),
    entry("H27", "wasip1-module", Made(guests::wasip1_module), "", Refused("E-NOT-COMPONENT", "wasm module")),
    entry("H28", "unknown-import", Made(guests::unknown_import), "",
        Refused("E-CAPABILITY", "`acme:gpu/device@1.0.0`")),
    entry("H28", "network-import", Made(guests::network_import), "", Refused("E-CAPABILITY", "the network")),
    entry("H28", "import-type", Wat("import-type"), "", Refused("E-ABI", "report")),
    entry("H28", "older-contract", Made(guests::older_contract), "", Refused("E-ABI", "version 0.0.9")),
    entry("H28", "newer-contract", Made(guests::newer_contract), "", Refused("E-ABI", "version 0.2.0")),
    entry("H28", "newer-import", Wat("newer-import"), "", Refused("E-ABI", "forecast")),
    entry("H28", "later-patch", Wat("later-patch"), "", Complete),
    entry("H28", "import-escapes", Made(guests::import_with_escapes), "", Refused("E-CAPABILITY", "imports `.evice")),
    entry("H29", "other-component", Made(guests::other_component), "", Refused("E-ABI", "found nothing")),
    entry("H29", "no-evaluate", Wat("no-evaluate"), "", Refused("E-ABI", "evaluate")),
    entry("H29", "wrong-type", Wat("wrong-type"), "", Refused("E-ABI", "evaluate")),
    entry("H29", "extra-exports", Wat("extra-exports"), "", Complete),
    entry("H29", "describe-report", Described("describe-report"), "", Refused("E-ABI", "`report`")),
    entry("H30", "gc", Wat("feature-gc"), "", Refused("E-FEATURE", "GC")),
    entry("H30", "memory64", Wat("feature-memory64"), "", Refused("E-FEATURE", "memory64")),
    entry("H30", "threads", Wat("feature-threads"), "", Refused("E-FEATURE", "threads")),
    entry("H30", "exceptions", Wat("feature-exceptions"), "", Refused("E-FEATURE", "exceptions")),
    entry("H30", "async", Made(guests::async_lift), "", Refused("E-FEATURE", "async")),
    entry("H31", "elf", Made(guests::elf), "", Refused("E-INVALID", "ELF")),
    entry("H31", "cwasm", Made(guests::cwasm), "", Refused("E-INVALID", "ELF")),
    entry("H32", "custom-sections", Made(guests::custom_sections), "", Complete),
    entry("H32", "section-name", Made(guests::huge_section_name), "", Refused("E-INVALID", "")),
    entry("H32", "described-escapes", Described("described-escapes"), "", Refused("E-ABI", "name")),
];

/// Takes the compiler too long, or too much.
#[rustfmt::skip]
pub(super) const COMPILE_BOMBS: &[Entry] = &[
    entry("H25", "huge-function", Made(guests::huge_function), "--compile-timeout 500ms", TOO_LONG),
    entry("H25", "branch-tables-memory", Made(guests::branch_tables), "--limit compile-memory=300MiB",
        Refused("E-COMPILE-LIMIT", "limit `compile-memory` allows 300 MiB; raise it with --limit compile-memory")),
    entry("H25", "many-functions", Made(guests::many_functions), "--compile-timeout 500ms", TOO_LONG),
    entry("H25", "deep-ifs", Made(guests::deep_ifs), "--compile-timeout 500ms", TOO_LONG),
    entry("H25", "deep-blocks", Made(guests::deep_blocks), "--compile-timeout 500ms", TOO_LONG),
    entry("H25", "many-locals", Made(guests::many_locals), "--compile-timeout 500ms", TOO_LONG),
    entry("H25", "branch-tables", Made(guests::branch_tables), "--compile-timeout 500ms", TOO_LONG),
];

/// Each bomb takes the compiler many times as long, also on a quick machine.
const TOO_LONG: End = Refused(
    "E-COMPILE-LIMIT",
    "limit `compile-time` allows 0.5 s; raise it with --compile-timeout",
);

/// What is tested elsewhere, and where.
pub(super) const ELSEWHERE: &[(&str, &str)] = &[
    ("H33", "the environment, directories and /proc as a guest sees them: escapes.rs"),
    ("H34", "sockets and names of hosts: escapes.rs"),
    ("H35", "links and `..` out of a granted directory: escapes.rs"),
    ("H36", "disks and descriptors that are filled: escapes.rs"),
    ("H41", "a guest process that a signal ends: hostile/died.rs"),
    ("H42", "components from dice: random_components.rs"),
];

/// NaN is a value, of a step that is reported twice the first value counts, and a step may be the last there is.
pub(super) const ODD_REPORTS: [Call<'static>; 4] = [
    Call::Report(f64::NAN, 0),
    Call::Report(1.0, 1),
    Call::Report(2.0, 1),
    Call::Report(3.0, u32::MAX),
];

/// The objective that makes these calls, and returns 0.
fn calls(calls: &[Call]) -> Vec<u8> {
    component(calls, &Ending::Values(&[0.0]))
}

fn values(values: &[f64]) -> Vec<u8> {
    component(&[], &Ending::Values(values))
}

fn int(name: &str, low: i64, high: i64, step: i64) -> Call<'_> {
    Call::Int { name, low, high, log: false, step }
}

fn log_of_zero() -> Vec<u8> {
    calls(&[Call::Float { name: "x", low: 0.0, high: 1.0, log: true, step: None }])
}

fn other_choices() -> Vec<u8> {
    let categorical = |choices| Call::Categorical { name: "x", choices };
    calls(&[
        categorical(&[Choice::Int(1), Choice::Text("two")]),
        categorical(&[Choice::Int(1), Choice::Bool(true)]),
    ])
}

/// A parameter, an attribute and a constraint whose names a terminal would obey.
pub(super) fn names_with_escapes() -> Vec<u8> {
    calls(&[
        float("\u{1b}[31mx\u{9b}2J\u{7f}", 0.0, 1.0),
        Call::Attr { key: "\u{1b}]0;title\u{7}", json: r#""\u001b[2J""# },
        Call::Constraint { name: "\u{1b}[1A\r", value: 0.0 },
    ])
}
