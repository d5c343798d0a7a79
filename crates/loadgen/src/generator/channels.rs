//! All halls of a hub, over which the connections take turns: the one with number k is in hall k modulo their number.

use super::channel::Channel;
use super::checker::Index;
use super::payload::Payload;
use super::senders::Sender;
use super::{Findings, Plan};

/// At least one hall. Nobody is in two.
#[derive(Debug)]
pub(crate) struct Channels(Vec<Channel>);

impl Channels {
    pub(crate) fn new(plan: &Plan) -> Self {
        let channels = plan.rooms;
        let channel = |index: Index| {
            // Of so many who take turns, how many are here.
            let here = |all: u32| all / channels + u32::from(index < all % channels);
            let readers = here(plan.connections);
            let stalled = here(plan.all_connections()) - readers;
            Channel::new(readers, stalled, here(plan.senders), plan.body).among(index, channels)
        };
        Channels((0..channels).map(channel).collect())
    }

    /// The connection's hall, and its place there: those who read all the time come first in each, since they do among all.
    fn of(&mut self, number: usize) -> (&mut Channel, usize) {
        let channels = self.0.len();
        (&mut self.0[number % channels], number / channels)
    }

    /// See [`Channel::receive_known_frames`].
    pub(crate) fn receive_known_frames(
        &mut self,
        number: usize,
        bytes: &[u8],
        on_message: impl FnMut(Payload),
    ) -> usize {
        let (channel, member) = self.of(number);
        channel.receive_known_frames(member, bytes, on_message)
    }

    /// See [`Channel::receive`].
    pub(crate) fn receive(&mut self, number: usize, text: &[u8]) -> Option<Payload> {
        let (channel, member) = self.of(number);
        channel.receive(member, text)
    }

    /// Whether the connection has heard all that was sent in its hall.
    pub(crate) fn is_caught_up(&self, number: usize, senders: &[Sender]) -> bool {
        let channels = self.0.len();
        self.0[number % channels].is_caught_up(number / channels, senders)
    }

    /// Adds the verdict; `is_alive` says of each connection whether it was there to the end.
    pub(crate) fn finish(self, is_alive: &[bool], senders: &[Sender], findings: &mut Findings) {
        let channels = self.0.len();
        for (index, channel) in self.0.into_iter().enumerate() {
            channel.finish(is_alive.iter().copied().skip(index).step_by(channels), senders, findings);
        }
    }
}
