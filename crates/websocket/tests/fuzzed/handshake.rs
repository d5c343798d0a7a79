//! Properties of the opening handshake for any input of the peer.

use std::str::from_utf8;

use arbitrary::{Arbitrary, Unstructured};
use teahouse_websocket::handshake::{
    ClientRequest, ResponseError, Upgrade, accept_key, check_response, client_key, head_len,
};

/// Asserts the properties of both sides for the case that `data` encodes.
pub(crate) fn hold(data: &[u8]) {
    match Case::arbitrary_take_rest(Unstructured::new(data)) {
        Ok(Case::Request(request)) => check_request(&request),
        Ok(Case::Response { key, offered, splices }) => check_response_mutation(key, &offered, &splices),
        Ok(Case::RoundTrip { nonce, protocols }) => check_round_trip(nonce, &protocols),
        Err(_) => {}
    }
}

#[derive(Arbitrary, Debug)]
enum Case<'a> {
    /// A server parses a request.
    Request(Request<'a>),
    /// A client parses a response.
    Response { key: [u8; 16], offered: Vec<&'a str>, splices: Vec<Splice<'a>> },
    /// A server parses the request of this crate's client, and the client parses the response.
    RoundTrip { nonce: [u8; 16], protocols: Vec<&'a str> },
}

/// A mutation of a valid response.
#[derive(Arbitrary, Debug)]
struct Splice<'a> {
    at: u8,
    cut: u8,
    insert: &'a [u8],
}

#[derive(Arbitrary, Debug)]
struct Request<'a> {
    another_method: Option<&'a str>,
    another_version: Option<(u8, u8)>,
    edits: Vec<Edit<'a>>,
}

/// A mutation of a valid request. Random bytes alone would never form one.
#[derive(Arbitrary, Debug)]
enum Edit<'a> {
    Drop { which: u8 },
    Replace { which: u8, value: Value<'a> },
    Add { name: Name<'a>, value: Value<'a> },
}

/// A relevant header name, in upper or lower case, or any other name.
#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Known { which: u8, upper_case: bool },
    Other(&'a str),
}

/// The valid value of that header, the valid value between other bytes, or any bytes.
#[derive(Arbitrary, Debug)]
enum Value<'a> {
    Valid,
    Among { before: &'a [u8], after: &'a [u8] },
    Other(&'a [u8]),
}

const KNOWN: [(&str, &str); 6] = [
    ("host", "chat.example"),
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-protocol", "teahouse.v1.json"),
];

impl Name<'_> {
    /// The name, and a valid value for element.
    fn spelled(&self) -> (String, &'static str) {
        match self {
            Name::Known { which, upper_case } => {
                let (name, valid) = KNOWN[usize::from(*which) % KNOWN.len()];
                (if *upper_case { name.to_ascii_uppercase() } else { name.to_owned() }, valid)
            }
            Name::Other(name) => ((*name).to_owned(), "websocket"),
        }
    }
}

impl Value<'_> {
    fn spelled(&self, valid: &str) -> Vec<u8> {
        match self {
            Value::Valid => valid.as_bytes().to_vec(),
            Value::Among { before, after } => [before, valid.as_bytes(), after].concat(),
            Value::Other(value) => value.to_vec(),
        }
    }
}

impl Request<'_> {
    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let valid = KNOWN.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let mut headers = Vec::from(valid);
        for edit in &self.edits {
            match edit {
                Edit::Drop { which } => {
                    let which = usize::from(*which) % KNOWN.len();
                    headers.retain(|(name, _)| !name.eq_ignore_ascii_case(KNOWN[which].0));
                }
                Edit::Replace { which, value } => {
                    let (name, valid) = KNOWN[usize::from(*which) % KNOWN.len()];
                    let of_name = headers.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name));
                    if let Some((_, old)) = of_name {
                        *old = value.spelled(valid);
                    }
                }
                Edit::Add { name, value } => {
                    let (name, valid) = name.spelled();
                    headers.push((name, value.spelled(valid)));
                }
            }
        }
        headers
    }
}

