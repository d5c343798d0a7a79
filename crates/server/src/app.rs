//! From the configuration to the store, the gateway and the settings of HTTP.

use std::sync::Arc;

use domain::RoomLimits;
use gateway::Gateway;
use storage::Store;
use storage_postgres::PostgresStore;
use storage_sqlite::SqliteStore;

use crate::config::Config;

/// The name and version that clients receive in `welcome`.
const SERVER: &str = concat!("teahouse ", env!("CARGO_PKG_VERSION"));

/// Opens the database of the configuration and starts the gateway's threads.
pub(crate) fn start_gateway(config: &Config, metrics: gateway::Metrics) -> anyhow::Result<Arc<Gateway>> {
    let store = open_store(config, RoomLimits { rooms_per_user: config.limits.rooms_per_user })?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = if config.shards == 0 { cores } else { config.shards };
    Ok(Gateway::start(&*store, shards, &gateway_settings(config), metrics)?)
}

fn open_store(config: &Config, limits: RoomLimits) -> anyhow::Result<Box<dyn Store>> {
    Ok(match &config.database {
        Some(database) => Box::new(PostgresStore::open(database, limits)?),
        None => Box::new(SqliteStore::open(&config.data, limits)?),
    })
}

fn gateway_settings(config: &Config) -> gateway::Settings {
    gateway::Settings {
        server: SERVER,
        limits: protocol::Limits { body_bytes: config.max_message_bytes, ..protocol::Limits::default() },
        rates: config.limits.rates,
        ping_interval: config.timeouts.ping_interval,
        websocket_idle: config.timeouts.websocket_idle,
        message_assembly: config.timeouts.message_assembly,
        close: config.timeouts.close,
    }
}

pub(crate) fn api_settings(config: &Config) -> api::Settings {
    let limits = &config.limits;
    api::Settings {
        allowed_origins: config.allowed_origins.clone(),
        max_message_bytes: config.max_message_bytes,
        connections: limits.connections,
        connections_per_address: limits.connections_per_address,
        guest_creation: limits.rates.enabled.then_some(limits.rates.guest_creation),
        timeouts: api::Timeouts {
            first_byte: config.timeouts.first_byte,
            headers: config.timeouts.headers,
            keep_alive: config.timeouts.http_keep_alive,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config_with;

    #[test]
    fn disabled_limits_are_no_limits_for_http_and_shards() {
        let strict = [("limits.connections", "1"), ("limits.connections_per_address", "1"), ("shards", "2")];
        let settings = api_settings(&config_with(&strict));
        assert_eq!((settings.connections, settings.connections_per_address), (1, 1));
        assert!(settings.guest_creation.is_some());
        let config = config_with(&[&strict[..], &[("limits.enabled", "false")]].concat());
        let settings = api_settings(&config);
        assert_eq!((settings.connections, settings.connections_per_address), (u32::MAX, u32::MAX));
        assert!(settings.guest_creation.is_none());
        assert!(!gateway_settings(&config).rates.enabled);
    }
}
