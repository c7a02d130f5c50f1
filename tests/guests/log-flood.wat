;; Logs 20,000 lines of a kibibyte, in which a terminal would find orders.
(module
  (import "trialbox:objective/trial@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (data (i32.const 1024) "\1b[31mred\1b[0m \1b]0;title\07 \1b]8;;http://x\1b\\ \c2\9b2J \08\08\0d\00")
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32) (local $n i32)
    (loop $next
      (call $log (i32.const 1) (i32.const 1024) (i32.const 1024))
      (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 20000))))
    (i32.const 32)))
