#![no_main]

#[path = "../bodies/dns_reply.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
