//! Six statements worth trying, what each shows, and what each must answer.
//!
//! The answers are computed from the generator, row by row, with no database: an answer that agrees has gone through
//! placement, load, routing and merging, and come out right.
//!
//! Invariants:
//! 1. On one PostgreSQL that holds all rows the same statements give the same answers (but the refusal is Meridian's).
//! 2. Expected values are the text that PostgreSQL prints: `numeric` with its scale, NULL as none.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::data::{Dataset, Point, Ride, Status, Table, driver_position};
use super::output::line;
use super::progress::Progress;

/// Rows of values as PostgreSQL prints them.
pub type Rows = Vec<Vec<Option<String>>>;

/// A statement worth trying.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub shows: &'static str,
    pub sql: &'static str,
    pub answer: Answer,
}

/// What a question must lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Rows(Rows),
    /// An error with this SQLSTATE.
    Refused(&'static str),
}

const ONE_REGION: &str = "\
SELECT status, count(*) AS rides FROM rides
WHERE region = 'eu-central' GROUP BY status ORDER BY status";
const BOX: &str = "\
SELECT count(*) AS rides, min(price) AS cheapest, max(price) AS dearest FROM rides
WHERE pickup_lat BETWEEN 40.5 AND 41.0 AND pickup_lon BETWEEN -74.3 AND -73.7";
const GEOHASH: &str = "SELECT count(*) AS drivers FROM driver_locations WHERE geohash LIKE 'te7%'";
const ALL_REGIONS: &str = "\
SELECT region, count(*) AS rides, sum(price) AS revenue, max(distance_km) AS longest_km FROM rides
WHERE status = 'completed' GROUP BY region ORDER BY region";
const TOP: &str = "SELECT ride_id, region, price FROM rides ORDER BY price DESC, ride_id LIMIT 5";
const CONTRADICTION: &str = "\
INSERT INTO rides (ride_id, user_id, region, pickup_lat, pickup_lon, dropoff_lat, dropoff_lon, pickup_geohash)
VALUES ('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002',
        'ap-south', 40.7128, -74.0060, 40.7306, -73.9866, 'dr5regw3p')";

/// The six statements, with their answers for this data set.
pub fn questions(dataset: &Dataset) -> Vec<Question> {
    let facts = Facts::of(dataset);
    let rows = |shows, sql, rows| Question { shows, sql, answer: Answer::Rows(rows) };
    vec![
        rows("a region is named: its shard alone is asked, on a replica", ONE_REGION, facts.one_region()),
        rows("a box around New York: only the areas that it touches are asked", BOX, facts.in_box()),
        rows(
            "a geohash prefix, around Mumbai: placed by position, found by position",
            GEOHASH,
            facts.geohash(),
        ),
        rows("no region is named: all shards at once, groups are combined", ALL_REGIONS, facts.all_regions()),
        rows("an order over all shards: their ordered answers are merged, and five taken", TOP, facts.top()),
        Question {
            shows: "a row whose position contradicts its region is refused",
            sql: CONTRADICTION,
            answer: Answer::Refused("23514"),
        },
    ]
}

/// What one pass over all rides and drivers finds out.
#[derive(Debug, Default)]
struct Facts {
    statuses_in_europe: BTreeMap<&'static str, u64>,
    in_box: Vec<u64>,
    completed: BTreeMap<&'static str, Completed>,
    /// Dearest first; no more than are asked for.
    top: Vec<(std::cmp::Reverse<u64>, uuid::Uuid, &'static str)>,
    drivers_in_cell: u64,
}

#[derive(Debug, Default)]
struct Completed {
    rides: u64,
    revenue_hundredths: u64,
    longest_hundredths: u64,
}

impl Facts {
    fn of(dataset: &Dataset) -> Self {
        let mut facts = Self::default();
        for ride in dataset.rides() {
            facts.add(&ride);
        }
        let drivers = 0..dataset.rows(Table::DriverLocations);
        let here = drivers.filter(|row| driver_position(dataset, *row).geohash().starts_with("te7"));
        facts.drivers_in_cell = here.count() as u64;
        facts
    }

    fn add(&mut self, ride: &Ride) {
        if ride.region() == "eu-central" {
            *self.statuses_in_europe.entry(ride.status.name()).or_default() += 1;
        }
        if is_in_box(ride.pickup) {
            self.in_box.push(ride.price_hundredths);
        }
        if ride.status == Status::Completed {
            let completed = self.completed.entry(ride.region()).or_default();
            completed.rides += 1;
            completed.revenue_hundredths += ride.price_hundredths;
            completed.longest_hundredths = completed.longest_hundredths.max(ride.distance_hundredths);
        }
        self.top.push((std::cmp::Reverse(ride.price_hundredths), ride.id, ride.region()));
        // Kept short, but not sorted for every ride.
        if self.top.len() >= 1000 {
            self.shorten_top();
        }
    }

    fn shorten_top(&mut self) {
        self.top.sort_unstable();
        self.top.truncate(5);
    }

    fn one_region(&self) -> Rows {
        let row = |(status, count): (&&str, &u64)| vec![text(status), text(count)];
        self.statuses_in_europe.iter().map(row).collect()
    }

