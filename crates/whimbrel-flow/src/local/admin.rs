//! The superuser's work on the server that is ours: roles, databases, snapshots, taking back.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use whimbrel_database::{ConnectError, ConnectSettings, DatabaseError, Session, Target, TlsMode};
use whimbrel_migration::history::HistoryRow;
use whimbrel_migration::sql::TableName;
use whimbrel_postgres::{Server, sql};

use super::takeback::{AppliedScript, Base, Snapshot};

const SNAPSHOT_PREFIX: &str = "whimbrel_snapshot_";
/// How long closed connections may take to go away.
const EXCLUSIVE_DEADLINE: Duration = Duration::from_secs(10);
const APPLICATION: &str = "whimbrel up";

/// Why the server did not do what we wanted.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No connection.
    #[error("cannot connect to the local server")]
    Connect(#[from] ConnectError),
    /// A statement failed.
    #[error("cannot {what}")]
    Statement {
        /// What it was to do.
        what: String,
        /// What the server said.
        #[source]
        source: DatabaseError,
    },
    /// A project's database would be called as one of ours.
    #[error("a local database cannot be called {name}: the local server uses that name itself")]
    ReservedName {
        /// The name.
        name: String,
    },
    /// Connections to a database were closed and did not go away.
    #[error("connections to {database} did not end within {} s", EXCLUSIVE_DEADLINE.as_secs())]
    StillConnected {
        /// The database.
        database: String,
    },
}

/// A database on the local server, its owner and the owner's password.
#[derive(Clone, Debug)]
pub struct LocalDatabase {
    /// The database's name in the project.
    pub database: String,
    /// Its name on the server.
    pub name: String,
    /// The role that owns it.
    pub role: String,
    /// The role's password.
    pub password: SecretString,
    /// The schema of its history, where the project names one.
    pub schema: Option<String>,
}

/// What a snapshot's comment says.
#[derive(Serialize, Deserialize)]
struct SnapshotNote {
    whimbrel_snapshot_of: String,
    applied: Vec<AppliedScript>,
}

/// A superuser's session.
pub struct Admin {
    session: Session,
    port: u16,
}

impl Admin {
    /// Connects to the server.
    pub async fn connect(server: &Server) -> Result<Self, AdminError> {
        let (user, password) = server.superuser();
        let target = local_target(server.port, sql::MAINTENANCE_DATABASE, user, password.clone());
        let settings =
            ConnectSettings { wait: Duration::from_secs(10), ..ConnectSettings::once(APPLICATION) };
        let mut admin =
            Self { session: Session::connect(&target, &settings, |_| {}).await?, port: server.port };
        admin.run("prepare the session", sql::KEEP_STATEMENTS_OUT_OF_THE_LOG).await?;
        Ok(admin)
    }

    /// Makes what is missing of roles and databases; returns the names of the databases that were made.
    pub async fn provision(&mut self, wanted: &[LocalDatabase]) -> Result<Vec<String>, AdminError> {
        let reserved = |name: &str| matches!(name, sql::SUPERUSER | sql::MAINTENANCE_DATABASE | "template0");
        if let Some(bad) = wanted.iter().find(|database| {
            reserved(&database.name) || reserved(&database.role) || database.name.starts_with(SNAPSHOT_PREFIX)
        }) {
            return Err(AdminError::ReservedName { name: bad.name.clone() });
        }
        let roles: Vec<String> = self.column("list the roles", sql::LIST_ROLES).await?;
        let rows = self.query("list the databases", sql::LIST_DATABASES).await?;
        let present: BTreeMap<&str, (&str, bool)> = rows
            .iter()
            .filter_map(|row| match row.as_slice() {
                [Some(name), Some(owner), Some(open), ..] => Some((&**name, (&**owner, open == "t"))),
                _ => None,
            })
            .collect();
        let mut made = Vec::new();
        for database in wanted {
            let LocalDatabase { name, role, password, .. } = database;
            if !roles.contains(role) {
                self.make(format!("make the role {role}"), &sql::create_role(role)).await?;
            }
            let statement = sql::set_password(role, password);
            self.run(format!("set the password of {role}"), statement.expose_secret()).await?;
            match present.get(name.as_str()) {
                None => {
                    let statement = sql::create_database(name, role);
                    self.make(format!("make the database {name}"), &statement).await?;
                    made.push(database.database.clone());
                }
                Some((owner, open)) => {
                    if owner != role {
                        self.run(format!("give {name} to {role}"), &sql::set_owner(name, role)).await?;
                    }
                    // A take-back that was killed has left the door locked.
                    if !open {
                        self.run(format!("open {name}"), &sql::allow_connections(name, true)).await?;
                    }
                }
            }
        }
        Ok(made)
    }

