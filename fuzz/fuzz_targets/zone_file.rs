#![no_main]

#[path = "../bodies/zone_file.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
