//! Injected faults, each of which violates a promise, to test that the checks detect violations. Compiled only with the feature
//! `fault-injection`, which no release build has. `TEAHOUSE_FAULT_INJECTION` selects one fault for the process; a test selects one
//! for its thread. The eighth, `synchronous-normal`, is implemented by the store (`crates/storage-sqlite/src/open.rs`).

#[cfg_attr(
    not(feature = "fault-injection"),
    expect(dead_code, reason = "without the feature, the code that injects some of them is not compiled")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultInjection {
    /// Requests are acknowledged even if the commit fails.
    AcknowledgeBeforeCommit,
    /// Catch-up pages omit one event in a thousand.
    DropOnResume,
    /// A repeated send is stored again.
    DeliverTwiceOnRetry,
    /// Adjacent events of a batch are delivered in the wrong order.
    SwapNeighbors,
    /// A removed user keeps receiving events of the room.
    DeliverAfterRemoval,
    /// A gap is not reported.
    ForgetGap,
    /// An appended event does not start a fan-out.
    LoseWakeUp,
}

/// Constant without the feature, so that the checks cost nothing.
#[cfg(not(feature = "fault-injection"))]
pub(crate) const fn is(_: FaultInjection) -> bool {
    false
}

#[cfg(feature = "fault-injection")]
pub(crate) use selected::*;

#[cfg(feature = "fault-injection")]
mod selected {
    use std::cell::{Cell, RefCell};
    use std::collections::HashSet;
    use std::sync::OnceLock;

    use domain::{Operation, OperationResult, Request};
    use protocol::{ClientMessageId, ErrorCode, Event, RoomId, Seq, UserId};
    use storage::Batch;

    use super::FaultInjection;

    const NAMES: [(&str, FaultInjection); 7] = [
        ("acknowledge-before-commit", FaultInjection::AcknowledgeBeforeCommit),
        ("drop-on-resume", FaultInjection::DropOnResume),
        ("deliver-twice-on-retry", FaultInjection::DeliverTwiceOnRetry),
        ("swap-neighbors", FaultInjection::SwapNeighbors),
        ("deliver-after-removal", FaultInjection::DeliverAfterRemoval),
        ("forget-gap", FaultInjection::ForgetGap),
        ("lose-wake-up", FaultInjection::LoseWakeUp),
    ];

    thread_local! {
        static OF_THREAD: Cell<Option<FaultInjection>> = const { Cell::new(None) };
        static SENT: RefCell<HashSet<(UserId, ClientMessageId)>> = RefCell::default();
    }

    pub(crate) fn is_named() -> bool {
        let name = std::env::var("TEAHOUSE_FAULT_INJECTION").unwrap_or_default();
        // Implemented by the store.
        name == "synchronous-normal" || NAMES.iter().any(|(known, _)| *known == name)
    }

    /// Whether this fault is selected: for the thread by a test, or else for the process by the environment.
    pub(crate) fn is(fault_injection: FaultInjection) -> bool {
        static OF_PROCESS: OnceLock<Option<FaultInjection>> = OnceLock::new();
        let of_process = OF_PROCESS.get_or_init(|| {
            let name = std::env::var("TEAHOUSE_FAULT_INJECTION").ok()?;
            tracing::warn!(%name, "this server has an injected fault");
            NAMES.iter().find(|(known, _)| *known == name).map(|(_, fault_injection)| *fault_injection)
        });
        OF_THREAD.get().or(*of_process) == Some(fault_injection)
    }

    #[cfg(test)]
    pub(crate) fn select(fault_injection: Option<FaultInjection>) {
        OF_THREAD.set(fault_injection);
        SENT.take();
    }

    pub(crate) fn sends(requests: &[Request]) -> Vec<bool> {
        requests
            .iter()
            .map(|request| matches!(request.operation, Operation::Send(domain::Send { .. })))
            .collect()
    }

    /// Replaces failures of sends by acknowledgements, as a writer that does not wait for the commit would.
    pub(crate) fn acknowledge(batch: &mut Batch, sends: &[bool]) {
        if !is(FaultInjection::AcknowledgeBeforeCommit) {
            return;
        }
        for ((_, answer), _) in batch.replies.iter_mut().zip(sends).filter(|(_, is_send)| **is_send) {
            let failed = |code| matches!(code, ErrorCode::Unavailable | ErrorCode::StorageFull);
            if answer.as_ref().is_err_and(|rejection| failed(rejection.code)) {
                *answer = Ok(OperationResult::Send(domain::SentMessage {
                    room: RoomId(1),
                    seq: Seq(1_000_000),
                    repeated: false,
                }));
            }
        }
    }

    /// Selects one event in a thousand, deterministically.
    pub(crate) fn is_selected(event: &Event) -> bool {
        let mixed =
            (event.room.0 << 40 ^ event.seq.0 << 20 ^ event.at.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32).is_multiple_of(1000)
    }

    pub(crate) fn is_retry(user: UserId, key: &ClientMessageId) -> bool {
        SENT.with_borrow_mut(|sent| !sent.insert((user, key.clone())))
    }
}
