//! Backend messages: decoded as far as a test looks at them, and printed.
//!
//! `line` prints the parts that every PostgreSQL answers alike, whatever its version; `detail` adds those that two
//! servers of one version must agree on: the wording of errors, positions, sizes and modifiers of columns.

use std::fmt::Write;

/// A longer value is printed as its length and a checksum.
const VALUE_BYTES_SHOWN: usize = 200;

#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub tag: u8,
    pub body: Vec<u8>,
}

/// One of RowDescription.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    pub attribute: i16,
    pub type_oid: u32,
    pub size: i16,
    pub modifier: i32,
    pub format: i16,
}

impl Message {
    /// The kind of an authentication request.
    pub fn authentication(&self) -> Option<i32> {
        (self.tag == b'R').then(|| self.reader().int())
    }

    /// ParameterStatus.
    pub fn two_strings(&self) -> (String, String) {
        let mut reader = self.reader();
        (reader.string(), reader.string())
    }

    /// BackendKeyData.
    pub fn key(&self) -> (i32, i32) {
        let mut reader = self.reader();
        (reader.int(), reader.int())
    }

    /// The transaction status of ReadyForQuery.
    pub fn status(&self) -> char {
        self.body.first().map_or('?', |byte| *byte as char)
    }

    /// A field of ErrorResponse or NoticeResponse: `C` is the SQLSTATE, `M` the message.
    pub fn field(&self, code: u8) -> Option<String> {
        self.fields().into_iter().find(|(name, _)| *name == code).map(|(_, value)| value)
    }

    fn fields(&self) -> Vec<(u8, String)> {
        let mut reader = self.reader();
        let mut fields = Vec::new();
        while let Some(code @ 1..) = reader.byte() {
            fields.push((code, reader.string()));
        }
        fields
    }

    /// DataRow.
    pub fn values(&self) -> Vec<Option<Vec<u8>>> {
        let mut reader = self.reader();
        let count = reader.short();
        let mut value = |_| {
            let length = reader.int();
            (length >= 0).then(|| reader.bytes(length as usize))
        };
        (0..count).map(&mut value).collect()
    }

    /// RowDescription.
    pub fn columns(&self) -> Vec<Column> {
        let mut reader = self.reader();
        let count = reader.short();
        let mut column = |_| {
            let name = reader.string();
            let _table = reader.int();
            let attribute = reader.short();
            let type_oid = reader.int() as u32;
            let (size, modifier, format) = (reader.short(), reader.int(), reader.short());
            Column { name, attribute, type_oid, size, modifier, format }
        };
        (0..count).map(&mut column).collect()
    }

    /// ParameterDescription.
    pub fn parameter_types(&self) -> Vec<u32> {
        let mut reader = self.reader();
        let count = reader.short();
        (0..count).map(|_| reader.int() as u32).collect()
    }

    /// CommandComplete.
    pub fn command_tag(&self) -> String {
        self.reader().string()
    }

    /// As a line of a wire case.
    pub fn line(&self) -> String {
        let mut reader = self.reader();
        let rest = match self.tag {
            b'T' => self.columns().iter().map(Column::line).collect::<Vec<_>>().join(" | "),
            b't' => self.parameter_types().into_iter().map(type_name).collect::<Vec<_>>().join(", "),
            b'D' => self
                .values()
                .iter()
                .map(|value| print_value(value.as_deref()))
                .collect::<Vec<_>>()
                .join(" | "),
            b'C' => self.command_tag(),
            b'd' => shortened(&self.body),
            b'Z' => self.status().to_string(),
            b'S' => format!("{} = {}", reader.string(), reader.string()),
            b'E' | b'N' => ['V', 'C', 'M'].map(|code| self.field(code as u8).unwrap_or_default()).join(" "),
            b'A' => {
                let _process = reader.int();
                format!("{} {}", reader.string(), escaped(reader.string().as_bytes()))
            }
            b'G' | b'H' => {
                let overall = reader.byte().unwrap_or_default();
                let formats: Vec<_> = (0..reader.short()).map(|_| reader.short().to_string()).collect();
                format!("{overall} [{}]", formats.join(" "))
            }
            b'K' => String::new(),
            b'V' => {
                let length = reader.int();
                print_value((length >= 0).then(|| reader.bytes(length as usize)).as_deref())
            }
            _ => escaped(&self.body),
        };
        format!("{} {rest}", self.tag as char).trim_end().to_owned()
    }