    /// The history of a database; none where nothing was applied yet.
    pub async fn history(&self, database: &LocalDatabase) -> Result<Vec<HistoryRow>, AdminError> {
        let target = local_target(self.port, &database.name, &database.role, database.password.clone());
        let mut session = Session::connect(&target, &ConnectSettings::once(APPLICATION), |_| {}).await?;
        let schema = database.schema.as_deref().or(session.facts().schema.as_deref()).unwrap_or("public");
        let table = TableName::new(session.dialect(), schema, whimbrel_migration::history::DEFAULT_TABLE);
        let rows = session.read_history(&table).await;
        session.close().await;
        let failed =
            |source| AdminError::Statement { what: format!("read the history of {}", database.name), source };
        Ok(rows.map_err(failed)?.unwrap_or_default())
    }

    /// The snapshots of a database, oldest first.
    pub async fn snapshots(&mut self, database: &LocalDatabase) -> Result<Vec<Snapshot>, AdminError> {
        let all = self.all_snapshots().await?;
        Ok(all.into_iter().filter(|(of, _)| *of == database.name).map(|(_, snapshot)| snapshot).collect())
    }

    /// Copies a database as it is now. Returns how many connections of others were closed for it.
    pub async fn snapshot(
        &mut self,
        database: &LocalDatabase,
        applied: &[AppliedScript],
    ) -> Result<usize, AdminError> {
        let copy = self.free_snapshot_name().await?;
        let what = format!("copy {} to {copy}", database.name);
        let closed = self.lock_out(&database.name).await?;
        let result = self.run(what, &sql::copy_database(&copy, &database.name, sql::SUPERUSER)).await;
        self.run(format!("open {}", database.name), &sql::allow_connections(&database.name, true)).await?;
        result?;
        let note = SnapshotNote { whimbrel_snapshot_of: database.name.clone(), applied: applied.to_owned() };
        // Plain data: names and numbers.
        let note = serde_json::to_string(&note).unwrap_or_default();
        self.run(format!("describe {copy}"), &sql::comment_on_database(&copy, &note)).await?;
        self.run(format!("close {copy}"), &sql::allow_connections(&copy, false)).await?;
        Ok(closed)
    }

    /// Puts a database back to an earlier state. Returns how many connections of others were closed for it.
    pub async fn take_back(&mut self, database: &LocalDatabase, base: &Base) -> Result<usize, AdminError> {
        let LocalDatabase { name, role, .. } = database;
        let closed = self.lock_out(name).await?;
        self.run(format!("drop {name}"), &sql::drop_database(name)).await?;
        let statement = match base {
            Base::Empty => sql::create_database(name, role),
            Base::Snapshot(snapshot) => sql::copy_database(name, snapshot, role),
        };
        self.run(format!("make {name} again"), &statement).await?;
        Ok(closed)
    }

    /// Drops snapshots by name.
    pub async fn drop_snapshots(&mut self, names: &[&str]) -> Result<(), AdminError> {
        for name in names {
            self.run(format!("drop {name}"), &sql::drop_database(name)).await?;
        }
        Ok(())
    }

    /// Drops copies that a killed run left without a description.
    pub async fn sweep_unfinished(&mut self) -> Result<(), AdminError> {
        let described: Vec<String> =
            self.all_snapshots().await?.into_iter().map(|(_, snapshot)| snapshot.name).collect();
        let names: Vec<String> = self.column("list the databases", sql::LIST_DATABASES).await?;
        let lost = names.iter().filter(|name| name.starts_with(SNAPSHOT_PREFIX) && !described.contains(name));
        let lost: Vec<&str> = lost.map(String::as_str).collect();
        self.drop_snapshots(&lost).await
    }

