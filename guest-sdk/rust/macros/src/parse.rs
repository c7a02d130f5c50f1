//! Reads the arguments of `#[objective(…)]` and the head of the function below it.
//!
//! The compiler's token types exist only in a running macro. The functions here therefore take their
//! own [`Token`]s, each with a `source` of any type, so that ordinary tests can call them.

/// A token and its source.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token<S> {
    pub(crate) kind: Kind<S>,
    pub(crate) source: S,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind<S> {
    /// An identifier or keyword.
    Word(String),
    /// A literal as written: a string includes its quotes.
    Literal(String),
    Punct(char),
    /// The opening bracket and the content.
    Group(char, Vec<Token<S>>),
}

/// A mistake and its token; `None` stands for the attribute as a whole.
#[derive(Debug, PartialEq)]
pub(crate) struct Error<S> {
    pub(crate) message: String,
    pub(crate) at: Option<S>,
}

pub(crate) type Parsed<T, S> = Result<T, Error<S>>;

/// The arguments of the attribute; every `S` is a string literal.
#[derive(Debug, PartialEq)]
pub(crate) struct Arguments<S> {
    /// The metrics, at least one.
    pub(crate) metrics: Vec<Metric<S>>,
    pub(crate) name: Option<S>,
    pub(crate) data: Vec<Data<S>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Direction {
    Minimize,
    Maximize,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Metric<S> {
    pub(crate) direction: Direction,
    pub(crate) name: Option<S>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Data<S> {
    pub(crate) path: S,
    pub(crate) summary: S,
    pub(crate) sha256: Option<S>,
}

/// The parts of the function that the glue needs.
#[derive(Debug)]
pub(crate) struct Signature<'a, S> {
    pub(crate) name: S,
    pub(crate) returns: &'a [Token<S>],
    /// The expression of each `#[doc = …]`, one for each line of a doc comment.
    pub(crate) docs: Vec<&'a [Token<S>]>,
}

/// Reads `minimize = "loss", name = "…", data("/path", "the content")`.
pub(crate) fn arguments<S: Clone>(tokens: &[Token<S>]) -> Parsed<Arguments<S>, S> {
    let mut arguments = Arguments { metrics: Vec::new(), name: None, data: Vec::new() };
    let mut names = Vec::new();
    for part in split_at_commas(tokens) {
        let (key, rest) = split_key(part)?;
        match key {
            "minimize" | "maximize" => {
                let name = if rest.is_empty() { None } else { Some(assigned_text(key, part)?) };
                check_metric_name(name.as_ref(), &mut names)?;
                let direction =
                    if key == "minimize" { Direction::Minimize } else { Direction::Maximize };
                arguments.metrics.push(Metric { direction, name: name.map(|name| name.source()) });
            }
            "name" if arguments.name.is_some() => return error(part, "`name` is given twice"),
            "name" => arguments.name = Some(assigned_text(key, part)?.source()),
            "data" => arguments.data.push(data(part, rest)?),
            other => {
                return error(
                    part,
                    format!(
                        "expected `minimize = \"…\"`, `maximize = \"…\"`, `name = \"…\"` or \
                         `data(\"/path\", \"the content\")`, found `{other}`"
                    ),
                );
            }
        }
    }
    check_unnamed(tokens, &arguments.metrics)?;
    if arguments.metrics.is_empty() {
        arguments.metrics.push(Metric { direction: Direction::Minimize, name: None });
    }
    Ok(arguments)
}

/// Reads a function up to its body.
pub(crate) fn signature<S: Clone>(item: &[Token<S>]) -> Parsed<Signature<'_, S>, S> {
    let (docs, item) = take_attributes(item);
    let (name, rest) = take_function_name(skip_visibility(item))?;
    let [parameters, rest @ ..] = rest else {
        return error(&[], "expected the parameters of a function");
    };
    match &parameters.kind {
        Kind::Group('(', parameters) => check_parameters(name, parameters)?,
        _ => return error_at(parameters, "expected a function without generic parameters"),
    }
    Ok(Signature { name: name.source.clone(), returns: returned_type(name, rest)?, docs })
}

/// A string literal.
struct Text<'a, S> {
    token: &'a Token<S>,
    written: &'a str,
}

impl<S: Clone> Text<'_, S> {
    fn source(&self) -> S {
        self.token.source.clone()
    }
}

fn text<S>(token: &Token<S>) -> Option<Text<'_, S>> {
    match &token.kind {
        Kind::Literal(written) if written.starts_with('"') || written.starts_with('r') => {
            Some(Text { token, written })
        }
        _ => None,
    }
}

