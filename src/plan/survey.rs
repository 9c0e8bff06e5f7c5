//! All relations of a statement with their homes: what `make` looks at before it decides.
//!
//! Called by `reads`, `writes` and `commands`.

use crate::sql::facts::{Block, ColumnRef, Relation};
use crate::topology::{NullKey, Placement, ShardId, TableRule, Topology};

use super::action::PlanningContext;
use super::home::Home;
use super::predicate::{self, Carriers, Test};
use super::refusal::{self, Refusal};
use super::route::Keyed;
use super::scope::{self, Member, Scope};

/// The query levels of a statement, outermost first.
pub(super) struct Survey<'a> {
    context: &'a PlanningContext,
    scopes: Vec<Scope<'a>>,
    /// Of each level the one around it.
    around: Vec<Option<usize>>,
    /// The first relation of the outermost level is written.
    writes: bool,
}

/// A shard that a statement must run on, and what demands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fixed {
    pub shard: ShardId,
    pub name: String,
}

impl<'a> Survey<'a> {
    /// `target` is the relation that the outermost level writes; its WHERE speaks of it.
    pub fn new(context: &'a PlanningContext, target: Option<&'a Relation>, block: &'a Block) -> Self {
        let mut survey = Self { context, scopes: Vec::new(), around: Vec::new(), writes: target.is_some() };
        survey.enter(target, block, None);
        survey
    }

    /// Of what an INSERT, COPY or MERGE reads, without its target.
    pub fn of_sources(context: &'a PlanningContext, block: &'a Block) -> Self {
        Self::new(context, None, block)
    }

    fn enter(&mut self, target: Option<&'a Relation>, block: &'a Block, around: Option<usize>) {
        let level = self.scopes.len();
        self.scopes.push(Scope::new(self.context, target, block));
        self.around.push(around);
        for child in &block.children {
            self.enter(None, child, Some(level));
        }
    }

    pub fn members(&self) -> impl Iterator<Item = &Member<'a>> {
        self.scopes.iter().flat_map(|scope| &scope.members)
    }

    /// The sharded relations with their tests; a view over sharded tables is one that nothing narrows.
    pub fn keyed(&self) -> Vec<Keyed> {
        let mut keyed = Vec::new();
        for (level, scope) in self.scopes.iter().enumerate() {
            for (index, member) in scope.members.iter().enumerate() {
                match member.home {
                    Home::Sharded { rule, .. } => {
                        let leads = level == 0 && !member.relation.nullable;
                        keyed.push(Keyed { leads, ..self.keyed_of(level, index, rule) });
                    }
                    Home::OverSharded => keyed.push(unkeyed(member.relation)),
                    Home::Reference { .. } | Home::OverReference | Home::Single(_) | Home::Elsewhere(_) => {}
                }
            }
        }
        keyed
    }

    fn keyed_of(&self, level: usize, index: usize, rule: &TableRule) -> Keyed {
        let scope = &self.scopes[level];
        let name = scope.members.get(index).map(|m| m.relation.name.to_string()).unwrap_or_default();
        let (key_type, test) = match &Carriers::new(scope, index) {
            Some(carriers) => (carriers.key_type(), self.test(level, carriers)),
            None => (None, Test::Any),
        };
        Keyed { name, rule: rule.clone(), key_type, test, leads: false }
    }

    /// What the level's filter says of the carriers, and what those of the levels around it say of columns that equal the key:
    /// rows of theirs that fail it are in no answer, whatever a nested query finds for them.
    fn test(&self, level: usize, carriers: &Carriers<'a>) -> Test {
        let scope = &self.scopes[level];
        let filter = &scope.block.filter;
        let own = predicate::compile(scope, carriers, filter);
        let ties = carriers.ties(scope, filter).into_iter();
        predicate::conjunction(
            std::iter::once(own).chain(ties.map(|column| self.outer(level, carriers, column))),
        )
    }

    /// What is known of a column of a level around this one; nothing where it is not certain whose column it is.
    fn outer(&self, level: usize, carriers: &Carriers<'a>, column: &ColumnRef) -> Test {
        let (Some(qualifier), Some(key_type)) = (&column.qualifier, carriers.key_type()) else {
            return Test::Any;
        };
        if self.scopes[level].answers_to(qualifier) {
            return Test::Any;
        }
        let around = std::iter::successors(self.around[level], |level| self.around[*level]);
        let mut answering = around.filter(|level| self.scopes[*level].answers_to(qualifier));
        // A derived table does not see its neighbours: of two that are called so, either may be meant.
        let (Some(level), None) = (answering.next(), answering.next()) else { return Test::Any };
        let found = self.scopes[level].resolve(column);
        let alike =
            |column| scope::key_type(column).is_some_and(|other| predicate::same_values(other, key_type));
        let Some(found) = found.filter(|found| alike(found.column)) else { return Test::Any };
        // RETURNING sees the row as it has become, and the filter speaks of what it was; but its key names its shard still.
        let target = &self.scopes[level].members[found.member];
        let is_key = target.rule().and_then(TableRule::key) == Some(found.column.name.as_str());
        if self.writes && level == 0 && found.member == 0 && !is_key {
            return Test::Any;
        }
        self.test(level, &Carriers::of_column(found, key_type))
    }

    /// The first relation behind which sharded rows stand.
    pub fn sharded(&self) -> Option<&Member<'a>> {
        self.members().find(|m| matches!(m.home, Home::Sharded { .. } | Home::OverSharded))
    }

    pub fn over_sharded(&self) -> Option<&Member<'a>> {
        self.members().find(|m| matches!(m.home, Home::OverSharded))
    }

    pub fn reference(&self) -> Option<&Member<'a>> {
        self.members().find(|m| matches!(m.home, Home::Reference { .. } | Home::OverReference))
    }

    /// The shard of the relations that live on one shard; refused where there are two such shards.
    pub fn fixed(&self) -> Result<Option<Fixed>, Refusal> {
        let mut fixed: Option<Fixed> = None;
        for member in self.members() {
            let (Home::Single(shard) | Home::Elsewhere(shard)) = member.home else { continue };
            let name = member.relation.name.to_string();
            match &fixed {
                Some(known) if known.shard != shard => {
                    return Err(refusal::MIXED_HOMES.naming(&[&known.name, &name]));
                }
                Some(_) => {}
                None => fixed = Some(Fixed { shard, name }),
            }
        }
        Ok(fixed)
    }
}

fn unkeyed(relation: &Relation) -> Keyed {
    Keyed {
        name: relation.name.to_string(),
        rule: TableRule {
            name: relation.name.clone(),
            placement: Placement::Geo,
            position: None,
            null_key: NullKey::Refuse,
            residency: None,
        },
        key_type: None,
        test: Test::Any,
        leads: false,
    }
}

/// The first word of a text that names a table whose rows are not just the default shard's, directly or through a view.
pub(super) fn naming_word<'w>(context: &PlanningContext, words: &'w [String]) -> Option<&'w str> {
    let topology: &Topology = &context.topology;
    let concerns = |word: &str| {
        let on_default = |rule: &TableRule| matches!(rule.placement, Placement::Single(shard) if shard == topology.default_shard);
        let configured = topology.tables.iter().any(|rule| rule.name.name == word && !on_default(rule));
        configured
            || context.catalog.relations.values().any(|info| {
                info.name.name == word
                    && !matches!(
                        super::home::of(context, &info.name),
                        Home::Single(shard) | Home::Elsewhere(shard) if shard == topology.default_shard
                    )
            })
    };
    words.iter().map(String::as_str).find(|word| concerns(word))
}
