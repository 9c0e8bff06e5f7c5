//! `SHOW USERS`: what counts for whom, from the file and from look-ups on a server. Pure.
//!
//! An entry of the file stands as it is written; a pattern's clients are those for whom it counts. Users who were looked up
//! stand by themselves below, as far as they are known now: those who are connected, and those whose answer is still kept.

use std::collections::BTreeMap;

use super::View;
use crate::admin::table::{Cell, Column, int4, text};
use crate::config::User;
use crate::session::CONSOLE_DATABASE;
use crate::session::shared::Live;
use crate::topology::Topology;

pub const COLUMNS: &[Column] = &[
    text("name"),
    text("known_by"),
    text("server_user"),
    text("admin"),
    text("read_only"),
    text("regions"),
    int4("pool_size"),
    int4("connections"),
    int4("connections_max"),
];

pub fn users(view: &View<'_>) -> Vec<Vec<Cell>> {
    let Some(live) = view.live else { return Vec::new() };
    let mut connected: BTreeMap<&str, usize> = BTreeMap::new();
    for client in view.clients.iter().filter(|client| client.names.database != CONSOLE_DATABASE) {
        *connected.entry(&client.names.user).or_default() += 1;
    }
    let mut rows: Vec<_> = live.users.iter().map(|entry| of_file(live, view, entry, &connected)).collect();
    if live.auth_query.is_some() {
        for name in view.looked_up {
            connected.entry(name).or_default();
        }
        let found = connected.iter().map(|(name, count)| (*name, *count, User::find(&live.users, name)));
        let looked_up = found.filter(|(.., entry)| {
            entry.is_none_or(|entry| entry.pattern.is_some() && !entry.has_credential())
        });
        let defaults = User::default();
        rows.extend(looked_up.map(|(name, count, entry)| {
            row(view.topology, (name, "auth_query"), entry.unwrap_or(&defaults), count)
        }));
    }
    rows
}

fn of_file(live: &Live, view: &View<'_>, entry: &User, connected: &BTreeMap<&str, usize>) -> Vec<Cell> {
    let counts = |name: &&str| User::find(&live.users, name).is_some_and(|found| found.name == entry.name);
    let clients = connected.iter().filter(|(name, _)| counts(name)).map(|(_, count)| count).sum();
    let known_by = match (&entry.pattern, entry.has_credential() || live.auth_query.is_none()) {
        (None, true) => "file",
        (None, false) => "file, auth_query",
        (Some(_), true) => "pattern",
        (Some(_), false) => "pattern, auth_query",
    };
    row(view.topology, (&entry.name, known_by), entry, clients)
}

fn row(topology: &Topology, (name, known_by): (&str, &str), user: &User, connections: usize) -> Vec<Cell> {
    let regions = user.regions.as_ref().map(|regions| {
        let names: Vec<&str> = regions.iter().map(|id| topology.region(*id).name.as_str()).collect();
        names.join(", ")
    });
    let limit = |limit: Option<usize>| limit.map_or(Cell::Null, Cell::count);
    vec![
        name.into(),
        known_by.into(),
        user.server_user.as_deref().unwrap_or(name).into(),
        Cell::yes_no(user.admin),
        Cell::yes_no(user.read_only),
        regions.as_deref().unwrap_or("all").into(),
        limit(user.pool_size),
        Cell::count(connections),
        limit(user.connections_max),
    ]
}
