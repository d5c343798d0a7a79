use proptest::prelude::*;

use super::*;

const TEA: RoomId = RoomId(1);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn person(id: u64) -> Person {
    Person { id: UserId(id), name: UserName::new(&format!("guest {id}")).unwrap() }
}

fn ids(people: &[Person]) -> Vec<u64> {
    people.iter().map(|person| person.id.0).collect()
}

/// A room with these people in it, who have been told of each other.
fn room_of(people: impl IntoIterator<Item = u64>) -> Presence {
    let mut presence = Presence::default();
    for id in people {
        presence.enter(TEA, person(id), ms(0));
    }
    presence.poll_frames(ms(1000));
    presence
}

#[test]
fn a_person_with_two_connections_comes_and_goes_once() {
    let mut presence = Presence::default();
    assert!(presence.enter(TEA, person(1), ms(0)));
    assert!(!presence.enter(TEA, person(1), ms(0)));
    assert_eq!(presence.count(TEA), 1);
    assert!(!presence.leave(TEA, UserId(1), ms(0)));
    assert!(presence.is_online(TEA, UserId(1)));
    assert!(presence.leave(TEA, UserId(1), ms(0)));
    assert!(!presence.is_online(TEA, UserId(1)));
}

#[test]
fn leaving_where_one_is_not_changes_nothing() {
    let mut presence = room_of([1]);
    assert!(!presence.leave(TEA, UserId(2), ms(2000)));
    assert!(!presence.leave(RoomId(2), UserId(1), ms(2000)));
    assert_eq!(presence.poll_timeout(), None);
}

#[test]
fn a_second_of_changes_is_one_frame() {
    let mut presence = room_of([1, 2]);
    presence.enter(TEA, person(4), ms(5000));
    presence.enter(TEA, person(3), ms(5400));
    presence.leave(TEA, UserId(2), ms(5900));
    assert_eq!(presence.poll_timeout(), Some(ms(6000)));
    assert_eq!(presence.poll_frames(ms(5999)), []);
    let frames = presence.poll_frames(ms(6000));
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0].room, frames[0].count), (TEA, 3));
    assert_eq!(ids(&frames[0].online), [3, 4]);
    assert_eq!(frames[0].offline, [UserId(2)]);
    assert_eq!(presence.poll_timeout(), None);
    assert_eq!(presence.poll_frames(ms(60_000)), []);
}

#[test]
fn who_comes_and_goes_within_a_second_is_not_spoken_of() {
    let mut presence = room_of([1, 2]);
    presence.enter(TEA, person(3), ms(5000));
    presence.leave(TEA, UserId(3), ms(5500));
    presence.leave(TEA, UserId(2), ms(5500));
    presence.enter(TEA, person(2), ms(5600));
    assert_eq!(presence.poll_frames(ms(6000)), []);
    presence.leave(TEA, UserId(2), ms(6500));
    assert_eq!(presence.poll_frames(ms(7500))[0].offline, [UserId(2)]);
}

#[test]
fn rooms_are_told_apart() {
    let mut presence = Presence::default();
    presence.enter(RoomId(2), person(1), ms(0));
    presence.enter(TEA, person(1), ms(300));
    assert_eq!(
        presence.poll_frames(ms(1000)).iter().map(|frame| frame.room).collect::<Vec<_>>(),
        [RoomId(2)]
    );
    assert_eq!(presence.poll_timeout(), Some(ms(1300)));
    assert_eq!(presence.poll_frames(ms(1300)).iter().map(|frame| frame.room).collect::<Vec<_>>(), [TEA]);
}

#[test]
fn a_room_that_nobody_is_in_is_forgotten_and_told_nothing() {
    let mut presence = room_of([1]);
    presence.enter(TEA, person(2), ms(2000));
    presence.leave(TEA, UserId(1), ms(2000));
    presence.leave(TEA, UserId(2), ms(2100));
    assert_eq!(presence.poll_frames(ms(9000)), []);
    assert_eq!(presence.poll_timeout(), None);
    assert!(presence.rooms.is_empty() && presence.due.is_empty());
    assert_eq!(presence.count(TEA), 0);
}

