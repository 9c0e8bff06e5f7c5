//! What is respelled in the client's text: names of gathered tables, and inside of a transaction its clock.
//!
//! Invariant: only `schema.table` of a gathered table is changed, to `pg_temp.table`; a schema's name that stands
//! anywhere else in the text (it may be an alias) is refused beforehand.

use std::collections::HashSet;

use crate::sql::clocks::clocks;
use crate::sql::facts::Facts;
use crate::sql::name::ObjectName;
use crate::sql::words::{Word, Words};

use super::Source;

/// Bare names must differ: an unqualified one would mean the temporary table.
pub(super) fn are_distinct(names: &[&ObjectName]) -> bool {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut whole: HashSet<&ObjectName> = HashSet::new();
    names.iter().all(|name| !whole.insert(name) || seen.insert(name.name.as_str()))
}

/// Whether a temporary table of one of these names would be found for a type, of PostgreSQL's or one that the text names: its
/// rows have a type of its name, and temporary ones are looked up first.
pub(super) fn hide_types(names: &[&ObjectName], facts: &Facts) -> bool {
    const TYPES: [&str; 60] = [
        "bit",
        "bool",
        "box",
        "bpchar",
        "bytea",
        "char",
        "cid",
        "cidr",
        "circle",
        "date",
        "datemultirange",
        "daterange",
        "float4",
        "float8",
        "inet",
        "int2",
        "int4",
        "int4multirange",
        "int4range",
        "int8",
        "int8multirange",
        "int8range",
        "interval",
        "json",
        "jsonb",
        "jsonpath",
        "line",
        "lseg",
        "macaddr",
        "macaddr8",
        "money",
        "name",
        "numeric",
        "nummultirange",
        "numrange",
        "oid",
        "path",
        "point",
        "polygon",
        "record",
        "refcursor",
        "regclass",
        "regproc",
        "regtype",
        "text",
        "tid",
        "time",
        "timestamp",
        "timestamptz",
        "timetz",
        "tsmultirange",
        "tsquery",
        "tsrange",
        "tstzmultirange",
        "tstzrange",
        "tsvector",
        "unknown",
        "uuid",
        "varchar",
        "xml",
    ];
    let named = |name: &str| facts.casts.iter().any(|cast| cast.type_name.as_deref() == Some(name));
    names.iter().any(|name| TYPES.contains(&name.name.as_str()) || named(&name.name))
}

/// Whether the schemas of these relations are named as schemas only.
pub(super) fn are_respellable(words: &Words, names: &[&ObjectName]) -> bool {
    let schemas: HashSet<&str> = names.iter().filter_map(|name| name.schema.as_deref()).collect();
    let qualifies = |word: &Word| word.before_dot && !word.after_dot;
    words.words.iter().filter(|word| schemas.contains(word.name.as_str())).all(qualifies)
}

/// The text with `pg_temp` for the schema of every gathered table, and with this time where it asks for its transaction's;
/// None where it cannot be read.
pub(super) fn respell(source: Source<'_>, gathered: &[&ObjectName], time: Option<&str>) -> Option<Vec<u8>> {
    let words = Words::of(source.text, source.options)?.words;
    let mut pieces = Vec::new();
    for pair in words.windows(2) {
        let [schema, table] = pair else { continue };
        let joined = schema.before_dot && table.after_dot && !schema.after_dot;
        let named = |name: &&ObjectName| {
            name.schema.as_deref() == Some(schema.name.as_str()) && name.name == table.name
        };
        if joined && gathered.iter().any(named) {
            pieces.push((schema.start, schema.end, "pg_temp".to_owned()));
        }
    }
    if let Some(time) = time {
        let clocks = clocks(source.text, source.options)?;
        pieces.extend(clocks.iter().map(|clock| (clock.start, clock.end, clock.written(time))));
        pieces.sort_unstable();
    }
    let mut out = Vec::with_capacity(source.text.len() + 16);
    let mut copied = 0;
    for (start, end, piece) in pieces {
        out.extend_from_slice(source.text.get(copied..start as usize)?);
        out.extend_from_slice(piece.as_bytes());
        copied = end as usize;
    }
    out.extend_from_slice(source.text.get(copied..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::LexOptions;

    #[test]
    fn qualified_names_of_gathered_tables_are_respelled_and_nothing_else() {
        let rides = ObjectName::qualified("public", "rides");
        let text =
            "SELECT public.rides.fare, 'public.rides' FROM public . \"rides\", public.riders -- public.rides";
        let source = Source { text: text.as_bytes(), options: LexOptions::default() };
        let respelled = respell(source, &[&rides], None).unwrap();
        assert_eq!(
            String::from_utf8(respelled).unwrap(),
            "SELECT pg_temp.rides.fare, 'public.rides' FROM pg_temp . \"rides\", public.riders -- public.rides"
        );
    }

    #[test]
    fn a_schema_that_may_be_an_alias_is_not_respelled() {
        let rides = ObjectName::qualified("public", "rides");
        let words = |text: &str| Words::of(text.as_bytes(), LexOptions::default()).unwrap();
        assert!(are_respellable(&words("SELECT 1 FROM public.rides"), &[&rides]));
        assert!(!are_respellable(
            &words("SELECT public.rides FROM (SELECT 1 AS rides) AS public"),
            &[&rides]
        ));
        let other = ObjectName::qualified("app", "rides");
        assert!(!are_distinct(&[&rides, &other]));
        assert!(are_distinct(&[&rides, &rides]));
    }
}
