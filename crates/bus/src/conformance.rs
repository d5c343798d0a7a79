//! What every bus must do. Each adapter's tests run this suite.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Bus, Delivery};

type Make<'a> = &'a dyn Fn(usize) -> Box<dyn Bus<u32, &'static str>>;

/// Runs every check against buses made by `make`, which takes the capacity of an inbox.
///
/// # Panics
/// When the bus does not keep what the port promises.
pub fn run_all(make: Make<'_>) {
    every_subscriber_sees_every_word_in_order(make);
    answers_reach_only_the_one_who_asked_and_come_with_their_word(make);
    who_is_behind_loses_words_but_no_answers_and_is_told_once(make);
    a_subscriber_is_woken_for_each_word(make);
}

fn words(deliveries: &[Delivery<u32, &'static str>]) -> Vec<Option<u32>> {
    deliveries.iter().map(|delivery| delivery.word.as_deref().copied()).collect()
}

fn every_subscriber_sees_every_word_in_order(make: Make<'_>) {
    let bus = make(10);
    let inboxes = [bus.subscribe(Box::new(|| ())), bus.subscribe(Box::new(|| ()))];
    for word in 0..5 {
        bus.publish(Arc::new(word), vec![]);
    }
    for inbox in inboxes {
        let mut got = Vec::new();
        assert!(!inbox.drain(&mut got));
        assert_eq!(words(&got), (0..5).map(Some).collect::<Vec<_>>());
    }
}

fn answers_reach_only_the_one_who_asked_and_come_with_their_word(make: Make<'_>) {
    let bus = make(10);
    let inboxes = [bus.subscribe(Box::new(|| ())), bus.subscribe(Box::new(|| ()))];
    bus.publish(Arc::new(1), vec![(1, vec!["a", "b"])]);
    bus.publish(Arc::new(2), vec![(0, vec!["c"])]);
    let [first, second] = inboxes.map(|inbox| {
        let mut got = Vec::new();
        inbox.drain(&mut got);
        got.into_iter().map(|delivery| delivery.answers).collect::<Vec<_>>()
    });
    assert_eq!(first, [vec![], vec!["c"]]);
    assert_eq!(second, [vec!["a", "b"], vec![]]);
}

fn who_is_behind_loses_words_but_no_answers_and_is_told_once(make: Make<'_>) {
    let bus = make(2);
    let inbox = bus.subscribe(Box::new(|| ()));
    for (word, answer) in ["a", "b", "c", "d"].into_iter().enumerate() {
        bus.publish(Arc::new(word as u32), vec![(0, vec![answer])]);
    }
    let mut got = Vec::new();
    assert!(inbox.drain(&mut got), "two words were dropped");
    assert_eq!(words(&got), [Some(0), Some(1)]);
    assert_eq!(
        got.into_iter().flat_map(|delivery| delivery.answers).collect::<Vec<_>>(),
        ["a", "b", "c", "d"]
    );
    assert!(!inbox.drain(&mut Vec::new()), "and it was told");
}

fn a_subscriber_is_woken_for_each_word(make: Make<'_>) {
    let bus = make(1);
    let woken = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&woken);
    let _inbox = bus.subscribe(Box::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    bus.publish(Arc::new(1), vec![]);
    bus.publish(Arc::new(2), vec![]);
    assert_eq!(woken.load(Ordering::Relaxed), 2);
}
