//! The checker accepts every history of a correct simulated server, and detects every change of such a history.

mod mutations;
mod simulated_server;

use history::{Record, Verdict, check};
use mutations::MUTATIONS;
use proptest::prelude::*;
use simulated_server::SimulatedServer;
use teahouse_history as history;

fn verdict(records: &[Record]) -> Verdict {
    check(|| records.iter().cloned())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn history_of_a_correct_server_has_no_violation(choices in proptest::collection::vec(any::<u32>(), 0..400)) {
        let verdict = verdict(&SimulatedServer::run(&choices));
        prop_assert!(verdict.is_clean(), "{}", verdict);
    }

    #[test]
    fn mutated_history_has_the_expected_violation(
        choices in proptest::collection::vec(any::<u32>(), 100..400),
        which in 0..MUTATIONS.len(),
        nth in any::<usize>(),
    ) {
        let mutation = &MUTATIONS[which];
        let mut records = SimulatedServer::run(&choices);
        prop_assume!((mutation.change)(&mut records, nth).is_some());
        let verdict = verdict(&records);
        match &verdict.violation {
            None => prop_assert!(mutation.may_be_valid, "{}: not detected", mutation.name),
            Some(found) => {
                prop_assert!(mutation.violates.contains(&found.rule), "{}:\n{verdict}", mutation.name)
            }
        }
    }
}

#[test]
fn every_mutation_applies_and_is_detected() {
    for mutation in MUTATIONS {
        let is_detected = |seed: &u32| {
            let choices: Vec<u32> = (0..300).map(|at| simulated_server::scramble(seed * 1000 + at)).collect();
            let mut records = SimulatedServer::run(&choices);
            (mutation.change)(&mut records, *seed as usize).is_some() && !verdict(&records).is_clean()
        };
        assert_eq!((0..400).filter(is_detected).take(3).count(), 3, "{}", mutation.name);
    }
}

#[test]
fn history_survives_serialization_and_merge() {
    let choices: Vec<u32> = (0..400).map(simulated_server::scramble).collect();
    let records = SimulatedServer::run(&choices);
    let mut text = Vec::new();
    history::write(&mut text, &records).unwrap();
    let read: Vec<Record> = history::read(text.as_slice()).map(Result::unwrap).collect();
    assert_eq!(read, records);

    let (even, odd): (Vec<Record>, Vec<Record>) =
        records.iter().cloned().partition(|record| record.at % 2 == 0);
    let merge: Vec<Record> = history::merge(vec![odd.into_iter(), even.into_iter()]).collect();
    assert_eq!(merge, records);
    assert!(history::read(&b"{}\n"[..]).next().unwrap().is_err());
}
