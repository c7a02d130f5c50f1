;; Asks for random bytes, and its `realloc` calls the host while the host calls it.
(module
  (import "wasi:random/random@0.2.0" "get-random-bytes" (func $get-random-bytes (param i64 i32)))
  (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
  (memory (export "memory") 1)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (drop (call $now)) (i32.const 1024))
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (call $get-random-bytes (i64.const 16) (i32.const 64)) (i32.const 32)))
