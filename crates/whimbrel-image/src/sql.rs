//! The SQL set: every script of every database, by the path that it has in the image.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Digest, Digester};

/// The scripts of all databases. The order of insertion leaves no trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SqlSet {
    files: BTreeMap<(String, String), SqlFile>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SqlFile {
    bytes: Arc<[u8]>,
    digest: Digest,
    origin: String,
}

/// Two locations of one database hold different scripts under one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{database}: `{path}` is in {first} and, with other content, in {second}")]
pub struct SqlConflict {
    /// The database that both locations belong to.
    pub database: String,
    /// The path of the script inside its location.
    pub path: String,
    /// The location that was read first.
    pub first: String,
    /// The location that disagrees with it.
    pub second: String,
}

impl SqlSet {
    /// Adds a script. `path` is relative to its location and uses `/`; `origin` names the location in messages.
    pub fn insert(
        &mut self,
        database: &str,
        path: &str,
        bytes: impl Into<Arc<[u8]>>,
        origin: &str,
    ) -> Result<(), SqlConflict> {
        let bytes = bytes.into();
        let file = SqlFile { digest: Digest::of(&bytes), bytes, origin: origin.to_owned() };
        let key = (database.to_owned(), path.to_owned());
        match self.files.get(&key) {
            Some(other) if other.digest != file.digest => Err(SqlConflict {
                database: key.0,
                path: key.1,
                first: other.origin.clone(),
                second: file.origin,
            }),
            Some(_) => Ok(()),
            None => {
                self.files.insert(key, file);
                Ok(())
            }
        }
    }

    /// Every script as (database, path, bytes), sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &[u8])> {
        self.files.iter().map(|((database, path), file)| (database.as_str(), path.as_str(), &*file.bytes))
    }

    /// The databases that have at least one script, sorted.
    #[must_use]
    pub fn databases(&self) -> Vec<&str> {
        let mut databases: Vec<&str> = self.files.keys().map(|(database, _)| database.as_str()).collect();
        databases.dedup();
        databases
    }

    /// How many scripts there are; the side files with a script's settings are not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.keys().filter(|(_, path)| !path.ends_with(".conf")).count()
    }

    /// Whether there is no file at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The digest of the whole set: of the lines `<hex>  <database>/<path>`, sorted, as `sha256sum` prints them.
    /// It does not depend on the machine, on the locations' names or on the form of the layer.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut digester = Digester::default();
        for ((database, path), file) in &self.files {
            digester.feed(format!("{}  {database}/{path}\n", file.digest.hex()).as_bytes());
        }
        digester.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn same_name_with_other_content_is_a_conflict() {
        let mut set = SqlSet::default();
        set.insert("app", "V1__a.sql", b"select 1".to_vec(), "one").unwrap();
        set.insert("app", "V1__a.sql", b"select 1".to_vec(), "two").unwrap();
        let conflict = set.insert("app", "V1__a.sql", b"select 2".to_vec(), "three").unwrap_err();
        assert_eq!((conflict.first.as_str(), conflict.second.as_str()), ("one", "three"));
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn side_files_are_carried_and_not_counted() {
        let mut set = SqlSet::default();
        set.insert("app", "V1__a.sql", b"select 1".to_vec(), "x").unwrap();
        let before = set.digest();
        set.insert("app", "V1__a.sql.conf", b"executeInTransaction=false".to_vec(), "x").unwrap();
        assert_eq!((set.len(), set.iter().count()), (1, 2));
        assert_ne!(set.digest(), before);
    }

    #[test]
    fn digest_is_what_sha256sum_of_a_listing_gives() {
        let mut set = SqlSet::default();
        set.insert("app", "V1__a.sql", b"select 1;\n".to_vec(), "x").unwrap();
        let line = format!("{}  app/V1__a.sql\n", Digest::of(b"select 1;\n").hex());
        assert_eq!(set.digest(), Digest::of(line.as_bytes()));
    }

    proptest! {
        #[test]
        fn order_of_insertion_leaves_no_trace(
            files in proptest::collection::btree_map("[a-z]{1,4}/[A-Z][0-9]__[a-z]{1,5}", ".{0,20}", 0..12),
            seed in any::<u64>(),
        ) {
            let mut shuffled: Vec<_> = files.iter().collect();
            shuffled.sort_by_key(|(path, _)| Digest::of(format!("{seed}{path}").as_bytes()));
            let fill = |entries: &mut dyn Iterator<Item = (&String, &String)>| {
                let mut set = SqlSet::default();
                for (path, content) in entries {
                    let (database, path) = path.split_once('/').unwrap();
                    set.insert(database, path, content.clone().into_bytes(), "x").unwrap();
                }
                set
            };
            let sorted = fill(&mut files.iter());
            let other = fill(&mut shuffled.into_iter());
            prop_assert_eq!(sorted.digest(), other.digest());
            prop_assert_eq!(sorted, other);
        }
    }
}
