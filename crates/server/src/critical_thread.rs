//! Threads without which the house is not whole: when one of them dies of a defect, the process ends, for its supervisor to
//! restart it. Half a server that looks alive is worse than one that is down for a second.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

/// Starts a thread whose panic ends the process.
pub(crate) fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.clone()).spawn(move || {
        // Nothing of what the thread owned is used again: the process ends.
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            tracing::error!(thread = %name, "a defect ended this thread; the process ends, and its supervisor restarts it");
            std::process::exit(70);
        }
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::process::Command;

    /// Runs `body` in a process of its own, which is this test once more, called `name`; the code with which it ended.
    pub(crate) fn in_a_process_of_its_own(name: &str, body: impl FnOnce()) -> Option<i32> {
        const ALONE: &str = "TEAHOUSE_TEST_ALONE";
        if std::env::var_os(ALONE).is_some() {
            body();
            // Who comes here was not ended.
            std::process::exit(0);
        }
        let test = std::env::current_exe().unwrap();
        let output = Command::new(test).args(["--exact", name]).env(ALONE, "1").output().unwrap();
        output.status.code()
    }

    #[test]
    fn panicking_critical_thread_ends_the_process() {
        let name = "critical_thread::tests::panicking_critical_thread_ends_the_process";
        let ended = in_a_process_of_its_own(name, || {
            let thread = super::spawn("doomed".to_owned(), || panic!("a defect")).unwrap();
            drop(thread.join());
        });
        assert_eq!(ended, Some(70));
    }
}
