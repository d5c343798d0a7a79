//! The property that `cargo xtask fuzz` holds for hours, here for a moment: over what is kept under `fuzz/`, and over chance.

mod operations;

use std::fs;
use std::path::Path;

use proptest::{collection::vec, prelude::*};

#[test]
fn log_holds_for_every_input_that_is_kept() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/log");
    let kept: Vec<_> = fs::read_dir(corpus).expect("each target has a corpus").collect();
    assert!(kept.len() > 5);
    for file in kept {
        operations::hold(&fs::read(file.unwrap().path()).unwrap());
    }
}

proptest! {
    #[test]
    fn log_holds_for_any_operations(data in vec(any::<u8>(), 0..600)) {
        operations::hold(&data);
    }
}
