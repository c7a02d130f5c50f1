//! Constraints between parameters, such as `a + b <= 10`: arithmetic on both sides of one comparison.

use std::fmt;
use thiserror::Error;

/// A comparison of two sums, products or quotients of parameters and numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    text: String,
    left: Term,
    comparison: Comparison,
    right: Term,
}

/// A text that is not a relation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected {expected}, found {found}, at character {at} of `{text}`")]
pub struct RelationError {
    /// The text.
    pub text: String,
    /// The place, from 1.
    pub at: usize,
    /// The things that could stand there.
    pub expected: &'static str,
    /// The thing that stands there.
    pub found: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Number(f64),
    Param(String),
    Negative(Box<Term>),
    Pair(Box<Term>, Operator, Box<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Plus,
    Minus,
    Times,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Equal,
    Unequal,
}

/// The comparisons by their signs, those with two characters first.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

/// The most characters of a relation.
const MAX_CHARS: usize = 1000;

/// The most parentheses and signs inside one another.
const MAX_DEPTH: usize = 50;

const TERM: &str = "a number, a parameter or `(`";
const OPERATOR: &str = "`+`, `-`, `*`, `/` or one comparison (<=, <, >=, >, ==, !=)";

impl Relation {
    /// Reads a relation. Parameters whose names are not words of letters, digits, `_` and `.` stand in backticks.
    ///
    /// # Errors
    /// Fails with the place at which the text cannot be read.
    pub fn parse(text: &str) -> Result<Self, RelationError> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        if text.chars().count() > MAX_CHARS {
            return Err(parser.error("at most 1000 characters"));
        }
        let left = parser.sum()?;
        let comparison = parser.comparison()?;
        let right = parser.sum()?;
        parser.end()?;
        Ok(Relation { text: text.trim().to_owned(), left, comparison, right })
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the names of its parameters, in their order and as often as they stand there.
    pub fn params(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.left.collect(&mut names);
        self.right.collect(&mut names);
        names
    }

    /// Returns whether the relation holds for the values of `value_of`. It holds for a trial that lacks one of its
    /// parameters.
    pub fn holds(&self, value_of: &dyn Fn(&str) -> Option<f64>) -> bool {
        let (Some(left), Some(right)) = (self.left.value(value_of), self.right.value(value_of))
        else {
            return true;
        };
        match self.comparison {
            Comparison::LessOrEqual => left <= right,
            Comparison::Less => left < right,
            Comparison::GreaterOrEqual => left >= right,
            Comparison::Greater => left > right,
            Comparison::Equal => left == right,
            Comparison::Unequal => left != right,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Term {
    fn collect<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Term::Number(_) => {}
            Term::Param(name) => names.push(name),
            Term::Negative(term) => term.collect(names),
            Term::Pair(left, _, right) => {
                left.collect(names);
                right.collect(names);
            }
        }
    }

    fn value(&self, value_of: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
        Some(match self {
            Term::Number(number) => *number,
            Term::Param(name) => value_of(name)?,
            Term::Negative(term) => -term.value(value_of)?,
            Term::Pair(left, operator, right) => {
                let (left, right) = (left.value(value_of)?, right.value(value_of)?);
                match operator {
                    Operator::Plus => left + right,
                    Operator::Minus => left - right,
                    Operator::Times => left * right,
                    Operator::Over => left / right,
                }
            }
        })
    }
}

/// A text that is read from left to right.
struct Parser<'a> {
    text: &'a str,
    /// The byte that comes next.
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn sum(&mut self) -> Result<Term, RelationError> {
        let mut sum = self.product()?;
        while let Some(operator) = self.operator(&[('+', Operator::Plus), ('-', Operator::Minus)]) {
            sum = Term::Pair(Box::new(sum), operator, Box::new(self.product()?));
        }
        Ok(sum)
    }

    fn product(&mut self) -> Result<Term, RelationError> {
        let mut product = self.factor()?;
        while let Some(operator) = self.operator(&[('*', Operator::Times), ('/', Operator::Over)]) {
            product = Term::Pair(Box::new(product), operator, Box::new(self.factor()?));
        }
        Ok(product)
    }

    fn factor(&mut self) -> Result<Term, RelationError> {
        let next = self.rest().chars().next();
        match next {
            Some('(' | '-') if self.depth == MAX_DEPTH => Err(self.error("at most 50 levels")),
            Some('(') => self.inside(|parser| {
                parser.at += 1;
                let term = parser.sum()?;
                match parser.rest().starts_with(')') {
                    true => parser.at += 1,
                    false => return Err(parser.error("`)`, or `+`, `-`, `*` or `/`")),
                }
                Ok(term)
            }),
            Some('-') => self.inside(|parser| {
                parser.at += 1;
                Ok(Term::Negative(Box::new(parser.factor()?)))
            }),
            Some('`') => self.quoted_name(),
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_alphabetic() || c == '_' => self.name(),
            _ => Err(self.error(TERM)),
        }
    }

    fn inside(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Term, RelationError>,
    ) -> Result<Term, RelationError> {
        self.depth += 1;
        let term = read(self);
        self.depth -= 1;
        term
    }

