//! JSON as Python's `json` module writes and reads it, which is what an Optuna database holds.
//!
//! It differs from RFC 8259 in what real databases contain: the tokens `NaN`, `Infinity` and
//! `-Infinity`, integers of any size, and strings with unpaired surrogates. The type of each value is
//! kept, because to Optuna `1`, `1.0` and `true` are different choices of a categorical parameter
//! when it writes them. It is not a general JSON library: the output of the command line is made elsewhere.

use std::fmt::Write as _;

/// The depth to which arrays and objects may nest: a bound on recursion over text from any source.
const MAX_DEPTH: usize = 128;

/// A JSON value in Python's dialect.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`, Python's `None`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// An integer that does not; its digits as written, with their sign.
    BigInt(String),
    /// A float, NaN and the infinities included.
    Float(f64),
    /// A string of Unicode scalar values.
    String(String),
    /// A string with unpaired surrogates, as UTF-16 code units.
    IllFormedString(Vec<u16>),
    /// An array.
    Array(Vec<Json>),
    /// An object, its members in the order written.
    Object(Vec<(String, Json)>),
}

/// The reason why a text is not JSON in Python's dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSON at byte {offset}: expected {expected}")]
pub struct JsonError {
    /// The position of the error, in bytes from the start of the text.
    pub offset: usize,
    /// The text that was expected there.
    pub expected: &'static str,
}

impl Json {
    /// Reads a whole text as one value.
    ///
    /// # Errors
    /// Fails if the text is not one JSON value in Python's dialect, or nests deeper than 128 levels.
    pub fn parse(text: &str) -> Result<Json, JsonError> {
        let mut parser = Parser { text, at: 0 };
        parser.skip_whitespace();
        let value = parser.value(0)?;
        parser.skip_whitespace();
        if parser.at == text.len() {
            Ok(value)
        } else {
            Err(parser.expected("the end of the text"))
        }
    }

    /// An object from its members.
    pub fn object<K: Into<String>>(members: impl IntoIterator<Item = (K, Json)>) -> Json {
        Json::Object(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The member `key` of an object; of several with that name the last, as Python's reader has it.
    pub fn get(&self, key: &str) -> Option<&Json> {
        let Json::Object(members) = self else { return None };
        members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Json::String(text) = self { Some(text) } else { None }
    }

    /// The items of an array.
    pub fn as_array(&self) -> Option<&[Json]> {
        if let Json::Array(items) = self { Some(items) } else { None }
    }

    /// Returns the text of the member `key`, if this is an object and the member is a string.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// The value as a Python `float()` of a number: booleans count as 0 and 1.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Json::Bool(value) => Some(f64::from(u8::from(*value))),
            Json::Int(value) => Some(*value as f64),
            Json::BigInt(digits) => digits.parse().ok(),
            Json::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The whole number, if it is one that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Json::BigInt(digits) => digits.parse().ok(),
            other => other.as_i64()?.try_into().ok(),
        }
    }

    /// Returns a whole number that is not negative, if the value is one and neither a float nor a boolean.
    pub fn as_whole(&self) -> Option<u64> {
        match self {
            Json::Int(_) | Json::BigInt(_) => self.as_u64(),
            _ => None,
        }
    }

    /// The value as a Python `int()` of a number: floats lose their fraction.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Json::Bool(value) => Some(i64::from(*value)),
            Json::Int(value) => Some(*value),
            // The bounds are powers of two, exact in f64; the upper one is excluded.
            Json::Float(value) if (-(2f64.powi(63))..2f64.powi(63)).contains(value) => {
                Some(*value as i64)
            }
            _ => None,
        }
    }

    /// Returns whether Python's `==` holds, with NaN equal to itself: `1`, `1.0` and `True` are one value.
    ///
    /// This is how Optuna finds a categorical choice and compares choices between trials
    /// (`optuna/distributions.py`, `_categorical_choice_equal`).
    pub fn python_eq(&self, other: &Json) -> bool {
        match (self, other) {
            // Not as floats, which cannot tell large neighbours apart.
            (Json::Int(a), Json::Int(b)) => a == b,
            (Json::BigInt(a), Json::BigInt(b)) => a == b,
            (Json::Array(a), Json::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.python_eq(b))
            }
            (Json::Object(a), Json::Object(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, value)| {
                        other.get(key).is_some_and(|found| value.python_eq(found))
                    })
            }
            _ => match (self.as_f64(), other.as_f64()) {
                (Some(a), Some(b)) => a == b || (a.is_nan() && b.is_nan()),
                (None, None) => self == other,
                _ => false,
            },
        }
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Json::Int(value)
    }
}

impl From<u32> for Json {
    fn from(value: u32) -> Self {
        Json::Int(value.into())
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        match i64::try_from(value) {
            Ok(value) => Json::Int(value),
            Err(_) => Json::BigInt(value.to_string()),
        }
    }
}

