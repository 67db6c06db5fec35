//! What is known about the statements of scripts: each script is read for it once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::directive::Directives;
use whimbrel_migration::scan::{FactsReader, ScanError, ScanFacts};
use whimbrel_migration::script::ScriptId;

use crate::set::{ScriptSet, SetError};

/// What was found out so far.
#[derive(Default)]
pub(super) struct Facts {
    known: HashMap<ScriptId, (ScanFacts, Directives)>,
}

impl Facts {
    /// What was found out about a script, if anybody looked.
    pub(super) fn known(&self, id: ScriptId) -> Option<&ScanFacts> {
        self.known.get(&id).map(|(facts, _)| facts)
    }

    /// What the statements of a script are, and how it says that it wants to be run.
    pub(super) fn of(
        &mut self,
        set: &ScriptSet,
        dialect: Dialect,
        id: ScriptId,
    ) -> Result<&(ScanFacts, Directives), SetError> {
        match self.known.entry(id) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => Ok(unknown.insert(read(set, dialect, id)?)),
        }
    }
}

fn read(set: &ScriptSet, dialect: Dialect, id: ScriptId) -> Result<(ScanFacts, Directives), SetError> {
    let script = || set.script(id).script.clone();
    let unreadable = |error| SetError::of_source(error, &script());
    let (head, mut source) = set.source(id)?.begin().map_err(unreadable)?;
    // Before anything runs: a script that nobody could limit must not be found halfway.
    let directives = Directives::parse(&head).map_err(|error| error.to_finding().in_script(script()))?;
    let mut reader = FactsReader::new(dialect);
    let cannot_be_cut = |error: ScanError| error.to_finding().in_script(script());
    while let Some(text) = source.next().map_err(unreadable)? {
        reader.feed(text.as_bytes()).map_err(cannot_be_cut)?;
    }
    Ok((reader.finish().map_err(cannot_be_cut)?, directives))
}
