//! The guests themselves: what is in `tests/guests` as text becomes a component as toolchains make one, and what
//! is large or no WebAssembly is made here.

use crate::scene::{guest, root};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve};

/// A guest of the list.
#[derive(Debug, Clone, Copy)]
pub(super) enum Guest {
    /// The core module `NAME.wat`, made a component with the world of `NAME.wit`, or of `guest.wit`.
    Wat(&'static str),
    /// The same, and it passes text as UTF-16.
    Utf16(&'static str),
    /// The same, with what the contract calls `describe`.
    Described(&'static str),
    /// The component written in Rust, which misbehaves as the environment variable `MISFIT` says.
    Misfit(&'static str),
    /// Bytes that are made, a component or not.
    Made(fn() -> Vec<u8>),
}

impl Guest {
    /// The bytes of the file that trialbox gets.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Guest::Wat(name) => from_text(name, "guest", StringEncoding::UTF8),
            Guest::Utf16(name) => from_text(name, "guest", StringEncoding::UTF16),
            Guest::Described(name) => from_text(name, "described", StringEncoding::UTF8),
            Guest::Misfit(_) => std::fs::read(guest("misfit")).unwrap(),
            Guest::Made(make) => make(),
        }
    }

    /// The flags that say how it is to misbehave.
    pub(super) fn flags(self) -> Vec<String> {
        match self {
            Guest::Misfit(how) => vec!["--env".to_owned(), format!("MISFIT={how}")],
            _ => vec![],
        }
    }
}

fn folder() -> PathBuf {
    root().join("tests/guests")
}

fn from_text(name: &str, world: &str, encoding: StringEncoding) -> Vec<u8> {
    let module = wat::parse_file(folder().join(format!("{name}.wat"))).unwrap();
    let own = folder().join(format!("{name}.wit"));
    let wit = if own.exists() { own } else { folder().join("guest.wit") };
    component_of(module, &wit, world, encoding)
}

/// The component of a core module that imports and exports what a world says.
fn component_of(mut module: Vec<u8>, wit: &Path, world: &str, encoding: StringEncoding) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let text = std::fs::read_to_string(wit).unwrap();
    if !text.contains("package trialbox:objective") {
        push(&mut resolve, &root().join("guest-sdk/wit/objective.wit"));
    }
    let package = push(&mut resolve, wit);
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

fn push(resolve: &mut Resolve, wit: &Path) -> PackageId {
    resolve.push_str(wit, &std::fs::read_to_string(wit).unwrap()).unwrap()
}

/// `honest.wat` with more inside.
fn honest_with(more: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(folder().join("honest.wat")).unwrap();
    let (inside, _) = text.rsplit_once(')').unwrap();
    let module = wat::parse_str(format!("{inside}{more})")).unwrap();
    component_of(module, &folder().join("guest.wit"), "guest", StringEncoding::UTF8)
}

pub(super) fn honest() -> Vec<u8> {
    Guest::Wat("honest").bytes()
}

/// Some text so many times, each with its number in the place of `#`.
fn repeat(count: usize, text: &str) -> String {
    (0..count).fold(String::new(), |mut all, n| {
        let _ = writeln!(all, "{}", text.replace('#', &n.to_string()));
        all
    })
}

pub(super) fn many_memories() -> Vec<u8> {
    honest_with(&repeat(90, "(memory 0)"))
}

/// The honest objective, and beside it 5,000 instances of nothing.
pub(super) fn many_instances() -> Vec<u8> {
    let text = String::from_utf8(super::text(super::RETURNS_ZERO)).unwrap();
    let instances = repeat(5_000, "(core instance (instantiate $nothing))");
    let more = format!("(component (core module $nothing) {instances}");
    wat::parse_str(text.replacen("(component", &more, 1)).unwrap()
}

/// Ten tables of ten million elements each, which is what one table may be allowed to have.
pub(super) fn ten_tables() -> Vec<u8> {
    honest_with(&repeat(10, "(table 10000000 funcref)"))
}

/// The honest objective, and beside it 10,000 components of nothing, in a file of 120 KB.
pub(super) fn many_components() -> Vec<u8> {
    with_components(&repeat(10_000, "(component)"))
}

/// The honest objective, and beside it a component in a component, 900 times.
pub(super) fn deep_components() -> Vec<u8> {
    let header = b"\0asm\x0d\0\x01\0".to_vec();
    let nested = (0..900).fold(header.clone(), |inside, _| {
        let mut outside = header.clone();
        outside.push(4);
        append_length(&mut outside, inside.len());
        outside.extend(inside);
        outside
    });
    with_sections(&nested[8..])
}

fn with_components(components: &str) -> Vec<u8> {
    with_sections(&wat::parse_str(format!("(component {components})")).unwrap()[8..])
}

/// The honest objective, with more sections at its end.
fn with_sections(sections: &[u8]) -> Vec<u8> {
    let mut bytes = wat::parse_bytes(&super::text(super::RETURNS_ZERO)).unwrap().into_owned();
    bytes.extend(sections);
    bytes
}

/// Twelve functions with names of 99,000 characters, the innermost of which aborts: a backtrace of a megabyte.
pub(super) fn long_names() -> Vec<u8> {
    let name = "n".repeat(99_000);
    let functions = (0..12).map(|n| {
        let inside =
            if n == 0 { "unreachable".to_owned() } else { format!("(call ${name}{})", n - 1) };
        format!("(func ${name}{n} {inside})")
    });
    let module = format!(
        r#"(module (memory (export "memory") 1) {}
          (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32) (call ${name}11) (i32.const 32)))"#,
        functions.collect::<String>()
    );
    component_of(
        wat::parse_str(module).unwrap(),
        &folder().join("guest.wit"),
        "guest",
        StringEncoding::UTF8,
    )
}

