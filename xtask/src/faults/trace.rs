//! Parsing of system calls as `strace -f -yy` records them.
//!
//! Only the order of the lines matters: a call starts on one line and ends on the same or a later one. What a thread does
//! because another thread's call has ended is recorded after that end, because `strace` stops both threads while it writes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::BufRead;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Calls that may write to a file or socket, sync a file, or shorten it. Names that an architecture lacks are ignored.
pub(super) const CALLS: &str = "?write,?pwrite64,?writev,?pwritev,?pwritev2,?sendto,?sendmsg,?sendmmsg,?fsync,?fdatasync,?\
                                ftruncate,?unlink,?unlinkat";

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    /// The file or socket, as `strace -yy` names it; for a call with a path, the path.
    pub(super) on: String,
    /// The bytes to write: all buffers, concatenated.
    pub(super) bytes: Vec<u8>,
    /// The last numeric argument: the offset or length, for calls that have one.
    pub(super) at: u64,
    /// The return value; -1 for a failure, and for a process that exited during the call.
    pub(super) returned: i64,
    /// The number of the line on which it starts.
    pub(super) first_line: usize,
    /// The number of the line on which it ends.
    pub(super) last_line: usize,
}

impl Call {
    /// The bytes that the kernel accepted.
    pub(super) fn taken(&self) -> &[u8] {
        let count = usize::try_from(self.returned).unwrap_or(0);
        self.bytes.get(..count).unwrap_or(&self.bytes)
    }

    pub(super) fn is_sync(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync")
    }
}

/// The words before a program that start it under `strace`. The program keeps our child's process id, because the tracer is a
/// grandchild.
pub(super) fn command_prefix(file: &Path, extra_args: &[&str]) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["strace", "-D", "-f", "-qq", "-yy"].map(Into::into).into();
    // Longer than any write to a socket.
    words.extend(["-s", "4000000", "-e"].map(Into::into));
    words.push(format!("trace={CALLS}").into());
    words.extend(extra_args.iter().map(Into::into));
    words.extend(["-o".into(), file.as_os_str().to_owned()]);
    words
}

/// Passes the calls of a trace to `take`, in the order in which they ended.
pub(super) fn read(lines: impl BufRead, mut take: impl FnMut(Call) -> Result<()>) -> Result<()> {
    // By thread: the unfinished call and its line.
    let mut unfinished: HashMap<String, (String, usize)> = HashMap::new();
    for (number, line) in lines.lines().enumerate() {
        let (line, number) = (line?, number + 1);
        let Some((thread, text_of_line)) = line.split_once(' ') else { continue };
        let text_of_line = text_of_line.trim_start();
        let call = if let Some(head) = text_of_line.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread.to_owned(), (head.to_owned(), number));
            continue;
        } else if let Some((_, tail)) =
            text_of_line.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>"))
        {
            let Some((head, since)) = unfinished.remove(thread) else { continue };
            parse(&format!("{head}{tail}"), since, number)
        } else if text_of_line.starts_with("+++ ") || text_of_line.starts_with("--- ") {
            continue;
        } else {
            parse(text_of_line, number, number)
        };
        take(call.with_context(|| format!("cannot parse line {number} of the trace"))?)?;
    }
    Ok(())
}

fn parse(text: &str, first_line: usize, last_line: usize) -> Result<Call> {
    let (name, rest) = text.split_once('(').context("no call")?;
    // Written bytes are quoted, and may contain the same characters; the last occurrence is the call's own.
    let (args, result) = rest.rsplit_once(" = ").context("no result")?;
    let args = args.trim_end().trim_end_matches(')');
    // The process exited during the call.
    let args = args.trim_end_matches(" <unfinished ...>");
    let returned = result.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(-1);
    let (on, mut rest) = match file(args) {
        Some(found) => found,
        None => (String::new(), args),
    };
    let mut bytes = Vec::new();
    while let Some(open) = rest.find('"') {
        rest = unescape(&rest[open + 1..], &mut bytes)?;
    }
    let at = rest.rsplit(", ").next().and_then(|number| number.parse().ok()).unwrap_or(0);
    let mut call = Call { name: name.to_owned(), on, bytes, at, returned, first_line, last_line };
    if call.on.is_empty() {
        call.on = String::from_utf8_lossy(&std::mem::take(&mut call.bytes)).into_owned();
    }
    Ok(call)
}

/// Splits `13</data/teahouse.db-wal>, …` into the name and the rest.
fn file(args: &str) -> Option<(String, &str)> {
    let (number, rest) = args.split_once('<')?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A socket's name contains a `>`, which no comma follows.
    let end = [">, ", ">(deleted)"].iter().filter_map(|end| rest.find(end)).min();
    match end {
        Some(end) => Some((rest[..end].to_owned(), &rest[end..])),
        None => Some((rest.strip_suffix('>').unwrap_or(rest).to_owned(), "")),
    }
}

