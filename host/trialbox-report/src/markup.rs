//! HTML and SVG under construction. Text of a study cannot get into it without being escaped.

use crate::number::short;
use trialbox_core::Json;
use trialbox_core::value::json::python_repr;
use trialbox_core::value::text::is_harmless;

/// A piece of HTML or SVG.
///
/// Its own parts are literals of this crate (`&'static str`). Everything else goes through `Markup::text`, the value
/// of an attribute or `Markup::json`, which escape it.
#[derive(Debug, Clone, Default)]
pub struct Markup(String);

/// The value of an attribute.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    /// A word of this crate.
    Word(&'static str),
    /// Text of a study.
    Text(&'a str),
    /// A number.
    Number(f64),
}

impl From<&'static str> for Value<'_> {
    fn from(word: &'static str) -> Self {
        Value::Word(word)
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Value::Number(number)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value::Text(text)
    }
}

impl Markup {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Returns the number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds markup of this crate.
    pub(crate) fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Adds another piece.
    pub(crate) fn append(&mut self, other: &Markup) {
        self.0.push_str(&other.0);
    }

    /// Adds text.
    pub(crate) fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Marks that turn the direction of writing would reorder the page's own words.
                c if is_harmless(c) => self.0.push(c),
                _ => self.0.push('\u{fffd}'),
            }
        }
    }

    /// Adds a text in which names stand between backticks.
    pub(crate) fn sentence(&mut self, text: &str) {
        let pieces: Vec<&str> = text.split('`').collect();
        // A backtick without a partner is a part of a name.
        let n_paired = (pieces.len() - 1) / 2 * 2;
        for (index, piece) in pieces.iter().enumerate() {
            match index {
                index if index > n_paired => self.raw("`"),
                0 => {}
                index => self.raw(if index % 2 == 1 { "<code>" } else { "</code>" }),
            }
            self.text(piece);
        }
    }

    /// Opens an element.
    pub(crate) fn open(&mut self, name: &'static str, attributes: &[(&'static str, Value)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (key, value) in attributes {
            self.0.push(' ');
            self.0.push_str(key);
            self.0.push_str("=\"");
            match value {
                Value::Word(word) => self.0.push_str(word),
                Value::Text(text) => self.text(text),
                Value::Number(number) => self.0.push_str(&coordinate(*number)),
            }
            self.0.push('"');
        }
        self.0.push('>');
    }

    /// Closes an element.
    pub(crate) fn close(&mut self, name: &'static str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// Adds an element that holds text.
    pub(crate) fn element(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, Value)],
        text: &str,
    ) {
        self.open(name, attributes);
        self.text(text);
        self.close(name);
    }

    /// Adds strict JSON for a `<script>`. `<`, `>` and `&` are escaped, so that no string ends the script.
    pub(crate) fn json(&mut self, json: &Json) {
        match json {
            Json::Null => self.raw("null"),
            Json::Bool(value) => self.raw(if *value { "true" } else { "false" }),
            Json::Int(value) => self.0.push_str(&value.to_string()),
            Json::BigInt(digits) => self.json_string(digits),
            Json::Float(value) if value.is_finite() => self.0.push_str(&python_repr(*value)),
            Json::Float(value) => self.json_string(&short(*value)),
            Json::String(text) => self.json_string(text),
            Json::IllFormedString(units) => self.json_string(&String::from_utf16_lossy(units)),
            Json::Array(items) => {
                self.raw("[");
                for (index, item) in items.iter().enumerate() {
                    self.raw(if index == 0 { "" } else { "," });
                    self.json(item);
                }
                self.raw("]");
            }
            Json::Object(members) => {
                self.raw("{");
                for (index, (key, value)) in members.iter().enumerate() {
                    self.raw(if index == 0 { "" } else { "," });
                    self.json_string(key);
                    self.raw(":");
                    self.json(value);
                }
                self.raw("}");
            }
        }
    }

    fn json_string(&mut self, text: &str) {
        self.0.push('"');
        for c in text.chars() {
            match c {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '<' | '>' | '&' | '\t' => self.json_escape(c),
                c if is_harmless(c) => self.0.push(c),
                c => self.json_escape(c),
            }
        }
        self.0.push('"');
    }

    fn json_escape(&mut self, c: char) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            self.0.push_str(&format!("\\u{unit:04x}"));
        }
    }
}

/// Formats a coordinate of a picture: one decimal is a tenth of a pixel.
pub(crate) fn coordinate(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_study_is_escaped_wherever_it_stands() {
        let hostile = "</script><img src=x onerror=\"a('b')\">&\u{202e}\0".to_owned();
        let mut markup = Markup::default();
        markup.element("p", &[("title", (&hostile).into())], &hostile);
        let escaped = "&lt;/script&gt;&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt;&amp;\u{fffd}\u{fffd}";
        assert_eq!(markup.as_str(), format!("<p title=\"{escaped}\">{escaped}</p>"));
    }

    #[test]
    fn json_ends_no_script_and_is_strict() {
        let mut markup = Markup::default();
        markup.json(&Json::object([
            ("</script>", Json::from("<!--\u{2028}\u{1f423}\t\\\"")),
            ("n", Json::Array(vec![f64::NAN.into(), 0.1.into(), 2u32.into(), Json::Null])),
        ]));
        let want =
            r#"{"\u003c/script\u003e":"\u003c!--\u2028🐣\u0009\\\"","n":["nan",0.1,2,null]}"#;
        assert_eq!(markup.as_str(), want);
    }

    #[test]
    fn names_between_backticks_are_code() {
        for (text, want) in [
            ("a `b<` c `d`", "a <code>b&lt;</code> c <code>d</code>"),
            ("a ` b", "a ` b"),
            ("`a` `", "<code>a</code> `"),
            ("", ""),
        ] {
            let mut markup = Markup::default();
            markup.sentence(text);
            assert_eq!(markup.as_str(), want);
        }
    }

    #[test]
    fn coordinates_are_short() {
        for (value, text) in [(12.0, "12"), (12.34, "12.3"), (-0.01, "0"), (0.25, "0.2")] {
            assert_eq!(coordinate(value), text);
        }
    }
}
