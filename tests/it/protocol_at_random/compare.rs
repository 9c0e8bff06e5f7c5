//! One session on both targets at once, and where their answers first differ.
//!
//! An answer is read message by message to its end, which what was sent tells: each message awaits its own word, and an error
//! skips those up to the next Sync. What is compared are lines of wire cases, and at each ReadyForQuery what the client has been
//! told of its parameters: reports may come in any order before it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::messages::Write;
use crate::stand::{self, Message, RawClient, Received, Target};
use crate::wire_cases::script;

/// Who says nothing for so long is not going to.
const SILENCE: Duration = Duration::from_secs(5);

/// The line of any error in a transaction that has failed.
const FAILED: &str = "E in a failed transaction";

/// How a session went.
#[derive(Debug)]
pub enum Outcome {
    /// Both have answered every write alike.
    Alike,
    /// Meridian has refused something of the write of this number.
    Refused {
        write: usize,
        why: String,
    },
    Differs(Difference),
}

/// Writes as they were sent, with the Syncs that had to stand between them, and what the last was answered.
#[derive(Debug)]
pub struct Difference {
    pub writes: Vec<Write>,
    pub expected: Vec<String>,
    pub got: Vec<String>,
}

impl Difference {
    /// What kind it is: the tags, and of errors the SQLSTATEs, of the first lines that differ.
    pub fn kind(&self) -> (String, String) {
        let (one, other) = self.first();
        (kind_of(&one), kind_of(&other))
    }

    /// The first lines that differ.
    fn first(&self) -> (String, String) {
        let at = self.expected.iter().zip(&self.got).take_while(|(one, other)| one == other).count();
        let line = |lines: &Vec<String>| lines.get(at).cloned().unwrap_or_default();
        (line(&self.expected), line(&self.got))
    }
}