    fn in_box(&self) -> Rows {
        let (cheapest, dearest) = (self.in_box.iter().min(), self.in_box.iter().max());
        vec![vec![
            text(self.in_box.len()),
            cheapest.and_then(|price| hundredths(*price)),
            dearest.and_then(|price| hundredths(*price)),
        ]]
    }

    fn geohash(&self) -> Rows {
        vec![vec![text(self.drivers_in_cell)]]
    }

    fn all_regions(&self) -> Rows {
        let row = |(region, completed): (&&str, &Completed)| {
            let Completed { rides, revenue_hundredths, longest_hundredths } = completed;
            vec![text(region), text(rides), hundredths(*revenue_hundredths), hundredths(*longest_hundredths)]
        };
        self.completed.iter().map(row).collect()
    }

    fn top(mut self) -> Rows {
        self.shorten_top();
        let row = |(price, id, region): &(std::cmp::Reverse<u64>, uuid::Uuid, &'static str)| {
            vec![text(id), text(region), hundredths(price.0)]
        };
        self.top.iter().map(row).collect()
    }
}

fn is_in_box(point: Point) -> bool {
    (40.5..=41.0).contains(&point.latitude) && (-74.3..=-73.7).contains(&point.longitude)
}

fn text(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

fn hundredths(value: u64) -> Option<String> {
    Some(format!("{}.{:02}", value / 100, value % 100))
}

/// Asks every question, prints the answers and their routes, and fails when any is not the right one.
pub async fn ask(config: &Config, questions: &[Question], progress: &Progress) -> anyhow::Result<()> {
    let (client, connection) = config.connect(NoTls).await.context("connecting")?;
    let driver = tokio::spawn(connection);
    let mut wrong = 0;
    for question in questions {
        line!("-- {}\n{};", question.shows, question.sql);
        match check(&client, question).await? {
            Verdict::Right => line!(""),
            Verdict::Wrong(what) => {
                line!("WRONG: {what}\n");
                wrong += 1;
            }
        }
    }
    drop(client);
    driver.await?.context("closing the connection")?;
    if wrong > 0 {
        bail!("{wrong} of {} answers were wrong", questions.len());
    }
    progress.say(&format!("all {} answers were right", questions.len()));
    Ok(())
}

enum Verdict {
    Right,
    Wrong(String),
}

async fn check(client: &Client, question: &Question) -> anyhow::Result<Verdict> {
    let outcome = client.simple_query(question.sql).await;
    match (&question.answer, outcome) {
        (Answer::Rows(expected), Ok(messages)) => {
            let (names, rows) = table(&messages);
            print_table(&names, &rows);
            print_route(client, question.sql).await?;
            if rows == *expected {
                return Ok(Verdict::Right);
            }
            Ok(Verdict::Wrong(format!("the rows must be {expected:?}")))
        }
        (Answer::Refused(state), Err(error)) if error.code().is_some_and(|code| code.code() == *state) => {
            let message = error.as_db_error().map(|error| error.message().to_owned()).unwrap_or_default();
            line!("ERROR {state}: {message}");
            Ok(Verdict::Right)
        }
        (Answer::Refused(state), Ok(_)) => Ok(Verdict::Wrong(format!("must be refused with {state}"))),
        (_, Err(error)) if error.is_closed() => Err(error).context("the connection was lost"),
        (_, Err(error)) => {
            let detail =
                error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
            Ok(Verdict::Wrong(detail))
        }
    }
}

/// The head of what EXPLAIN says: the route, before PostgreSQL's own plan.
async fn print_route(client: &Client, sql: &str) -> anyhow::Result<()> {
    let messages = client.simple_query(&format!("EXPLAIN {sql}")).await.context("EXPLAIN")?;
    let (_, rows) = table(&messages);
    let lines = rows.iter().filter_map(|row| row.first()?.as_deref());
    for line in lines.take_while(|line| !line.contains("(cost=")) {
        line!("   {line}");
    }
    Ok(())
}

fn table(messages: &[SimpleQueryMessage]) -> (Vec<String>, Rows) {
    let mut names = Vec::new();
    let mut rows = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                names = columns.iter().map(|column| column.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect());
            }
            _ => {}
        }
    }
    (names, rows)
}

fn print_table(names: &[String], rows: &Rows) {
    let cell = |row: &[Option<String>], column: usize| row.get(column).cloned().flatten().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| cell(row, column).chars().count());
        cells.chain([names[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let print = |cells: Vec<String>| {
        let padded: Vec<_> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line!("   {}", padded.join("  ").trim_end());
    };
    print(names.to_vec());
    for row in rows {
        print((0..names.len()).map(|column| cell(row, column)).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_questions_have_answers_that_say_something() {
        let questions = questions(&Dataset::new(42, 34_000));
        assert_eq!(questions.len(), 6);
        for question in &questions {
            let Answer::Rows(rows) = &question.answer else { continue };
            assert!(
                rows.iter().flatten().all(|value| value.as_deref().is_some_and(|text| text != "0")),
                "{rows:?}"
            );
        }
        let Answer::Rows(top) = &questions[4].answer else { panic!() };
        assert_eq!(top.len(), 5);
    }

    #[test]
    fn a_single_row_has_answers_too() {
        let questions = questions(&Dataset::new(1, 1));
        assert_eq!(questions.len(), 6);
    }
}
