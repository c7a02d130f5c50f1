//! The contract's host side, generated from `guest-sdk/wit`.

wasmtime::component::bindgen!({
    path: "../../guest-sdk/wit",
    world: "described",
    imports: { default: trappable },
});
