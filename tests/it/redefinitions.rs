//! DDL of one session, committed while statements of others wait for its locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{cluster, connect, eventually, meridian};
use crate::stand::{self, Pair, RawClient, Target, extended, lines};

const RULES: &str = "[[tables]]\nname = \"places\"\nplacement = \"region\"\nkey = \"region\"\n\
                     [[tables]]\nname = \"rates\"\nplacement = \"reference\"\n";

const REDEFINED: &str = "E ERROR 40001 could not serialize access: definitions that this statement depends on have changed \
                         while it waited";

/// How a statement waits.
#[derive(Debug, Clone, Copy)]
enum Way {
    Alone,
    AloneExtended,
    InTransaction,
    InTransactionExtended,
}

impl Way {
    const ALL: [Self; 4] =
        [Self::Alone, Self::AloneExtended, Self::InTransaction, Self::InTransactionExtended];

    fn is_alone(self) -> bool {
        matches!(self, Self::Alone | Self::AloneExtended)
    }

    /// Whether the answer to its Sync is the server's own.
    fn is_told_by_its_server(self) -> bool {
        matches!(self, Self::InTransactionExtended)
    }

    /// Asks in a thread of its own, and ends the transaction if there is one: the answers to both.
    fn ask(self, target: &Target, text: &'static str) -> thread::JoinHandle<(Vec<String>, Vec<String>)> {
        let mut client = target.raw();
        client.set_patience(Duration::from_secs(60));
        thread::spawn(move || {
            if !self.is_alone() {
                client.simple("BEGIN");
            }
            match self {
                Self::Alone | Self::InTransaction => client.send(&stand::query(text)),
                Self::AloneExtended | Self::InTransactionExtended => client.send(&extended(text)),
            }
            let answer = lines(&client.until_ready());
            let end = if self.is_alone() { Vec::new() } else { lines(&client.simple("COMMIT")) };
            (answer, end)
        })
    }
}

struct Stand {
    pair: Pair,
    waiting: String,
}

impl Stand {
    fn new(name: &str) -> Option<Self> {
        let pair = Pair::new(name, RULES);
        let database = pair.meridian.as_ref()?.database.clone();
        let waiting = format!(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = '{database}'"
        );
        Some(Self { pair, waiting })
    }

    fn meridian(&self) -> &Target {
        self.pair.meridian.as_ref().expect("it is there")
    }

    fn make(&self) {
        self.meridian().run(&[
            "DROP TABLE IF EXISTS places CASCADE",
            "CREATE TABLE places (junk text, region varchar(50) NOT NULL, name text)",
            "INSERT INTO places VALUES ('j', 'ap-south', 'first')",
            "INSERT INTO places VALUES ('j', 'us-east', 'first')",
        ]);
    }

    /// The answer to `text`, which waits while the statements of `ddl` are committed.
    async fn behind(
        &self,
        ddl: &[&str],
        way: Way,
        text: &'static str,
    ) -> (RawClient, Vec<String>, Vec<String>) {
        let mut changer = self.meridian().raw();
        changer.simple("BEGIN");
        for statement in ddl {
            let answer = lines(&changer.simple(statement));
            assert_eq!(answer.last().map(String::as_str), Some("Z T"), "{statement}: {answer:?}");
        }
        let asked = way.ask(self.meridian(), text);
        self.wait().await;
        assert_eq!(lines(&changer.simple("COMMIT")), ["C COMMIT", "Z I"], "{ddl:?}");
        let (answer, end) = asked.join().expect("an answer");
        (changer, answer, end)
    }

    /// Until some statement waits for a lock.
    async fn wait(&self) {
        eventually("it waits", async || {
            (!self.pair.ask_servers(self.meridian(), &self.waiting).is_empty()).then_some(())
        })
        .await;
    }

    /// Which shards have a row of this name.
    fn homes(&self, name: &str) -> Vec<String> {
        let ask = format!("SELECT region FROM places WHERE name = '{name}'");
        let rows =
            |target: &Target| lines(&target.raw().simple(&ask)).iter().any(|line| line.starts_with("D "));
        self.pair.shards().iter().filter(|(_, target)| rows(target)).map(|(name, _)| name.clone()).collect()
    }
}

