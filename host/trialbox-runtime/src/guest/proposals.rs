//! Proposals to WebAssembly that a component may use and this trialbox does not offer.

use wasmparser::{Validator, WasmFeatures};

/// The proposals that are not offered: they would be attack surface, or the engine does not have them.
#[rustfmt::skip]
const PROPOSALS: [(WasmFeatures, &str); 18] = [
    (WasmFeatures::GC_TYPES, "GC"),
    (WasmFeatures::THREADS.union(WasmFeatures::SHARED_EVERYTHING_THREADS), "threads"),
    (WasmFeatures::MEMORY64, "memory64"),
    (WasmFeatures::EXCEPTIONS, "exceptions"),
    (WasmFeatures::LEGACY_EXCEPTIONS, "legacy exceptions"),
    (ASYNC, "async of the component model"),
    (WasmFeatures::STACK_SWITCHING, "stack switching"),
    (WasmFeatures::CUSTOM_PAGE_SIZES, "custom page sizes"),
    (WasmFeatures::WIDE_ARITHMETIC, "wide arithmetic"),
    (WasmFeatures::MEMORY_CONTROL, "memory control"),
    (WasmFeatures::CUSTOM_DESCRIPTORS, "custom descriptors"),
    (WasmFeatures::COMPACT_IMPORTS, "compact imports"),
    (WasmFeatures::CM_FIXED_LENGTH_LISTS, "fixed-length lists"),
    (WasmFeatures::CM_MAP, "maps"),
    (WasmFeatures::CM_VALUES, "values of the component model"),
    (WasmFeatures::CM_GC, "GC of the component model"),
    (WasmFeatures::CM64, "64-bit component model"),
    (NAMES, "newer names of the component model"),
];

const ASYNC: WasmFeatures = WasmFeatures::CM_ASYNC
    .union(WasmFeatures::CM_ASYNC_STACKFUL)
    .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
    .union(WasmFeatures::CM_ERROR_CONTEXT)
    .union(WasmFeatures::CM_THREADING);

const NAMES: WasmFeatures = WasmFeatures::CM_NESTED_NAMES
    .union(WasmFeatures::CM_IMPLEMENTS)
    .union(WasmFeatures::CM_CANON_NAMES);

/// Returns the first proposal that a component needs and that is not offered. Returns `None` for a component that is
/// valid, or that no proposal would make valid.
///
/// It validates the component up to twenty times, so call it only for refused components.
pub(crate) fn missing(component: &[u8]) -> Option<&'static str> {
    let all = WasmFeatures::all();
    if !is_valid(component, all) || is_valid(component, offered()) {
        return None;
    }
    let needed = PROPOSALS.iter().find(|(features, _)| !is_valid(component, all - *features));
    needed.map(|(_, name)| *name)
}

/// Returns the features that the engine accepts.
fn offered() -> WasmFeatures {
    PROPOSALS.iter().fold(WasmFeatures::all(), |offered, (features, _)| offered - *features)
}

fn is_valid(component: &[u8], features: WasmFeatures) -> bool {
    Validator::new_with_features(features).validate_all(component).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::engine::new_engine;
    use crate::wire::protocol::EngineSettings;

    fn component(inside: &str) -> Vec<u8> {
        wat::parse_str(format!("(component {inside})")).expect("valid text")
    }

    fn is_accepted(component: &[u8]) -> bool {
        let settings = EngineSettings {
            deterministic: false,
            metered: false,
            interruptible: false,
            stack_bytes: 1 << 20,
        };
        let engine = new_engine(settings).expect("an engine");
        engine.precompile_component(component).is_ok()
    }

    #[test]
    fn a_proposal_that_the_engine_refuses_is_named() {
        for (inside, name) in [
            ("(core module (type (struct (field i32))))", "GC"),
            ("(core module (func (param externref)))", "GC"),
            ("(core module (memory 1 1 shared))", "threads"),
            ("(core module (memory i64 1))", "memory64"),
            ("(core module (tag))", "exceptions"),
            ("(core module (memory 1 (pagesize 1)))", "custom page sizes"),
            ("(type (stream u8))", "async of the component model"),
            ("(import \"f\" (func async))", "async of the component model"),
            ("(type (list u8 4))", "fixed-length lists"),
        ] {
            let component = component(inside);
            assert_eq!(missing(&component), Some(name), "{inside}");
            assert!(!is_accepted(&component), "{inside}");
        }
    }

    #[test]
    fn what_the_engine_accepts_misses_nothing() {
        for inside in [
            "",
            "(core module (memory 1) (memory 1))",
            "(core module (func $f (return_call $f)))",
            "(core module (func (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))))",
            "(core module (type $f (func)) (func (param (ref null $f))))",
        ] {
            let component = component(inside);
            assert_eq!(missing(&component), None, "{inside}");
            assert!(is_accepted(&component), "{inside}");
        }
    }

    #[test]
    fn a_component_that_is_wrong_in_itself_misses_nothing() {
        let inside = r#"(core module (func (export "shared async 64-bit") (result i32)))"#;
        let component = component(inside);
        assert!(!is_accepted(&component));
        assert_eq!(missing(&component), None);
    }
}
