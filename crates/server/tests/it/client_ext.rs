//! Client helpers of the tests: connecting, and requests with their replies.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use client::{Client, Error, Options, new_session};
use protocol::{
    Command, ControlFrame, ErrorCode, Event, EventKind, Join, Joined, Resume, RoomId, Seq, ServerFrame,
    UserId,
};
use serde_json::{Value, json};

use crate::server::TestServer;

/// Far longer than any operation takes: a test that waits this long has found a defect.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(40);

/// Command ids that [`Client::call`] does not assign.
static NEXT_ID: AtomicU64 = AtomicU64::new(1_000_000);

pub(crate) fn options() -> Options {
    Options { timeout: WAIT_TIMEOUT, ..Options::default() }
}

pub(crate) fn bearer(token: &str) -> Options {
    Options { bearer: Some(token.to_owned()), ..options() }
}

pub(crate) fn plain_text() -> Options {
    Options { protocol: None, ..options() }
}

impl TestServer {
    /// Connects a new guest without a token, who leaves when the connection ends.
    pub(crate) fn guest(&self) -> Client {
        Client::connect(self.addr, options()).unwrap()
    }

    /// Connects a new guest with a token, and returns the token for a later [`Self::reconnect`].
    pub(crate) fn user(&self, name: &str) -> (Client, String) {
        let token = self.token(name);
        (self.reconnect(&token), token)
    }

    /// Creates a session for a new guest and returns its token.
    pub(crate) fn token(&self, name: &str) -> String {
        new_session(self.addr, Some(name)).unwrap().1
    }

    /// Connects the user of this token.
    pub(crate) fn reconnect(&self, token: &str) -> Client {
        Client::connect(self.addr, bearer(token)).unwrap()
    }

    /// Connects a line client, which joins the lobby, and reads the line of welcome.
    pub(crate) fn lines(&self, options: Options) -> Client {
        let mut client = Client::connect(self.addr, Options { protocol: None, ..options }).unwrap();
        let welcome = client.next_line().unwrap();
        assert!(welcome.starts_with("* "), "{welcome}");
        let room = client.next_line().unwrap();
        assert!(room.starts_with("* ") && room.contains("lobby"), "{room}");
        client
    }
}

/// Helpers of the tests on top of [`Client`].
pub(crate) trait ClientExt {
    /// Sends these fields under a fresh id, and returns the reply as JSON.
    fn request(&mut self, command: Value) -> Value;
    /// Sends these fields, expects an error, and returns its code.
    fn rejected_with(&mut self, command: Value) -> String;
    /// The id of the connected user, from `welcome`.
    fn user_id(&self) -> UserId;
    /// Joins one room with a cursor.
    fn join_after(&mut self, room: RoomId, after: u64) -> Joined;
    /// Resumes rooms, and returns their `joined` frames in order.
    fn resume(&mut self, rooms: &[(RoomId, u64)]) -> Vec<Joined>;
    /// The next `count` events, which must all be of this room and follow `after` without a gap.
    fn events_of(&mut self, room: RoomId, after: u64, count: u64) -> Vec<Event>;
    /// All frames received up to the end of a round trip. Frames that another thread of the server has yet to send may
    /// still arrive later.
    fn received(&mut self) -> Vec<ServerFrame>;
    /// The bodies of the next messages, up to and including `last`.
    fn bodies_until(&mut self, last: &str) -> Vec<String>;
    fn gap(&mut self) -> protocol::Gap;
    /// Ends the connection with a TCP reset, without a close frame.
    fn reset(self);
}

impl ClientExt for Client {
    fn request(&mut self, mut command: Value) -> Value {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        command["id"] = json!(id);
        self.send_text(&command.to_string()).unwrap();
        let frame = self.frame_where(|frame| reply_id(frame) == Some(id));
        serde_json::from_str(&frame.unwrap_or_else(|error| panic!("{error} to {command}")).to_json()).unwrap()
    }