/// By the old columns the row is of ap-south, by the new ones of us-east.
#[tokio::test]
async fn an_insert_that_waits_for_ddl_is_not_misplaced() {
    let Some(stand) = Stand::new("misplaced") else { return };
    for way in Way::ALL {
        stand.make();
        let ddl = ["ALTER TABLE places DROP COLUMN junk", "ALTER TABLE places ADD COLUMN more text"];
        let insert = "INSERT INTO places VALUES ('us-east', 'ap-south', 'x')";
        let (mut client, answer, end) = stand.behind(&ddl, way, insert).await;
        // Where a server has said that all went well, COMMIT is told.
        let told = if way.is_told_by_its_server() { &end } else { &answer };
        assert!(told.iter().any(|line| line.starts_with(REDEFINED)), "{way:?}: {answer:?}, {end:?}");
        assert_eq!(stand.homes("ap-south"), [""; 0], "{way:?}");
        assert_eq!(lines(&client.simple(insert)), ["C INSERT 0 1", "Z I"], "{way:?}");
        assert_eq!(stand.homes("ap-south"), ["us-east"], "{way:?}");
    }
}

/// What a client was told of a statement's columns holds for its rows, or it hears that it does not.
#[tokio::test]
async fn what_was_described_before_ddl_is_not_answered_in_another_shape() {
    let Some(stand) = Stand::new("described") else { return };
    let star = "E ERROR 0A000 cached plan must not change result type";
    for (name, text, expected) in [
        ("", "/* meridian: role=primary */ SELECT * FROM places WHERE region = 'us-east'", star),
        ("s", "/* meridian: role=primary */ SELECT * FROM places WHERE region = 'us-east'", star),
        ("", "/* meridian: role=primary */ SELECT * FROM places", star),
        ("", "UPDATE places SET junk = 'k' WHERE region = 'us-east' RETURNING *", star),
        ("s", "UPDATE rates SET v = 2 RETURNING *", star),
        ("", "UPDATE rates SET v = 2 RETURNING id", "D 1"),
        ("s", "/* meridian: role=primary */ SELECT name FROM places WHERE region = 'us-east'", "D first"),
        ("", "/* meridian: role=primary */ SELECT name FROM places WHERE region = 'us-east'", "D first"),
    ] {
        stand.make();
        stand.meridian().run(&[
            "DROP TABLE IF EXISTS rates",
            "CREATE TABLE rates (id int, v int)",
            "INSERT INTO rates VALUES (1, 1)",
        ]);
        let mut client = stand.meridian().raw();
        client.set_patience(Duration::from_secs(60));
        client.send(&[stand::parse(name, text, &[]), stand::describe(b'S', name), stand::sync()].concat());
        assert_eq!(lines(&client.until_ready()).last().map(String::as_str), Some("Z I"), "{text}");
        let mut changer = stand.meridian().raw();
        changer.simple("BEGIN");
        changer.simple("ALTER TABLE places ADD COLUMN more text DEFAULT 'm'");
        changer.simple("ALTER TABLE rates ADD COLUMN more text DEFAULT 'm'");
        let asked = thread::spawn(move || {
            client.send(&[stand::bind("", name, &[], &[]), stand::execute("", 0), stand::sync()].concat());
            lines(&client.until_ready())
        });
        stand.wait().await;
        assert_eq!(lines(&changer.simple("COMMIT")), ["C COMMIT", "Z I"], "{text}");
        let answer = asked.join().expect("an answer");
        assert!(answer.iter().any(|line| line.starts_with(expected)), "{name:?} {text}: {answer:?}");
    }
}

