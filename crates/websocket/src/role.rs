//! The two ends of a connection.

/// Which end of the connection decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes masked frames only.
    Server,
    /// Takes unmasked frames only.
    Client,
}
