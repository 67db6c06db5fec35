//! SCRAM-SHA-256 (RFC 5802 and 7677), the client's half, as PostgreSQL has it: the name in it is empty.
//!
//! `postgres-protocol` has it too, and keys its HMAC anew for each of the password's 4096 rounds: a sixth of the
//! processor's time of a run with nothing to do. ring works the rounds off in a quarter of that.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SecureRandom as _;
use ring::{digest, hmac, pbkdf2, rand};
use secrecy::{ExposeSecret as _, SecretString};

/// The mechanisms' names.
pub(super) const PLAIN: &str = "SCRAM-SHA-256";
pub(super) const PLUS: &str = "SCRAM-SHA-256-PLUS";

/// More rounds than these are not the password's protection but somebody's who keeps us busy; the usual are 4096.
const MAX_ROUNDS: u32 = 100_000;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ScramError {
    #[error("no random bytes are to be had")]
    NoRandom,
    #[error("the server's answer is not SCRAM's")]
    Malformed,
    #[error("the server answered to somebody else's question")]
    ForeignNonce,
    #[error("the server wants {0} rounds for the password, more than {MAX_ROUNDS}")]
    TooManyRounds(u32),
    #[error("the server ended it: {0}")]
    Ended(String),
    #[error("its proof is wrong")]
    WrongProof,
}

/// What the login is bound to.
pub(super) enum Binding<'a> {
    /// The connection has nothing to be bound to.
    Unsupported,
    /// We could, and the server did not offer it. Said, so that a server which did offer it learns that somebody
    /// took the offer away.
    NotOffered,
    /// The hash of the certificate (`tls-server-end-point`).
    EndPoint(&'a [u8]),
}

impl Binding<'_> {
    /// How messages begin, and what is proven of the binding.
    fn header(&self) -> (&'static str, &[u8]) {
        match self {
            Self::Unsupported => ("n,,", &[]),
            Self::NotOffered => ("y,,", &[]),
            Self::EndPoint(hash) => ("p=tls-server-end-point,,", hash),
        }
    }
}

/// A login that has begun.
pub(super) struct Scram<'a> {
    binding: Binding<'a>,
    nonce: String,
    /// The first message without its header.
    bare: String,
}

/// What the server's last message has to prove.
pub(super) struct Expected {
    server_key: hmac::Key,
    conversation: String,
}

impl<'a> Scram<'a> {
    pub(super) fn new(binding: Binding<'a>) -> Result<Self, ScramError> {
        let mut nonce = [0; 18];
        rand::SystemRandom::new().fill(&mut nonce).map_err(|_| ScramError::NoRandom)?;
        Ok(Self::with(binding, "", STANDARD.encode(nonce)))
    }

    fn with(binding: Binding<'a>, name: &str, nonce: String) -> Self {
        let bare = format!("n={name},r={nonce}");
        Self { binding, nonce, bare }
    }

    /// The first message.
    pub(super) fn first(&self) -> String {
        format!("{}{}", self.binding.header().0, self.bare)
    }

    /// The message that answers the server's first one.
    pub(super) fn answer(
        self,
        password: &str,
        server_first: &[u8],
    ) -> Result<(String, Expected), ScramError> {
        let server_first = std::str::from_utf8(server_first).map_err(|_| ScramError::Malformed)?;
        let challenge = Challenge::parse(server_first)?;
        if !challenge.nonce.starts_with(&self.nonce) {
            return Err(ScramError::ForeignNonce);
        }
        let salted = hmac::Key::new(hmac::HMAC_SHA256, &challenge.salted(password));
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());

        let (header, bound) = self.binding.header();
        let proven = STANDARD.encode([header.as_bytes(), bound].concat());
        let without_proof = format!("c={proven},r={}", challenge.nonce);
        let conversation = format!("{},{server_first},{without_proof}", self.bare);
        let signature =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, stored_key.as_ref()), conversation.as_bytes());
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(key, signature)| key ^ signature)
            .collect();
        let server_key = hmac::sign(&salted, b"Server Key");
        Ok((
            format!("{without_proof},p={}", STANDARD.encode(proof)),
            Expected { server_key: hmac::Key::new(hmac::HMAC_SHA256, server_key.as_ref()), conversation },
        ))
    }
}

impl Expected {
    /// Whether the server knows the password too.
    pub(super) fn verify(&self, server_final: &[u8]) -> Result<(), ScramError> {
        let server_final = std::str::from_utf8(server_final).map_err(|_| ScramError::Malformed)?;
        if let Some(reason) = server_final.strip_prefix("e=") {
            return Err(ScramError::Ended(reason.to_owned()));
        }
        let signature = server_final.strip_prefix("v=").ok_or(ScramError::Malformed)?;
        let signature = signature.split(',').next().unwrap_or_default();
        let signature = STANDARD.decode(signature).map_err(|_| ScramError::Malformed)?;
        hmac::verify(&self.server_key, self.conversation.as_bytes(), &signature)
            .map_err(|_| ScramError::WrongProof)
    }
}

/// The server's first message.
struct Challenge<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    rounds: NonZeroU32,
}

