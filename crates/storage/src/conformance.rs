//! The tests that every store must pass. `store_tests!` generates a `#[test]` of each for one store.
//!
//! Each test gets a [`Fixture`]: an empty store with a lobby, its writer, a reader, and short functions for requests. A store
//! in another crate enables the feature `testing`, and calls `teahouse_storage::store_tests!(fixture);` where `fn fixture() ->
//! Fixture` opens the store with the limit [`ROOMS`].

mod attributes;
mod fixture;
mod joining;
mod looking;
mod sending;
mod together;
mod unknown_kinds;
mod users;

pub use attributes::*;
pub use fixture::*;
pub use joining::*;
pub use looking::*;
pub use sending::*;
pub use together::*;
pub use unknown_kinds::*;
pub use users::*;

/// Generates a test of each function below, for the store that `$fixture()` returns. A function that returns `None` skips the
/// tests, for a database that is not installed.
#[macro_export]
macro_rules! store_tests {
    ($fixture:path) => {
        $crate::store_tests!(@each $fixture:
            // sending
            events_are_numbered_without_holes, n_counts_messages_only, repeated_send_returns_first_seq,
            repeated_send_in_one_batch_is_one_message, repeated_send_after_leaving_returns_first_seq,
            key_for_another_room_or_body_conflicts, key_is_scoped_to_its_sender, sends_without_keys_are_never_merged,
            non_member_cannot_send, body_is_stored_unchanged, time_in_a_room_never_goes_back,
            // joining
            lobby_exists_and_is_never_deleted, room_names_match_caselessly, missing_room_is_created_on_request_only,
            rejoin_of_member_appends_nothing, open_requires_membership, leave_requires_membership, former_member_can_join_again,
            open_answers_like_a_repeated_join,
            join_beyond_room_limit_is_rejected, room_without_messages_is_deleted_with_last_member, room_with_messages_is_kept,
            room_id_is_never_reused, user_id_is_never_reserved_twice, transient_user_leaves_all_rooms,
            cleanup_removes_transient_users_only,
            // joining together
            joins_of_one_batch_share_an_event, shared_join_is_stored_with_all_names, shared_join_names_at_most_a_hundred,
            event_between_two_joins_separates_them, rejoin_in_one_batch_is_named_again,
            rejected_join_is_not_in_the_shared_event, room_created_and_deleted_in_one_batch_leaves_nothing,
            creator_is_first_in_the_shared_join,
            // attributes of rooms
            attributes_are_stored_and_listed, attributes_of_a_batch_are_the_last_ones, attributes_of_a_deleted_room_are_gone,
            // unknown kinds of events
            event_of_unknown_kind_is_stored_unchanged,
            // users
            guest_is_stored_with_the_first_join, rejected_join_stores_no_user, guest_can_rename_before_joining,
            unknown_user_without_registration_is_rejected, ended_session_has_no_user, user_without_session_leaves_all_rooms, ended_session_is_not_stored_again,
            rename_is_appended_in_every_room, rename_to_same_name_appends_nothing, events_carry_the_stored_name,
            // looking
            read_position_never_goes_back, read_position_stops_at_the_head, read_requires_membership, page_after_is_bounded,
            page_before_is_bounded, page_is_bounded_in_bytes, pages_meet_without_hole_or_overlap,
            out_of_range_numbers_find_nothing, rooms_are_listed_by_page, open_rooms_answers_in_request_order, heads_answers_in_request_order,
            reader_sees_that_a_commit_happened,
            // the port
            every_request_is_answered_once, second_writer_is_rejected, probe_appends_nothing
        );
    };
    (@each $fixture:path: $($test:ident),*) => {
        $(#[test] fn $test() {
            if let Some(mut fixture) = Option::<$crate::conformance::Fixture>::from($fixture()) {
                $crate::conformance::$test(&mut fixture);
            }
        })*
    };
}
