;; Asks for a thousand parameters, each with 280 KiB of choices.
(module
  (import "trialbox:objective/trial@0.1.0" "suggest-categorical"
    (func $suggest-categorical (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 10)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32) (local $n i32) (local $at i32)
    ;; A choice is its case, 4 for text, and the text: 70 of 4 KiB.
    (memory.fill (i32.const 65536) (i32.const 0x61) (i32.const 524288))
    (loop $choice
      (i32.store8 (i32.add (i32.const 1024) (i32.shl (local.get $at) (i32.const 4))) (i32.const 4))
      (i32.store (i32.add (i32.const 1032) (i32.shl (local.get $at) (i32.const 4)))
        (i32.add (i32.const 65536) (i32.shl (local.get $at) (i32.const 12))))
      (i32.store (i32.add (i32.const 1036) (i32.shl (local.get $at) (i32.const 4))) (i32.const 4096))
      (i32.store (i32.add (i32.const 65536) (i32.shl (local.get $at) (i32.const 12)))
        (i32.add (i32.const 0x30303030) (local.get $at)))
      (br_if $choice (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 70))))
    (loop $more
      (i32.store8 (i32.const 64) (i32.add (i32.const 65) (i32.and (local.get $n) (i32.const 31))))
      (i32.store8 (i32.const 65) (i32.add (i32.const 65) (i32.shr_u (local.get $n) (i32.const 5))))
      (drop (call $suggest-categorical (i32.const 64) (i32.const 2) (i32.const 1024) (i32.const 70)))
      (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000))))
    (i32.const 32)))
