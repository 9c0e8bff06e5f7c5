//! `docs/compatibility.md`, out of the reports: drivers, what a session keeps, and every feature.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::program::{PROGRAMS, Program, SUITES};
use super::suites::{self, Standing};
use super::{kept, verdict::KNOWN};

const HEAD: &str = "\
# Compatibility

What programs see that use PostgreSQL through Meridian. Generated from `tests/clients/reports`, which the programs of
[tests/clients](../tests/clients/README.md) make: each runs against a plain PostgreSQL and against Meridian over four regions,
with three server connections to a node, and what it prints is compared line by line. Tests keep reports and document equal
to what the programs see (`make test-clients`; `UPDATE=1` rewrites them). Numbers are those of [limits.md](limits.md).
";

const ORMS: &str = "
## What an ORM needs of sharded tables

An ORM writes a row by its model's primary key (`UPDATE … WHERE id = 500`). Where the table is sharded, this names no shard and
is refused (M001), unless the table's key is a part of the primary key. Put it there, in the database and in the model:

| ORM | in the model |
| --- | --- |
| SQLAlchemy | `primary_key=True` on the key and on the id |
| Django | `pk = models.CompositePrimaryKey(\"region\", \"id\")`, from 5.2 on; not for its admin site, nor for foreign keys to the model |
| Hibernate | `@PartitionKey` on the key (from 6.2 on), or `@EmbeddedId` of key and id |
| Drizzle and other builders | the key in each `where` of an update and a delete |

Reads need none of this: without a key they go to all shards. Nor do reference tables and tables of one shard. A transaction
writes rows of one shard (X001), and so does one INSERT (M002): group by the key what a session flushes, and what is sent in
batches (`executemany`, `bulk_create`). The features of ORMs below are, where they do not say sharded, of tables of one shard.

Tools that list schemas (`\\dn`, pgAdmin, `inspect(engine).get_schema_names()`) show `meridian_internal`, where the decisions of
transactions over several shards are. Leave it out where schemas are compared with models: for Alembic's
`include_schemas=True` by an `include_name`, or it proposes to drop what is in it.
";

const SESSIONS: &str = "\
Server connections are shared by transaction. A session that keeps something on a server is pinned to one connection, until
that is gone (UNLISTEN, DROP, CLOSE, DEALLOCATE, an unlock, DISCARD) or the session is; everything else follows it from
server to server.

";

const SUITES_HEAD: &str = "\
What drivers publish as their own tests, run as a superuser against a plain PostgreSQL and against Meridian in transaction
pooling, with every table on the default shard. What passes with the first passes with the second, but for what is named below
the table. Skipped are tests that the suite itself skips, and those that are left out for a reason that
`tests/clients/suites` gives.

";

pub fn render() -> String {
    let mut text = HEAD.to_owned();
    drivers(&mut text);
    text.push_str(ORMS);
    suites_of_drivers(&mut text);
    sessions(&mut text);
    features(&mut text);
    text
}

fn drivers(text: &mut String) {
    text.push_str("\n## Drivers\n\n");
    text.push_str("| program | packages | features | as PostgreSQL | refused | different |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for program in PROGRAMS {
        let report = kept(program.name);
        let count = |word: &str| report.iter().filter(|(_, verdict)| verdict.starts_with(word)).count();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            program.name,
            packages(program),
            report.len(),
            count("as"),
            count("refused"),
            count("differs")
        );
    }
    let mut reasons: Vec<_> = KNOWN.iter().map(|(.., reason)| *reason).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let _ = writeln!(text, "\nDifferent, and not refused: {}.", reasons.join("; "));
}

/// Packages with the versions that are pinned.
fn packages(program: &Program) -> String {
    let pins = program.kit.versions();
    let version = |package: &str| {
        pins.lines().find_map(|line| {
            let line = line.trim().trim_start_matches('"').strip_prefix(package)?;
            let version =
                line.strip_prefix("==").or_else(|| line.strip_prefix("\": \"")).or(line.strip_prefix(' '))?;
            Some(version.trim_end_matches([',', '"']).to_owned())
        })
    };
    let named = |package: &&str| format!("{package} {}", version(package).unwrap_or_default());
    program.packages.iter().map(|package| named(package).trim().to_owned()).collect::<Vec<_>>().join(", ")
}

fn suites_of_drivers(text: &mut String) {
    text.push_str("\n## Drivers' own suites\n\n");
    text.push_str(SUITES_HEAD);
    text.push_str("| suite | PostgreSQL | passed with both | different | skipped |\n");
    text.push_str("| --- | --- | --- | --- | --- |\n");
    for suite in SUITES {
        let report: BTreeMap<_, _> = kept(&format!("suite_{}", suite.name)).into_iter().collect();
        let number = |key: &str| report.get(key).map_or("", String::as_str);
        let [major, passed, different, skipped] =
            ["PostgreSQL", "passed", "different", "skipped"].map(number);
        let _ = writeln!(text, "| {} | {major} | {passed} | {different} | {skipped} |", packages(suite));
    }
    text.push('\n');
    for suite in SUITES {
        for note in suites::notes(suite.name) {
            let tests: Vec<_> = note.tests.iter().map(|test| format!("`{test}`")).collect();
            let word = match note.standing {
                Standing::LeftOut => continue,
                Standing::Differs => "",
                Standing::Varies => "on some runs, ",
            };
            let _ = writeln!(text, "- {}: {word}{}: {}.", suite.name, note.reason, tests.join(", "));
        }
    }
}

fn sessions(text: &mut String) {
    text.push_str("\n## What a session keeps\n\n");
    text.push_str(SESSIONS);
    text.push_str("| feature | server connection |\n| --- | --- |\n");
    for (feature, verdict) in kept("sessions") {
        let _ = writeln!(text, "| {feature} | {verdict} |");
    }
}

fn features(text: &mut String) {
    text.push_str("\n## Features\n\n| feature | behaviour | seen by |\n| --- | --- | --- |\n");
    let mut rows: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for program in PROGRAMS {
        for (feature, verdict) in kept(program.name) {
            rows.entry((feature, verdict)).or_default().push(program.name);
        }
    }
    for ((feature, verdict), programs) in rows {
        let _ = writeln!(text, "| {feature} | {verdict} | {} |", programs.join(", "));
    }
}
