use proptest::prelude::*;

use super::*;

/// Message `number` of sender 0.
fn message(number: u32) -> Content {
    Content::Message(Payload { sender: 0, number, sent_us: 0 })
}

/// One room with head 10, one sender and two members that have joined.
struct TwoMembers {
    checker: Checker,
    members: [Member; 2],
}

impl TwoMembers {
    fn new() -> Self {
        let mut room =
            TwoMembers { checker: Checker::new(1, 1, 1000), members: [Member::new(0), Member::new(0)] };
        for member in &mut room.members {
            room.checker.joined(member, 10);
        }
        room
    }

    /// Event 11 + i is message i of sender 0.
    fn receive(&mut self, member: usize, events: &[u64]) {
        for &seq in events {
            self.receive_as(member, seq, message((seq - 11) as u32));
        }
    }

    fn receive_as(&mut self, member: usize, seq: u64, content: Content) {
        let bytes = format!("<{seq} {content:?}>");
        match self.checker.receive_known(&mut self.members[member], bytes.as_bytes()) {
            Some((length, known)) => assert_eq!((length, known), (bytes.len(), content)),
            None => {
                self.checker.receive(&mut self.members[member], seq, content, bytes.as_bytes());
            }
        }
    }

    fn acknowledge(&mut self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.checker.acknowledged(0, 0, number, 11 + u64::from(number));
        }
    }

    fn finish(self) -> Findings {
        self.checker.finish(self.members.iter().map(|member| (member, true)), |_| 0)
    }
}

#[test]
fn events_once_and_in_order_are_clean() {
    let mut room = TwoMembers::new();
    room.acknowledge(0..2);
    room.receive(0, &[11, 12, 13, 14]);
    room.receive(1, &[11, 12, 13, 14]);
    room.acknowledge(2..4);
    assert!(room.members.iter().all(|member| room.checker.is_caught_up(member)));
    let findings = room.finish();
    assert_eq!(findings, Findings::default());
    assert!(findings.is_clean());
}

#[test]
fn only_the_first_delivery_of_an_event_is_parsed() {
    let mut room = TwoMembers::new();
    let [first, second] = &mut room.members;
    assert_eq!(room.checker.receive_known(first, b"<11>"), None);
    assert!(room.checker.receive(first, 11, message(0), b"<11>"));
    assert_eq!(room.checker.receive_known(second, b"<12>"), None);
    assert_eq!(room.checker.receive_known(second, b"<11>,<12>"), Some((4, message(0))));
    assert_eq!(room.checker.receive_known(second, b"<11>"), None);
    assert_eq!(room.finish(), Findings::default());
}

#[test]
fn loss_in_the_middle_is_counted() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11, 12, 13]);
    room.receive(1, &[11, 13]);
    assert_eq!(room.finish(), Findings { lost: 1, ..Findings::default() });
}

#[test]
fn loss_at_the_end_is_counted_for_each_member() {
    let mut room = TwoMembers::new();
    room.acknowledge(0..3);
    room.receive(0, &[11, 12, 13]);
    room.receive(1, &[11]);
    assert!(!room.checker.is_caught_up(&room.members[1]));
    assert_eq!(room.finish(), Findings { lost: 2, ..Findings::default() });
}

#[test]
fn undelivered_acknowledged_message_is_lost_to_all() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11]);
    room.receive(1, &[11]);
    room.acknowledge(0..2);
    assert_eq!(room.finish(), Findings { lost: 2, ..Findings::default() });
}

#[test]
fn later_events_are_not_lost_to_an_ended_connection() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11, 12, 13, 14]);
    room.receive(1, &[11, 13]);
    let findings = room.checker.finish([(&room.members[0], true), (&room.members[1], false)], |_| 0);
    assert_eq!(findings, Findings { lost: 1, ..Findings::default() });
}

#[test]
fn later_events_are_not_lost_to_a_stalled_member() {
    let mut room = TwoMembers::new();
    let mut stalled = Member::stalled(0);
    room.checker.joined(&mut stalled, 10);
    room.receive(0, &[11, 12, 13, 14]);
    room.receive(1, &[11, 12, 13, 14]);
    room.checker.receive(&mut stalled, 11, message(0), b"");
    room.checker.receive(&mut stalled, 13, message(2), b"");
    let members = room.members.iter().chain([&stalled]).map(|member| (member, true));
    assert_eq!(room.checker.finish(members, |_| 0), Findings { lost: 1, ..Findings::default() });
}

#[test]
fn duplicates_are_counted() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11, 12, 12, 11]);
    room.receive(1, &[11, 12]);
    assert_eq!(room.finish(), Findings { duplicated: 2, ..Findings::default() });
}

