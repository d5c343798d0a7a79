//! The codes that clients were written for. Generated like the other documents of the protocol, but only added to: a renamed or
//! removed row of a table is an error, because installed clients do not follow `cargo xtask generate`.

use crate::{Close, ErrorCode};

/// The content of `golden/released.txt` after `released`, its present content: one line per code, in the order of their
/// release. An error names a line of `released` that no code has any more.
pub fn released_codes(released: &str) -> Result<String, String> {
    let errors = ErrorCode::ALL.iter().map(|code| {
        let retryable = if code.is_retryable() { "retryable" } else { "permanent" };
        format!("error {code} {retryable} {}", code.http_status())
    });
    let closes = Close::ALL
        .iter()
        .map(|close| format!("close {} {} {}", close.code(), close.as_str(), close.reconnect().as_str()));
    let current: Vec<String> = errors.chain(closes).collect();
    if let Some(changed) = released.lines().find(|line| !current.iter().any(|code| code == line)) {
        return Err(format!("{changed:?} was released: it must not be renamed, changed or removed"));
    }
    let added = current.iter().filter(|code| !released.lines().any(|line| line == code.as_str()));
    Ok(released.lines().chain(added.map(String::as_str)).map(|line| format!("{line}\n")).collect())
}
