//! Laws of the scanner and of the checksum, on generated scripts.

use proptest::prelude::*;
use whimbrel_migration::{
    checksum::{self, Checksum},
    dialect::Dialect,
    scan::{Piece, Scanner},
};

/// Text, start, end, place of the first token, place of the text, effect.
type Found = (String, u64, u64, (u64, u64), (u64, u64), String);

/// Everything that came out, with COPY data joined, and the error at the end.
#[derive(Debug, PartialEq, Eq, Default)]
struct Scanned {
    statements: Vec<Found>,
    data: Vec<Vec<u8>>,
    error: Option<String>,
}

fn scan<'a>(dialect: Dialect, pieces: impl IntoIterator<Item = &'a [u8]>) -> Scanned {
    let mut scanner = Scanner::new(dialect);
    let mut scanned = Scanned::default();
    for piece in pieces {
        scanner.feed(piece);
        if !drain(&mut scanner, &mut scanned) {
            return scanned;
        }
    }
    scanner.finish();
    drain(&mut scanner, &mut scanned);
    scanned
}

fn drain(scanner: &mut Scanner, scanned: &mut Scanned) -> bool {
    loop {
        match scanner.next_piece() {
            Ok(None) => return true,
            Ok(Some(Piece::Statement(statement))) => {
                let place = (statement.place.line, statement.place.column);
                let text_place = (statement.text_place.line, statement.text_place.column);
                let effect = format!("{:?}", statement.effect);
                let (start, end) = (statement.start, statement.end);
                scanned.statements.push((statement.text.to_owned(), start, end, place, text_place, effect));
                scanned.data.push(Vec::new());
            }
            Ok(Some(Piece::CopyData(data))) => {
                scanned.data.last_mut().expect("a COPY came before").extend_from_slice(data);
            }
            Ok(Some(Piece::CopyEnd)) => {}
            Err(error) => {
                scanned.error = Some(format!("{error:?}"));
                return false;
            }
        }
    }
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![
        Just(Dialect::PostgreSql),
        Just(Dialect::MySql),
        Just(Dialect::MariaDb),
        Just(Dialect::Sqlite)
    ]
}

/// Scripts made of the parts that matter, for any engine.
fn script() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just("SELECT 1"),
        Just(";"),
        Just(";\n"),
        Just(" "),
        Just("\n"),
        Just("\r\n"),
        Just("'a;''b'"),
        Just("e'it\\'s;'"),
        Just("E'\\\\'"),
        Just("\"a;\"\"b\""),
        Just("$$;$$"),
        Just("$tag$ ; $ta$ $tag$"),
        Just("$1"),
        Just("$"),
        Just("-- c;\n"),
        Just("/* ; /* ; */ */"),
        Just("("),
        Just(")"),
        Just("CREATE FUNCTION f() BEGIN ATOMIC "),
        Just("CASE WHEN a THEN b END"),
        Just("END"),
        Just("BEGIN"),
        Just("COPY t FROM stdin;\n"),
        Just("1\t;'\n"),
        Just("\\.\n"),
        Just("\\restrict abc\n"),
        Just("\\d\n"),
        Just("VACUUM"),
        Just("é\u{a0}"),
        Just("\u{feff}"),
        Just("SET standard_conforming_strings = off;"),
        Just("'\\"),
        Just("'"),
        Just("\0"),
    ];
    let part = prop_oneof![2 => part, 1 => mysql_part()];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat().into_bytes())
}

fn mysql_part() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("DELIMITER $$\n"),
        Just("DELIMITER //\r\n"),
        Just("delimiter go\n"),
        Just("DELIMITER ;\n"),
        Just("DELIMITER"),
        Just("$$"),
        Just("//"),
        Just(" go "),
        Just("/*!50003 CREATE */"),
        Just("/*M!100100 SET a = ';' */"),
        Just("/*!"),
        Just("*/"),
        Just("# c;\n"),
        Just("--x"),
        Just("--\t;\n"),
        Just("'it\\';'"),
        Just("\"d\\\";\""),
        Just("`a;``b`"),
        Just("[a;b]"),
        Just("CREATE DEFINER=`a`@`b` PROCEDURE p() BEGIN "),
        Just("CREATE TRIGGER t AFTER INSERT ON u FOR EACH ROW BEGIN SELECT 1; END"),
        Just("IF a THEN b; END IF"),
        Just("CASE a WHEN b THEN c; END CASE"),
        Just("LOOP a; END LOOP"),
        Just("SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES';"),
        Just("(a, 'b;', \"c\", 4e5, e'f\\'', 1.e'g')"),
        Just("(a, b, c, d"),
        Just("a b c d e f g h i j k l m n o p q r s t u v w x y z "),
    ]
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for place in places {
        pieces.push(&bytes[from..place]);
        from = place;
    }
    pieces.push(&bytes[from..]);
    pieces
}

/// Whether a piece of a script is only blanks, comments, delimiters and passed-over commands. `delimiter` is
/// the one that holds at its beginning, and afterwards the one that holds at its end.
fn is_only_filling(dialect: Dialect, delimiter: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let mut script = Vec::new();
    // A byte order mark is one only at the very beginning.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if matches!(dialect, Dialect::MySql | Dialect::MariaDb) {
        script.extend_from_slice(b"DELIMITER ");
        script.extend_from_slice(delimiter);
        script.push(b'\n');
    }
    script.extend_from_slice(bytes);
    let lower = script.to_ascii_lowercase();
    if let Some(command) = memchr::memmem::rfind(&lower, b"delimiter ") {
        let rest = script[command + 10..].trim_ascii_start();
        *delimiter = rest.split(u8::is_ascii_whitespace).next().unwrap_or_default().to_vec();
    }
    let scanned = scan(dialect, [script.as_slice()]);
    scanned.statements.is_empty() && scanned.error.is_none()
}