/// The tag of a line.
fn word(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

fn kind_of(line: &str) -> String {
    line.split(' ').take(if line.starts_with("E ") { 3 } else { 1 }).collect::<Vec<_>>().join(" ")
}

/// Plays a session, until it ends, differs, or Meridian refuses something.
pub fn play(plain: &Target, meridian: &Target, writes: &[Write]) -> Outcome {
    let (mut one, mut other) = (Side::open(plain), Side::open(meridian));
    let mut sent: Vec<Write> = Vec::new();
    for (at, write) in writes.iter().enumerate() {
        if one.skips {
            sent.push(vec!["S".to_owned()]);
            if let Err(difference) = exchange(&mut one, &mut other, &sent) {
                return Outcome::Differs(difference);
            }
        }
        sent.push(one.bearable(write));
        match exchange(&mut one, &mut other, &sent) {
            Ok(()) => {}
            Err(difference) => match refusal(&difference) {
                Some(why) => return Outcome::Refused { write: at, why },
                None if is_known(&difference) => {
                    return Outcome::Refused { write: at, why: "known".to_owned() };
                }
                None => return Outcome::Differs(difference),
            },
        }
    }
    // What is not finished is given up, and both are where they say they are.
    for end in ["S", "Q ROLLBACK"] {
        sent.push(vec![end.to_owned()]);
        if let Err(difference) = exchange(&mut one, &mut other, &sent) {
            return Outcome::Differs(difference);
        }
    }
    Outcome::Alike
}

/// Sends the last write to both.
fn exchange(one: &mut Side, other: &mut Side, sent: &[Write]) -> Result<(), Difference> {
    let write = sent.last().expect("something is sent");
    let bytes: Vec<u8> = write.iter().flat_map(|line| script::bytes(line)).collect();
    one.client.send(&bytes);
    other.client.send(&bytes);
    let (expected, got) = (one.answer(write), other.answer(write));
    match expected == got {
        true => Ok(()),
        false => Err(Difference { writes: sent.to_vec(), expected, got }),
    }
}

/// What is told in another way by nature. The session ends there.
fn is_known(difference: &Difference) -> bool {
    const KNOWN: [(&str, &str); 19] = [
        // Arguments of EXECUTE are counted when it is parsed or described.
        ("", "E ERROR 42601 wrong number of parameters for prepared statement"),
        // The name's being taken is told before the statement is looked at.
        ("E ERROR 4", "E ERROR 42P05 prepared statement"),
        // Parameters of a command are counted when it runs, and by the server's own name for it; and what is parsed behind what
        // fails takes the place of the unnamed statement, although it is skipped.
        ("E ERROR 08P01 bind message", ""),
        // A row that is wrong, and behind it the client's own end of the COPY: rows wait to be sent on together.
        ("E ERROR 22P04", "E ERROR 57014"),
        // What the session performs itself is judged when it is executed.
        ("E ERROR 42P01", "1"),
        ("E ERROR 42P01", "2"),
        // A pipeline that goes to several servers, or on behind a Flush, is a block of ours, in which PostgreSQL has none.
        ("N WARNING 25P01", ""),
        ("E ERROR 25P01", ""),
        ("", "E ERROR 2D000"),
        // There a table that a portal reads can be dropped: the portal is another server's, or not there yet.
        ("E ERROR 55006", ""),
        // Behind what turns the transaction, in the same write, a portal's name is not known to be taken.
        ("E ERROR 42P03", ""),
        // A cursor outside of a block is refused before its query is read.
        ("1", "E ERROR 42P05"),
        // Shards are asked at Execute: who may not read there is told then.
        ("E ERROR 42501", "1"),
        ("E ERROR 42501", "2"),
        // Every server warns of the text that it is sent.
        ("N WARNING 22P06", ""),
        ("", "N WARNING 22P06"),
        // It is done amid a pipeline, too.
        ("E ERROR 25001 DISCARD ALL", ""),
        ("", "E ERROR 25001 DISCARD ALL"),
        // An Execute message amid the data of a COPY ends the session, with one error or with two.
        ("E ERROR 08P01 unexpected message type", "E FATAL 08P01 unexpected message type"),
    ];
    let (one, other) = difference.first();
    // Of the portals of a transaction that has failed it is not known which names are taken: what ends it is bound anyway.
    let ends = |line: &String| ["COMMIT", "ROLLBACK", "END"].iter().any(|word| line.contains(word));
    let bound = other == "1" || other == "2";
    if one == FAILED && bound && difference.writes.iter().flatten().any(ends) {
        return true;
    }
    // A FETCH that was bound before its cursor was declared: PostgreSQL has promised no rows, and sends none.
    let sent: Vec<_> = difference.writes.iter().flatten().collect();
    let fetch = sent.iter().position(|line| line.starts_with("P ") && line.contains(" FETCH "));
    let declared = sent.iter().rposition(|line| line.contains("DECLARE "));
    let no_rows = difference.expected.iter().all(|line| word(line) != "D");
    if one.starts_with("C FETCH") && other.starts_with("D ") && no_rows && fetch < declared && fetch.is_some()
    {
        return true;
    }
    // Since PostgreSQL 18 a Query in the place of Sync does not end the transaction of what came before it.
    let goes_on = one == "Z T" && other == "Z I" || one == "C SET" && other.starts_with("N WARNING 25P01");
    if goes_on && stand::servers_major() >= 18 {
        return true;
    }
    KNOWN.iter().any(|(expected, got)| one.starts_with(expected) && other.starts_with(got))
}

/// Meridian refuses something, or a replica what a primary takes in a read-only transaction; or one side finds that a
/// transaction's modes come too late, which depends on what of its write, or of ours, has run before.
fn refusal(difference: &Difference) -> Option<String> {
    const ENDS: [&str; 2] = ["must be called before any query", "during recovery"];
    let refuses = |line: &&String| {
        line.starts_with("E ERROR 0A000")
            || line.starts_with("E ERROR 23514 no shard holds")
            || ENDS.iter().any(|end| line.starts_with("E ") && line.contains(end))
    };
    difference.got.iter().find(refuses).or_else(|| difference.expected.iter().find(refuses)).cloned()
}

/// One side of a session.
struct Side {
    client: RawClient,
    /// The reported parameters, as the client has heard of them.
    told: BTreeMap<String, String>,
    /// An error without a Sync behind it: the server reads nothing before the next.
    skips: bool,
    /// The transaction has failed.
    failed: bool,
    /// Portals that are there, `-` for the unnamed one.
    bound: BTreeSet<String>,
}

impl Side {
    fn open(target: &Target) -> Self {
        let client = target.raw();
        client.set_patience(SILENCE);
        let told = client.parameters.iter().filter(|(name, _)| name != "in_hot_standby").cloned().collect();
        Self { client, told, skips: false, failed: false, bound: BTreeSet::new() }
    }

    fn answer(&mut self, write: &Write) -> Vec<String> {
        let mut awaited: VecDeque<&str> = write.iter().map(String::as_str).collect();
        let mut lines = Vec::new();
        self.skips = false;
        loop {
            while awaited.front().is_some_and(|line| ends_of(line).is_empty()) {
                awaited.pop_front();
            }
            let Some(sent) = awaited.front().copied() else { return lines };
            let message = match self.client.receive() {
                Received::Message(message) => message,
                end => {
                    lines.push(format!("{end:?}"));
                    return lines;
                }
            };
            self.note(sent, &message);
            if ends_of(sent).contains(&message.tag) {
                awaited.pop_front();
            } else if message.tag == b'E' && !sent.starts_with('Q') {
                while awaited.front().is_some_and(|line| !line.starts_with('S')) {
                    awaited.pop_front();
                }
                self.skips = awaited.is_empty();
            }
            self.hear(&message, &mut lines);
        }
    }

    /// In a transaction that has failed everything fails, and which of several reasons is told first is nobody's concern; nor is
    /// whether a portal that has ended is gone or cannot be run.
    fn error(&self, line: String) -> String {
        let of_a_portal =
            ["E ERROR 34000 portal", "E ERROR 55000 portal"].iter().any(|start| line.starts_with(start));
        let refuses = line.starts_with("E ERROR 0A000");
        match (self.failed && !refuses, of_a_portal) {
            (true, _) => FAILED.to_owned(),
            (false, true) => "E of a portal".to_owned(),
            (false, false) => line,
        }
    }

    /// Keeps what is known of portals and of the transaction.
    fn note(&mut self, sent: &str, message: &Message) {
        match (message.tag, sent.split(' ').collect::<Vec<_>>().as_slice()) {
            (b'2', ["B", portal, ..]) => drop(self.bound.insert((*portal).to_owned())),
            (b'E', ["B", portal, ..]) | (b'3', ["C", "P", portal]) => drop(self.bound.remove(*portal)),
            // It has a portal of its own, without a name.
            (_, ["Q", ..]) => drop(self.bound.remove("-")),
            _ => {}
        }
        if message.tag == b'Z' {
            self.failed = message.status() == 'E';
        }
        if message.tag == b'Z' && message.status() == 'I' {
            self.bound.clear();
        }
    }

    /// The write as it can be sent. In a transaction that has failed a portal whose Bind has failed is half there: PostgreSQL
    /// 15 ends with SIGSEGV if it is executed, or answers that it was empty.
    fn bearable(&self, write: &Write) -> Write {
        let mut bound = self.bound.clone();
        let mut write = write.clone();
        write.retain(|line| match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["B", portal, ..] => {
                bound.insert((*portal).to_owned());
                true
            }
            ["E", portal, ..] | ["D", "P", portal] => !self.failed || bound.contains(*portal),
            _ => true,
        });
        write
    }

    /// A line for the message. What an error ends has been answered by then as far as its server had come: Parse and Bind are
    /// confirmed, and rows have gone out, sooner or later than one PostgreSQL does it.
    fn hear(&mut self, message: &Message, lines: &mut Vec<String>) {
        match message.tag {
            b'S' => {
                let (name, value) = message.two_strings();
                self.told.insert(name, value);
                return;
            }
            b'E' => {
                let may_have_come =
                    |line: &String| ["1", "2", "n", "t", "T", "D", "H", "d"].contains(&word(line));
                while lines.last().is_some_and(may_have_come) {
                    lines.pop();
                }
            }
            _ => {}
        }
        let line = format!("{} {}", message.line(), described(message)).trim_end().to_owned();
        // Of a portal that has run the end of its own transaction.
        if !line.starts_with("N WARNING 01000 skipping cleanup for portal") {
            lines.push(if message.tag == b'E' { self.error(line) } else { line });
        }
        if message.tag == b'Z' && message.status() != 'E' {
            lines.push(format!("{:?}", self.told));
        }
    }
}

/// Of RowDescription what lines of wire cases leave out, but for the numbers of types that users have made.
fn described(message: &Message) -> String {
    const NUMBER: &str = "type_oid: ";
    let detail = if message.tag == b'T' { message.detail() } else { String::new() };
    let parts = detail.split(NUMBER).enumerate().map(|(at, part)| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let own = at > 0 && part[..digits].parse::<u32>().is_ok_and(|number| number >= 16_384);
        if own { format!("own{}", &part[digits..]) } else { part.to_owned() }
    });
    parts.collect::<Vec<_>>().join(NUMBER)
}

/// The tags that end what a message is answered.
fn ends_of(line: &str) -> &'static [u8] {
    match line.as_bytes().first() {
        Some(b'P') => b"1",
        Some(b'B') => b"2",
        Some(b'C') => b"3",
        Some(b'E') => b"CsI",
        Some(b'D') => b"Tn",
        Some(b'S' | b'Q') => b"Z",
        _ => b"",
    }
}