/// Returns the parts between the commas; a last comma is optional.
fn split_at_commas<S>(tokens: &[Token<S>]) -> Vec<&[Token<S>]> {
    let mut parts: Vec<_> = tokens.split(|token| is_punct(token, ',')).collect();
    if parts.last().is_some_and(|last| last.is_empty()) {
        parts.pop();
    }
    parts
}

fn split_key<S: Clone>(part: &[Token<S>]) -> Parsed<(&str, &[Token<S>]), S> {
    match part {
        [Token { kind: Kind::Word(key), .. }, rest @ ..] => Ok((key, rest)),
        [] => error(part, "expected a key before the comma, such as `minimize = \"loss\"`"),
        [..] => error(part, "expected a key, such as `minimize = \"loss\"`"),
    }
}

/// Returns the text of `key = "text"`.
fn assigned_text<'a, S: Clone>(key: &str, part: &'a [Token<S>]) -> Parsed<Text<'a, S>, S> {
    match part {
        [_, equals, value] if is_punct(equals, '=') => match text(value) {
            Some(text) => Ok(text),
            None => error_at(value, format!("expected a string literal for `{key}`")),
        },
        _ => error(part, format!("expected `{key} = \"…\"`")),
    }
}

fn check_metric_name<'a, S: Clone>(
    name: Option<&Text<'a, S>>,
    seen: &mut Vec<&'a str>,
) -> Parsed<(), S> {
    let Some(name) = name else { return Ok(()) };
    if name.written == "\"\"" {
        return error_at(
            name.token,
            "expected a metric's name, found an empty one; leave it out instead",
        );
    }
    if seen.contains(&name.written) {
        return error_at(
            name.token,
            format!("expected different names, found two metrics named {}", name.written),
        );
    }
    seen.push(name.written);
    Ok(())
}

fn check_unnamed<S: Clone>(tokens: &[Token<S>], metrics: &[Metric<S>]) -> Parsed<(), S> {
    if metrics.len() > 1 && metrics.iter().any(|metric| metric.name.is_none()) {
        return error(
            tokens,
            "expected a name for each of several metrics, \
             as in `minimize = \"loss\", maximize = \"accuracy\"`",
        );
    }
    Ok(())
}

/// Reads `data("/path", "the content", sha256 = "…")`. `rest` follows the word `data`.
fn data<S: Clone>(part: &[Token<S>], rest: &[Token<S>]) -> Parsed<Data<S>, S> {
    const WANTED: &str =
        "expected `data(\"/path\", \"the content\")`, optionally with `sha256 = \"…\"` at the end";
    let [Token { kind: Kind::Group('(', content), .. }] = rest else {
        return error(part, WANTED);
    };
    let parts = split_at_commas(content);
    let ([[path], [summary]] | [[path], [summary], _]) = parts.as_slice() else {
        return error(part, WANTED);
    };
    let (Some(path), Some(summary)) = (text(path), text(summary)) else {
        return error(part, WANTED);
    };
    let sha256 = match parts.get(2) {
        None => None,
        Some(&part) => match split_key(part)? {
            ("sha256", _) => Some(assigned_text("sha256", part)?.source()),
            (other, _) => {
                return error(part, format!("expected `sha256` in `data`, found `{other}`"));
            }
        },
    };
    Ok(Data { path: path.source(), summary: summary.source(), sha256 })
}

/// Splits an item into the lines of documentation among its attributes, and the tokens after the attributes.
fn take_attributes<S>(mut item: &[Token<S>]) -> (Vec<&[Token<S>]>, &[Token<S>]) {
    let mut docs = Vec::new();
    while let [hash, Token { kind: Kind::Group('[', content), .. }, rest @ ..] = item {
        if !is_punct(hash, '#') {
            break;
        }
        if let [doc, equals, text @ ..] = content.as_slice() {
            if is_word(doc, "doc") && is_punct(equals, '=') {
                docs.push(text);
            }
        }
        item = rest;
    }
    (docs, item)
}

fn skip_visibility<S>(item: &[Token<S>]) -> &[Token<S>] {
    match item {
        [public, Token { kind: Kind::Group('(', _), .. }, rest @ ..] | [public, rest @ ..]
            if is_word(public, "pub") =>
        {
            rest
        }
        _ => item,
    }
}

fn take_function_name<S: Clone>(item: &[Token<S>]) -> Parsed<(&Token<S>, &[Token<S>]), S> {
    match item {
        [keyword, name, rest @ ..] if is_word(keyword, "fn") => Ok((name, rest)),
        [Token { kind: Kind::Word(word), source }, ..] => {
            let message = match word.as_str() {
                "async" | "const" | "unsafe" | "extern"
                    if item.iter().any(|t| is_word(t, "fn")) =>
                {
                    format!("expected a plain function, found `{word}`")
                }
                _ => format!("expected a function below `#[objective]`, found `{word}`"),
            };
            Err(Error { message, at: Some(source.clone()) })
        }
        _ => error(item, "expected a function below `#[objective]`"),
    }
}

