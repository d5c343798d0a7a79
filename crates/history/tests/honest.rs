//! Histories of a tiny honest house pass, whatever happens in it; and whatever is then changed in one of them is caught.

mod house;
mod mutations;

use history::{Record, Verdict, check};
use house::House;
use mutations::MUTATIONS;
use proptest::prelude::*;
use teahouse_history as history;

fn verdict(records: &[Record]) -> Verdict {
    check(|| records.iter().cloned())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_honest_house_keeps_every_promise(choices in proptest::collection::vec(any::<u32>(), 0..400)) {
        let verdict = verdict(&House::live(&choices));
        prop_assert!(verdict.is_clean(), "{}", verdict);
    }

    #[test]
    fn whatever_is_changed_is_caught(
        choices in proptest::collection::vec(any::<u32>(), 100..400),
        which in 0..MUTATIONS.len(),
        nth in any::<usize>(),
    ) {
        let mutation = &MUTATIONS[which];
        let mut records = House::live(&choices);
        prop_assume!((mutation.change)(&mut records, nth).is_some());
        let verdict = verdict(&records);
        match &verdict.violation {
            None => prop_assert!(mutation.may_pass, "{}: not caught", mutation.name),
            Some(found) => {
                prop_assert!(mutation.breaks.contains(&found.rule), "{}:\n{verdict}", mutation.name)
            }
        }
    }
}

#[test]
fn every_mutation_finds_a_place_and_is_caught() {
    for mutation in MUTATIONS {
        let is_caught = |seed: &u32| {
            let choices: Vec<u32> = (0..300).map(|at| house::mixed(seed * 1000 + at)).collect();
            let mut records = House::live(&choices);
            (mutation.change)(&mut records, *seed as usize).is_some() && !verdict(&records).is_clean()
        };
        assert_eq!((0..400).filter(is_caught).take(3).count(), 3, "{}", mutation.name);
    }
}

#[test]
fn a_history_survives_being_written_down_and_taken_apart_and_merged() {
    let choices: Vec<u32> = (0..400).map(house::mixed).collect();
    let records = House::live(&choices);
    let mut text = Vec::new();
    history::write(&mut text, &records).unwrap();
    let read: Vec<Record> = history::read(text.as_slice()).map(Result::unwrap).collect();
    assert_eq!(read, records);

    let (even, odd): (Vec<Record>, Vec<Record>) =
        records.iter().cloned().partition(|record| record.at % 2 == 0);
    let merged: Vec<Record> = history::merged(vec![odd.into_iter(), even.into_iter()]).collect();
    assert_eq!(merged, records);
    assert!(history::read(&b"{}\n"[..]).next().unwrap().is_err());
}
