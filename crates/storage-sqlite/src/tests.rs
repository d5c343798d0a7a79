//! Tests of what only a store on disk can promise. The conformance suite has the others.

mod disk;
mod failing;
mod killed;
mod migrating;
mod opening;

use std::path::Path;

use domain::RoomLimits;
use proptest::prelude::*;
use protocol::Timestamp;
use storage::conformance::{Fixture, ROOMS};
use storage::{Actor, Batch, MemoryStore, Operation, Request, RequestId, Writer, random_requests};

use super::SqliteStore;

const LIMITS: RoomLimits = RoomLimits { rooms_per_user: ROOMS };

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, LIMITS).unwrap()
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    Fixture::guarded(Box::new(open(folder.path())), folder)
}

fn commit(writer: &mut dyn Writer, requests: impl IntoIterator<Item = (Actor, Operation)>) -> Batch {
    let numbered = requests.into_iter().zip(0..);
    let requests = numbered
        .map(|((actor, operation), n)| Request { request_id: RequestId(n), actor, operation })
        .collect();
    writer.commit(Timestamp(1_000), requests)
}

storage::store_tests!(fixture);

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_and_model_agree_on_random_requests(steps in random_requests::steps()) {
        let model = MemoryStore::new(random_requests::LIMITS);
        let folder = tempfile::tempdir().unwrap();
        let sqlite = || Fixture::new(Box::new(SqliteStore::open(folder.path(), random_requests::LIMITS).unwrap()));
        random_requests::compare(steps, &mut [&mut || Fixture::of_model(&model), &mut { sqlite }])?;
    }
}
