//! A scatter in words: the lines of EXPLAIN, and of the plan cases.
//!
//! The statement for each shard with the client's own literals, the combine, the final text of a Finish with its
//! types left open, and the bounds that the merge applies.
//!
//! Not here: which shards and why (the route's own lines), and the servers' plans.

use crate::sql::arguments::Arguments;
use crate::sql::render::Template;

use super::{Combine, Part, Scatter, ShardText};

impl Scatter {
    /// One line per fact, with the client's own literals: the statement for each shard, then the combine.
    pub fn describe(&self, arguments: &Arguments<'_>) -> Vec<String> {
        let shard = match &self.shard {
            ShardText::Original => "each shard: the statement as it is".to_owned(),
            ShardText::Rewritten(text) => format!("each shard: {}", filled(text.printed(), arguments)),
        };
        let mut lines = vec![shard];
        match &self.combine {
            Combine::Concat => lines.push("combine: rows as they come".to_owned()),
            Combine::Distinct => lines.push("combine: rows as they come, equal ones once".to_owned()),
            Combine::Ordered { keys, otherwise } => {
                let plural = if keys.len() == 1 { "" } else { "s" };
                lines.push(format!("combine: merge in order by {} hidden column{plural}", keys.len()));
                if otherwise.is_some() {
                    lines.push("combine: by one server if a key is text not in byte order".to_owned());
                }
            }
            Combine::Finish(finish) => {
                lines.push("combine: gather, then finish by one server".to_owned());
                lines.push(format!("finish: {}", filled(&finish.outline(), arguments)));
                return lines;
            }
            Combine::Parts(parts) => {
                let of_part = |(number, part): (usize, &Part)| {
                    let lines = part.scatter.describe(arguments);
                    lines.into_iter().map(move |line| format!("part {}: {line}", number + 1))
                };
                return parts.iter().enumerate().flat_map(of_part).collect();
            }
            Combine::Scratch(scratch) => return scratch.describe(&|printed| filled(printed, arguments)),
        }
        match self.limits.bind(arguments) {
            Ok(bound) => {
                lines.extend((bound.offset > 0).then(|| format!("offset: {}", bound.offset)));
                lines.extend(bound.limit.map(|rows| format!("limit: {rows}")));
            }
            Err(_) => lines.push("limit: by parameter".to_owned()),
        }
        lines
    }
}

fn filled(printed: &str, arguments: &Arguments<'_>) -> String {
    Template::new(printed)
        .and_then(|template| template.fill(arguments.text, arguments.literals, &[]))
        .map_or_else(|| printed.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}
