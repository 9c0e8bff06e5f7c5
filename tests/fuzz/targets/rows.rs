//! Rows of servers, gathered and merged (`merge`).
//!
//! 1. A row that is walked to its end is the row that `wire` decodes; its leading columns are a row of their own.
//! 2. An array parameter holds the fields of its column, in order, and as many as it says.
//! 3. Comparators are total orders on checked values: of three, none contradicts the others.
//! 4. A merge is the sorted whole, in whatever order its rows arrive, with the skipped and the surplus cut off.

use std::cmp::Ordering;

use bytes::{Bytes, BytesMut};
use meridian::merge::row::{Row, put_leading_columns};
use meridian::merge::types::oid;
use meridian::merge::{KeyType, Limiter, Next, PartialLimits, PartialRows, RowMerge, SortKey};
use meridian::wire::backend::DataRow;
use meridian::wire::encode::server;

use super::Choices;

const KEY_TYPES: [KeyType; 12] = [
    KeyType::Unsigned(1),
    KeyType::Unsigned(4),
    KeyType::Int16,
    KeyType::Int32,
    KeyType::Int64,
    KeyType::Float32,
    KeyType::Float64,
    KeyType::Numeric,
    KeyType::Interval,
    KeyType::TimeWithZone,
    KeyType::Bytes,
    KeyType::Padded,
];

pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.below(3) {
        0 => {
            let columns = choices.byte() % 6;
            stranger(columns, choices.rest());
        }
        1 => comparators(&mut choices),
        _ => merged(&mut choices),
    }
}

fn frame_of(values: &[Option<&[u8]>]) -> BytesMut {
    let mut frame = BytesMut::new();
    server::data_row(&mut frame, values);
    frame
}

fn stranger(columns: u8, fields: &[u8]) {
    let length = (fields.len() as u32 + 6).to_be_bytes();
    let frame = [&b"D"[..], &length, &[0, columns], fields].concat();
    let row = Row::parse(&frame).expect("its head is right");
    let mut walk = row.fields();
    let mut values = Vec::new();
    let mut ends = vec![walk.offset()];
    let walked = loop {
        match walk.next_field() {
            Ok(Some(place)) => {
                values.push(place.map(|place| &frame[place]));
                ends.push(walk.offset());
            }
            Ok(None) => break walk.finish().is_ok(),
            Err(_) => break false,
        }
    };
    let decoded = DataRow::decode(&frame[5..]);
    assert_eq!(walked, decoded.is_ok(), "one reader takes the row, the other does not");
    let mut gathered = PartialRows::new(&vec![oid::TEXT; columns.into()], PartialLimits::default());
    assert_eq!(gathered.push(&frame).is_ok(), walked);
    let Ok(decoded) = decoded else { return };
    assert_eq!(values, decoded.iter().collect::<Vec<_>>());
    for (count, end) in ends.iter().enumerate() {
        let mut leading = BytesMut::new();
        put_leading_columns(&frame, count, *end, &mut leading);
        assert_eq!(leading, frame_of(&values[..count]));
    }
    for (array, value) in gathered.into_arrays().iter().zip(&values) {
        let words: Vec<i32> = array[..20]
            .chunks(4)
            .map(|word| i32::from_be_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        assert_eq!(words, [1, i32::from(value.is_none()), oid::TEXT as i32, 1, 1]);
        assert_eq!(array[20..], frame_of(&[*value])[7..]);
    }
}

/// Three values of one type, mostly well formed.
fn comparators(choices: &mut Choices<'_>) {
    let key_type = choices.one_of(&KEY_TYPES);
    let values: [Vec<u8>; 3] = std::array::from_fn(|_| value_of(key_type, choices));
    if values.iter().any(|value| key_type.check(value).is_err()) {
        return;
    }
    let compare = |a: usize, b: usize| key_type.compare(&values[a], &values[b]);
    for (a, b, c) in [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)] {
        assert_eq!(compare(a, a), Ordering::Equal);
        assert_eq!(compare(a, b), compare(b, a).reverse());
        if compare(a, b) != Ordering::Greater && compare(b, c) != Ordering::Greater {
            let both = compare(a, b).then(compare(b, c));
            assert_eq!(compare(a, c), both, "{key_type:?} is no order of {values:?}");
        }
    }
}

