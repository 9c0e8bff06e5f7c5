//! Types of the users' own have other numbers (OIDs) on other shards: clients see and use those of the default shard.

use tokio_postgres::types::{FromSql, Kind, Type};

use crate::harness::{Database, Meridian, connect, database, meridian};

const TABLES: &str = "[[tables]]\nname = \"people\"\nplacement = \"region\"\nkey = \"region\"\n";

const TYPES: &str = "
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE other AS ENUM ('sad', 'glad', 'other');
CREATE TYPE pair AS (number int, mood mood);
CREATE DOMAIN small AS int CHECK (VALUE < 100);
";

const SCHEMA: &str = "
CREATE TABLE people (id int, region varchar(50) NOT NULL, mood mood, moods mood[], pair pair, pairs pair[], small small,
                     PRIMARY KEY (region, id));
INSERT INTO people VALUES (1, 'us-east', 'sad', '{sad,glad}', (1, 'sad'), ARRAY[(1, 'sad')::pair], 1);
INSERT INTO people VALUES (2, 'us-west', 'glad', '{glad,NULL}', (2, 'glad'), ARRAY[(2, 'glad')::pair, NULL], 2);
INSERT INTO people VALUES (3, 'eu-central', 'sad', '{}', (3, NULL), '{}', 3);
INSERT INTO people VALUES (4, 'ap-south', NULL, NULL, NULL, NULL, NULL);
";

const REGIONS: [&str; 4] = ["us-east", "us-west", "eu-central", "ap-south"];

/// On each shard but the first, other types were made before; on the second, `mood` has there the number that is
/// another type's here.
async fn start() -> (Database, Meridian) {
    let database = database().await;
    for (number, shard) in database.cluster.shards().iter().enumerate() {
        let server = database.direct(shard.name()).await;
        for filler in 0..number {
            let filler = format!("CREATE TYPE filler{filler} AS ENUM ('x')");
            server.batch_execute(&filler).await.expect("a type that moves the numbers on");
        }
    }
    let meridian = meridian(&database.cluster).database(&database.name).tables(TABLES).start();
    let client = connect(&meridian.app()).await;
    client.batch_execute(TYPES).await.expect("the types");
    for statement in SCHEMA.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        client.batch_execute(statement).await.expect(statement);
    }
    (database, meridian)
}

/// The bytes of a value, and the type that the client takes it for.
#[derive(Debug, PartialEq)]
struct Raw(Vec<u8>, u32);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec(), of.oid()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[tokio::test]
async fn every_shards_types_are_told_as_the_default_shards() {
    let (database, meridian) = start().await;
    let number = async |shard: &str, name: &str| -> u32 {
        let server = database.direct(shard).await;
        server.query_one("SELECT to_regtype($1)::oid", &[&name]).await.expect("a type").get(0)
    };
    assert_ne!(
        number("us-east", "mood").await,
        number("us-west", "mood").await,
        "the test needs other numbers"
    );
    let (mood, moods) = (number("us-east", "mood").await, number("us-east", "mood[]").await);
    let (pair, pairs) = (number("us-east", "pair").await, number("us-east", "pair[]").await);
    let client = connect(&meridian.app()).await;
    for region in REGIONS {
        // The driver asks for every type that it does not know, of the server that it believes to speak to.
        let sql = format!(
            "SELECT mood, moods, pair, pairs, small, ROW(mood, 1) FROM people WHERE region = '{region}'"
        );
        let statement = client.prepare(&sql).await.expect(region);
        let types: Vec<u32> = statement.columns().iter().map(|column| column.type_().oid()).collect();
        assert_eq!(types, [mood, moods, pair, pairs, 23, 2249], "{region}");
        assert_eq!(statement.columns()[0].type_().name(), "mood", "{region}");
        for _ in 0..2 {
            let row = client.query_one(&statement, &[]).await.expect(region);
            if let Some(Raw(array, _)) = row.get::<_, Option<Raw>>(1) {
                assert_eq!(array[8..12], mood.to_be_bytes(), "{region}: elements of an array");
            }
            if let Some(Raw(record, _)) = row.get::<_, Option<Raw>>(2) {
                let at = 4 + 8 + 4;
                assert_eq!(record[at..at + 4], mood.to_be_bytes(), "{region}: a field of a composite");
            }
            if let Some(Raw(array, _)) = row.get::<_, Option<Raw>>(3) {
                assert_eq!(array[8..12], pair.to_be_bytes(), "{region}");
                if array.len() > 12 {
                    // Number of fields, the first of four bytes, then the second's type.
                    let at = 12 + 8 + 4 + 4 + 8 + 4;
                    assert_eq!(array[at..at + 4], mood.to_be_bytes(), "{region}: in an element");
                }
            }
            let Raw(record, _) = row.get(5);
            assert_eq!(record[..8], words(&[2, mood]), "{region}: an anonymous record");
        }
    }
}

