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

use protocol::{ErrorCode, Timestamp, UserId};

use crate::{Effect, Fact, Outcome, Request, RoomLimits, World};
pub use context::Context;
pub use end_session::EndSession;
pub use join::{Join, JoinedRoom};
pub use leave::LeftRoom;
pub use leave_all::LeaveAll;
pub use open::Open;
pub use send::{Send, SentMessage};

/// The rules of one operation.
pub trait Decide {
    /// What a permitted request did.
    type Done;

    /// The facts to load before [`decide`](Decide::decide) is called. It may still miss some that depend on these.
    fn facts(&self, user: UserId) -> Vec<Fact>;

    /// Decides a request: what it changes, or why it goes no further. It is called again when missing facts are loaded.
    fn decide(&self, context: &Context<'_>) -> Decision<Self::Done>;
}

/// The effects of a request and what it did, or why it goes no further.
pub type Decision<T> = Result<(Vec<Effect>, T), Stop>;

/// Why an operation goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The rules forbid it.
    Refused(ErrorCode),
    /// The decision depends on facts that are not in the world yet.
    Missing(Vec<Fact>),
}

impl From<ErrorCode> for Stop {
    fn from(code: ErrorCode) -> Self {
        Stop::Refused(code)
    }
}

impl From<Fact> for Stop {
    fn from(fact: Fact) -> Self {
        Stop::Missing(vec![fact])
    }
}

macro_rules! operations {
    ($($name:ident => $module:ident,)*) => {
        /// The changes that can be requested. [`decide`] checks the rules inside the transaction.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Operation {
            $(#[doc = concat!("`", stringify!($module), "`")] $name($module::$name),)*
        }

        /// What a request did.
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

operations! {
    Join => join,
    Open => open,
    Leave => leave,
    Send => send,
    SetTopic => set_topic,
    Rename => rename,
    Read => read,
    LeaveAll => leave_all,
    EndSession => end_session,
}

/// The facts to load before [`decide`] is called. It may still miss some that depend on these.
#[must_use]
pub fn facts(request: &Request) -> Vec<Fact> {
    request.operation.facts(request.actor.person.id)
}

/// Decides a request: what it changes, why it is refused, or which facts are missing.
#[must_use]
pub fn decide(world: &World, now: Timestamp, limits: &RoomLimits, request: &Request) -> Outcome {
    match request.operation.decide(&Context { world, now, limits, actor: &request.actor }) {
        Ok((effects, result)) => Outcome::Done(effects, result),
        Err(Stop::Refused(code)) => Outcome::Refused(code),
        Err(Stop::Missing(facts)) => Outcome::Missing(facts),
    }
}
