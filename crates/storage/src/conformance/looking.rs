//! Reading: read positions, pages and lists.

use protocol::{ErrorCode, MessageCount, ReadPosition, RoomId, Seq, UserId};

use super::fixture::*;
use crate::{Head, LOBBY, OperationResult, PageBounds, RoomQuery};

fn position(seq: u64, n: u64) -> ReadPosition {
    ReadPosition { seq: Seq(seq), n: MessageCount(n) }
}

pub fn read_position_never_goes_back(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.send(1, "tea", "one");
    fixture.join(2, "tea");
    fixture.send(1, "tea", "two");
    assert_eq!(fixture.reader.read_position(room, UserId(1)).unwrap(), None);
    assert_eq!(fixture.done(1, read("tea", 0)), OperationResult::Read(position(0, 0)));
    assert_eq!(fixture.done(1, read("tea", 3)), OperationResult::Read(position(3, 1)));
    assert_eq!(fixture.done(1, read("tea", 2)), OperationResult::Read(position(3, 1)));
    assert_eq!(fixture.done(1, read("tea", 4)), OperationResult::Read(position(4, 2)));
    assert_eq!(fixture.reader.read_position(room, UserId(1)).unwrap(), Some(position(4, 2)));
    assert_eq!(fixture.reader.read_position(room, UserId(2)).unwrap(), None);
}

pub fn read_position_stops_at_the_head(fixture: &mut Fixture) {
    fixture.join(1, "tea");
    fixture.send(1, "tea", "one");
    assert_eq!(fixture.done(1, read("tea", u64::MAX)), OperationResult::Read(position(2, 1)));
    // The limit moves with the head.
    fixture.send(1, "tea", "two");
    assert_eq!(fixture.done(1, read("tea", 3)), OperationResult::Read(position(3, 2)));
}

pub fn read_requires_membership(fixture: &mut Fixture) {
    fixture.join(1, "tea");
    fixture.send(1, "tea", "one");
    fixture.done(1, read("tea", 1));
    assert_eq!(fixture.rejected(2, read("tea", 1)), ErrorCode::NotAMember);
    assert_eq!(fixture.rejected(1, read("nowhere", 1)), ErrorCode::RoomNotFound);
}

fn ten_events(fixture: &mut Fixture) -> RoomId {
    let room = fixture.join(1, "tea");
    // Another room, so that a page with events of the wrong room fails the test.
    fixture.join(1, "coffee");
    fixture.send(1, "coffee", "not this");
    for n in 2..=10 {
        fixture.send(1, "tea", &format!("message {n}"));
    }
    room
}

fn few(limit: u32) -> PageBounds {
    PageBounds { limit, max_bytes: usize::MAX }
}

pub fn page_after_is_bounded(fixture: &mut Fixture) {
    let room = ten_events(fixture);
    let mut page = |after, up_to: Option<u64>, limit| {
        let page = fixture.reader.events_after(room, Seq(after), up_to.map(Seq), few(limit)).unwrap();
        assert!(page.events.iter().all(|event| event.room == room));
        (page.events.iter().map(|event| event.seq.0).collect::<Vec<_>>(), page.more)
    };
    assert_eq!(page(0, None, 3), (vec![1, 2, 3], true));
    assert_eq!(page(7, None, 3), (vec![8, 9, 10], false));
    assert_eq!(page(7, None, 2), (vec![8, 9], true));
    assert_eq!(page(10, None, 3), (vec![], false));
    assert_eq!(page(3, Some(6), 9), (vec![4, 5, 6], false));
    assert_eq!(page(3, Some(6), 3), (vec![4, 5, 6], false));
    assert_eq!(page(3, Some(6), 2), (vec![4, 5], true));
    assert_eq!(page(6, Some(3), 2), (vec![], false));
    assert_eq!(page(0, None, 0), (vec![1], true));
}

pub fn page_before_is_bounded(fixture: &mut Fixture) {
    let room = ten_events(fixture);
    let mut page = |before, limit| {
        let page = fixture.reader.events_before(room, Seq(before), few(limit)).unwrap();
        assert!(page.events.iter().all(|event| event.room == room));
        (page.events.iter().map(|event| event.seq.0).collect::<Vec<_>>(), page.more)
    };
    assert_eq!(page(u64::MAX, 3), (vec![8, 9, 10], true));
    assert_eq!(page(4, 3), (vec![1, 2, 3], false));
    assert_eq!(page(4, 2), (vec![2, 3], true));
    assert_eq!(page(1, 3), (vec![], false));
    assert_eq!(page(0, 3), (vec![], false));
    assert_eq!(page(11, 0), (vec![10], true));
}

pub fn page_is_bounded_in_bytes(fixture: &mut Fixture) {
    let room = ten_events(fixture);
    let events = fixture.events(room);
    let size = |events: &[protocol::Event]| {
        let json: usize = events.iter().map(|event| serde_json::to_string(event).unwrap().len()).sum();
        json + events.len() - 1
    };
    let mut after = |max_bytes| {
        let bounds = PageBounds { limit: 100, max_bytes };
        fixture.reader.events_after(room, Seq(0), None, bounds).unwrap()
    };
    let page = after(size(&events[..4]));
    assert_eq!((page.events.len(), page.more), (4, true));
    let page = after(size(&events[..4]) - 1);
    assert_eq!((page.events.len(), page.more), (3, true));
    let page = after(size(&events));
    assert_eq!((page.events.len(), page.more), (10, false));
    // At least one event, so that a client always makes progress.
    let page = after(0);
    assert_eq!((page.events.len(), page.more), (1, true));
    let bounds = PageBounds { limit: 100, max_bytes: size(&events[7..]) };
    let page = fixture.reader.events_before(room, Seq(11), bounds).unwrap();
    assert_eq!((page.events.as_slice(), page.more), (&events[7..], true));
}