/// Most DDL changes nothing of where statements go: who waited for it does not notice.
#[tokio::test]
async fn what_waits_for_ddl_that_does_not_concern_its_place_runs() {
    let Some(stand) = Stand::new("harmless_ddl") else { return };
    for way in Way::ALL {
        stand.make();
        let insert = "INSERT INTO places VALUES ('j', 'ap-south', 'later')";
        let (_, answer, end) = stand.behind(&["ALTER TABLE places ADD COLUMN more int"], way, insert).await;
        assert!(answer.contains(&"C INSERT 0 1".to_owned()), "{way:?}: {answer:?}");
        assert!(answer.iter().all(|line| !line.starts_with("E ")), "{way:?}: {answer:?}");
        if !way.is_alone() {
            assert_eq!(end, ["C COMMIT", "Z I"], "{way:?}");
        }
        assert_eq!(stand.homes("later"), ["ap-south"], "{way:?}");
        let read = "/* meridian: role=primary */ SELECT * FROM places WHERE region = 'us-east'";
        let (_, answer, _) = stand.behind(&["ALTER TABLE places DROP COLUMN more"], way, read).await;
        let rows: Vec<_> = answer.iter().filter(|line| line.starts_with("D ")).collect();
        assert_eq!(rows, ["D j | us-east | first"], "{way:?}: {answer:?}");
    }
}

/// A trigger whose code nobody can see through has writes refused: also those that waited for it.
#[tokio::test]
async fn a_trigger_that_comes_while_a_write_waits_has_it_refused() {
    let Some(stand) = Stand::new("late_trigger") else { return };
    stand.meridian().run(&["CREATE FUNCTION anything() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN EXECUTE ''SELECT 1''; RETURN new; END'"]);
    for way in Way::ALL {
        stand.make();
        let ddl = ["CREATE TRIGGER t BEFORE INSERT ON places FOR EACH ROW EXECUTE FUNCTION anything()"];
        let insert = "INSERT INTO places VALUES ('j', 'ap-south', 'hidden')";
        let (mut client, answer, end) = stand.behind(&ddl, way, insert).await;
        let refused = lines(&client.simple(insert));
        assert!(refused[0].starts_with("E ERROR 0A000"), "{refused:?}");
        let told = if way.is_told_by_its_server() { &end } else { &answer };
        assert!(told.contains(&refused[0]), "{way:?}: {answer:?}, {end:?}, and later {refused:?}");
        assert_eq!(stand.homes("hidden"), [""; 0], "{way:?}");
    }
}

/// A default that each shard computes for itself would have the copies differ.
#[tokio::test]
async fn a_default_that_comes_while_copies_are_written_does_not_part_them() {
    let Some(stand) = Stand::new("late_default") else { return };
    for way in Way::ALL {
        stand.meridian().run(&[
            "DROP TABLE IF EXISTS rates",
            "CREATE TABLE rates (id int PRIMARY KEY, v double precision)",
        ]);
        let ddl = ["ALTER TABLE rates ALTER COLUMN v SET DEFAULT random()"];
        let (_, answer, _) = stand.behind(&ddl, way, "INSERT INTO rates (id) VALUES (1)").await;
        assert!(answer.iter().any(|line| line.starts_with("E ERROR ")), "{way:?}: {answer:?}");
        for (name, target) in stand.pair.shards() {
            let found = target.raw().value("SELECT count(*) FROM rates");
            assert_eq!(found.as_deref(), Some("0"), "{way:?}: {name}");
        }
    }
}

/// Rows of some shards as they were and of others as they are would be no answer.
#[tokio::test]
async fn a_question_over_shards_that_waits_for_ddl_is_asked_again() {
    let Some(stand) = Stand::new("late_columns") else { return };
    for way in Way::ALL {
        stand.make();
        let read = "/* meridian: role=primary */ SELECT * FROM places ORDER BY region";
        let (mut client, answer, _) =
            stand.behind(&["ALTER TABLE places ADD COLUMN more int"], way, read).await;
        match way.is_alone() {
            true => {
                assert!(answer.contains(&"D j | us-east | first | NULL".to_owned()), "{way:?}: {answer:?}")
            }
            // By its client: the transaction has begun by the other definitions.
            false => assert!(answer.iter().any(|line| line.starts_with(REDEFINED)), "{way:?}: {answer:?}"),
        }
        let rows = lines(&client.simple(read));
        assert!(rows.contains(&"D j | us-east | first | NULL".to_owned()), "{rows:?}");
    }
}

