//! A folder with a folder per secret and a file per key, as Kubernetes mounts them.

use std::io;
use std::path::Path;

use whimbrel_contract::{DatabaseContract, Observation, Observations, Place, SecretValue, Values};

/// Looks for the secrets of the contracts. Only the files that a contract names are read.
pub fn observe_folder(folder: &Path, contracts: &[DatabaseContract]) -> Observations {
    let mut observations = Observations::new(Place::Folder { path: folder.display().to_string() });
    for contract in contracts {
        // Two databases may share a secret and name other keys of it.
        let keys: Vec<&str> = contracts
            .iter()
            .filter(|other| other.secret() == contract.secret())
            .flat_map(|other| other.keys().iter().map(|(_, key)| key))
            .collect();
        let observation = observe_secret(&folder.join(contract.secret()), &keys);
        observations.secrets.insert(contract.secret().to_owned(), observation);
    }
    observations
}

fn observe_secret(folder: &Path, keys: &[&str]) -> Observation {
    match read_secret(folder, keys) {
        Ok(values) => Observation::Present { values, causes: Vec::new() },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Observation::Missing { causes: Vec::new() },
        Err(error) => super::unknown(&error),
    }
}

fn read_secret(folder: &Path, keys: &[&str]) -> io::Result<Values> {
    let mut values = Values::default();
    for entry in fs_err::read_dir(folder)? {
        // The name alone is kept, so that a misspelt key can be pointed out.
        if let Some(name) = entry?.file_name().to_str().filter(|name| !name.starts_with('.')) {
            values.insert(name, SecretValue::NotText);
        }
    }
    for key in keys {
        match read_file(&folder.join(key)) {
            Ok(bytes) => values.insert(*key, SecretValue::from_bytes(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(values)
}

/// Reading a pipe could take for ever.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if !fs_err::metadata(path)?.is_file() {
        return Err(io::Error::other(format!("{} is not a file", path.display())));
    }
    fs_err::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_contract::{Conclusion, Keys, check};

    fn contract() -> DatabaseContract {
        DatabaseContract::try_new("orders", "orders-db", Keys::conventional("orders")).unwrap()
    }

    fn slugs(folder: &Path) -> (Vec<&'static str>, Conclusion) {
        let report = check(&[contract()], &observe_folder(folder, &[contract()]));
        (report.findings.iter().map(|finding| finding.slug.as_str()).collect(), report.conclusion())
    }

    #[test]
    fn a_folder_without_the_secret_lacks_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(slugs(folder.path()), (vec!["secret-missing"], Conclusion::Unusable));
        assert_eq!(slugs(&folder.path().join("gone")).0, ["secret-missing"]);
    }

    #[test]
    fn each_key_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("orders-db");
        fs_err::create_dir(&secret).unwrap();
        fs_err::write(secret.join("ORDERS_DATABASE_URL"), "postgres://u:p@h/d").unwrap();
        fs_err::write(secret.join("ORDERS_DATABASE_USER"), "u").unwrap();
        fs_err::write(secret.join("orders-database-password"), "p").unwrap();
        let report = check(&[contract()], &observe_folder(folder.path(), &[contract()]));
        assert_eq!(report.findings.len(), 1);
        assert!(report.findings[0].next.contains("there is a key `orders-database-password`"));
        fs_err::write(secret.join("ORDERS_DATABASE_PASSWORD"), "p\n").unwrap();
        assert_eq!(slugs(folder.path()).0, ["value-whitespace"]);
        fs_err::write(secret.join("ORDERS_DATABASE_PASSWORD"), "p").unwrap();
        assert_eq!(slugs(folder.path()), (vec![], Conclusion::Clean));
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(folder.path().join("orders-db/ORDERS_DATABASE_URL")).unwrap();
        assert_eq!(slugs(folder.path()), (vec![], Conclusion::Unknown));
    }
}
