//! Assigns connections to rooms: rooms are equally full, and connections that share one room share few others.

use super::checker::Index;

/// The number of rooms, and of the rooms that each connection joins.
#[derive(Debug)]
pub(crate) struct RoomAssignment {
    rooms: u32,
    each: u32,
    /// After this many connections, all rooms have the same number of members.
    cycle: u32,
    /// The step between rooms in each cycle; another one in each cycle, so that other connections share its rooms.
    steps: Vec<u32>,
}

impl RoomAssignment {
    /// Requires at least one room, and `each` to be at most `rooms`.
    pub(crate) fn new(rooms: u32, each: u32) -> Self {
        // With one room each, the order of rooms does not matter.
        let steps =
            if each == 1 { vec![1] } else { (1..=rooms).filter(|&step| gcd(step, rooms) == 1).collect() };
        RoomAssignment { rooms, each, cycle: rooms / gcd(rooms, each), steps }
    }

    /// The `each` distinct rooms of a connection.
    pub(crate) fn rooms_of(&self, connection: u32) -> impl Iterator<Item = Index> + use<> {
        let step = self.steps[(connection / self.cycle) as usize % self.steps.len()];
        let (rooms, each) = (u64::from(self.rooms), u64::from(self.each));
        let first = u64::from(connection % self.cycle) * each;
        (first..first + each).map(move |place| (place % rooms * u64::from(step) % rooms) as Index)
    }

    /// The room to which each sender sends: of its rooms, the one with the fewest senders. The first connections are the
    /// senders.
    pub(crate) fn rooms_of_senders(&self, senders: u32) -> Vec<Index> {
        let mut taken = vec![0; self.rooms as usize];
        let choose = |sender| {
            let room = self.rooms_of(sender).min_by_key(|&room| taken[room as usize]).unwrap_or(0);
            taken[room as usize] += 1;
            room
        };
        (0..senders).map(choose).collect()
    }

    pub(crate) fn members(&self, connections: u32) -> Vec<u32> {
        let mut members = vec![0; self.rooms as usize];
        for room in (0..connections).flat_map(|connection| self.rooms_of(connection)) {
            members[room as usize] += 1;
        }
        members
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_room_each_is_assigned_in_turn() {
        let assignment = RoomAssignment::new(3, 1);
        let rooms: Vec<_> = (0..7).flat_map(|connection| assignment.rooms_of(connection)).collect();
        assert_eq!(rooms, [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(assignment.rooms_of_senders(4), [0, 1, 2, 0]);
    }

    #[test]
    fn two_thousand_in_five_of_100_rooms_are_100_per_room() {
        let assignment = RoomAssignment::new(100, 5);
        assert_eq!(assignment.members(2000), vec![100; 100]);
        let mut rooms = assignment.rooms_of_senders(100);
        rooms.sort_unstable();
        assert_eq!(rooms, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn connections_that_share_a_room_differ_in_others() {
        let assignment = RoomAssignment::new(100, 5);
        let sets: BTreeSet<BTreeSet<Index>> =
            (0..800).map(|connection| assignment.rooms_of(connection).collect()).collect();
        assert!(sets.len() > 200, "{}", sets.len());
    }

    proptest! {
        #[test]
        fn rooms_differ_and_are_filled_evenly(rooms in 1u32..60, each in 1u32..12, connections in 1u32..500) {
            prop_assume!(each <= rooms);
            let assignment = RoomAssignment::new(rooms, each);
            for connection in 0..connections {
                prop_assert_eq!(assignment.rooms_of(connection).collect::<BTreeSet<_>>().len(), each as usize);
            }
            let members = assignment.members(connections);
            prop_assert_eq!(members.iter().sum::<u32>(), connections * each);
            prop_assert!(members.iter().max().unwrap() - members.iter().min().unwrap() <= 1, "{:?}", members);
        }
    }
}
