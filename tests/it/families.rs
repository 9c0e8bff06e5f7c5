//! Tables that become a part of others, or leave them, and what else has the name of a placed table.

use crate::harness::REGIONS;
use crate::stand::{Message, Pair, RawClient};

const RULES: &str = "[[tables]]\nname = \"measures\"\nplacement = \"region\"\nkey = \"region\"\n\
                     [[tables]]\nname = \"wide\"\nplacement = \"region\"\nkey = \"region\"\n";

fn run(client: &mut RawClient, statement: &str) -> String {
    let answer: Vec<_> = client.simple(statement).iter().map(Message::line).collect();
    answer.into_iter().find(|line| line.starts_with("E ") || line.starts_with("C ")).unwrap_or_default()
}

#[test]
fn only_an_empty_table_becomes_a_part_of_a_placed_one() {
    let pair = Pair::new("families", RULES);
    let Some(meridian) = &pair.meridian else { return };
    let mut client = meridian.raw();
    let made = |client: &mut RawClient, statement: &str| {
        let answer = run(client, statement);
        assert!(answer.starts_with("C "), "{statement}: {answer}");
    };
    made(&mut client, "CREATE TABLE measures (id int, region varchar(50) NOT NULL) PARTITION BY RANGE (id)");
    for statement in ["CREATE TABLE few (LIKE measures)", "CREATE TABLE \"Many\" (LIKE measures)"] {
        made(&mut client, statement);
    }
    made(&mut client, "ALTER TABLE measures ATTACH PARTITION few FOR VALUES FROM (0) TO (100)");
    for (id, region) in REGIONS.iter().enumerate() {
        made(&mut client, &format!("INSERT INTO measures VALUES ({id}, '{region}')"));
    }
    for table in ["measures", "few"] {
        assert_eq!(client.value(&format!("SELECT count(*) FROM {table}")).as_deref(), Some("4"), "{table}");
        let one = format!("SELECT id FROM {table} WHERE region = '{}'", REGIONS[2]);
        assert_eq!(client.value(&one).as_deref(), Some("2"), "{table}");
    }
    // Its rows are on the default shard.
    made(&mut client, &format!("INSERT INTO \"Many\" VALUES (100, '{}')", REGIONS[1]));
    let attach = "ALTER TABLE measures ATTACH PARTITION \"Many\" FOR VALUES FROM (100) TO (200)";
    for block in [["SELECT 1", "SELECT 1"], ["BEGIN", "ROLLBACK"]] {
        client.simple(block[0]);
        let answer = run(&mut client, attach);
        assert!(answer.starts_with("E ERROR 0A000 \"Many\" has rows"), "{answer}");
        client.simple(block[1]);
    }
    let refused = run(&mut client, "ALTER TABLE measures DETACH PARTITION few");
    assert!(refused.starts_with("E ERROR 0A000 \"few\" is placed as a part of \"measures\""), "{refused}");
    made(&mut client, "DELETE FROM \"Many\"");
    made(&mut client, attach);
    made(&mut client, &format!("INSERT INTO measures VALUES (101, '{}')", REGIONS[3]));
    assert_eq!(client.value("SELECT count(*) FROM \"Many\"").as_deref(), Some("1"));
    assert_eq!(client.value("SELECT count(*) FROM measures").as_deref(), Some("5"));
}

#[test]
fn what_is_no_table_is_not_placed_by_the_rule_of_its_name() {
    let pair = Pair::new("named_like_a_table", RULES);
    for target in pair.targets() {
        let mut client = target.raw();
        for (made, dropped, expected) in [
            ("MATERIALIZED VIEW wide AS SELECT generate_series(1, 9) AS id", "MATERIALIZED VIEW wide", "9"),
            ("VIEW wide AS SELECT generate_series(1, 9) AS id", "VIEW wide", "9"),
            ("SEQUENCE wide", "SEQUENCE wide", "1"),
        ] {
            client.simple(&format!("CREATE {made}"));
            let count = client.value("SELECT count(*) FROM wide");
            assert_eq!(count.as_deref(), Some(expected), "{:?}: {made}", target.kind);
            client.simple(&format!("DROP {dropped}"));
        }
    }
}
