//! Requests and responses of the opening handshake.

#![no_main]

#[path = "../../crates/websocket/tests/fuzzed/handshake.rs"]
mod handshake;

libfuzzer_sys::fuzz_target!(|data: &[u8]| handshake::hold(data));
