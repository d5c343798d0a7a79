//! The handle through which other threads reach a shard: HTTP, and the readers with their results.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{CommandError, OperationResult};
use mio::Waker;
use protocol::{ErrorCode, RateClass, UserId, UserName};
use tokio::sync::oneshot;

use crate::handoff::UpgradedConnection;
use crate::operations::{HandlerEffect, OnReply};
use crate::shard::{HttpRequest, QueryResult, Rejection};

/// Input of a shard from other threads, apart from the bus.
pub(super) enum Input {
    UpgradedConnection(UpgradedConnection),
    QueryResult(QueryResult),
    HttpRequest { request: HttpRequest, handled: oneshot::Sender<Result<HttpEffects, Rejection>> },
    Refund { user: UserId, class: RateClass },
    Renamed { user: UserId, name: UserName },
    SessionEnd { user: UserId, done: oneshot::Sender<()> },
    Draining { done: oneshot::Sender<()> },
    Closing { retry_within: Duration, done: oneshot::Sender<()> },
}

/// The effects of a request over HTTP. Its write has been submitted.
pub(crate) struct HttpEffects {
    pub(crate) effects: Vec<HandlerEffect>,
    pub(crate) write: Option<HttpWrite>,
}

/// A write that was submitted for a request over HTTP.
pub(crate) struct HttpWrite {
    pub(crate) on_reply: Box<dyn OnReply>,
    /// Closed without a reply if the writer's thread has ended.
    pub(crate) reply: oneshot::Receiver<Result<OperationResult, CommandError>>,
}

/// A handle to a shard's thread. Clones share its queue of inputs.
#[derive(Clone)]
pub(crate) struct ShardHandle {
    // owner: the shard's thread, which takes all inputs at once; bounded by the upgrades and reads in progress. `None`: the
    // thread has ended, and further inputs are dropped with their reply channels.
    inputs: Arc<Mutex<Option<Vec<Input>>>>,
    waker: Arc<Waker>,
}

impl ShardHandle {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        ShardHandle { inputs: Arc::new(Mutex::new(Some(Vec::new()))), waker }
    }

    pub(crate) fn connect(&self, upgraded: UpgradedConnection) {
        self.submit(Input::UpgradedConnection(upgraded));
    }

    /// Closes the connections of a user whose session has ended.
    pub(crate) async fn end_session(&self, user: UserId) {
        let (done, wait) = oneshot::channel();
        self.submit(Input::SessionEnd { user, done });
        let _ = wait.await;
    }

    /// Handles a request over HTTP. Its write is submitted from the shard's thread.
    pub(crate) async fn handle(&self, request: HttpRequest) -> Result<HttpEffects, Rejection> {
        let (handled, wait) = oneshot::channel();
        self.submit(Input::HttpRequest { request, handled });
        // The channel is closed if the thread has ended.
        wait.await.unwrap_or_else(|_| Err(ErrorCode::ShuttingDown.into()))
    }

    pub(crate) fn refund(&self, user: UserId, class: RateClass) {
        self.submit(Input::Refund { user, class });
    }

    pub(crate) fn renamed(&self, user: UserId, name: UserName) {
        self.submit(Input::Renamed { user, name });
    }

    /// Returns when the shard has handled the input in its sockets and reads no more.
    pub(crate) async fn drain(&self) {
        let (done, wait) = oneshot::channel();
        self.submit(Input::Draining { done });
        let _ = wait.await;
    }

    /// Closes every connection. Returns when all have ended, at the latest after the close timeout; then the thread ends.
    pub(crate) async fn close(&self, retry_within: Duration) {
        let (done, wait) = oneshot::channel();
        self.submit(Input::Closing { retry_within, done });
        let _ = wait.await;
    }

    pub(super) fn submit(&self, input: Input) {
        match &mut *self.lock() {
            Some(inputs) => inputs.push(input),
            None => return,
        }
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "a shard cannot be woken");
        }
    }

    pub(super) fn take_inputs(&self) -> Vec<Input> {
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Ends the acceptance of inputs if none is queued. Returns whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        let mut inputs = self.lock();
        if inputs.as_ref().is_none_or(Vec::is_empty) {
            *inputs = None;
        }
        inputs.is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Input>>> {
        // A panic during a push or a swap leaves the list valid.
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
