//! Semi-join reduction, as it runs: how many rows the servers expect of each table, and the keys of one that is gathered.
//!
//! Only of tables that the text joins by columns that are understood (`Scratch::is_linked`): their SELECTs are explained by
//! all their shards before anything is gathered, and tables are then gathered in the order of their size. What is asked is a
//! matter of speed only.

use super::combiner::Combiner;
use super::guard;
use super::question::Answer;
use super::run::{Flight, Words, run};
use super::scratch::{Job, of_session};
use super::{ScatterError, Wire};
use crate::execute::Lane;
use crate::merge::types::USER_TYPES_FROM;
use crate::plan::scatter::scratch::{Counts, Link};
use crate::wire::error::SqlError;

/// Answers of ours, of which no column is the client's.
const OURS: Flight = Flight { beforehand: 0, words: Words::Ours, fills: false };

/// Asks the shards how many rows they expect of each table; nothing is noted where it does not matter.
pub(super) async fn expect<'a>(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    job: &Job<'a>,
    types: &[u32],
) -> Result<Counts<'a>, ScatterError> {
    let mut expected = Counts::default();
    // A condition with a parameter of such a type is not asked of the shards.
    let of_user = types.iter().any(|type_oid| *type_oid >= USER_TYPES_FROM);
    if of_user {
        return Ok(expected);
    }
    for table in job.scratch.tables(job.amid.changed).filter(|table| job.scratch.is_linked(table)) {
        let select = table.ask(&job.question.arguments, true, None).map_err(SqlError::from)?;
        let text = [b"EXPLAIN ", select.as_slice()].concat();
        let request = job.question.portal(&text, types, &[], Answer::Partial);
        let sources = table.sources(job.shards);
        let mut asked: Vec<&mut Lane> =
            lanes.iter_mut().map(|lane| &mut **lane).filter(|lane| sources.contains(lane.shard)).collect();
        asked.iter_mut().for_each(|lane| guard::put(&request, guard::Failing::of_table(table), lane));
        let mut combiner = Combiner::Texts(Vec::new());
        if let Err(error) = run(wire, &mut asked, OURS, &mut combiner).await {
            return Err(guard::understand(error, guard::Failing::of_table(table), &mut asked).await);
        }
        let Combiner::Texts(lines) = combiner else { continue };
        expected.note(table, lines.iter().filter_map(|line| expected_rows(line)).sum());
    }
    Ok(expected)
}

/// Of the first line of a plan: `Seq Scan on rides  (cost=0.00..21.50 rows=1150 width=4)`. None for the lines below it.
pub fn expected_rows(line: &str) -> Option<u64> {
    if line.starts_with(' ') {
        return None;
    }
    let (_, rest) = line.split_once(" rows=")?;
    rest.split(' ').next()?.parse().ok()
}

/// The keys of a table that has been gathered, as a quoted array; None where there are too many.
pub(super) async fn keys(
    wire: &mut Wire<'_>,
    session: &mut Lane,
    job: &Job<'_>,
    link: &Link,
) -> Result<Option<String>, ScatterError> {
    let text = link.ask_keys(&job.scratch.table(link.by).name.name);
    job.question.portal(text.as_bytes(), &[], &[], Answer::Partial).put(session);
    let mut combiner = Combiner::Texts(Vec::new());
    run(wire, &mut [session], OURS, &mut combiner).await.map_err(of_session)?;
    match combiner {
        Combiner::Texts(mut keys) => Ok(keys.pop()),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::expected_rows;

    #[test]
    fn the_first_line_of_a_plan_says_how_many_rows() {
        assert_eq!(expected_rows("Seq Scan on t  (cost=0.00..35.50 rows=2550 width=4)"), Some(2550));
        assert_eq!(expected_rows("  ->  Seq Scan on t  (cost=0.00..35.50 rows=2550 width=4)"), None);
        assert_eq!(expected_rows("  Filter: (a = ' rows=3 ')"), None);
        assert_eq!(expected_rows("Result  (cost=0.00..0.00 rows=0 width=0)"), Some(0));
    }
}
