//! Reading every stored room, when the run is quiescent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use protocol::{EventPage, RoomId, Seq};

use super::history_file::HistoryFile;
use super::options::{RecorderOptions, room_name};
use super::recorder_error::RecorderError;
use client::{Client, Error, Options, http, new_session};

/// Bounds the retries of a request: a traced server, or one that has just started on a busy machine, answers late.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Records every stored event. Returns the head of each room.
pub(super) fn read_rooms(
    plan: &RecorderOptions,
    history_file: &mut HistoryFile,
) -> Result<BTreeMap<RoomId, Seq>, RecorderError> {
    let server = plan.server;
    let (_, token) = with_retries(|| new_session(server, Some("Reader")))?;
    let mut heads = BTreeMap::new();
    for number in 0..plan.rooms {
        // The reader's own join is the last event. The clients wait for it as for any other.
        let join = || Client::connect(server, Options::bearer(&token))?.join(&room_name(number));
        let room = with_retries(join)?.info.room;
        let mut last = Seq(0);
        loop {
            let page = with_retries(|| page_after(server, &token, room, last))?;
            for event in &page.events {
                history_file.now()?.stored(event);
                last = event.seq;
            }
            if !page.more || page.events.is_empty() {
                break;
            }
        }
        heads.insert(room, last);
    }
    Ok(heads)
}

fn page_after(server: SocketAddr, token: &str, room: RoomId, last: Seq) -> Result<EventPage, Error> {
    let bearer = format!("Bearer {token}");
    let path = format!("/api/v1/rooms/{room}/events?after={last}&limit=500");
    http(server, "GET", &path, &[("Authorization", &bearer)], b"")?.json()
}

/// Retries a failed request, as any client would. Returns the last error after the timeout.
fn with_retries<T>(mut request: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let deadline = Instant::now() + RETRY_TIMEOUT;
    loop {
        match request() {
            Err(_) if Instant::now() < deadline => thread::sleep(RETRY_DELAY),
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_that_fails_once_is_retried() {
        let mut requests = 0;
        let answer = with_retries(|| {
            requests += 1;
            if requests == 1 { Err(Error::Timeout) } else { Ok(requests) }
        });
        assert_eq!(answer.unwrap(), 2);
    }
}