    /// What two servers of one version agree on beyond `line`.
    pub fn detail(&self) -> String {
        match self.tag {
            b'T' => format!("{:?}", self.columns()),
            b'E' | b'N' => {
                // Not the place in the server's source, nor a COPY's line: a shard counts the lines that it got.
                let kept = |code: u8, value: &str| {
                    !(b"FLR".contains(&code) || code == b'W' && value.starts_with("COPY "))
                };
                let said = self.fields().into_iter().filter(|(code, value)| kept(*code, value));
                said.fold(String::new(), |mut text, (code, value)| {
                    let _ = write!(text, "{}={value:?} ", code as char);
                    text
                })
            }
            _ => String::new(),
        }
    }

    fn reader(&self) -> Reader<'_> {
        Reader(&self.body)
    }
}

impl Column {
    fn line(&self) -> String {
        let format = if self.format == 1 { " binary" } else { "" };
        format!("{}: {}{format}", self.name, type_name(self.type_oid))
    }
}

/// The name of a built-in type; other OIDs differ from server to server.
pub fn type_name(oid: u32) -> String {
    let known = [
        (16, "bool"),
        (17, "bytea"),
        (18, "char"),
        (19, "name"),
        (20, "int8"),
        (21, "int2"),
        (23, "int4"),
        (25, "text"),
        (26, "oid"),
        (114, "json"),
        (600, "point"),
        (700, "float4"),
        (701, "float8"),
        (705, "unknown"),
        (869, "inet"),
        (1000, "bool[]"),
        (1007, "int4[]"),
        (1009, "text[]"),
        (1016, "int8[]"),
        (1042, "bpchar"),
        (1043, "varchar"),
        (1082, "date"),
        (1083, "time"),
        (1114, "timestamp"),
        (1184, "timestamptz"),
        (1186, "interval"),
        (1231, "numeric[]"),
        (1560, "bit"),
        (1700, "numeric"),
        (2249, "record"),
        (2278, "void"),
        (2950, "uuid"),
        (3802, "jsonb"),
        (1790, "refcursor"),
        (1266, "timetz"),
        (650, "cidr"),
        (790, "money"),
        (3904, "int4range"),
    ];
    let found = known.iter().find(|(known, _)| *known == oid);
    found.map_or_else(
        || if oid < 16384 { format!("type {oid}") } else { "own".to_owned() },
        |(_, name)| (*name).to_owned(),
    )
}

fn print_value(value: Option<&[u8]>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(b"NULL") => "\"NULL\"".to_owned(),
        Some(value) => shortened(value),
    }
}

fn shortened(value: &[u8]) -> String {
    if value.len() <= VALUE_BYTES_SHOWN {
        return escaped(value);
    }
    // FNV-1a.
    let sum = value
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("({} bytes, {sum:016x})", value.len())
}

/// Printable text as it is, with `\n`, `\t`, `\\` and `\|`; other bytes as `\x00ff`.
pub fn escaped(value: &[u8]) -> String {
    let text = std::str::from_utf8(value).ok();
    let text = text.filter(|text| !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
    let Some(text) = text else {
        return value.iter().fold("\\x".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
    };
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('|', "\\|")
}

/// Undoes `escaped`.
pub fn unescaped(text: &str) -> Vec<u8> {
    if let Some(digits) = text.strip_prefix("\\x") {
        let digits: Vec<_> = digits.chars().filter_map(|c| c.to_digit(16)).collect();
        return digits.chunks(2).map(|pair| (pair[0] * 16 + pair.get(1).unwrap_or(&0)) as u8).collect();
    }
    let mut bytes = Vec::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let c = if c != '\\' {
            c
        } else {
            match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('0') => '\0',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            }
        };
        bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
    }
    bytes
}

/// Reads past the end give nothings: what is malformed is printed wrongly, and so differs.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes(1).first().copied()
    }

    fn short(&mut self) -> i16 {
        self.bytes(2).try_into().map_or(0, i16::from_be_bytes)
    }

    fn int(&mut self) -> i32 {
        self.bytes(4).try_into().map_or(0, i32::from_be_bytes)
    }

    fn string(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let text = String::from_utf8_lossy(&self.bytes(end)).into_owned();
        self.bytes(1);
        text
    }
}

/// An answer as cases write it.
pub fn lines(messages: &[Message]) -> Vec<String> {
    messages.iter().map(Message::line).collect()
}
