//! A SELECT over several shards: the text for each shard, and how their rows are combined.

#[derive(Debug)]
pub struct Scatter {}
