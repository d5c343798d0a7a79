//! The released codes, written by hand. `cargo xtask generate` follows a renamed row; clients that are installed do not. Lines
//! are added and never changed or removed.

use teahouse_protocol::{Close, ErrorCode};

/// Code, retryability, HTTP status.
const ERROR_CODES: &[(&str, bool, u16)] = &[
    ("malformed", false, 400),
    ("unknown_type", false, 400),
    ("invalid_name", false, 400),
    ("body_empty", false, 400),
    ("body_too_long", false, 413),
    ("topic_too_long", false, 400),
    ("room_not_found", false, 404),
    ("not_a_member", false, 403),
    ("key_conflict", false, 409),
    ("too_many_rooms", false, 409),
    ("rate_limited", true, 429),
    ("overloaded", true, 503),
    ("unavailable", true, 503),
    ("storage_full", true, 507),
    ("shutting_down", true, 503),
    ("unauthorized", false, 401),
    ("forbidden_origin", false, 403),
    ("not_found", false, 404),
    ("internal", true, 500),
];

/// Code, name, reconnect policy.
const CLOSE_CODES: &[(u16, &str, &str)] = &[
    (1001, "going_away", "within"),
    (1002, "protocol_error", "never"),
    (1003, "unsupported_data", "never"),
    (1007, "invalid_payload", "never"),
    (1009, "message_too_big", "never"),
    (1011, "internal_error", "backoff"),
    (4000, "unfinished_message", "backoff"),
    (4001, "overloaded", "backoff"),
    (4100, "session_ended", "never"),
];

#[test]
fn released_error_codes_are_unchanged() {
    let codes: Vec<_> =
        ErrorCode::ALL.iter().map(|code| (code.as_str(), code.is_retryable(), code.http_status())).collect();
    for released in ERROR_CODES {
        assert!(
            codes.contains(released),
            "{released:?} was released; it must not be renamed, changed or removed"
        );
    }
    for code in codes {
        assert!(ERROR_CODES.contains(&code), "add {code:?} to the list of released error codes");
    }
}

#[test]
fn released_close_codes_are_unchanged() {
    let codes: Vec<_> =
        Close::ALL.iter().map(|close| (close.code(), close.as_str(), close.reconnect().as_str())).collect();
    for released in CLOSE_CODES {
        assert!(
            codes.contains(released),
            "{released:?} was released; it must not be renamed, changed or removed"
        );
    }
    for code in codes {
        assert!(CLOSE_CODES.contains(&code), "add {code:?} to the list of released close codes");
    }
}
