//! Makes Cargo rebuild the program after a build of the web client. Runs no command: a build needs no Node.

use std::path::Path;

fn main() {
    let dist = Path::new("../../web/dist");
    // Without the folder, wait for it where it will appear: a path that is absent counts as changed each time.
    let watched = if dist.exists() { dist } else { Path::new("../../web") };
    println!("cargo::rerun-if-changed={}", watched.display());
}
