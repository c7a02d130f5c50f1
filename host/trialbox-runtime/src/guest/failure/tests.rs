use super::*;
use trialbox_core::study::limits::Limits;
use wasmtime::component::{Component, Linker, Resource, ResourceType};
use wasmtime::{Engine, Store};

/// Returns a component with an import for each kind of data, whose only export runs `body`. Its memory has
/// one page, with a byte at 0 that is not UTF-8; its `realloc` returns `pointer`.
fn component(body: &str, pointer: u32) -> String {
    format!(
        r#"(component
  (import "say" (func $say (param "text" string)))
  (import "add" (func $add (param "values" (list f64))))
  (import "spell" (func $spell (param "letter" char)))
  (import "ask" (func $ask (result string)))
  (import "file" (type $file (sub resource)))
  (import "close" (func $close (param "file" (own $file))))
  (core module $memory
    (memory (export "memory") 1)
    (data (i32.const 0) "\ff")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const {pointer})))
  (core instance $memory (instantiate $memory))
  (core func $say (canon lower (func $say) (memory $memory "memory")))
  (core func $add (canon lower (func $add) (memory $memory "memory")))
  (core func $spell (canon lower (func $spell)))
  (core func $ask
    (canon lower (func $ask) (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $close (canon lower (func $close)))
  (core module $"wit-component:shim"
    (import "host" "say" (func $say (param i32 i32)))
    (func $indirect-say (export "say") (param i32 i32)
      (call $say (local.get 0) (local.get 1))))
  (core instance $shim (instantiate $"wit-component:shim"
    (with "host" (instance (export "say" (func $say))))))
  (core module $m
    (import "host" "say" (func $say (param i32 i32)))
    (import "host" "add" (func $add (param i32 i32)))
    (import "host" "spell" (func $spell (param i32)))
    (import "host" "ask" (func $ask (param i32)))
    (import "host" "close" (func $close (param i32)))
    (func $run (export "run") {body}))
  (core instance $i (instantiate $m (with "host" (instance
    (export "say" (func $shim "say")) (export "add" (func $add)) (export "spell" (func $spell))
    (export "ask" (func $ask)) (export "close" (func $close))))))
  (func (export "run") (canon lift (core func $i "run"))))"#
    )
}

/// Returns the failure of a guest with this body, whose calls may pass 1000 bytes.
fn broken(body: &str, pointer: u32) -> Failure {
    let engine = Engine::default();
    let bytes = wat::parse_str(component(body, pointer)).expect("valid text");
    let component = Component::new(&engine, bytes).expect("a valid component");
    let mut linker = Linker::new(&engine);
    let mut root = linker.root();
    root.func_wrap("say", |_, (_,): (String,)| Ok(())).expect("a new name");
    root.func_wrap("add", |_, (_,): (Vec<f64>,)| Ok(())).expect("a new name");
    root.func_wrap("spell", |_, (_,): (char,)| Ok(())).expect("a new name");
    root.func_wrap("ask", |_, (): ()| Ok(("answer".to_owned(),))).expect("a new name");
    root.resource("file", ResourceType::host::<u8>(), |_, _| Ok(())).expect("a new name");
    root.func_wrap("close", |_, (_,): (Resource<u8>,)| Ok(())).expect("a new name");
    let mut store = Store::new(&engine, ());
    store.set_hostcall_fuel(1000);
    let instance = linker.instantiate(&mut store, &component).expect("all imports are there");
    let run = instance.get_typed_func::<(), ()>(&mut store, "run").expect("an export");
    let mut limits = Limits::default();
    limits.set(Limit::Payload, Some(1000));
    let error = run.call(&mut store, ()).expect_err("it breaks");
    classify(&error, "", &GuestLimits::from(&limits))
}

#[test]
fn invalid_data_is_described_in_our_words() {
    for (body, pointer, want) in [
        (
            "(call $say (i32.const 65530) (i32.const 100))",
            64,
            "a string or list is out of bounds of its memory",
        ),
        ("(call $say (i32.const 0) (i32.const 1))", 64, "a string is not utf-8"),
        (
            "(call $add (i32.const 65528) (i32.const 2))",
            64,
            "a string or list is out of bounds of its memory",
        ),
        ("(call $add (i32.const 1) (i32.const 1))", 64, "a pointer is not aligned"),
        ("(call $spell (i32.const 0xd800))", 64, "a character is not in Unicode"),
        ("(call $ask (i32.const 1))", 64, "a pointer is not aligned"),
        ("(call $ask (i32.const 65536))", 64, "a pointer is out of bounds of its memory"),
        (
            "(call $ask (i32.const 8))",
            1 << 16,
            "its `realloc` gave a pointer beyond the end of memory",
        ),
        ("(call $close (i32.const 7))", 64, "it used a resource that it does not hold"),
    ] {
        let found = broken(body, pointer);
        let want = format!("the guest passed invalid data: {want}");
        assert_eq!((found.code, found.message), (FailureCode::Data, want), "{body}");
    }
}

#[test]
fn too_much_data_is_told_with_the_limit() {
    let found = broken("(call $add (i32.const 0) (i32.const 1000))", 64);
    assert_eq!(found.code, FailureCode::DataSize);
    assert_eq!(found.message, "one call passed too much: limit `payload` allows 1000 bytes");
}

#[test]
fn the_amount_of_random_bytes_is_told() {
    let limits = GuestLimits::from(&Limits::default());
    let found = explain_text("requested len 16777217 exceeds limit 16777216", &limits);
    let message =
        "one call asked for too many random bytes: 17 MiB, and limit `random-bytes` allows 16 MiB";
    assert_eq!((found.code, &found.message[..]), (FailureCode::Limit, message));
}

#[test]
fn what_only_passes_a_call_on_is_in_no_backtrace() {
    assert_eq!(broken("(call $say (i32.const 0) (i32.const 1))", 64).backtrace, ["run"]);
}

#[test]
fn only_what_tells_of_a_panic_is_left_out_of_a_backtrace() {
    for name in ["abort", "__rust_start_panic", "core::slice::index::slice_end_index_len_fail"] {
        assert!(is_panicking(name), "{name}");
    }
    for name in ["abort_early", "digits::train", "core::slice::sort::merge"] {
        assert!(!is_panicking(name), "{name}");
    }
}

#[test]
fn a_rust_panic_is_quoted_with_its_place() {
    let stderr = "epoch 3\nthread '<unnamed>' panicked at src/lib.rs:7:5:\n\
                  index 3 is out of range\nnote: run with `RUST_BACKTRACE=1`\n";
    assert_eq!(
        panic_message(stderr),
        "the objective panicked at src/lib.rs:7:5: index 3 is out of range"
    );
    assert!(panic_message("").starts_with("the guest aborted"));
}

#[test]
fn no_trap_is_told_in_the_words_of_the_engine() {
    let mut n = 0;
    for trap in (0..=u8::MAX).filter_map(Trap::from_u8) {
        let error = Error::from(trap);
        let limits = GuestLimits::from(&trialbox_core::study::limits::Limits::default());
        let found = classify(&error, "", &limits);
        assert!(!found.message.contains("wasm trap"), "{trap:?}: {}", found.message);
        n += 1;
    }
    assert!(n > 20, "{n} traps");
}
