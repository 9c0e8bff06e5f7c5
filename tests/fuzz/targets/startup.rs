//! The first, untyped packets of a connection (`wire::frontend::FirstPacket`).
//!
//! 1. A packet that is understood is written again as it came, but for what has no meaning: nothing.
//! 2. Its parameters lie within the packet, in number and length; the last of a name counts.
//! 3. A cancel key is 4 to 256 bytes long, and is never printed.

use bytes::BytesMut;
use meridian::wire::encode::client;
use meridian::wire::frontend::{CANCEL_SECRET_BYTES, FirstPacket, ProtocolVersion};

pub fn run(data: &[u8]) {
    let Ok(packet) = FirstPacket::decode(data) else { return };
    let mut written = BytesMut::new();
    match &packet {
        FirstPacket::SslRequest => client::ssl_request(&mut written),
        FirstPacket::GssEncRequest => client::gssenc_request(&mut written),
        FirstPacket::Cancel(cancel) => {
            assert!(CANCEL_SECRET_BYTES.contains(&cancel.secret.len()));
            let printed = format!("{cancel:?}");
            assert_eq!(printed, format!("CancelRequest {{ pid: {}, .. }}", cancel.pid));
            client::cancel_request(&mut written, cancel.pid, cancel.secret);
        }
        FirstPacket::Startup(startup) => {
            assert_eq!(startup.version.major, 3);
            let held: usize =
                startup.parameters.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
            assert_eq!(held + 5, data.len(), "every byte is one of a parameter, of the version or the end");
            for (name, _) in &startup.parameters {
                assert!(!name.is_empty());
                let last = startup.parameters.iter().rfind(|(other, _)| other == name);
                assert_eq!(startup.get(name), last.map(|(_, value)| *value));
            }
            assert!(startup.protocol_options().all(|name| name.starts_with(b"_pq_.")));
            client::startup(&mut written, startup.version, &startup.parameters);
        }
        FirstPacket::Unsupported(version) => {
            assert_ne!(version.major, 3);
            assert_eq!(ProtocolVersion::from_code(version.code()), *version);
            return;
        }
    }
    assert_eq!(&written[..4], (data.len() as u32 + 4).to_be_bytes(), "the length word counts itself");
    assert_eq!(&written[4..], data, "{packet:?} is not written as it was read");
}
