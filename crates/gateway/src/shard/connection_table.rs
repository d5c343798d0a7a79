//! The connections of a shard and their users.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};

use protocol::UserId;
use slab::Slab;

use super::connection::{ConnKey, Connection, UserState};

/// Connections by index, and the users by id.
///
/// **Invariant:** an index is reused, a key is not (`key_of_ended_connection_finds_nothing`).
///
/// **Invariant:** a user is in the table as long as one of its connections is, and lists each of them once
/// (`user_stays_until_its_last_connection_ends`).
pub(crate) struct ConnectionTable<T> {
    slots: Slab<Connection<T>>,
    users: HashMap<UserId, UserState>,
    generation: u32,
}

impl<T> Default for ConnectionTable<T> {
    fn default() -> Self {
        ConnectionTable { slots: Slab::new(), users: HashMap::new(), generation: 0 }
    }
}

impl<T> ConnectionTable<T> {
    /// Adds a connection of `user`, and the user with its first connection. Both values are created on demand; the connection
    /// receives its key.
    pub(super) fn insert(
        &mut self,
        user: UserId,
        connection: impl FnOnce(ConnKey) -> Connection<T>,
        first: impl FnOnce() -> UserState,
    ) -> (ConnKey, &mut UserState) {
        self.generation = self.generation.wrapping_add(1);
        let slot = self.slots.vacant_entry();
        let key = ConnKey { index: slot.key(), generation: self.generation };
        slot.insert(connection(key));
        let user_state = self.users.entry(user).or_insert_with(first);
        user_state.connections.push(key.index);
        (key, user_state)
    }

    /// Removes a connection, and its user with the last connection.
    pub(super) fn remove(&mut self, index: usize) -> Option<(Connection<T>, Option<UserState>)> {
        let connection = self.slots.try_remove(index)?;
        let user_state = self.users.get_mut(&connection.user)?;
        user_state.connections.retain(|&other| other != index);
        let is_last = user_state.connections.is_empty();
        let departed = if is_last { self.users.remove(&connection.user) } else { None };
        Some((connection, departed))
    }

    /// The connection of `key`, unless it has ended.
    pub(super) fn find(&mut self, key: ConnKey) -> Option<&mut Connection<T>> {
        self.slots.get_mut(key.index).filter(|connection| connection.key.generation == key.generation)
    }

    pub(super) fn find_with_user(&mut self, key: ConnKey) -> Option<(&mut Connection<T>, &mut UserState)> {
        let connection = self.slots.get_mut(key.index).filter(|connection| connection.key == key)?;
        let user_state = self.users.get_mut(&connection.user)?;
        Some((connection, user_state))
    }

    pub(super) fn get(&self, index: usize) -> Option<&Connection<T>> {
        self.slots.get(index)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Connection<T>> {
        self.slots.get_mut(index)
    }

    pub(super) fn user(&self, user: UserId) -> Option<&UserState> {
        self.users.get(&user)
    }

    pub(super) fn user_mut(&mut self, user: UserId) -> Option<&mut UserState> {
        self.users.get_mut(&user)
    }

    pub(super) fn for_each_of(&mut self, user: UserId, mut visit: impl FnMut(&mut Connection<T>)) {
        for &index in self.users.get(&user).map_or(&[][..], |user_state| &user_state.connections) {
            if let Some(connection) = self.slots.get_mut(index) {
                visit(connection);
            }
        }
    }

    pub(super) fn keys(&self) -> Vec<ConnKey> {
        self.slots.iter().map(|(_, connection)| connection.key).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
impl<T> ConnectionTable<T> {
    pub(crate) fn iter(&self) -> slab::Iter<'_, Connection<T>> {
        self.slots.iter()
    }

    pub(crate) fn users(&self) -> impl Iterator<Item = (UserId, &UserState)> {
        self.users.iter().map(|(user, user_state)| (*user, user_state))
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

impl<T> Index<usize> for ConnectionTable<T> {
    type Output = Connection<T>;

    fn index(&self, index: usize) -> &Connection<T> {
        &self.slots[index]
    }
}

impl<T> IndexMut<usize> for ConnectionTable<T> {
    fn index_mut(&mut self, index: usize) -> &mut Connection<T> {
        &mut self.slots[index]
    }
}

#[cfg(test)]
mod tests {
    use domain::UserBuckets;
    use protocol::UserName;

    use super::*;
    use crate::codec::Codec;
    use crate::handoff::WireProtocol;
    use crate::shard::wheel::Tick;

    fn add(table: &mut ConnectionTable<()>, user: u64) -> ConnKey {
        let user = UserId(user);
        let first = || UserState {
            name: UserName::new("guest").unwrap(),
            session: None,
            stored: false,
            perhaps_stored: false,
            buckets: UserBuckets::default(),
            connections: Vec::new(),
        };
        let codec = Codec::from(WireProtocol::Json);
        table.insert(user, |key| Connection::new(key, (), user, codec, 1000, Tick::default()), first).0
    }

    #[test]
    fn key_of_ended_connection_finds_nothing() {
        let mut table = ConnectionTable::default();
        let ended = add(&mut table, 1);
        assert!(table.remove(ended.index).is_some());
        let reused = add(&mut table, 2);
        assert_eq!(ended.index, reused.index);
        assert!(table.find(ended).is_none() && table.find_with_user(ended).is_none());
        assert_eq!(table.find(reused).map(|connection| connection.user), Some(UserId(2)));
        assert!(table.remove(reused.index + 1).is_none());
    }

    #[test]
    fn user_stays_until_its_last_connection_ends() {
        let mut table = ConnectionTable::default();
        let (first, other, second) = (add(&mut table, 1), add(&mut table, 2), add(&mut table, 1));
        let mut visited = Vec::new();
        table.for_each_of(UserId(1), |connection| visited.push(connection.key));
        assert_eq!(visited, [first, second]);
        assert!(matches!(table.remove(first.index), Some((_, None))));
        assert_eq!(
            table.user(UserId(1)).map(|user_state| &user_state.connections[..]),
            Some(&[second.index][..])
        );
        assert!(matches!(table.remove(second.index), Some((_, Some(_)))));
        assert!(table.user(UserId(1)).is_none());
        assert_eq!((table.keys(), table.users().count()), (vec![other], 1));
    }
}
