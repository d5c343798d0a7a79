//! Parsers for setting values. `Err(None)`: the value is not what the table allows; `Err(Some(…))` describes the problem.
//!
//! `humantime` and `bytesize` accept more than the documents define, such as `1d`, `75s 5ms`, months, or `8KB` for 8,000 bytes. A range
//! check afterwards could not reject these, so durations and sizes have their own parsers of a few lines.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use api::Origin;
use domain::Rate;
use storage_postgres::DatabaseUrl;
use tracing_subscriber::EnvFilter;

use super::LogFormat;

type Parsed<T> = Result<T, Option<String>>;

const DURATIONS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(24 * 3600);

pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().map_err(|_| None)?)));
    }
    text.parse().map_err(|_| None)
}

pub(super) fn folder(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() { Err(None) } else { Ok(PathBuf::from(text)) }
}

/// Empty for the embedded database.
pub(super) fn database(text: &str) -> Parsed<Option<DatabaseUrl>> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error: storage_postgres::UrlError| Some(error.to_string()))
}

pub(super) fn origins(text: &str) -> Parsed<Vec<String>> {
    let named = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    named
        .map(|origin| Origin::parse(origin).map(|origin| origin.to_string()))
        .collect::<Option<Vec<_>>>()
        .ok_or(None)
}

pub(super) fn switch(text: &str) -> Parsed<bool> {
    text.parse().map_err(|_| None)
}

pub(super) fn count(text: &str) -> Parsed<u32> {
    whole::<u32, 1, 4_000_000_000>(text)
}

/// A whole number from `MIN` to `MAX`; `_` may separate its digits.
pub(super) fn whole<T: TryFrom<u64>, const MIN: u64, const MAX: u64>(text: &str) -> Parsed<T> {
    let number = u64::from_str(&text.replace('_', "")).map_err(|_| None)?;
    if !(MIN..=MAX).contains(&number) {
        return Err(None);
    }
    T::try_from(number).map_err(|_| None)
}

pub(super) fn max_message_bytes(text: &str) -> Parsed<u32> {
    let (number, unit) = split_unit(text);
    let unit = match unit {
        "" | "B" => 1,
        "KiB" => 1024,
        _ => return Err(None),
    };
    let bytes = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit)).ok_or(None)?;
    if (1..=protocol::Limits::MAX_BODY_BYTES).contains(&bytes) { Ok(bytes) } else { Err(None) }
}

pub(super) fn duration(text: &str) -> Parsed<Duration> {
    let (number, unit) = split_unit(text);
    let number: u64 = number.parse().map_err(|_| None)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(None),
    };
    let duration = number.checked_mul(millis).map(Duration::from_millis).ok_or(None)?;
    if DURATIONS.contains(&duration) { Ok(duration) } else { Err(None) }
}

/// `5/s burst 20`
pub(super) fn rate(text: &str) -> Parsed<Rate> {
    let mut words = text.split_whitespace();
    let (Some(often), Some("burst"), Some(burst), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(None);
    };
    let (number, unit) = often.split_once('/').ok_or(None)?;
    let number: f64 = number.parse().map_err(|_| None)?;
    let seconds = match unit {
        "s" => 1.0,
        "min" | "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(None),
    };
    // Above a million per second, the nanosecond resolution of the token bucket is too coarse.
    if !(0.0..=1e6).contains(&number) {
        return Err(None);
    }
    Ok(Rate { per_second: number / seconds, burst: whole::<u32, 1, 1_000_000>(burst)? })
}

pub(super) fn log_filter(text: &str) -> Parsed<String> {
    // An empty filter would log errors only, which is unlikely to be intended.
    if text.trim().is_empty() || EnvFilter::try_new(text).is_err() { Err(None) } else { Ok(text.to_owned()) }
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err(None),
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..at], text[at..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_without_unit_or_out_of_range_is_rejected() {
        for (text, millis) in
            [("500ms", 500), ("75s", 75_000), ("5m", 300_000), ("5 min", 300_000), ("24h", 86_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in [
            "",
            "75",
            "s",
            "0s",
            "-1s",
            "1.5s",
            "25h",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(duration(bad), Err(None), "{bad}");
        }
    }

    #[test]
    fn message_size_above_10_kib_is_rejected() {
        assert_eq!(max_message_bytes("8KiB"), Ok(8192));
        assert_eq!(max_message_bytes("10240"), Ok(10_240));
        for bad in ["0", "10241", "11KiB", "8KB", "8kib", "1MiB", "", "4194304KiB"] {
            assert_eq!(max_message_bytes(bad), Err(None), "{bad}");
        }
    }

    #[test]
    fn rate_without_unit_or_burst_is_rejected() {
        assert_eq!(rate("5/s burst 20"), Ok(Rate { per_second: 5.0, burst: 20 }));
        assert_eq!(rate("2/min burst 5"), Ok(Rate { per_second: 2.0 / 60.0, burst: 5 }));
        for bad in [
            "",
            "5",
            "5/s",
            "5/s 20",
            "5/d burst 2",
            "-1/s burst 2",
            "NaN/s burst 2",
            "inf/s burst 2",
            "5/s burst 0",
            "5/s burst 2 3",
        ] {
            assert_eq!(rate(bad), Err(None), "{bad}");
        }
    }

    #[test]
    fn address_without_port_is_rejected() {
        assert_eq!(address("[::]:9999"), Ok("[::]:9999".parse().unwrap()));
        assert_eq!(address("localhost:80"), Ok("127.0.0.1:80".parse().unwrap()));
        for bad in ["", "9999", ":9999", "0.0.0.0", "::9999x", "example.org:80", "0.0.0.0:70000"] {
            assert_eq!(address(bad), Err(None), "{bad}");
        }
    }

    #[test]
    fn origin_with_path_or_wildcard_is_rejected() {
        let list = origins("https://Example.org:443, http://a.example:8080 ,").unwrap();
        assert_eq!(list, ["https://example.org", "http://a.example:8080"]);
        assert_eq!(origins(""), Ok(vec![]));
        for bad in [
            "*",
            "null",
            "example.org",
            "https://",
            "https://a/b",
            "https://a/",
            "https://*.a",
            "https://a b",
            "https://u@a",
        ] {
            assert_eq!(origins(bad), Err(None), "{bad}");
        }
    }

    #[test]
    fn invalid_log_filter_or_format_is_rejected() {
        assert!(log_filter("warn,teahouse=debug").is_ok());
        for bad in ["", "gateway=loud", "a=b=c"] {
            assert_eq!(log_filter(bad), Err(None), "{bad}");
        }
        assert_eq!(log_format("json"), Ok(LogFormat::Json));
        assert_eq!(log_format("JSON"), Err(None));
    }
}
