//! The bodies of `/api/v1/session`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{User, UserName};

/// The body of `create_session`. No body is the same as `{}`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct CreateSession {
    /// The guest's name. Without it, the server generates one.
    #[schemars(with = "Option<UserName>")]
    pub name: Option<String>,
}

/// A session, as its owner sees it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// The user of the session.
    pub user: User,
    /// The secret token. Only in the answer that created the session, and only to a program: a browser gets a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}