#[test]
fn a_new_name_is_the_one_that_is_told() {
    let mut presence = room_of([1]);
    presence.enter(TEA, person(2), ms(2000));
    let name = UserName::new("李雷").unwrap();
    presence.renamed(UserId(2), &name, [TEA, RoomId(9)]);
    assert_eq!(presence.poll_frames(ms(3000))[0].online[0].name, name);
    assert_eq!(presence.online(TEA, 50)[1].name, name);
    presence.renamed(UserId(1), &name, [TEA]);
    assert_eq!(presence.poll_timeout(), None);
}

#[test]
fn a_hundred_are_named_and_one_more_is_a_number() {
    let mut presence = room_of(1..=99);
    presence.enter(TEA, person(100), ms(2000));
    let frame = presence.poll_frames(ms(3000)).remove(0);
    assert_eq!((frame.count, ids(&frame.online)), (100, vec![100]));
    presence.enter(TEA, person(101), ms(4000));
    let frame = presence.poll_frames(ms(5000)).remove(0);
    assert_eq!((frame.count, frame.online.len(), frame.offline.len()), (101, 0, 0));
}

#[test]
fn a_large_room_whose_count_stays_is_told_nothing() {
    let mut presence = room_of(1..=200);
    presence.enter(TEA, person(201), ms(2000));
    presence.leave(TEA, UserId(1), ms(2000));
    assert_eq!(presence.poll_frames(ms(3000)), []);
}

#[test]
fn ten_thousand_who_leave_at_once_do_not_make_a_long_frame() {
    let mut presence = room_of(1..=10_000);
    for id in 11..=10_000 {
        presence.leave(TEA, UserId(id), ms(2000));
    }
    let frame = presence.poll_frames(ms(3000)).remove(0);
    assert_eq!((frame.count, frame.online.len(), frame.offline.len()), (10, 0, 0));
    presence.leave(TEA, UserId(1), ms(4000));
    assert_eq!(presence.poll_frames(ms(5000))[0].offline, [UserId(1)]);
}

#[test]
fn pages_hold_everybody_once() {
    let presence = room_of(1..=250);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = presence.page(TEA, after, 1000);
        assert_eq!(page.count, 250);
        assert!(page.people.len() <= Limits::PAGE as usize);
        seen.extend(ids(&page.people));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=250).collect::<Vec<_>>());
}

#[test]
fn a_page_goes_on_after_somebody_who_left() {
    let mut presence = room_of([1, 2, 3]);
    presence.leave(TEA, UserId(2), ms(2000));
    let page = presence.page(TEA, Some(UserId(2)), 100);
    assert_eq!((ids(&page.people), page.next), (vec![3], None));
    assert_eq!(presence.page(RoomId(9), None, 100), PeoplePage { count: 0, people: vec![], next: None });
    assert_eq!(ids(&presence.page(TEA, None, 0).people), [1]);
}

proptest! {
    /// Somebody who stays and applies each frame knows at the end who is here, and heard at most once a second.
    #[test]
    fn frames_add_up_to_who_is_here(
        steps in prop::collection::vec((2u64..12, any::<bool>(), 0u64..400), 1..300),
    ) {
        let mut presence = room_of([1]);
        let mut known = BTreeSet::from([UserId(1)]);
        let mut connections: BTreeMap<UserId, u32> = BTreeMap::new();
        let (mut now, mut last_told) = (ms(1000), None::<Duration>);
        let mut listen = |presence: &mut Presence, now: Duration| {
            for frame in presence.poll_frames(now) {
                assert!(last_told.is_none_or(|last| now - last >= GATHER), "twice within a second");
                last_told = Some(now);
                for user in frame.offline {
                    assert!(known.remove(&user), "{user} went twice");
                }
                for person in frame.online {
                    assert!(known.insert(person.id), "{} came twice", person.id);
                }
                assert_eq!(frame.count as usize, known.len());
            }
            known.clone()
        };
        for (id, comes, wait) in steps {
            now += ms(wait);
            listen(&mut presence, now);
            let (user, open) = (UserId(id), connections.entry(UserId(id)).or_default());
            if comes {
                prop_assert_eq!(presence.enter(TEA, person(id), now), *open == 0);
                *open += 1;
            } else {
                prop_assert_eq!(presence.leave(TEA, user, now), *open == 1);
                *open = open.saturating_sub(1);
            }
        }
        let known = listen(&mut presence, now + GATHER);
        prop_assert_eq!(known, presence.online(TEA, 100).iter().map(|person| person.id).collect());
        prop_assert_eq!(presence.poll_timeout(), None);
    }
}