#[test]
fn message_with_two_numbers_is_a_duplicate() {
    let mut room = TwoMembers::new();
    for member in 0..2 {
        room.receive_as(member, 11, message(0));
        room.receive_as(member, 12, message(0));
    }
    assert_eq!(room.finish(), Findings { duplicated: 1, ..Findings::default() });
}

#[test]
fn swapped_events_are_out_of_order_and_not_lost() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11, 13, 12, 14]);
    room.receive(1, &[11, 12, 13, 14]);
    assert_eq!(room.finish(), Findings { out_of_order: 1, ..Findings::default() });
}

#[test]
fn messages_not_in_sending_order_are_out_of_order() {
    let mut room = TwoMembers::new();
    for member in 0..2 {
        for (seq, number) in [(11, 0), (12, 2), (13, 1)] {
            room.receive_as(member, seq, message(number));
        }
    }
    assert_eq!(room.finish(), Findings { out_of_order: 1, ..Findings::default() });
}

#[test]
fn announced_gap_is_not_a_loss() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11, 12, 13, 14]);
    room.receive(1, &[11]);
    room.checker.gap(&mut room.members[1], 12, 13);
    room.receive(1, &[14]);
    let findings = room.finish();
    assert_eq!(findings, Findings { gaps: 1, gap_events: 2, ..Findings::default() });
    assert!(findings.is_clean());
}

#[test]
fn gap_excuses_only_its_own_range() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11, 12, 13, 14, 15, 16]);
    room.receive(1, &[11, 14]);
    room.checker.gap(&mut room.members[1], 13, 13);
    room.checker.gap(&mut room.members[1], 16, 16);
    assert_eq!(room.finish(), Findings { lost: 2, gaps: 2, gap_events: 2, ..Findings::default() });
}

#[test]
fn invalid_gap_is_unexpected() {
    let mut room = TwoMembers::new();
    room.checker.gap(&mut room.members[0], 5, 3);
    room.checker.gap(&mut room.members[0], 0, 3);
    room.checker.gap(&mut Member::new(0), 1, 3);
    assert_eq!(room.finish(), Findings { unexpected: 3, gaps: 3, ..Findings::default() });
}

#[test]
fn altered_body_is_counted() {
    let mut room = TwoMembers::new();
    room.receive_as(0, 11, Content::Altered);
    room.receive_as(1, 11, Content::Altered);
    assert_eq!(room.finish().altered, 1);
}

#[test]
fn different_events_with_one_number_are_altered() {
    let mut room = TwoMembers::new();
    room.receive_as(0, 11, message(0));
    room.receive_as(1, 11, Content::Notice);
    assert_eq!(room.finish(), Findings { altered: 1, ..Findings::default() });
}

#[test]
fn ok_with_the_wrong_seq_is_counted() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11, 12]);
    room.receive(1, &[11, 12]);
    room.checker.acknowledged(0, 0, 0, 12);
    room.checker.acknowledged(0, 0, 1, 3);
    assert_eq!(room.finish(), Findings { wrong_seq: 2, ..Findings::default() });
}

#[test]
fn first_to_join_may_receive_joined_last() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11]);
    room.receive(1, &[11]);
    let mut early = Member::new(0);
    room.checker.joined(&mut early, 7);
    for seq in 8..=10 {
        assert!(room.checker.receive(&mut early, seq, Content::Notice, b""));
    }
    assert!(room.checker.receive(&mut early, 11, message(0), b"") && room.checker.is_caught_up(&early));
    room.acknowledge(0..1);
    assert_eq!(room.finish(), Findings::default());
}

#[test]
fn event_before_joined_is_unexpected() {
    let mut room = TwoMembers::new();
    room.checker.receive(&mut Member::new(0), 11, Content::Notice, b"");
    room.checker.receive(&mut room.members[0], u64::MAX, Content::Notice, b"");
    assert_eq!(room.finish(), Findings { unexpected: 2, ..Findings::default() });
}

proptest! {
    /// Counts equal the losses and duplicates in any stream of events.
    #[test]
    fn losses_and_duplicates_are_counted_exactly(fates in prop::collection::vec(0u8..8, 1..100)) {
        let mut room = TwoMembers::new();
        let (mut lost, mut duplicated) = (0, 0);
        for (seq, fate) in (11..).zip(fates) {
            room.receive(0, &[seq]);
            match fate {
                0 => lost += 1,
                1 => {
                    room.receive(1, &[seq, seq]);
                    duplicated += 1;
                }
                _ => room.receive(1, &[seq]),
            }
        }
        prop_assert_eq!(room.finish(), Findings { lost, duplicated, ..Findings::default() });
    }
}