/// Says so when it is dropped.
struct Ending(Arc<AtomicBool>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes rows in a thread of its own, in a way of its own, until `over`. Rows are counted in `done`.
fn writer(
    target: &Target,
    number: usize,
    over: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
) -> thread::JoinHandle<()> {
    let mut client = target.raw();
    let insert = "INSERT INTO places VALUES ('us-east', 'ap-south', 'us-east')";
    thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            if number == 1 {
                client.simple("BEGIN");
            }
            client.send(&if number.is_multiple_of(2) { stand::query(insert) } else { extended(insert) });
            let answer = lines(&client.until_ready());
            let ended = if number == 1 { lines(&client.simple("COMMIT")) } else { Vec::new() };
            for line in answer.iter().chain(&ended).filter(|line| line.starts_with("E ")) {
                assert!(line.starts_with(REDEFINED), "{number}: {answer:?}, {ended:?}");
            }
            done.fetch_add(
                usize::from(answer.iter().any(|line| line.starts_with("C INSERT"))),
                Ordering::Relaxed,
            );
        }
    })
}

/// Wherever in its course a statement meets the DDL: no row is on a shard that is not its own.
#[tokio::test]
async fn no_row_is_misplaced_while_columns_change_their_places() {
    let Some(stand) = Stand::new("changing_places") else { return };
    stand.make();
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(6);
    let over = Arc::new(AtomicBool::new(false));
    let done: Vec<Arc<AtomicUsize>> = (0..4).map(|_| Arc::default()).collect();
    let writers: Vec<_> = done
        .iter()
        .enumerate()
        .map(|(number, done)| writer(stand.meridian(), number, Arc::clone(&over), Arc::clone(done)))
        .collect();
    // Also where the rest fails.
    let ending = Ending(Arc::clone(&over));
    let counts = || done.iter().map(|done| done.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let all_go_on = async || {
        let before = counts();
        eventually("every writer goes on", async || {
            counts().iter().zip(&before).all(|(now, before)| now > before).then_some(())
        })
        .await;
    };
    for round in 0..rounds {
        stand.meridian().run(&["ALTER TABLE places DROP COLUMN junk, ADD COLUMN junk text"]);
        all_go_on().await;
        for (shard, target) in stand.pair.shards() {
            let astray = format!("SELECT count(*) FROM places WHERE region <> '{shard}'");
            assert_eq!(target.raw().value(&astray).as_deref(), Some("0"), "round {round}: {shard}");
        }
        let mut changer = stand.meridian().raw();
        changer.send(&stand::query(
            "BEGIN; DROP TABLE places; \
             CREATE TABLE places (junk text, region varchar(50) NOT NULL, name text); COMMIT",
        ));
        let answer = lines(&changer.until_ready());
        assert!(answer.contains(&"C COMMIT".to_owned()), "{answer:?}");
        all_go_on().await;
    }
    drop(ending);
    for writer in writers {
        writer.join().expect("a writer");
    }
    assert!(counts().iter().all(|done| *done > 0));
}

/// A replica takes the locks of its primary's DDL: who waits there was planned by the old definitions, too.
#[tokio::test]
async fn what_waits_on_a_replica_is_not_answered_by_the_old_plan() {
    let Some(stand) = Stand::new("waits_on_replica") else { return };
    for way in [Way::Alone, Way::AloneExtended] {
        stand.make();
        stand.meridian().run(&[
            "DROP VIEW IF EXISTS seen",
            "DROP TABLE IF EXISTS plain",
            "CREATE TABLE plain (name text)",
            "INSERT INTO plain VALUES ('one')",
            "CREATE VIEW seen AS SELECT name FROM plain",
        ]);
        stand.pair.settle();
        let mut changer = stand.meridian().raw();
        changer.simple("BEGIN; DROP VIEW seen; CREATE VIEW seen AS SELECT name FROM places");
        let held = "SELECT 1 FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
                    WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND a.backend_type = 'startup'";
        eventually("the replicas have the lock", async || {
            let locks = stand.pair.ask_servers(stand.meridian(), held).len();
            // One of what goes, and one of what comes.
            (locks >= 2 * stand.pair.shards().len()).then_some(())
        })
        .await;
        let asked = way.ask(stand.meridian(), "SELECT count(*) FROM seen");
        eventually("it waits", async || {
            (!stand.pair.ask_servers(stand.meridian(), &stand.waiting).is_empty()).then_some(())
        })
        .await;
        assert_eq!(lines(&changer.simple("COMMIT")), ["C COMMIT", "Z I"]);
        let (answer, _) = asked.join().expect("an answer");
        let right = answer.iter().any(|line| line == "D 2" || line.starts_with(REDEFINED));
        assert!(right, "{way:?}: {answer:?}");
    }
}

/// What one session has altered and not committed keeps nobody waiting who does something else.
#[test]
fn ddl_that_is_open_holds_up_no_other() {
    let Some(stand) = Stand::new("open_ddl") else { return };
    stand.make();
    stand.meridian().run(&[
        "CREATE TABLE plain (id int DEFAULT 7, twice int GENERATED ALWAYS AS (1 + 1) STORED, CHECK (id > 0))",
        "CREATE VIEW seen AS SELECT id FROM plain",
        "CREATE TABLE other (id int DEFAULT 7)",
        "INSERT INTO plain (id) VALUES (5)",
    ]);
    let mut open = stand.meridian().raw();
    let altered = lines(&open.simple("BEGIN; ALTER TABLE plain ALTER COLUMN id TYPE bigint USING id"));
    // The view needs the column as it is.
    assert!(altered.iter().any(|line| line.starts_with("E ERROR 0A000")), "{altered:?}");
    open.simple("ROLLBACK");
    let altered = lines(&open.simple("BEGIN; ALTER TABLE plain ADD COLUMN more int"));
    assert_eq!(altered, ["C BEGIN", "C ALTER TABLE", "Z T"]);
    let mut client = stand.meridian().raw();
    client.set_patience(Duration::from_secs(10));
    for (statement, answer) in [
        ("ALTER TABLE other ADD COLUMN y int", "C ALTER TABLE"),
        ("CREATE TABLE another (id int)", "C CREATE TABLE"),
        ("INSERT INTO other (id) VALUES (1)", "C INSERT 0 1"),
    ] {
        assert_eq!(lines(&client.simple(statement)), [answer, "Z I"], "{statement}");
    }
    assert_eq!(client.value("SELECT count(*) FROM other").as_deref(), Some("1"));
    assert_eq!(lines(&open.simple("COMMIT")), ["C COMMIT", "Z I"]);
    assert_eq!(client.value("SELECT id FROM seen").as_deref(), Some("5"));
}

/// Two Meridians before the same servers; neither polls within the time of this test.
#[tokio::test]
async fn other_meridians_hear_of_ddl() {
    if std::env::var("MERIDIAN_TARGET").is_ok_and(|target| target == "postgres") {
        return;
    }
    let cluster = cluster().region("us-east").region("eu-central").start();
    let described = || meridian(&cluster).tables(RULES).section("health", "catalog_interval = \"10min\"");
    let (one, other) = (described().start(), described().start());
    let (changer, writer) = (connect(&one.app()).await, connect(&other.app()).await);
    changer.batch_execute("CREATE TABLE places (id text, region text)").await.expect("it is made");
    eventually("the other has heard of the table", async || {
        writer.batch_execute("INSERT INTO places VALUES ('one', 'eu-central')").await.ok()
    })
    .await;
    // By the old columns the region is "two", and refused.
    let swap = "BEGIN; DROP TABLE places; CREATE TABLE places (region text, id text); COMMIT";
    changer.batch_execute(swap).await.expect("it is made anew");
    eventually("the other has heard of the columns", async || {
        writer.batch_execute("INSERT INTO places VALUES ('eu-central', 'two')").await.ok()
    })
    .await;
    let there = cluster.direct("eu-central").await.query("SELECT region, id FROM places", &[]).await;
    assert_eq!(there.expect("it is asked").len(), 1);
}

/// Parse without Bind, over and over, while definitions change: neither side is in the other's way.
#[tokio::test]
async fn statements_are_prepared_beside_ddl() {
    let Some(stand) = Stand::new("prepared_beside_ddl") else { return };
    stand.make();
    let done = Arc::new(AtomicBool::new(false));
    let texts = ["SELECT name FROM places WHERE region = 'us-east'", "SELECT count(*) FROM places"];
    let askers: Vec<_> = (0..4)
        .map(|number| {
            let (mut client, done, text) =
                (stand.meridian().raw(), Arc::clone(&done), texts[number % texts.len()]);
            client.set_patience(Duration::from_secs(60));
            thread::spawn(move || {
                let mut errors = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    for batch in [stand::parse("s", text, &[]), stand::close(b'S', "s")] {
                        client.send(&[batch, stand::sync()].concat());
                        errors.extend(
                            lines(&client.until_ready()).into_iter().filter(|line| line.starts_with('E')),
                        );
                    }
                }
                errors
            })
        })
        .collect();
    let mut changer = stand.meridian().raw();
    for round in 0..20 {
        for change in ["TYPE bigint USING 1", "TYPE text"] {
            let answer = lines(&changer.simple(&format!("ALTER TABLE places ALTER COLUMN junk {change}")));
            assert_eq!(answer, ["C ALTER TABLE", "Z I"], "{round}");
        }
    }
    done.store(true, Ordering::Relaxed);
    let errors: Vec<String> = askers.into_iter().flat_map(|asker| asker.join().expect("answers")).collect();
    assert_eq!(errors, Vec::<String>::new());
}

