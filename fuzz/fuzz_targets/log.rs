//! Any sequence of operations on a room log, compared with a model that evicts nothing.

#![no_main]

#[path = "../../crates/room-log/tests/fuzzed/operations.rs"]
mod operations;

libfuzzer_sys::fuzz_target!(|data: &[u8]| operations::check(data));
