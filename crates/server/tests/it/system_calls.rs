//! System calls of a shard per batch, as the kernel counts them: one write for each member, and nothing else that grows
//! with their number. `crates/gateway/src/shard/tests/allocations.rs` counts reads and writes without a kernel.
//!
//! Without `strace`, or without the right to trace, the test is skipped and prints the reason.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

use client::Client;
use protocol::{ControlFrame, ServerFrame};
use rustix::process::{Pid, Signal, kill_process};

use crate::client_ext::{ClientExt, body};
use crate::server::TestServer;

const MEMBERS: u64 = 200;
const ROUNDS: u64 = 20;

/// A thread of the server under `strace`.
struct Trace {
    strace: Child,
    stderr: BufReader<ChildStderr>,
    file: PathBuf,
}

impl Trace {
    /// Attaches `strace` to a thread. `Err` holds the reason why it cannot.
    fn of(server: &TestServer, thread: &str) -> Result<Self, String> {
        let file = server.data().join("trace");
        let mut strace = Command::new("strace");
        strace.args(["-p", &thread_id(server, thread), "-o"]).arg(&file).stderr(Stdio::piped());
        let mut strace = match strace.spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err("strace is missing".to_owned()),
            spawned => spawned.unwrap(),
        };
        let mut stderr = BufReader::new(strace.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        if !line.contains(" attached") {
            stderr.read_to_string(&mut line).unwrap();
            strace.wait().unwrap();
            return Err(line);
        }
        Ok(Trace { strace, stderr, file })
    }

    /// Ends the trace, and returns the number of each system call.
    fn end(mut self) -> BTreeMap<String, u64> {
        kill_process(Pid::from_child(&self.strace), Signal::INT).unwrap();
        self.stderr.read_to_string(&mut String::new()).unwrap();
        self.strace.wait().unwrap();
        let mut calls = BTreeMap::new();
        for line in fs::read_to_string(self.file).unwrap().lines() {
            let name = line.split_once('(').map_or(line, |(name, _)| name);
            *calls.entry(name.to_owned()).or_default() += 1;
        }
        calls
    }
}

/// The kernel's id of the server's thread with this name.
fn thread_id(server: &TestServer, name: &str) -> String {
    let threads = PathBuf::from(format!("/proc/{}/task", server.pid().as_raw_nonzero()));
    let mut threads = fs::read_dir(threads).unwrap().map(|thread| thread.unwrap());
    let found = threads.find(|thread| fs::read_to_string(thread.path().join("comm")).unwrap().trim() == name);
    found.expect("a thread of that name").file_name().into_string().unwrap()
}

#[test]
fn batch_is_one_system_call_per_member() {
    // No pings during the measurement.
    let settings = [("SHARDS", "1"), ("TIMEOUTS_PING_INTERVAL", "10m"), ("TIMEOUTS_WEBSOCKET_IDLE", "20m")];
    let server = TestServer::with(&settings);
    let mut members: Vec<Client> = (0..MEMBERS).map(|_| server.guest()).collect();
    let room = members[0].join("lobby").unwrap().info.room;
    members[1..].iter_mut().for_each(|member| drop(member.join("lobby").unwrap()));
    // Wait for the last presence frame: from then on the room is idle.
    let all_are_online = |frame: &ServerFrame| matches!(frame, ServerFrame::ControlFrame(ControlFrame::Presence(presence)) if u64::from(presence.count) == MEMBERS);
    members.iter_mut().for_each(|member| drop(member.frame_where(all_are_online).unwrap()));
    members.iter_mut().for_each(|member| drop(member.received()));

    let trace = match Trace::of(&server, "shard-0") {
        Ok(trace) => trace,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    for round in 0..ROUNDS {
        let text = format!("round {round}");
        members[0].send_body(room, &text).unwrap();
        for member in &mut members {
            assert_eq!(body(&member.next_event().unwrap()), text);
        }
    }
    let calls = trace.end();
    let (writes, others): (Vec<_>, Vec<_>) = calls
        .iter()
        .partition(|(name, _)| ["write", "writev", "sendto", "sendmsg", "sendmmsg"].contains(&name.as_str()));
    let count = |calls: &[(&String, &u64)]| calls.iter().map(|(_, count)| **count).sum::<u64>();
    assert_eq!(count(&writes), MEMBERS * ROUNDS, "{calls:?}");
    // Polling, reading the sender's message, waking the writer, an occasional fan-out slice: a few for each batch and each
    // second; none for each member.
    assert!(count(&others) < MEMBERS * ROUNDS / 4, "{calls:?}");
    // One read of the sender's message, and one that returns no more data.
    assert!(calls.get("recvfrom") <= Some(&(2 * ROUNDS)), "{calls:?}");
    assert!(!calls.contains_key("epoll_ctl"), "{calls:?}");
}