/// Appends the bytes up to the closing quote. Returns the rest.
fn unescape<'a>(text: &'a str, bytes: &mut Vec<u8>) -> Result<&'a str> {
    let raw = text.as_bytes();
    let mut at = 0;
    loop {
        let byte = *raw.get(at).context("unterminated string")?;
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => {
                let escaped = *raw.get(at).context("unterminated string")?;
                at += 1;
                bytes.push(match escaped {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'v' => 0x0b,
                    b'f' => 0x0c,
                    b'0'..=b'7' => {
                        // Up to three digits; fewer if another character follows.
                        let mut value = u32::from(escaped - b'0');
                        let end = at + 2;
                        while at < end && matches!(raw.get(at), Some(b'0'..=b'7')) {
                            value = value * 8 + u32::from(raw[at] - b'0');
                            at += 1;
                        }
                        u8::try_from(value).context("an octal number above 255")?
                    }
                    other => other,
                });
            }
            other => bytes.push(other),
        }
    }
    // All bytes up to here are ASCII, so this is a character boundary.
    let rest = &text[at..];
    if rest.starts_with("...") {
        bail!("a string was truncated");
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(trace: &str) -> Vec<Call> {
        let mut calls = Vec::new();
        read(trace.as_bytes(), |call| {
            calls.push(call);
            Ok(())
        })
        .unwrap();
        calls
    }

    #[test]
    fn pwrite_is_parsed_with_its_bytes_and_offset() {
        let [call] = &calls(
            r#"77  pwrite64(13</d/teahouse.db-wal>, "\0\0012\n\"x\\\350\214\266 w1-2 ) = 7", 19, 4152) = 19"#,
        )[..] else {
            panic!("one call")
        };
        assert_eq!((call.name.as_str(), call.on.as_str()), ("pwrite64", "/d/teahouse.db-wal"));
        assert_eq!(call.bytes, b"\0\x012\n\"x\\\xe8\x8c\xb6 w1-2 ) = 7");
        assert_eq!((call.at, call.returned, call.first_line, call.last_line), (4152, 19, 1, 1));
    }

    #[test]
    fn interrupted_call_ends_where_it_is_resumed() {
        let calls = calls(
            "1 fdatasync(13</d/a>) = 0\n\
             7 fdatasync(13</d/teahouse.db-wal> <unfinished ...>\n\
             8 write(22<anon_inode:[eventfd]>, \"\\1\\0\", 2) = 2\n\
             7 <... fdatasync resumed>)           = -1 EIO (Input/output error) (INJECTED)\n\
             7 fsync(13</d/b> <unfinished ...>) = ?\n\
             7 +++ exited with 0 +++\n",
        );
        let seen: Vec<_> = calls
            .iter()
            .map(|it| (it.on.as_str(), it.is_sync(), it.returned, it.first_line, it.last_line))
            .collect();
        assert_eq!(
            seen,
            [
                ("/d/a", true, 0, 1, 1),
                ("anon_inode:[eventfd]", false, 2, 3, 3),
                ("/d/teahouse.db-wal", true, -1, 2, 4),
                ("/d/b", true, -1, 5, 5)
            ]
        );
    }

    #[test]
    fn socket_buffers_are_joined_and_cut_to_the_return_value() {
        let [call] = &calls(
            r#"9 writev(30<TCP:[127.0.0.1:1->127.0.0.1:2]>, [{iov_base="ab", iov_len=2}, {iov_base="cd", iov_len=2}], 2) = 3"#,
        )[..] else {
            panic!("one call")
        };
        assert_eq!(call.on, "TCP:[127.0.0.1:1->127.0.0.1:2]");
        assert_eq!((call.bytes.as_slice(), call.taken()), (&b"abcd"[..], &b"abc"[..]));
    }

    #[test]
    fn call_with_a_path_is_on_that_path() {
        let calls = calls("1 unlink(\"/d/teahouse.db-wal\") = 0\n1 ftruncate(9</d/x>, 40) = 0\n");
        assert_eq!((calls[0].on.as_str(), calls[1].on.as_str()), ("/d/teahouse.db-wal", "/d/x"));
        assert_eq!(calls[1].at, 40);
    }

    #[test]
    fn truncated_string_is_an_error() {
        assert!(read(&b"1 write(3</d/x>, \"abc\"..., 9) = 9\n"[..], |_| Ok(())).is_err());
    }
}
