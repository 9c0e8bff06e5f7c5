//! Clients with an encoding of single bytes: one PostgreSQL and Meridian answer them byte by byte alike.

use std::sync::OnceLock;

use meridian::wire::encoding::{ENCODINGS, Encoding, Named};

use crate::stand::{
    Kind, Message, Pair, Parameter, RawClient, Received, Target, bind, common, execute, frame, function_call,
    parse, sync,
};

const TABLES: &str = "[[tables]]\nname = \"words\"\nplacement = \"hash\"\nkey = \"word\"\n";

/// By encoding: a word with characters of it, which is none of the other ones.
const WORDS: [(&str, &str); 3] = [("WIN1252", "Müßig €"), ("LATIN1", "Straße Å"), ("KOI8R", "Слово ё")];

fn pair() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(|| {
        let pair = Pair::new("encodings", TABLES);
        for target in pair.targets() {
            target.run(&["CREATE TABLE words (word text PRIMARY KEY, n int, note text)"]);
        }
        pair
    })
}

fn encoding(name: &str) -> &'static Encoding {
    match Named::of(name) {
        Named::Single(encoding) => encoding,
        other => panic!("{name} is {other:?}"),
    }
}

fn bytes(text: &str, encoding: &Encoding) -> Vec<u8> {
    text.chars().map(|character| encoding.byte(character).expect("one of the encoding's")).collect()
}

/// What both servers must say alike, its bytes as they came.
fn line(message: &Message) -> String {
    let body = match message.tag {
        b'E' | b'N' => {
            let fields = message.body.split(|byte| *byte == 0);
            let told = fields.filter(|field| field.first().is_some_and(|code| b"VCMDH".contains(code)));
            told.collect::<Vec<_>>().join(&b' ')
        }
        b'T' => {
            let mut names = Vec::new();
            let mut rest = &message.body[2..];
            while let Some(end) = rest.iter().position(|byte| *byte == 0) {
                names.extend([&rest[..end], b"|"].concat());
                rest = &rest[end + 19..];
            }
            names
        }
        _ => message.body.clone(),
    };
    format!("{} {}", char::from(message.tag), body.escape_ascii())
}

struct Talk {
    client: RawClient,
    encoding: &'static Encoding,
    lines: Vec<String>,
}

impl Talk {
    fn note(&mut self, answer: &[Message]) {
        self.lines.extend(answer.iter().map(line));
    }

    fn say(&mut self, text: &str) {
        self.lines.push(format!("> {text}"));
        self.client.send(&frame(b'Q', &[bytes(text, self.encoding), vec![0]].concat()));
        let answer = self.client.until_ready();
        self.note(&answer);
    }

    /// COPY … FROM STDIN with these rows, cut in the middle.
    fn copy_in(&mut self, statement: &str, rows: &str) {
        self.lines.push(format!("> {statement}"));
        let rows = bytes(rows, self.encoding);
        let (first, second) = rows.split_at(rows.len() / 2);
        let text = [bytes(statement, self.encoding), vec![0]].concat();
        self.client
            .send(&[frame(b'Q', &text), frame(b'd', first), frame(b'd', second), frame(b'c', b"")].concat());
        let answer = self.client.until_ready();
        self.note(&answer);
    }

    /// By the extended protocol, with a statement and a portal whose names are in the encoding.
    fn extended(&mut self, text: &str, value: &str) {
        let string = |text: &str| [bytes(text, self.encoding), vec![0]].concat();
        let (name, value) = (string(value), bytes(value, self.encoding));
        let parse = frame(b'P', &[&name[..], &string(text), &[0, 0]].concat());
        let length = (value.len() as i32).to_be_bytes();
        let bind = [&name[..], &name, &[0, 0, 0, 1], &length, &value, &[0, 0]].concat();
        let describe = frame(b'D', &[&b"P"[..], &name].concat());
        let execute = frame(b'E', &[&name[..], &[0; 4]].concat());
        let close = frame(b'C', &[&b"S"[..], &name].concat());
        let all = [parse, frame(b'B', &bind), describe, execute, close, sync()].concat();
        self.client.send(&all);
        let answer = self.client.until_ready();
        self.note(&answer);
    }
}

