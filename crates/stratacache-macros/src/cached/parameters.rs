//! The parameters of the function: which is the namespace, which are cloned for the load, which must be in the key.

use darling::{Error, Result, error::Accumulator};
use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens as _;
use syn::{
    Expr, FnArg, ItemFn, Pat, PatType, Receiver, ReceiverKind, Type, TypeReference, parse_quote, spanned::Spanned as _,
};

use super::{
    borrows,
    names::{bound_by, first_name, mentions, only_name},
    options::Options,
};

/// The parameters, checked.
pub(super) struct Parameters {
    /// Where the namespace is.
    pub(super) namespace: Expr,
    /// Whether that is a parameter which is moved into the load.
    pub(super) namespace_moves: bool,
    /// References that the body uses, `self` among them: the load gets clones.
    pub(super) cloned: Vec<Ident>,
    /// Names of parameters that are references, but for `'static` ones.
    pub(super) references: Vec<Ident>,
    /// Names of all parameters but `self`.
    pub(super) names: Vec<Ident>,
}

impl Parameters {
    pub(super) fn of(function: &ItemFn, options: &Options) -> Result<Self> {
        let inputs = &function.sig.inputs;
        let names: Vec<Ident> = inputs
            .iter()
            .flat_map(|input| match input {
                FnArg::Typed(input) => bound_by(&input.pat),
                FnArg::Receiver(_) => Vec::new(),
            })
            .collect();
        let namespace = namespace_of(function, options, &names)?;
        let mut found = Self { namespace, namespace_moves: true, cloned: Vec::new(), references: Vec::new(), names };
        let mut errors = Error::accumulator();
        let body = function.block.to_token_stream();
        for input in inputs {
            match input {
                FnArg::Receiver(receiver) => found.receiver(receiver, &body, &mut errors),
                FnArg::Typed(input) => found.parameter(input, &body, options, &mut errors),
            }
        }
        for name in options.skip.iter().filter(|name| !found.names.contains(name)) {
            let there = found.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let message = format!("there is no parameter `{name}` to skip; there are {there}");
            errors.push(Error::custom(message).with_span(name));
        }
        errors.finish_with(found)
    }

    fn receiver(&mut self, receiver: &Receiver, body: &TokenStream, errors: &mut Accumulator) {
        let name = Ident::new("self", receiver.self_token.span);
        let borrowed = match &receiver.kind {
            ReceiverKind::Value => false,
            ReceiverKind::Reference(_, _, exclusively) => {
                if exclusively.is_some() {
                    errors.push(exclusive("self", receiver.self_token.span));
                }
                true
            }
            ReceiverKind::Typed(_, written) => match reference(written) {
                Some(TypeReference { mutability: Some(_), .. }) => {
                    return errors.push(exclusive("self", receiver.self_token.span));
                }
                found => found.is_some(),
            },
            _ => false,
        };
        if borrowed && mentions(body, &name) {
            self.cloned.push(name);
        }
    }

