//! Clients that record everything they send and receive while a test injects faults into the server.
//!
//! Each client is a thread with a [`Client`](client::Client) and a history file of its own. Writers send messages in bursts,
//! and sometimes leave their room and join it again; receivers are members of several rooms and sometimes stay offline for a
//! while. Every client reconnects when its connection ends or is silent for too long, resumes from its cursors, and resends
//! unanswered messages unchanged. At the end of a run, all clients wait until every command is answered and every event is
//! received; then every stored room is read.
//!
//! | file | contents |
//! |---|---|
//! | `client_pool.rs` | [`record`]: starts all clients and brings them to quiescence |
//! | `options.rs`, `recorder_error.rs` | the options, and why a run has no history |
//! | `run_state.rs` | what the clients of a run share |
//! | `recording_client.rs` | one client: its connections, offline periods and completion |
//! | `send.rs` | what a client sends: bursts, retries, leaves, joins, history requests |
//! | `receive.rs` | the handling of each frame |
//! | `slow_reader.rs`, `paused_reading.rs` | ways to pause reading; a client while it does |
//! | `stored_rooms.rs` | reads every stored room at the end |
//! | `history_file.rs` | writes a history to a file; the clock |
//! | `keepalive.rs` | detection of a dead connection |
//! | `counters.rs` | totals of a run |

mod client_pool;
mod counters;
mod history_file;
mod keepalive;
mod options;
mod paused_reading;
mod receive;
mod recorder_error;
mod recording_client;
mod run_state;
mod send;
mod slow_reader;
mod stored_rooms;

pub use client_pool::{Instruction, Progress, record};
pub use counters::Counters;
pub use options::RecorderOptions;
pub use recorder_error::RecorderError;
