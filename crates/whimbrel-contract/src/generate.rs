//! Values for a local database: the same each time for one seed.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::{Credentials, DatabaseContract, KeyRole};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PASSWORD_LENGTH: usize = 24;

/// The random bytes of a checkout, from which all its local values follow.
#[derive(Clone)]
pub struct Seed(Vec<u8>);

impl Seed {
    /// How many bytes a new seed has.
    pub const LENGTH: usize = 32;

    /// A seed; none when there are fewer than sixteen bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= 16).then(|| Self(bytes.to_vec()))
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// The password of a database: 24 letters and digits.
pub fn password(seed: &Seed, database: &str) -> SecretString {
    let mut password = String::with_capacity(PASSWORD_LENGTH);
    for block in 0u32.. {
        let label =
            [b"whimbrel local password 1\0", database.as_bytes(), b"\0", &block.to_be_bytes()].concat();
        // The last bytes would make the first letters likelier.
        let letters = hmac_sha256(&seed.0, &label).into_iter().filter(|byte| *byte < 248);
        let left = PASSWORD_LENGTH - password.len();
        password.extend(letters.take(left).map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
        if password.len() == PASSWORD_LENGTH {
            break;
        }
    }
    password.into()
}

/// The name of a database, and of the role that owns it, on a server that is ours: the project's
/// name with what SQL would want quoted replaced by `_`.
pub fn local_name(database: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = database.chars().map(plain).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// Credentials of a local database: name and role as [`local_name`], password from the seed.
pub fn local_credentials(seed: &Seed, database: &str, host: &str, port: u16) -> Credentials {
    let name = local_name(database);
    Credentials::new(host, port, name.clone(), name, Some(password(seed, database)))
}

/// Every value that a contract wants, by key. A JDBC URL is left out when the host is a socket.
pub fn values(contract: &DatabaseContract, credentials: &Credentials) -> BTreeMap<String, SecretString> {
    let value = |role| -> Option<SecretString> {
        match role {
            KeyRole::Url => Some(credentials.url()),
            KeyRole::Jdbc => credentials.jdbc_url(),
            KeyRole::Host => Some(credentials.host().into()),
            KeyRole::Port => Some(credentials.port().to_string().into()),
            KeyRole::Name => Some(credentials.name().into()),
            KeyRole::User => Some(credentials.user().into()),
            KeyRole::Password => credentials.password().cloned(),
        }
    };
    contract.keys().iter().filter_map(|(role, key)| Some((key.to_owned(), value(role)?))).collect()
}

/// RFC 2104 over SHA-256.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keys, Place, Values, resolve};
    use secrecy::ExposeSecret;
    use std::collections::BTreeSet;

    fn seed(byte: u8) -> Seed {
        Seed::from_bytes(&[byte; 32]).unwrap()
    }

    #[test]
    fn the_hash_is_the_one_of_rfc_4231() {
        let hex: String = hmac_sha256(b"Jefe", b"what do ya want for nothing?")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn passwords_follow_from_seed_and_database_alone() {
        let made = |byte, database| password(&seed(byte), database).expose_secret().to_owned();
        assert_eq!(made(1, "platform"), made(1, "platform"));
        let all: BTreeSet<_> =
            [made(1, "platform"), made(1, "threads"), made(2, "platform")].into_iter().collect();
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|p| p.len() == 24 && p.bytes().all(|b| b.is_ascii_alphanumeric())));
    }

    #[test]
    fn a_password_never_changes_between_versions() {
        // Databases that exist would no longer let their owners in.
        assert_eq!(password(&seed(7), "platform").expose_secret(), PINNED);
    }

    const PINNED: &str = "D9kfMmv3sBasidLkXY4mrovv";

    #[test]
    fn made_values_keep_the_contract() {
        let cnpg = Keys { url: Some("uri".into()), jdbc: Some("jdbc-uri".into()), ..Keys::default() };
        for keys in [cnpg, Keys::environment("agents_runtime"), Keys::conventional("agents_runtime")] {
            let contract = DatabaseContract::try_new("agents_runtime", "s", keys).unwrap();
            let made = local_credentials(&seed(1), "agents-runtime", "localhost", 5433);
            let values: Values = values(&contract, &made)
                .into_iter()
                .map(|(k, v)| (k, v.expose_secret().to_owned()))
                .collect();
            let resolved = resolve(&contract, &values, &Place::Environment).unwrap();
            assert_eq!(resolved.user(), "agents_runtime");
            assert_eq!(resolved.port(), 5433);
        }
    }
}