/// An import with a name of 99,000 characters.
pub(super) fn long_import() -> Vec<u8> {
    let import =
        format!("(component (import \"acme:gpu/{}@1.0.0\" (instance))", "n".repeat(99_000));
    changed("(component", &import)
}

/// An objective that describes itself with a name of a million characters.
pub(super) fn long_description() -> Vec<u8> {
    let module = format!(
        r#"(module (memory (export "memory") 20)
          (data (i32.const 36) "\30\00\00\00\01")
          (data (i32.const 64) "\00\01\00\00\40\42\0f\00\00\01\00\00\04\00\00\00\00\01\00\00\04\00\00\00")
          (data (i32.const 256) "{}")
          (func (export "trialbox:objective/describe@0.1.0#describe") (result i32) (i32.const 64))
          (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32) (i32.const 32)))"#,
        "x".repeat(1_000_000)
    );
    component_of(
        wat::parse_str(module).unwrap(),
        &folder().join("guest.wit"),
        "described",
        StringEncoding::UTF8,
    )
}

/// One function of 120,000 decisions, none of which can be left out.
pub(super) fn huge_function() -> Vec<u8> {
    let lines = repeat(
        120_000,
        "(if (f64.lt (local.get $x) (local.get $y))
           (then (local.set $x (f64.add (f64.mul (local.get $x) (local.get $y)) (f64.const #))))
           (else (local.set $y (f64.sqrt (f64.sub (local.get $y) (local.get $x))))))",
    );
    honest_with(&format!(
        "(func (export \"huge\") (param $x f64) (param $y f64) (result f64) {lines} (local.get $y))"
    ))
}

pub(super) fn many_functions() -> Vec<u8> {
    honest_with(&repeat(
        60_000,
        "(func (param i32 i32) (result i32) (i32.add (i32.mul (local.get 0) (i32.const #)) (i32.load (local.get 1))))",
    ))
}

pub(super) fn deep_ifs() -> Vec<u8> {
    let open =
        repeat(30_000, "(local.get $x) if (local.set $x (i32.add (local.get $x) (i32.const #)))");
    let close = "end ".repeat(30_000);
    honest_with(&format!(
        "(func (export \"deep\") (param $x i32) (result i32) {open} {close} (local.get $x))"
    ))
}

pub(super) fn deep_blocks() -> Vec<u8> {
    let open =
        repeat(30_000, "block (br_if 0 (local.tee $x (i32.add (local.get $x) (i32.const #))))");
    let close = "end ".repeat(30_000);
    honest_with(&format!(
        "(func (export \"deep\") (param $x i32) (result i32) {open} {close} (local.get $x))"
    ))
}

/// 49,000 locals, all of which are alive at once.
pub(super) fn many_locals() -> Vec<u8> {
    let locals = "i32 ".repeat(49_000);
    let set = repeat(49_000, "(local.set # (i32.load (i32.const #)))");
    let add = repeat(49_000, "(local.get #) i32.add");
    honest_with(&format!(
        "(func (export \"locals\") (result i32) (local {locals}) {set} (i32.const 0) {add})"
    ))
}

/// 1,500 tables of branches with 1,500 targets each.
pub(super) fn branch_tables() -> Vec<u8> {
    let targets: String = (0..1_500).map(|n| format!("{n} ")).collect();
    let tables = format!("block (br_table {targets} (local.get 0)) end\n").repeat(1_500);
    let (open, close) = ("block ".repeat(1_500), "end ".repeat(1_500));
    honest_with(&format!("(func (export \"branches\") (param i32) {open} {tables} {close})"))
}

/// The honest objective with additions of a toolchain or of an attacker: sections that are not code. Their
/// names and contents are garbage, orders to a terminal, and 10 MiB.
pub(super) fn custom_sections() -> Vec<u8> {
    let mut bytes = honest();
    append_section(&mut bytes, "name", b"\xff\xff\xff\xff");
    append_section(&mut bytes, "component-name", b"\x00\x80\x80");
    append_section(&mut bytes, "producers", b"\x01\x1b[31m");
    append_section(&mut bytes, "\x1b]0;title\x07\x1b[2J", b"\x1b[31m");
    append_section(&mut bytes, &"x".repeat(100_000), &vec![b'x'; 10 << 20]);
    bytes
}

/// The honest objective with 90 MiB that are not code, which a file may just have.
pub(super) fn largest() -> Vec<u8> {
    let mut bytes = honest();
    append_section(&mut bytes, "data", &vec![b'x'; 90 << 20]);
    bytes
}

/// The honest objective with a section whose name has 10 MiB, which is more than WebAssembly's tools allow.
pub(super) fn huge_section_name() -> Vec<u8> {
    let mut bytes = honest();
    append_section(&mut bytes, &"x".repeat(10 << 20), b"");
    bytes
}

fn append_section(bytes: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut inside = Vec::new();
    append_length(&mut inside, name.len());
    inside.extend(name.as_bytes());
    inside.extend(content);
    bytes.push(0);
    append_length(bytes, inside.len());
    bytes.extend(inside);
}

/// A number as WebAssembly writes it: seven bits a byte, the lowest first.
fn append_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

/// The first half of the honest objective.
pub(super) fn truncated() -> Vec<u8> {
    let mut bytes = honest();
    bytes.truncate(bytes.len() / 2);
    bytes
}

/// The honest objective with a wrong byte in the middle of its code.
pub(super) fn damaged() -> Vec<u8> {
    let mut bytes = honest();
    // `i32.const 32`, `end`: all that the function is. 0xff is no instruction.
    let at = bytes.windows(3).position(|found| found == [0x41, 0x20, 0x0b]).unwrap();
    bytes[at] = 0xff;
    bytes
}

/// Bytes as from dice.
pub(super) fn random() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..1_000).flat_map(|_| next()).collect()
}

/// The same after the first bytes of a component.
pub(super) fn random_component() -> Vec<u8> {
    [&b"\0asm\x0d\0\x01\0"[..], &random()].concat()
}

/// The honest objective with 2 MiB of data.
pub(super) fn large() -> Vec<u8> {
    honest_with(&format!("(data \"{}\")", "x".repeat(2 << 20)))
}

/// What a tar archive of one empty file begins with: a name, and `ustar` at 257.
pub(super) fn tar() -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    bytes[..14].copy_from_slice(b"objective.wasm");
    bytes[257..262].copy_from_slice(b"ustar");
    bytes
}

