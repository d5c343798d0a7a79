//! The rules of the server as pure functions and values: decisions on requests, permissions, rate limits, presence.
//!
//! [`decide`] maps a [`World`] of stored facts and a [`Request`] to effects or a rejection; the commit loop calls it inside the
//! store's transaction. Time is an argument, `now`: a [`Duration`](std::time::Duration) since a start of the caller's choice,
//! or a timestamp. Randomness is an argument, too.
//!
//! Out of scope: sockets, clocks, locks, logging, the store. The crate stores no membership; the caller passes in the facts.
//!
//! | file | contents |
//! |---|---|
//! | `decide.rs`, `decide/` | the decision on each operation, and the facts that it requires |
//! | `request.rs`, `fact.rs`, `world.rs`, `effect.rs` | actors and errors, facts, the view of the stored facts, effects |
//! | `guard.rs` | permission checks |
//! | `bucket.rs` | a token bucket in eight bytes |
//! | `rates.rs` | rate limits; the buckets of sessions and of addresses |
//! | `presence.rs` | users online by room, and the coalesced presence frames |
//! | `slash.rs` | parsing of slash commands |
//! | `line.rs` | message bodies as single lines |
//! | `guest_name.rs` | generated guest names |
//!
//! ```
//! use teahouse_domain::{MemberContext, Permission, RoomLimits, check};
//!
//! let stranger = MemberContext { member: false, rooms_joined: 0 };
//! assert!(check(Permission::Join, stranger, &RoomLimits::default()).is_ok());
//! assert!(check(Permission::Member, stranger, &RoomLimits::default()).is_err());
//! ```

mod bucket;
mod decide;
mod effect;
mod fact;
mod guard;
mod guest_name;
mod line;
mod presence;
mod rates;
mod request;
pub mod slash;
mod world;

pub use bucket::{Rate, TokenBucket};
pub use decide::{
    Context, Decide, Decision, DecisionError, EndSession, Join, JoinedRoom, LeaveAll, LeftRoom, Open,
    Operation, OperationResult, Outcome, Request, Send, SentMessage, decide, facts,
};
pub use effect::Effect;
pub use fact::Fact;
pub use guard::{MemberContext, RoomLimits, check};
pub use guest_name::generate_guest_name;
pub use line::sanitize_line;
pub use presence::Presence;
pub use protocol::{Permission, RateClass};
pub use rates::{KeyedBuckets, Rates, UserBuckets};
pub use request::{Actor, CommandError, Registration, RequestId, TokenHash};
pub use slash::Line;
pub use world::{KeyedMessage, Room, World};

/// The lobby. The first migration creates it, and it is never deleted.
pub const LOBBY: protocol::RoomId = protocol::RoomId(1);
