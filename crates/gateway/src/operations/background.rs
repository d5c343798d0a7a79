//! Writes of the shard for which no command waits.

use domain::{Actor, CommandError, OperationResult};

use super::effect::{HandlerEffect, OnReply};

/// The departure of a transient user from all rooms. It is retried until it succeeds.
#[derive(Debug)]
pub(crate) struct Departure(pub(crate) Actor);

impl OnReply for Departure {
    fn done(self: Box<Self>, _: OperationResult) -> Vec<HandlerEffect> {
        Vec::new()
    }

    fn failed(self: Box<Self>, error: CommandError) -> Vec<HandlerEffect> {
        if error.code.is_retryable() { vec![HandlerEffect::RetryDeparture(self.0)] } else { Vec::new() }
    }
}

/// A read position that the server stores on behalf of a client. A failure is ignored: the next position replaces it.
#[derive(Debug)]
pub(crate) struct StoredPosition;

impl OnReply for StoredPosition {
    fn done(self: Box<Self>, _: OperationResult) -> Vec<HandlerEffect> {
        Vec::new()
    }

    fn failed(self: Box<Self>, _: CommandError) -> Vec<HandlerEffect> {
        Vec::new()
    }
}
