use proptest::prelude::*;

use super::*;

/// Message `number` of sender 0.
fn message(number: u32) -> Content {
    Content::Message(Payload { sender: 0, number, sent_us: 0 })
}

/// One room with head 10 and one sender, and two members who joined.
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

    /// Event 10+i is message i−1 of sender 0, as the server would number them.
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
fn everything_once_and_in_order_is_clean() {
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
fn only_the_first_member_to_hear_an_event_has_it_read() {
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
fn a_loss_is_seen_in_the_middle() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11, 12, 13]);
    room.receive(1, &[11, 13]);
    assert_eq!(room.finish(), Findings { lost: 1, ..Findings::default() });
}

#[test]
fn a_loss_is_seen_at_the_end_for_each_member() {
    let mut room = TwoMembers::new();
    room.acknowledge(0..3);
    room.receive(0, &[11, 12, 13]);
    room.receive(1, &[11]);
    assert!(!room.checker.is_caught_up(&room.members[1]));
    assert_eq!(room.finish(), Findings { lost: 2, ..Findings::default() });
}

#[test]
fn an_acknowledged_message_that_nobody_heard_is_lost_to_all() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11]);
    room.receive(1, &[11]);
    room.acknowledge(0..2);
    assert_eq!(room.finish(), Findings { lost: 2, ..Findings::default() });
}

#[test]
fn to_a_connection_that_ended_the_rest_is_not_lost() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11, 12, 13, 14]);
    room.receive(1, &[11, 13]);
    let findings = room.checker.finish([(&room.members[0], true), (&room.members[1], false)], |_| 0);
    assert_eq!(findings, Findings { lost: 1, ..Findings::default() });
}

#[test]
fn to_one_who_stalls_what_had_not_come_in_the_end_is_not_lost() {
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
fn a_double_is_seen() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11, 12, 12, 11]);
    room.receive(1, &[11, 12]);
    assert_eq!(room.finish(), Findings { duplicated: 2, ..Findings::default() });
}

#[test]
fn a_message_stored_twice_is_a_double() {
    let mut room = TwoMembers::new();
    for member in 0..2 {
        room.receive_as(member, 11, message(0));
        room.receive_as(member, 12, message(0));
    }
    assert_eq!(room.finish(), Findings { duplicated: 1, ..Findings::default() });
}

#[test]
fn a_swap_is_out_of_order_and_nothing_is_lost() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11, 13, 12, 14]);
    room.receive(1, &[11, 12, 13, 14]);
    assert_eq!(room.finish(), Findings { out_of_order: 1, ..Findings::default() });
}

#[test]
fn messages_stored_in_another_order_than_sent_are_out_of_order() {
    let mut room = TwoMembers::new();
    for member in 0..2 {
        for (seq, number) in [(11, 0), (12, 2), (13, 1)] {
            room.receive_as(member, seq, message(number));
        }
    }
    assert_eq!(room.finish(), Findings { out_of_order: 1, ..Findings::default() });
}

#[test]
fn a_gap_that_is_announced_is_no_loss() {
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
fn a_gap_excuses_no_more_than_it_names() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11, 12, 13, 14, 15, 16]);
    room.receive(1, &[11, 14]);
    room.checker.gap(&mut room.members[1], 13, 13);
    room.checker.gap(&mut room.members[1], 16, 16);
    assert_eq!(room.finish(), Findings { lost: 2, gaps: 2, gap_events: 2, ..Findings::default() });
}

#[test]
fn a_gap_that_makes_no_sense_is_unexpected() {
    let mut room = TwoMembers::new();
    room.checker.gap(&mut room.members[0], 5, 3);
    room.checker.gap(&mut room.members[0], 0, 3);
    room.checker.gap(&mut Member::new(0), 1, 3);
    assert_eq!(room.finish(), Findings { unexpected: 3, gaps: 3, ..Findings::default() });
}

#[test]
fn a_changed_body_is_seen() {
    let mut room = TwoMembers::new();
    room.receive_as(0, 11, Content::Altered);
    room.receive_as(1, 11, Content::Altered);
    assert_eq!(room.finish().altered, 1);
}

#[test]
fn two_members_who_hear_different_things_are_seen() {
    let mut room = TwoMembers::new();
    room.receive_as(0, 11, message(0));
    room.receive_as(1, 11, Content::Notice);
    assert_eq!(room.finish(), Findings { altered: 1, ..Findings::default() });
}

#[test]
fn an_ok_with_the_wrong_number_is_seen() {
    let mut room = TwoMembers::new();
    room.receive(0, &[11, 12]);
    room.receive(1, &[11, 12]);
    room.checker.acknowledged(0, 0, 0, 12);
    room.checker.acknowledged(0, 0, 1, 3);
    assert_eq!(room.finish(), Findings { wrong_seq: 2, ..Findings::default() });
}

#[test]
fn who_joined_first_may_hear_of_it_last() {
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
fn what_comes_before_joined_is_unexpected() {
    let mut room = TwoMembers::new();
    room.checker.receive(&mut Member::new(0), 11, Content::Notice, b"");
    room.checker.receive(&mut room.members[0], u64::MAX, Content::Notice, b"");
    assert_eq!(room.finish(), Findings { unexpected: 2, ..Findings::default() });
}

proptest! {
    /// Whatever a server does to a stream of events, the counts say so, and no more.
    #[test]
    fn drops_and_doubles_are_counted_exactly(fates in prop::collection::vec(0u8..8, 1..100)) {
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
