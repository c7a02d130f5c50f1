//! libFuzzer's program for [`trialbox_fuzz::database`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trialbox_fuzz::database(bytes));
