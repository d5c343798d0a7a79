//! The roles of the endpoints.

/// The role of the endpoint that decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Accepts only masked frames.
    Server,
    /// Accepts only unmasked frames.
    Client,
}
