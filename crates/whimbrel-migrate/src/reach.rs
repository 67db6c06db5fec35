//! `ping` and `wait`: verbs that need a server and no scripts.

use std::time::{Duration, Instant};

use serde::Serialize;
use whimbrel_database::Session;
use whimbrel_migration::finding::Finding;
use whimbrel_migration::history::{History, RowType};
use whimbrel_migration::settings::Settings;
use whimbrel_migration::sql::TableName;
use whimbrel_migration::state::{Overview, State};
use whimbrel_migration::version::Version;

use crate::engine::{SAY_AGAIN, connect};
use crate::failure::Failure;
use crate::patience::Patience;
use crate::report::{Event, Level, Reporter};
use crate::settings::{CommonSettings, DatabaseSettings};

/// The pause between two looks at the history.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What `ping` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PingReport {
    /// Where: host, port and database.
    pub target: String,
    /// What kind of server.
    pub engine: String,
    /// Its version.
    pub server_version: String,
    /// The role.
    pub user: String,
    /// The schema that unqualified names are made in.
    pub schema: Option<String>,
    /// Whether nothing can be written.
    pub read_only: bool,
    /// How long connecting and one question took.
    pub millis: u64,
}

/// What `wait` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitReport {
    /// The version that was waited for.
    pub wanted: String,
    /// The version of the database.
    pub version: Option<String>,
    /// How long it took.
    pub waited_millis: u64,
}

/// Connects, asks one question, and goes.
pub async fn ping(
    settings: &DatabaseSettings,
    common: &CommonSettings,
    reporter: &Reporter,
    mut patience: Patience,
) -> Result<PingReport, Failure> {
    let started = Instant::now();
    let session = connect(settings, common, reporter, &mut patience).await?;
    let facts = session.facts();
    let report = PingReport {
        target: settings.target.to_string(),
        engine: facts.dialect.name().to_owned(),
        server_version: facts.server_version.clone(),
        user: facts.user.clone(),
        schema: facts.schema.clone(),
        read_only: facts.read_only,
        millis: millis(started),
    };
    session.close().await;
    Ok(report)
}

/// Waits until the database has at least the version that was asked for. A database that is not there yet is waited
/// for as well.
pub async fn wait(
    settings: &DatabaseSettings,
    common: &CommonSettings,
    reporter: &Reporter,
    mut patience: Patience,
) -> Result<WaitReport, Failure> {
    let started = Instant::now();
    let Some(wanted) = common.request.wait_for.clone() else {
        let finding = Finding::error("target-unknown", "no version was named to wait for");
        return Err(finding.next_step("wait --for-version VERSION").into());
    };
    let mut session = connect(settings, common, reporter, &mut patience).await?;
    let mut said: Option<Instant> = None;
    loop {
        let version = current_version(&mut session, settings).await?;
        if version.as_ref().is_some_and(|version| *version >= wanted) {
            let version = version.map(|version| version.as_str().to_owned());
            session.close().await;
            let wanted = wanted.as_str().to_owned();
            return Ok(WaitReport { wanted, version, waited_millis: millis(started) });
        }
        let waited = started.elapsed();
        if waited >= common.wait {
            session.close().await;
            return Err(Failure::NotYet { wanted, version, waited });
        }
        if said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            said = Some(Instant::now());
            let at = crate::report::version(version.as_ref().map(Version::as_str));
            let message = format!(
                "waiting for version {wanted}; the database is at {at}; {} of {} s",
                waited.as_secs(),
                common.wait.as_secs()
            );
            reporter.line(Level::Info, Event::Waiting).database(&settings.name).say(&message);
        }
        patience.sleep(LOOK_AGAIN.min(common.wait - waited)).await?;
    }
}

/// The highest version that was applied, succeeded, and was not taken away.
async fn current_version(
    session: &mut Session,
    settings: &DatabaseSettings,
) -> Result<Option<Version>, Failure> {
    let facts = session.facts();
    let Some(schema) = settings.schema.clone().or_else(|| facts.schema.clone()) else { return Ok(None) };
    let table = TableName::new(session.dialect(), schema, settings.table.clone());
    let rows = session.read_history(&table).await.map_err(Failure::database("read the schema history"))?;
    let history = History::read(rows.unwrap_or_default())?;
    let settings = Settings::default();
    let overview = Overview::build(&[], &history, &settings)?;
    let counts = |row: &&whimbrel_migration::state::InfoRow<'_>| {
        !matches!(row.state, State::Deleted | State::Undone)
            && row.applied.is_some_and(|row| row.success && row.row_type != RowType::Delete)
    };
    Ok(overview.rows().iter().filter(counts).filter_map(|row| row.version).max().cloned())
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
