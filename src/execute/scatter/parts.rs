//! UNION ALL answered part by part: each by its own merge, all in one answer.
//!
//! ```text
//!  first lane   Parse, Describe of the whole text; then of each part       the client's columns; the parts' must be of their types
//!  shards       BEGIN   part 1 …   part 2 …   COMMIT                       (`sight`)
//! ```
//!
//! Invariant: once rows of one part may have been sent, no other way is taken.

use super::columns::Columns;
use super::run::{Flight, Words, run};
use super::sight::{Sight, let_go};
use super::{
    Combiner, Original, Question, ScatterError, Turn, Way, Wire, describe_original, internal, rows_of,
};
use crate::execute::{Lane, refusals};
use crate::plan::scatter::Combine;
use crate::plan::scatter::parts::Part;
use crate::topology::ShardSet;
use crate::wire::error::SqlError;

/// Answers all parts but for the tag; how many rows there were.
pub(super) async fn answer(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    nearest: usize,
    question: &Question<'_>,
    parts: &[Part],
) -> Result<u64, ScatterError> {
    let Original { columns, types } = describe_original(wire, lanes, question).await?;
    let columns = columns.ok_or_else(|| internal("a server described no columns"))?;
    let types = types.unwrap_or_default();
    question.check_formats(columns.len())?;
    check_types(wire, lanes, question, parts, (&columns, &types)).await?;
    if question.describe {
        columns.put(&mut wire.client.outbox, columns.len(), question.result_formats());
    }
    let question = &Question { describe: false, ..*question };
    let sight = Sight::of(requests(lanes, nearest, parts).into_iter());
    let mut rows = 0;
    for (number, part) in parts.iter().enumerate() {
        let known = Original { columns: Some(columns.clone()), types: Some(types.clone()) };
        let turn = Turn { sight: &sight, number: number * REQUESTS };
        let bound = question.check(&part.scatter).map_err(ScatterError::before_anything)?;
        let way = Way { scatter: &part.scatter, bound, turn };
        match rows_of(wire, lanes, nearest, question, way, known).await {
            Ok(more) => rows += more,
            Err(error) => {
                let_go(lanes).await;
                return Err(match error {
                    ScatterError::Unmergeable(error) if wire.sent => ScatterError::Sql(error),
                    error => error,
                });
            }
        }
    }
    // A part may have turned out to need no final text.
    let_go(lanes).await;
    Ok(rows)
}

/// Of each part: to the shards, and to the one that finishes.
const REQUESTS: usize = 2;

fn requests(lanes: &[&mut Lane], nearest: usize, parts: &[Part]) -> Vec<ShardSet> {
    let mut all = ShardSet::EMPTY;
    lanes.iter().for_each(|lane| all.insert(lane.shard));
    let of_part = |part: &Part| {
        let finishes =
            matches!(part.scatter.combine, Combine::Finish(_) | Combine::Ordered { otherwise: Some(_), .. });
        [all, if finishes { ShardSet::one(lanes[nearest].shard) } else { ShardSet::EMPTY }]
    };
    parts.iter().flat_map(of_part).collect()
}

/// Rows of a part are the union's as they come only if they are of its types.
async fn check_types(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    question: &Question<'_>,
    parts: &[Part],
    (columns, types): (&Columns, &[u32]),
) -> Result<(), ScatterError> {
    let first = &mut lanes[..1];
    for part in parts {
        let text = part.text.fill(&question.arguments).map_err(SqlError::from)?;
        Question::statement(&text, types).put(first[0]);
    }
    let flight = Flight { beforehand: parts.len(), words: Words::Ours, fills: false };
    let other_types = || ScatterError::Unmergeable(refusals::OTHER_TYPES.error(&[]));
    match run(wire, first, flight, &mut Combiner::Nothing).await {
        Ok(described) => {
            let all = described.columns.iter().chain(&described.further);
            let agree = all.filter(|part| part.types() == columns.types()).count() == parts.len();
            if agree { Ok(()) } else { Err(other_types()) }
        }
        // Alone it is not understood.
        Err(ScatterError::Sql(error)) if error.sqlstate.class() == "42" => Err(other_types()),
        Err(error) => Err(error),
    }
}
