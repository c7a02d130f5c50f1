;; Asks for 4 GiB of random bytes at once.
(module
  (import "wasi:random/random@0.2.0" "get-random-bytes" (func $get-random-bytes (param i64 i32)))
  (memory (export "memory") 1)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (i32.const 1024))
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (call $get-random-bytes (i64.const 0x100000000) (i32.const 64)) (i32.const 32)))
