//! The properties that `cargo xtask fuzz` holds for hours, here for a moment: over what is kept under `fuzz/`, and over chance.

mod frames;
mod handshake;

use std::fs;
use std::path::Path;

use proptest::{collection::vec, prelude::*};

/// Every input that is kept for a target: what it starts from, and what once broke something.
fn kept(target: &str) -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = fs::read_dir(&corpus).expect("each target has a corpus");
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn decoder_properties_hold_for_each_corpus_input() {
    let kept = kept("frames");
    assert!(kept.len() > 5);
    kept.iter().for_each(|data| frames::hold(data));
}

#[test]
fn handshake_properties_hold_for_each_corpus_input() {
    let kept = kept("handshake");
    assert!(kept.len() > 5);
    kept.iter().for_each(|data| handshake::hold(data));
}

proptest! {
    #[test]
    fn decoder_properties_hold_for_random_bytes(flags: u8, data in vec(any::<u8>(), 0..400)) {
        frames::hold(&[&[flags], &data[..]].concat());
    }

    #[test]
    fn handshake_properties_hold_for_random_bytes(data in vec(any::<u8>(), 0..400)) {
        handshake::hold(&data);
    }
}
