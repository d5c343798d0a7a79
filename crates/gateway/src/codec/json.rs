//! `teahouse.v1.json`: a text message is one command, or an array of them.

use domain::CommandError;
use protocol::{CommandEnvelope, FrameError, Limits, Welcome};

use super::{Charge, Decoded};
use crate::encoding::json_frame;
use crate::operations::ClientRequest;

pub(super) fn on_connect(welcome: Welcome) -> Vec<Decoded> {
    vec![Decoded::Frames(json_frame(&protocol::ServerFrame::from(welcome)))]
}

pub(super) fn decode(text: &str, body_limit: u32, charge: Charge<'_>) -> Vec<Decoded> {
    let commands = match protocol::parse_frame(text, body_limit) {
        Ok(commands) => commands,
        Err(error) => return vec![rejected(FrameError { id: None, ..error })],
    };
    debug_assert!(commands.len() <= Limits::FRAME_COMMANDS);
    let decode = |parsed| match parsed {
        Ok(CommandEnvelope { id, command }) => match charge(command.row().rate) {
            Ok(()) => Decoded::Request { id, request: ClientRequest::Command(command) },
            Err(wait) => Decoded::RateLimited { id, wait },
        },
        Err(error) => rejected(error),
    };
    commands.into_iter().map(decode).collect()
}

fn rejected(FrameError { id, code, message }: FrameError) -> Decoded {
    Decoded::Error { id, error: CommandError { code, message } }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::RateClass;
    use protocol::{Command, ErrorCode};

    use super::*;

    #[test]
    fn command_beyond_its_rate_is_limited_and_others_are_not() {
        let wait = Duration::from_millis(70);
        let mut charge = |class| if class == RateClass::Typing { Err(wait) } else { Ok(()) };
        let frame = r#"[{"type":"typing","id":1,"room":"r1"},{"type":"ping","id":2},{"type":"brew","id":3}]"#;
        let decoded = decode(frame, 100, &mut charge);
        let [
            Decoded::RateLimited { id: Some(one), wait: waits },
            Decoded::Request { id: Some(two), request: ClientRequest::Command(Command::Ping(_)) },
            Decoded::Error { id: Some(three), error },
        ] = &decoded[..]
        else {
            panic!("{decoded:?}");
        };
        assert_eq!((one.0, two.0, three.0), (1, 2, 3));
        assert_eq!((*waits, error.code), (wait, ErrorCode::UnknownType));
    }
}