    fn parameter(&mut self, input: &PatType, body: &TokenStream, options: &Options, errors: &mut Accumulator) {
        let bound = bound_by(&input.pat);
        let used: Vec<&Ident> = bound.iter().filter(|name| mentions(body, name)).collect();
        let root = first_name(&self.namespace);
        let is_namespace = bound.iter().any(|name| Some(name) == root);
        match reference(&input.ty) {
            Some(TypeReference { mutability: Some(_), .. }) => {
                let name = bound.first().map_or_else(|| "this parameter".to_owned(), ToString::to_string);
                errors.push(exclusive(&name, input.pat.span()));
            }
            Some(reference) if reference.lifetime.as_ref().is_none_or(|lifetime| lifetime.ident != "static") => {
                self.namespace_moves &= !is_namespace;
                let owned = borrows::found_in(&reference.elem).map_or(Ok(()), |span| Err(borrowed(span)));
                errors.handle(owned);
                match &*input.pat {
                    Pat::Ident(pattern) => {
                        self.references.push(pattern.ident.clone());
                        if !used.is_empty() {
                            self.cloned.push(pattern.ident.clone());
                        }
                    }
                    _ if used.is_empty() => {}
                    other => errors.push(
                        Error::custom(
                            "a reference is cloned for the load: give it a name, and take it apart in the body",
                        )
                        .with_span(other),
                    ),
                }
            }
            _ => {
                if let Some(span) = borrows::found_in(&input.ty) {
                    errors.push(borrowed(span));
                }
            }
        }
        if only_name(&self.namespace).is_some_and(|name| bound.contains(name)) {
            return;
        }
        let key = options.key.to_token_stream();
        for name in used.into_iter().filter(|name| !mentions(&key, name) && !options.skip.contains(name)) {
            errors.push(
                Error::custom(format!(
                    "the body uses `{name}`, but `key` does not: calls that differ in `{name}` alone would share an entry. \
                     Add it to the key, or say `skip({name})` if it never changes the value, as a pool of connections"
                ))
                .with_span(name),
            );
        }
    }
}

/// Finds the namespace, by `in` or by its type.
fn namespace_of(function: &ItemFn, options: &Options, names: &[Ident]) -> Result<Expr> {
    if let Some(said) = &options.namespace {
        let known = first_name(said)
            .is_some_and(|name| names.contains(name) || (name == "self" && function.sig.receiver().is_some()));
        return if known {
            Ok(said.clone())
        } else {
            let message = "`in` names the parameter that is the namespace, or something of a parameter or of `self`, as \
                           `in = self.acme`: so the tenant is always one that the caller chose";
            Err(Error::custom(message).with_span(said))
        };
    }
    let mut found = Vec::new();
    for input in &function.sig.inputs {
        if let FnArg::Typed(input) = input
            && is_namespace(&input.ty)
        {
            let Pat::Ident(pattern) = &*input.pat else {
                let message =
                    "this is the namespace of the tenant that the value is cached for: give it a name, such as `acme`";
                return Err(Error::custom(message).with_span(&input.pat));
            };
            found.push(pattern.ident.clone());
        }
    }
    match found.as_slice() {
        [only] => Ok(parse_quote!(#only)),
        [] => Err(Error::custom(
            "whose data is it? A cached function takes the namespace of a tenant: add a parameter `acme: &Namespace` (callers \
             have it from `cache.tenant(&id)`), or say where it is, as in `in = self.acme`. What belongs to no tenant is \
             cached in `cache.global()`, which is a `Namespace`, too",
        )
        .with_span(&function.sig.ident)),
        [first, second, ..] => Err(Error::custom(format!(
            "`{first}` and `{second}` are namespaces: say which one the value is cached in, `in = {first}`"
        ))
        .with_span(second)),
    }
}

fn is_namespace(written: &Type) -> bool {
    match written {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Namespace"),
        Type::Reference(reference) => is_namespace(&reference.elem),
        Type::Paren(inner) => is_namespace(&inner.elem),
        Type::Group(inner) => is_namespace(&inner.elem),
        _ => false,
    }
}

fn reference(written: &Type) -> Option<&TypeReference> {
    match written {
        Type::Reference(found) => Some(found),
        Type::Paren(inner) => reference(&inner.elem),
        Type::Group(inner) => reference(&inner.elem),
        _ => None,
    }
}

fn exclusive(name: &str, span: Span) -> Error {
    Error::custom(format!(
        "`{name}` is a `&mut`, which cannot go into a load: it runs in a task of its own, at most once for many callers. Take \
         a handle that is shared, such as a pool or an `Arc<Mutex<_>>`, or change things outside of the cached function"
    ))
    .with_span(&span)
}

fn borrowed(span: Span) -> Error {
    Error::custom(
        "this borrows from the caller, whom the load may outlive: take what it borrows from by value (`String` in place of \
         `&str`), or a plain reference `&T` or `&str` as the parameter, which is cloned",
    )
    .with_span(&span)
}
