//! Short traces: of each rule one that only just holds, and the same with one thing changed, which breaks it.

use super::*;
use crate::faults::trace;

const LOG: &str = "13</d/teahouse.db-wal>";
const DATABASE: &str = "12</d/teahouse.db>";
const FOLDER: &str = "15</d>";
const SOCKET: &str = "30<TCP:[a->b]>";

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:03o}")).collect()
}

fn write(file: &str, bytes: &[u8], at: usize) -> String {
    format!("1 pwrite64({file}, \"{}\", {len}, {at}) = {len}", escaped(bytes), len = bytes.len())
}

fn sync(file: &str) -> String {
    format!("1 fdatasync({file}) = 0")
}

fn page(text: &str) -> Vec<u8> {
    let mut page = text.as_bytes().to_vec();
    page.resize(PAGE, 0);
    page
}

/// One frame, the `nth` of the log.
fn frame(nth: usize, number: u8, text: &str, commits: bool) -> Vec<String> {
    let at = LOG_HEAD + nth * (FRAME_HEAD + PAGE);
    let mut head = [0; FRAME_HEAD];
    (head[3], head[7]) = (number, u8::from(commits));
    vec![write(LOG, &head, at), write(LOG, &page(text), at + FRAME_HEAD)]
}

fn say(text: &str) -> String {
    let text = text.as_bytes();
    let mut frame = vec![0x81, 126, (text.len() >> 8) as u8, text.len() as u8];
    frame.extend_from_slice(text);
    format!(
        "2 sendto({SOCKET}, \"{}\", {len}, MSG_NOSIGNAL, NULL, 0) = {len}",
        escaped(&frame),
        len = frame.len()
    )
}

