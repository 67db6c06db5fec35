//! Statements that change rows: the same words on every engine.

use super::{Impact, Lock, Reversal, Work};
use crate::statement::Cursor;

/// UPDATE, DELETE, INSERT and MERGE: what they take is the engine's own.
pub(super) fn impact(mut cursor: Cursor<'_, '_>, lock: Lock, source: &'static str) -> Option<Impact> {
    if cursor.eat("UPDATE") {
        cursor.eat_any(&["ONLY", "LOW_PRIORITY", "IGNORE"]);
        let table = cursor.name();
        let (what, work) =
            if cursor.has("WHERE") { ("UPDATE", Work::Rows) } else { ("UPDATE of all rows", Work::EveryRow) };
        return Some(
            Impact::new(what, lock, work, source)
                .on(table)
                .reversal(Reversal::LosesData)
                .advice("whoever changes the same rows waits until the script is committed"),
        );
    }
    if cursor.eat("DELETE") {
        cursor.eat_any(&["FROM", "ONLY", "LOW_PRIORITY", "QUICK", "IGNORE"]);
        let table = cursor.name();
        let (what, work) =
            if cursor.has("WHERE") { ("DELETE", Work::Rows) } else { ("DELETE of all rows", Work::EveryRow) };
        return Some(Impact::new(what, lock, work, source).on(table).reversal(Reversal::LosesData));
    }
    if cursor.eat("INSERT") || cursor.eat("REPLACE") {
        cursor.eat_any(&["INTO", "IGNORE", "LOW_PRIORITY", "DELAYED"]);
        return Some(Impact::new("INSERT", lock, Work::Rows, source).on(cursor.name()));
    }
    if cursor.eat("MERGE") {
        cursor.eat_any(&["INTO", "ONLY"]);
        return Some(
            Impact::new("MERGE", lock, Work::Rows, source).on(cursor.name()).reversal(Reversal::LosesData),
        );
    }
    None
}
