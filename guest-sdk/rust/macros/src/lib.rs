//! The attribute `#[objective]` of [`trialbox-guest`](https://docs.rs/trialbox-guest), where it is
//! re-exported and explained.
//!
//! It reads its arguments and the head of the function, keeps the function, and adds one call of
//! `trialbox_guest::__component!`, which holds everything that does not need a procedural macro. It does
//! not use syn: a guest's first build should take seconds.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod parse;

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

use parse::{Arguments, Data, Direction, Error, Kind, Metric, Parsed, Signature, Token};

/// Marks a function as the objective of this crate, see `trialbox_guest::objective`.
#[proc_macro_attribute]
pub fn objective(arguments: TokenStream, item: TokenStream) -> TokenStream {
    // The function stays in any case: without it, one mistake would give many errors.
    let mut output = item.clone();
    match expand(tokens(arguments), tokens(item)) {
        Ok(glue) => output.extend(glue),
        Err(error) => output.extend(compile_error(error)),
    }
    output
}

fn expand(
    arguments: Vec<Token<TokenTree>>,
    item: Vec<Token<TokenTree>>,
) -> Parsed<TokenStream, TokenTree> {
    let arguments = parse::arguments(&arguments)?;
    let signature = parse::signature(&item)?;
    Ok(component(&arguments, &signature))
}

/// Converts tokens for [`parse`].
fn tokens(stream: TokenStream) -> Vec<Token<TokenTree>> {
    let mut tokens = Vec::new();
    for tree in stream {
        let kind = match &tree {
            // `macro_rules!` passes `$text:literal` on in an invisible group.
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                tokens.extend(self::tokens(group.stream()));
                continue;
            }
            TokenTree::Group(group) => {
                let opening = match group.delimiter() {
                    Delimiter::Parenthesis => '(',
                    Delimiter::Bracket => '[',
                    Delimiter::Brace | Delimiter::None => '{',
                };
                Kind::Group(opening, self::tokens(group.stream()))
            }
            TokenTree::Ident(ident) => Kind::Word(ident.to_string()),
            TokenTree::Punct(punct) => Kind::Punct(punct.as_char()),
            TokenTree::Literal(literal) => Kind::Literal(literal.to_string()),
        };
        tokens.push(Token { kind, source: tree });
    }
    tokens
}

/// Builds `::trialbox_guest::__component! { function: …, … }`.
fn component(
    arguments: &Arguments<TokenTree>,
    signature: &Signature<'_, TokenTree>,
) -> TokenStream {
    let mut fields = TokenStream::new();
    let mut field = |name: &str, value: TokenTree| {
        fields.extend([word(name), punct(':'), value, punct(',')]);
    };
    field("function", signature.name.clone());
    field("returns", list(sources(signature.returns)));
    field("name", option(arguments.name.as_ref()));
    field("docs", list(signature.docs.iter().flat_map(|doc| entry(sources(doc)))));
    field("metrics", list(arguments.metrics.iter().flat_map(metric)));
    field("data", list(arguments.data.iter().flat_map(data)));

    let mut call: TokenStream =
        [punct_joint(':'), punct(':'), word("trialbox_guest"), punct_joint(':'), punct(':')]
            .into_iter()
            .collect();
    call.extend([word("__component"), punct('!'), group(Delimiter::Brace, fields)]);
    call
}

fn metric(metric: &Metric<TokenTree>) -> [TokenTree; 2] {
    let direction = match metric.direction {
        Direction::Minimize => "Minimize",
        Direction::Maximize => "Maximize",
    };
    entry([word(direction), punct(','), option(metric.name.as_ref())])
}

fn data(data: &Data<TokenTree>) -> [TokenTree; 2] {
    entry([
        data.path.clone(),
        punct(','),
        data.summary.clone(),
        punct(','),
        option(data.sha256.as_ref()),
    ])
}

/// Builds `(…),`.
fn entry(content: impl IntoIterator<Item = TokenTree>) -> [TokenTree; 2] {
    [group(Delimiter::Parenthesis, content.into_iter().collect()), punct(',')]
}

/// Builds `[…]`.
fn list(content: impl IntoIterator<Item = TokenTree>) -> TokenTree {
    group(Delimiter::Bracket, content.into_iter().collect())
}

/// Builds `[]` or `[value]`, which the receiving macro turns into an `Option`.
fn option(value: Option<&TokenTree>) -> TokenTree {
    list(value.cloned())
}

fn sources(tokens: &[Token<TokenTree>]) -> impl Iterator<Item = TokenTree> + '_ {
    tokens.iter().map(|token| token.source.clone())
}

fn group(delimiter: Delimiter, content: TokenStream) -> TokenTree {
    Group::new(delimiter, content).into()
}

fn word(text: &str) -> TokenTree {
    Ident::new(text, Span::call_site()).into()
}

fn punct(character: char) -> TokenTree {
    Punct::new(character, Spacing::Alone).into()
}

fn punct_joint(character: char) -> TokenTree {
    Punct::new(character, Spacing::Joint).into()
}

/// Builds `::core::compile_error! { "message" }`, shown at the offending token.
fn compile_error(error: Error<TokenTree>) -> TokenStream {
    let span = error.at.map_or_else(Span::call_site, |tree| tree.span());
    let message: TokenTree = Literal::string(&error.message).into();
    let message = group(Delimiter::Brace, at(span, [message]));
    at(
        span,
        [
            punct_joint(':'),
            punct(':'),
            word("core"),
            punct_joint(':'),
            punct(':'),
            word("compile_error"),
            punct('!'),
            message,
        ],
    )
}

fn at<const N: usize>(span: Span, mut trees: [TokenTree; N]) -> TokenStream {
    trees.iter_mut().for_each(|tree| tree.set_span(span));
    trees.into_iter().collect()
}
