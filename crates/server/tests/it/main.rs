//! The whole program over real sockets: each test starts the server itself, and talks to it as strangers would.
//!
//! | file | what it holds the server to |
//! |---|---|
//! | `server.rs`, `talk.rs` | starting, ending and talking to a server; no claims |
//! | `frames.rs` | the golden frames; ids and replies; what is no command |
//! | `talking.rs` | people who talk: order, bodies, numbers |
//! | `coming_back.rs` | cursors, gaps, resets |
//! | `slow.rs` | readers who do not read |
//! | `once.rs` | a message that is sent again; a server that is killed |
//! | `rooms.rs` | names, rooms and memberships |
//! | `presence.rs` | who is here, and who types |
//! | `refusals.rs` | codes, rates, caps |
//! | `sessions.rs` | who one is |
//! | `lines.rs` | plain text |
//! | `timeouts.rs` | those who stand still |
//! | `framing.rs` | RFC 6455 |
//! | `http_operations.rs` | the operations over HTTP |
//! | `stopping.rs`, `starting.rs` | the life of the process |
//! | `topics.rs` | the topic of a room |
//! | `crowd.rs` | two thousand at once |
//! | `calls.rs` | what a round costs in system calls |
//! | `postgres.rs` | the program on PostgreSQL |
//! | `pages.rs` | what HTTP serves |

mod calls;
mod coming_back;
mod crowd;
mod frames;
mod framing;
mod http_operations;
mod lines;
mod once;
mod pages;
mod postgres;
mod presence;
mod refusals;
mod rooms;
mod server;
mod sessions;
mod slow;
mod starting;
mod stopping;
mod talk;
mod talking;
mod timeouts;
mod topics;
