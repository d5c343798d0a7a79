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
use crate::conformance::{House, ROOMS, store_claims};
use crate::{Actor, Batch, Operation, Request, RequestId, Writer};

const LIMITS: RoomLimits = RoomLimits { rooms_per_person: ROOMS };

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, LIMITS).unwrap()
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    House::new(Box::new(open(folder.path())), Some(folder))
}

fn commit(writer: &mut dyn Writer, deeds: impl IntoIterator<Item = (Actor, Operation)>) -> Batch {
    let numbered = deeds.into_iter().zip(0..);
    let requests = numbered
        .map(|((actor, operation), n)| Request { request_id: RequestId(n), actor, operation })
        .collect();
    writer.commit(Timestamp(1_000), requests)
}

store_claims!(house);
