//! A check of the types of an objective's exports, before its first trial starts.

use crate::wire::contract::CONTRACT;
use trialbox_core::session::door::{Rejection, RejectionCode};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};

const OBJECTIVE: &str = "trialbox:objective/objective";

/// Checks the type of `evaluate`, which wasmtime itself checks only at the call.
pub(crate) fn check(component: &Component, engine: &Engine) -> Result<(), Rejection> {
    let ty = component.component_type();
    let mut exports = ty.exports(engine);
    let instance = exports.find(|(name, _)| name.split('@').next() == Some(OBJECTIVE));
    let Some((_, ComponentItem::ComponentInstance(instance))) =
        instance.map(|(name, found)| (name, found.ty))
    else {
        return Err(wrong("found no interface `objective`"));
    };
    match instance.get_export(engine, "evaluate").map(|found| found.ty) {
        Some(ComponentItem::ComponentFunc(evaluate)) if fits(&evaluate) => Ok(()),
        Some(_) => Err(wrong("found an `evaluate` of another type")),
        None => Err(wrong("found no `evaluate`")),
    }
}

/// Returns whether a function has the type `func() -> result<list<f64>, failure>`.
fn fits(evaluate: &ComponentFunc) -> bool {
    let mut results = evaluate.results();
    let (Some(Type::Result(result)), None) = (results.next(), results.next()) else { return false };
    let is_values =
        |ty: Option<Type>| matches!(ty, Some(Type::List(list)) if list.ty() == Type::Float64);
    let is_failure = |ty: Option<Type>| {
        let Some(Type::Variant(variant)) = ty else { return false };
        let cases: Vec<_> = variant.cases().map(|case| (case.name, case.ty)).collect();
        matches!(&cases[..], [("pruned", None), ("error", Some(Type::String))])
    };
    evaluate.params().len() == 0 && is_values(result.ok()) && is_failure(result.err())
}

fn wrong(what: &str) -> Rejection {
    Rejection::new(
        RejectionCode::Abi,
        format!(
            "the component does not fit the contract {CONTRACT}: \
             expected `evaluate: func() -> result<list<f64>, failure>`, {what}"
        ),
        "build the objective again with a current SDK",
    )
}
