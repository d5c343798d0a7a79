//! What only a store that remembers can promise. `conformance` has the rest.

mod disk;
mod failing;
mod killed;
mod migrating;
mod opening;

use std::path::Path;

use protocol::Timestamp;
use domain::RoomLimits;

use super::SqliteStore;
use crate::conformance::{House, ROOMS, store_claims};
use crate::{Author, Batch, Request, Ticket, Write, Writer};

const LIMITS: RoomLimits = RoomLimits { rooms_per_person: ROOMS };

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, LIMITS).unwrap()
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    House::new(Box::new(open(folder.path())), Some(folder))
}

fn commit(writer: &mut dyn Writer, deeds: impl IntoIterator<Item = (Author, Write)>) -> Batch {
    let numbered = deeds.into_iter().zip(0..);
    let requests = numbered.map(|((author, deed), n)| Request { ticket: Ticket(n), author, deed }).collect();
    writer.commit(Timestamp(1_000), requests)
}

store_claims!(house);
