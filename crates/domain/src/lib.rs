//! Who may do what, how often, and who is here: the rules of the house.
//!
//! Everything here is a value. Time comes in as `now`, a [`Duration`](std::time::Duration) since a start of the caller's
//! choice; chance comes in as a number. The same rules are asked twice: by the shard, to refuse early, and inside the store's
//! transaction, where the answer counts.
//!
//! It does **not** know sockets, clocks, locks, logs, or the store, and it keeps nobody's membership: the caller says how
//! somebody stands, the rules say what follows from it.
//!
//! | file | what it holds |
//! |---|---|
//! | `guard.rs` | the permission table |
//! | `bucket.rs` | a token bucket in eight bytes |
//! | `rates.rs` | the rates in force; the buckets of a session and of the addresses |
//! | `presence.rs` | who is online in which room, told at most once a second |
//! | `slash.rs` | lines that begin with a slash |
//! | `line.rs` | a body as one line |
//! | `guest_name.rs` | names for guests who brought none |
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
pub use decide::{decide, facts};
pub use effect::{Effect, Outcome};
pub use fact::Fact;
pub use guard::{MemberContext, RoomLimits, check};
pub use guest_name::generate_guest_name;
pub use line::sanitize_line;
pub use presence::Presence;
pub use protocol::{Permission, RateClass};
pub use rates::{KeyedBuckets, Rates, SessionBuckets};
pub use request::{
    Actor, CommandError, Operation, OperationResult, Registration, Request, RequestId, TokenHash,
};
pub use slash::Line;
pub use world::{KeyedMessage, Room, World};

/// The lobby: the first migration creates it, and it is never deleted.
pub const LOBBY: protocol::RoomId = protocol::RoomId(1);
