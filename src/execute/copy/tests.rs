//! Rows, fields, places and batches, without servers.
//!
//! The tables of cases hold what PostgreSQL 15 says of the same data, and the properties what no table can: rows do not
//! depend on where the data was cut, and nothing of it is lost. What the drivers do with sockets is tested against real
//! servers in `tests/it`.

use std::path::Path;

use bytes::BytesMut;
use proptest::prelude::*;

use super::batches::Batches;
use super::fields::{Field, Fields};
use super::input::{Input, InputReader};
use super::place::{Home, Placer};
use super::rows::{Encoding, Marker, RowError, RowFormat, Syntax};
use super::splitter::{Row, Splitter};
use super::tuples::TupleSplitter;
use crate::config::Config;
use crate::plan::copy::CopyIn;
use crate::sql::facts::{Copy, CopyDirection, CopyFormat, CopyHeader};
use crate::sql::name::ObjectName;
use crate::topology::{KeyType, ShardId, Topology};
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::Limits;

const ROW_MAX: usize = 1 << 20;

fn text() -> RowFormat {
    RowFormat {
        syntax: Syntax::Text,
        delimiter: b'\t',
        null: b"\\N"[..].into(),
        header: false,
        marker: Marker::Ends,
    }
}

fn csv() -> RowFormat {
    let syntax = Syntax::Csv { quote: b'"', escape: None };
    RowFormat { syntax, delimiter: b',', null: b""[..].into(), header: false, marker: Marker::Ends }
}

fn csv_escaped(escape: u8) -> RowFormat {
    RowFormat { syntax: Syntax::Csv { quote: b'"', escape: Some(escape) }, ..csv() }
}

/// Every row's raw bytes and line, and how the data ended.
type Split = (Vec<(Vec<u8>, u64)>, Result<(), RowError>);

fn split(format: &RowFormat, pieces: &[&[u8]]) -> Split {
    let mut splitter = Splitter::new(format.clone(), ROW_MAX);
    let mut rows = Vec::new();
    let owned = |row: Row<'_>| {
        assert!(row.raw.starts_with(row.content));
        (row.raw.to_vec(), row.line)
    };
    for piece in pieces {
        let mut piece: &[u8] = piece;
        loop {
            match splitter.next_row(&mut piece) {
                Ok(Some(row)) => rows.push(owned(row)),
                Ok(None) => break,
                Err(error) => return (rows, Err(error)),
            }
        }
    }
    match splitter.finish() {
        Ok(last) => rows.extend(last.map(owned)),
        Err(error) => return (rows, Err(error)),
    }
    (rows, Ok(()))
}

fn raw_rows(format: &RowFormat, data: &str) -> Result<Vec<String>, RowError> {
    let (rows, end) = split(format, &[data.as_bytes()]);
    end.map(|()| rows.into_iter().map(|(raw, _)| String::from_utf8(raw).unwrap()).collect())
}

/// All fields of one row as text; None: NULL.
fn fields(format: &RowFormat, content: &str, count: usize) -> Result<Vec<Option<String>>, String> {
    let mut fields = Fields::new((0..count).collect());
    match fields.read(format, content.as_bytes()) {
        Ok(None) => {}
        Ok(Some(found)) => return Err(format!("only {found}")),
        Err(error) => return Err(error.to_string()),
    }
    let text = |column| match fields.get(column).unwrap() {
        Field::Null => None,
        Field::Value(value) => Some(String::from_utf8_lossy(value).into_owned()),
    };
    Ok((0..count).map(text).collect())
}

#[test]
fn text_rows_end_at_newlines_that_no_backslash_takes() {
    assert_eq!(raw_rows(&text(), "a\tb\nc\\\nd\n\n").unwrap(), ["a\tb\n", "c\\\nd\n", "\n"]);
    assert_eq!(raw_rows(&text(), "a\\\\\nb").unwrap(), ["a\\\\\n", "b"]);
    assert_eq!(raw_rows(&text(), "").unwrap(), [""; 0]);
}

