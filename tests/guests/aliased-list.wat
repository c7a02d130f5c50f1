;; Gives 98,000 choices, each of which is the same 1 MiB of text.
(module
  (import "trialbox:objective/trial@0.1.0" "suggest-categorical" (func $suggest-categorical (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 48)
  (data (i32.const 64) "x")
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32) (local $at i32)
    (local.set $at (i32.const 1024))
    (memory.fill (i32.const 0x200000) (i32.const 97) (i32.const 0x100000))
    (loop $next
      (i32.store8 (local.get $at) (i32.const 4))
      (i32.store (i32.add (local.get $at) (i32.const 8)) (i32.const 0x200000))
      (i32.store (i32.add (local.get $at) (i32.const 12)) (i32.const 0x100000))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 1600000))))
    (drop (call $suggest-categorical (i32.const 64) (i32.const 1) (i32.const 1024) (i32.const 98000)))
    (i32.const 32)))
