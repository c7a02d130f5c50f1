//! The code that `#[objective]` adds to a crate. The procedural macro only reads its input; all output is here.

/// The code that `#[objective]` adds to a crate: the checks, the exports (on WebAssembly), and a macro whose
/// name can be defined only once in a crate.
#[doc(hidden)]
#[macro_export]
macro_rules! __component {
    (
        function: $function:ident,
        returns: [$returns:ty],
        name: [$($name:literal)?],
        docs: [$(($doc:expr),)*],
        metrics: [$(($direction:ident, [$($metric:literal)?]),)+],
        data: [$(($path:literal, $summary:literal, [$($sha256:literal)?]),)*],
    ) => {
        const _: () = {
            const METADATA: $crate::__private::Metadata = $crate::__private::Metadata {
                name: $crate::__private::first(&[$($name,)? ::core::env!("CARGO_PKG_NAME")]),
                version: ::core::env!("CARGO_PKG_VERSION"),
                authors: ::core::option_env!("CARGO_PKG_AUTHORS"),
                license: ::core::option_env!("CARGO_PKG_LICENSE"),
                repository: ::core::option_env!("CARGO_PKG_REPOSITORY"),
                docs: &[$($doc),*],
                metrics: &[$($crate::__private::Metric {
                    name: $crate::__private::optional(&[$($metric)?]),
                    direction: $crate::__private::Direction::$direction,
                }),+],
                data: &[$($crate::__private::DataSource {
                    path: $path,
                    summary: $summary,
                    sha256: $crate::__private::optional(&[$($sha256)?]),
                }),*],
            };
            const _: () = METADATA.check::<$returns>();
            const OBJECTIVE: fn(&mut $crate::Trial) -> $returns = $function;

            #[cfg(target_family = "wasm")]
            #[allow(unsafe_code, reason = "the exports of a component have fixed names")]
            const _: () = {
                struct Component;
                $crate::__private::export_component!(Component, OBJECTIVE, METADATA);
            };
        };

        #[doc(hidden)]
        #[macro_export]
        macro_rules! __a_crate_has_only_one_objective {
            () => {};
        }
    };
}

/// The exports of a component, written in terms of the generated bindings.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_component {
    ($component:ident, $objective:ident, $metadata:ident) => {
        impl $crate::__bindings::exports::trialbox::objective::objective::Guest for $component {
            fn evaluate() -> ::core::result::Result<
                ::std::vec::Vec<f64>,
                $crate::__bindings::exports::trialbox::objective::objective::Failure,
            > {
                $crate::__private::evaluate($objective, &$metadata)
            }
        }

        impl $crate::__bindings::exports::trialbox::objective::describe::Guest for $component {
            fn describe()
            -> $crate::__bindings::exports::trialbox::objective::describe::Description {
                $crate::__private::describe(&$metadata)
            }
        }

        $crate::__bindings::export_objective!(
            $component with_types_in $crate::__bindings
        );
    };
}
