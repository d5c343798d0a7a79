//! Short traces: for each rule one that just satisfies it, and the same with one change that violates it.

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

/// The `nth` frame of the log.
fn frame(nth: usize, number: u8, text: &str, commits: bool) -> Vec<String> {
    let at = LOG_HEADER + nth * (FRAME_HEADER + PAGE);
    let mut head = [0; FRAME_HEADER];
    (head[3], head[7]) = (number, u8::from(commits));
    vec![write(LOG, &head, at), write(LOG, &page(text), at + FRAME_HEADER)]
}

fn frame_sent(text: &str) -> String {
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
    frame_sent(r#"{"type":"ok","id":1,"seq":4}"#)
}

fn message() -> String {
    frame_sent(r#"{"type":"message","client_message_id":"w1-1","body":"w1-1 x","room":"r2","seq":4}"#)
}

/// Creates the log, and syncs its name.
fn begin() -> Vec<String> {
    let head = write(LOG, &[0; LOG_HEADER], 0);
    vec![
        welcome(),
        frame_sent(r#"{"type":"joined","id":1,"room":"r2","head":1}"#),
        head,
        sync(LOG),
        sync(FOLDER),
    ]
}

/// A message that is committed, synced, acknowledged and delivered, in this order.
fn valid_trace() -> Vec<Vec<String>> {
    vec![
        begin(),
        frame(0, 5, "..w1-1w1-1 x", false),
        frame(1, 6, "w11-1 w1-11", true),
        vec![sync(LOG), ok(), message()],
    ]
}

fn check(trace: &[String]) -> DurabilityReport {
    let mut checker = DurabilityChecker::default();
    trace::read(trace.join("\n").as_bytes(), |call| checker.check(&call)).unwrap();
    checker.finish().unwrap()
}

fn violations(trace: &[String]) -> Vec<Violation> {
    check(trace).violations.into_keys().collect()
}

fn position(trace: &[String], line: &str) -> usize {
    trace.iter().rposition(|it| it == line).unwrap()
}

#[test]
fn message_synced_with_its_commit_may_be_acknowledged() {
    let report = check(&valid_trace().concat());
    assert_eq!(
        report,
        DurabilityReport { acknowledged: 1, delivered: 1, log_syncs: 2, ..DurabilityReport::default() }
    );
}

#[test]
fn ok_before_the_sync_is_a_violation() {
    let mut trace = valid_trace().concat();
    let (sync, ok) = (position(&trace, &sync(LOG)), position(&trace, &ok()));
    trace.swap(sync, ok);
    assert_eq!(violations(&trace), [Violation::Acknowledged]);
}

#[test]
fn event_before_the_sync_is_a_violation() {
    let mut trace = valid_trace().concat();
    let (sync, message) = (position(&trace, &sync(LOG)), position(&trace, &message()));
    trace.swap(sync, message);
    assert_eq!(violations(&trace), [Violation::Acknowledged, Violation::Delivered]);
}

#[test]
fn missing_sync_is_a_violation() {
    let mut trace = valid_trace().concat();
    trace.remove(position(&trace, &sync(LOG)));
    assert_eq!(violations(&trace), [Violation::Acknowledged, Violation::Delivered]);
}

#[test]
fn failed_sync_makes_nothing_durable() {
    let mut trace = valid_trace().concat();
    let at = position(&trace, &sync(LOG));
    trace[at] = trace[at].replace("= 0", "= -1 EIO (Input/output error)");
    assert_eq!(violations(&trace), [Violation::Acknowledged, Violation::Delivered]);
}

#[test]
fn sync_started_before_the_commit_does_not_cover_it() {
    let [begin, first, second, rest] = &valid_trace()[..] else { panic!("four parts") };
    let began = vec![format!("3 fdatasync({LOG} <unfinished ...>")];
    let ended = vec!["3 <... fdatasync resumed>) = 0".to_owned()];
    let rest = rest[1..].to_vec();
    let good = [begin, first, second, &began, &ended, &rest].map(Clone::clone).concat();
    assert_eq!(violations(&good), []);
    // The sync starts between the page of the message and its commit frame.
    let bad = [begin, first, &began, second, &ended, &rest].map(Clone::clone).concat();
    assert_eq!(violations(&bad), [Violation::Acknowledged, Violation::Delivered]);
}

#[test]
fn ok_written_before_the_sync_ended_is_a_violation() {
    let [begin, first, second, _] = &valid_trace()[..] else { panic!("four parts") };
    let ended = " <unfinished ...>";
    let began = vec![format!("3 fdatasync({LOG}{ended}")];
    let returned = vec!["3 <... fdatasync resumed>) = 0".to_owned()];
    let trace =
        [begin, first, second, &began, &vec![ok()], &returned, &vec![message()]].map(Clone::clone).concat();
    assert_eq!(violations(&trace), [Violation::Acknowledged]);
}

#[test]
fn log_without_a_synced_name_makes_nothing_durable() {
    let mut trace = valid_trace().concat();
    trace.remove(position(&trace, &sync(FOLDER)));
    assert_eq!(violations(&trace), [Violation::Acknowledged, Violation::Delivered]);
    let mut elsewhere = valid_trace().concat();
    let at = position(&elsewhere, &sync(FOLDER));
    elsewhere[at] = sync("15</e>");
    assert_eq!(violations(&elsewhere), [Violation::Acknowledged, Violation::Delivered]);
}

#[test]
fn key_that_is_part_of_another_key_is_not_confused_with_it() {
    assert_eq!(keys(b"w1-2w1-2 \xe8w11-2 w3-w4w w w5-6"), ["w1-2", "w11-2"]);
}

/// The log's pages go into the database, and the log is reset.
fn checkpoint() -> Vec<String> {
    vec![
        write(DATABASE, &page("..w1-1w1-1 x"), 4 * PAGE),
        write(DATABASE, &page("w11-1 w1-11"), 5 * PAGE),
        sync(DATABASE),
        write(LOG, &[1; LOG_HEADER], 0),
    ]
}

#[test]
fn checkpoint_with_its_syncs_is_allowed() {
    let report = check(&[valid_trace().concat(), checkpoint()].concat());
    assert_eq!((report.log_resets, report.database_syncs), (1, 1));
    assert_eq!(report.violations, BTreeMap::new());
}

#[test]
fn page_checkpointed_before_the_log_sync_is_a_violation() {
    let mut trace = [valid_trace().concat(), checkpoint()].concat();
    let page = trace.remove(position(&trace, &checkpoint()[0]));
    let synced = position(&trace, &sync(LOG));
    trace.insert(synced, page.clone());
    assert_eq!(violations(&trace), [Violation::PageCheckpointed]);
    // The same with a page that was never in the log.
    let other = [valid_trace().concat(), vec![write(DATABASE, &super::tests::page("other"), 0)]].concat();
    assert_eq!(violations(&other), [Violation::PageCheckpointed]);
}

#[test]
fn log_reset_before_the_database_sync_is_a_violation() {
    for ends in [
        write(LOG, &[1; LOG_HEADER], 0),
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
fn log_reset_before_all_pages_are_checkpointed_is_a_violation() {
    let mut trace = [valid_trace().concat(), checkpoint()].concat();
    trace.remove(position(&trace, &checkpoint()[1]));
    assert_eq!(violations(&trace), [Violation::LogReset]);
}

#[test]
fn uncommitted_frames_may_be_lost_at_a_log_reset() {
    let half = frame(2, 7, "half", false);
    assert_eq!(violations(&[valid_trace().concat(), half, checkpoint()].concat()), []);
}

#[test]
fn ok_without_a_known_message_is_an_error() {
    let mut checker = DurabilityChecker::default();
    let trace = [begin(), vec![ok()]].concat();
    trace::read(trace.join("\n").as_bytes(), |call| checker.check(&call)).unwrap();
    assert!(checker.finish().is_err());
}
