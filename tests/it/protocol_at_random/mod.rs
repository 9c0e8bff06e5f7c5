//! Random sessions on one PostgreSQL and on Meridian: the same answers, message by message, the same objects on every shard,
//! and nothing of a session on any server connection when it has gone.
//!
//! Sessions are random messages of both protocols (`messages`) with random statements (`statements`). `SEED`, `FIRST` and
//! `SESSIONS` choose others than every run has:
//!
//! ```text
//! SEED=7 SESSIONS=2000 make test TEST_ARGS="--test it random_sessions"
//! SEED=7 FIRST=1234 SESSIONS=1 make test TEST_ARGS="--test it random_sessions"
//! ```
//!
//! A session that is refused something ends there; how much was refused is bounded, so that a run that says nothing fails.
//! A difference is made small (`minimise`) and printed in the form of wire cases.
//!
//! Invariants:
//! 1. A session of a number is the same in every run.
//! 2. What is left out of the pools because it is known to differ says so where it would stand.

mod compare;
mod messages;
mod minimise;
mod schema;
mod statements;

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::REGIONS;
use crate::stand::{self, Pair, RawClient, Target};
use compare::{Difference, Outcome};
use messages::Write;

const SESSIONS: u64 = 120;
/// Of the writes of all sessions so many are compared at least, in percent; the others are behind a refusal.
const COMPARED_MIN: usize = 50;
/// With so many differences a run ends.
const FAILURES_MAX: usize = 12;

/// What a session may leave behind, as its server shows it.
const STATE: &str = "SELECT concat_ws(' ', current_setting('TimeZone'), current_setting('work_mem'), \
                     current_setting('DateStyle'), current_setting('default_transaction_read_only'), \
                     current_setting('standard_conforming_strings'), current_setting('role'), \
                     session_user = current_user, current_setting('search_path'), \
                     '<' || coalesce(current_setting('app.who', true), '') || '>', \
                     coalesce(current_setting('app.seat', true), 'none')) FROM places \
                     WHERE id = 0 AND region = ";
const CLEAN: &str = "UTC 4MB ISO, MDY off on none t \"$user\", public <> none";

/// What sessions make, and columns of it.
const OBJECTS: &str = "SELECT string_agg(concat_ws(' ', relkind, relname, (SELECT string_agg(attname || ' ' || \
                       format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute \
                       WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)), '; ' ORDER BY relname) \
                       FROM pg_class c WHERE relnamespace = 'public'::regnamespace";

/// Both targets, and ways to their servers beside Meridian's.
struct World {
    pair: Pair,
    meridian: Target,
    /// The plain server, then every shard with its region.
    servers: Vec<(Option<String>, RawClient)>,
}

impl World {
    fn new() -> Option<Self> {
        let more = ["visits", "guarded"]
            .map(|name| format!("[[tables]]\nname = \"{name}\"\nplacement = \"region\"\nkey = \"region\"\n"));
        stand::create_role(schema::ROLE);
        let pair = Pair::with(
            "at_random",
            format!("{}\n{}", stand::PLACES_AND_COLOURS, more.join("\n")).as_str(),
            &[("proxy", "workers = 1"), ("pool", "size = 1")],
        );
        let meridian = pair.meridian.clone()?;
        pair.targets().for_each(|target| target.run(&schema::SCHEMA));
        let shards = pair.shards().into_iter().map(|(name, target)| (Some(name), target.raw()));
        let servers = std::iter::once((None, pair.plain.raw())).chain(shards).collect();
        Some(Self { pair, meridian, servers })
    }

    /// The rows that every session finds; and none of the objects that the last one has made.
    fn reset(&mut self, made: bool) {
        if made {
            self.pair.targets().for_each(|target| target.run(&[schema::CLEANING]));
        }
        let default = REGIONS[0];
        for (region, client) in &mut self.servers {
            let here = |row: &&str| region.as_ref().is_none_or(|region| row.contains(&format!("'{region}'")));
            let mut rows: Vec<_> = schema::PLACES.into_iter().filter(here).collect();
            let probe = REGIONS.map(|region| format!("(0, '{region}', NULL, NULL, NULL)"));
            rows.extend(probe.iter().map(String::as_str).filter(here));
            let visits: Vec<_> = REGIONS
                .iter()
                .flat_map(|region| schema::VISITS.map(|id| format!("({id}, '{region}', 'quiet')")))
                .filter(|row| here(&row.as_str()))
                .collect();
            let guarded: Vec<_> = REGIONS
                .iter()
                .map(|region| format!("(1, '{region}', '{region}'), (2, '{region}', 'clerk')"))
                .filter(|rows| here(&rows.as_str()))
                .collect();
            let notes = if region.as_ref().is_none_or(|region| region == default) {
                schema::NOTES_AND_ZONES
            } else {
                "SELECT 1"
            };
            let text = format!(
                "BEGIN; DELETE FROM places; DELETE FROM visits; DELETE FROM colours; DELETE FROM guarded; \
                 DELETE FROM notes; DELETE FROM zones; DELETE FROM other.notes; DELETE FROM other.colours; \
                 INSERT INTO places VALUES {}; INSERT INTO visits VALUES {}; \
                 INSERT INTO guarded VALUES {}; INSERT INTO colours VALUES {}; {notes}; COMMIT",
                rows.join(", "),
                visits.join(", "),
                guarded.join(", "),
                schema::COLOURS,
            );
            let answer = client.simple(&text);
            let error = answer.iter().find(|message| message.tag == b'E');
            assert!(error.is_none(), "{text}: {:?}", stand::lines(&answer));
        }
    }

