//! The PostgreSQL protocol, version 3, from both ends: frames, messages, start-up and authentication.
//!
//! Called by `session` (as the server of a client), by `backend` (as the client of a server), and by every room
//! that raises an error a client will read ([`SqlError`]). Calls nothing of the other rooms: it knows neither SQL
//! nor shards.
//!
//! ```text
//!            frame     ─ where does a message begin and end, may it stand here, is it too long
//!   decide   frontend  ─ what a client's message says, borrowed from its frame
//!   (pure)   backend   ─ what a server's message says, borrowed from its frame
//!            encode    ─ every message, appended to a BytesMut
//!            encoding  ─ clients' texts in another encoding, as UTF-8 and back
//!            error     ─ SqlError and SqlState, to and from an ErrorResponse
//!            scram, credential, secret ─ the arithmetic of authentication
//!
//!   drive    stream    ─ a socket and what was read from it; the place where TLS will stand
//!   (tokio)  startup   ─ a client's first packets and its authentication
//!            login     ─ connecting and authenticating to a server; cancelling a statement there
//! ```
//!
//! Invariants:
//! 1. Bytes from a stranger never panic, and never make this room buffer more than [`Limits`] says.
//! 2. A decoder sees exactly one frame's body, and succeeds only if it used all of it.
//! 3. What a decoder yields borrows from the frame: nothing is copied, and nothing is assumed about the encoding
//!    of text.
//! 4. A secret is never printed: [`Secret`] has no `Display` and a `Debug` without content.
//!
//! Not here: the states of a session or of a pooled connection (`session`, `backend`), the decoding of values
//! (`merge`), whose message is written when (`session`).

pub mod backend;
pub mod credential;
pub mod encode;
pub mod encoding;
pub mod error;
pub mod fault;
pub mod frame;
pub mod frontend;
pub mod login;
mod reader;
pub mod scram;
pub mod secret;
mod sqlstate;
pub mod startup;
pub mod stream;
pub mod tls;

pub use error::{Severity, SqlError, SqlState};
pub use frame::{Frame, FrameError, FrameHeader, Limits, Phase};
pub use reader::DecodeError;
pub use secret::Secret;
