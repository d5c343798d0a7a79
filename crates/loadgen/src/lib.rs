//! A load generator that verifies every frame it receives, and a recorder of client histories.
//!
//! The crate follows docs/PROTOCOL.md and uses no code of the server but `protocol` and `websocket`. It does not judge a history: that is the crate `history`.
//!
//! | file | contents |
//! |---|---|
//! | `generator/` | [`generator`]: thousands of connections on one thread, and the checker of what they receive |
//! | `recorder/` | [`recorder`]: clients that write a history of what they send and receive |
//! | `main.rs` | the program `teahouse-loadgen` |
//! | `bin/history.rs` | the program `history`: records a history with those clients, and verifies one |
//! | `bin/baseline_server.rs` | the program `baseline_server`: the least work that a chat server must do, for comparison |

pub mod generator;
pub mod recorder;
