//! Threads without which the house is not whole: when one of them dies of a defect, the process ends, for its supervisor to
//! start it anew. Half a server that looks alive is worse than one that is down for a second.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

/// Starts a thread whose panic ends the process.
pub(crate) fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.clone()).spawn(move || {
        // Nothing of what the thread owned is used again: the process ends.
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            tracing::error!(thread = %name, "a defect ended this thread; the process ends, to be started anew");
            std::process::exit(70);
        }
    })
}
