;; Asks for parameters for ever, each under another name.
(module
  (import "trialbox:objective/trial@0.1.0" "suggest-float"
    (func $suggest-float (param i32 i32 f64 f64 i32 i32 f64) (result f64)))
  (memory (export "memory") 1)
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32) (local $n i32) (local $rest i32) (local $at i32)
    (loop $more
      ;; The name is the number in hexadecimal, its digits the letters from `a`.
      (local.set $rest (local.get $n))
      (local.set $at (i32.const 64))
      (loop $digit
        (i32.store8 (local.get $at) (i32.add (i32.const 97) (i32.and (local.get $rest) (i32.const 15))))
        (local.set $rest (i32.shr_u (local.get $rest) (i32.const 4)))
        (br_if $digit (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 72))))
      (drop (call $suggest-float (i32.const 64) (i32.const 8) (f64.const 0) (f64.const 1)
        (i32.const 0) (i32.const 0) (f64.const 0)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br $more))
    unreachable))
