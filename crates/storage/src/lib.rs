//! What is kept: rooms as logs of numbered events, who is a member, who has read how far, whose session it is.
//!
//! A [`Store`] gives one [`Writer`] and any number of [`Reader`]s. The writer takes a batch of [`Request`]s, carries out
//! those that the rules allow in **one** transaction, and says in a [`Batch`] which events the disk now holds, in commit
//! order, and what to answer to each request. Readers give bounded pages, and never wait for the writer.
//!
//! Two adapters, [`SqliteStore`] and [`MemoryStore`], are held to the same by one suite (`conformance.rs`).
//!
//! It does **not** know threads, tasks, clocks or sockets: everything here is a call that returns a value, `now` is an
//! argument, and whoever owns the writer decides how long to gather requests and where to send the batch.
//!
//! **Invariant:** a room's events are numbered 1, 2, 3 … without a hole, whatever is refused, fails or is killed in
//! between (`events_are_numbered_without_holes`, `failed_commit_leaves_no_trace`, `killed_process_loses_nothing_acknowledged`).
//! **Invariant:** nothing is in a [`Batch`] that is not on disk.
//!
//! | file | what it holds |
//! |---|---|
//! | `backend.rs` | [`Backend`]: what a database has to do |
//! | `commit_loop.rs` | [`CommitLoop`]: the writer over any backend: load, decide, apply, commit |
//! | `changes.rs` | [`Changes`]: the net changes of a batch, grouped by table |
//! | `batch.rs` | [`Batch`]: what a commit did |
//! | `error.rs` | what can go wrong, in words for the log; and for clients, [`CommandError`] |
//! | `page.rs` | how a page of events is bounded |
//! | `sqlite/` | the SQLite store |
//! | `memory/` | the store for tests and simulations |
//! | `conformance.rs` | the tests that every store must pass; `random_requests.rs` compares the stores |
//!
//! ```
//! use protocol::{MessageBody, Person, RoomName, RoomRef, Timestamp, UserId, UserName};
//! use teahouse_storage::{
//!     Actor, MemoryStore, Operation, OperationResult, Registration, Request, RequestId, Store,
//! };
//!
//! let store = MemoryStore::new(domain::RoomLimits::default());
//! let mut writer = store.writer().unwrap();
//! let li = Person { id: UserId(1), name: UserName::new("李雷").unwrap() };
//! let lobby = RoomRef::Name(RoomName::new("lobby").unwrap());
//! let actor = Actor { person: li, registration: Some(Registration { token: None }) };
//! let body = MessageBody::new("你好", 8192).unwrap();
//! let batch = writer.commit(
//!     Timestamp(0),
//!     vec![
//!         Request {
//!             request_id: RequestId(1),
//!             actor: actor.clone(),
//!             operation: Operation::Join { room: lobby.clone(), create_if_missing: true },
//!         },
//!         Request { request_id: RequestId(2), actor, operation: Operation::Send { room: lobby, key: None, body } },
//!     ],
//! );
//! assert!(matches!(batch.answers[1].1, Ok(OperationResult::Sent { seq: protocol::Seq(2), repeated: false, .. })));
//! assert_eq!(batch.events.len(), 2);
//! ```

mod backend;
mod batch;
mod changes;
mod commit_loop;
mod error;
mod memory;
mod page;
mod sqlite;

#[cfg(any(test, feature = "testing"))]
#[allow(missing_docs, reason = "a test's name is its documentation")]
pub mod conformance;
#[cfg(any(test, feature = "testing"))]
pub mod random_requests;

use std::ops::Range;

use protocol::{
    Epoch, EventPage, MessageCount, Person, ReadPosition, RoomId, RoomName, RoomPage, RoomRef, Seq,
    Timestamp, UserId,
};

pub use backend::Backend;
pub use batch::Batch;
pub use changes::{Changes, NewRoom, NewUser};
pub use commit_loop::CommitLoop;
pub use domain::{
    Actor, CommandError, LOBBY, Operation, OperationResult, Registration, Request, RequestId, TokenHash,
};
pub use error::{OpenError, StoreError};
pub use memory::{Backup, Failure, MemoryStore};
pub use page::{PageBounds, PageBuilder};
pub use sqlite::SqliteStore;

/// A place where rooms are kept.
pub trait Store: Send + Sync {
    /// The store's life: cursors of another one mean nothing here.
    fn epoch(&self) -> Epoch;

