//! Frontend messages as bytes (the manual's "Message Formats").

/// A parameter or result value of Bind.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    Null,
    Text(Vec<u8>),
    Binary(Vec<u8>),
}

pub fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend((body.len() as i32 + 4).to_be_bytes());
    bytes.extend(body);
    bytes
}

pub fn query(text: &str) -> Vec<u8> {
    frame(b'Q', &[text.as_bytes(), b"\0"].concat())
}

pub fn parse(name: &str, text: &str, types: &[u32]) -> Vec<u8> {
    let mut body = [name.as_bytes(), b"\0", text.as_bytes(), b"\0"].concat();
    body.extend((types.len() as i16).to_be_bytes());
    types.iter().for_each(|oid| body.extend(oid.to_be_bytes()));
    frame(b'P', &body)
}

/// `result_formats`: none for text, one for all, or one for each column.
pub fn bind(portal: &str, statement: &str, parameters: &[Parameter], result_formats: &[i16]) -> Vec<u8> {
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0"].concat();
    put_parameters(&mut body, parameters);
    body.extend((result_formats.len() as i16).to_be_bytes());
    result_formats.iter().for_each(|format| body.extend(format.to_be_bytes()));
    frame(b'B', &body)
}

/// `result_format`: 0 for text, 1 for binary.
pub fn function_call(function: u32, arguments: &[Parameter], result_format: i16) -> Vec<u8> {
    let mut body = function.to_be_bytes().to_vec();
    put_parameters(&mut body, arguments);
    body.extend(result_format.to_be_bytes());
    frame(b'F', &body)
}

/// Their formats, where one is binary, and their values.
fn put_parameters(body: &mut Vec<u8>, parameters: &[Parameter]) {
    let binary = parameters.iter().any(|parameter| matches!(parameter, Parameter::Binary(_)));
    let formats = if binary { parameters.len() } else { 0 };
    body.extend((formats as i16).to_be_bytes());
    for parameter in &parameters[..formats] {
        body.extend(i16::from(matches!(parameter, Parameter::Binary(_))).to_be_bytes());
    }
    body.extend((parameters.len() as i16).to_be_bytes());
    for parameter in parameters {
        match parameter {
            Parameter::Null => body.extend((-1_i32).to_be_bytes()),
            Parameter::Text(value) | Parameter::Binary(value) => {
                body.extend((value.len() as i32).to_be_bytes());
                body.extend(value);
            }
        }
    }
}

/// `kind` is `S` or `P`.
pub fn describe(kind: u8, name: &str) -> Vec<u8> {
    frame(b'D', &[&[kind], name.as_bytes(), b"\0"].concat())
}

pub fn close(kind: u8, name: &str) -> Vec<u8> {
    frame(b'C', &[&[kind], name.as_bytes(), b"\0"].concat())
}

pub fn execute(portal: &str, rows_max: i32) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0", &rows_max.to_be_bytes()].concat())
}

pub fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

/// One statement without a name or parameters, and without a Sync.
pub fn unended(text: &str) -> Vec<u8> {
    [parse("", text, &[]), bind("", "", &[], &[]), execute("", 0)].concat()
}

/// The same, up to its Sync.
pub fn extended(text: &str) -> Vec<u8> {
    [unended(text), sync()].concat()
}

pub fn flush() -> Vec<u8> {
    frame(b'H', b"")
}

pub fn terminate() -> Vec<u8> {
    frame(b'X', b"")
}

pub fn startup(version: i32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    let mut bytes = (body.len() as i32 + 4).to_be_bytes().to_vec();
    bytes.extend(body);
    bytes
}

pub const PROTOCOL_3_0: i32 = 196_608;
pub const SSL_REQUEST: i32 = 80_877_103;
pub const GSS_REQUEST: i32 = 80_877_104;
pub const CANCEL_REQUEST: i32 = 80_877_102;

/// SSLRequest, GSSENCRequest.
pub fn request(code: i32) -> Vec<u8> {
    [8_i32.to_be_bytes(), code.to_be_bytes()].concat()
}

pub fn cancel(process: i32, secret: i32) -> Vec<u8> {
    [16_i32, CANCEL_REQUEST, process, secret].iter().flat_map(|word| word.to_be_bytes()).collect()
}