    fn play(&mut self, writes: &[Write]) -> Outcome {
        let outcome = compare::play(&self.pair.plain, &self.meridian, writes);
        let made = makes(writes);
        let outcome = match outcome {
            Outcome::Alike if made => self.objects_differ(writes).map_or(Outcome::Alike, Outcome::Differs),
            outcome => outcome,
        };
        self.reset(made);
        outcome
    }

    fn objects_differ(&mut self, writes: &[Write]) -> Option<Difference> {
        let mut objects =
            self.servers.iter_mut().map(|(_, client)| client.value(OBJECTS).unwrap_or_default());
        let expected = objects.next()?;
        let other = objects.find(|objects| *objects != expected)?;
        Some(Difference { writes: writes.to_vec(), expected: vec![expected], got: vec![other] })
    }

    /// What the connections to all nodes still have.
    fn left_behind(&self) -> Vec<String> {
        let mut fresh = self.meridian.raw();
        let mut found = Vec::new();
        // Outside of a transaction a replica is asked, in one the primary.
        for begin in ["SELECT 1", "BEGIN"] {
            fresh.simple(begin);
            for region in REGIONS {
                let state = fresh.value(&format!("{STATE}'{region}'"));
                if state.as_deref() != Some(CLEAN) {
                    found.push(format!("{region}, {begin}: {state:?}"));
                }
            }
        }
        fresh.simple("COMMIT");
        found
    }
}

/// Whether a session may have made something that stays.
fn makes(writes: &[Write]) -> bool {
    writes.iter().flatten().any(|line| ["CREATE", "ALTER", "DROP"].iter().any(|word| line.contains(word)))
}

/// What a run has found.
#[derive(Default)]
struct Tally {
    writes: usize,
    compared: usize,
    refusals: BTreeMap<String, usize>,
    failures: Vec<String>,
    kinds: BTreeSet<(String, String)>,
}

impl Tally {
    fn count(&mut self, number: u64, writes: &[Write], outcome: Outcome, world: &mut World) {
        self.writes += writes.len();
        match outcome {
            Outcome::Alike => self.compared += writes.len(),
            Outcome::Refused { write, why } => {
                self.compared += write;
                *self.refusals.entry(why).or_default() += 1;
            }
            Outcome::Differs(difference) => {
                self.compared += difference.writes.len();
                // The first of its kind is enough to look at.
                if !self.kinds.insert(difference.kind()) {
                    self.fail(format!("session {number}: {:?} again", difference.kind()));
                    return;
                }
                let again = |writes: &[Write]| match world.play(writes) {
                    Outcome::Differs(difference) => Some(difference),
                    _ => None,
                };
                let shortest = minimise::shortest(difference, again);
                self.fail(format!("session {number}:\n{}", shortest.printed()));
            }
        }
    }

    /// Said at once: a long run may be watched.
    fn fail(&mut self, failure: String) {
        println!("{failure}");
        self.failures.push(failure);
    }

    fn print(&self) {
        println!("{} writes, {} compared", self.writes, self.compared);
        let mut refusals: Vec<_> = self.refusals.iter().collect();
        refusals.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        refusals.iter().for_each(|(why, count)| println!("{count:5} {why}"));
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_sessions_are_answered_alike_and_leave_nothing() {
    let Some(mut world) = World::new() else { return };
    world.reset(false);
    assert_eq!(world.left_behind(), Vec::<String>::new());
    let (seed, first) = (number("SEED", 1), number("FIRST", 0));
    let mut tally = Tally::default();
    for number in first..first + number("SESSIONS", SESSIONS) {
        let writes = messages::session(seed, number);
        let outcome = world.play(&writes);
        tally.count(number, &writes, outcome, &mut world);
        let left = world.left_behind();
        if !left.is_empty() {
            tally.failures.push(format!("session {number} has left {left:#?}\n{writes:#?}"));
            break;
        }
        if tally.kinds.len() >= FAILURES_MAX {
            break;
        }
    }
    tally.print();
    let failures = &tally.failures;
    assert!(failures.is_empty(), "seed {seed}, {} differences\n{}", failures.len(), failures.join("\n"));
    let compared = 100 * tally.compared / tally.writes.max(1);
    assert!(compared >= COMPARED_MIN, "{compared} % were compared, {:#?}", tally.refusals);
}
