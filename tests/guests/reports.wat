;; Reports two million times.
(module
  (import "trialbox:objective/trial@0.1.0" "report" (func $report (param f64 i32)))
  (memory (export "memory") 1)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32) (local $n i32)
    (loop $next
      (call $report (f64.convert_i32_u (local.get $n)) (local.get $n))
      (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 2000000))))
    (i32.const 32)))
