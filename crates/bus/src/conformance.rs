//! The conformance suite for buses; each adapter's tests run it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Bus, Delivery};

type MakeBus<'a> = &'a dyn Fn(usize) -> Box<dyn Bus<u32, &'static str>>;

/// Runs every check. `make` creates a bus with the given inbox capacity.
///
/// # Panics
/// If the bus violates the contract of [`Bus`].
pub fn run_all(make: MakeBus<'_>) {
    all_subscribers_receive_all_messages_in_order(make);
    replies_reach_only_their_subscriber_with_their_message(make);
    full_inbox_drops_messages_keeps_replies_and_reports_once(make);
    subscriber_is_woken_for_each_publication(make);
}

fn messages(deliveries: &[Delivery<u32, &'static str>]) -> Vec<Option<u32>> {
    deliveries.iter().map(|delivery| delivery.message.as_deref().copied()).collect()
}

fn all_subscribers_receive_all_messages_in_order(make: MakeBus<'_>) {
    let bus = make(10);
    let inboxes = [bus.subscribe(Box::new(|| ())), bus.subscribe(Box::new(|| ()))];
    for message in 0..5 {
        bus.publish(Arc::new(message), vec![]);
    }
    for inbox in inboxes {
        let mut received = Vec::new();
        assert!(!inbox.drain(&mut received));
        assert_eq!(messages(&received), (0..5).map(Some).collect::<Vec<_>>());
    }
}

fn replies_reach_only_their_subscriber_with_their_message(make: MakeBus<'_>) {
    let bus = make(10);
    let inboxes = [bus.subscribe(Box::new(|| ())), bus.subscribe(Box::new(|| ()))];
    bus.publish(Arc::new(1), vec![(1, vec!["a", "b"])]);
    bus.publish(Arc::new(2), vec![(0, vec!["c"])]);
    let [first, second] = inboxes.map(|inbox| {
        let mut received = Vec::new();
        inbox.drain(&mut received);
        received.into_iter().map(|delivery| delivery.replies).collect::<Vec<_>>()
    });
    assert_eq!(first, [vec![], vec!["c"]]);
    assert_eq!(second, [vec!["a", "b"], vec![]]);
}

fn full_inbox_drops_messages_keeps_replies_and_reports_once(make: MakeBus<'_>) {
    let bus = make(2);
    let inbox = bus.subscribe(Box::new(|| ()));
    for (message, reply) in ["a", "b", "c", "d"].into_iter().enumerate() {
        bus.publish(Arc::new(message as u32), vec![(0, vec![reply])]);
    }
    let mut received = Vec::new();
    assert!(inbox.drain(&mut received), "two messages were dropped");
    assert_eq!(messages(&received), [Some(0), Some(1)]);
    assert_eq!(
        received.into_iter().flat_map(|delivery| delivery.replies).collect::<Vec<_>>(),
        ["a", "b", "c", "d"]
    );
    assert!(!inbox.drain(&mut Vec::new()), "drops are reported once");
}

fn subscriber_is_woken_for_each_publication(make: MakeBus<'_>) {
    let bus = make(1);
    let wakes = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&wakes);
    let _inbox = bus.subscribe(Box::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    bus.publish(Arc::new(1), vec![]);
    bus.publish(Arc::new(2), vec![]);
    assert_eq!(wakes.load(Ordering::Relaxed), 2);
}
