//! Load runs against a server that violates one guarantee once: the report must name only that one.

mod faulty_server;
mod plan;

use std::time::Duration;

use faulty_server::{Fault, serve};
use plan::plan;
use teahouse_loadgen::generator::{Findings, LoadError, Plan, Report, run};

fn report(fault: Fault) -> Report {
    let report = run(&plan(format!("ws://{}", serve(fault))), || {}).unwrap();
    assert!(report.acknowledged > 20 && report.deliveries > 0, "{report}");
    report
}

fn findings(fault: Fault) -> Findings {
    let report = report(fault);
    assert!(report.errors.is_empty() && report.closed.is_empty() && report.unanswered == 0, "{report}");
    assert_eq!(report.is_clean(), report.findings.is_clean());
    report.findings
}

#[test]
fn correct_server_is_clean() {
    let report = report(Fault::None);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.deliveries_total, report.acknowledged * 6);
    assert_eq!((report.connections, report.sent), (6, report.acknowledged));
    assert!(report.latency_ms.p50 > 0.0 && report.server.is_some());
}

#[test]
fn events_in_arrays_are_received() {
    let report = report(Fault::Arrays);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.deliveries_total, report.acknowledged * 6);
}

#[test]
fn lost_event_is_reported() {
    assert_eq!(findings(Fault::Drop), Findings { lost: 1, ..Findings::default() });
}

#[test]
fn duplicated_event_is_reported() {
    assert_eq!(findings(Fault::Duplicate), Findings { duplicated: 1, ..Findings::default() });
}

#[test]
fn swapped_events_are_reported() {
    assert_eq!(findings(Fault::Swap), Findings { out_of_order: 1, ..Findings::default() });
}

#[test]
fn gap_is_reported_and_no_violation() {
    assert_eq!(findings(Fault::Gap), Findings { gaps: 1, gap_events: 1, ..Findings::default() });
}

#[test]
fn altered_body_is_reported() {
    assert_eq!(findings(Fault::Alter), Findings { altered: 1, ..Findings::default() });
}

#[test]
fn event_of_another_room_is_reported() {
    assert_eq!(findings(Fault::WrongRoom), Findings { unexpected: 1, lost: 1, ..Findings::default() });
}

#[test]
fn trailing_data_in_a_frame_is_reported() {
    assert_eq!(findings(Fault::Trailing), Findings { unexpected: 1, ..Findings::default() });
}

#[test]
fn ok_with_the_wrong_seq_is_reported() {
    assert_eq!(findings(Fault::WrongOkSeq), Findings { wrong_seq: 1, ..Findings::default() });
}

#[test]
fn command_without_a_reply_is_reported() {
    let report = report(Fault::NoReply);
    assert_eq!((report.unanswered, report.sent - report.acknowledged), (1, 1));
    assert!(report.findings.is_clean() && !report.is_clean());
}

#[test]
fn rejection_is_counted_and_no_violation() {
    let report = report(Fault::RateLimitOnce);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.errors, [("rate_limited".to_owned(), 1)].into());
    assert_eq!(report.sent, report.acknowledged + 1);
}

#[test]
fn closed_connection_is_reported() {
    let report = report(Fault::Close);
    assert_eq!(report.closed, [(4001, 1)].into());
    assert!(report.findings.is_clean() && !report.is_clean(), "{report}");
}

#[test]
fn connection_without_a_close_frame_is_reported() {
    let report = report(Fault::Disconnect);
    assert_eq!(report.closed, [(1006, 1)].into());
    assert!(report.findings.is_clean() && !report.is_clean(), "{report}");
}

#[test]
fn schedule_is_kept_in_many_rooms() {
    let addr = serve(Fault::None);
    let plan = Plan { rooms: 3, senders: 3, rate: Some(200.0), ..plan(format!("ws://{addr}")) };
    let report = run(&plan, || {}).unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(report.sent > 0, "{report}");
    assert_eq!(report.deliveries_total, report.acknowledged * 2);
}

