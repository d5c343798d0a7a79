//! Released codes are neither renamed nor changed nor removed.

use teahouse_protocol::released_codes;

const RELEASED: &str = include_str!("../golden/released.txt");

#[test]
fn released_codes_are_unchanged() {
    assert_eq!(released_codes(RELEASED).as_deref(), Ok(RELEASED), "run `cargo xtask generate`");
}

#[test]
fn renamed_or_changed_code_is_an_error() {
    for (released, changed) in [
        ("error malformed permanent 400\n", "error mangled permanent 400\n"),
        ("error malformed permanent 400\n", "error malformed retryable 400\n"),
        ("close 4001 overloaded backoff\n", "close 4001 overloaded never\n"),
    ] {
        assert!(RELEASED.contains(released));
        assert!(released_codes(&RELEASED.replace(released, changed)).is_err(), "{changed}");
    }
}

#[test]
fn new_code_is_added_at_the_end() {
    let last = RELEASED.trim_end().lines().last().unwrap();
    let earlier = RELEASED.replace(&format!("{last}\n"), "");
    assert_eq!(released_codes(&earlier).as_deref(), Ok(RELEASED));
}
