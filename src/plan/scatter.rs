//! A SELECT over several shards: the text for each shard, and how their rows are combined.

#[derive(Debug)]
pub struct Scatter {}

impl Scatter {
    pub fn compile(
        _text: Option<&str>,
        _facts: &crate::sql::facts::Facts,
        _context: &super::PlanningContext,
    ) -> Result<Self, super::refusal::Refusal> {
        Ok(Self {})
    }
}
