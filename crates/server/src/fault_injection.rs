//! Promises broken on purpose, so that the checks that look for broken promises can be tested. Built only with the feature
//! `fault_injection`, which no release has; there is none of it in any other build. One at a time, named by `TEAHOUSE_FAULT_INJECTION` or, in a
//! test, chosen for its thread. (The eighth, `synchronous-normal`, is the store's: `sqlite/open.rs`.)

/// Which promise is broken, and how.
#[cfg_attr(
    not(feature = "fault-injection"),
    expect(dead_code, reason = "some are asked for only where they are built")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultInjection {
    /// What the writer was asked to keep is acknowledged whatever becomes of the commit.
    AcknowledgeBeforeCommit,
    /// Of the events that somebody who comes back gets from the store, one in a thousand is left out.
    DropOnResume,
    /// A message that is sent again is stored again.
    DeliverTwiceOnRetry,
    /// Two events that were committed at once are told in the wrong order.
    SwapNeighbours,
    /// A removed user keeps receiving events of the room.
    DeliverAfterRemoval,
    /// What was missed is not named.
    ForgetGap,
    /// Something was appended, and nobody goes to tell the room's members.
    LoseWakeUp,
}

/// Whether this one is chosen.
#[cfg(not(feature = "fault-injection"))]
pub(crate) const fn is(_: FaultInjection) -> bool {
    false
}

#[cfg(feature = "fault-injection")]
pub(crate) use chosen::*;

#[cfg(feature = "fault-injection")]
mod chosen {
    use std::cell::{Cell, RefCell};
    use std::collections::HashSet;
    use std::sync::OnceLock;

    use protocol::{ClientMessageId, ErrorCode, Event, RoomId, Seq, UserId};
    use storage::{Batch, Operation, OperationResult, Request};

    use super::FaultInjection;

    const NAMES: [(&str, FaultInjection); 7] = [
        ("acknowledge-before-commit", FaultInjection::AcknowledgeBeforeCommit),
        ("drop-on-resume", FaultInjection::DropOnResume),
        ("deliver-twice-on-retry", FaultInjection::DeliverTwiceOnRetry),
        ("swap-neighbours", FaultInjection::SwapNeighbours),
        ("deliver-after-removal", FaultInjection::DeliverAfterRemoval),
        ("forget-gap", FaultInjection::ForgetGap),
        ("lose-wake-up", FaultInjection::LoseWakeUp),
    ];

    thread_local! {
        static OF_THREAD: Cell<Option<FaultInjection>> = const { Cell::new(None) };
        /// What was sent before.
        static SENT: RefCell<HashSet<(UserId, ClientMessageId)>> = RefCell::default();
    }

    /// Whether the environment names one that there is.
    pub(crate) fn is_named() -> bool {
        let name = std::env::var("TEAHOUSE_FAULT_INJECTION").unwrap_or_default();
        // That one is the store's.
        name == "synchronous-normal" || NAMES.iter().any(|(known, _)| *known == name)
    }

    /// Whether this one is chosen.
    pub(crate) fn is(fault_injection: FaultInjection) -> bool {
        static OF_PROCESS: OnceLock<Option<FaultInjection>> = OnceLock::new();
        let of_process = OF_PROCESS.get_or_init(|| {
            let name = std::env::var("TEAHOUSE_FAULT_INJECTION").ok()?;
            tracing::warn!(%name, "this server breaks its promises on purpose");
            NAMES.iter().find(|(known, _)| *known == name).map(|(_, fault_injection)| *fault_injection)
        });
        OF_THREAD.get().or(*of_process) == Some(fault_injection)
    }

    /// For the thread that calls.
    #[cfg(test)]
    pub(crate) fn choose(fault_injection: Option<FaultInjection>) {
        OF_THREAD.set(fault_injection);
        SENT.take();
    }

    /// Which of these are messages.
    pub(crate) fn sends(requests: &[Request]) -> Vec<bool> {
        requests.iter().map(|request| matches!(request.operation, Operation::Send { .. })).collect()
    }

    /// The answers of a writer that did not wait for the commit.
    pub(crate) fn acknowledge(batch: &mut Batch, sends: &[bool]) {
        if !is(FaultInjection::AcknowledgeBeforeCommit) {
            return;
        }
        for ((_, answer), _) in batch.answers.iter_mut().zip(sends).filter(|(_, is_send)| **is_send) {
            let failed = |code| matches!(code, ErrorCode::Unavailable | ErrorCode::StorageFull);
            if answer.as_ref().is_err_and(|refusal| failed(refusal.code)) {
                *answer = Ok(OperationResult::Sent { room: RoomId(1), seq: Seq(1_000_000), repeated: false });
            }
        }
    }

    /// One event in a thousand, always the same ones.
    pub(crate) fn is_unlucky(event: &Event) -> bool {
        let mixed =
            (event.room.0 << 40 ^ event.seq.0 << 20 ^ event.at.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32).is_multiple_of(1000)
    }

    /// Whether it has been sent before.
    pub(crate) fn is_retry(user: UserId, key: &ClientMessageId) -> bool {
        SENT.with_borrow_mut(|sent| !sent.insert((user, key.clone())))
    }
}