#[tokio::test]
async fn declared_types_are_those_of_every_shard() {
    let (_database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    let mood = client.prepare("SELECT mood FROM people WHERE region = 'us-east'").await.expect("a statement");
    let mood = mood.columns()[0].type_().clone();
    assert!(matches!(mood.kind(), Kind::Enum(labels) if labels.len() == 2), "{mood:?}");
    for region in REGIONS {
        let sql = format!(
            "SELECT count(*), min($1::text) FROM people WHERE region = '{region}' AND mood = $1 AND pg_typeof($1)::text = 'mood'"
        );
        for label in ["sad", "glad"] {
            let statement = client.prepare_typed(&sql, std::slice::from_ref(&mood)).await.expect(region);
            let row = client.query_one(&statement, &[&Label(label)]).await.expect(region);
            let wanted = match (region, label) {
                ("us-east" | "eu-central", "sad") | ("us-west", "glad") => 1,
                _ => 0,
            };
            assert_eq!(row.get::<_, i64>(0), wanted, "{region} {label}");
        }
    }
    // On all shards at once, and in writes.
    for label in ["sad", "glad"] {
        let statement =
            client.prepare_typed("SELECT count(*) FROM people WHERE mood = $1", std::slice::from_ref(&mood));
        let row = client
            .query_one(&statement.await.expect("a statement"), &[&Label(label)])
            .await
            .expect("a count");
        assert_eq!(row.get::<_, i64>(0), if label == "sad" { 2 } else { 1 });
    }
    for region in REGIONS {
        let sql = format!("UPDATE people SET mood = $1 WHERE region = '{region}' RETURNING mood::text, mood");
        let statement = client.prepare_typed(&sql, std::slice::from_ref(&mood)).await.expect(region);
        let row = client.query_one(&statement, &[&Label("glad")]).await.expect(region);
        assert_eq!(row.get::<_, String>(0), "glad", "{region}");
        assert_eq!(row.get::<_, Raw>(1), Raw(b"glad".to_vec(), mood.oid()), "{region}");
    }
    let all = client.query("SELECT id, mood FROM people ORDER BY id", &[]).await.expect("rows of all shards");
    assert!(all.iter().all(|row| row.get::<_, Raw>(1) == Raw(b"glad".to_vec(), mood.oid())), "{all:?}");
}

/// Portals of one statement in other formats, and descriptions of others in between: each row by its own.
#[test]
fn each_row_is_translated_by_the_description_of_its_own_portal() {
    use crate::stand::{Pair, bind, close, describe, execute, parse, sync};
    let pair = Pair::new("numbers", TABLES);
    for (number, (_, shard)) in pair.shards().iter().enumerate() {
        (0..number).for_each(|filler| shard.run(&[&format!("CREATE TYPE filler{filler} AS ENUM ('x')")]));
    }
    let Some(target) = &pair.meridian else { return };
    target.run(&[TYPES]);
    for statement in SCHEMA.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        target.run(&[statement]);
    }
    let mut client = target.raw();
    let number = client.value("SELECT 'mood'::regtype::oid").expect("a type");
    let mood = number.parse::<u32>().expect("a number").to_be_bytes();
    let moods = "SELECT moods, id FROM people WHERE region = 'us-west'";
    let ids = "SELECT id, id FROM people WHERE region = 'us-west'";
    client.send(&[parse("moods", moods, &[]), parse("ids", ids, &[]), sync()].concat());
    client.until_ready();
    let mut ask = |messages: &[Vec<u8>]| -> Vec<Vec<Option<Vec<u8>>>> {
        client.send(&[&messages.concat()[..], &sync()].concat());
        let answer = client.until_ready();
        let lines: Vec<String> = answer.iter().map(crate::stand::Message::line).collect();
        assert!(answer.iter().all(|message| message.tag != b'E'), "{lines:?}");
        answer.iter().filter(|message| message.tag == b'D').map(crate::stand::Message::values).collect()
    };
    // The array in text and the number in binary, at first: nothing is learned from that for the next.
    for formats in [&[0, 1][..], &[1, 0], &[1], &[], &[1, 1]] {
        let rows = ask(&[bind("", "moods", &[], formats), execute("", 0)]);
        let array = rows[0][0].as_deref().expect("an array");
        match formats.first() {
            Some(1) => assert_eq!(array[8..12], mood, "{formats:?}"),
            _ => assert_eq!(array, b"{glad,NULL}", "{formats:?}"),
        }
    }
    for _ in 0..2 {
        let rows = ask(&[
            bind("a", "moods", &[], &[1]),
            bind("b", "ids", &[], &[1]),
            bind("c", "moods", &[], &[]),
            describe(b'P', "a"),
            execute("b", 0),
            describe(b'P', "a"),
            execute("c", 0),
            describe(b'P', "b"),
            execute("a", 0),
            close(b'P', "a"),
        ]);
        assert_eq!(rows[0], [Some(vec![0, 0, 0, 2]), Some(vec![0, 0, 0, 2])]);
        assert_eq!(rows[1][0].as_deref(), Some(&b"{glad,NULL}"[..]));
        assert_eq!(rows[2][0].as_deref().map(|array| array[8..12].to_vec()), Some(mood.to_vec()));
    }
}

