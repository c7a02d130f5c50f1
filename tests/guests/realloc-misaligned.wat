;; Asks for its environment, and its `realloc` gives an odd address where a multiple of four is wanted.
(module
  (import "wasi:cli/environment@0.2.0" "get-environment" (func $get-environment (param i32)))
  (memory (export "memory") 1)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1025))
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (call $get-environment (i32.const 64)) (i32.const 32)))
