//! The plan cache over a running Meridian: what it holds does not grow with the values that clients ask for.

use crate::harness::{column, connect, database, eventually, meridian};
use crate::stand::{Kind, PLACES, RawClient, Target, query};

const STATEMENTS: usize = 100_000;
/// In one message, which is planned statement by statement.
const STATEMENTS_OF_A_MESSAGE: usize = 20;
/// Sent in one write; their answers fit into the buffers of the sockets, so that nobody waits for the other.
const MESSAGES_OF_A_WRITE: usize = 25;
/// Clients side by side: the server is busy while Meridian plans.
const CLIENTS: usize = 4;

/// Where the catalog is read anew meanwhile, as after Meridian has made its own schema, the same shape has another plan.
const CONTEXTS_MAX: u64 = 3;

/// Asks for numbers and names of which no two are equal.
fn ask(mut client: RawClient, numbers: std::ops::Range<usize>) {
    let numbers: Vec<usize> = numbers.collect();
    for write in numbers.chunks(STATEMENTS_OF_A_MESSAGE * MESSAGES_OF_A_WRITE) {
        let messages: Vec<&[usize]> = write.chunks(STATEMENTS_OF_A_MESSAGE).collect();
        client.send(&messages.iter().flat_map(|numbers| message(numbers)).collect::<Vec<u8>>());
        for numbers in messages {
            let answer: Vec<u8> = client.until_ready().iter().map(|message| message.tag).collect();
            assert_eq!(answer, [b"TC".repeat(numbers.len()), b"Z".to_vec()].concat(), "{numbers:?}");
        }
    }
}

fn message(numbers: &[usize]) -> Vec<u8> {
    let statement = |number: &usize| {
        format!("SELECT id FROM places WHERE region = 'us-east' AND id = {number} AND name = 'name {number}'")
    };
    query(&numbers.iter().map(statement).collect::<Vec<_>>().join("; "))
}

#[tokio::test]
async fn a_hundred_thousand_literals_of_one_shape_have_one_plan() {
    let database = database().await;
    database.on_every_shard("CREATE TABLE places (id int, region text, name text)").await;
    let description = meridian(&database.cluster).database(&database.name).tables(PLACES);
    let meridian = description.section("proxy", "workers = 1").start();
    let port = meridian.address().port();
    let target = Target { kind: Kind::Meridian, port, database: database.name.clone() };
    let mut console = meridian.app();
    let console = connect(console.dbname("meridian")).await;
    let shown = async |name| -> u64 {
        let values = column(&console, "SHOW PLANS", name).await;
        values.iter().filter_map(|value| value.parse::<u64>().ok()).sum()
    };

    let each = STATEMENTS / CLIENTS;
    std::thread::scope(|scope| {
        for begin in (0..CLIENTS).map(|number| number * each) {
            let client = target.raw();
            scope.spawn(move || ask(client, begin..begin + each));
        }
    });
    let asked = async || (shown("hits").await + shown("misses").await >= STATEMENTS as u64).then_some(());
    eventually("the worker has told of all", asked).await;
    let (plans, misses) = (shown("plans").await, shown("misses").await);
    assert!(plans == misses && (1..=CONTEXTS_MAX).contains(&plans), "{plans} plans, {misses} misses");
}
