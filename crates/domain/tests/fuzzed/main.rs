//! The properties that `cargo xtask fuzz` checks for hours, checked for the corpus under `fuzz/` and for a few random inputs.

mod lines;

use std::fs;
use std::path::Path;

use proptest::{collection::vec, prelude::*};

#[test]
fn lines_hold_for_every_input_that_is_kept() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/lines");
    let kept: Vec<_> = fs::read_dir(corpus).expect("each target has a corpus").collect();
    assert!(kept.len() > 5);
    for file in kept {
        lines::hold(&fs::read(file.unwrap().path()).unwrap());
    }
}

proptest! {
    #[test]
    fn lines_hold_for_any_bytes(data in vec(any::<u8>(), 0..300)) {
        lines::hold(&data);
    }
}
