//! Names, message bodies and lines of text, such as those of an impersonator.

#![no_main]

#[path = "../../crates/domain/tests/fuzzed/lines.rs"]
mod lines;

libfuzzer_sys::fuzz_target!(|data: &[u8]| lines::hold(data));
