//! A load run against a server that breaks one promise once: the report says which, and no other.

mod faulty_server;

use std::time::Duration;

use faulty_server::{Fault, serve};
use teahouse_loadgen::generator::{Findings, LoadError, Plan, Report, run};

fn plan(url: String) -> Plan {
    Plan {
        url,
        peer: None,
        connections: 6,
        rooms: 1,
        rooms_each: 1,
        room_names: None,
        stalled: 0,
        senders: 2,
        rate: None,
        ignore_retry_after: false,
        max_unanswered: 10_000,
        window: 4,
        in_flight: None,
        body: 80,
        duration: Duration::from_millis(150),
        warmup: Duration::from_millis(20),
        sources: 3,
        parallel: 2,
        settle: Duration::ZERO,
        idle_timeout: Duration::from_millis(700),
        server_pid: Some(std::process::id()),
    }
}

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
fn a_good_server_is_clean() {
    let report = report(Fault::None);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.deliveries_total, report.acknowledged * 6);
    assert_eq!((report.connections, report.sent), (6, report.acknowledged));
    assert!(report.latency_ms.p50 > 0.0 && report.server.is_some());
}

#[test]
fn events_in_arrays_are_heard_too() {
    let report = report(Fault::Arrays);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.deliveries_total, report.acknowledged * 6);
}

#[test]
fn a_lost_event_is_reported() {
    assert_eq!(findings(Fault::Drop), Findings { lost: 1, ..Findings::default() });
}

#[test]
fn a_doubled_event_is_reported() {
    assert_eq!(findings(Fault::Duplicate), Findings { duplicated: 1, ..Findings::default() });
}

#[test]
fn two_swapped_events_are_reported() {
    assert_eq!(findings(Fault::Swap), Findings { out_of_order: 1, ..Findings::default() });
}

#[test]
fn a_gap_is_reported_and_forgiven() {
    assert_eq!(findings(Fault::Gap), Findings { gaps: 1, gap_events: 1, ..Findings::default() });
}

#[test]
fn an_altered_body_is_reported() {
    assert_eq!(findings(Fault::Alter), Findings { altered: 1, ..Findings::default() });
}

#[test]
fn an_event_of_another_room_is_reported() {
    assert_eq!(findings(Fault::WrongRoom), Findings { unexpected: 1, lost: 1, ..Findings::default() });
}

#[test]
fn a_frame_with_something_behind_its_object_is_reported() {
    assert_eq!(findings(Fault::Trailing), Findings { unexpected: 1, ..Findings::default() });
}

#[test]
fn an_ok_with_the_wrong_number_is_reported() {
    assert_eq!(findings(Fault::WrongOkSeq), Findings { wrong_seq: 1, ..Findings::default() });
}

#[test]
fn a_command_that_is_never_answered_is_reported() {
    let report = report(Fault::NoReply);
    assert_eq!((report.unanswered, report.sent - report.acknowledged), (1, 1));
    assert!(report.findings.is_clean() && !report.is_clean());
}

#[test]
fn a_refusal_is_counted_and_breaks_nothing() {
    let report = report(Fault::RateLimitOnce);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.errors, [("rate_limited".to_owned(), 1)].into());
    assert_eq!(report.sent, report.acknowledged + 1);
}

#[test]
fn a_closed_connection_is_reported() {
    let report = report(Fault::Close);
    assert_eq!(report.closed, [(4001, 1)].into());
    assert!(report.findings.is_clean() && !report.is_clean(), "{report}");
}

#[test]
fn a_connection_that_vanishes_is_reported() {
    let report = report(Fault::Disconnect);
    assert_eq!(report.closed, [(1006, 1)].into());
    assert!(report.findings.is_clean() && !report.is_clean(), "{report}");
}

#[test]
fn a_schedule_is_kept_in_many_rooms() {
    let addr = serve(Fault::None);
    let plan = Plan { rooms: 3, senders: 3, rate: Some(200.0), ..plan(format!("ws://{addr}")) };
    let report = run(&plan, || {}).unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(report.sent > 0, "{report}");
    assert_eq!(report.deliveries_total, report.acknowledged * 2);
}

#[test]
fn a_server_that_is_not_there_is_no_verdict() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(matches!(run(&plan(format!("ws://{unused}")), || {}), Err(LoadError::Join { .. })));
}

#[test]
fn each_member_of_each_of_many_rooms_is_checked() {
    let many = |fault| {
        let plan = Plan { rooms: 4, rooms_each: 2, ..plan(format!("ws://{}", serve(fault))) };
        run(&plan, || {}).unwrap()
    };
    let good = many(Fault::None);
    assert!(good.is_clean() && good.acknowledged > 20, "{good}");
    // Six in two of four rooms each are three in each room.
    assert_eq!(good.deliveries_total, good.acknowledged * 3);
    // Each of the two rooms that are spoken in has its tenth message.
    assert_eq!(many(Fault::Drop).findings, Findings { lost: 2, ..Findings::default() });
    assert_eq!(many(Fault::Duplicate).findings, Findings { duplicated: 2, ..Findings::default() });
    assert_eq!(many(Fault::Gap).findings, Findings { gaps: 2, gap_events: 2, ..Findings::default() });
}

/// Six who read, and one who joins last and does not.
fn with_one_stalled(fault: Fault) -> Report {
    let plan = Plan { stalled: 1, parallel: 1, ..plan(format!("ws://{}", serve(fault))) };
    let report = run(&plan, || {}).unwrap();
    assert!(report.acknowledged > 20, "{report}");
    assert_eq!((report.connections, report.stalled), (6, 1));
    report
}

#[test]
fn who_stalls_counts_for_no_delivery_and_is_held_to_the_promises() {
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
fn a_gap_for_one_who_stalls_is_none_of_the_readers_and_silence_is_a_loss() {
    let gap = with_one_stalled(Fault::Gap);
    assert_eq!(gap.findings, Findings { stalled_gaps: 1, ..Findings::default() });
    assert!(gap.is_clean());
    let silence = with_one_stalled(Fault::Drop);
    assert_eq!(silence.findings, Findings { lost: 1, ..Findings::default() });
}

#[test]
fn one_who_stalls_and_is_closed_is_reported() {
    let report = with_one_stalled(Fault::Close);
    assert_eq!(report.closed, [(4001, 1)].into());
    assert!(report.findings.is_clean() && !report.is_clean(), "{report}");
}

#[test]
fn a_message_that_not_all_heard_is_not_complete() {
    // Without a warm-up all that is sent is measured.
    let incomplete = |fault| {
        let plan = Plan { warmup: Duration::ZERO, ..plan(format!("ws://{}", serve(fault))) };
        let report = run(&plan, || {}).unwrap();
        report.acknowledged - report.completed
    };
    assert_eq!((incomplete(Fault::None), incomplete(Fault::Drop)), (0, 1));
}

#[test]
fn rooms_are_called_as_they_are_asked_to_be() {
    let addr = serve(Fault::None);
    let named = || Plan { room_names: Some("pair".to_owned()), ..plan(format!("ws://{addr}")) };
    let mut began = 0;
    let first = run(&named(), || began += 1).unwrap();
    // The fake keeps who has gone, and so the second run finds the first one's room.
    let second = run(&named(), || began += 1).unwrap();
    assert!(first.is_clean() && second.is_clean(), "{first}{second}");
    assert!(first.caught_up_seconds.is_some() && began == 2);
    let mut client = client::Client::connect(addr, client::Options::default()).unwrap();
    let head = client.join("pair-0").unwrap().head;
    assert_eq!(head.0, first.acknowledged + second.acknowledged + 13);
}
