//! Where rows of several shards may be brought together: what the rules of a statement's tables have in common.

use crate::plan::PlanningContext;
use crate::plan::home::{self, Home};
use crate::sql::facts::Block;
use crate::sql::name::ObjectName;
use crate::topology::ShardSet;

/// None: anywhere. Views count as what they read.
pub(super) fn of(block: &Block, ctx: &PlanningContext) -> Option<ShardSet> {
    let own = block.relations.iter().map(|relation| of_relation(&relation.name, ctx));
    let below = block.children.iter().map(|child| of(child, ctx));
    own.chain(below).flatten().reduce(ShardSet::intersection)
}

fn of_relation(name: &ObjectName, ctx: &PlanningContext) -> Option<ShardSet> {
    match home::of(ctx, name) {
        Home::Sharded { rule, .. } | Home::Reference { rule, .. } => rule.residency,
        Home::OverSharded | Home::OverReference | Home::Single(_) | Home::Elsewhere(_) => {
            let name = home::resolve(ctx, name)?;
            let own = ctx.topology.rule(&name).and_then(|rule| rule.residency);
            let read = ctx.catalog.relations.get(&name).into_iter().flat_map(|info| &info.reads);
            let read = read.filter_map(|name| ctx.topology.rule(name)?.residency);
            own.into_iter().chain(read).reduce(ShardSet::intersection)
        }
    }
}