/// What reaches a view without naming it: another schema of its name, a function that it calls. No lock has anybody wait.
#[tokio::test]
async fn no_view_is_answered_by_what_it_was_made_of_before() {
    let Some(stand) = Stand::new("far_ddl") else { return };
    stand.make();
    stand.meridian().run(&[
        "CREATE TABLE plain AS SELECT FROM generate_series(1, 5)",
        "CREATE SCHEMA here",
        "CREATE SCHEMA there",
        "CREATE VIEW here.seen AS SELECT 1 AS n FROM plain",
        "CREATE VIEW there.seen AS SELECT 1 AS n FROM places",
        "CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM plain'",
        "CREATE VIEW calling AS SELECT counted()",
    ]);
    let swap = "BEGIN; ALTER SCHEMA here RENAME TO spare; ALTER SCHEMA there RENAME TO here; \
                ALTER SCHEMA spare RENAME TO there; COMMIT";
    let of = |table: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION counted() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM {table}'"
        )
    };
    for (ask, ddl, right) in [
        ("SELECT count(*) FROM here.seen", [swap.to_owned(), swap.to_owned()], &["D 5", "D 2"][..]),
        ("SELECT counted FROM calling", [of("places"), of("plain")], &["D 5"][..]),
    ] {
        let over = Arc::new(AtomicBool::new(false));
        let askers: Vec<_> = (0..3)
            .map(|_| {
                let (mut client, over) = (stand.meridian().raw(), Arc::clone(&over));
                client.set_patience(Duration::from_secs(60));
                thread::spawn(move || {
                    let mut wrong = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        let answer = lines(&client.simple(ask));
                        let row = answer.iter().find(|line| line.starts_with("D ") || line.starts_with("E "));
                        let refused =
                            |row: &str| row.starts_with(REDEFINED) || row.starts_with("E ERROR 0A000");
                        if !row.is_some_and(|row| right.contains(&row.as_str()) || refused(row)) {
                            wrong.push(answer);
                        }
                    }
                    wrong
                })
            })
            .collect();
        let ending = Ending(Arc::clone(&over));
        for _ in 0..4 {
            for ddl in &ddl {
                let answer = lines(&stand.meridian().raw().simple(ddl));
                assert!(answer.iter().all(|line| !line.starts_with("E ")), "{ddl}: {answer:?}");
            }
        }
        drop(ending);
        let wrong: Vec<_> = askers.into_iter().flat_map(|asker| asker.join().expect("answers")).collect();
        assert_eq!(wrong, Vec::<Vec<String>>::new(), "{ask}");
    }
}