impl<'a> Challenge<'a> {
    fn parse(text: &'a str) -> Result<Self, ScramError> {
        // Extensions come last and may be passed over; one that may not (`m=`) comes first.
        let mut parts = text.split(',');
        let mut part =
            |name| parts.next().and_then(|part| part.strip_prefix(name)).ok_or(ScramError::Malformed);
        let (nonce, salt, rounds) = (part("r=")?, part("s=")?, part("i=")?);
        let rounds = rounds.parse::<NonZeroU32>().map_err(|_| ScramError::Malformed)?;
        if rounds.get() > MAX_ROUNDS {
            return Err(ScramError::TooManyRounds(rounds.get()));
        }
        Ok(Self { nonce, salt: STANDARD.decode(salt).map_err(|_| ScramError::Malformed)?, rounds })
    }

    /// The salted password. That of the last login is remembered: a role has one salt in all databases of its server.
    fn salted(&self, password: &str) -> [u8; digest::SHA256_OUTPUT_LEN] {
        static LAST: Mutex<Option<Salted>> = Mutex::new(None);
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.as_ref().filter(|known| known.answers(password, self));
        if let Some(known) = known {
            return known.hash;
        }
        let prepared = stringprep::saslprep(password).unwrap_or_else(|_| password.into());
        let mut hash = [0; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, self.rounds, &self.salt, prepared.as_bytes(), &mut hash);
        *last =
            Some(Salted { password: password.into(), salt: self.salt.clone(), rounds: self.rounds, hash });
        hash
    }
}

/// A password, and what became of it.
struct Salted {
    password: SecretString,
    salt: Vec<u8>,
    rounds: NonZeroU32,
    hash: [u8; digest::SHA256_OUTPUT_LEN],
}

impl Salted {
    fn answers(&self, password: &str, challenge: &Challenge<'_>) -> bool {
        self.rounds == challenge.rounds
            && self.salt == challenge.salt
            && self.password.expose_secret() == password
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The conversation of RFC 7677, section 3.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn begun() -> Scram<'static> {
        Scram::with(Binding::Unsupported, "user", NONCE.to_owned())
    }

    fn refused(server_first: &str) -> Option<ScramError> {
        begun().answer("pencil", server_first.as_bytes()).err()
    }

    #[test]
    fn the_conversation_of_the_rfc() {
        assert_eq!(begun().first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (last, expected) = begun().answer("pencil", SERVER_FIRST.as_bytes()).expect("it is right");
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(expected.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
        assert_eq!(
            expected.verify(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
            Err(ScramError::WrongProof)
        );
        assert_eq!(expected.verify(b"v=6rri"), Err(ScramError::WrongProof));
        assert_eq!(expected.verify(b"e=other-error"), Err(ScramError::Ended("other-error".to_owned())));
        assert_eq!(expected.verify(b""), Err(ScramError::Malformed));
    }

    #[test]
    fn the_binding_is_part_of_what_is_proven() {
        let bound = Scram::with(Binding::EndPoint(b"hash"), "", NONCE.to_owned());
        assert_eq!(bound.first(), "p=tls-server-end-point,,n=,r=rOprNGfwEbeRWgbNEkqO");
        let (last, _) = bound.answer("pencil", SERVER_FIRST.as_bytes()).expect("it is right");
        assert!(last.starts_with("c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsaGFzaA==,"), "{last}");
        let aware = Scram::with(Binding::NotOffered, "", NONCE.to_owned());
        assert!(aware.first().starts_with("y,,"));
    }

    #[test]
    fn an_answer_that_is_not_scrams_is_refused() {
        assert_eq!(refused("r=somebody,s=W22Z,i=4096"), Some(ScramError::ForeignNonce));
        assert_eq!(refused("r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=0"), Some(ScramError::Malformed));
        assert_eq!(refused("r=rOprNGfwEbeRWgbNEkqO1,s=W22Z"), Some(ScramError::Malformed));
        assert_eq!(refused("r=rOprNGfwEbeRWgbNEkqO1,s=?,i=1"), Some(ScramError::Malformed));
        assert_eq!(refused("m=x,r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=1"), Some(ScramError::Malformed));
        assert_eq!(
            refused("r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=4000000000"),
            Some(ScramError::TooManyRounds(4_000_000_000))
        );
    }

    #[test]
    fn another_password_or_another_salt_is_salted_anew() {
        let last = |password, server_first: &str| {
            begun().answer(password, server_first.as_bytes()).map(|said| said.0)
        };
        let right = last("pencil", SERVER_FIRST);
        for (password, server_first) in [
            ("pencil2", SERVER_FIRST.to_owned()),
            ("pencil", SERVER_FIRST.replace("W22Z", "X22Z")),
            ("pencil", SERVER_FIRST.replace("i=4096", "i=4095")),
        ] {
            assert_ne!(last(password, &server_first), right);
            assert_eq!(last("pencil", SERVER_FIRST), right);
        }
    }

    #[test]
    fn two_logins_have_two_nonces() {
        let first = || Scram::new(Binding::Unsupported).map(|scram| scram.first());
        assert_ne!(first(), first());
        assert!(first().is_ok());
    }
}
