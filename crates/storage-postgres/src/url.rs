//! The address of a database.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// Where PostgreSQL listens on Debian if an address names no host.
const SOCKET_FOLDER: &str = "/var/run/postgresql";

/// The address of a database, such as `postgres://user:password@host:5432/name`, or `postgres:///name?host=/var/run/postgresql`
/// for a Unix socket. Its `Display` and `Debug` omit the password.
#[derive(Clone, PartialEq)]
pub struct DatabaseUrl {
    config: Box<Config>,
}

/// Why a text is not the address of a database. The text is not repeated: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The scheme is not `postgres`.
    #[error("it must begin with postgres://")]
    Scheme,
    /// The rest cannot be read.
    #[error("it is not of the form postgres://user:password@host:port/database")]
    Form,
    /// The connection would have to be encrypted.
    #[error("sslmode=require is not supported; use a Unix socket, the same machine or a private network")]
    Tls,
}

impl DatabaseUrl {
    /// The parameters of the connection.
    pub(crate) fn config(&self) -> Config {
        (*self.config).clone()
    }
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(UrlError::Scheme);
        }
        let mut config = Config::from_str(text).map_err(|_| UrlError::Form)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host_path(Path::new(SOCKET_FOLDER));
        }
        match config.get_ssl_mode() {
            SslMode::Disable | SslMode::Prefer => Ok(DatabaseUrl { config: Box::new(config) }),
            _ => Err(UrlError::Tls),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        let mut socket = None;
        let mut separator = "";
        for (index, host) in self.config.get_hosts().iter().enumerate() {
            match host {
                Host::Tcp(host) => {
                    f.write_str(separator)?;
                    f.write_str(host)?;
                    separator = ",";
                    let ports = self.config.get_ports();
                    if let Some(port) = ports.get(index).or(ports.first()) {
                        write!(f, ":{port}")?;
                    }
                }
                Host::Unix(folder) => socket = Some(folder),
            }
        }
        if let Some(name) = self.config.get_dbname() {
            write!(f, "/{name}")?;
        }
        if let Some(folder) = socket {
            write!(f, "?host={}", folder.display())?;
            if let Some(port) = self.config.get_ports().first() {
                write!(f, "&port={port}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<DatabaseUrl>().unwrap().to_string()
    }

    #[test]
    fn password_is_never_shown() {
        for text in [
            "postgres://tea:s3cret@db.example:5433/chat",
            "postgresql://tea:s3cret@db.example:5433/chat?connect_timeout=3",
            "postgres://db.example:5433/chat?user=tea&password=s3cret",
        ] {
            assert_eq!(shown(text), "postgres://tea@db.example:5433/chat");
            assert!(!format!("{:?}", text.parse::<DatabaseUrl>()).contains("s3cret"));
        }
    }

    #[test]
    fn address_without_a_host_means_the_local_socket() {
        let local = "postgres://tea@/chat?host=/var/run/postgresql";
        assert_eq!(shown("postgres://tea@/chat").strip_suffix("&port=5432").unwrap_or(local), local);
        assert_eq!(
            shown("postgres:///chat?host=/tmp/pg&port=5433"),
            "postgres:///chat?host=/tmp/pg&port=5433"
        );
        assert_eq!(shown("postgres://tea@%2Ftmp%2Fpg/chat"), "postgres://tea@/chat?host=/tmp/pg&port=5432");
    }

    #[test]
    fn unusable_address_is_rejected_without_repeating_it() {
        for (text, error) in [
            ("mysql://tea:s3cret@db/chat", UrlError::Scheme),
            ("tea:s3cret@db/chat", UrlError::Scheme),
            ("", UrlError::Scheme),
            ("postgres://tea:s3cret@db:port/chat", UrlError::Form),
            ("postgres://tea:s3cret@db/chat?colour=green", UrlError::Form),
            ("postgres://tea:s3cret@db/chat?sslmode=require", UrlError::Tls),
        ] {
            assert_eq!(text.parse::<DatabaseUrl>(), Err(error.clone()), "{text}");
            assert!(!error.to_string().contains("s3cret"));
        }
    }
}
