//! Durable storage: rooms as logs of numbered events, members, read positions and sessions.
//!
//! A [`Store`] has one [`Writer`] and any number of [`Reader`]s. The writer takes a batch of [`Request`]s and commits the
//! permitted ones in **one** transaction. Its [`Batch`] contains the events that are durable now, in commit order, and an
//! answer for each request. Readers return bounded pages and never wait for the writer.
//!
//! The rules are in [`domain::decide`]. The writer of every database is [`CommitLoop`]; a database is a [`Backend`], which
//! loads facts and writes changes, and names no error code (`backends_name_no_error_code`).
//!
//! The crate has no threads, tasks, clocks or sockets: `now` is an argument, and the owner of the
//! writer decides how long to gather requests and where to send the batch.
//!
//! **Invariant:** a room's events are numbered 1, 2, 3 … without a hole, whatever is rejected, fails or is killed in between
//! (`events_are_numbered_without_holes`, `failed_commit_leaves_no_trace`, `killed_process_loses_nothing_acknowledged`).
//! **Invariant:** every event and every successful answer of a [`Batch`] is durable (`commits_are_synced`,
//! `killed_process_loses_nothing_acknowledged`, `nothing_is_written_after_a_failed_sync`, `failed_commit_leaves_no_trace`,
//! `session_settings_win_over_those_of_the_database`). The memory store, which is for tests and simulations, keeps it for the
//! life of its value only.
//!
//! The feature `testing` exports the test suites for stores of other crates: `store_tests!` in `conformance`, and
//! `random_requests::compare`.
//!
//! | file | contents |
//! |---|---|
//! | `backend.rs` | [`Backend`]: what a database has to do |
//! | `commit_loop.rs` | [`CommitLoop`]: the writer over any backend: load, decide, apply, commit |
//! | `changes.rs` | [`Changes`]: the net changes of a batch, grouped by table |
//! | `batch.rs` | [`Batch`]: what a commit did |
//! | `stored_kind.rs` | [`StoredKind`]: the kind of an event in columns |
//! | `stored_attributes.rs` | the attributes of a room as a column |
//! | `error.rs` | what can go wrong, in words for the log; and for clients, [`CommandError`] |
//! | `page.rs` | how a page of events is bounded |
//! | `memory/` | the store for tests and simulations |
//! | `conformance.rs` | the tests that every store must pass; `random_requests.rs` compares the stores |
//!
//! ```
//! use protocol::{MessageBody, User, RoomName, RoomRef, Timestamp, UserId, UserName};
//! use teahouse_storage::{
//!     Actor, MemoryStore, OperationResult, Registration, Request, RequestId, Store,
//! };
//!
//! let store = MemoryStore::new(domain::RoomLimits::default());
//! let mut writer = store.writer().unwrap();
//! let li = User { id: UserId(1), name: UserName::new("李雷").unwrap() };
//! let lobby = RoomRef::Name(RoomName::new("lobby").unwrap());
//! let actor = Actor { user: li, registration: Some(Registration { token: None }) };
//! let body = MessageBody::new("你好", 8192).unwrap();
//! let batch = writer.commit(
//!     Timestamp(0),
//!     vec![
//!         Request {
//!             request_id: RequestId(1),
//!             actor: actor.clone(),
//!             operation: domain::Join { room: lobby.clone(), create_if_missing: true }.into(),
//!         },
//!         Request {
//!             request_id: RequestId(2),
//!             actor,
//!             operation: domain::Send { room: lobby, key: None, body }.into(),
//!         },
//!     ],
//! );
//! let Ok(OperationResult::Send(sent)) = &batch.replies[1].1 else { panic!() };
//! assert_eq!((sent.seq, sent.repeated), (protocol::Seq(2), false));
//! assert_eq!(batch.events.len(), 2);
//! ```

mod backend;
mod batch;
mod changes;
mod commit_loop;
mod error;
mod memory;
mod page;
mod stored_attributes;
mod stored_kind;

#[cfg(any(test, feature = "testing"))]
#[expect(missing_docs, reason = "a test's name is its documentation")]
pub mod conformance;
#[cfg(any(test, feature = "testing"))]
pub mod random_requests;

use std::ops::Range;

use protocol::{
    Epoch, EventPage, MessageCount, ReadPosition, RoomId, RoomInfo, RoomPage, RoomRef, Seq, Timestamp, User,
    UserId,
};

pub use backend::Backend;
pub use batch::Batch;
pub use changes::{Changes, NewRoom, NewUser};
pub use commit_loop::CommitLoop;
pub use domain::{
    Actor, CommandError, LOBBY, Operation, OperationResult, Registration, Request, RequestId, TokenHash,
};
pub use error::StoreError;
pub use memory::{Backup, Failure, MemoryStore};
pub use page::{PageBounds, PageBuilder};
pub use stored_attributes::{attributes_from_json, attributes_to_json};
pub use stored_kind::StoredKind;

