use proptest::prelude::*;

use super::*;

const TEA: RoomId = RoomId(1);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn guest(id: u64) -> User {
    User { id: UserId(id), name: UserName::new(&format!("guest {id}")).unwrap() }
}

fn ids(users: &[User]) -> Vec<u64> {
    users.iter().map(|user| user.id.0).collect()
}

/// A room with these users, after its first frame.
fn room_of(users: impl IntoIterator<Item = u64>) -> Presence {
    let mut presence = Presence::default();
    for id in users {
        presence.enter(TEA, guest(id), ms(0));
    }
    presence.poll_frames(ms(1000));
    presence
}

#[test]
fn user_with_two_connections_is_online_until_both_leave() {
    let mut presence = Presence::default();
    assert!(presence.enter(TEA, guest(1), ms(0)));
    assert!(!presence.enter(TEA, guest(1), ms(0)));
    assert_eq!(presence.count(TEA), 1);
    assert!(!presence.leave(TEA, UserId(1), ms(0)));
    assert_eq!(ids(&presence.online(TEA, 10)), [1]);
    assert!(presence.leave(TEA, UserId(1), ms(0)));
    assert!(presence.online(TEA, 10).is_empty());
}

#[test]
fn leave_by_absent_user_changes_nothing() {
    let mut presence = room_of([1]);
    assert!(!presence.leave(TEA, UserId(2), ms(2000)));
    assert!(!presence.leave(RoomId(2), UserId(1), ms(2000)));
    assert_eq!(presence.poll_timeout(), None);
}

#[test]
fn changes_within_a_second_are_one_frame() {
    let mut presence = room_of([1, 2]);
    presence.enter(TEA, guest(4), ms(5000));
    presence.enter(TEA, guest(3), ms(5400));
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
fn user_back_within_a_second_is_in_no_frame() {
    let mut presence = room_of([1, 2]);
    presence.enter(TEA, guest(3), ms(5000));
    presence.leave(TEA, UserId(3), ms(5500));
    presence.leave(TEA, UserId(2), ms(5500));
    presence.enter(TEA, guest(2), ms(5600));
    assert_eq!(presence.poll_frames(ms(6000)), []);
    presence.leave(TEA, UserId(2), ms(6500));
    assert_eq!(presence.poll_frames(ms(7500))[0].offline, [UserId(2)]);
}

#[test]
fn each_room_has_its_own_frame_time() {
    let mut presence = Presence::default();
    presence.enter(RoomId(2), guest(1), ms(0));
    presence.enter(TEA, guest(1), ms(300));
    assert_eq!(
        presence.poll_frames(ms(1000)).iter().map(|frame| frame.room).collect::<Vec<_>>(),
        [RoomId(2)]
    );
    assert_eq!(presence.poll_timeout(), Some(ms(1300)));
    assert_eq!(presence.poll_frames(ms(1300)).iter().map(|frame| frame.room).collect::<Vec<_>>(), [TEA]);
}

#[test]
fn room_without_online_users_is_dropped_without_frame() {
    let mut presence = room_of([1]);
    presence.enter(TEA, guest(2), ms(2000));
    presence.leave(TEA, UserId(1), ms(2000));
    presence.leave(TEA, UserId(2), ms(2100));
    assert_eq!(presence.poll_frames(ms(9000)), []);
    assert_eq!(presence.poll_timeout(), None);
    assert!(presence.rooms.is_empty() && presence.due.is_empty());
    assert_eq!(presence.count(TEA), 0);
}

#[test]
fn frame_after_rename_has_the_new_name() {
    let mut presence = room_of([1]);
    presence.enter(TEA, guest(2), ms(2000));
    let name = UserName::new("李雷").unwrap();
    presence.renamed(UserId(2), &name, [TEA, RoomId(9)]);
    assert_eq!(presence.poll_frames(ms(3000))[0].online[0].name, name);
    assert_eq!(presence.online(TEA, 50)[1].name, name);
    presence.renamed(UserId(1), &name, [TEA]);
    assert_eq!(presence.poll_timeout(), None);
}

#[test]
fn frame_above_name_limit_has_only_the_count() {
    let mut presence = room_of(1..=99);
    presence.enter(TEA, guest(100), ms(2000));
    let frame = presence.poll_frames(ms(3000)).remove(0);
    assert_eq!((frame.count, ids(&frame.online)), (100, vec![100]));
    presence.enter(TEA, guest(101), ms(4000));
    let frame = presence.poll_frames(ms(5000)).remove(0);
    assert_eq!((frame.count, frame.online.len(), frame.offline.len()), (101, 0, 0));
}

#[test]
fn large_room_with_unchanged_count_gets_no_frame() {
    let mut presence = room_of(1..=200);
    presence.enter(TEA, guest(201), ms(2000));
    presence.leave(TEA, UserId(1), ms(2000));
    assert_eq!(presence.poll_frames(ms(3000)), []);
}

#[test]
fn mass_leave_of_a_large_room_is_a_short_frame() {
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
fn pages_contain_each_user_once() {
    let presence = room_of(1..=250);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = presence.page(TEA, after, 1000);
        assert_eq!(page.count, 250);
        assert!(page.users.len() <= Limits::PAGE as usize);
        seen.extend(ids(&page.users));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=250).collect::<Vec<_>>());
}

#[test]
fn page_after_a_removed_user_continues() {
    let mut presence = room_of([1, 2, 3]);
    presence.leave(TEA, UserId(2), ms(2000));
    let page = presence.page(TEA, Some(UserId(2)), 100);
    assert_eq!((ids(&page.users), page.next), (vec![3], None));
    assert_eq!(presence.page(RoomId(9), None, 100), UserPage { count: 0, users: vec![], next: None });
    assert_eq!(ids(&presence.page(TEA, None, 0).users), [1]);
}

proptest! {
    /// A client that applies each frame has the list of online users at the end, and received at most one frame per second.
    #[test]
    fn applied_frames_equal_the_online_list(
        steps in prop::collection::vec((2u64..12, any::<bool>(), 0u64..400), 1..300),
    ) {
        let mut presence = room_of([1]);
        let mut online = BTreeSet::from([UserId(1)]);
        let mut connections: BTreeMap<UserId, u32> = BTreeMap::new();
        let (mut now, mut last_frame) = (ms(1000), None::<Duration>);
        let mut apply_frames = |presence: &mut Presence, now: Duration| {
            for frame in presence.poll_frames(now) {
                assert!(last_frame.is_none_or(|last| now - last >= COALESCE_INTERVAL), "twice within a second");
                last_frame = Some(now);
                for user in frame.offline {
                    assert!(online.remove(&user), "{user} went offline twice");
                }
                for user in frame.online {
                    assert!(online.insert(user.id), "{} came online twice", user.id);
                }
                assert_eq!(frame.count as usize, online.len());
            }
            online.clone()
        };
        for (id, enters, wait) in steps {
            now += ms(wait);
            apply_frames(&mut presence, now);
            let (user, open) = (UserId(id), connections.entry(UserId(id)).or_default());
            if enters {
                prop_assert_eq!(presence.enter(TEA, guest(id), now), *open == 0);
                *open += 1;
            } else {
                prop_assert_eq!(presence.leave(TEA, user, now), *open == 1);
                *open = open.saturating_sub(1);
            }
        }
        let online = apply_frames(&mut presence, now + COALESCE_INTERVAL);
        prop_assert_eq!(online, presence.online(TEA, 100).iter().map(|user| user.id).collect());
        prop_assert_eq!(presence.poll_timeout(), None);
    }
}