#[test]
fn the_first_line_decides_the_style_of_newlines() {
    for (data, rows) in [("a\r\nb\r\n", 2), ("a\rb\r", 2), ("a\r", 1), ("a\nb", 2), ("a\r\nb", 2)] {
        assert_eq!(raw_rows(&text(), data).unwrap().len(), rows, "{data:?}");
        assert_eq!(raw_rows(&csv(), data).unwrap().len(), rows, "{data:?}");
    }
    for (data, error) in [
        ("a\nb\r\n", RowError::CarriageReturn { csv: false }),
        ("a\r\nb\n", RowError::Newline { csv: false }),
        ("a\r\nb\rc", RowError::CarriageReturn { csv: false }),
        ("a\r\nb\r", RowError::CarriageReturn { csv: false }),
        ("a\rb\n", RowError::Newline { csv: false }),
    ] {
        assert_eq!(raw_rows(&text(), data), Err(error), "{data:?}");
    }
}

#[test]
fn csv_rows_hold_newlines_between_quotes() {
    let data = "1,\"a\nb\"\n2,\"say \"\"hi\n\"\"\"\n3,x\n";
    assert_eq!(raw_rows(&csv(), data).unwrap(), ["1,\"a\nb\"\n", "2,\"say \"\"hi\n\"\"\"\n", "3,x\n"]);
    let (rows, _) = split(&csv(), &[data.as_bytes()]);
    // The first row has an inner line feed too, but the style of newlines is not known yet: as PostgreSQL counts.
    assert_eq!(rows.iter().map(|(_, line)| *line).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(raw_rows(&csv_escaped(b'\\'), "\"a\\\"\n\"\nb\n").unwrap(), ["\"a\\\"\n\"\n", "b\n"]);
    assert_eq!(raw_rows(&csv_escaped(b'\\'), "\"a\\\\\"\nb\n").unwrap(), ["\"a\\\\\"\n", "b\n"]);
    assert_eq!(raw_rows(&csv_escaped(b'\\'), "a\\\nb\n").unwrap(), ["a\\\n", "b\n"]);
    assert_eq!(raw_rows(&csv(), "1,\"a\n2,b\n"), Err(RowError::UnterminatedQuote));
}

#[test]
fn the_marker_ends_the_data_where_it_stands_alone() {
    assert_eq!(raw_rows(&text(), "a\n\\.\nrest \"").unwrap(), ["a\n"]);
    assert_eq!(raw_rows(&text(), "a\r\n\\.\r\nrest").unwrap(), ["a\r\n"]);
    assert_eq!(raw_rows(&text(), "\\.\n").unwrap(), [""; 0]);
    assert_eq!(raw_rows(&text(), "a\\\\.\n").unwrap(), ["a\\\\.\n"]);
    assert_eq!(raw_rows(&text(), "a\n\\.b\n"), Err(RowError::MarkerCorrupt));
    assert_eq!(raw_rows(&text(), "a\n\\.\r\n"), Err(RowError::MarkerNewline));
    assert_eq!(raw_rows(&text(), "a\r\n\\.\n"), Err(RowError::MarkerNewline));
    assert_eq!(raw_rows(&text(), "a\nb\\.\n"), Err(RowError::MarkerNotAlone));
    assert_eq!(raw_rows(&csv(), "a\n\\.\nrest").unwrap(), ["a\n"]);
    assert_eq!(raw_rows(&csv(), "a\n\\.,b\nx\n").unwrap(), ["a\n", "\\.,b\n", "x\n"]);
    let newer = RowFormat { marker: Marker::of_version("18beta1"), ..csv() };
    assert_eq!(raw_rows(&newer, "a\n\\.\nrest").unwrap(), ["a\n", "\\.\n", "rest"]);
}

#[test]
fn servers_since_18_take_the_marker_for_data() {
    for (version, marker) in [
        ("15.4 (Debian 15.4-1)", Marker::Ends),
        ("18.0", Marker::IsData),
        ("19devel", Marker::IsData),
        ("", Marker::Ends),
    ] {
        assert_eq!(Marker::of_version(version), marker, "{version}");
    }
}

#[test]
fn a_row_beyond_the_bound_is_refused() {
    let mut splitter = Splitter::new(text(), 10);
    for _ in 0..3 {
        let mut piece: &[u8] = b"abc";
        assert_eq!(splitter.next_row(&mut piece), Ok(None));
    }
    let mut piece: &[u8] = b"abc";
    assert_eq!(splitter.next_row(&mut piece), Err(RowError::TooLarge(10)));
    assert_eq!(RowError::TooLarge(10).into_sql().sqlstate, SqlState::PROGRAM_LIMIT_EXCEEDED);
}

#[test]
fn text_fields_are_unescaped_after_the_null_marker_is_looked_for() {
    let some = |text: &str| Some(text.to_owned());
    let read = |content, count| fields(&text(), content, count).unwrap();
    assert_eq!(read("a\t\\N\t\\\\N\t", 4), [some("a"), None, some("\\N"), some("")]);
    assert_eq!(read(r"\b\f\n\r\t\v", 1), [some("\u{8}\u{c}\n\r\t\u{b}")]);
    assert_eq!(read(r"\101\x42\x4g\x\q\0601", 1), [some("AB\u{4}gxq01")]);
    assert_eq!(read("a\\\tb\tc", 2), [some("a\tb"), some("c")]);
    assert_eq!(read("a\\", 1), [some("a")]);
    assert_eq!(fields(&text(), "a\tb", 3), Err("only 2".to_owned()));
    let named = RowFormat { null: b"none"[..].into(), delimiter: b'|', ..text() };
    assert_eq!(fields(&named, r"none|\none|\N", 3).unwrap(), [None, some("\none"), some("N")]);
}

#[test]
fn csv_fields_are_null_only_without_quotes() {
    let some = |text: &str| Some(text.to_owned());
    let read = |content, count| fields(&csv(), content, count).unwrap();
    assert_eq!(
        read("a,,\"\",\"b\"\"c\",d\"e,f\"g", 5),
        [some("a"), None, some(""), some("b\"c"), some("de,fg")]
    );
    assert_eq!(fields(&csv(), "\"a", 1), Err("unterminated CSV quoted field".to_owned()));
    assert_eq!(fields(&csv_escaped(b'\\'), r#""a\"b\\c\d",x"#, 2).unwrap(), [some(r#"a"b\c\d"#), some("x")]);
    assert_eq!(fields(&csv(), "a\\,b", 2).unwrap(), [some("a\\"), some("b")]);
}

#[test]
fn only_wanted_columns_are_kept() {
    let mut fields = Fields::new(vec![3, 1, 1]);
    assert_eq!(fields.read(&csv(), b"a,b,c,d,\"never looked at"), Ok(None));
    assert_eq!(fields.get(1), Some(Field::Value(b"b")));
    assert_eq!(fields.get(3), Some(Field::Value(b"d")));
    assert_eq!(fields.get(0), None);
}

#[test]
fn encodings_that_hide_ascii_are_not_split() {
    assert_eq!(Encoding::of(Some(b"UTF8")), Some(Encoding::Utf8));
    assert_eq!(Encoding::of(Some(b"LATIN1")), Some(Encoding::AsciiSafe));
    assert_eq!(Encoding::of(Some(b"SJIS")), None);
    assert!(!Encoding::AsciiSafe.reads("ä".as_bytes()));
}

const TOPOLOGY: &str = r#"
[[regions]]
name = "west"
area = [{ latitude = [0, 10], longitude = [-10, 0] }]
[[regions]]
name = "east"
area = [{ latitude = [0, 10], longitude = [0, 10] }]
[[shards]]
name = "w"
region = "west"
nodes = ["a:5432"]
[[shards]]
name = "e"
region = "east"
nodes = ["b:5432"]
[proxy]
auth = "trust"
[[tables]]
name = "rides"
placement = "region"
key = "region"
position = { latitude = "lat", longitude = "lon", geohash = "hash" }
[[tables]]
name = "places"
placement = "geo"
position = { latitude = "lat", longitude = "lon" }
null_key = "e"
[[tables]]
name = "numbers"
placement = "range"
key = "id"
key_type = "integer"
ranges = [{ to = 10, shard = "w" }, { from = 10, to = 20, shard = "e" }]
[[tables]]
name = "kinds"
placement = "reference"
"#;

fn topology() -> Topology {
    Config::parse(TOPOLOGY, "test.toml", Path::new("config")).unwrap().topology
}

const WEST: Home = Home::One(ShardId(0));
const EAST: Home = Home::One(ShardId(1));

fn plan(topology: &Topology, table: &str, columns: &[&str], header: CopyHeader) -> CopyIn {
    let copy = Copy {
        table: None,
        columns: None,
        direction: CopyDirection::FromStdin,
        format: CopyFormat::Csv,
        header,
        delimiter: b',',
        null: String::new(),
        quote: b'"',
        escape: b'"',
        query: None,
        other_options: false,
    };
    let rule = topology.rule(&ObjectName::qualified("public", table)).unwrap().clone();
    // Every position of the sample is in floats.
    let types = vec![crate::plan::oid::FLOAT8; columns.len()];
    CopyIn { copy, rule, columns: columns.iter().map(|&column| column.to_owned()).collect(), types }
}

/// Where a CSV row goes, as line 17 of the data.
fn place(table: &str, columns: &[&str], key_type: Option<KeyType>, row: &str) -> Result<Home, SqlError> {
    let topology = topology();
    let plan = plan(&topology, table, columns, CopyHeader::No);
    let mut placer = Placer::new(&plan, key_type, Encoding::Utf8)?;
    let row = Row { raw: row.as_bytes(), content: row.as_bytes(), line: 17, is_header: false };
    placer.place(&topology, &csv(), &row)
}

fn place_ride(row: &str) -> Result<Home, SqlError> {
    place("rides", &["id", "region", "lat", "lon", "hash"], Some(KeyType::Text), row)
}

fn context(error: &SqlError) -> &str {
    error.fields.iter().find(|(code, _)| *code == b'W').map_or("", |(_, text)| text)
}

#[test]
fn a_ride_goes_to_its_region_where_its_position_agrees() {
    assert_eq!(place_ride("1,east,5,5,"), Ok(EAST));
    assert_eq!(place_ride("1,west,5,-5,"), Ok(WEST));
    assert_eq!(place_ride("1,\"west\",,,"), Ok(WEST));
    assert_eq!(place_ride("1,east,5.0e0, 5 ,s0g"), place_ride("1,east,5,5,").and(Ok(EAST)));
    assert_eq!(place("rides", &["region"], Some(KeyType::Text), "east"), Ok(EAST));
}

#[test]
fn a_contradiction_names_both_regions_and_the_line() {
    let error = place_ride("1,east,5,-5,").unwrap_err();
    assert_eq!(error.sqlstate, SqlState::CHECK_VIOLATION);
    assert!(error.message.contains("\"west\"") && error.message.contains("\"east\""), "{error}");
    assert_eq!(context(&error), "COPY rides, line 17");
    let elsewhere = place_ride("1,east,5,5,u33").unwrap_err();
    assert_eq!(elsewhere.sqlstate, SqlState::CHECK_VIOLATION);
    assert_eq!(place_ride("1,north,5,5,").unwrap_err().sqlstate, SqlState::CHECK_VIOLATION);
}

#[test]
fn values_that_cannot_be_read_place_no_row() {
    for row in ["1,east,NaN,5,", "1,east,5,infinity,", "1,east,0x5,5,", "1,east,,5,"] {
        let error = place_ride(row).unwrap_err();
        assert!(context(&error).starts_with("COPY rides, line 17"), "{row} {error:?}");
    }
    let error = place("numbers", &["id"], Some(KeyType::Integer), "5.0").unwrap_err();
    assert_eq!(context(&error), "COPY numbers, line 17, column id: \"5.0\"");
}

#[test]
fn a_missing_column_is_told_as_the_server_would() {
    let Ok(Home::Lacking(error)) = place_ride("1") else { panic!("a server is to judge the row") };
    assert_eq!(error.sqlstate, SqlState::BAD_COPY_FILE_FORMAT);
    assert_eq!(error.message, "missing data for column \"region\"");
    assert_eq!(context(&error), "COPY rides, line 17");
    assert!(place("rides", &["id"], Some(KeyType::Text), "1").is_err());
    assert!(place("rides", &["region"], None, "east").is_err());
}

#[test]
fn null_keys_follow_the_rule() {
    assert_eq!(place_ride("1,,,,").unwrap_err().sqlstate.as_str(), "23502");
    assert_eq!(place("places", &["lat", "lon"], None, ","), Ok(EAST));
    assert_eq!(place("places", &["lat", "lon"], None, "3,-3"), Ok(WEST));
    assert!(place("places", &["lat", "lon"], None, "80,-3").is_err());
}

#[test]
fn ranges_and_reference_tables_are_placed() {
    assert_eq!(place("numbers", &["id"], Some(KeyType::Integer), "9"), Ok(WEST));
    assert_eq!(place("numbers", &["id"], Some(KeyType::Integer), " 010"), Ok(EAST));
    assert!(place("numbers", &["id"], Some(KeyType::Integer), "20").is_err());
    assert_eq!(place("kinds", &["id"], None, "anything"), Ok(Home::Every));
}

#[test]
fn a_clock_word_is_no_row_of_a_reference_table() {
    for row in
        ["1,now", "1,'now'", "1,\"Today 04:05\"", "x, yesterday", "1,n\"o\"w", "1,04:05 today", "now()"]
    {
        let error = place("kinds", &["id", "at"], None, row).unwrap_err();
        assert_eq!(error.sqlstate, SqlState::FEATURE_NOT_SUPPORTED, "{row}");
        assert_eq!(context(&error), "COPY kinds, line 17");
    }
    assert_eq!(place("kinds", &["id", "at"], None, "1,nowhere"), Ok(Home::Every));
}

/// The data that each shard would get, taken out of the CopyData messages.
fn batched(table: &str, header: CopyHeader, pieces: &[&str]) -> Result<Vec<(u16, u64, String)>, SqlError> {
    let topology = topology();
    let plan = plan(&topology, table, &["id", "region"], header);
    let format = RowFormat::of(&plan.copy, Marker::Ends);
    let key_type = plan.rule.key().map(|_| KeyType::Text);
    let placer = Placer::new(&plan, key_type, Encoding::Utf8)?;
    let mut batches = Batches::new(&topology, &plan.rule, placer, format, ROW_MAX);
    batches.open(ShardId(0));
    let mut sent = vec![BytesMut::new(); 2];
    for piece in pieces {
        batches.feed(piece.as_bytes())?;
        for batch in batches.all() {
            batch.send(&mut sent[usize::from(batch.shard.0)]);
        }
    }
    batches.finish()?;
    let limits = Limits::default();
    Ok(batches
        .all()
        .iter_mut()
        .map(|batch| {
            let out = &mut sent[usize::from(batch.shard.0)];
            batch.send(out);
            let mut input = InputReader::default();
            let mut data = Vec::new();
            while let Input::Data(piece) = input.next(out, &limits).unwrap() {
                data.extend_from_slice(&piece);
            }
            assert!(out.is_empty());
            (batch.shard.0, batch.rows, String::from_utf8(data).unwrap())
        })
        .collect())
}

#[test]
fn each_shard_gets_the_header_and_its_rows_in_order() {
    let pieces = ["id,reg", "ion\n1,east\n2,we", "st\n", "3,east"];
    let expected = [(0, 1, "id,region\n2,west\n".to_owned()), (1, 2, "id,region\n1,east\n3,east".to_owned())];
    assert_eq!(batched("rides", CopyHeader::Yes, &pieces).unwrap(), expected);
    let both = batched("kinds", CopyHeader::No, &["1,a\n2,b\n"]).unwrap();
    assert_eq!(both, [(0, 2, "1,a\n2,b\n".to_owned()), (1, 2, "1,a\n2,b\n".to_owned())]);
    assert_eq!(batched("rides", CopyHeader::Match, &["a,b"]).unwrap(), [(0, 0, "a,b".to_owned())]);
}

#[test]
fn an_error_names_the_line_also_where_rows_have_inner_newlines() {
    let error = batched("rides", CopyHeader::Yes, &["h\n\"a\nb\",east\n2,north\n"]).unwrap_err();
    assert_eq!(context(&error), "COPY rides, line 4");
    let error = batched("rides", CopyHeader::No, &["1,east\n2,ea\rst\n"]).unwrap_err();
    assert_eq!(context(&error), "COPY rides, line 2");
    assert_eq!(error.message, "unquoted carriage return found in data");
}

#[test]
fn client_messages_are_taken_in_pieces() {
    let limits = Limits::default();
    let mut inbox =
        BytesMut::from(&b"d\0\0\0\x08abcdS\0\0\0\x04H\0\0\0\x04d\0\0\0\x06xyf\0\0\0\x08why\0Q"[..]);
    let mut stream = inbox.split();
    let mut input = InputReader::default();
    let mut data = Vec::new();
    let end = loop {
        match input.next(&mut inbox, &limits).unwrap() {
            Input::Data(piece) => data.extend_from_slice(&piece),
            Input::Empty => inbox.extend_from_slice(&stream.split_to(1)),
            end => break end,
        }
    };
    assert_eq!((data.as_slice(), end), (&b"abcdxy"[..], Input::Fail("why".to_owned())));
    assert_eq!(&stream[..], b"Q");
    let mut query = BytesMut::from(&b"Q\0\0\0\x08abc\0"[..]);
    assert!(input.next(&mut query, &limits).is_err());
}

#[test]
fn a_message_that_was_begun_is_skipped_to_its_end() {
    let limits = Limits::default();
    let mut inbox = BytesMut::from(&b"d\0\0\0\x08ab"[..]);
    let mut input = InputReader::default();
    assert_eq!(input.next(&mut inbox, &limits), Ok(Input::Data(BytesMut::from(&b"ab"[..]))));
    assert!(!input.skip_begun(&mut inbox));
    inbox.extend_from_slice(b"cdQ");
    assert!(input.skip_begun(&mut inbox));
    assert_eq!(&inbox[..], b"Q");
}

fn formats() -> impl Strategy<Value = RowFormat> {
    prop_oneof![Just(text()), Just(csv()), Just(csv_escaped(b'\\')), Just(csv_escaped(b'e'))]
}

/// Data in which everything that matters is frequent.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        Just(b'a'),
        Just(b'e'),
        Just(b'\n'),
        Just(b'\r'),
        Just(b'"'),
        Just(b'\\'),
        Just(b'.'),
        Just(b','),
        Just(b'\t')
    ];
    prop::collection::vec(byte, 0..40)
}

proptest! {
    #[test]
    fn rows_do_not_depend_on_the_cuts(format in formats(), data in data(), cuts in prop::collection::vec(0..40_usize, 0..4)) {
        let whole = split(&format, &[&data]);
        let bytes: Vec<&[u8]> = data.chunks(1).collect();
        prop_assert_eq!(&split(&format, &bytes), &whole);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(data.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&data[from..cut]);
            from = cut;
        }
        pieces.push(&data[from..]);
        prop_assert_eq!(&split(&format, &pieces), &whole);
    }

    #[test]
    fn rows_together_are_the_data(format in formats(), data in data()) {
        let (rows, end) = split(&format, &[&data]);
        let together: Vec<u8> = rows.into_iter().flat_map(|(raw, _)| raw).collect();
        prop_assert!(data.starts_with(&together));
        let marked = data.windows(2).any(|pair| pair == b"\\.");
        prop_assert!(end.is_err() || marked || together == data);
    }

    #[test]
    fn fields_never_panic(format in formats(), content in data(), wanted in prop::collection::vec(0..6_usize, 0..4)) {
        let _ = Fields::new(wanted).read(&format, &content);
    }
}

