//! Any sequence of operations on a room's log, beside a log that never forgets.

#![no_main]

#[path = "../../crates/room-log/tests/fuzzed/operations.rs"]
mod operations;

libfuzzer_sys::fuzz_target!(|data: &[u8]| operations::hold(data));
