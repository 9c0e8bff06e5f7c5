//! Everything before the first ReadyForQuery: requests, versions, passwords, names, parameters.

use crate::stand::{
    GSS_REQUEST, Message, PROTOCOL_3_0, RawClient, Received, SSL_REQUEST, Target, cancel, common, request,
    startup,
};

/// Why a login was refused: severity, SQLSTATE, message.
fn refusal(answer: Result<RawClient, Received>) -> String {
    match answer {
        Err(Received::Message(message)) => message.line(),
        Err(other) => format!("{other:?}"),
        Ok(_) => "accepted".to_owned(),
    }
}

/// Says the same thing to both; panics unless both answer alike.
fn alike(what: &str, say: impl Fn(&Target) -> String) {
    let difference = difference(what, say);
    assert!(difference.is_empty(), "{difference}");
}

fn difference(what: &str, say: impl Fn(&Target) -> String) -> String {
    let plain = say(&common().plain);
    println!("{what}: {plain}");
    match common().meridian.as_ref().map(say) {
        // A refusal is no difference.
        Some(meridian) if meridian != plain && !meridian.starts_with("E FATAL 0A000") => {
            format!("{what}\n    PostgreSQL {plain}\n    Meridian   {meridian}\n")
        }
        _ => String::new(),
    }
}

#[test]
fn wrong_names_and_passwords_are_refused_alike() {
    alike("wrong password", |target| refusal(RawClient::login(target, "meridian", "wrong", &[])));
    alike("empty password", |target| refusal(RawClient::login(target, "meridian", "", &[])));
    alike("unknown user", |target| refusal(RawClient::login(target, "nobody_at_all", "meridian", &[])));
    alike("unknown database", |target| refusal(RawClient::connect(target, &[("database", "no such")])));
    alike("unknown user and database", |target| {
        refusal(RawClient::login(target, "nobody_at_all", "x", &[("database", "no such")]))
    });
    let secret = refusal(RawClient::login(&common().plain, "meridian", "wrong", &[]));
    assert_eq!(secret, "E FATAL 28P01 password authentication failed for user \"meridian\"");
}

