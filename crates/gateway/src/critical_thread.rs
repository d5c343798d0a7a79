//! Threads without which the server does not work: a panic in one of them ends the process, and its supervisor restarts it.
//! A partial server that looks alive is worse than one that is down for a second.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

/// Starts a thread whose panic ends the process.
pub(crate) fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.clone()).spawn(move || {
        // Unwind safety: the process exits, so that nothing of the thread's state is used again.
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            tracing::error!(thread = %name, "the thread panicked; the process exits");
            std::process::exit(70);
        }
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::process::Command;

    /// Runs `body` in its own process, which is the test `name` run again, and returns the exit code.
    pub(crate) fn in_own_process(name: &str, body: impl FnOnce()) -> Option<i32> {
        const ALONE: &str = "TEAHOUSE_TEST_ALONE";
        if std::env::var_os(ALONE).is_some() {
            body();
            // Reached only if the process was not ended.
            std::process::exit(0);
        }
        let test = std::env::current_exe().unwrap();
        let output = Command::new(test).args(["--exact", name]).env(ALONE, "1").output().unwrap();
        output.status.code()
    }

    #[test]
    fn panicking_critical_thread_ends_the_process() {
        let name = "critical_thread::tests::panicking_critical_thread_ends_the_process";
        let ended = in_own_process(name, || {
            let thread = super::spawn("doomed".to_owned(), || panic!("a defect")).unwrap();
            drop(thread.join());
        });
        assert_eq!(ended, Some(70));
    }
}
