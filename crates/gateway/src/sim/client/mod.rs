//! A client that follows docs/PROTOCOL.md: it keeps a cursor per room, resumes after a reconnect, repeats unacknowledged sends
//! unchanged, and fetches the ranges that a `gap` reports. It panics when the server violates a promise.
//!
//! | file | contents |
//! |---|---|
//! | `actions.rs` | the commands that it sends |
//! | `receive.rs` | the frames that it receives, and the promises that they must keep |

mod actions;
mod receive;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::TokenHash;
use history::{ConnectionId, ObservedEvent, ObservedKind, Recorder};
use protocol::{ClientMessageId, CommandId, Epoch, Event, MessageBody, RoomId, Seq, UserId};
use serde_json::Value;
use storage::MemoryStore;

pub(super) const ROOMS: [&str; 4] = ["lobby", "a", "b", "c"];

/// An event for the history. A message without a key, from a line of plain text, cannot be matched with a send, so the history
/// records it as another event; `lines.rs` checks those messages.
pub(super) fn observed_event(event: &Event) -> ObservedEvent {
    let observed = ObservedEvent::of(event);
    let kind = if observed.key.is_none() && observed.kind == ObservedKind::Message {
        ObservedKind::Other
    } else {
        observed.kind
    };
    ObservedEvent { kind, ..observed }
}

/// A message that has not been acknowledged.
#[derive(Clone, Debug)]
struct PendingSend {
    room: RoomId,
    key: ClientMessageId,
    body: MessageBody,
    /// Whether it was sent on the current connection and has no reply yet.
    in_flight: bool,
}

/// The state of a room in the client.
#[derive(Debug)]
struct RoomView {
    name: String,
    /// The last applied event, and the epoch of that event.
    cursor: Seq,
    epoch: Epoch,
    /// The head of the last `joined`.
    joined_at: Seq,
    /// Whether the room is open on the current connection.
    open: bool,
    leaving: bool,
    /// Ranges reported by `gap` that have not been fetched yet.
    gaps: VecDeque<(Seq, Seq)>,
}

#[derive(Debug)]
enum PendingCommand {
    Join { name: String },
    Resume,
    Leave(RoomId),
    Send(ClientMessageId),
    FetchGap(RoomId),
    Other,
}

/// The state of the current connection.
struct ConnectionState {
    connection: ConnectionId,
    epoch: Epoch,
    pending: BTreeMap<u64, PendingCommand>,
    resuming: BTreeMap<RoomId, Seq>,
    /// The rooms that received a `reset`; their `joined` follows.
    reset: BTreeSet<RoomId>,
}

pub(super) struct Client {
    history_client: history::ClientId,
    /// The number that distinguishes the messages of this client from those of others.
    number: u64,
    pub(super) session: Option<TokenHash>,
    pub(super) user: Option<UserId>,
    state: Option<ConnectionState>,
    rooms: BTreeMap<RoomId, RoomView>,
    unacknowledged: VecDeque<PendingSend>,
    next_id: u64,
    next_key: u64,
    pub(super) outgoing: Vec<Value>,
}

impl Client {
    pub(super) fn new(number: u64, session: Option<TokenHash>, recorder: &mut Recorder) -> Self {
        Client {
            history_client: recorder.new_client(),
            number,
            session,
            user: None,
            state: None,
            rooms: BTreeMap::new(),
            unacknowledged: VecDeque::new(),
            next_id: 0,
            next_key: 0,
            outgoing: Vec::new(),
        }
    }

    /// Continues as a new user without state, because the session is invalid.
    pub(super) fn reset(&mut self, session: Option<TokenHash>, recorder: &mut Recorder) {
        let next_key = self.next_key;
        *self = Client { next_key, ..Client::new(self.number, session, recorder) };
    }

    pub(super) fn disconnect(&mut self, code: u16, recorder: &mut Recorder) {
        if let Some(state) = self.state.take() {
            recorder.closed(state.connection, code);
        }
        for send in &mut self.unacknowledged {
            send.in_flight = false;
        }
        for view in self.rooms.values_mut() {
            (view.open, view.leaving) = (false, false);
        }
        self.outgoing.clear();
    }

    fn state(&mut self) -> &mut ConnectionState {
        self.state.as_mut().expect("welcome comes first")
    }

    fn send_command(&mut self, pending: PendingCommand, mut command: Value) -> CommandId {
        self.next_id += 1;
        let id = self.next_id;
        command["id"] = id.into();
        self.outgoing.push(command);
        self.state().pending.insert(id, pending);
        CommandId(id)
    }

    fn take_pending(&mut self, id: CommandId) -> PendingCommand {
        let command = self.state().pending.remove(&id.0);
        command.unwrap_or_else(|| panic!("promise 2: a reply to {id}, which is not pending"))
    }

    /// What the client is waiting for; `None` if it is quiescent.
    pub(super) fn pending_work(&self, store: &MemoryStore) -> Option<String> {
        let Some(state) = &self.state else { return Some("a connection".to_owned()) };
        if let Some((id, command)) = state.pending.first_key_value() {
            return Some(format!("the reply to ({id}) {command:?}"));
        }
        if let Some(send) = self.unacknowledged.front() {
            return Some(format!("an acknowledgement of {}", send.key));
        }
        for (room, view) in &self.rooms {
            let head = store.head(*room);
            if !view.open {
                return Some(format!("{room} to be open"));
            }
            if view.cursor != head {
                return Some(format!("#{} of {room}, whose head is #{head}", view.cursor.next()));
            }
            if let Some((from, _)) = view.gaps.front() {
                return Some(format!("#{from} of {room}, which a gap reported"));
            }
        }
        None
    }

    /// The id of the current connection in the history.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        self.state.as_ref().map(|state| state.connection)
    }

    /// The rooms that the client has joined.
    pub(super) fn rooms(&self) -> BTreeSet<RoomId> {
        self.rooms.keys().copied().collect()
    }
}
