//! What the statements have left on the shards: every row on its own shard and only there, copies equal everywhere.
//!
//! Asked of the shards' primaries themselves. The rows of a sharded table on all shards are together those of the plain
//! server, none twice; and a read by key through Meridian, which goes to the key's shard alone, finds them all there.

use std::fmt::Write;

use crate::stand::{Message, Pair, RawClient};

/// Columns that a default fills with the clock.
const CLOCKS: &str = "'{created_at,updated_at,timestamp}'::text[]";

/// How a table's rows are placed.
#[derive(Debug, Clone, Copy)]
pub enum Placed {
    /// By this expression.
    By(&'static str),
    ByPosition,
    Everywhere,
    On(&'static str),
}

/// What is wrong, one line each; empty where everything is in its place.
pub fn misplaced(pair: &Pair, tables: &[(&str, Placed)]) -> String {
    let Some(meridian) = &pair.meridian else { return String::new() };
    let mut wrong = String::new();
    let (mut plain, mut meridian) = (pair.plain.raw(), meridian.raw());
    let mut shards: Vec<_> = pair.shards().into_iter().map(|(name, target)| (name, target.raw())).collect();
    for (table, placed) in tables {
        let text = format!("SELECT (to_jsonb(the_row) - {CLOCKS})::text FROM {table} the_row");
        let wanted = values(&mut plain, &text);
        let found: Vec<_> =
            shards.iter_mut().map(|(name, shard)| (name.clone(), values(shard, &text))).collect();
        match placed {
            Placed::By(key) => {
                compare(&mut wrong, table, "all shards", &wanted, merged(&found));
                let keys = values(
                    &mut plain,
                    &format!("SELECT DISTINCT quote_nullable({key}) FROM {table} the_row"),
                );
                for key_value in keys {
                    let test = match key_value.as_str() {
                        "NULL" => format!("{key} IS NULL"),
                        value => format!("{key} = {value}"),
                    };
                    let count = format!("SELECT count(*) FROM {table} WHERE {test}");
                    let (one, other) = (values(&mut meridian, &count), values(&mut plain, &count));
                    if one != other {
                        let _ = writeln!(wrong, "{count}: {one:?}, plain: {other:?}");
                    }
                }
            }
            Placed::ByPosition => compare(&mut wrong, table, "all shards", &wanted, merged(&found)),
            Placed::Everywhere => {
                found
                    .iter()
                    .for_each(|(shard, rows)| compare(&mut wrong, table, shard, &wanted, rows.clone()));
            }
            Placed::On(home) => {
                for (shard, rows) in &found {
                    let due = if shard == home { wanted.as_slice() } else { &[] };
                    compare(&mut wrong, table, shard, due, rows.clone());
                }
            }
        }
    }
    wrong
}

fn merged(found: &[(String, Vec<String>)]) -> Vec<String> {
    let mut all: Vec<String> = found.iter().flat_map(|(_, rows)| rows).cloned().collect();
    all.sort();
    all
}

fn compare(wrong: &mut String, table: &str, place: &str, wanted: &[String], found: Vec<String>) {
    if wanted != found {
        let (wanted, found) = (beyond(wanted, &found), beyond(&found, wanted));
        let _ = writeln!(wrong, "{table} on {place}: lacks {wanted:?}, has besides {found:?}");
    }
}

/// What the first sorted list has more often than the second.
fn beyond(one: &[String], other: &[String]) -> Vec<String> {
    let mut other = other.to_vec();
    let mut more = Vec::new();
    for row in one {
        match other.iter().position(|known| known == row) {
            Some(at) => drop(other.remove(at)),
            None => more.push(row.clone()),
        }
    }
    more
}

/// The only column, sorted; an error stands for itself.
fn values(client: &mut RawClient, text: &str) -> Vec<String> {
    let value = |message: &Message| match message.tag {
        b'D' => message.values().first().map(|value| match value {
            Some(value) => String::from_utf8_lossy(value).into_owned(),
            None => "NULL".to_owned(),
        }),
        b'E' => Some(message.line()),
        _ => None,
    };
    let mut values: Vec<String> = client.simple(text).iter().filter_map(value).collect();
    values.sort();
    values
}