#[test]
fn unreachable_server_is_an_error() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(matches!(run(&plan(format!("ws://{unused}")), || {}), Err(LoadError::Join { .. })));
}

#[test]
fn every_member_of_many_rooms_is_verified() {
    let many = |fault| {
        let plan = Plan { rooms: 4, rooms_each: 2, ..plan(format!("ws://{}", serve(fault))) };
        run(&plan, || {}).unwrap()
    };
    let good = many(Fault::None);
    assert!(good.is_clean() && good.acknowledged > 20, "{good}");
    // Six connections in two of four rooms each are three in each room.
    assert_eq!(good.deliveries_total, good.acknowledged * 3);
    // Each of the two rooms with a sender has its tenth message.
    assert_eq!(many(Fault::Drop).findings, Findings { lost: 2, ..Findings::default() });
    assert_eq!(many(Fault::Duplicate).findings, Findings { duplicated: 2, ..Findings::default() });
    assert_eq!(many(Fault::Gap).findings, Findings { gaps: 2, gap_events: 2, ..Findings::default() });
}

/// Six connections that read, and a stalled one that joins last.
fn with_one_stalled(fault: Fault) -> Report {
    let plan = Plan { stalled: 1, parallel: 1, ..plan(format!("ws://{}", serve(fault))) };
    let report = run(&plan, || {}).unwrap();
    assert!(report.acknowledged > 20, "{report}");
    assert_eq!((report.connections, report.stalled), (6, 1));
    report
}

#[test]
fn stalled_connection_is_verified_and_not_counted() {
    let report = with_one_stalled(Fault::None);
    assert!(
        report.is_clean() && report.warnings.iter().all(|warning| !warning.contains("stalled")),
        "{report}"
    );
    assert_eq!(report.deliveries_total, report.acknowledged * 6);
    let duplicated = with_one_stalled(Fault::Duplicate);
    assert_eq!(duplicated.findings, Findings { duplicated: 1, ..Findings::default() });
    let swapped = with_one_stalled(Fault::Swap);
    assert_eq!(swapped.findings, Findings { out_of_order: 1, ..Findings::default() });
    assert_eq!(swapped.deliveries_total, swapped.acknowledged * 6);
}

#[test]
fn gap_to_a_stalled_connection_is_expected() {
    let gap = with_one_stalled(Fault::Gap);
    assert_eq!(gap.findings, Findings { stalled_gaps: 1, ..Findings::default() });
    assert!(gap.is_clean());
    let silence = with_one_stalled(Fault::Drop);
    assert_eq!(silence.findings, Findings { lost: 1, ..Findings::default() });
}

#[test]
fn closed_stalled_connection_is_reported() {
    let report = with_one_stalled(Fault::Close);
    assert_eq!(report.closed, [(4001, 1)].into());
    assert!(report.findings.is_clean() && !report.is_clean(), "{report}");
}

#[test]
fn message_not_received_by_all_is_incomplete() {
    // Without a warm-up, every message is measured.
    let incomplete = |fault| {
        let plan = Plan { warmup: Duration::ZERO, ..plan(format!("ws://{}", serve(fault))) };
        let report = run(&plan, || {}).unwrap();
        report.acknowledged - report.completed
    };
    assert_eq!((incomplete(Fault::None), incomplete(Fault::Drop)), (0, 1));
}

#[test]
fn rooms_have_the_given_names() {
    let addr = serve(Fault::None);
    let named = || Plan { room_names: Some("pair".to_owned()), ..plan(format!("ws://{addr}")) };
    let mut began = 0;
    let first = run(&named(), || began += 1).unwrap();
    // The server keeps rooms after their connections end, so the second run finds the first one's room.
    let second = run(&named(), || began += 1).unwrap();
    assert!(first.is_clean() && second.is_clean(), "{first}{second}");
    assert!(first.caught_up_seconds.is_some() && began == 2);
    let mut client = client::Client::connect(addr, client::Options::default()).unwrap();
    let head = client.join("pair-0").unwrap().head;
    assert_eq!(head.0, first.acknowledged + second.acknowledged + 13);
}