fn check_parameters<S: Clone>(function: &Token<S>, parameters: &[Token<S>]) -> Parsed<(), S> {
    const WANTED: &str = "expected one parameter, `trial: &mut Trial`";
    let mut parts = split_at_commas(parameters).into_iter();
    let Some(first) = parts.next() else {
        return error_at(function, format!("{WANTED}, found none"));
    };
    if let Some(receiver) = first.iter().find(|token| is_word(token, "self")) {
        return error_at(receiver, format!("{WANTED}, found a method"));
    }
    // The compiler checks the types: the glue uses the function as `fn(&mut Trial) -> …`.
    match parts.next() {
        Some(second) if !first.iter().any(|token| is_punct(token, '<')) => {
            error(second, format!("{WANTED}, found a second one"))
        }
        _ => Ok(()),
    }
}

/// Returns the tokens between `->` and the body.
fn returned_type<'a, S: Clone>(
    function: &Token<S>,
    rest: &'a [Token<S>],
) -> Parsed<&'a [Token<S>], S> {
    let returned = match rest {
        [minus, greater, returned @ .., _body]
            if is_punct(minus, '-') && is_punct(greater, '>') =>
        {
            returned
        }
        _ => return error_at(function, "expected a returned value, as in `-> Result<f64>`"),
    };
    match returned.iter().find(|token| is_word(token, "where")) {
        Some(clause) => error_at(clause, "expected a function without a `where` clause"),
        None => Ok(returned),
    }
}

fn is_punct<S>(token: &Token<S>, wanted: char) -> bool {
    matches!(token.kind, Kind::Punct(found) if found == wanted)
}

fn is_word<S>(token: &Token<S>, wanted: &str) -> bool {
    matches!(&token.kind, Kind::Word(found) if found == wanted)
}

/// Returns an error at the first of `tokens`, or at the attribute if there are none.
fn error<T, S: Clone>(tokens: &[Token<S>], message: impl Into<String>) -> Parsed<T, S> {
    Err(Error { message: message.into(), at: tokens.first().map(|token| token.source.clone()) })
}

