//! Names, bodies and typed lines of people who want to look like others.

#![no_main]

#[path = "../../crates/domain/tests/fuzzed/lines.rs"]
mod lines;

libfuzzer_sys::fuzz_target!(|data: &[u8]| lines::hold(data));
