//! The suite that every store must pass, and random requests compared with the model of the rules.

use domain::RoomLimits;
use proptest::prelude::*;
use storage::conformance::{Fixture, ROOMS};
use storage::{MemoryStore, random_requests};

use crate::testing::Server;
use crate::{DatabaseUrl, PostgresStore};

fn open(url: &DatabaseUrl, limits: RoomLimits) -> Fixture {
    Fixture::new(Box::new(PostgresStore::open(url, limits).unwrap()))
}

fn fixture() -> Option<Fixture> {
    Some(open(&Server::shared()?.create_database(), RoomLimits { rooms_per_user: ROOMS }))
}

storage::store_tests!(fixture);

/// Each case costs thousands of round trips, so the usual run has few. `PROPTEST_CASES=100` runs more.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(4);
    ProptestConfig { cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn postgresql_and_model_agree_on_random_requests(steps in random_requests::steps()) {
        if let Some(server) = Server::shared() {
            let url = server.create_database();
            let model = MemoryStore::new(random_requests::LIMITS);
            random_requests::compare(
                steps,
                &mut [&mut || Fixture::of_model(&model), &mut || open(&url, random_requests::LIMITS)],
            )?;
        }
    }
}
