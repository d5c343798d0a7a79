//! `resume`: opens rooms of a member again, each at its own cursor.

use domain::{CommandError, JoinedRoom, OperationResult};
use protocol::{Done, Epoch, Reply, Resume, RoomId, Seq};

use super::effect::{Attach, HandlerEffect, OnReply, unexpected};
use super::resume_progress::ResumeProgress;
use super::view::View;

pub(super) fn handle(_: &View<'_>, resume: Resume) -> Vec<HandlerEffect> {
    let Resume { rooms, epoch } = resume;
    if rooms.is_empty() {
        return vec![HandlerEffect::Reply(Reply::Resume(Done {}))];
    }
    let progress = ResumeProgress::of(rooms.len());
    let open = |(room, after)| {
        let on_reply = OpenReply { room, after, epoch: epoch.clone(), progress: progress.clone() };
        HandlerEffect::Write { operation: domain::Open { room }.into(), on_reply: Box::new(on_reply) }
    };
    rooms.into_iter().map(open).collect()
}

/// A room of the `resume` is open. The reply to the command follows the last room.
pub(crate) fn room_opened(progress: &ResumeProgress) -> Option<HandlerEffect> {
    progress.finish_room().then_some(HandlerEffect::Reply(Reply::Resume(Done {})))
}

/// A room of the `resume` cannot be opened; the others can.
pub(crate) fn room_rejected(
    progress: &ResumeProgress,
    room: RoomId,
    error: CommandError,
) -> Vec<HandlerEffect> {
    std::iter::once(HandlerEffect::RoomError { room, error }).chain(room_opened(progress)).collect()
}

#[derive(Debug)]
struct OpenReply {
    room: RoomId,
    after: Seq,
    epoch: Option<Epoch>,
    progress: ResumeProgress,
}

impl OnReply for OpenReply {
    fn done(self: Box<Self>, result: OperationResult) -> Vec<HandlerEffect> {
        let OperationResult::Open(JoinedRoom { info, head, n, read, .. }) = result else {
            return unexpected(&result);
        };
        let OpenReply { after, epoch, progress, .. } = *self;
        let (after, resume) = (Some(after), Some(progress));
        vec![
            HandlerEffect::UserStored,
            HandlerEffect::Attach(Attach { info, head, n, read, after, epoch, resume }),
        ]
    }

    fn failed(self: Box<Self>, error: CommandError) -> Vec<HandlerEffect> {
        room_rejected(&self.progress, self.room, error)
    }
}

#[cfg(test)]
mod tests {
    use protocol::ErrorCode;

    use super::super::view::tests::view;
    use super::*;

    #[test]
    fn resume_is_answered_with_its_last_room() {
        let rooms = [(RoomId(1), Seq(4)), (RoomId(2), Seq(0))].into();
        let effects = view(false, |view| handle(view, Resume { rooms, epoch: None }));
        let mut replies = Vec::new();
        for effect in effects {
            let HandlerEffect::Write { on_reply, .. } = effect else { panic!("{effect:?}") };
            replies.push(on_reply.failed(CommandError::from(ErrorCode::NotAMember)));
        }
        assert!(matches!(replies[0][..], [HandlerEffect::RoomError { room: RoomId(1), .. }]));
        assert!(matches!(
            replies[1][..],
            [HandlerEffect::RoomError { room: RoomId(2), .. }, HandlerEffect::Reply(_)]
        ));
    }

    #[test]
    fn resume_of_no_rooms_is_answered_at_once() {
        let resume = Resume { rooms: [].into(), epoch: None };
        assert!(matches!(view(false, |view| handle(view, resume))[..], [HandlerEffect::Reply(_)]));
    }
}