fn welcome() -> String {
    let head = escaped(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
    format!("2 sendto({SOCKET}, \"{head}\", 36, MSG_NOSIGNAL, NULL, 0) = 36")
}

fn ok() -> String {
    say(r#"{"type":"ok","id":1,"seq":4}"#)
}

fn message() -> String {
    say(r#"{"type":"message","client_message_id":"w1-1","body":"w1-1 x","room":"r2","seq":4}"#)
}

/// A log that is begun, and whose name is there.
fn begin() -> Vec<String> {
    let head = write(LOG, &[0; LOG_HEAD], 0);
    vec![welcome(), say(r#"{"type":"joined","id":1,"room":"r2","head":1}"#), head, sync(LOG), sync(FOLDER)]
}

/// A message that was committed, synced, acknowledged and told.
fn valid_trace() -> Vec<Vec<String>> {
    vec![
        begin(),
        frame(0, 5, "..w1-1w1-1 x", false),
        frame(1, 6, "w11-1 w1-11", true),
        vec![sync(LOG), ok(), message()],
    ]
}

fn durability(trace: &[String]) -> Verdict {
    let mut durability = DurabilityChecker::default();
    trace::read(trace.join("\n").as_bytes(), |call| durability.take(&call)).unwrap();
    durability.finish().unwrap()
}

fn violations(trace: &[String]) -> Vec<Violation> {
    durability(trace).violations.into_keys().collect()
}

fn position(trace: &[String], line: &str) -> usize {
    trace.iter().rposition(|it| it == line).unwrap()
}

#[test]
fn message_that_was_synced_with_its_commit_may_be_acknowledged() {
    let verdict = durability(&valid_trace().concat());
    assert_eq!(verdict, Verdict { acknowledged: 1, told: 1, log_syncs: 2, ..Verdict::default() });
}

#[test]
fn ok_before_the_sync_is_seen() {
    let mut trace = valid_trace().concat();
    let (sync, ok) = (position(&trace, &sync(LOG)), position(&trace, &ok()));
    trace.swap(sync, ok);
    assert_eq!(violations(&trace), [Violation::Acknowledged]);
}

#[test]
fn event_before_the_sync_is_seen() {
    let mut trace = valid_trace().concat();
    let (sync, message) = (position(&trace, &sync(LOG)), position(&trace, &message()));
    trace.swap(sync, message);
    assert_eq!(violations(&trace), [Violation::Acknowledged, Violation::Delivered]);
}

#[test]
fn missing_sync_is_seen() {
    let mut trace = valid_trace().concat();
    trace.remove(position(&trace, &sync(LOG)));
    assert_eq!(violations(&trace), [Violation::Acknowledged, Violation::Delivered]);
}

#[test]
fn sync_that_fails_holds_nothing() {
    let mut trace = valid_trace().concat();
    let at = position(&trace, &sync(LOG));
    trace[at] = trace[at].replace("= 0", "= -1 EIO (Input/output error)");
    assert_eq!(violations(&trace), [Violation::Acknowledged, Violation::Delivered]);
}

#[test]
fn sync_that_began_before_the_commit_was_written_does_not_hold_it() {
    let [begin, first, second, rest] = &valid_trace()[..] else { panic!("four parts") };
    let began = vec![format!("3 fdatasync({LOG} <unfinished ...>")];
    let ended = vec!["3 <... fdatasync resumed>) = 0".to_owned()];
    let rest = rest[1..].to_vec();
    let good = [begin, first, second, &began, &ended, &rest].map(Clone::clone).concat();
    assert_eq!(violations(&good), []);
    // Between the page of the message and the frame that commits it.
    let bad = [begin, first, &began, second, &ended, &rest].map(Clone::clone).concat();
    assert_eq!(violations(&bad), [Violation::Acknowledged, Violation::Delivered]);
}

#[test]
fn ok_whose_write_began_before_the_sync_ended_is_seen() {
    let [begin, first, second, _] = &valid_trace()[..] else { panic!("four parts") };
    let ended = " <unfinished ...>";
    let began = vec![format!("3 fdatasync({LOG}{ended}")];
    let returned = vec!["3 <... fdatasync resumed>) = 0".to_owned()];
    let trace =
        [begin, first, second, &began, &vec![ok()], &returned, &vec![message()]].map(Clone::clone).concat();
    assert_eq!(violations(&trace), [Violation::Acknowledged]);
}

#[test]
fn log_whose_name_was_not_synced_holds_nothing() {
    let mut trace = valid_trace().concat();
    trace.remove(position(&trace, &sync(FOLDER)));
    assert_eq!(violations(&trace), [Violation::Acknowledged, Violation::Delivered]);
    let mut elsewhere = valid_trace().concat();
    let at = position(&elsewhere, &sync(FOLDER));
    elsewhere[at] = sync("15</e>");
    assert_eq!(violations(&elsewhere), [Violation::Acknowledged, Violation::Delivered]);
}

#[test]
fn key_that_is_a_part_of_another_is_not_taken_for_it() {
    assert_eq!(keys(b"w1-2w1-2 \xe8w11-2 w3-w4w w w5-6"), ["w1-2", "w11-2"]);
}

/// The log's pages go into the database, and the log is begun anew.
fn checkpoint() -> Vec<String> {
    vec![
        write(DATABASE, &page("..w1-1w1-1 x"), 4 * PAGE),
        write(DATABASE, &page("w11-1 w1-11"), 5 * PAGE),
        sync(DATABASE),
        write(LOG, &[1; LOG_HEAD], 0),
    ]
}

#[test]
fn checkpoint_with_its_syncs_is_no_finding() {
    let verdict = durability(&[valid_trace().concat(), checkpoint()].concat());
    assert_eq!((verdict.begun_anew, verdict.database_syncs), (1, 1));
    assert_eq!(verdict.violations, BTreeMap::new());
}

#[test]
fn page_that_goes_into_the_database_before_the_log_is_synced_is_seen() {
    let mut trace = [valid_trace().concat(), checkpoint()].concat();
    let page = trace.remove(position(&trace, &checkpoint()[0]));
    let synced = position(&trace, &sync(LOG));
    trace.insert(synced, page.clone());
    assert_eq!(violations(&trace), [Violation::PageCheckpointed]);
    // And one that never was in the log.
    let other = [valid_trace().concat(), vec![write(DATABASE, &super::tests::page("other"), 0)]].concat();
    assert_eq!(violations(&other), [Violation::PageCheckpointed]);
}

#[test]
fn log_that_is_begun_anew_before_the_database_is_synced_is_seen() {
    for ends in [
        write(LOG, &[1; LOG_HEAD], 0),
        format!("1 ftruncate({LOG}, 0) = 0"),
        "1 unlink(\"/d/teahouse.db-wal\") = 0".into(),
    ] {
        let mut trace = [valid_trace().concat(), checkpoint()].concat();
        *trace.last_mut().unwrap() = ends;
        assert_eq!(violations(&trace), []);
        trace.remove(position(&trace, &sync(DATABASE)));
        assert_eq!(violations(&trace), [Violation::LogReset]);
    }
}

#[test]
fn log_that_is_begun_anew_before_all_its_pages_are_taken_in_is_seen() {
    let mut trace = [valid_trace().concat(), checkpoint()].concat();
    trace.remove(position(&trace, &checkpoint()[1]));
    assert_eq!(violations(&trace), [Violation::LogReset]);
}

#[test]
fn what_was_not_committed_when_the_log_is_begun_anew_is_nobodys() {
    let half = frame(2, 7, "half", false);
    assert_eq!(violations(&[valid_trace().concat(), half, checkpoint()].concat()), []);
}

#[test]
fn ok_that_cannot_be_told_apart_is_an_error() {
    let mut durability = DurabilityChecker::default();
    let trace = [begin(), vec![ok()]].concat();
    trace::read(trace.join("\n").as_bytes(), |call| durability.take(&call)).unwrap();
    assert!(durability.finish().is_err());
}
