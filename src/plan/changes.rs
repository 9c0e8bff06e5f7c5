//! What an UPDATE (or ON CONFLICT DO UPDATE) sets of the columns that name a row's shard.
//!
//! Made by `writes`, checked by `bind` once the statement's shard is known. A row must not leave its shard, and its
//! position must go on to agree with it; what cannot be shown to do so is refused.

use crate::sql::arguments::Arguments;
use crate::sql::facts::{Cell, Value};
use crate::topology::{Key, KeyType, NullKey, Placement, RowPosition, ShardId, TableRule, Topology};

use super::refusal::{self, Refusal};
use super::value::{self, Datum};

/// The new values, all of them readable.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    table: String,
    rule: TableRule,
    key_type: Option<KeyType>,
    key: Option<Value>,
    latitude: Option<Value>,
    longitude: Option<Value>,
    geohash: Option<Value>,
}

impl Changes {
    /// None where nothing is set that matters. `sets` is None where it is not known what is set.
    pub fn of(
        table: &str,
        rule: &TableRule,
        key_type: Option<KeyType>,
        sets: Option<&[(String, Cell)]>,
    ) -> Result<Option<Self>, Refusal> {
        let key_change = || refusal::KEY_CHANGE.naming(&[rule.key().unwrap_or("position"), table]);
        let position_change = || refusal::POSITION_CHANGE.naming(&[table]);
        let Some(sets) = sets else { return Err(key_change()) };
        let mut changes = Self {
            table: table.to_owned(),
            rule: rule.clone(),
            key_type,
            key: None,
            latitude: None,
            longitude: None,
            geohash: None,
        };
        let position = rule.position.as_ref();
        let is = |name: Option<&String>, column: &str| name.is_some_and(|name| name == column);
        for (column, cell) in sets {
            let (place, limit): (&mut Option<Value>, fn(&Self) -> Refusal) = if rule.key() == Some(column) {
                (&mut changes.key, Self::key_change)
            } else if is(position.and_then(|p| p.latitude.as_ref()), column) {
                (&mut changes.latitude, Self::position_change)
            } else if is(position.and_then(|p| p.longitude.as_ref()), column) {
                (&mut changes.longitude, Self::position_change)
            } else if is(position.and_then(|p| p.geohash.as_ref()), column) {
                (&mut changes.geohash, Self::position_change)
            } else {
                continue;
            };
            match cell {
                Cell::Value(value) => *place = Some(value.clone()),
                // The row stays where it is, or becomes one that has been found to belong here.
                Cell::Own if rule.key() == Some(column) => {}
                Cell::Own | Cell::Default | Cell::Expression => return Err(limit(&changes)),
            }
        }
        if changes.key.is_some() && rule.null_key != NullKey::Refuse {
            // The position of rows with a null key was not checked against a region.
            return Err(key_change());
        }
        if !changes.is_whole() {
            return Err(position_change());
        }
        let any = [&changes.key, &changes.latitude, &changes.longitude, &changes.geohash];
        let any = any.into_iter().any(Option::is_some);
        Ok(any.then_some(changes))
    }

    /// Whether the position is set as a whole or not at all.
    fn is_whole(&self) -> bool {
        let Some(position) = &self.rule.position else { return true };
        let states = [
            (position.latitude.is_some(), self.latitude.is_some()),
            (position.longitude.is_some(), self.longitude.is_some()),
            (position.geohash.is_some(), self.geohash.is_some()),
        ];
        let set = states.iter().any(|(_, set)| *set);
        !set || states.iter().all(|(exists, set)| exists == set)
    }

    /// Refuses new values that do not belong to rows of this shard.
    pub fn check(
        &self,
        topology: &Topology,
        shard: ShardId,
        arguments: &Arguments<'_>,
    ) -> Result<(), Refusal> {
        let key = match &self.key {
            Some(value) => Some(self.checked_key(topology, shard, &value::datum(value, arguments))?),
            None => None,
        };
        let Some(position) = &self.rule.position else { return Ok(()) };
        if self.latitude.is_none() && self.longitude.is_none() && self.geohash.is_none() {
            return Ok(());
        }
        let coordinate = |wanted: bool, value: &Option<Value>| match value {
            Some(value) if wanted => {
                value::datum(value, arguments).coordinate().map(Some).ok_or_else(|| self.position_change())
            }
            _ => Ok(None),
        };
        let geohash = self.geohash.as_ref().map(|value| value::datum(value, arguments));
        let place = RowPosition {
            latitude: coordinate(position.latitude.is_some(), &self.latitude)?,
            longitude: coordinate(position.longitude.is_some(), &self.longitude)?,
            geohash: match &geohash {
                Some(datum) => Some(datum.text().ok_or_else(|| self.position_change())?),
                None => None,
            },
        };
        let misplaced = |error| super::rows::misplaced(&self.table, &self.rule, &error);
        match self.rule.placement {
            Placement::Geo => {
                let new = self.rule.shard_of_position(topology, place).map_err(misplaced)?;
                if new == shard { Ok(()) } else { Err(self.position_change()) }
            }
            _ => {
                let home = Key::Text(topology.region(topology.shard(shard).region).name.as_str().into());
                let key = key.unwrap_or(home);
                self.rule.check_position(topology, Some(&key), place).map_err(misplaced)
            }
        }
    }

    fn checked_key(&self, topology: &Topology, shard: ShardId, datum: &Datum<'_>) -> Result<Key, Refusal> {
        let key = self.key_type.and_then(|key_type| datum.key(key_type)).ok_or_else(|| self.key_change())?;
        match self.rule.shard_of_key(topology, Some(&key)) {
            Ok(new) if new == shard => Ok(key),
            Ok(_) => Err(self.key_change()),
            Err(error) => Err(super::rows::misplaced(&self.table, &self.rule, &error)),
        }
    }

    fn key_change(&self) -> Refusal {
        refusal::KEY_CHANGE.naming(&[self.rule.key().unwrap_or("position"), &self.table])
    }

    fn position_change(&self) -> Refusal {
        refusal::POSITION_CHANGE.naming(&[&self.table])
    }
}
