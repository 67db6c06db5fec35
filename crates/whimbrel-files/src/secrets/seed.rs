//! The seed of a checkout: made once, and read ever after.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use whimbrel_contract::generate::Seed;

use super::write::{WriteError, write_new_file};

/// The seed could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The file could not be read.
    #[error("cannot read the seed")]
    Read(#[source] io::Error),
    /// The file holds something else.
    #[error("{} is not a seed; values made from another would differ, so it is left alone", .path.display())]
    NotASeed {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("cannot get random bytes")]
    Random(#[source] io::Error),
    /// The file could not be written.
    #[error("cannot write the seed")]
    Write(#[source] WriteError),
}

/// The seed in this file, when there is one.
///
/// # Errors
/// When the file cannot be read or holds something else.
pub fn find_seed(path: &Path) -> Result<Option<Seed>, SeedError> {
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SeedError::Read(error)),
    };
    let seed = decode_hex(text.trim()).and_then(|bytes| Seed::from_bytes(&bytes));
    seed.map(Some).ok_or_else(|| SeedError::NotASeed { path: path.to_owned() })
}

/// The seed in this file, made with random bytes when there is none. Two processes that make it at
/// once get the same one.
///
/// # Errors
/// When the file can neither be read nor made.
pub fn load_or_create_seed(path: &Path) -> Result<Seed, SeedError> {
    if let Some(seed) = find_seed(path)? {
        return Ok(seed);
    }
    let mut bytes = [0u8; Seed::LENGTH];
    fs_err::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(SeedError::Random)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).chain(["\n".to_owned()]).collect();
    match write_new_file(path, text.as_bytes()) {
        Ok(_) => {}
        Err(error) => return Err(SeedError::Write(error)),
    }
    // Another process may have been first: what is in the file counts.
    find_seed(path)?.ok_or_else(|| SeedError::NotASeed { path: path.to_owned() })
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use whimbrel_contract::generate::password;

    #[test]
    fn a_seed_is_made_once_and_kept_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/seed");
        assert!(find_seed(&path).unwrap().is_none());
        let of = |seed: &Seed| password(seed, "orders").expose_secret().to_owned();
        let first = of(&load_or_create_seed(&path).unwrap());
        assert_eq!(of(&load_or_create_seed(&path).unwrap()), first);
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let other = load_or_create_seed(&folder.path().join("other")).unwrap();
        assert_ne!(of(&other), first);
    }

    #[test]
    fn something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "not hexadecimal", "abcd", "é"] {
            let path = folder.path().join("seed");
            fs_err::write(&path, text).unwrap();
            assert!(matches!(load_or_create_seed(&path), Err(SeedError::NotASeed { .. })));
            assert_eq!(fs_err::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn makers_at_the_same_time_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seed");
        let all: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let seed = load_or_create_seed(&path).unwrap();
                        password(&seed, "orders").expose_secret().to_owned()
                    })
                })
                .collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert_eq!(all.len(), 1);
    }
}
