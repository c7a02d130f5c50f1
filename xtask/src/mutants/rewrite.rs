//! Mutants in Rust source: all of them in one text, each behind its number.
//!
//! `a < b` becomes `(if crate::__mutant::is(7) { a <= b } else { a < b })`, so one build holds every mutant, and the
//! environment chooses one.

use crate::mutants::sql;
use anyhow::{Context as _, Result};
use proc_macro2::TokenTree;
use std::collections::BTreeSet;
use std::ops::Range;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{
    Attribute, BinOp, Block, Expr, Item, Lit, LitStr, Pat, ReturnType, Signature, Type, UnOp,
};

/// A change of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mutant {
    /// The function that it is in.
    pub(super) function: String,
    /// The line of the change, from 1.
    pub(super) line: usize,
    /// The text before the change, on one line.
    pub(super) was: String,
    /// The text after the change.
    pub(super) becomes: String,
    /// True for SQL.
    pub(super) is_sql: bool,
}

/// A place of a file with the mutants that it can have.
#[derive(Debug, Clone)]
struct Site {
    range: Range<usize>,
    form: Form,
    mutants: Vec<(Mutant, String)>,
}

/// The way in which a place becomes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The expression is replaced.
    Expression,
    /// The function returns before its body; the range is empty.
    Return,
    /// The arm of a match is passed over; the range is empty.
    Arm,
    /// The guard of an arm is made false.
    Guard,
}

/// A file in which mutants can be chosen.
#[derive(Debug, Clone)]
pub(super) struct Source {
    text: String,
    sites: Vec<Site>,
}

/// The text of a file with its mutants, and the places of these in it.
pub(super) struct Rewritten {
    pub(super) text: String,
    /// The places of mutants, inner ones last.
    places: Vec<(Range<usize>, Vec<usize>)>,
}

impl Rewritten {
    /// Returns the numbers of the mutants to which a place of the text belongs: the innermost that hold it.
    pub(super) fn at(&self, place: &Range<usize>) -> &[usize] {
        let holds = |range: &Range<usize>| range.start <= place.start && place.end <= range.end;
        let innermost = self
            .places
            .iter()
            .filter(|(range, numbers)| holds(range) && !numbers.is_empty())
            .min_by_key(|(range, _)| range.len());
        match innermost {
            Some((_, numbers)) => numbers,
            None => &[],
        }
    }
}

impl Source {
    /// Finds the places of a file.
    pub(super) fn parse(text: &str) -> Result<Source> {
        let file = syn::parse_file(text).context("it is not Rust")?;
        let mut finder = Finder { text, sites: Vec::new(), functions: Vec::new() };
        finder.visit_file(&file);
        let mut sites = finder.sites;
        // Outer places first; an insertion at the start of an expression stands before it.
        sites.sort_by_key(|site| {
            (site.range.start, site.form == Form::Expression, usize::MAX - site.range.end)
        });
        Ok(Source { text: text.to_owned(), sites })
    }

    /// Returns all mutants in their order.
    pub(super) fn mutants(&self) -> impl Iterator<Item = &Mutant> {
        self.sites.iter().flat_map(|site| site.mutants.iter().map(|(mutant, _)| mutant))
    }

    /// Writes the file with its mutants, which are numbered from `first`, but without those that do not compile.
    pub(super) fn rewrite(&self, first: usize, without: &BTreeSet<usize>) -> Rewritten {
        let mut writer = Writer { source: self, without, text: String::new(), places: Vec::new() };
        let mut number = first;
        let numbered: Vec<(usize, &Site)> = self
            .sites
            .iter()
            .map(|site| {
                let own = number;
                number += site.mutants.len();
                (own, site)
            })
            .collect();
        writer.write(&(0..self.text.len()), &numbered);
        Rewritten { text: writer.text, places: writer.places }
    }
}

/// Writes a text with its sites.
struct Writer<'a> {
    source: &'a Source,
    without: &'a BTreeSet<usize>,
    text: String,
    places: Vec<(Range<usize>, Vec<usize>)>,
}