pub fn pages_meet_without_hole_or_overlap(fixture: &mut Fixture) {
    let room = ten_events(fixture);
    let all = fixture.events(room);
    let (mut forward, mut more) = (Vec::<protocol::Event>::new(), true);
    while more {
        let after = forward.last().map_or(Seq(0), |event| event.seq);
        let page = fixture.reader.events_after(room, after, None, few(3)).unwrap();
        more = page.more;
        forward.extend(page.events);
    }
    assert_eq!(forward, all);
    let (mut backward, mut more) = (Vec::<protocol::Event>::new(), true);
    while more {
        let before = backward.first().map_or(Seq(u64::MAX), |event| event.seq);
        let page = fixture.reader.events_before(room, before, few(3)).unwrap();
        more = page.more;
        backward.splice(0..0, page.events);
    }
    assert_eq!(backward, all);
}

pub fn out_of_range_numbers_find_nothing(fixture: &mut Fixture) {
    let room = ten_events(fixture);
    let nowhere = RoomId(u64::MAX);
    assert_eq!(fixture.reader.events_after(room, Seq(u64::MAX), None, ALL).unwrap().events, []);
    assert_eq!(fixture.reader.events_after(nowhere, Seq(0), None, ALL).unwrap().events, []);
    assert_eq!(fixture.reader.events_after(room, Seq(0), Some(Seq(u64::MAX)), ALL).unwrap().events.len(), 10);
    assert_eq!(fixture.reader.room(&protocol::RoomRef::Id(nowhere)).unwrap(), None);
    assert_eq!(fixture.reader.heads(&[nowhere, RoomId(0)]).unwrap(), [None, None]);
    assert!(!fixture.reader.is_member(room, UserId(u64::MAX)).unwrap());
    let query = RoomQuery { user: UserId(u64::MAX), joined: false, after: Some(nowhere), limit: u32::MAX };
    assert_eq!(fixture.reader.rooms(query).unwrap().rooms, []);
}

pub fn rooms_are_listed_by_page(fixture: &mut Fixture) {
    let tea = fixture.join(1, "tea");
    let coffee = fixture.join(2, "coffee");
    fixture.send(1, "tea", "hello");
    fixture.done(1, read("tea", 1));
    let mut list = |joined, after: Option<RoomId>, limit| {
        let page = fixture.reader.rooms(RoomQuery { user: UserId(1), joined, after, limit }).unwrap();
        (page.rooms.iter().map(|room| (room.info.room, room.joined)).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(list(false, None, 10), (vec![(LOBBY, false), (tea, true), (coffee, false)], None));
    assert_eq!(list(false, None, 2), (vec![(LOBBY, false), (tea, true)], Some(tea)));
    assert_eq!(list(false, Some(tea), 2), (vec![(coffee, false)], None));
    assert_eq!(list(true, None, 10), (vec![(tea, true)], None));
    assert_eq!(list(true, Some(tea), 10), (vec![], None));
    assert_eq!(list(false, None, 0), (vec![(LOBBY, false)], Some(LOBBY)));
    let query = RoomQuery { user: UserId(1), joined: true, after: None, limit: 1 };
    let room = fixture.reader.rooms(query).unwrap().rooms.remove(0);
    assert_eq!((room.info.name.as_str(), room.head, room.n, room.count), ("tea", Seq(2), MessageCount(1), 0));
    assert_eq!(room.read, Some(position(1, 0)));
}

pub fn open_rooms_answers_in_request_order(fixture: &mut Fixture) {
    let tea = fixture.join(1, "tea");
    fixture.join(2, "tea");
    fixture.send(1, "tea", "hello");
    fixture.done(1, read("tea", 3));
    let coffee = fixture.join(2, "coffee");
    let open = fixture.reader.open_rooms(UserId(1), &[coffee, RoomId(99), tea, coffee]).unwrap();
    let room = |at: usize| open[at].as_ref().unwrap();
    assert_eq!(open.len(), 4);
    assert_eq!((room(0).room.info.room, room(0).member, room(0).read), (coffee, false, None));
    assert_eq!(open[1], None);
    assert_eq!((room(2).room.info.name.as_str(), room(2).member), ("tea", true));
    assert_eq!(room(2).room.head, Head { seq: Seq(3), n: MessageCount(1) });
    assert_eq!(room(2).read, Some(position(3, 1)));
    assert_eq!(open[3], open[0]);
}

pub fn heads_answers_in_request_order(fixture: &mut Fixture) {
    let tea = ten_events(fixture);
    let heads = fixture.reader.heads(&[tea, RoomId(99), LOBBY]).unwrap();
    let head = |seq, n| Some(Head { seq: Seq(seq), n: MessageCount(n) });
    assert_eq!(heads, [head(10, 9), None, head(0, 0)]);
}

pub fn reader_sees_that_a_commit_happened(fixture: &mut Fixture) {
    assert!(fixture.reader.changed().unwrap());
    assert!(!fixture.reader.changed().unwrap());
    fixture.join(1, "tea");
    assert!(fixture.reader.changed().unwrap());
    assert!(!fixture.reader.changed().unwrap());
}
