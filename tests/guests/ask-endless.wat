;; Asks for ever whether it should stop.
(module
  (import "trialbox:objective/trial@0.1.0" "should-prune" (func $should-prune (result i32)))
  (import "trialbox:objective/trial@0.1.0" "report" (func $report (param f64 i32)))
  (memory (export "memory") 1)
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32) (local $n i32)
    (loop $more
      (call $report (f64.const 1) (local.get $n))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (drop (call $should-prune))
      (br $more))
    unreachable))
