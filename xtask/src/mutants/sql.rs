//! Mutants of SQL in string literals: a comparison widened, a condition made true, an order reversed.

/// A changed statement, and what was changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SqlMutant {
    pub(super) text: String,
    /// The part before the change.
    pub(super) was: String,
    /// The part after the change.
    pub(super) becomes: String,
}

/// A word, number, string, operator or other character of a statement, with its place.
#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    start: usize,
}

impl Token<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }

    fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.text.eq_ignore_ascii_case(word))
    }
}

/// Words that open conditions.
const CONDITIONS: [&str; 4] = ["WHERE", "ON", "AND", "WHEN"];

/// Words that end a condition.
const ENDS: [&str; 13] = [
    "WHERE",
    "AND",
    "OR",
    "ORDER",
    "GROUP",
    "LIMIT",
    "RETURNING",
    "JOIN",
    "LEFT",
    "UNION",
    "BEGIN",
    "THEN",
    "DO",
];

/// Returns whether a text is SQL that reads or changes rows, or a piece of such with a condition or an order.
pub(super) fn is_sql(text: &str) -> bool {
    let has = |word: &str| text.contains(word);
    (has("SELECT ") && has("FROM "))
        || (has("UPDATE ") && has("SET "))
        || has("DELETE FROM ")
        || (has("INSERT INTO ") && has("VALUES"))
        || has("WHERE ")
        || has("ORDER BY ")
}

/// Returns the mutants of a statement.
pub(super) fn mutants(text: &str) -> Vec<SqlMutant> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    // The part from `shown` on is what people see of a change.
    let mut replace = |shown: usize, start: usize, end: usize, becomes: &str| {
        found.push(SqlMutant {
            text: format!("{}{becomes}{}", &text[..start], &text[end..]),
            was: text[shown..end].to_owned(),
            becomes: format!("{}{becomes}", &text[shown..start]),
        });
    };
    let mut is_condition = false;
    for (index, token) in tokens.iter().enumerate() {
        if token.is_any(&CONDITIONS) {
            is_condition = !(token.text == "ON" && follows(&tokens, index, "CONFLICT"));
            if let Some((start, end)) = condition_after(&tokens, index).filter(|_| is_condition) {
                replace(start, start, end, &format!("({} OR 1)", &text[start..end]));
            }
        } else if token.is_any(&["SET", "SELECT", "VALUES", "ORDER"]) {
            is_condition = false;
        } else if is_condition && let Some(becomes) = widened(token.text) {
            let left = index.checked_sub(1).map_or(token.start, |before| tokens[before].start);
            replace(left, token.start, token.end(), becomes);
        } else if is_condition && is_of_list(&tokens, index) {
            replace(token.start, token.start, token.end(), "'-'");
        }
        if token.is_any(&["BY"]) && index > 0 && tokens[index - 1].is_any(&["ORDER"]) {
            let (end, order) = end_of_order(&tokens, index);
            match order {
                Some(desc) => replace(token.start, desc.start, desc.end(), "ASC"),
                None => replace(token.start, end, end, " DESC"),
            }
        }
    }
    found
}

fn follows(tokens: &[Token<'_>], index: usize, word: &str) -> bool {
    tokens.get(index + 1).is_some_and(|next| next.is_any(&[word]))
}

/// Returns the place of the condition that a word opens, unless it is a subquery.
fn condition_after(tokens: &[Token<'_>], index: usize) -> Option<(usize, usize)> {
    let mut depth = 0;
    let mut end = None;
    for token in &tokens[index + 1..] {
        match token.text {
            "(" => depth += 1,
            ")" | ";" if depth == 0 => break,
            ")" => depth -= 1,
            _ if depth == 0 && token.is_any(&ENDS) => break,
            _ => {}
        }
        end = Some(token.end());
    }
    Some((tokens.get(index + 1)?.start, end?))
}

/// Returns a comparison that also holds where the given one does not.
fn widened(operator: &str) -> Option<&'static str> {
    match operator {
        "=" | ">" => Some(">="),
        "<" => Some("<="),
        "<=" => Some("<"),
        ">=" => Some(">"),
        "<>" | "!=" => Some("="),
        _ => None,
    }
}

/// Returns whether a token is a string in a list, such as in `IN ('COMPLETE', 'PRUNED')`.
fn is_of_list(tokens: &[Token<'_>], index: usize) -> bool {
    let is = |token: Option<&Token<'_>>, texts: &[&str]| token.is_some_and(|it| it.is_any(texts));
    tokens[index].text.starts_with('\'')
        && index > 0
        && is(tokens.get(index - 1), &["(", ","])
        && is(tokens.get(index + 1), &[")", ","])
}

/// Returns the end of an order, and its `DESC`.
fn end_of_order<'a>(tokens: &[Token<'a>], by: usize) -> (usize, Option<Token<'a>>) {
    let mut end = tokens[by].end();
    for token in &tokens[by + 1..] {
        if token.is_any(&["DESC"]) {
            return (end, Some(*token));
        }
        if token.is_any(&ENDS) || token.is_any(&[")", ",", "ASC"]) {
            break;
        }
        end = token.end();
    }
    (end, None)
}

/// Splits a statement into words, strings, operators and other characters. `{…}` of a format string is one word.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return found };
        let length = match first {
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            '{' => rest.find('}').map_or(rest.len(), |end| end + 1),
            '<' | '>' | '=' | '!' => rest.find(|c: char| !"<>=!".contains(c)).unwrap_or(rest.len()),
            _ if is_of_word(first) => rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        found.push(Token { text: &rest[..length], start: text.len() - rest.len() });
        rest = &rest[length..];
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '?' | ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        assert!(is_sql(sql), "{sql}");
        mutants(sql).into_iter().map(|mutant| mutant.text).collect()
    }

    #[test]
    fn conditions_are_widened_and_made_true_one_at_a_time() {
        assert_eq!(
            texts("UPDATE trials SET state = ?1 WHERE trial_id = ?2 AND state < 'B'"),
            [
                "UPDATE trials SET state = ?1 WHERE (trial_id = ?2 OR 1) AND state < 'B'",
                "UPDATE trials SET state = ?1 WHERE trial_id >= ?2 AND state < 'B'",
                "UPDATE trials SET state = ?1 WHERE trial_id = ?2 AND (state < 'B' OR 1)",
                "UPDATE trials SET state = ?1 WHERE trial_id = ?2 AND state <= 'B'",
            ]
        );
    }

    #[test]
    fn orders_are_reversed() {
        assert_eq!(texts("SELECT a FROM t ORDER BY a"), ["SELECT a FROM t ORDER BY a DESC"]);
        assert_eq!(
            texts("SELECT a FROM t ORDER BY a DESC LIMIT 1"),
            ["SELECT a FROM t ORDER BY a ASC LIMIT 1"]
        );
    }

    #[test]
    fn members_of_lists_are_left_out() {
        assert_eq!(
            texts("SELECT a FROM t WHERE state IN ('A', 'B')"),
            [
                "SELECT a FROM t WHERE (state IN ('A', 'B') OR 1)",
                "SELECT a FROM t WHERE state IN ('-', 'B')",
                "SELECT a FROM t WHERE state IN ('A', '-')",
            ]
        );
    }

    #[test]
    fn what_is_set_and_what_conflicts_stays() {
        let upsert = "INSERT INTO t (a) VALUES (?1) ON CONFLICT (a) DO UPDATE SET b = ?2";
        assert_eq!(texts(upsert), [""; 0]);
        assert!(!is_sql("expected a number, found a word"));
    }
}
