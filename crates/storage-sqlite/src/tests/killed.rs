//! SIGKILL in the middle of a burst of messages.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use protocol::{EventKind, Seq};
use storage::conformance::*;
use storage::{OperationResult, Store};

use super::{commit, open};

const FOLDER: &str = "TEAHOUSE_TEST_FOLDER";

/// Not a test: the process that is killed. It prints `ok SEQ TEXT` for each acknowledged message.
#[test]
#[ignore = "run by killed_process_loses_nothing_acknowledged"]
fn burst() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = open(Path::new(&folder));
    let mut writer = store.writer().unwrap();
    commit(&mut *writer, [(guest(1), join("lobby"))]);
    let mut out = std::io::stdout().lock();
    for round in 0.. {
        let texts: Vec<String> =
            (0..=round % 7).map(|n| format!("{}-{round}-{n}", std::process::id())).collect();
        let batch =
            commit(&mut *writer, texts.iter().map(|text| (guest(1), send("lobby", Some(text), text))));
        for ((_, answer), text) in batch.replies.iter().zip(&texts) {
            let Ok(OperationResult::Send(domain::SentMessage { seq, .. })) = answer else {
                panic!("{answer:?}")
            };
            writeln!(out, "ok {seq} {text}").unwrap();
        }
        out.flush().unwrap();
    }
}

#[test]
fn killed_process_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    for lines in [1, 20, 75, 200] {
        let mut burst = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::killed::burst", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(burst.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut received = 0;
        for line in output {
            // What was written to the pipe before the kill counts as well; an incomplete line does not.
            let Some(("ok", rest)) = line.split_once(' ') else { continue };
            let Some((seq, text)) = rest.split_once(' ') else { continue };
            acknowledged.push((seq.parse().unwrap(), text.to_owned()));
            received += 1;
            if received == lines {
                burst.kill().unwrap();
            }
        }
        assert!(received >= lines, "it ended by itself");
        burst.wait().unwrap();

        let store = open(folder.path());
        let events = store.reader().unwrap().events_after(storage::LOBBY, Seq(0), None, ALL).unwrap().events;
        assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == Seq(seq)), "a hole");
        for (seq, text) in &acknowledged {
            let EventKind::Message { body, .. } = &events[*seq as usize - 1].kind else { panic!("{seq}") };
            assert_eq!(body.as_str(), text);
        }
    }
}