/// Says the same to both; the answers, which must be alike.
fn alike(name: &str, more: &[(&str, &str)], say: impl Fn(&mut Talk)) {
    let talk = |target: &Target| {
        let client =
            RawClient::connect(target, more).unwrap_or_else(|refused| panic!("{more:?}: {refused:?}"));
        let mut parameters = client.parameters.clone();
        parameters.retain(|(name, _)| name == "client_encoding");
        let mut talk = Talk { client, encoding: encoding(name), lines: vec![format!("{parameters:?}")] };
        say(&mut talk);
        talk.lines
    };
    let plain = talk(&pair().plain);
    if let Some(meridian) = &pair().meridian {
        let meridian = talk(meridian);
        let differs = plain.iter().zip(&meridian).position(|(plain, meridian)| plain != meridian);
        let at = differs.unwrap_or(plain.len().min(meridian.len()));
        let (before, same) = (at.saturating_sub(6), plain.len() == at && meridian.len() == at);
        let part = |lines: &[String]| lines[before..lines.len().min(at + 6)].join("\n");
        assert!(same, "{name}\nPostgreSQL\n{}\nMeridian\n{}", part(&plain), part(&meridian));
    }
}

fn use_words(talk: &mut Talk, word: &str) {
    for n in 1..=6 {
        talk.say(&format!("INSERT INTO words VALUES ('{word}{n}', {n}, 'Notiz {word}')"));
    }
    talk.say(&format!("SELECT word, note FROM words WHERE word = '{word}1'"));
    talk.say(&format!("SELECT word, n AS \"{word}\" FROM words WHERE word LIKE '{word}%' ORDER BY n"));
    talk.say(&format!("SELECT note, count(*) FROM words WHERE note LIKE '%{word}' GROUP BY note"));
    talk.say(&format!("SELECT length(word) FROM words WHERE word = '{word}2'"));
    talk.say(&format!("INSERT INTO words VALUES ('{word}1', 1)"));
    talk.say(&format!("SELECT \"{word}\" FROM words WHERE word = '{word}1'"));
    talk.say(&format!("DO $$ BEGIN RAISE NOTICE 'Hinweis {word}'; END $$"));
    talk.copy_in("COPY words FROM STDIN", &format!("{word}7\t7\t{word}\n{word}8\t8\t\\N\n"));
    talk.copy_in("COPY words FROM STDIN WITH CSV", &format!("{word}9,9,\"{word}, ja\"\n"));
    for n in 7..=9 {
        talk.say(&format!("COPY (SELECT * FROM words WHERE word = '{word}{n}') TO STDOUT"));
    }
    talk.extended("SELECT word, note FROM words WHERE word = $1", &format!("{word}7"));
    talk.extended("SELECT n FROM words WHERE note = $1", word);
    talk.extended("SELECT nothing FROM words WHERE word = $1", word);
    talk.say(&format!("UPDATE words SET n = 70 WHERE word = '{word}7' RETURNING word, n"));
    talk.say("SHOW client_encoding");
}

#[test]
fn words_are_written_and_read_in_the_clients_encoding() {
    for (name, word) in WORDS {
        alike(name, &[("client_encoding", name)], |talk| {
            use_words(talk, word);
            for n in 1..=9 {
                talk.say(&format!("DELETE FROM words WHERE word = '{word}{n}'"));
            }
        });
        alike(name, &[], |talk| {
            talk.say(&format!("SET client_encoding TO '{}'", name.to_lowercase()));
            use_words(talk, word);
            talk.say("RESET client_encoding");
            talk.say("SHOW client_encoding");
        });
        // Whoever speaks UTF-8 finds them where they are.
        for target in pair().targets() {
            let mut client = target.raw();
            for n in 1..=9 {
                let found = client.value(&format!("SELECT count(*) FROM words WHERE word = '{word}{n}'"));
                assert_eq!(found.as_deref(), Some("1"), "{:?} {word}{n}", target.kind);
            }
        }
    }
}