fn value_of(key_type: KeyType, choices: &mut Choices<'_>) -> Vec<u8> {
    let length = match key_type {
        KeyType::Unsigned(length) => usize::from(length),
        KeyType::Int16 => 2,
        KeyType::Int32 | KeyType::Float32 => 4,
        KeyType::Int64 | KeyType::Float64 => 8,
        KeyType::Interval => 16,
        KeyType::TimeWithZone => 12,
        KeyType::Bytes | KeyType::Padded => choices.below(6),
        KeyType::Numeric => {
            let digits: Vec<u16> = (0..choices.below(5)).map(|_| u16::from(choices.byte()) * 39).collect();
            let weight = i16::from(choices.byte() as i8);
            let sign = choices.one_of(&[0u16, 0x4000, 0xC000, 0xD000, 0xF000, 0x1234]);
            let head = [digits.len() as u16, weight as u16, sign, 4];
            return head.iter().chain(&digits).flat_map(|word| word.to_be_bytes()).collect();
        }
    };
    (0..length).map(|_| choices.byte()).collect()
}

fn merged(choices: &mut Choices<'_>) {
    let key = SortKey {
        key_type: KeyType::Int16,
        descending: choices.below(2) == 1,
        nulls_first: choices.below(2) == 1,
    };
    let sources = 1 + choices.below(4);
    let offset = choices.below(4) as u64;
    let limit = Some(choices.below(40) as u64).filter(|limit| *limit < 30);
    let rows = choices.below(24);
    let mut streams: Vec<Vec<Option<[u8; 2]>>> = vec![Vec::new(); sources];
    for _ in 0..rows {
        let value = choices.byte();
        streams[choices.below(sources)].push((value > 20).then_some([0, value % 8]));
    }
    let compare = |a: &Option<[u8; 2]>, b: &Option<[u8; 2]>| {
        key.compare(a.as_ref().map(|a| &a[..]), b.as_ref().map(|b| &b[..]))
    };
    streams.iter_mut().for_each(|stream| stream.sort_by(&compare));
    // A row is its source and its place there, then the hidden key.
    let mut expected: Vec<(Option<[u8; 2]>, [u8; 2])> = Vec::new();
    for (source, stream) in streams.iter().enumerate() {
        expected.extend(stream.iter().enumerate().map(|(at, value)| (*value, [source as u8, at as u8])));
    }
    expected.sort_by(|a, b| compare(&a.0, &b.0));
    let kept =
        expected.into_iter().skip(offset as usize).take(limit.map_or(usize::MAX, |limit| limit as usize));
    let expected: Vec<BytesMut> = kept.map(|(_, name)| frame_of(&[Some(&name)])).collect();
    assert_eq!(merge(key, &streams, Limiter::new(offset, limit), choices), expected);
}

fn merge(
    key: SortKey,
    streams: &[Vec<Option<[u8; 2]>>],
    limiter: Limiter,
    choices: &mut Choices<'_>,
) -> Vec<BytesMut> {
    let mut merge = RowMerge::new(vec![key], streams.len(), limiter);
    let mut sent = vec![0; streams.len()];
    let mut rows = Vec::new();
    let mut push = |merge: &mut RowMerge, source: usize| match streams[source].get(sent[source]) {
        Some(value) => {
            let name = [source as u8, sent[source] as u8];
            let frame = frame_of(&[Some(&name), value.as_ref().map(|value| &value[..])]);
            merge.push(source, Bytes::from(frame));
            sent[source] += 1;
        }
        None => merge.finish(source),
    };
    loop {
        let mut out = BytesMut::new();
        match merge.poll_next(&mut out).expect("every stream is sorted") {
            Next::Row => rows.push(out),
            Next::Done => return rows,
            Next::Wait(source) => {
                assert!(merge.wants(source));
                push(&mut merge, source);
                push(&mut merge, choices.below(streams.len()));
            }
        }
    }
}
