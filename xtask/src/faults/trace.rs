//! What a program asked of the kernel, as `strace -f -yy` writes it down.
//!
//! The order of the lines is what counts: a call begins on one line and ends on the same or a later one. Whatever a thread does
//! because another one's call has ended comes after that end, for `strace` holds both until it has written.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::BufRead;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// What may write to a file or a socket, bring a file to the disk, or cut it. A name that an architecture lacks is no error.
pub(super) const CALLS: &str = "?write,?pwrite64,?writev,?pwritev,?pwritev2,?sendto,?sendmsg,?sendmmsg,?fsync,?fdatasync,?\
                                ftruncate,?unlink,?unlinkat";

/// One call that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    /// The file or socket, as `strace -yy` names it; for a call that is told a path, the path.
    pub(super) on: String,
    /// What was to be written: all buffers, one after the other.
    pub(super) bytes: Vec<u8>,
    /// The last of its arguments that is a number: the offset or length, for the calls that have one.
    pub(super) at: u64,
    /// What it returned; -1 for a failure, and for a process that ended meanwhile.
    pub(super) returned: i64,
    /// The line on which it begins.
    pub(super) begun: usize,
    /// The line on which it ends.
    pub(super) ended: usize,
}

impl Call {
    /// What of the bytes was taken.
    pub(super) fn taken(&self) -> &[u8] {
        let count = usize::try_from(self.returned).unwrap_or(0);
        self.bytes.get(..count).unwrap_or(&self.bytes)
    }

    pub(super) fn is_sync(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync")
    }
}

/// The program that `strace` becomes, so that the process is the same: the tracer is a grandchild.
pub(super) fn through(file: &Path, further: &[&str]) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["strace", "-D", "-f", "-qq", "-yy"].map(Into::into).into();
    // More than any socket is given at once.
    words.extend(["-s", "4000000", "-e"].map(Into::into));
    words.push(format!("trace={CALLS}").into());
    words.extend(further.iter().map(Into::into));
    words.extend(["-o".into(), file.as_os_str().to_owned()]);
    words
}

/// The calls of a trace, in the order in which they ended.
pub(super) fn read(lines: impl BufRead, mut take: impl FnMut(Call) -> Result<()>) -> Result<()> {
    // By thread: what it has begun, and on which line.
    let mut begun: HashMap<String, (String, usize)> = HashMap::new();
    for (number, line) in lines.lines().enumerate() {
        let (line, number) = (line?, number + 1);
        let Some((thread, said)) = line.split_once(' ') else { continue };
        let said = said.trim_start();
        let call = if let Some(head) = said.strip_suffix(" <unfinished ...>") {
            begun.insert(thread.to_owned(), (head.to_owned(), number));
            continue;
        } else if let Some((_, tail)) =
            said.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>"))
        {
            let Some((head, since)) = begun.remove(thread) else { continue };
            parse(&format!("{head}{tail}"), since, number)
        } else if said.starts_with("+++ ") || said.starts_with("--- ") {
            continue;
        } else {
            parse(said, number, number)
        };
        take(call.with_context(|| format!("line {number} of the trace is not understood"))?)?;
    }
    Ok(())
}

fn parse(text: &str, begun: usize, ended: usize) -> Result<Call> {
    let (name, rest) = text.split_once('(').context("no call")?;
    // What is written stands between quotes, so the last one is the call's own.
    let (args, result) = rest.rsplit_once(" = ").context("no result")?;
    let args = args.trim_end().trim_end_matches(')');
    // Of a call that the end of the process cut short.
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
    let mut call = Call { name: name.to_owned(), on, bytes, at, returned, begun, ended };
    if call.on.is_empty() {
        call.on = String::from_utf8_lossy(&std::mem::take(&mut call.bytes)).into_owned();
    }
    Ok(call)
}

