//! All channels of a hub. Connection k is in channel k modulo the number of channels.

use super::channel::Channel;
use super::checker::Index;
use super::payload::Payload;
use super::senders::Sender;
use super::{Findings, Plan};

/// The channels; at least one.
#[derive(Debug)]
pub(crate) struct Channels(Vec<Channel>);

impl Channels {
    pub(crate) fn new(plan: &Plan) -> Self {
        let channels = plan.rooms;
        let channel = |index: Index| {
            // The number of connections, out of `all`, in this channel.
            let here = |all: u32| all / channels + u32::from(index < all % channels);
            let readers = here(plan.connections);
            let stalled = here(plan.all_connections()) - readers;
            Channel::new(readers, stalled, here(plan.senders), plan.body).among(index, channels)
        };
        Channels((0..channels).map(channel).collect())
    }

    /// The connection's channel, and its index there. In each channel, the connections that never pause reading come first.
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

    /// Whether the connection has received every message of its channel.
    pub(crate) fn is_caught_up(&self, number: usize, senders: &[Sender]) -> bool {
        let channels = self.0.len();
        self.0[number % channels].is_caught_up(number / channels, senders)
    }

    /// Adds the findings. `is_alive` is whether each connection was open at the end.
    pub(crate) fn finish(self, is_alive: &[bool], senders: &[Sender], findings: &mut Findings) {
        let channels = self.0.len();
        for (index, channel) in self.0.into_iter().enumerate() {
            channel.finish(is_alive.iter().copied().skip(index).step_by(channels), senders, findings);
        }
    }
}
