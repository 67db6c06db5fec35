//! The data folder: used as it is, or made anew.

use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;

use super::{Cluster, Say};
use crate::configuration::{CONFIGURATION, data_version};
use crate::fetch::{self, FETCHED_VERSION};
use crate::installation::{self, BinarySource, Installation, Origin};
use crate::{PostgresError, Progress, ServerUser, secret, sql};

const INITDB_DEADLINE: Duration = Duration::from_secs(120);

impl Cluster {
    /// Makes sure that there is data and a program that can serve it. The flag says that the data is new.
    pub(super) async fn provide_data(&self, say: Say<'_>) -> Result<(Installation, bool), PostgresError> {
        let data = self.home.data();
        let major = data_version(&data).filter(|_| self.home.superuser_password().exists());
        let installations = self.installations().await?;
        if let Some(major) = major {
            if let Some(found) = installations.iter().find(|installation| installation.version.major == major)
            {
                return Ok((found.clone(), false));
            }
            say(Progress::Discarded { reason: format!("no program of PostgreSQL {major} is here any more") });
        } else if data.exists() {
            say(Progress::Discarded { reason: "it is not whole".to_owned() });
        }
        let installation = match installations.into_iter().next() {
            Some(installation) => installation,
            None => self.fetch(say).await?,
        };
        self.stop_server(say).await?;
        self.home.discard_data().map_err(PostgresError::Files)?;
        self.initialise(&installation, say).await?;
        Ok((installation, true))
    }

    /// The programs that are here already, best first.
    async fn installations(&self) -> Result<Vec<Installation>, PostgresError> {
        if let BinarySource::Folder(folder) = &self.source {
            return Ok(vec![Installation::load(folder.clone(), Origin::Installed, self.user()).await?]);
        }
        let mut candidates = Vec::new();
        if self.source == BinarySource::InstalledOrFetched {
            let found = installation::find_installed(std::env::var_os("PATH").as_deref());
            candidates.extend(found.into_iter().map(|folder| (folder, Origin::Installed)));
        }
        let fetched = fetch::cache_folder(self.user()).ok().and_then(|cache| fetch::find_fetched(&cache));
        candidates.extend(fetched.map(|folder| (folder, Origin::Fetched)));
        let mut installations = Vec::new();
        for (folder, origin) in candidates {
            // Programs that the server's user cannot run do not count.
            match Installation::load(folder, origin, self.user()).await {
                Ok(installation) => installations.push(installation),
                Err(error) => tracing::debug!(%error, "passing over a PostgreSQL"),
            }
        }
        Ok(installations)
    }

    async fn fetch(&self, say: Say<'_>) -> Result<Installation, PostgresError> {
        say(Progress::Fetching { version: FETCHED_VERSION });
        let folder = fetch::fetch(&fetch::cache_folder(self.user())?).await?;
        Installation::load(folder, Origin::Fetched, self.user()).await
    }

    /// Runs initdb beside the data folder and renames the result: a killed run leaves no half data folder.
    async fn initialise(&self, installation: &Installation, say: Say<'_>) -> Result<(), PostgresError> {
        let user = match self.user() {
            ServerUser::Ourselves => None,
            ServerUser::Named { name, .. } => Some(name.clone()),
        };
        say(Progress::Initialising { version: installation.version.clone(), user });
        let password = secret::generate().map_err(PostgresError::Files)?;
        let unfinished = self.home.fresh_unfinished_data().map_err(PostgresError::Files)?;
        let password_file = self.home.run().join("initdb.password");
        secret::store(&password_file, &password)
            .and_then(|()| self.home.give_to_server(&password_file))
            .map_err(PostgresError::Files)?;
        let run = self.home.run();
        let initdb = installation.program("initdb", self.user(), &run, INITDB_DEADLINE);
        let pgdata = format!("--pgdata={}", unfinished.display());
        let pwfile = format!("--pwfile={}", password_file.display());
        let username = format!("--username={}", sql::SUPERUSER);
        let settled = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"];
        let arguments = [&*pgdata, &pwfile, &username].into_iter().chain(settled);
        let result = initdb.run(&arguments.map(AsRef::as_ref).collect::<Vec<_>>()).await;
        fs_err::remove_file(&password_file).map_err(PostgresError::Files)?;
        result?;
        self.finish_data(&unfinished, &password).map_err(PostgresError::Files)
    }

    fn finish_data(&self, unfinished: &Path, password: &SecretString) -> std::io::Result<()> {
        let configuration = unfinished.join("postgresql.conf");
        let mut text = fs_err::read_to_string(&configuration)?;
        text.push_str(&format!("\ninclude_if_exists = '{CONFIGURATION}'\n"));
        fs_err::write(&configuration, text)?;
        // The password first: data without one would be thrown away, a password without data is replaced.
        secret::store(&self.home.superuser_password(), password)?;
        fs_err::rename(unfinished, self.home.data())
    }
}
