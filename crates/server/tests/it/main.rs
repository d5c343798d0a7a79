//! Integration tests over real sockets: each test starts the server program and connects as an ordinary client does.
//!
//! | file | what it tests |
//! |---|---|
//! | `server.rs`, `client_ext.rs` | helpers: start, stop and use a server; no tests |
//! | `frames.rs` | the golden frames; ids and replies; malformed commands |
//! | `messages.rs` | messages: order, bodies, sequence numbers |
//! | `resume.rs` | cursors, gaps, resets |
//! | `slow.rs` | backpressure: clients that do not read |
//! | `idempotency.rs` | repeated sends; a server that is killed |
//! | `rooms.rs` | names, rooms and memberships |
//! | `presence.rs` | presence and typing |
//! | `permissions.rs` | each permission: its allowed cases and its rejections, over both transports |
//! | `rejections.rs` | error codes, rate limits, connection limits |
//! | `sessions.rs` | sessions: tokens, cookies, origins |
//! | `lines.rs` | the plain text protocol |
//! | `timeouts.rs` | timeouts of idle and unresponsive peers |
//! | `framing.rs` | RFC 6455 |
//! | `http_operations.rs` | the operations over HTTP |
//! | `stopping.rs`, `starting.rs` | start and shutdown of the process |
//! | `topics.rs` | the topic of a room |
//! | `mass_resume.rs` | two thousand concurrent resumes |
//! | `system_calls.rs` | system calls per batch |
//! | `postgres.rs` | the program on PostgreSQL |
//! | `pages.rs` | the web page, health checks and metrics |

mod client_ext;
mod frames;
mod framing;
mod http_operations;
mod idempotency;
mod lines;
mod mass_resume;
mod messages;
mod pages;
mod permissions;
mod postgres;
mod presence;
mod rejections;
mod resume;
mod rooms;
mod server;
mod sessions;
mod slow;
mod starting;
mod stopping;
mod system_calls;
mod timeouts;
mod topics;
