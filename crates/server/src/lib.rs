//! The process: configuration, HTTP, shards, the embedded page, metrics.
