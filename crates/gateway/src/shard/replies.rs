//! Frames for one connection: replies, errors, gaps.

use std::time::Duration;

use bytes::Bytes;
use domain::CommandError;
use protocol::{CommandId, ErrorCode, ErrorFrame, OkFrame, Reply, ServerFrame};

use super::connection::Phase;
use super::{ConnKey, Shard, ShardServices, Transport};

/// The limit for the outboxes of all connections of a shard, above which no store read is started.
const PRIVATE_BYTES: usize = 256 * 1024 * 1024;

impl<T: Transport, S: ShardServices> Shard<T, S> {
    pub(crate) fn send_frame(&mut self, key: ConnKey, frame: ServerFrame) {
        let Some(connection) = self.connection(key) else { return };
        let bytes = connection.codec.encode(&frame);
        self.send_bytes(key, &bytes);
    }

    /// Appends whole frames to the connection's outbox.
    pub(crate) fn send_bytes(&mut self, key: ConnKey, frames: &[u8]) {
        let Some(connection) = self.connection(key).filter(|connection| connection.phase == Phase::Open)
        else {
            return;
        };
        connection.outbox.push(frames);
        self.private_bytes += frames.len();
        self.queue_write(key.index);
    }

    /// Appends whole frames that several connections share to the connection's outbox, without a copy.
    pub(crate) fn send_shared(&mut self, key: ConnKey, frames: Bytes) {
        let Some(connection) = self.connection(key).filter(|connection| connection.phase == Phase::Open)
        else {
            return;
        };
        let len = frames.len();
        connection.outbox.push_shared(frames);
        self.private_bytes += len;
        self.queue_write(key.index);
    }

    /// Whether the outboxes hold so much that no large reply may be added: a catch-up page is postponed, and a read is
    /// rejected.
    pub(crate) fn outboxes_are_full(&self) -> bool {
        self.private_bytes > PRIVATE_BYTES
    }

    /// Replies `ok` to a command that has an id. A command without an id is answered only by errors.
    pub(crate) fn send_ok(&mut self, key: ConnKey, id: Option<CommandId>, reply: Reply) {
        let always = self.connection(key).is_some_and(|connection| connection.codec.replies_without_id());
        if id.is_some() || always {
            self.send_frame(key, OkFrame::new(id, reply).into());
        }
    }

    pub(crate) fn send_error(&mut self, key: ConnKey, id: Option<CommandId>, rejection: CommandError) {
        self.metrics.error(rejection.code);
        self.send_frame(key, ErrorFrame::new(id, rejection.code, rejection.message).into());
    }

    pub(crate) fn send_error_code(&mut self, key: ConnKey, id: Option<CommandId>, code: ErrorCode) {
        self.send_error(key, id, CommandError::from(code));
    }

    /// Rejects a command that exceeds its rate limit.
    pub(crate) fn send_rate_limited(&mut self, key: ConnKey, id: Option<CommandId>, wait: Duration) {
        self.metrics.error(ErrorCode::RateLimited);
        let mut frame = ErrorFrame::new(id, ErrorCode::RateLimited, ErrorCode::RateLimited.message());
        // Rounded up, so that a retry after this time succeeds.
        frame.retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1));
        self.send_frame(key, frame.into());
    }
}
