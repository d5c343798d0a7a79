//! The properties that `cargo xtask fuzz` checks for hours, checked for the corpus under `fuzz/` and for a few random inputs.

mod frames;
mod handshake;

use std::fs;
use std::path::Path;

use proptest::{collection::vec, prelude::*};

/// The corpus of a target: its seeds, and inputs that once caused a failure.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = fs::read_dir(&corpus).expect("each target has a corpus");
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn decoder_properties_hold_for_each_corpus_input() {
    let corpus = corpus("frames");
    assert!(corpus.len() > 5);
    corpus.iter().for_each(|data| frames::hold(data));
}

#[test]
fn handshake_properties_hold_for_each_corpus_input() {
    let corpus = corpus("handshake");
    assert!(corpus.len() > 5);
    corpus.iter().for_each(|data| handshake::hold(data));
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