impl Writer<'_> {
    /// Writes a part of the source; the sites are those in it, outer ones first.
    fn write(&mut self, part: &Range<usize>, sites: &[(usize, &Site)]) {
        let mut at = part.start;
        let mut next = 0;
        while let Some((first, site)) = sites.get(next) {
            self.text.push_str(&self.source.text[at..site.range.start]);
            let inner = sites[next + 1..]
                .iter()
                .take_while(|(_, inner)| {
                    inner.range.start < site.range.end && !site.range.is_empty()
                })
                .count();
            self.write_site(*first, site, &sites[next + 1..=next + inner]);
            at = site.range.end;
            next += inner + 1;
        }
        self.text.push_str(&self.source.text[at..part.end]);
    }

    fn write_site(&mut self, first: usize, site: &Site, inner: &[(usize, &Site)]) {
        let start = self.text.len();
        let numbers: Vec<usize> = (first..first + site.mutants.len())
            .filter(|number| !self.without.contains(number))
            .collect();
        let alternatives = numbers.iter().map(|number| (*number, &site.mutants[number - first].1));
        match site.form {
            Form::Expression if numbers.is_empty() => self.write(&site.range, inner),
            Form::Expression => {
                self.text.push('(');
                for (number, text) in alternatives {
                    self.text.push_str(&format!("if {} {{ ", is(number)));
                    self.write_alternative(number, text);
                    self.text.push_str(" } else ");
                }
                self.text.push_str("{ ");
                self.write(&site.range, inner);
                self.text.push_str(" })");
            }
            Form::Return => {
                for (number, text) in alternatives {
                    self.text.push_str(&format!(" if {} {{ ", is(number)));
                    self.write_alternative(number, &format!("return {text};"));
                    self.text.push_str(" }");
                }
            }
            Form::Arm => {
                for number in &numbers {
                    self.text.push_str(&format!(" if !{}", is(*number)));
                }
            }
            Form::Guard => {
                for number in &numbers {
                    self.text.push_str(&format!("!{} && ", is(*number)));
                }
                self.text.push('(');
                self.write(&site.range, inner);
                self.text.push(')');
            }
        }
        self.places.push((start..self.text.len(), numbers));
    }

    fn write_alternative(&mut self, number: usize, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.places.push((start..self.text.len(), vec![number]));
    }
}

fn is(number: usize) -> String {
    format!("crate::__mutant::is({number})")
}

/// Walks a file and collects the places that can be mutated.
struct Finder<'a> {
    text: &'a str,
    sites: Vec<Site>,
    functions: Vec<String>,
}