    /// The one writer; [`StoreError::WriterTaken`] while there is another.
    fn writer(&self) -> Result<Box<dyn Writer>, StoreError>;

    /// One more reader. It costs a file or two and a few megabytes of cache: a handful are enough.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;
}

/// The only one who appends. Owned by one thread, which it blocks while the disk works.
pub trait Writer: Send {
    /// Carries out `requests`, in this order, in one transaction, each in a savepoint of its own: one that is refused
    /// or fails leaves no trace. Does not panic. See [`Batch`].
    fn commit(&mut self, now: Timestamp, requests: Vec<Request>) -> Batch;

    /// Writes something small and commits it: can the store be written?
    fn probe(&mut self, now: Timestamp) -> Result<(), StoreError>;

    /// Brings the write-ahead log into the database, as far as readers allow. For a stop, and for quiet moments.
    fn checkpoint(&mut self) -> Result<(), StoreError>;

    /// Why nothing can be written any more, if a checkpoint found that out while nobody wrote. Costs nothing to ask.
    fn failure(&self) -> Option<StoreError> {
        None
    }

    /// Sets `count` ids aside that nobody had and nobody else will get, even if they stay unused. Ask for many at once:
    /// each call is a commit.
    fn reserve_user_ids(&mut self, count: u32) -> Result<Range<u64>, StoreError>;

    /// Guests without a session whose connections ended with the process before this one leave their rooms. To be called
    /// once, before anybody connects. The batch answers nobody.
    fn cleanup_transient_users(&mut self, now: Timestamp) -> Result<Batch, StoreError>;
}

/// Somebody who looks things up. Sees what is committed, and nothing half.
pub trait Reader: Send {
    /// Whose session it is, if it has not ended.
    fn person_of_session(&mut self, token: &TokenHash) -> Result<Option<Person>, StoreError>;

    /// A room by id or name.
    fn room(&mut self, room: &RoomRef) -> Result<Option<RoomInfo>, StoreError>;

    /// Whether `user` is a member of `room`.
    fn is_member(&mut self, room: RoomId, user: UserId) -> Result<bool, StoreError>;

    /// How far `user` has read in `room`, if they ever said so.
    fn read_position(&mut self, room: RoomId, user: UserId) -> Result<Option<ReadPosition>, StoreError>;

    /// For each of `rooms`, in the same order, all that coming back to it needs, as of one moment; `None` where there is
    /// no such room.
    fn open_rooms(&mut self, user: UserId, rooms: &[RoomId]) -> Result<Vec<Option<OpenRoom>>, StoreError>;

    /// The events after `after` and, if given, up to and with `up_to`; `more` if the bounds left some out.
    fn events_after(
        &mut self,
        room: RoomId,
        after: Seq,
        up_to: Option<Seq>,
        bounds: PageBounds,
    ) -> Result<EventPage, StoreError>;

    /// The events nearest before `before`, oldest first; `more` if there are older ones.
    fn events_before(
        &mut self,
        room: RoomId,
        before: Seq,
        bounds: PageBounds,
    ) -> Result<EventPage, StoreError>;

    /// A page of rooms by id. The store does not know who is online: `count` is 0.
    fn rooms(&mut self, query: RoomQuery) -> Result<RoomPage, StoreError>;

    /// For each of `rooms`, in the same order, where its log ends; `None` where there is no such room.
    fn heads(&mut self, rooms: &[RoomId]) -> Result<Vec<Option<Head>>, StoreError>;

    /// Whether anything was committed since this reader was last asked; `true` the first time, and whenever in doubt.
    /// Microseconds, where [`Reader::heads`] takes a few for each room: ask this first.
    fn changed(&mut self) -> Result<bool, StoreError>;
}

/// A room, and where its log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomInfo {
    /// Its id.
    pub room: RoomId,
    /// Its name.
    pub name: RoomName,
    /// Where its log ends.
    pub head: Head,
}

/// Where a room's log ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The number of the last event; 0 if there is none.
    pub seq: Seq,
    /// The messages so far.
    pub n: MessageCount,
}

/// A room as somebody comes back to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRoom {
    /// The room.
    pub info: RoomInfo,
    /// Whether they are a member.
    pub member: bool,
    /// How far they have read.
    pub read: Option<ReadPosition>,
}

/// Which rooms to list, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomQuery {
    /// Who asks.
    pub user: UserId,
    /// Only those they are a member of.
    pub joined: bool,
    /// Only those with greater ids.
    pub after: Option<RoomId>,
    /// At most so many, and at least one.
    pub limit: u32,
}
