//! The rules of every durable change: one operation, one file, with the facts it needs and its tests.
//!
//! To add an operation: its file, its `mod`, and its line in the table `operations!`.

mod context;
mod end_session;
mod join;
mod leave;
mod leave_all;
mod open;
mod read;
mod rename;
mod send;
mod set_topic;
#[cfg(test)]
pub(crate) mod testing;

use protocol::{Command, ErrorCode, Reply, Timestamp, UserId};

use crate::{Actor, Effect, Fact, RequestId, RoomLimits, World};
pub use context::Context;
pub use end_session::EndSession;
pub use join::{Join, JoinedRoom};
pub use leave::LeftRoom;
pub use leave_all::LeaveAll;
pub use open::Open;
pub use send::{Send, SentMessage};

/// One durable change, requested by one user. It is decided and applied inside the store's transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Correlates the answer with this request; not interpreted.
    pub request_id: RequestId,
    /// The user who makes the request. Whether the user is permitted to is decided here, not by the caller.
    pub actor: Actor,
    /// The requested change, with checked fields.
    pub operation: Operation,
}

/// The outcome of [`decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The request is permitted. The effects apply in this order; there are none if the request changes nothing.
    Done(Vec<Effect>, OperationResult),
    /// The rules forbid the request. It has no effects, so there is nothing to undo.
    Rejected(ErrorCode),
    /// The decision depends on facts that are not in the world yet. The caller loads them and decides again.
    Missing(Vec<Fact>),
}

/// The rules of one operation.
pub trait Decide {
    /// The result of a permitted request.
    type Done;

    /// The facts to load before [`decide`](Decide::decide) is called. It may still lack some that depend on these.
    fn facts(&self, user: UserId) -> Vec<Fact>;

    /// Decides a request. It may be called several times: again after missing facts were loaded.
    fn decide(&self, context: &Context<'_>) -> Decision<Self::Done>;
}

/// The effects and the result of a permitted request, or why the decision stopped.
pub type Decision<T> = Result<(Vec<Effect>, T), DecisionError>;

/// Why a decision stopped before it had effects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionError {
    /// The rules forbid the request.
    Rejected(ErrorCode),
    /// The decision depends on facts that are not in the world yet.
    Missing(Vec<Fact>),
}

impl From<ErrorCode> for DecisionError {
    fn from(code: ErrorCode) -> Self {
        DecisionError::Rejected(code)
    }
}

impl From<Fact> for DecisionError {
    fn from(fact: Fact) -> Self {
        DecisionError::Missing(vec![fact])
    }
}

macro_rules! operations {
    (
        plain { $($plain:ident => $plain_module:ident,)* }
        others { $($other:ident => $other_module:ident,)* }
    ) => {
        operations! { @all $($plain => $plain_module,)* $($other => $other_module,)* }

        /// Converts the plain operations. The error returns a command of another operation.
        impl TryFrom<Command> for Operation {
            type Error = Command;

            fn try_from(command: Command) -> Result<Self, Command> {
                match command {
                    $(Command::$plain(request) => Ok(Operation::$plain(request)),)*
                    other => Err(other),
                }
            }
        }

        impl OperationResult {
            /// Converts the result of a plain operation. The error returns the result of another one.
            pub fn into_reply(self) -> Result<Reply, Box<Self>> {
                match self {
                    $(OperationResult::$plain(done) => Ok(Reply::$plain(done)),)*
                    other => Err(Box::new(other)),
                }
            }
        }
    };
    (@all $($name:ident => $module:ident,)*) => {
        /// The changes that can be requested. [`decide`] checks the rules inside the transaction.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Operation {
            $(#[doc = concat!("`", stringify!($module), "`")] $name($module::$name),)*
        }

        /// The results of permitted requests, by operation.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum OperationResult {
            $(#[doc = concat!("[`Operation::", stringify!($name), "`]")] $name(<$module::$name as Decide>::Done),)*
        }

        $(
            impl From<$module::$name> for Operation {
                fn from(operation: $module::$name) -> Self {
                    Operation::$name(operation)
                }
            }
        )*

        impl Decide for Operation {
            type Done = OperationResult;

            fn facts(&self, user: UserId) -> Vec<Fact> {
                match self {
                    $(Operation::$name(operation) => operation.facts(user),)*
                }
            }

            fn decide(&self, context: &Context<'_>) -> Decision<OperationResult> {
                match self {
                    $(Operation::$name(operation) => {
                        let (effects, done) = operation.decide(context)?;
                        Ok((effects, OperationResult::$name(done)))
                    })*
                }
            }
        }
    };
}

// An operation is plain if its request and its result are those of the protocol.
operations! {
    plain {
        SetTopic => set_topic,
        Rename => rename,
        Read => read,
    }
    others {
        Join => join,
        Open => open,
        Leave => leave,
        Send => send,
        LeaveAll => leave_all,
        EndSession => end_session,
    }
}

/// The facts to load before [`decide`] is called. It may still lack some that depend on these.
#[must_use]
pub fn facts(request: &Request) -> Vec<Fact> {
    request.operation.facts(request.actor.user.id)
}

/// Decides a request: what it changes, why it is rejected, or which facts are missing.
#[must_use]
pub fn decide(world: &World, now: Timestamp, limits: &RoomLimits, request: &Request) -> Outcome {
    match request.operation.decide(&Context { world, now, limits, actor: &request.actor }) {
        Ok((effects, result)) => Outcome::Done(effects, result),
        Err(DecisionError::Rejected(code)) => Outcome::Rejected(code),
        Err(DecisionError::Missing(facts)) => Outcome::Missing(facts),
    }
}
