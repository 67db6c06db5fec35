//! How far a container's log was told, so that it can be asked for again without doubling or losing a line.
//!
//! The API serves a log from a whole second on, so every new stream overlaps the last one. Timestamps have nanoseconds but
//! need not be unique, nor strictly rising (a container's stdout and stderr are stamped by two writers). So for the
//! youngest seconds the lines are counted per exact timestamp: the n-th line of a stamp is new when fewer than n were told.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, Unit};

/// How far out of order two writers of one log may be.
const DISORDER: SignedDuration = SignedDuration::from_secs(1);

/// What was told of one container's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    last: Option<Timestamp>,
    told: BTreeMap<Timestamp, u32>,
}

/// One reading of the log, from [`Cursor::since`] on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    since: Option<Timestamp>,
    /// The last line told before this reading: while its stamp has not come again, the overlap is unproven.
    resumed_at: Option<Timestamp>,
    seen: BTreeMap<Timestamp, u32>,
}

/// What a line is, compared with what was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// To be told.
    New,
    /// To be told, although the reading did not begin with what was told last: lines between the two stamps may be lost.
    NewAfterHole {
        /// The last line told before.
        after: Timestamp,
    },
    /// Told before.
    Double,
}

impl Cursor {
    /// The whole second to ask from; `None` as long as nothing was told.
    pub fn since(&self) -> Option<Timestamp> {
        self.last.map(oldest_of_interest)
    }

    /// When the last told line was printed.
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// A new reading, to be asked for from [`Cursor::since`].
    pub fn resume(&self) -> Reading {
        Reading { since: self.since(), resumed_at: self.last, seen: BTreeMap::new() }
    }

    /// Classifies the next line of a reading and remembers it.
    pub fn arrive(&mut self, reading: &mut Reading, time: Timestamp) -> Arrival {
        // A server that ignores the asked second serves everything again.
        if reading.since.is_some_and(|since| time < since) {
            return Arrival::Double;
        }
        let seen = reading.seen.entry(time).or_default();
        *seen += 1;
        let told = self.told.entry(time).or_default();
        if *seen <= *told {
            if reading.resumed_at.is_some_and(|last| time >= last) {
                reading.resumed_at = None;
            }
            return Arrival::Double;
        }
        *told = *seen;
        self.advance(reading, time);
        match reading.resumed_at.take_if(|last| time > *last) {
            Some(after) => Arrival::NewAfterHole { after },
            None => Arrival::New,
        }
    }

    fn advance(&mut self, reading: &mut Reading, time: Timestamp) {
        if self.last.is_some_and(|last| time <= last) {
            return;
        }
        self.last = Some(time);
        let oldest = oldest_of_interest(time);
        forget_before(&mut self.told, oldest);
        forget_before(&mut reading.seen, oldest);
    }
}

fn forget_before(counts: &mut BTreeMap<Timestamp, u32>, oldest: Timestamp) {
    if counts.first_key_value().is_some_and(|(time, _)| *time < oldest) {
        *counts = counts.split_off(&oldest);
    }
}

fn oldest_of_interest(last: Timestamp) -> Timestamp {
    let floor = floor_to_second(last);
    floor.checked_sub(DISORDER).unwrap_or(floor)
}

/// The beginning of the second; the API rounds what it is given, and would round up.
pub fn floor_to_second(time: Timestamp) -> Timestamp {
    let floor = jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor);
    time.round(floor).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + millis).unwrap()
    }

    fn read(cursor: &mut Cursor, stamps: &[i64]) -> Vec<Arrival> {
        let mut reading = cursor.resume();
        stamps.iter().map(|stamp| cursor.arrive(&mut reading, at(*stamp))).collect()
    }

    #[test]
    fn equal_stamps_are_told_apart_by_count() {
        use Arrival::{Double, New};
        let mut cursor = Cursor::default();
        assert_eq!(read(&mut cursor, &[1, 1, 1]), [New, New, New]);
        assert_eq!(read(&mut cursor, &[1, 1, 1, 1, 2]), [Double, Double, Double, New, New]);
    }

    #[test]
    fn a_late_line_of_the_other_writer_is_told_once() {
        use Arrival::{Double, New};
        let mut cursor = Cursor::default();
        assert_eq!(read(&mut cursor, &[990, 1010]), [New, New]);
        assert_eq!(read(&mut cursor, &[990, 1010, 995, 1020]), [Double, Double, New, New]);
        assert_eq!(read(&mut cursor, &[990, 1010, 995, 1020]), [Double; 4]);
    }

    #[test]
    fn the_asked_second_is_floored_and_leaves_room_for_disorder() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.since(), None);
        read(&mut cursor, &[1999]);
        assert_eq!(cursor.since(), Some(at(0)));
        assert_eq!(floor_to_second(at(1999)), at(1000));
    }

    #[test]
    fn a_server_that_ignores_the_asked_second_doubles_nothing() {
        use Arrival::{Double, New};
        let mut cursor = Cursor::default();
        assert_eq!(read(&mut cursor, &[0, 5000]), [New, New]);
        assert_eq!(read(&mut cursor, &[0, 5000, 6000]), [Double, Double, New]);
    }

    #[test]
    fn a_reading_that_does_not_meet_the_last_line_shows_a_hole() {
        let mut cursor = Cursor::default();
        read(&mut cursor, &[0]);
        assert_eq!(read(&mut cursor, &[900, 901]), [Arrival::NewAfterHole { after: at(0) }, Arrival::New]);
    }

    #[test]
    fn memory_holds_the_youngest_seconds_only() {
        let mut cursor = Cursor::default();
        let stamps: Vec<i64> = (0..100_000).collect();
        read(&mut cursor, &stamps);
        assert!(cursor.told.len() <= 2000, "{}", cursor.told.len());
    }
}