/// A database of rooms, shared by all threads.
pub trait Store: Send + Sync {
    /// The identity of the store's history. Cursors of another epoch are invalid.
    fn epoch(&self) -> Epoch;

    /// Returns the single writer. The error is [`StoreError::WriterTaken`] while another one exists.
    fn writer(&self) -> Result<Box<dyn Writer>, StoreError>;

    /// Opens a reader. Each costs a file handle or two and a few megabytes of cache, so a process needs one per reading
    /// thread.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;
}

/// The single writer. One thread owns it; a call blocks that thread while the disk works.
pub trait Writer: Send {
    /// Commits `requests`, in this order, in one transaction. A request that is rejected or fails leaves no trace. Never
    /// panics.
    fn commit(&mut self, now: Timestamp, requests: Vec<Request>) -> Batch;

    /// Commits a small write, to test whether the store is writable.
    fn probe(&mut self, now: Timestamp) -> Result<(), StoreError>;

    /// Checkpoints the write-ahead log as far as readers permit. For shutdown and idle times, because it may take seconds.
    fn checkpoint(&mut self) -> Result<(), StoreError>;

    /// The reason why no write can succeed any more, if a checkpoint between commits found one. Does no I/O.
    fn failure(&self) -> Option<StoreError> {
        None
    }

    /// Reserves `count` ids that are never assigned again, even if they stay unused. Reserve many at once: each call is a
    /// commit.
    fn reserve_user_ids(&mut self, count: u32) -> Result<Range<u64>, StoreError>;

    /// Removes transient users, whose connections ended with the previous process, from their rooms. Called once, before the
    /// first connection. The batch has no replies.
    fn cleanup_transient_users(&mut self, now: Timestamp) -> Result<Batch, StoreError>;

    /// Commits effects that no request of this version has, such as an event of an unknown kind.
    #[cfg(any(test, feature = "testing"))]
    fn commit_effects(&mut self, _now: Timestamp, _effects: Vec<domain::Effect>) -> Result<(), StoreError> {
        Err(StoreError::Defect("this writer commits no effects without a request".to_owned()))
    }
}

/// Reads committed state. A call sees all or nothing of a commit.
pub trait Reader: Send {
    /// The user of the session; `None` if it has ended or never existed.
    fn user_of_session(&mut self, token: &TokenHash) -> Result<Option<User>, StoreError>;

    /// The room; `None` if it does not exist.
    fn room(&mut self, room: &RoomRef) -> Result<Option<StoredRoom>, StoreError>;

    /// Whether `user` is a member of `room`; `false` if either does not exist.
    fn is_member(&mut self, room: RoomId, user: UserId) -> Result<bool, StoreError>;

    /// The read position of `user` in `room`; `None` if the user has never moved it.
    fn read_position(&mut self, room: RoomId, user: UserId) -> Result<Option<ReadPosition>, StoreError>;

    /// For each of `rooms`, in the same order, the state that a resume needs, as of one moment; `None` for a room that does
    /// not exist.
    fn open_rooms(&mut self, user: UserId, rooms: &[RoomId]) -> Result<Vec<Option<OpenRoom>>, StoreError>;

    /// The events after `after` and, if given, up to and including `up_to`; `more` if the bounds excluded some.
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

    /// A page of rooms, sorted by id. `count` is 0, because presence is not stored.
    fn rooms(&mut self, query: RoomQuery) -> Result<RoomPage, StoreError>;

    /// For each of `rooms`, in the same order, its head; `None` for a room that does not exist.
    fn heads(&mut self, rooms: &[RoomId]) -> Result<Vec<Option<Head>>, StoreError>;

    /// Whether anything was committed since the last call; `true` for the first call and in case of doubt. It takes
    /// microseconds, [`Reader::heads`] takes a few per room: call this first.
    fn changed(&mut self) -> Result<bool, StoreError>;
}

/// A room as stored: its attributes and the end of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRoom {
    /// The id, the name and the attributes, as of `head`.
    pub info: RoomInfo,
    /// The number and the message count of the last event.
    pub head: Head,
}

/// The end of a room's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The number of the last event; 0 if there is none.
    pub seq: Seq,
    /// The number of messages up to it.
    pub n: MessageCount,
}

/// The state of a room that a resume needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRoom {
    /// The room as of the moment of the read.
    pub room: StoredRoom,
    /// Whether the user is a member. If not, the user must not receive events of the room.
    pub member: bool,
    /// The user's read position; `None` if the user has never moved it.
    pub read: Option<ReadPosition>,
}

/// The selection of one page of rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomQuery {
    /// The user for whom `joined` and the read positions are determined.
    pub user: UserId,
    /// Whether to list only rooms of which the user is a member.
    pub joined: bool,
    /// Only rooms with greater ids; `None` for the first page.
    pub after: Option<RoomId>,
    /// The most rooms in the page; at least 1.
    pub limit: u32,
}
