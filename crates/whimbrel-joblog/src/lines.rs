//! Pieces of a stream to lines, and a line to its timestamp and text.

use jiff::Timestamp;

/// The longest line that is kept; what is longer is cut and says so. A runner's last line holds its whole record.
pub const LINE_LIMIT: usize = 1024 * 1024;

/// A line as it came, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawLine {
    /// The bytes that were kept.
    pub bytes: Vec<u8>,
    /// How many more there were.
    pub cut: usize,
}

/// Joins pieces and splits at line ends, in bounded memory.
#[derive(Debug, Clone, Default)]
pub struct Splitter {
    kept: Vec<u8>,
    cut: usize,
}

impl Splitter {
    /// Takes a piece, gives the lines that it completes.
    pub fn feed(&mut self, piece: &[u8]) -> Vec<RawLine> {
        let mut lines = Vec::new();
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.keep(&rest[..end]);
            lines.push(self.take());
            rest = &rest[end + 1..];
        }
        self.keep(rest);
        lines
    }

    /// What came after the last line end. Only a stream that was read to its proper end has a last line without one;
    /// of a broken stream this is a piece that will be served again.
    pub fn finish(mut self) -> Option<RawLine> {
        (!self.kept.is_empty() || self.cut > 0).then(|| self.take())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_LIMIT.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
        self.cut += bytes.len() - room;
    }

    fn take(&mut self) -> RawLine {
        RawLine { bytes: std::mem::take(&mut self.kept), cut: std::mem::take(&mut self.cut) }
    }
}

/// Splits `2026-01-01T00:00:00.123456789Z text`. A line without a timestamp is not the container's: the kubelet writes
/// its own complaints into the same stream.
pub fn parse_stamped(line: &[u8]) -> Option<(Timestamp, &[u8])> {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let stamp = std::str::from_utf8(&line[..end]).ok()?;
    // The parser also takes shorter forms; a container's own first word such as a bare date is not a timestamp.
    if !(stamp.contains('T') && stamp.len() >= 20) {
        return None;
    }
    let time = stamp.parse().ok()?;
    Some((time, line.get(end + 1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[RawLine]) -> Vec<String> {
        lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect()
    }

    #[test]
    fn pieces_are_joined_and_empty_lines_kept() {
        let mut splitter = Splitter::default();
        assert_eq!(texts(&splitter.feed(b"a")), Vec::<String>::new());
        assert_eq!(texts(&splitter.feed(b"b\n\nc\nd")), ["ab", "", "c"]);
        assert_eq!(splitter.finish().map(|line| line.bytes), Some(b"d".to_vec()));
    }

    #[test]
    fn a_huge_line_is_cut_and_the_next_one_is_whole() {
        let mut splitter = Splitter::default();
        for _ in 0..3 {
            assert!(splitter.feed(&vec![b'x'; LINE_LIMIT / 2]).is_empty());
        }
        let lines = splitter.feed(b"y\nnext\n");
        assert_eq!((lines[0].bytes.len(), lines[0].cut), (LINE_LIMIT, LINE_LIMIT / 2 + 1));
        assert_eq!(texts(&lines[1..]), ["next"]);
    }

    #[test]
    fn a_timestamp_ends_at_the_first_space() {
        let (time, text) = parse_stamped(b"2026-01-01T00:00:00.000000001Z  two  spaces").unwrap();
        assert_eq!(time.as_nanosecond() % 1_000_000_000, 1);
        assert_eq!(text, b" two  spaces");
        assert_eq!(parse_stamped(b"2026-01-01T01:00:00+01:00").unwrap().1, b"");
    }

    #[test]
    fn a_line_of_the_kubelet_has_no_timestamp() {
        assert_eq!(parse_stamped(b"unable to retrieve container logs for containerd://abc"), None);
        assert_eq!(parse_stamped(b""), None);
    }

    proptest::proptest! {
        #[test]
        fn pieces_make_the_same_lines_as_the_whole(text in "[ab\n]{0,40}", size in 1..9_usize) {
            let mut splitter = Splitter::default();
            let mut lines: Vec<RawLine> = text.as_bytes().chunks(size).flat_map(|piece| splitter.feed(piece)).collect();
            lines.extend(splitter.finish());
            let whole: Vec<&str> = text.lines().collect();
            proptest::prop_assert_eq!(texts(&lines), whole);
        }

        #[test]
        fn no_bytes_are_too_strange_for_a_timestamp(line in proptest::collection::vec(0..=255_u8, 0..40)) {
            if let Some((_, text)) = parse_stamped(&line) {
                proptest::prop_assert!(line.ends_with(text));
            }
        }
    }
}