fn error_at<T, S: Clone>(token: &Token<S>, message: impl Into<String>) -> Parsed<T, S> {
    error(std::slice::from_ref(token), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_arguments_mean_one_unnamed_minimised_value() {
        let arguments = arguments(&read("")).unwrap();
        assert_eq!(arguments.metrics, [Metric { direction: Direction::Minimize, name: None }]);
        assert_eq!((arguments.name, arguments.data), (None, vec![]));
    }

    #[test]
    fn a_direction_needs_no_name() {
        let arguments = arguments(&read("maximize")).unwrap();
        assert_eq!(arguments.metrics, [Metric { direction: Direction::Maximize, name: None }]);
    }

    #[test]
    fn every_argument_is_read_in_order() {
        let source = r#"
            minimize = "loss", maximize = "accuracy", name = "digits",
            data("/data/a.csv", "the a", sha256 = "00"), data("/data", "all",),
        "#;
        let arguments = arguments(&read(source)).unwrap();
        let metrics: Vec<_> =
            arguments.metrics.iter().map(|m| (m.direction, m.name.as_deref().unwrap())).collect();
        assert_eq!(
            metrics,
            [(Direction::Minimize, "\"loss\""), (Direction::Maximize, "\"accuracy\"")]
        );
        assert_eq!(arguments.name.as_deref(), Some("\"digits\""));
        let data: Vec<_> = arguments
            .data
            .iter()
            .map(|d| (d.path.as_str(), d.summary.as_str(), d.sha256.as_deref()))
            .collect();
        assert_eq!(
            data,
            [("\"/data/a.csv\"", "\"the a\"", Some("\"00\"")), ("\"/data\"", "\"all\"", None)]
        );
    }

    #[test]
    fn a_mistake_in_the_arguments_is_named_where_it_is() {
        check_arguments("minimise = \"loss\"", "found `minimise`", "minimise");
        check_arguments("\"loss\"", "expected a key, such as", "\"loss\"");
        check_arguments(", minimize", "expected a key before the comma", "");
        check_arguments("minimize = loss", "expected a string literal for `minimize`", "loss");
        check_arguments("minimize \"loss\"", "expected `minimize = \"…\"`", "minimize");
        check_arguments("name", "expected `name = \"…\"`", "name");
        check_arguments("name = 3", "expected a string literal for `name`", "3");
        check_arguments("name = \"a\", name = \"b\"", "`name` is given twice", "name");
        check_arguments("minimize = \"\"", "found an empty one", "\"\"");
        check_arguments("minimize = \"a\", maximize = \"a\"", "two metrics named \"a\"", "\"a\"");
        check_arguments("minimize = \"a\", maximize", "expected a name for each", "minimize");
        check_arguments("data = \"/data\"", "expected `data(\"/path\"", "data");
        check_arguments("data(\"/data\")", "expected `data(\"/path\"", "data");
        check_arguments("data(\"/data\", all)", "expected `data(\"/path\"", "data");
        check_arguments(
            "data(\"/d\", \"all\", sha1 = \"0\")",
            "expected `sha256` in `data`, found `sha1`",
            "sha1",
        );
    }

    #[test]
    fn the_head_of_a_function_is_read() {
        let item = read(
            r#"#[doc = " Line one."] #[inline] #[doc = " Line two."]
               pub(crate) fn train(trial: &mut Trial) -> Result<(f64, f64)> { body }"#,
        );
        let signature = signature(&item).unwrap();
        assert_eq!(signature.name, "train");
        let joined = |tokens: &[Token<String>]| -> String {
            tokens.iter().map(|token| token.source.as_str()).collect()
        };
        assert_eq!(joined(signature.returns), "Result<(…)>");
        let docs: Vec<_> = signature.docs.iter().map(|doc| joined(doc)).collect();
        assert_eq!(docs, ["\" Line one.\"", "\" Line two.\""]);
    }

    #[test]
    fn a_mistake_in_the_function_is_named_where_it_is() {
        check_signature(
            "struct Quadratic;",
            "expected a function below `#[objective]`, found `struct`",
            "struct",
        );
        check_signature(
            "async fn f(t: T) -> R {}",
            "expected a plain function, found `async`",
            "async",
        );
        check_signature("const LOSS: f64 = 1.0;", "found `const`", "const");
        check_signature("fn f<T>(t: T) -> R {}", "without generic parameters", "<");
        check_signature("fn f() -> R {}", "`trial: &mut Trial`, found none", "f");
        check_signature("fn f(&self) -> R {}", "found a method", "self");
        check_signature("fn f(t: T, n: u32) -> R {}", "found a second one", "n");
        check_signature("fn f(t: T) {}", "expected a returned value, as in `-> Result<f64>`", "f");
        check_signature("fn f(t: T) -> R where R: X {}", "`where` clause", "where");
    }

    #[track_caller]
    fn check_arguments(source: &str, message: &str, at: &str) {
        check_error(arguments(&read(source)).unwrap_err(), message, at);
    }

    #[track_caller]
    fn check_signature(source: &str, message: &str, at: &str) {
        check_error(signature(&read(source)).unwrap_err(), message, at);
    }

    #[track_caller]
    fn check_error(error: Error<String>, message: &str, at: &str) {
        assert!(error.message.contains(message), "found `{}`", error.message);
        assert_eq!(error.at.unwrap_or_default(), at);
    }

    /// Splits source text into tokens, well enough for these tests.
    fn read(source: &str) -> Vec<Token<String>> {
        read_until(&mut source.chars().collect::<Vec<_>>().into_iter().peekable(), None)
    }

    fn read_until(
        rest: &mut std::iter::Peekable<std::vec::IntoIter<char>>,
        closing: Option<char>,
    ) -> Vec<Token<String>> {
        let mut tokens = Vec::new();
        while let Some(character) = rest.next() {
            let mut source = character.to_string();
            let mut take_while = |wanted: fn(&char) -> bool| {
                while let Some(next) = rest.next_if(wanted) {
                    source.push(next);
                }
            };
            let kind = match character {
                _ if Some(character) == closing => return tokens,
                _ if character.is_whitespace() => continue,
                '(' | '[' | '{' => {
                    let closing = [('(', ')'), ('[', ']'), ('{', '}')]
                        .into_iter()
                        .find_map(|(opening, closing)| (opening == character).then_some(closing));
                    source = "(…)".to_owned();
                    Kind::Group(character, read_until(rest, closing))
                }
                '"' => {
                    take_while(|next| *next != '"');
                    source.extend(rest.next());
                    Kind::Literal(source.clone())
                }
                _ if character.is_ascii_digit() => {
                    take_while(|next| next.is_ascii_digit());
                    Kind::Literal(source.clone())
                }
                _ if character.is_alphabetic() => {
                    take_while(|next| next.is_alphanumeric() || *next == '_');
                    Kind::Word(source.clone())
                }
                _ => Kind::Punct(character),
            };
            tokens.push(Token { kind, source });
        }
        tokens
    }
}
