;; Opens its directory again and again, and closes none of the streams.
(module
  (import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $get-directories (param i32)))
  (import "wasi:filesystem/types@0.2.0" "[method]descriptor.read-directory" (func $read-directory (param i32 i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.get $free)
    (global.set $free (i32.and (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 7)) (i32.const -8))))
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (call $get-directories (i32.const 64))
    (loop $more
      ;; The first directory is the first word of the list.
      (call $read-directory (i32.load (i32.load (i32.const 64))) (i32.const 128))
      (br $more))
    unreachable))