impl Finder<'_> {
    fn add(
        &mut self,
        range: Range<usize>,
        form: Form,
        was: &str,
        alternatives: Vec<(String, String)>,
    ) {
        self.add_any(range, form, was, alternatives, false);
    }

    /// Adds a place; an alternative is what is shown and what is written.
    fn add_any(
        &mut self,
        range: Range<usize>,
        form: Form,
        was: &str,
        alternatives: Vec<(String, String)>,
        is_sql: bool,
    ) {
        let Some(function) = self.functions.last() else { return };
        let line = self.text[..range.start].matches('\n').count() + 1;
        let mutants = alternatives.into_iter().map(|(becomes, text)| {
            let mutant = Mutant {
                function: function.clone(),
                line,
                was: one_line(was),
                becomes: one_line(&becomes),
                is_sql,
            };
            (mutant, text)
        });
        let mutants: Vec<_> = mutants.collect();
        if !mutants.is_empty() {
            self.sites.push(Site { range, form, mutants });
        }
    }

    fn text_of(&self, expr: &Expr) -> &str {
        &self.text[expr.span().byte_range()]
    }

    /// Visits a function, whose places are named after it.
    fn function(&mut self, attrs: &[Attribute], signature: &Signature, body: &Block) {
        if signature.constness.is_some() || is_of_tests(attrs) {
            return;
        }
        self.functions.push(signature.ident.to_string());
        let text = &self.text[body.span().byte_range()];
        let values: Vec<(String, String)> = values_of(&signature.output)
            .into_iter()
            .filter(|value| one_line(text) != format!("{{ {value} }}"))
            .map(|value| (format!("return {value}"), value))
            .collect();
        if !body.stmts.is_empty() {
            let start = body.span().byte_range().start + 1;
            self.add(start..start, Form::Return, "the body", values);
        }
        visit::visit_block(self, body);
        self.functions.pop();
    }

    fn sql(&mut self, range: Range<usize>, literal: &LitStr, around: impl Fn(String) -> String) {
        let text = literal.value();
        if !sql::is_sql(&text) {
            return;
        }
        for mutant in sql::mutants(&text) {
            let becomes = format!("{} of `{}`", mutant.becomes, one_line(&text));
            let written = around(format!("{:?}", mutant.text));
            self.add_any(
                range.clone(),
                Form::Expression,
                &mutant.was,
                vec![(becomes, written)],
                true,
            );
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Mod(module) if is_of_tests(&module.attrs) => {}
            Item::Const(_) | Item::Static(_) | Item::Macro(_) => {}
            Item::Impl(item) if is_of_tests(&item.attrs) => {}
            Item::Fn(function) => {
                self.function(&function.attrs, &function.sig, &function.block);
            }
            other => visit::visit_item(self, other),
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.function(&function.attrs, &function.sig, &function.block);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.function(&function.attrs, &function.sig, body);
        }
    }

    // The length of an array and the constants of patterns are known to the compiler.
    fn visit_type(&mut self, _: &'ast Type) {}

    fn visit_pat(&mut self, _: &'ast Pat) {}

    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}

    fn visit_expr(&mut self, expr: &'ast Expr) {
        match expr {
            Expr::Binary(binary) if !has_let(expr) => {
                let others = others(&binary.op);
                let (left, right) = (self.text_of(&binary.left), self.text_of(&binary.right));
                let alternatives = others
                    .iter()
                    .map(|other| {
                        (format!("{left} {other} {right}"), format!("{left} {other} {right}"))
                    })
                    .collect();
                let was = self.text_of(expr).to_owned();
                self.add(expr.span().byte_range(), Form::Expression, &was, alternatives);
            }
            Expr::Unary(unary) => {
                let is_literal = matches!(*unary.expr, Expr::Lit(_));
                if matches!(unary.op, UnOp::Not(_) | UnOp::Neg(_)) && !is_literal {
                    let inner = self.text_of(&unary.expr).to_owned();
                    let was = self.text_of(expr).to_owned();
                    self.add(
                        expr.span().byte_range(),
                        Form::Expression,
                        &was,
                        vec![(inner.clone(), inner)],
                    );
                }
            }
            Expr::Lit(literal) => {
                if let Lit::Str(text) = &literal.lit {
                    self.sql(expr.span().byte_range(), text, |changed| changed);
                }
            }
            Expr::Macro(call) if call.mac.path.is_ident("format") => {
                let mut tokens = call.mac.tokens.clone().into_iter();
                if let Some(TokenTree::Literal(first)) = tokens.next()
                    && let Ok(Lit::Str(text)) = syn::parse_str(&first.to_string())
                {
                    let rest = self.text
                        [first.span().byte_range().end..expr.span().byte_range().end]
                        .to_owned();
                    self.sql(expr.span().byte_range(), &text, |changed| {
                        format!("format!({changed}{rest}")
                    });
                }
            }
            Expr::Match(found) => self.arms(found),
            // Its blocks have types that the compiler must know before it knows the mutants.
            Expr::Const(_) => return,
            _ => {}
        }
        visit::visit_expr(self, expr);
    }
}

impl Finder<'_> {
    /// Adds the arms that can be left out, because a later one takes everything.
    fn arms(&mut self, found: &syn::ExprMatch) {
        let Some((last, arms)) = found.arms.split_last() else { return };
        if !matches!(last.pat, Pat::Wild(_)) {
            return;
        }
        for arm in arms {
            let pattern = self.text[arm.pat.span().byte_range()].to_owned();
            let (range, form) = match &arm.guard {
                Some((_, guard)) if has_let(guard) => continue,
                Some((_, guard)) => (guard.span().byte_range(), Form::Guard),
                None => {
                    let end = arm.pat.span().byte_range().end;
                    (end..end, Form::Arm)
                }
            };
            let alternative = ("no such arm".to_owned(), String::new());
            self.add(range, form, &pattern, vec![alternative]);
        }
    }
}

/// Returns whether `let` stands in a chain of conditions, which cannot be in parentheses then.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

fn is_of_tests(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| {
        attr.path().is_ident("test")
            || matches!(&attr.meta, syn::Meta::List(list)
                if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
    })
}

