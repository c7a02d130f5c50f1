;; Attaches a thousand attributes of 512 KiB: arrays of zeros, which take more memory than any other JSON of a size.
(module
  (import "trialbox:objective/trial@0.1.0" "set-user-attr"
    (func $set-user-attr (param i32 i32 i32 i32)))
  (memory (export "memory") 10)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (data (i32.const 65536) "[")
  (data (i32.const 589823) "0]")
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32) (local $n i32) (local $at i32)
    (local.set $at (i32.const 65537))
    (loop $fill
      (i32.store16 (local.get $at) (i32.const 0x2c30))
      (br_if $fill (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 2))) (i32.const 589823))))
    (loop $more
      (i32.store8 (i32.const 64) (i32.add (i32.const 65) (i32.and (local.get $n) (i32.const 31))))
      (i32.store8 (i32.const 65) (i32.add (i32.const 65) (i32.shr_u (local.get $n) (i32.const 5))))
      (call $set-user-attr (i32.const 64) (i32.const 2) (i32.const 65536) (i32.const 524289))
      (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000))))
    (i32.const 32)))
