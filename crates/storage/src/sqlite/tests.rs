//! What only a store that remembers can promise. `conformance` has the rest.

mod disk;
mod failing;
mod killed;
mod migrating;
mod opening;

use std::path::Path;

use domain::RoomLimits;
use protocol::Timestamp;

use super::SqliteStore;
use crate::conformance::{Fixture, ROOMS};
use crate::{Actor, Batch, Operation, Request, RequestId, Writer};

const LIMITS: RoomLimits = RoomLimits { rooms_per_person: ROOMS };

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

crate::store_tests!(fixture);