    fn rejected_with(&mut self, command: Value) -> String {
        let reply = self.request(command.clone());
        assert_eq!(reply["type"], "error", "{command} got {reply}");
        let code = reply["code"].as_str().unwrap();
        let known = ErrorCode::ALL.iter().find(|known| known.as_str() == code);
        let known = known.unwrap_or_else(|| panic!("{code} is not in the protocol"));
        assert_eq!(reply["retryable"], known.is_retryable(), "{reply}");
        assert!(!reply["message"].as_str().unwrap().is_empty());
        assert_eq!(reply.get("retry_after_ms").is_some(), code == "rate_limited", "{reply}");
        code.to_owned()
    }

    fn user_id(&self) -> UserId {
        self.welcome().expect("the client uses JSON").you.id
    }

    fn join_after(&mut self, room: RoomId, after: u64) -> Joined {
        self.join_with(Join { room: protocol::RoomRef::Id(room), after: Some(Seq(after)), epoch: None })
            .unwrap()
    }

    fn resume(&mut self, rooms: &[(RoomId, u64)]) -> Vec<Joined> {
        let epoch = self.welcome().map(|welcome| welcome.epoch.clone());
        let cursors: BTreeMap<_, _> = rooms.iter().map(|&(room, after)| (room, Seq(after))).collect();
        self.call(&Command::Resume(Resume { rooms: cursors, epoch })).unwrap();
        let joined = rooms.iter().map(|&(room, _)| {
            let frame = self.frame_where(
                |frame| matches!(frame, ServerFrame::ControlFrame(ControlFrame::Joined(joined)) if joined.info.room == room),
            );
            match frame.unwrap() {
                ServerFrame::ControlFrame(ControlFrame::Joined(joined)) => joined,
                other => unreachable!("{other:?}"),
            }
        });
        joined.collect()
    }

    fn events_of(&mut self, room: RoomId, after: u64, count: u64) -> Vec<Event> {
        let events: Vec<Event> = (0..count).map(|_| self.next_event().unwrap()).collect();
        let seqs: Vec<u64> = events.iter().map(|event| event.seq.0).collect();
        assert!(events.iter().all(|event| event.room == room), "{events:?}");
        assert_eq!(seqs, (after + 1..=after + count).collect::<Vec<_>>());
        events
    }

    fn received(&mut self) -> Vec<ServerFrame> {
        self.roundtrip().unwrap()
    }

    fn bodies_until(&mut self, last: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        while bodies.last().is_none_or(|body| body != last) {
            if let EventKind::Message { body, .. } = self.next_event().unwrap().kind {
                bodies.push(body.as_str().to_owned());
            }
        }
        bodies
    }

    fn gap(&mut self) -> protocol::Gap {
        match self
            .frame_where(|frame| matches!(frame, ServerFrame::ControlFrame(ControlFrame::Gap(_))))
            .unwrap()
        {
            ServerFrame::ControlFrame(ControlFrame::Gap(gap)) => gap,
            other => unreachable!("{other:?}"),
        }
    }

    fn reset(self) {
        let stream = self.stream().try_clone().unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(self);
    }
}

/// The command id of a reply frame, if it has one.
pub(crate) fn reply_id(frame: &ServerFrame) -> Option<u64> {
    match frame {
        ServerFrame::ControlFrame(ControlFrame::Ok(ok)) => ok.id,
        ServerFrame::ControlFrame(ControlFrame::Joined(joined)) => joined.id,
        ServerFrame::ControlFrame(ControlFrame::Error(error)) => error.id,
        _ => None,
    }
    .map(|id| id.0)
}

pub(crate) fn body(event: &Event) -> &str {
    match &event.kind {
        EventKind::Message { body, .. } => body.as_str(),
        other => panic!("not a message: {other:?}"),
    }
}

/// The error with which a connection was rejected.
pub(crate) fn connect_error(result: Result<Client, Error>) -> Error {
    match result {
        Err(error) => error,
        Ok(_) => panic!("the connection was accepted"),
    }
}