impl From<f64> for Json {
    fn from(value: f64) -> Self {
        Json::Float(value)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Json::String(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Json::String(value)
    }
}

/// Null for `None`, as Python's `json` has it.
impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        match value {
            Some(value) => value.into(),
            None => Json::Null,
        }
    }
}

/// Writes the value as `json.dumps` does with its defaults: `", "` and `": "` between items, ASCII only.
impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Int(value) => write!(f, "{value}"),
            Json::BigInt(digits) => f.write_str(digits),
            Json::Float(value) => f.write_str(&float_repr(*value, "NaN", "Infinity")),
            Json::String(text) => write_string(f, text.encode_utf16()),
            Json::IllFormedString(units) => write_string(f, units.iter().copied()),
            Json::Array(items) => {
                f.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_char(']')
            }
            Json::Object(members) => {
                f.write_char('{')?;
                for (index, (key, value)) in members.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    write_string(f, key.encode_utf16())?;
                    write!(f, ": {value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

fn write_string(
    f: &mut std::fmt::Formatter<'_>,
    units: impl Iterator<Item = u16>,
) -> std::fmt::Result {
    f.write_char('"')?;
    for unit in units {
        match unit {
            0x22 => f.write_str("\\\"")?,
            0x5c => f.write_str("\\\\")?,
            0x0a => f.write_str("\\n")?,
            0x0d => f.write_str("\\r")?,
            0x09 => f.write_str("\\t")?,
            0x08 => f.write_str("\\b")?,
            0x0c => f.write_str("\\f")?,
            0x20..=0x7e => f.write_char(char::from(unit as u8))?,
            _ => write!(f, "\\u{unit:04x}")?,
        }
    }
    f.write_char('"')
}

/// The float as Python's `repr` writes it: the shortest digits that read back to the same bits, with an
/// exponent of at least two digits below 1e-4 and from 1e16 on.
pub fn python_repr(value: f64) -> String {
    float_repr(value, "nan", "inf")
}

fn float_repr(value: f64, nan: &str, infinity: &str) -> String {
    if value.is_nan() {
        return nan.to_owned();
    }
    if value.is_infinite() {
        return format!("{}{infinity}", if value < 0.0 { "-" } else { "" });
    }
    // Rust's `{:e}` also gives the shortest digits that round-trip; only the layout differs.
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{value}");
    if plain.contains('.') { plain } else { format!("{plain}.0") }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError { offset: self.at, expected }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.expected("at most 128 nested arrays and objects"));
        }
        // Before the numbers: `-Infinity` begins like one.
        for (token, value) in [
            ("null", Json::Null),
            ("true", Json::Bool(true)),
            ("false", Json::Bool(false)),
            ("NaN", Json::Float(f64::NAN)),
            ("Infinity", Json::Float(f64::INFINITY)),
            ("-Infinity", Json::Float(f64::NEG_INFINITY)),
        ] {
            if self.eat(token) {
                return Ok(value);
            }
        }
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.expected("a value")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_whitespace();
        if self.eat("]") {
            return Ok(Json::Array(items));
        }
        loop {
            self.skip_whitespace();
            items.push(self.value(depth + 1)?);
            self.skip_whitespace();
            if self.eat("]") {
                return Ok(Json::Array(items));
            }
            if !self.eat(",") {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut members = Vec::new();
        self.skip_whitespace();
        if self.eat("}") {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_whitespace();
            let key = match self.string()? {
                Json::String(key) => key,
                // A key is a name here, and names cannot hold unpaired surrogates in Optuna.
                Json::IllFormedString(units) => String::from_utf16_lossy(&units),
                _ => return Err(self.expected("a string")),
            };
            self.skip_whitespace();
            if !self.eat(":") {
                return Err(self.expected("`:`"));
            }
            self.skip_whitespace();
            members.push((key, self.value(depth + 1)?));
            self.skip_whitespace();
            if self.eat("}") {
                return Ok(Json::Object(members));
            }
            if !self.eat(",") {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        self.eat("-");
        let leading_zero = self.peek() == Some(b'0');
        if self.digits()? > 1 && leading_zero {
            return Err(JsonError { offset: start, expected: "a number without leading zeros" });
        }
        let mut is_float = false;
        if self.eat(".") {
            is_float = true;
            self.digits()?;
        }
        if self.eat("e") || self.eat("E") {
            is_float = true;
            let _ = self.eat("+") || self.eat("-");
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if is_float {
            return text
                .parse()
                .map(Json::Float)
                .map_err(|_| JsonError { offset: start, expected: "a number" });
        }
        match text.parse() {
            Ok(value) => Ok(Json::Int(value)),
            Err(_) => Ok(Json::BigInt(text.to_owned())),
        }
    }

    fn digits(&mut self) -> Result<usize, JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(self.at - start) }
    }

    fn string(&mut self) -> Result<Json, JsonError> {
        if !self.eat("\"") {
            return Err(self.expected("a string"));
        }
        // In UTF-16, because an escape may be half of a surrogate pair.
        let mut units: Vec<u16> = Vec::new();
        loop {
            let Some(next) = self.rest().chars().next() else {
                return Err(self.expected("`\"` at the end of a string"));
            };
            match next {
                '"' => {
                    self.at += 1;
                    break;
                }
                '\\' => units.push(self.escape()?),
                '\0'..='\x1f' => return Err(self.expected("no control character in a string")),
                _ => {
                    self.at += next.len_utf8();
                    units.extend_from_slice(next.encode_utf16(&mut [0; 2]));
                }
            }
        }
        match String::from_utf16(&units) {
            Ok(text) => Ok(Json::String(text)),
            Err(_) => Ok(Json::IllFormedString(units)),
        }
    }

    fn escape(&mut self) -> Result<u16, JsonError> {
        self.at += 1;
        let unit = match self.peek() {
            Some(b'"') => 0x22,
            Some(b'\\') => 0x5c,
            Some(b'/') => 0x2f,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => 0x0a,
            Some(b'r') => 0x0d,
            Some(b't') => 0x09,
            Some(b'u') => {
                let Some(unit) = self.text.get(self.at + 1..self.at + 5).and_then(parse_hex) else {
                    return Err(self.expected("four hexadecimal digits"));
                };
                self.at += 4;
                unit
            }
            _ => return Err(self.expected("an escape")),
        };
        self.at += 1;
        Ok(unit)
    }
}

fn parse_hex(digits: &str) -> Option<u16> {
    // `from_str_radix` would accept a sign too.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check_round_trip(text: &str) {
        assert_eq!(Json::parse(text).expect("valid JSON").to_string(), text);
    }

    #[test]
    fn what_python_writes_is_written_back_to_the_byte() {
        for text in [
            "null",
            "[NaN, Infinity, -Infinity]",
            "{\"a\": 1, \"b\": [true, 1, 1.0, 1e-05, 1e+16, 1e+300, 5e-324]}",
            "123456789012345678901234567890",
            "\"\\u00e9\\ud83d\\ude00\\ud800 \\\" \\\\ \\n\\r\\t\\b\\f\\u0000\\u007f\"",
            "[]",
            "{}",
            "-0.0",
            "1000000000000000.0",
            "0.0001",
            "9.999e-05",
        ] {
            check_round_trip(text);
        }
    }

    #[test]
    fn spaces_and_raw_unicode_are_read() {
        let value = Json::parse(" { \"é\" :\n[ 1 ,2 ] } ").expect("valid JSON");
        assert_eq!(value.to_string(), "{\"\\u00e9\": [1, 2]}");
    }

    #[test]
    fn a_text_that_is_not_json_says_where_and_what_was_expected() {
        let check = |text: &str, offset: usize, expected: &str| {
            let error = Json::parse(text).expect_err(text);
            assert_eq!((error.offset, error.expected), (offset, expected), "{text}");
        };
        check("", 0, "a value");
        check("[1 2]", 3, "`,` or `]`");
        check("{\"a\" 1}", 5, "`:`");
        check("01", 0, "a number without leading zeros");
        check("\"\\x\"", 2, "an escape");
        check("\"\\u+123\"", 2, "four hexadecimal digits");
        check("nullx", 4, "the end of the text");
        check(&"[".repeat(200), 129, "at most 128 nested arrays and objects");
    }

    #[test]
    fn equality_is_pythons() {
        let eq = |a: &str, b: &str| {
            Json::parse(a).expect("valid JSON").python_eq(&Json::parse(b).expect("valid JSON"))
        };
        assert!(eq("1", "1.0") && eq("1", "true") && eq("0", "false") && eq("NaN", "NaN"));
        assert!(eq("{\"a\": 1, \"b\": 2}", "{\"b\": 2.0, \"a\": true}"));
        assert!(!eq("1", "\"1\"") && !eq("null", "0") && !eq("[1]", "[1, 1]") && !eq("1", "2"));
    }

    proptest! {
        // A case that failed is kept as a test of its own, not in a file beside the sources.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn proptest_a_float_reads_back_to_the_same_bits(bits: u64) {
            let value = f64::from_bits(bits);
            let Json::Float(back) = Json::parse(&Json::Float(value).to_string())? else {
                return Err(TestCaseError::fail("not a float"));
            };
            prop_assert!(back.to_bits() == bits || (value.is_nan() && back.is_nan()));
        }

        #[test]
        fn proptest_a_string_round_trips(text: String) {
            let value = Json::String(text);
            prop_assert_eq!(Json::parse(&value.to_string())?, value);
        }

        #[test]
        fn proptest_no_text_makes_the_reader_panic(text: String) {
            let _ = Json::parse(&text);
        }
    }
}
