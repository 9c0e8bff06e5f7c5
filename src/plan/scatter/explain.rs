//! A scatter in words: the lines of EXPLAIN, and of the plan cases.

use super::limit::LimitValue;
use super::{Combine, Scatter, ShardText};

impl Scatter {
    /// One line per fact: the statement for each shard, then the combine.
    pub fn describe(&self) -> Vec<String> {
        let shard = match &self.shard {
            ShardText::Original => "each shard: the statement as it is".to_owned(),
            ShardText::Rewritten(text) => format!("each shard: {text}"),
        };
        let mut lines = vec![shard];
        match &self.combine {
            Combine::Concat => lines.push("combine: rows as they come".to_owned()),
            Combine::Ordered { keys, otherwise } => {
                let columns = if keys.len() == 1 {
                    "1 hidden column".to_owned()
                } else {
                    format!("{} hidden columns", keys.len())
                };
                lines.push(format!("combine: merge in order by {columns}"));
                if otherwise.is_some() {
                    lines.push(
                        "combine: if a key is text that does not sort by bytes, sorted by one server"
                            .to_owned(),
                    );
                }
            }
            Combine::Finish(finish) => {
                lines.push("combine: gathered, then finished by one server".to_owned());
                lines.push(format!("finish: {}", finish.outline()));
            }
        }
        for (name, value) in [("offset", self.limits.offset), ("limit", self.limits.limit)] {
            match value {
                LimitValue::Absent => {}
                LimitValue::Constant(rows) => lines.push(format!("{name}: {rows}")),
                LimitValue::Literal(_) | LimitValue::NegativeLiteral(_) => {
                    lines.push(format!("{name}: as written"));
                }
                LimitValue::Param { index, .. } => lines.push(format!("{name}: ${}", index + 1)),
            }
        }
        lines
    }
}