#[test]
fn the_encoding_follows_the_session() {
    alike("LATIN1", &[("options", "-c client_encoding=latin-1")], |talk| {
        for statement in [
            "SHOW client_encoding",
            "SELECT 'ü'",
            "BEGIN",
            "SET LOCAL client_encoding TO KOI8R",
            "SHOW client_encoding",
            "SELECT U&'\\0416'",
            "COMMIT",
            "SELECT 'ü'",
            "BEGIN",
            "SET client_encoding = 'windows-1252'",
            "SELECT U&'\\20AC'",
            "SAVEPOINT a",
            "SET client_encoding TO \"win1251\"",
            "SELECT U&'\\0416'",
            "ROLLBACK TO a",
            "SELECT U&'\\20AC'",
            "ROLLBACK",
            "SHOW client_encoding",
            "BEGIN",
            "SET client_encoding TO UTF8",
            "SELECT U&'\\20AC'",
            "SELECT 1 / 0",
            "ROLLBACK",
            "SHOW client_encoding",
            "SET client_encoding TO KOI8R; SELECT U&'\\0416'",
            "SHOW client_encoding",
            "SET client_encoding TO WIN1252; SELECT 1 / 0",
            "SHOW client_encoding",
            "RESET client_encoding",
            "SET NAMES 'WIN1252'",
            "SELECT U&'\\20AC'",
            "SET NAMES DEFAULT",
            "SHOW client_encoding",
            "SET client_encoding TO WIN1252",
            "RESET ALL",
            "SHOW client_encoding",
            "SET client_encoding TO WIN1252",
            "DISCARD ALL",
            "SHOW client_encoding",
            "SET client_encoding TO SQL_ASCII",
            "SELECT U&'\\20AC'",
            "SET client_encoding TO WIN1252",
            "SELECT U&'\\20AC'",
            "SHOW client_encoding",
            "SET client_encoding TO nonsense",
            "SHOW client_encoding",
            "SET LOCAL client_encoding TO KOI8R",
            "SHOW client_encoding",
        ] {
            talk.say(statement);
        }
    });
}

/// What comes in one write behind a change is in the new encoding, as PostgreSQL reads it.
#[test]
fn a_change_holds_from_the_next_message_on() {
    alike("LATIN1", &[], |talk| {
        let query = |text: &[u8]| frame(b'Q', &[text, b"\0"].concat());
        let messages = [
            query("SELECT 'ü'".as_bytes()),
            query(b"SET client_encoding TO LATIN1"),
            query(b"SELECT '\xfc', length('\xfc')"),
            query(b"SET client_encoding TO KOI8R"),
            query(b"SELECT '\xf6', length('\xf6')"),
            query(b"SET client_encoding TO UTF8"),
            query("SELECT 'ü', length('ü')".as_bytes()),
        ];
        talk.client.send(&messages.concat());
        for _ in messages {
            let answer = talk.client.until_ready();
            talk.note(&answer);
        }
    });
}

fn errors(answer: &[Message]) -> Vec<String> {
    answer.iter().filter(|message| message.tag == b'E').map(Message::line).collect()
}

#[test]
fn what_cannot_be_said_in_an_encoding_is_an_error() {
    let expected = "22P05 character with byte sequence 0xe2 0x82 0xac in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"";
    for target in pair().targets() {
        let mut client = RawClient::connect(target, &[("client_encoding", "LATIN1")]).expect("a session");
        client.simple("BEGIN");
        client.simple("INSERT INTO words VALUES ('lost', 0)");
        let errors = errors(&client.simple("SELECT U&'\\20AC' FROM words WHERE word = 'lost'"));
        assert!(errors.len() == 1 && errors[0].ends_with(expected), "{errors:?}");
        if target.kind == Kind::Meridian {
            assert!(errors[0].starts_with("E FATAL"), "{errors:?}");
            assert_eq!(client.receive(), Received::Closed);
        }
        drop(client);
        let mut client = target.raw();
        assert_eq!(client.value("SELECT count(*) FROM words WHERE word = 'lost'").as_deref(), Some("0"));
        // In what is told of a statement it is a question mark.
        let mut client = RawClient::connect(target, &[("client_encoding", "LATIN1")]).expect("a session");
        client.simple("DO $$ BEGIN RAISE NOTICE U&'\\00FC'; END $$");
        assert_eq!(client.value("SELECT 'here'").as_deref(), Some("here"));
    }
}

#[test]
fn a_byte_that_is_no_character_fails_its_statement() {
    for target in pair().targets() {
        let mut client = RawClient::connect(target, &[("client_encoding", "WIN1252")]).expect("a session");
        for key in [&b"SELECT '\x81'\0"[..], b"SELECT * FROM words WHERE word = '\x81'\0"] {
            client.send(&frame(b'Q', key));
            let errors = errors(&client.until_ready());
            let expected = if target.kind == Kind::Meridian { "E ERROR 22021" } else { "E ERROR 22P05" };
            assert!(errors.len() == 1 && errors[0].starts_with(expected), "{errors:?}");
        }
        assert_eq!(client.value("SELECT 'here'").as_deref(), Some("here"));
    }
}

