//! The load of these tests.

use std::time::Duration;

use teahouse_loadgen::generator::Plan;

/// Six connections in one room, two of which send for a sixth of a second: enough for some tens of messages.
pub(crate) fn plan(url: String) -> Plan {
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
