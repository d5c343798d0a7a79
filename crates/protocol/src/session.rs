//! The request and reply bodies of `/api/v1/session`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{User, UserName};

/// The body of `create_session`. An absent body is the same as `{}`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct CreateSession {
    /// The name of the guest. Without it, the server generates one.
    #[schemars(with = "Option<UserName>")]
    pub name: Option<String>,
}

/// A session, as returned to the client that owns it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// The user of the session, with the current name.
    pub user: User,
    /// The secret token, when the session was created by a program. A browser gets an `HttpOnly` cookie instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}
