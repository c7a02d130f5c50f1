;; As start-loop, and it has a `describe`: instances are made before there is a trial.
(module
  (memory (export "memory") 1)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func $start (loop $forever (br $forever)))
  (start $start)
  (func (export "trialbox:objective/describe@0.1.0#describe") (result i32) (i32.const 64))
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (i32.const 32)))
