//! libFuzzer's program for [`trialbox_fuzz::timing`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trialbox_fuzz::timing(bytes));
