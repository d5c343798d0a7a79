//! The property of the fuzz target `log`, checked on the committed corpus and on random inputs.

mod operations;

use std::fs;
use std::path::Path;

use proptest::{collection::vec, prelude::*};

#[test]
fn log_matches_model_for_each_corpus_input() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/log");
    let inputs: Vec<_> = fs::read_dir(corpus).expect("each target has a corpus").collect();
    assert!(inputs.len() > 5);
    for file in inputs {
        operations::check(&fs::read(file.unwrap().path()).unwrap());
    }
}

proptest! {
    #[test]
    fn log_matches_model_for_random_operations(data in vec(any::<u8>(), 0..600)) {
        operations::check(&data);
    }
}