/// `13</data/teahouse.db-wal>, …`: the name, and what follows.
fn file(args: &str) -> Option<(String, &str)> {
    let (number, rest) = args.split_once('<')?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A socket's name has a `>` of its own, which no comma follows.
    let end = [">, ", ">(deleted)"].iter().filter_map(|end| rest.find(end)).min();
    match end {
        Some(end) => Some((rest[..end].to_owned(), &rest[end..])),
        None => Some((rest.strip_suffix('>').unwrap_or(rest).to_owned(), "")),
    }
}

/// Takes in what stands up to the closing quote; what follows it.
fn unescape<'a>(text: &'a str, bytes: &mut Vec<u8>) -> Result<&'a str> {
    let raw = text.as_bytes();
    let mut at = 0;
    loop {
        let byte = *raw.get(at).context("a text without an end")?;
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => {
                let escaped = *raw.get(at).context("a text without an end")?;
                at += 1;
                bytes.push(match escaped {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'v' => 0x0b,
                    b'f' => 0x0c,
                    b'0'..=b'7' => {
                        // Up to three digits; fewer where no digit follows.
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
    // ASCII up to here, so this is between two characters.
    let rest = &text[at..];
    if rest.starts_with("...") {
        bail!("a text was cut short");
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
    fn page_on_its_way_to_a_file_is_read_with_its_offset() {
        let [call] = &calls(
            r#"77  pwrite64(13</d/teahouse.db-wal>, "\0\0012\n\"x\\\350\214\266 w1-2 ) = 7", 19, 4152) = 19"#,
        )[..] else {
            panic!("one call")
        };
        assert_eq!((call.name.as_str(), call.on.as_str()), ("pwrite64", "/d/teahouse.db-wal"));
        assert_eq!(call.bytes, b"\0\x012\n\"x\\\xe8\x8c\xb6 w1-2 ) = 7");
        assert_eq!((call.at, call.returned, call.begun, call.ended), (4152, 19, 1, 1));
    }

    #[test]
    fn call_that_was_interrupted_ends_where_it_is_resumed() {
        let calls = calls(
            "1 fdatasync(13</d/a>) = 0\n\
             7 fdatasync(13</d/teahouse.db-wal> <unfinished ...>\n\
             8 write(22<anon_inode:[eventfd]>, \"\\1\\0\", 2) = 2\n\
             7 <... fdatasync resumed>)           = -1 EIO (Input/output error) (INJECTED)\n\
             7 fsync(13</d/b> <unfinished ...>) = ?\n\
             7 +++ exited with 0 +++\n",
        );
        let seen: Vec<_> =
            calls.iter().map(|it| (it.on.as_str(), it.is_sync(), it.returned, it.begun, it.ended)).collect();
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
    fn buffers_of_a_socket_are_one_text_and_only_what_it_took_counts() {
        let [call] = &calls(
            r#"9 writev(30<TCP:[127.0.0.1:1->127.0.0.1:2]>, [{iov_base="ab", iov_len=2}, {iov_base="cd", iov_len=2}], 2) = 3"#,
        )[..] else {
            panic!("one call")
        };
        assert_eq!(call.on, "TCP:[127.0.0.1:1->127.0.0.1:2]");
        assert_eq!((call.bytes.as_slice(), call.taken()), (&b"abcd"[..], &b"abc"[..]));
    }

    #[test]
    fn call_that_names_a_path_is_on_that_path() {
        let calls = calls("1 unlink(\"/d/teahouse.db-wal\") = 0\n1 ftruncate(9</d/x>, 40) = 0\n");
        assert_eq!((calls[0].on.as_str(), calls[1].on.as_str()), ("/d/teahouse.db-wal", "/d/x"));
        assert_eq!(calls[1].at, 40);
    }

    #[test]
    fn text_that_was_cut_short_is_an_error() {
        assert!(read(&b"1 write(3</d/x>, \"abc\"..., 9) = 9\n"[..], |_| Ok(())).is_err());
    }
}