#[test]
fn start_up_parameters_are_obeyed_alike() {
    let settings: &[&[(&str, &str)]] = &[
        &[("application_name", "starting")],
        &[("options", "-c work_mem=5MB -c DateStyle=German")],
        &[("options", "-c\\ spaces=no")],
        &[("options", "--work-mem=6MB --application_name=a\\ b")],
        &[("work_mem", "7MB"), ("TimeZone", "Asia/Tokyo")],
        &[("client_encoding", "LATIN1")],
        &[("client_encoding", "nonsense")],
        &[("no_such_setting", "x")],
        &[("work_mem", "much")],
        &[("options", "-c search_path=pg_catalog")],
        &[("extra_float_digits", "2"), ("DateStyle", "SQL, DMY"), ("my.own", "thing")],
        &[("replication", "false")],
    ];
    let mut differences = String::new();
    for more in settings {
        differences += &difference(&format!("{more:?}"), |target| match RawClient::connect(target, more) {
            Ok(mut client) => {
                let names = [
                    "work_mem",
                    "DateStyle",
                    "TimeZone",
                    "application_name",
                    "client_encoding",
                    "search_path",
                ];
                let mut values: Vec<_> =
                    names.iter().map(|name| client.value(&format!("SHOW {name}"))).collect();
                client.simple("SET work_mem = '20MB'");
                client.simple("RESET work_mem");
                values.push(client.value("SHOW work_mem"));
                format!("{values:?}")
            }
            refused => refusal(refused),
        });
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn what_is_reported_at_start_is_the_same() {
    alike("ParameterStatus", |target| {
        let mut parameters = target.raw().parameters;
        parameters.sort();
        format!("{parameters:?}")
    });
}

/// Everything that comes soon.
fn rest(client: &mut RawClient) -> String {
    client.set_patience(std::time::Duration::from_secs(2));
    client.rest()
}

#[test]
fn encryption_requests_are_declined_and_the_start_goes_on() {
    if let Some(target) = &common().meridian {
        // Whether PostgreSQL declines it depends on how it was built.
        let mut client = RawClient::open(target.port);
        for code in [GSS_REQUEST, SSL_REQUEST] {
            client.send(&request(code));
            assert_eq!(client.receive_byte(), Some(b'N'));
        }
        client.send(&startup(PROTOCOL_3_0, &[("user", "meridian"), ("database", &target.database)]));
        assert_eq!(client.authenticate("meridian"), Ok(()));
    }
    alike("SSL, start", |target| {
        let mut client = RawClient::open(target.port);
        client.send(&request(SSL_REQUEST));
        let ssl = client.receive_byte().map(char::from);
        client.send(&startup(PROTOCOL_3_0, &[("user", "meridian"), ("database", &target.database)]));
        format!("{ssl:?} {:?}", client.authenticate("meridian"))
    });
}

#[test]
fn other_versions_are_negotiated_or_refused() {
    for (major, minor) in [(3, 2), (3, 9)] {
        alike(&format!("protocol {major}.{minor}"), |target| {
            let mut client = RawClient::open(target.port);
            let database = ("database", target.database.as_str());
            client.send(&startup(
                major << 16 | minor,
                &[("user", "meridian"), database, ("_pq_.feature", "1")],
            ));
            match client.receive() {
                // Which minor version is offered may differ; that it is must not.
                Received::Message(Message { tag: b'v', .. }) => {
                    format!("negotiated {:?}", client.authenticate("meridian"))
                }
                Received::Message(message) => message.line(),
                other => format!("{other:?}"),
            }
        });
    }
}

#[test]
fn nonsense_at_the_start_is_turned_away() {
    alike("no user", |target| {
        let mut client = RawClient::open(target.port);
        client.send(&startup(PROTOCOL_3_0, &[("database", &target.database)]));
        rest(&mut client)
    });
    let frames: [(&str, &[u8]); 5] = [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: example\r\n\r\n"),
        ("length 3", &[0, 0, 0, 3]),
        ("length 2 GB", &[0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0]),
        ("not terminated", &[0, 0, 0, 13, 0, 3, 0, 0, b'u', b's', b'e', b'r', b'x']),
        ("password first", &[b'p', 0, 0, 0, 5, 0]),
    ];
    for (what, bytes) in frames {
        for target in common().targets() {
            let mut client = RawClient::open(target.port);
            client.send(bytes);
            let answer = rest(&mut client);
            assert!(answer.ends_with("closed"), "{what}: {:?}: {answer}", target.kind);
            assert!(!answer.contains("R "), "{what}: {:?}: {answer}", target.kind);
        }
    }
    for target in common().targets() {
        // Said and gone, at every length of a good beginning.
        let whole = startup(PROTOCOL_3_0, &[("user", "meridian"), ("database", &target.database)]);
        for length in 0..whole.len() {
            RawClient::open(target.port).send(&whole[..length]);
        }
        target.run(&["SELECT 1"]);
    }
}

#[test]
fn cancel_with_a_wrong_key_does_nothing() {
    for target in common().targets() {
        let client = target.raw();
        for (process, secret) in
            [(client.process, client.secret ^ 1), (client.process ^ 1, client.secret), (0, 0)]
        {
            let mut other = RawClient::open(target.port);
            other.send(&cancel(process, secret));
            assert_eq!(rest(&mut other), " closed");
        }
        drop(client);
        target.run(&["SELECT 1"]);
    }
}

#[test]
fn hints_and_settings_that_name_nothing_are_errors() {
    let Some(target) = &common().meridian else { return };
    let mut client = target.raw();
    let mut wrong = Vec::new();
    for (statement, code) in [
        ("/* meridian: shard=atlantis */ SELECT 1", "22023"),
        ("/* meridian: colour=red */ SELECT 1", "22023"),
        ("/* meridian: role=king */ SELECT 1", "22023"),
        ("SET meridian.consistency = 'perhaps'", "22023"),
        ("SET meridian.region = 'atlantis'", "22023"),
        ("SET meridian.max_lag = 'long'", "22023"),
        ("SET meridian.no_such_setting = 1", "42704"),
    ] {
        let answer = client.simple(statement);
        let error = answer.iter().find(|message| message.tag == b'E').map(Message::line);
        if !error.as_ref().is_some_and(|error| error.contains(code)) {
            wrong.push(format!("{statement}: {error:?}, not {code}"));
        }
        assert_eq!(client.value("SELECT 1").as_deref(), Some("1"));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for statement in [
        "/* meridian: shard=us-west */ SELECT 1",
        "/* meridian: role=primary */ SELECT count(*) FROM places",
        "SET meridian.consistency = 'strong'",
        "SET meridian.region = 'ap-south'",
        "SET meridian.max_lag = '2s'",
    ] {
        let answer = client.simple(statement);
        assert!(answer.iter().all(|message| message.tag != b'E'), "{statement}: {:?}", answer[0].line());
    }
    assert_eq!(client.value("SHOW meridian.region").as_deref(), Some("ap-south"));
}