/// A number that the default shard does not know is no type, even where it is one on the shard that is asked.
#[tokio::test]
async fn numbers_of_other_shards_are_no_types() {
    let (database, meridian) = start().await;
    let server = database.direct("ap-south").await;
    let there: u32 = server.query_one("SELECT 'pair[]'::regtype::oid", &[]).await.expect("a type").get(0);
    let client = connect(&meridian.app()).await;
    let known: i64 = client
        .query_one("SELECT count(*) FROM pg_type WHERE oid = $1", &[&there])
        .await
        .expect("a count")
        .get(0);
    if known == 0 {
        let of = Type::new("pairs".to_owned(), there, Kind::Simple, "public".to_owned());
        let sql = "SELECT count(*) FROM people WHERE region = 'ap-south' AND pairs = $1";
        let error = client.prepare_typed(sql, &[of]).await.expect_err("no such type");
        assert!(error.as_db_error().is_some(), "{error}");
    }
}

/// Functions that are immutable by PostgreSQL's word, but compute with the numbers of types: one server computes for all.
#[tokio::test]
async fn what_is_computed_of_numbers_is_one_servers() {
    let (database, meridian) = start().await;
    let client = connect(&meridian.app()).await;
    client.batch_execute("INSERT INTO people VALUES (5, 'us-west', 'sad', '{sad}')").await.expect("a row");
    let counts = [
        ("hashenum(mood)", 2),
        ("hashenumextended(mood, 1)", 2),
        ("hash_array(moods)", 4),
        ("array_send(moods)", 4),
        ("record_send(pair)", 3),
        ("pg_typeof(mood)::oid", 1),
    ];
    for (term, expected) in counts {
        let count = format!("SELECT count(DISTINCT {term}) FROM people");
        let group =
            format!("SELECT count(*) FROM (SELECT {term} FROM people WHERE {term} IS NOT NULL GROUP BY 1) s");
        for sql in [count, group] {
            match client.query_one(&sql, &[]).await {
                Ok(row) => assert_eq!(row.get::<_, i64>(0), expected, "{sql}"),
                Err(error) => {
                    assert_eq!(error.code().map(|code| code.code()), Some("0A000"), "{sql}: {error}")
                }
            }
        }
    }
    drop(database);
}

/// A label of an enum, as a parameter.
#[derive(Debug)]
struct Label(&'static str);

impl tokio_postgres::types::ToSql for Label {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut tokio_postgres::types::private::BytesMut,
    ) -> Result<tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(tokio_postgres::types::IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}
