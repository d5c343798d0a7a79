//! Histories of a tiny honest house pass, whatever happens in it; and whatever is then changed in one of them is caught.

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
    fn an_honest_house_keeps_every_promise(choices in proptest::collection::vec(any::<u32>(), 0..400)) {
        let verdict = verdict(&SimulatedServer::run(&choices));
        prop_assert!(verdict.is_clean(), "{}", verdict);
    }

    #[test]
    fn whatever_is_changed_is_caught(
        choices in proptest::collection::vec(any::<u32>(), 100..400),
        which in 0..MUTATIONS.len(),
        nth in any::<usize>(),
    ) {
        let mutation = &MUTATIONS[which];
        let mut records = SimulatedServer::run(&choices);
        prop_assume!((mutation.change)(&mut records, nth).is_some());
        let verdict = verdict(&records);
        match &verdict.violation {
            None => prop_assert!(mutation.may_be_valid, "{}: not caught", mutation.name),
            Some(found) => {
                prop_assert!(mutation.violates.contains(&found.rule), "{}:\n{verdict}", mutation.name)
            }
        }
    }
}

#[test]
fn every_mutation_finds_a_place_and_is_caught() {
    for mutation in MUTATIONS {
        let is_caught = |seed: &u32| {
            let choices: Vec<u32> = (0..300).map(|at| simulated_server::scramble(seed * 1000 + at)).collect();
            let mut records = SimulatedServer::run(&choices);
            (mutation.change)(&mut records, *seed as usize).is_some() && !verdict(&records).is_clean()
        };
        assert_eq!((0..400).filter(is_caught).take(3).count(), 3, "{}", mutation.name);
    }
}

#[test]
fn a_history_survives_being_written_down_and_taken_apart_and_merged() {
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
