//! Any text, as what a client says.

#![no_main]

// By the name that it has in its own tests.
extern crate proto as teahouse_proto;

#[path = "../../crates/proto/tests/fuzzed/commands.rs"]
mod commands;

libfuzzer_sys::fuzz_target!(|data: &[u8]| commands::hold(data));