#[test]
fn binary_values_and_encodings_of_several_bytes_are_refused() {
    let Some(meridian) = &pair().meridian else { return };
    let mut client = RawClient::connect(meridian, &[("client_encoding", "LATIN1")]).expect("a session");
    let mut refused = |what: &str, messages: &[Vec<u8>]| {
        client.send(&messages.concat());
        let answer = client.until_ready();
        let errors = errors(&answer);
        match what {
            "" => assert_eq!(errors, Vec::<String>::new()),
            what => assert!(errors.len() == 1 && errors[0].contains(what), "{what}: {errors:?}"),
        }
    };
    let one = 1_i32.to_be_bytes();
    let select = "SELECT word FROM words WHERE n = $1";
    refused(
        "a binary result",
        &[parse("", "SELECT 1", &[]), bind("", "", &[], &[1]), execute("", 0), sync()],
    );
    let number = || bind("", "", &[Parameter::Binary(one.to_vec())], &[]);
    refused("", &[parse("", select, &[23]), number(), execute("", 0), sync()]);
    refused("a binary parameter", &[parse("", select, &[]), number(), execute("", 0), sync()]);
    let query = |text: &str| [frame(b'Q', &[text.as_bytes(), b"\0"].concat())];
    refused("COPY in binary", &query("COPY words TO STDOUT (FORMAT binary)"));
    refused("COPY with ENCODING", &query("COPY words TO STDOUT (ENCODING 'LATIN2')"));
    refused("a binary cursor", &query("BEGIN; DECLARE c BINARY CURSOR FOR SELECT 1"));
    refused("", &query("ROLLBACK"));
    refused("a FunctionCall message", &[function_call(1598, &[], 0)]);
    refused("set_config() of this parameter", &query("SELECT set_config('client_encoding', 'UTF8', false)"));
    refused("client encodings of several bytes", &query("SET client_encoding TO EUC_JP"));
    refused("client encodings of several bytes", &query("SET client_encoding TO 'gbk'"));
    refused("", &query("SET client_encoding TO UTF8"));
    refused("", &[parse("", "SELECT 1", &[]), bind("", "", &[], &[1]), execute("", 0), sync()]);
    let sjis = RawClient::connect(meridian, &[("client_encoding", "SJIS")]);
    assert!(matches!(sjis, Err(Received::Message(message)) if message.line().starts_with("E FATAL 0A000")));
}

/// Of every byte and of every character of the lower planes' first part, on a server of this version.
#[test]
fn tables_are_those_of_the_server() {
    let mut client = common().plain.raw();
    let made = client.simple(
        "CREATE FUNCTION pg_temp.read(b int, e text) RETURNS text LANGUAGE plpgsql AS \
         $$ BEGIN RETURN ascii(convert_from(set_byte('\\x00', 0, b), e)); EXCEPTION WHEN OTHERS THEN RETURN '-'; END $$; \
         CREATE FUNCTION pg_temp.written(c int, e text) RETURNS int LANGUAGE plpgsql AS \
         $$ BEGIN RETURN get_byte(convert_to(chr(c), e), 0); EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$",
    );
    assert_eq!(errors(&made), Vec::<String>::new());
    for encoding in &ENCODINGS {
        let name = encoding.name;
        let server = client.value(&format!(
            "SELECT string_agg(pg_temp.read(b, '{name}'), ' ' ORDER BY b) FROM generate_series(128, 255) b"
        ));
        let ours = (128..=255).map(|byte| match encoding.character(byte) {
            Some(character) => u32::from(character).to_string(),
            None => "-".to_owned(),
        });
        assert_eq!(server, Some(ours.collect::<Vec<_>>().join(" ")), "{name}");
        let server = client.value(&format!(
            "SELECT string_agg(c || ':' || pg_temp.written(c, '{name}'), ' ' ORDER BY c) FROM generate_series(128, 12287) c"
        ));
        let ours = (128..=12287).filter_map(|code| {
            let byte = encoding.byte(char::from_u32(code)?)?;
            Some(format!("{code}:{byte}"))
        });
        assert_eq!(server, Some(ours.collect::<Vec<_>>().join(" ")), "{name}");
        let known = client.value(&format!("SELECT pg_encoding_to_char(pg_char_to_encoding('{name}'))"));
        assert_eq!(known.as_deref(), Some(name));
    }
}
