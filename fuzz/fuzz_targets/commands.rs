//! Any text, as what a client says.

#![no_main]

// By the name that it has in its own tests.
extern crate protocol as teahouse_protocol;

#[path = "../../crates/protocol/tests/fuzzed/commands.rs"]
mod commands;

libfuzzer_sys::fuzz_target!(|data: &[u8]| commands::hold(data));