    /// Ends the session.
    pub async fn close(self) {
        self.session.close().await;
    }

    async fn all_snapshots(&mut self) -> Result<Vec<(String, Snapshot)>, AdminError> {
        let rows = self.query("list the databases", sql::LIST_DATABASES).await?;
        let mut snapshots: Vec<(u64, String, Snapshot)> = rows
            .into_iter()
            .filter_map(|mut row| {
                let comment = row.get_mut(3)?.take()?;
                let name = row.get_mut(0)?.take()?;
                let number = name.strip_prefix(SNAPSHOT_PREFIX)?.parse().ok()?;
                let note: SnapshotNote = serde_json::from_str(&comment).ok()?;
                Some((number, note.whimbrel_snapshot_of, Snapshot { name, applied: note.applied }))
            })
            .collect();
        snapshots.sort_by_key(|(number, ..)| *number);
        Ok(snapshots.into_iter().map(|(_, of, snapshot)| (of, snapshot)).collect())
    }

    async fn free_snapshot_name(&mut self) -> Result<String, AdminError> {
        let names: Vec<String> = self.column("list the databases", sql::LIST_DATABASES).await?;
        let numbers = names.iter().filter_map(|name| name.strip_prefix(SNAPSHOT_PREFIX)?.parse::<u64>().ok());
        Ok(format!("{SNAPSHOT_PREFIX}{}", numbers.max().unwrap_or(0) + 1))
    }

    /// Closes the database to everybody, ends the connections that are there, and waits until they are gone.
    async fn lock_out(&mut self, name: &str) -> Result<usize, AdminError> {
        let what = || format!("close {name} to others");
        self.run(what(), &sql::allow_connections(name, false)).await?;
        let deadline = Instant::now() + EXCLUSIVE_DEADLINE;
        let mut closed = 0;
        loop {
            closed += self.query(what(), &sql::terminate_connections(name)).await?.len();
            let left = self.column(what(), &sql::count_connections(name)).await?;
            if left.first().is_none_or(|count| count == "0") {
                return Ok(closed);
            }
            if Instant::now() >= deadline {
                self.run(what(), &sql::allow_connections(name, true)).await?;
                return Err(AdminError::StillConnected { database: name.to_owned() });
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn column(&mut self, what: impl Into<String>, statement: &str) -> Result<Vec<String>, AdminError> {
        let rows = self.query(what, statement).await?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    async fn run(&mut self, what: impl Into<String>, statement: &str) -> Result<(), AdminError> {
        self.query(what, statement).await.map(drop)
    }

    /// Makes what was not there a moment ago. The server finishes what a killed run of ours had begun, so that it may
    /// be there now; its names belong to us, and so it is the same thing.
    async fn make(&mut self, what: String, statement: &str) -> Result<(), AdminError> {
        match self.run(what, statement).await {
            Err(AdminError::Statement { source, .. }) if is_there_already(&source) => Ok(()),
            result => result,
        }
    }

    async fn query(
        &mut self,
        what: impl Into<String>,
        statement: &str,
    ) -> Result<Vec<whimbrel_database::Row>, AdminError> {
        self.session
            .query(statement)
            .await
            .map_err(|source| AdminError::Statement { what: what.into(), source })
    }
}

fn local_target(port: u16, database: &str, user: &str, password: SecretString) -> Target {
    let mut target =
        Target::from_parts("127.0.0.1", Some(port), Some(database)).with_user(user).with_password(password);
    // The server listens on this machine only and has no certificate.
    target.tls = TlsMode::Disable;
    target
}

/// Twice the same database (42P04) or role (42710); at the same time, the catalogue's index finds it first (23505).
fn is_there_already(error: &DatabaseError) -> bool {
    error.sqlstate().is_some_and(|state| ["42P04", "42710", "23505"].contains(&state))
}
