//! (placeholder; see the geo room)
#[derive(Debug, Default)]
pub struct World;