    fn number(&mut self) -> Result<Term, RelationError> {
        let rest = self.rest();
        let is_sign = |at: usize| at > 0 && matches!(rest.as_bytes()[at - 1], b'e' | b'E');
        let is_part = |(at, c): &(usize, char)| {
            c.is_alphanumeric() || *c == '.' || (matches!(c, '+' | '-') && is_sign(*at))
        };
        let word: String = rest.char_indices().take_while(is_part).map(|(_, c)| c).collect();
        match word.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                self.at += word.len();
                Ok(Term::Number(number))
            }
            _ => Err(self.error("a number, with `*` between a number and a parameter")),
        }
    }

    fn name(&mut self) -> Result<Term, RelationError> {
        let is_part = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '.');
        let name: String = self.rest().chars().take_while(is_part).collect();
        let before = self.at;
        self.at += name.len();
        if self.rest().starts_with('(') {
            self.at = before;
            return Err(self.error("a parameter, since functions are not offered"));
        }
        Ok(Term::Param(name))
    }

    fn quoted_name(&mut self) -> Result<Term, RelationError> {
        let rest = self.rest();
        let Some((name, _)) = rest[1..].split_once('`') else {
            return Err(self.error("a second backtick after the parameter"));
        };
        self.at += name.len() + 2;
        Ok(Term::Param(name.to_owned()))
    }

    fn operator(&mut self, known: &[(char, Operator)]) -> Option<Operator> {
        let next = self.rest().chars().next()?;
        let (_, operator) = known.iter().find(|(sign, _)| *sign == next)?;
        self.at += next.len_utf8();
        Some(*operator)
    }

    fn comparison(&mut self) -> Result<Comparison, RelationError> {
        let rest = self.rest();
        match COMPARISONS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            Some((sign, comparison)) => {
                self.at += sign.len();
                Ok(*comparison)
            }
            None => Err(self.error(OPERATOR)),
        }
    }

    fn end(&mut self) -> Result<(), RelationError> {
        if self.rest().is_empty() {
            return Ok(());
        }
        Err(self
            .error("the end after one comparison; write a second one as a constraint of its own"))
    }

    /// Skips blanks and returns what follows.
    fn rest(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    /// Returns an error at this place, which quotes the word that stands there.
    fn error(&mut self, expected: &'static str) -> RelationError {
        let rest = self.rest();
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        let length = match rest.chars().next() {
            None => 0,
            Some(c) if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            Some(c) => c.len_utf8(),
        };
        let found = match &rest[..length] {
            "" => "the end".to_owned(),
            word => format!("`{}`", word.chars().take(50).collect::<String>()),
        };
        let at = self.text[..self.at].chars().count() + 1;
        let text = self.text.trim().chars().take(MAX_CHARS).collect();
        RelationError { text, at, expected, found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, holds: bool) {
        let values = [("a", 3.0), ("b", 4.0), ("layer.1", 2.0), ("my name", 0.5)];
        let value_of =
            |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let relation = Relation::parse(text).expect(text);
        assert_eq!(relation.holds(&value_of), holds, "{text}");
    }

    #[test]
    fn arithmetic_is_that_of_python() {
        for text in [
            "a + b <= 7",
            "a+b==7.0",
            "2 * a - b > 1",
            "a - b - 1 == -2",
            "a - (b - 1) == 0",
            "12 / a / b == 1",
            "-a * -1 == 3",
            "--a == a",
            "a * layer.1 >= 6",
            "`my name` < 1e+0",
            "1e-3 < `my name`",
            " a != b ",
            "a < b * (1 + 1)",
        ] {
            check(text, true);
        }
        for text in ["a + b <= 6.9", "a == b", "a / 0 < 1", "0 * (a / 0) == 0"] {
            check(text, false);
        }
        check("a + absent <= 0", true);
        assert_eq!(Relation::parse("a + `my name` * a < b").expect("four").params().len(), 4);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        for (text, want) in [
            ("", "expected a number, a parameter or `(`, found the end, at character 1"),
            ("a + b", "one comparison (<=, <, >=, >, ==, !=), found the end, at character 6"),
            ("a = b", "found `=`, at character 3"),
            ("a < b < c", "expected the end after one comparison; write a second one"),
            ("a < b and b < c", "found `and`, at character 7"),
            ("max(a, b) < 1", "since functions are not offered, found `max`, at character 1"),
            ("a ** 2 < 1", "expected a number, a parameter or `(`, found `*`, at character 4"),
            ("a ^ 2 < 1", "found `^`, at character 3"),
            ("2a < 1", "with `*` between a number and a parameter, found `2a`"),
            ("(a < 1", "expected `)`, or"),
            ("a == \"adam\"", "found `\"`, at character 6"),
            ("`a < 1", "expected a second backtick"),
            ("a < 1e999", "found `1e999`"),
            ("a < 1;", "found `;`, at character 6"),
        ] {
            let error = Relation::parse(text).expect_err(text).to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn a_long_or_deep_text_is_refused() {
        let deep = format!("{}a{} < 1", "(".repeat(400), ")".repeat(400));
        let error = Relation::parse(&deep).expect_err("deep").to_string();
        assert!(error.starts_with("expected at most 50 levels"), "{error}");
        let long = format!("a < {}1", "1 + ".repeat(1000));
        let error = Relation::parse(&long).expect_err("long").to_string();
        assert!(error.starts_with("expected at most 1000 characters"), "{error}");
        assert!(Relation::parse(&format!("{}a < 1", "-".repeat(400))).is_err());
    }
}
