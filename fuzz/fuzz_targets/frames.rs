//! Any bytes from a peer, split anywhere.

#![no_main]

#[path = "../../crates/websocket/tests/fuzzed/frames.rs"]
mod frames;

libfuzzer_sys::fuzz_target!(|data: &[u8]| frames::hold(data));
