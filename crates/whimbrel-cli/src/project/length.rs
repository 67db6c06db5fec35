//! Lengths of time in the project file, written as on the command line: `"2s"`, `"10m"`.

use std::time::Duration;

use serde::{Deserialize as _, Deserializer, Serializer, de};

use crate::args::duration;

pub(super) fn serialize<S: Serializer>(length: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match length {
        Some(length) => serializer.serialize_str(&format!("{}ms", length.as_millis())),
        None => serializer.serialize_none(),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(&String::deserialize(deserializer)?).map(Some).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::project::ProjectFile;

    #[test]
    fn lengths_are_read_and_written() {
        let file: ProjectFile = toml::from_str("[migrate]\nlock_timeout = \"1.5s\"\n").unwrap();
        assert_eq!(file.migrate.lock_timeout, Some(Duration::from_millis(1500)));
        let again: ProjectFile = toml::from_str(&toml::to_string(&file).unwrap()).unwrap();
        assert_eq!(again, file);
        let wrong = toml::from_str::<ProjectFile>("[migrate]\nlock_timeout = \"soon\"\n").unwrap_err();
        assert!(wrong.to_string().contains("duration"), "{wrong}");
    }
}
