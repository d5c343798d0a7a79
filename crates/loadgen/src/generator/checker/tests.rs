use proptest::prelude::*;

use super::*;

/// Message `number` of sender 0.
fn said(number: u32) -> Content {
    Content::Message(Said { sender: 0, number, sent_us: 0 })
}

/// One room with head 10 and one sender, and two members who joined.
struct Two {
    checker: Checker,
    members: [Member; 2],
}

impl Two {
    fn new() -> Self {
        let mut two = Two { checker: Checker::new(1, 1, 1000), members: [Member::of(0), Member::of(0)] };
        for member in &mut two.members {
            two.checker.joined(member, 10);
        }
        two
    }

    /// Event 10+i is message i−1 of sender 0, as the server would number them.
    fn hear(&mut self, member: usize, events: &[u64]) {
        for &seq in events {
            self.hear_as(member, seq, said((seq - 11) as u32));
        }
    }

    fn hear_as(&mut self, member: usize, seq: u64, content: Content) {
        let bytes = format!("<{seq} {content:?}>");
        match self.checker.hear_same(&mut self.members[member], bytes.as_bytes()) {
            Some((length, known)) => assert_eq!((length, known), (bytes.len(), content)),
            None => {
                self.checker.hear(&mut self.members[member], seq, content, bytes.as_bytes());
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
    let mut two = Two::new();
    two.acknowledge(0..2);
    two.hear(0, &[11, 12, 13, 14]);
    two.hear(1, &[11, 12, 13, 14]);
    two.acknowledge(2..4);
    assert!(two.members.iter().all(|member| two.checker.is_caught_up(member)));
    let findings = two.finish();
    assert_eq!(findings, Findings::default());
    assert!(findings.is_clean());
}

#[test]
fn only_the_first_member_to_hear_an_event_has_it_read() {
    let mut two = Two::new();
    let [first, second] = &mut two.members;
    assert_eq!(two.checker.hear_same(first, b"<11>"), None);
    assert!(two.checker.hear(first, 11, said(0), b"<11>"));
    assert_eq!(two.checker.hear_same(second, b"<12>"), None);
    assert_eq!(two.checker.hear_same(second, b"<11>,<12>"), Some((4, said(0))));
    assert_eq!(two.checker.hear_same(second, b"<11>"), None);
    assert_eq!(two.finish(), Findings::default());
}

#[test]
fn a_loss_is_seen_in_the_middle() {
    let mut two = Two::new();
    two.hear(0, &[11, 12, 13]);
    two.hear(1, &[11, 13]);
    assert_eq!(two.finish(), Findings { lost: 1, ..Findings::default() });
}

#[test]
fn a_loss_is_seen_at_the_end_for_each_member() {
    let mut two = Two::new();
    two.acknowledge(0..3);
    two.hear(0, &[11, 12, 13]);
    two.hear(1, &[11]);
    assert!(!two.checker.is_caught_up(&two.members[1]));
    assert_eq!(two.finish(), Findings { lost: 2, ..Findings::default() });
}

#[test]
fn an_acknowledged_message_that_nobody_heard_is_lost_to_all() {
    let mut two = Two::new();
    two.hear(0, &[11]);
    two.hear(1, &[11]);
    two.acknowledge(0..2);
    assert_eq!(two.finish(), Findings { lost: 2, ..Findings::default() });
}

#[test]
fn to_a_connection_that_ended_the_rest_is_not_lost() {
    let mut two = Two::new();
    two.hear(0, &[11, 12, 13, 14]);
    two.hear(1, &[11, 13]);
    let findings = two.checker.finish([(&two.members[0], true), (&two.members[1], false)], |_| 0);
    assert_eq!(findings, Findings { lost: 1, ..Findings::default() });
}

#[test]
fn to_one_who_stalls_what_had_not_come_in_the_end_is_not_lost() {
    let mut two = Two::new();
    let mut stalled = Member::who_stalls(0);
    two.checker.joined(&mut stalled, 10);
    two.hear(0, &[11, 12, 13, 14]);
    two.hear(1, &[11, 12, 13, 14]);
    two.checker.hear(&mut stalled, 11, said(0), b"");
    two.checker.hear(&mut stalled, 13, said(2), b"");
    let members = two.members.iter().chain([&stalled]).map(|member| (member, true));
    assert_eq!(two.checker.finish(members, |_| 0), Findings { lost: 1, ..Findings::default() });
}

#[test]
fn a_double_is_seen() {
    let mut two = Two::new();
    two.hear(0, &[11, 12, 12, 11]);
    two.hear(1, &[11, 12]);
    assert_eq!(two.finish(), Findings { doubled: 2, ..Findings::default() });
}

#[test]
fn a_message_stored_twice_is_a_double() {
    let mut two = Two::new();
    for member in 0..2 {
        two.hear_as(member, 11, said(0));
        two.hear_as(member, 12, said(0));
    }
    assert_eq!(two.finish(), Findings { doubled: 1, ..Findings::default() });
}

#[test]
fn a_swap_is_out_of_order_and_nothing_is_lost() {
    let mut two = Two::new();
    two.hear(0, &[11, 13, 12, 14]);
    two.hear(1, &[11, 12, 13, 14]);
    assert_eq!(two.finish(), Findings { out_of_order: 1, ..Findings::default() });
}

#[test]
fn messages_stored_in_another_order_than_sent_are_out_of_order() {
    let mut two = Two::new();
    for member in 0..2 {
        for (seq, number) in [(11, 0), (12, 2), (13, 1)] {
            two.hear_as(member, seq, said(number));
        }
    }
    assert_eq!(two.finish(), Findings { out_of_order: 1, ..Findings::default() });
}

#[test]
fn a_gap_that_is_announced_is_no_loss() {
    let mut two = Two::new();
    two.hear(0, &[11, 12, 13, 14]);
    two.hear(1, &[11]);
    two.checker.gap(&mut two.members[1], 12, 13);
    two.hear(1, &[14]);
    let findings = two.finish();
    assert_eq!(findings, Findings { gaps: 1, gap_events: 2, ..Findings::default() });
    assert!(findings.is_clean());
}

#[test]
fn a_gap_excuses_no_more_than_it_names() {
    let mut two = Two::new();
    two.hear(0, &[11, 12, 13, 14, 15, 16]);
    two.hear(1, &[11, 14]);
    two.checker.gap(&mut two.members[1], 13, 13);
    two.checker.gap(&mut two.members[1], 16, 16);
    assert_eq!(two.finish(), Findings { lost: 2, gaps: 2, gap_events: 2, ..Findings::default() });
}

#[test]
fn a_gap_that_makes_no_sense_is_unexpected() {
    let mut two = Two::new();
    two.checker.gap(&mut two.members[0], 5, 3);
    two.checker.gap(&mut two.members[0], 0, 3);
    two.checker.gap(&mut Member::of(0), 1, 3);
    assert_eq!(two.finish(), Findings { unexpected: 3, gaps: 3, ..Findings::default() });
}

#[test]
fn a_changed_body_is_seen() {
    let mut two = Two::new();
    two.hear_as(0, 11, Content::Altered);
    two.hear_as(1, 11, Content::Altered);
    assert_eq!(two.finish().altered, 1);
}

#[test]
fn two_members_who_hear_different_things_are_seen() {
    let mut two = Two::new();
    two.hear_as(0, 11, said(0));
    two.hear_as(1, 11, Content::Notice);
    assert_eq!(two.finish(), Findings { altered: 1, ..Findings::default() });
}

#[test]
fn an_ok_with_the_wrong_number_is_seen() {
    let mut two = Two::new();
    two.hear(0, &[11, 12]);
    two.hear(1, &[11, 12]);
    two.checker.acknowledged(0, 0, 0, 12);
    two.checker.acknowledged(0, 0, 1, 3);
    assert_eq!(two.finish(), Findings { misplaced: 2, ..Findings::default() });
}

#[test]
fn who_joined_first_may_hear_of_it_last() {
    let mut two = Two::new();
    two.hear(0, &[11]);
    two.hear(1, &[11]);
    let mut early = Member::of(0);
    two.checker.joined(&mut early, 7);
    for seq in 8..=10 {
        assert!(two.checker.hear(&mut early, seq, Content::Notice, b""));
    }
    assert!(two.checker.hear(&mut early, 11, said(0), b"") && two.checker.is_caught_up(&early));
    two.acknowledge(0..1);
    assert_eq!(two.finish(), Findings::default());
}

#[test]
fn what_comes_before_joined_is_unexpected() {
    let mut two = Two::new();
    two.checker.hear(&mut Member::of(0), 11, Content::Notice, b"");
    two.checker.hear(&mut two.members[0], u64::MAX, Content::Notice, b"");
    assert_eq!(two.finish(), Findings { unexpected: 2, ..Findings::default() });
}

proptest! {
    /// Whatever a server does to a stream of events, the counts say so, and no more.
    #[test]
    fn drops_and_doubles_are_counted_exactly(fates in prop::collection::vec(0u8..8, 1..100)) {
        let mut two = Two::new();
        let (mut lost, mut doubled) = (0, 0);
        for (seq, fate) in (11..).zip(fates) {
            two.hear(0, &[seq]);
            match fate {
                0 => lost += 1,
                1 => {
                    two.hear(1, &[seq, seq]);
                    doubled += 1;
                }
                _ => two.hear(1, &[seq]),
            }
        }
        prop_assert_eq!(two.finish(), Findings { lost, doubled, ..Findings::default() });
    }
}