/// Returns the operators that take an operator's place.
fn others(operator: &BinOp) -> &'static [&'static str] {
    match operator {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Lt(_) => &["<=", ">"],
        BinOp::Le(_) => &["<", ">"],
        BinOp::Gt(_) => &[">=", "<"],
        BinOp::Ge(_) => &[">", "<"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::Add(_) => &["-", "*"],
        BinOp::Sub(_) => &["+", "/"],
        BinOp::Mul(_) => &["+", "/"],
        BinOp::Div(_) => &["*", "%"],
        BinOp::Rem(_) => &["/", "+"],
        BinOp::AddAssign(_) => &["-=", "*="],
        BinOp::SubAssign(_) => &["+="],
        BinOp::MulAssign(_) => &["+="],
        BinOp::DivAssign(_) => &["*="],
        BinOp::BitAnd(_) => &["|"],
        BinOp::BitOr(_) => &["&"],
        BinOp::BitXor(_) => &["|"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        _ => &[],
    }
}

/// Returns values that a function could return instead of its own.
fn values_of(output: &ReturnType) -> Vec<String> {
    match output {
        ReturnType::Default => vec![String::new()],
        ReturnType::Type(_, output) => values(output),
    }
}

fn values(output: &Type) -> Vec<String> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    match output {
        Type::Tuple(tuple) if tuple.elems.is_empty() => texts(&["()"]),
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else { return Vec::new() };
            let inner = || {
                let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else {
                    return texts(&["Default::default()"]);
                };
                match arguments.args.first() {
                    Some(syn::GenericArgument::Type(inner)) => values(inner),
                    _ => texts(&["Default::default()"]),
                }
            };
            match last.ident.to_string().as_str() {
                "bool" => texts(&["true", "false"]),
                "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => {
                    texts(&["0", "1"])
                }
                "f32" | "f64" => texts(&["0.0", "1.0"]),
                "String" => texts(&["String::new()"]),
                "Vec" => texts(&["Vec::new()"]),
                "Option" => {
                    let some = inner().into_iter().map(|value| format!("Some({value})"));
                    texts(&["None"]).into_iter().chain(some).collect()
                }
                "Result" => inner().into_iter().map(|value| format!("Ok({value})")).collect(),
                _ => texts(&["Default::default()"]),
            }
        }
        Type::Reference(_) => texts(&["Default::default()"]),
        _ => Vec::new(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let source = Source::parse(text).expect("Rust");
        source.mutants().map(|it| format!("{}: {} → {}", it.line, it.was, it.becomes)).collect()
    }

    #[test]
    fn operators_bodies_arms_and_sql_are_mutated() {
        let source = r#"
            fn f(a: u8) -> Option<bool> {
                let sql = "SELECT x FROM t ORDER BY x";
                match a {
                    0 => None,
                    1 if a != 2 => Some(!true),
                    _ => Some(a + 1 < 3 && g()),
                }
            }
            #[cfg(test)]
            mod tests { fn g() -> bool { 1 < 2 } }
            const N: usize = 1 + 1;
        "#;
        assert_eq!(
            shown(source),
            [
                "2: the body → return None",
                "2: the body → return Some(true)",
                "2: the body → return Some(false)",
                "3: BY x → BY x DESC of `SELECT x FROM t ORDER BY x`",
                "5: 0 → no such arm",
                "6: 1 → no such arm",
                "6: a != 2 → a == 2",
                "7: a + 1 < 3 && g() → a + 1 < 3 || g()",
                "7: a + 1 < 3 → a + 1 <= 3",
                "7: a + 1 < 3 → a + 1 > 3",
                "7: a + 1 → a - 1",
                "7: a + 1 → a * 1",
            ]
        );
    }

    #[test]
    fn all_mutants_stand_in_one_text_each_behind_its_number() {
        let source = Source::parse("fn f(a: u8) -> bool { a + 1 < 3 }").expect("Rust");
        let rewritten = source.rewrite(10, &BTreeSet::from([11, 13]));
        let is = |number| format!("crate::__mutant::is({number})");
        let want = format!(
            "fn f(a: u8) -> bool {{ if {} {{ return true; }} (if {} {{ a + 1 <= 3 }} else {{ \
             (if {} {{ a - 1 }} else if {} {{ a * 1 }} else {{ a + 1 }}) < 3 }}) }}",
            is(10),
            is(12),
            is(14),
            is(15)
        );
        assert_eq!(rewritten.text, want);
        let place = rewritten.text.find("a - 1").expect("the mutant");
        assert_eq!(rewritten.at(&(place..place + 5)), [14]);
        let outside = rewritten.text.find("< 3 }").expect("the original");
        assert_eq!(rewritten.at(&(outside..outside + 1)), [12]);
        assert!(rewritten.at(&(0..2)).is_empty());
    }

    #[test]
    fn a_let_in_a_chain_stays_outside_of_parentheses() {
        let text = "fn f(a: Option<u8>) { if let Some(b) = a && b < 1 { g(); } }";
        let source = Source::parse(text).expect("Rust");
        let without: BTreeSet<usize> = BTreeSet::from([0, 2]);
        let want = "fn f(a: Option<u8>) { if let Some(b) = a && \
                    (if crate::__mutant::is(1) { b <= 1 } else { b < 1 }) { g(); } }";
        assert_eq!(source.rewrite(0, &without).text, want);
    }
}