/// The beginning of this very program; the whole is larger than a module may be.
pub(crate) fn elf() -> Vec<u8> {
    let program = std::fs::File::open(env!("CARGO_BIN_EXE_trialbox")).unwrap();
    let mut bytes = Vec::new();
    program.take(1 << 20).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Code as `wasmtime compile` leaves it: an ELF file of its own, and native code without bounds.
pub(super) fn cwasm() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\xc8".to_vec();
    bytes.resize(4096, 0);
    bytes
}

pub(super) fn core_module() -> Vec<u8> {
    wat::parse_str("(module (func (export \"evaluate\")))").unwrap()
}

/// What `cargo build --target wasm32-wasip1` makes.
pub(super) fn wasip1_module() -> Vec<u8> {
    let text = r#"(module
      (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
      (memory (export "memory") 1)
      (func (export "_start")))"#;
    wat::parse_str(text).unwrap()
}

/// A component that is no objective.
pub(super) fn other_component() -> Vec<u8> {
    wat::parse_str("(component)").unwrap()
}

/// The text of an objective that returns 0, changed, as a component.
fn changed(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(super::text(super::RETURNS_ZERO)).unwrap();
    assert!(text.contains(from), "{text}");
    wat::parse_str(text.replacen(from, to, 1)).unwrap()
}

pub(super) fn older_contract() -> Vec<u8> {
    changed("objective@0.1.0", "objective@0.0.9")
}

pub(super) fn newer_contract() -> Vec<u8> {
    changed("objective@0.1.0", "objective@0.2.0")
}

pub(super) fn unknown_import() -> Vec<u8> {
    changed("(component", "(component (import \"acme:gpu/device@1.0.0\" (instance))")
}

/// An import whose name a terminal would obey, which no assembler writes.
pub(super) fn import_with_escapes() -> Vec<u8> {
    let mut bytes = unknown_import();
    let name = b"acme:gpu/device@1.0.0";
    let at = bytes.windows(name.len()).position(|found| found == name).unwrap();
    bytes[at..at + 10].copy_from_slice(b"\x1b[31m\xc2\x9b2J.");
    bytes
}

pub(super) fn network_import() -> Vec<u8> {
    changed("(component", "(component (import \"wasi:sockets/tcp@0.2.6\" (instance))")
}

/// An objective with a function beside it that would be called without being waited for.
pub(super) fn async_lift() -> Vec<u8> {
    changed(
        "(component",
        r#"(component
  (core module $later (func (export "f") (result i32) (i32.const 0))
    (func (export "cb") (param i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $later (instantiate $later))
  (func $f async (canon lift (core func $later "f") async (callback (core func $later "cb"))))"#,
    )
}
