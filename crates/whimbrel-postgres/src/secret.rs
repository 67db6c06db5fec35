//! The superuser's password: made here, kept in a file that only we can read.

use fs_err::os::unix::fs::OpenOptionsExt;
use std::io::{self, Read, Write};
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

/// A new password of 192 random bits.
pub(crate) fn generate() -> io::Result<SecretString> {
    Ok(SecretString::from(random_hex(24)?))
}

/// Random bytes of the operating system, as hexadecimal digits.
pub(crate) fn random_hex(bytes: usize) -> io::Result<String> {
    let mut buffer = vec![0; bytes];
    fs_err::File::open("/dev/urandom")?.read_exact(&mut buffer)?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a secret to a file of mode 0600, whole or not at all.
pub(crate) fn store(path: &Path, secret: &SecretString) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file =
        fs_err::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(secret.expose_secret().as_bytes())?;
    file.sync_all()?;
    fs_err::rename(&unfinished, path)
}

/// Reads a secret back.
pub(crate) fn load(path: &Path) -> io::Result<SecretString> {
    fs_err::read_to_string(path).map(SecretString::from)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_file_is_for_its_owner_only_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let secret = generate().unwrap();
        store(&path, &secret).unwrap();
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load(&path).unwrap().expose_secret(), secret.expose_secret());
        assert_eq!(secret.expose_secret().len(), 48);
    }
}
