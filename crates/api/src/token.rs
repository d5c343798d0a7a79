//! Session tokens. The server stores only their hashes; the reasons are in `docs/adr/0003-sessions.md`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::TokenHash;
use sha2::{Digest, Sha256};

/// 256 random bits as 43 characters of base64url. Shown once, to its owner.
pub(crate) struct Token(String);

impl Token {
    /// A new token from the system's random source. Fails if that source does.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Token(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// A token that a client sent, if it has the form of one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        // Decoded to check its form. Each token has one encoding, so that the text can be hashed unchanged.
        (URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) == Ok(32)).then(|| Token(text.to_owned()))
    }

    /// The hash that is stored. SHA-256 suffices: a slow hash protects guessable secrets, and 256 random bits cannot be guessed.
    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_random_and_has_one_spelling() {
        let (one, other) = (Token::new().unwrap(), Token::new().unwrap());
        assert_ne!(one.as_str(), other.as_str());
        assert_eq!(one.as_str().len(), 43);
        assert_eq!(Token::parse(one.as_str()).unwrap().hash(), one.hash());
        assert_ne!(one.hash(), other.hash());
        let last = one.as_str().chars().last().unwrap();
        // The last character carries four bits; the two spare ones must be clear.
        assert!("AEIMQUYcgkosw048".contains(last));
        let respelled = format!("{}B", &one.as_str()[..42]);
        for bad in [
            "",
            "abc",
            &one.as_str()[1..],
            &format!("{}=", one.as_str()),
            &respelled,
            &"+".repeat(43),
            &"A".repeat(100_000),
        ] {
            assert!(Token::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn token_hash_is_sha256_of_the_text() {
        // printf 'AAAA…' (43 times A) | sha256sum
        let token = Token::parse(&"A".repeat(43)).unwrap();
        let hex: String = token.hash().0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0f007385b6f9d4b7eeb2748605afe1a984a0a3bfa3f014d09e2a784ce9e5cd1a");
    }
}
