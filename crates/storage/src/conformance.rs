//! The claims that every adapter must meet. `store_claims!` makes a test of each for one adapter.
//!
//! A claim gets a [`House`]: a store with a lobby, its writer, a reader, and short words to say things with.

mod house;
mod joining;
mod looking;
mod people;
mod sending;
mod together;

pub(crate) use house::*;
pub(crate) use joining::*;
pub(crate) use looking::*;
pub(crate) use people::*;
pub(crate) use sending::*;
pub(crate) use together::*;

/// A claim that is not listed here is dead code, and the compiler says so.
macro_rules! store_claims {
    ($house:path) => {
        $crate::conformance::store_claims!(@each $house:
            // sending
            numbers_have_no_holes, n_counts_messages_only, a_repeated_send_is_answered_with_the_first_number,
            a_repeated_send_in_the_same_batch_is_one_message, a_repeated_send_is_answered_after_leaving,
            a_key_for_another_room_or_body_is_a_conflict, a_key_is_the_senders_own, lines_without_keys_are_never_one,
            only_members_can_send, a_body_is_kept_as_it_was_typed, time_in_a_room_never_goes_back,
            // joining
            the_lobby_is_there_and_stays, names_are_found_caselessly, an_unknown_room_is_made_only_on_request,
            joining_again_appends_nothing, only_members_come_back, only_members_can_leave, a_member_who_left_can_come_back,
            members_open_their_rooms_and_nobody_else_does,
            nobody_joins_more_rooms_than_allowed, a_silent_room_goes_with_its_last_member, a_room_with_words_stays,
            a_room_id_is_never_used_again, a_user_id_is_never_given_twice, a_transient_guest_leaves_all_rooms,
            the_sweep_takes_transient_guests_only,
            // joining together
            people_who_join_together_share_an_event, history_names_all_who_joined_together, at_most_a_hundred_share_one,
            whatever_happens_between_two_joins_parts_them, who_left_and_comes_back_is_named_anew,
            a_refused_join_is_not_in_the_shared_event, a_room_made_and_gone_in_a_batch_takes_its_people_along,
            who_made_the_room_is_the_first_of_those_who_joined,
            // people
            a_guest_is_stored_with_the_first_join, a_refused_join_stores_nobody, a_guest_may_rename_before_joining,
            somebody_never_stored_is_refused, an_ended_session_is_nobodys, who_has_no_session_any_more_leaves_all_rooms, an_ended_session_does_not_come_back,
            a_rename_is_told_in_every_room, the_same_name_is_no_rename, events_bear_the_stored_name,
            // looking
            reading_never_goes_back, reading_stops_at_the_head, only_members_can_read, a_page_after_is_bounded,
            a_page_before_is_bounded, a_page_is_bounded_in_bytes, pages_meet_without_hole_or_overlap,
            absurd_numbers_find_nothing, rooms_are_listed_by_page, rooms_open_as_asked, heads_are_told_as_asked,
            a_reader_notices_a_commit,
            // the port
            answers_cover_every_ticket_once, there_is_one_writer, a_probe_appends_nothing
        );
    };
    (@each $house:path: $($claim:ident),*) => {
        $(#[test] fn $claim() { $crate::conformance::$claim(&mut $house()); })*
    };
}
pub(crate) use store_claims;