/// The rules of RFC 6455, 4.2.1, in a direct and slow implementation.
fn is_upgrade(method: &str, version: (u8, u8), headers: &[(String, Vec<u8>)]) -> bool {
    let all = |name: &str| -> Vec<&[u8]> {
        let of_name = headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.trim_ascii()).collect()
    };
    let elements = |name: &str| -> Vec<Vec<u8>> {
        let lists = all(name).join(&b","[..]);
        let trimmed = lists.split(|&byte| byte == b',').map(|element| element.trim_ascii().to_vec());
        trimmed.filter(|element| !element.is_empty()).collect()
    };
    let has =
        |name: &str, token: &[u8]| elements(name).iter().any(|element| element.eq_ignore_ascii_case(token));
    let is_token = |element: &Vec<u8>| {
        element.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
    };
    method == "GET"
        && version >= (1, 1)
        && all("host").len() == 1
        && has("upgrade", b"websocket")
        && has("connection", b"upgrade")
        && all("sec-websocket-version") == [b"13"]
        && matches!(all("sec-websocket-key")[..], [key] if is_key(key))
        && elements("sec-websocket-protocol").iter().all(is_token)
}

/// 22 digits and padding: 16 bytes and four unused bits, which may be set.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key[..22].iter().all(is_digit) && key[22..] == *b"=="
}

fn check_request(request: &Request<'_>) {
    let method = request.another_method.unwrap_or("GET");
    let version = request.another_version.unwrap_or((1, 1));
    let headers = request.headers();
    let given = headers.iter().map(|(name, value)| (name.as_str(), &value[..]));
    let result = Upgrade::check(method, version, given);
    assert_eq!(result.is_ok(), is_upgrade(method, version, &headers), "{result:?}");
    match result {
        Ok(upgrade) => {
            for chosen in [None].into_iter().chain(upgrade.protocols.iter().map(Some)) {
                let response = response(&upgrade.accept_key(), chosen);
                let info =
                    check_response(&response, upgrade.key, &upgrade.protocols).expect("a valid response");
                assert_eq!(info.protocol, chosen.copied());
            }
        }
        Err(error) => assert!(matches!(error.status(), 400 | 405 | 426)),
    }
}

/// The response of a server that upgrades.
fn response(accept: &str, protocol: Option<&&str>) -> Vec<u8> {
    let protocol = protocol.map_or(String::new(), |element| format!("Sec-WebSocket-Protocol: {element}\r\n"));
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    format!("{head}Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n").into_bytes()
}

fn check_response_mutation(key: [u8; 16], offered: &[&str], splices: &[Splice<'_>]) {
    let key = client_key(key);
    // Random bytes never match a key, so a placeholder is replaced by the accept key after the mutations.
    let mut head = response("$accept", offered.first());
    for splice in splices {
        let at = usize::from(splice.at).min(head.len());
        let end = (at + usize::from(splice.cut)).min(head.len());
        head.splice(at..end, splice.insert.iter().copied());
    }
    let head = replaced(&head, b"$accept", accept_key(&key).as_bytes());
    if let Some(len) = head_len(&head) {
        assert!(head[..len].ends_with(b"\r\n\r\n"));
        assert_eq!(head_len(&head[..len - 1]), None, "the head ends at the first blank line");
    }
    let head = &head[..head_len(&head).unwrap_or(head.len())];
    let Ok(info) = check_response(head, &key, offered) else { return };
    let text = from_utf8(head).expect("an accepted head is text");
    assert!(text.starts_with("HTTP/1.1 101"));
    assert!(text.contains(&accept_key(&key)), "the accept key is missing");
    if let Some(protocol) = info.protocol {
        assert!(offered.contains(&protocol), "{protocol} was not offered");
    }
    let another = client_key(*b"another nonce...");
    let result = check_response(head, &another, offered);
    assert!(key == another || result == Err(ResponseError::Accept), "the response matches any key");
}

fn replaced(text: &[u8], pattern: &[u8], by: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(pattern) {
            Some(after) => {
                out.extend_from_slice(by);
                rest = after;
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

fn check_round_trip(nonce: [u8; 16], protocols: &[&str]) {
    let is_token = |name: &&&str| {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !name.is_empty() && name.bytes().all(valid)
    };
    let protocols: Vec<&str> = protocols.iter().filter(is_token).copied().collect();
    let key = client_key(nonce);
    let request = ClientRequest { host: "h", path: "/ws", key: &key, protocols: &protocols, headers: &[] };
    let bytes = request.encode();
    assert_eq!(head_len(&bytes), Some(bytes.len()));
    let text = from_utf8(&bytes).expect("the request is text");
    let headers = text.lines().filter_map(|line| line.split_once(": "));
    let upgrade = Upgrade::check("GET", (1, 1), headers.map(|(name, value)| (name, value.as_bytes())));
    assert_eq!(upgrade, Ok(Upgrade { key: &key, protocols }));
}
