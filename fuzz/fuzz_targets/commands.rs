//! Any text instead of a client's command.

#![no_main]

// Under the name that the crate's own tests use.
extern crate protocol as teahouse_protocol;

#[path = "../../crates/protocol/tests/fuzzed/commands.rs"]
mod commands;

libfuzzer_sys::fuzz_target!(|data: &[u8]| commands::hold(data));
