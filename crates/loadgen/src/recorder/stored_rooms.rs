//! Every room as it is stored, read when all is quiet.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use protocol::{EventPage, RoomId, Seq};

use super::client_pool::{RecorderError, RecorderOptions, room_name};
use super::history_file::HistoryFile;
use client::{Client, Error, Options, http, new_session};

/// How long a server may go on not to answer: one that is traced, or has just been started on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between an attempt that failed and the next.
const BREATH: Duration = Duration::from_millis(100);

/// Takes down what is stored. Where each room ends.
pub(super) fn read_rooms(
    plan: &RecorderOptions,
    history_file: &mut HistoryFile,
) -> Result<BTreeMap<RoomId, Seq>, RecorderError> {
    let server = plan.server;
    let (_, token) = with_retries(|| new_session(server, Some("Reader")))?;
    let mut heads = BTreeMap::new();
    for number in 0..plan.rooms {
        // Its own coming is the last event: the clients wait for it as for any other.
        let join = || Client::connect(server, Options::bearer(&token))?.join(&room_name(number));
        let room = with_retries(join)?.room;
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

/// Asks again what was not answered well, as any client would, and gives the last error at the end of its patience.
fn with_retries<T>(mut ask: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Err(_) if Instant::now() < deadline => thread::sleep(BREATH),
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_once_is_asked_again() {
        let mut asked = 0;
        let answer = with_retries(|| {
            asked += 1;
            if asked == 1 { Err(Error::Timeout) } else { Ok(asked) }
        });
        assert_eq!(answer.unwrap(), 2);
    }
}
