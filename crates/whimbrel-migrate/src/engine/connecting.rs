//! Sessions: how they are named, waited for, and what each of them begins with.

use std::time::{Duration, Instant};

use whimbrel_database::{ConnectSettings, Session};

use crate::failure::Failure;
use crate::patience::Patience;
use crate::report::{Event, Level, Reporter};
use crate::set::{self, BuiltIns};
use crate::settings::{CommonSettings, DatabaseSettings};

/// A line about waiting is enough so often.
pub(crate) const SAY_AGAIN: Duration = Duration::from_secs(5);

/// `initSql`, with the placeholders that are known before anything was found out about the database.
pub(super) async fn begin_with_init_sql(
    session: &mut Session,
    settings: &DatabaseSettings,
) -> Result<(), Failure> {
    let Some(sql) = &settings.init_sql else { return Ok(()) };
    let facts = session.facts();
    let built_ins = BuiltIns {
        schema: settings.schema.clone().or_else(|| facts.schema.clone()).unwrap_or_default(),
        user: facts.user.clone(),
        database: facts.database.clone(),
        table: settings.table.clone(),
    };
    let sql = set::replaced(settings, &built_ins, sql)?;
    session
        .begin_with(&sql)
        .await
        .map_err(Failure::database("run the SQL that every session begins with (initSql)"))
}

/// How a second session is opened that looks from beside; its name says what for.
pub(super) fn beside(common: &CommonSettings, purpose: &str) -> ConnectSettings {
    ConnectSettings::once(format!("{} {purpose}", application_name(common)))
}

/// The name that the server's views show.
fn application_name(common: &CommonSettings) -> String {
    format!("whimbrel-migrate/{} run={}", env!("CARGO_PKG_VERSION"), common.run_id)
}

pub(crate) async fn connect(
    settings: &DatabaseSettings,
    common: &CommonSettings,
    reporter: &Reporter,
    patience: &mut Patience,
) -> Result<Session, Failure> {
    let connect = ConnectSettings { wait: common.wait, ..ConnectSettings::once(application_name(common)) };
    let mut said: Option<Instant> = None;
    let session = Session::connect(&settings.target, &connect, |retry| {
        if said.is_some_and(|said| said.elapsed() < SAY_AGAIN) {
            return;
        }
        said = Some(Instant::now());
        let message = format!(
            "waiting for {}: {} ({}); {} of {} s",
            settings.target,
            retry.error.kind_in_words(),
            retry.error.cause,
            retry.waited.as_secs(),
            common.wait.as_secs()
        );
        reporter.line(Level::Warn, Event::Waiting).database(&settings.name).say(&message);
    });
    Ok(patience.wait_for(session).await??)
}
