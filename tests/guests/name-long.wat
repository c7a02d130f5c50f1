;; Asks for a parameter whose name has 60 KiB.
(module
  (import "trialbox:objective/trial@0.1.0" "suggest-float" (func $suggest-float (param i32 i32 f64 f64 i32 i32 f64) (result f64)))
  (memory (export "memory") 1)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (memory.fill (i32.const 1024) (i32.const 97) (i32.const 61440))
    (drop (call $suggest-float (i32.const 1024) (i32.const 61440) (f64.const 0) (f64.const 1)
      (i32.const 0) (i32.const 0) (f64.const 0)))
    (i32.const 32)))
