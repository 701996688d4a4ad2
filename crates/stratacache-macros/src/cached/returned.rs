//! What the function returns, and what it will.

use darling::{Error, Result};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    GenericArgument, Path, PathArguments, PathSegment, ReturnType, Signature, Type, TypeImplTrait,
    spanned::Spanned as _, visit::Visit,
};

use super::{borrows, options::Options};

/// The parts of a `Result<V, E>`, or of a `Result<Option<V>, E>` with `optional`.
pub(super) struct Returned {
    /// As it is written: what the body returns.
    pub(super) whole: Type,
    pub(super) value: Type,
    error: TokenStream,
    optional: bool,
}

const NO_RESULT: &str = "a cached function returns `Result<V, E>`: it becomes `Result<Cached<V>, LoadError<E>>`; \
                         if it cannot fail, return `Result<V, std::convert::Infallible>`";

impl Returned {
    pub(super) fn of(signature: &Signature, options: &Options) -> Result<Self> {
        let ReturnType::Type(_, whole) = &signature.output else {
            return Err(Error::custom(NO_RESULT).with_span(&signature.ident));
        };
        if let Some(hidden) = hidden_in(whole) {
            let message = "a cached value has a type with a name, for it is stored and read again: write it in place of \
                           `impl Trait`";
            return Err(Error::custom(message).with_span(&hidden));
        }
        let last = last_segment(whole).filter(|last| last.ident.to_string().ends_with("Result"));
        let Some(last) = last else {
            return Err(Error::custom(NO_RESULT).with_span(whole));
        };
        let (value, error) = match types_of(last).as_slice() {
            [value] => (*value, None),
            [value, error] => (*value, Some(*error)),
            _ => {
                let message = "the type of the cached value is hidden in this alias: write `Result<V, E>`";
                return Err(Error::custom(message).with_span(whole));
            }
        };
        if let Some(span) = borrows::found_in(value) {
            let message = "a cached value owns what it holds, for it outlives every caller: write `String` in place of \
                           `&str`, `Vec<T>` in place of `&[T]`";
            return Err(Error::custom(message).with_span(&span));
        }
        let optional = options.optional.is_present();
        let value = if optional {
            let inner = last_segment(value).filter(|last| last.ident == "Option").map(types_of);
            let Some(&[inner]) = inner.as_deref() else {
                let message = "with `optional` the function returns `Result<Option<V>, E>`, and `None` is remembered as \
                               absent; remove `optional`, or return an `Option`";
                return Err(Error::custom(message).with_span(value));
            };
            inner
        } else {
            value
        };
        let home = &options.home;
        // of an alias such as `io::Result<V>` only the compiler knows the error
        let error = error.map_or_else(
            || quote_spanned!(whole.span() => <#whole as #home::macro_support::Outcome>::Error),
            |error| quote!(#error),
        );
        Ok(Self { whole: (**whole).clone(), value: value.clone(), error, optional })
    }

    /// Returns the type that the cached function returns.
    pub(super) fn cached(&self, home: &Path) -> TokenStream {
        let Self { value, error, .. } = self;
        let cached = quote!(#home::Cached<#value>);
        let cached = if self.optional { quote!(::core::option::Option<#cached>) } else { cached };
        quote!(::core::result::Result<#cached, #home::LoadError<#error>>)
    }

    /// Returns the operation that reads through.
    pub(super) fn operation(&self) -> TokenStream {
        if self.optional { quote!(get_or_load_optional) } else { quote!(get_or_load) }
    }
}

fn last_segment(written: &Type) -> Option<&PathSegment> {
    match written {
        Type::Path(path) => path.path.segments.last(),
        Type::Paren(inner) => last_segment(&inner.elem),
        Type::Group(inner) => last_segment(&inner.elem),
        _ => None,
    }
}

fn types_of(segment: &PathSegment) -> Vec<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return Vec::new() };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(found) => Some(found),
        _ => None,
    });
    types.collect()
}

fn hidden_in(written: &Type) -> Option<TypeImplTrait> {
    struct Hidden(Option<TypeImplTrait>);
    impl Visit<'_> for Hidden {
        fn visit_type_impl_trait(&mut self, found: &TypeImplTrait) {
            self.0.get_or_insert_with(|| found.clone());
        }
    }
    let mut hidden = Hidden(None);
    hidden.visit_type(written);
    hidden.0
}