/// A header, rows of these fields (None: NULL), and the end marker.
fn binary(rows: &[Vec<Option<Vec<u8>>>]) -> Vec<u8> {
    let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x02xx".to_vec();
    for row in rows {
        data.extend((row.len() as i16).to_be_bytes());
        for field in row {
            data.extend(field.as_ref().map_or(-1, |field| field.len() as i32).to_be_bytes());
            data.extend(field.iter().flatten());
        }
    }
    data.extend((-1_i16).to_be_bytes());
    data
}

fn tuples(data: &[u8], cuts: &[usize]) -> Result<Vec<(Vec<u8>, u64, bool)>, RowError> {
    let mut splitter = TupleSplitter::new(ROW_MAX);
    let mut rows = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([data.len()]) {
        let mut piece = &data[from..to];
        from = to;
        while let Some(row) = splitter.next_row(&mut piece)? {
            rows.push((row.raw.to_vec(), row.line, row.is_header));
        }
    }
    assert_eq!(splitter.finish()?, None);
    Ok(rows)
}

proptest! {
    #[test]
    fn binary_rows_do_not_depend_on_the_cuts(
        rows in prop::collection::vec(prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), 0..5), 0..6),
        mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let data = binary(&rows);
        cuts.sort_by_key(|cut| cut.index(data.len()));
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len())).collect();
        let whole = tuples(&data, &[]).unwrap();
        prop_assert_eq!(whole.len(), rows.len() + 1);
        let joined: Vec<u8> = whole.iter().flat_map(|(raw, ..)| raw.clone()).collect();
        prop_assert_eq!(&joined[..], &data[..data.len() - 2]);
        prop_assert_eq!(tuples(&data, &cuts).unwrap(), whole);
    }

    #[test]
    fn random_bytes_of_binary_rows_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut data = binary(&[]);
        data.truncate(data.len() - 2);
        data.extend(bytes);
        let _ = tuples(&data, &[]);
    }
}

#[test]
fn binary_data_that_is_wrong_has_postgresqls_words() {
    let row =
        |fields: &[Option<&[u8]>]| fields.iter().map(|field| field.map(<[u8]>::to_vec)).collect::<Vec<_>>();
    let good = binary(&[row(&[Some(b"a"), None])]);
    let said = |data: &[u8]| tuples(data, &[]).unwrap_err().to_string();
    assert_eq!(said(b"PGCOPY\nx"), "COPY file signature not recognized");
    assert_eq!(said(&good[..8]), "COPY file signature not recognized");
    assert_eq!(said(&good[..13]), "invalid COPY file header (missing flags)");
    assert_eq!(said(&good[..16]), "invalid COPY file header (missing length)");
    assert_eq!(said(&good[..20]), "invalid COPY file header (wrong length)");
    assert_eq!(said(&good[..good.len() - 3]), "unexpected EOF in COPY data");
    assert_eq!(said(&[&good[..], b"x"].concat()), "received copy data after EOF marker");
}
