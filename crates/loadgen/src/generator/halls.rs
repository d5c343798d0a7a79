//! All halls of a hub, over which the connections take turns: the one with number k is in hall k modulo their number.

use super::checker::Index;
use super::hall::Hall;
use super::said::Said;
use super::senders::Sender;
use super::{Findings, Plan};

/// At least one hall. Nobody is in two.
#[derive(Debug)]
pub(crate) struct Halls(Vec<Hall>);

impl Halls {
    pub(crate) fn new(plan: &Plan) -> Self {
        let halls = plan.rooms;
        let hall = |index: Index| {
            // Of so many who take turns, how many are here.
            let here = |all: u32| all / halls + u32::from(index < all % halls);
            let readers = here(plan.connections);
            let stalled = here(plan.all_connections()) - readers;
            Hall::new(readers, stalled, here(plan.senders), plan.body).among(index, halls)
        };
        Halls((0..halls).map(hall).collect())
    }

    /// The connection's hall, and its place there: those who read all the time come first in each, since they do among all.
    fn of(&mut self, number: usize) -> (&mut Hall, usize) {
        let halls = self.0.len();
        (&mut self.0[number % halls], number / halls)
    }

    /// See [`Hall::hear_frames`].
    pub(crate) fn hear_frames(&mut self, number: usize, bytes: &[u8], tell: impl FnMut(Said)) -> usize {
        let (hall, member) = self.of(number);
        hall.hear_frames(member, bytes, tell)
    }

    /// See [`Hall::hear`].
    pub(crate) fn hear(&mut self, number: usize, text: &[u8]) -> Option<Said> {
        let (hall, member) = self.of(number);
        hall.hear(member, text)
    }

    /// Whether the connection has heard all that was sent in its hall.
    pub(crate) fn is_caught_up(&self, number: usize, senders: &[Sender]) -> bool {
        let halls = self.0.len();
        self.0[number % halls].is_caught_up(number / halls, senders)
    }

    /// Adds the verdict; `lived` says of each connection whether it was there to the end.
    pub(crate) fn finish(self, lived: &[bool], senders: &[Sender], findings: &mut Findings) {
        let halls = self.0.len();
        for (index, hall) in self.0.into_iter().enumerate() {
            hall.finish(lived.iter().copied().skip(index).step_by(halls), senders, findings);
        }
    }
}
