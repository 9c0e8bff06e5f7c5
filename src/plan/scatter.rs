//! A SELECT over several shards: the text for each shard, and how their rows are combined.

#[derive(Debug)]
pub struct Scatter {}

impl Scatter {
    pub fn compile(
        _parsed: &crate::sql::parse::Parsed,
        _context: &super::PlanningContext,
    ) -> Result<Self, super::refusal::Refusal> {
        Ok(Self {})
    }

    pub fn shard_sql(&self, _arguments: &crate::sql::arguments::Arguments<'_>) -> Result<Vec<u8>, super::refusal::Refusal> {
        Ok(Vec::new())
    }
}