/// The recorded scripts of every engine, and those that once taught us something.
fn corpus() -> &'static [Vec<u8>] {
    static CORPUS: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    CORPUS.get_or_init(|| {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/split");
        let mut scripts = Vec::new();
        for engine in ["postgresql", "mysql", "mariadb", "sqlite", "found"] {
            for entry in fs_err::read_dir(format!("{data}/{engine}")).expect("the folder is there") {
                scripts.push(fs_err::read(entry.expect("readable").path()).expect("readable"));
            }
        }
        scripts
    })
}

const CASES: u32 = 512;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_cut_anywhere_give_the_same_statements(
        dialect in dialect(),
        script in script(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        prop_assert_eq!(scan(dialect, cut(&script, &cuts)), scan(dialect, [script.as_slice()]),
            "{:?}", String::from_utf8_lossy(&script));
    }

    #[test]
    fn every_byte_alone_gives_the_same_statements(dialect in dialect(), script in script()) {
        prop_assert_eq!(scan(dialect, script.chunks(1)), scan(dialect, [script.as_slice()]),
            "{:?}", String::from_utf8_lossy(&script));
    }

    #[test]
    fn no_byte_is_lost(dialect in dialect(), script in script()) {
        let scanned = scan(dialect, [script.as_slice()]);
        let mut from = 0;
        let mut delimiter = b";".to_vec();
        for ((text, start, end, ..), data) in scanned.statements.iter().zip(&scanned.data) {
            let (start, end) = (usize::try_from(*start).expect("small"), usize::try_from(*end).expect("small"));
            prop_assert!(from <= start && start < end, "statements follow each other");
            prop_assert_eq!(text.as_bytes(), &script[start..end]);
            prop_assert!(is_only_filling(dialect, &mut delimiter, &script[from..start]),
                "{:?}", String::from_utf8_lossy(&script[from..start]));
            from = end;
            if !data.is_empty() {
                let line_end = memchr::memchr(b'\n', &script[from..]).expect("the data begins on a line of its own");
                let begin = from + line_end + 1;
                prop_assert_eq!(&script[begin..begin + data.len()], data.as_slice());
                // The marker `\.` that follows is passed over with its line.
                let marker = &script[begin + data.len()..];
                let marker_end = memchr::memchr(b'\n', marker).map_or(marker.len(), |end| end + 1);
                from = begin + data.len() + marker_end;
            } else if dialect == Dialect::PostgreSql && script[from..].starts_with(b";\n\\.\n") {
                from += 5;
            }
        }
        if scanned.error.is_none() && from <= script.len() {
            prop_assert!(is_only_filling(dialect, &mut delimiter, &script[from..]),
                "{:?}", String::from_utf8_lossy(&script[from..]));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        dialect in dialect(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        prop_assert_eq!(scan(dialect, cut(&bytes, &cuts)), scan(dialect, [bytes.as_slice()]));
    }

    #[test]
    fn recorded_scripts_with_a_few_bytes_changed_never_panic(
        dialect in dialect(),
        file in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(),
            prop::sample::select(b"'\"`;$/*-#()[]\\ \nEeN0\xC2\xA0\xFF".as_slice())), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let corpus = corpus();
        let mut script = corpus[file.index(corpus.len())].clone();
        for (place, byte) in edits {
            let index = place.index(script.len() + 1);
            script.insert(index, byte);
        }
        prop_assert_eq!(scan(dialect, cut(&script, &cuts)), scan(dialect, [script.as_slice()]),
            "{:?}", String::from_utf8_lossy(&script));
    }

    #[test]
    fn checksums_do_not_depend_on_the_pieces(
        bytes in prop_oneof![script(), prop::collection::vec(any::<u8>(), 0..60)],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut checksum = Checksum::new();
        let fed = cut(&bytes, &cuts).into_iter().try_for_each(|piece| checksum.feed(piece));
        prop_assert_eq!(fed.and_then(|()| checksum.finish()), checksum::of_bytes(&bytes));
    }

    #[test]
    fn line_ends_and_one_byte_order_mark_do_not_matter_for_checksums(
        lines in prop::collection::vec("[^\r\n\u{feff}]{0,12}", 0..6)) {
        let naive = {
            let mut crc = crc32fast::Hasher::new();
            lines.iter().for_each(|line| crc.update(line.as_bytes()));
            crc.finalize().cast_signed()
        };
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("\u{feff}{}", lines.join(end));
            prop_assert_eq!(checksum::of_bytes(text.as_bytes()), Ok(naive));
        }
    }
}

proptest! {
    #[test]
    fn hiding_secrets_never_panics_and_hides_what_is_quoted(
        before in "[a-zé:/@'\"$= ]{0,20}",
        secret in "[a-zA-Z0-9€]{6,12}",
    ) {
        let _ = whimbrel_migration::redact::redact(&before);
        let statement = format!("ALTER ROLE a PASSWORD 'S{secret}'");
        prop_assert!(!whimbrel_migration::redact::redact(&statement).contains(&secret));
        let url = format!("postgres://u:S{secret}@h/db");
        prop_assert!(!whimbrel_migration::redact::redact(&url).contains(&secret));
    }
}
