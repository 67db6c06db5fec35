//! Where a statement begins and ends.

use super::{
    Lexer, Mode, Ready,
    bytes::{Class, class, wide_blank},
    sqlite::Trigger,
};
use crate::{
    dialect::Dialect,
    scan::{Effect, Place, classify::Token},
};

impl Lexer {
    /// The first token of a statement fixes its place.
    pub(super) fn begin_token(&mut self) {
        if self.first_token.is_none() {
            self.begin_text();
            self.first_token = Some(self.count_to_here());
        }
    }

    pub(super) fn begin_text(&mut self) {
        if self.text_start.is_none() {
            self.text_start = Some(self.at);
            self.text_place = self.count_to_here();
        }
    }

    pub(super) fn count_to_here(&mut self) -> Place {
        self.counted.advance(&self.buffer, self.at);
        self.place(self.at)
    }

    pub(super) fn record(&mut self, token: Token) {
        if self.depth > 0 {
            return;
        }
        self.head.push(token);
        if self.routine {
            match self.dialect {
                Dialect::PostgreSql => {}
                Dialect::MySql | Dialect::MariaDb => self.mysql.blocks.other(),
                Dialect::Sqlite => self.trigger.token(token),
            }
        }
    }

    /// Ends the statement before `end`; nothing when it is empty.
    pub(super) fn end_statement(&mut self, end: usize) -> Option<Ready> {
        let place = self.first_token.take();
        let start = self.text_start.take();
        let effect = self.head.effect(self.dialect);
        let is_set = self.head.is_set();
        let sets_strings = is_set && self.head.sets_conforming_strings();
        self.head.clear();
        self.routine = false;
        self.after_begin = false;
        self.trigger = Trigger::None;
        self.mysql.blocks.clear();
        let (place, start) = (place?, start?);
        let end = start + trimmed_length(&self.buffer[start..end]);
        if sets_strings {
            self.conforming_strings = !ends_with_off(&self.buffer[start..end]);
        }
        if is_set && self.dialect.is_mysql_like() {
            self.mysql.read_set(&self.buffer[start..end]);
        }
        if effect == Effect::CopyFromStdin {
            self.copy_place = place;
            self.mode = Mode::CopyLine { comment: false };
        }
        let text_place = self.text_place;
        Some(Ready::Statement { text: start..end, text_place, place, effect })
    }
}

fn trimmed_length(text: &[u8]) -> usize {
    let mut length = text.len();
    loop {
        let before = length;
        while length > 0 && class(text[length - 1]) == Class::Blank {
            length -= 1;
        }
        for wide in [2, 3] {
            if length >= wide && wide_blank(&text[length - wide..length]) == Some(wide) {
                length -= wide;
            }
        }
        if length == before {
            return length;
        }
    }
}

/// Whether a SET of a boolean turns it off.
fn ends_with_off(statement: &[u8]) -> bool {
    let statement = statement.trim_ascii_end();
    let statement = statement.strip_suffix(b"'").unwrap_or(statement);
    ["off", "false", "no", "0"].iter().any(|word| {
        statement.len() >= word.len()
            && statement[statement.len() - word.len()..].eq_ignore_ascii_case(word.as_bytes())
    })
}
