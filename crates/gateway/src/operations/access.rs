//! The permission of a user who reads, with the facts that the store has.

use domain::{CommandError, MemberContext, Permission, RoomLimits};
use protocol::{ErrorCode, RoomId, RoomRef, UserId};
use storage::{Reader, StoreError};

/// The room of this id or name, if it exists and the user has `permission` in it.
pub(super) fn permitted_room(
    reader: &mut dyn Reader,
    permission: Permission,
    room: &RoomRef,
    user: UserId,
) -> Result<RoomId, CommandError> {
    let found = reader.room(room).map_err(|error| store_failure(&error))?;
    let room = found.ok_or(ErrorCode::RoomNotFound)?.info.room;
    check_in_store(reader, permission, room, user)?;
    Ok(room)
}

/// Rejects a user who does not have `permission` in the room.
pub(super) fn check_in_store(
    reader: &mut dyn Reader,
    permission: Permission,
    room: RoomId,
    user: UserId,
) -> Result<(), CommandError> {
    let member = reader.is_member(room, user).map_err(|error| store_failure(&error))?;
    check(permission, member)
}

/// The permissions of reading and typing depend on the membership alone, so the other facts are placeholders.
pub(super) fn check(permission: Permission, member: bool) -> Result<(), CommandError> {
    Ok(domain::check(permission, MemberContext { member, rooms_joined: 0 }, &RoomLimits::default())?)
}

/// The error for a failure of the store, whose cause goes to the log.
pub(super) fn store_failure(error: &StoreError) -> CommandError {
    report(error).into()
}

/// The code for a failure of the store, whose cause goes to the log.
pub(crate) fn report(error: &StoreError) -> ErrorCode {
    tracing::error!(reason = %error, "the store could not be read");
    error.rejection().code
}
