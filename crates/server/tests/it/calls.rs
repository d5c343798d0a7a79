//! What a round costs the shard in system calls, as the kernel sees it: one write for each member, and nothing else that
//! grows with them. `crates/server/src/shard/tests/counts.rs` counts the same without a kernel.
//!
//! Where there is no `strace`, or no right to trace, this is left out; `cargo xtask test` says so.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

use client::Client;
use protocol::{ControlFrame, ServerFrame};
use rustix::process::{Pid, Signal, kill_process};

use crate::server::TestServer;
use crate::talk::{Talk, body};

const MEMBERS: u64 = 200;
const ROUNDS: u64 = 20;

/// A thread of the server under `strace`.
struct Trace {
    strace: Child,
    said: BufReader<ChildStderr>,
    file: PathBuf,
}

impl Trace {
    /// `Err`: why it cannot be.
    fn of(server: &TestServer, thread: &str) -> Result<Self, String> {
        let file = server.data().join("trace");
        let mut strace = Command::new("strace");
        strace.args(["-p", &id_of(server, thread), "-o"]).arg(&file).stderr(Stdio::piped());
        let mut strace = match strace.spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err("strace is missing".to_owned()),
            spawned => spawned.unwrap(),
        };
        let mut said = BufReader::new(strace.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        if !line.contains(" attached") {
            said.read_to_string(&mut line).unwrap();
            strace.wait().unwrap();
            return Err(line);
        }
        Ok(Trace { strace, said, file })
    }

    /// Ends it: how often each call was made.
    fn end(mut self) -> BTreeMap<String, u64> {
        kill_process(Pid::from_child(&self.strace), Signal::INT).unwrap();
        self.said.read_to_string(&mut String::new()).unwrap();
        self.strace.wait().unwrap();
        let mut calls = BTreeMap::new();
        for line in fs::read_to_string(self.file).unwrap().lines() {
            let name = line.split_once('(').map_or(line, |(name, _)| name);
            *calls.entry(name.to_owned()).or_default() += 1;
        }
        calls
    }
}

/// The kernel's number of the server's thread with this name.
fn id_of(server: &TestServer, name: &str) -> String {
    let threads = PathBuf::from(format!("/proc/{}/task", server.pid().as_raw_nonzero()));
    let mut threads = fs::read_dir(threads).unwrap().map(|thread| thread.unwrap());
    let found = threads.find(|thread| fs::read_to_string(thread.path().join("comm")).unwrap().trim() == name);
    found.expect("a thread of that name").file_name().into_string().unwrap()
}

#[test]
fn batch_is_one_system_call_per_member() {
    // Nobody is asked for a sign of life meanwhile.
    let calm = [("SHARDS", "1"), ("TIMEOUTS_PING_INTERVAL", "10m"), ("TIMEOUTS_WEBSOCKET_IDLE", "20m")];
    let server = TestServer::with(&calm);
    let mut members: Vec<Client> = (0..MEMBERS).map(|_| server.guest()).collect();
    let room = members[0].join("lobby").unwrap().info.room;
    members[1..].iter_mut().for_each(|member| drop(member.join("lobby").unwrap()));
    // The last that is said of who came: from now on the room is quiet.
    let all_are_here = |frame: &ServerFrame| matches!(frame, ServerFrame::ControlFrame(ControlFrame::Presence(presence)) if u64::from(presence.count) == MEMBERS);
    members.iter_mut().for_each(|member| drop(member.frame_where(all_are_here).unwrap()));
    members.iter_mut().for_each(|member| drop(member.heard()));

    let trace = match Trace::of(&server, "shard-0") {
        Ok(trace) => trace,
        Err(why) => return eprintln!("left out: {why}"),
    };
    for round in 0..ROUNDS {
        let said = format!("round {round}");
        members[0].send_body(room, &said).unwrap();
        for member in &mut members {
            assert_eq!(body(&member.next_event().unwrap()), said);
        }
    }
    let calls = trace.end();
    let (writes, others): (Vec<_>, Vec<_>) = calls
        .iter()
        .partition(|(name, _)| ["write", "writev", "sendto", "sendmsg", "sendmmsg"].contains(&name.as_str()));
    let count = |calls: &[(&String, &u64)]| calls.iter().map(|(_, count)| **count).sum::<u64>();
    assert_eq!(count(&writes), MEMBERS * ROUNDS, "{calls:?}");
    // Waiting, the sender's message, waking the writer, a slice of the walk now and then: some for each round, and whatever
    // a second that passes brings; none for each member.
    assert!(count(&others) < MEMBERS * ROUNDS / 4, "{calls:?}");
    // What the sender said, and that there is no more.
    assert!(calls.get("recvfrom") <= Some(&(2 * ROUNDS)), "{calls:?}");
    assert!(!calls.contains_key("epoll_ctl"), "{calls:?}");
}
