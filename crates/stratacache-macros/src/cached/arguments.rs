//! Key and tags, which are made before the parameters go into the load, and so must leave them there.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Expr, spanned::Spanned as _};

use super::{names::only_name, options::Options, parameters::Parameters};

/// Returns a reference to the value of the key. A parameter that is the key is borrowed; in a tuple it is cloned.
pub(super) fn key(options: &Options, parameters: &Parameters) -> TokenStream {
    let key = owned(&options.key, parameters, true);
    quote_spanned!(options.key.span() => &#key)
}

fn owned(key: &Expr, parameters: &Parameters, alone: bool) -> TokenStream {
    match key {
        Expr::Tuple(tuple) => {
            let members = tuple.elems.iter().map(|member| owned(member, parameters, false));
            quote_spanned!(tuple.span() => (#(#members,)*))
        }
        Expr::Paren(inner) => owned(&inner.expr, parameters, alone),
        Expr::Group(inner) => owned(&inner.expr, parameters, alone),
        other => match only_name(other).filter(|name| !alone && parameters.names.contains(name)) {
            Some(name) if parameters.references.contains(name) => {
                quote_spanned!(name.span() => ::std::borrow::ToOwned::to_owned(#name))
            }
            Some(name) => quote_spanned!(name.span() => ::core::clone::Clone::clone(&#name)),
            None => other.to_token_stream(),
        },
    }
}

/// Returns the tags as something to iterate over, if there are any.
pub(super) fn tags(options: &Options, parameters: &Parameters) -> Option<TokenStream> {
    let home = &options.home;
    match options.tags.as_ref()? {
        Expr::Array(array) if array.elems.is_empty() => None,
        Expr::Array(array) => {
            let tags = array.elems.iter().map(|tag| {
                let part = borrowed(tag, parameters);
                quote_spanned!(tag.span() => #home::IntoTag::into_tag(#part))
            });
            Some(quote!([#(#tags),*]))
        }
        other => {
            let tags = borrowed(other, parameters);
            Some(quote_spanned! { other.span() =>
                ::core::iter::IntoIterator::into_iter(#tags)
                    .map(#home::IntoTag::into_tag)
                    .collect::<::std::vec::Vec<#home::Tag>>()
            })
        }
    }
}

fn borrowed(tag: &Expr, parameters: &Parameters) -> TokenStream {
    match tag {
        Expr::Tuple(tuple) => {
            let members = tuple.elems.iter().map(|member| borrowed(member, parameters));
            quote_spanned!(tuple.span() => (#(#members,)*))
        }
        Expr::Paren(inner) => borrowed(&inner.expr, parameters),
        Expr::Group(inner) => borrowed(&inner.expr, parameters),
        other => match only_name(other).filter(|name| parameters.names.contains(name)) {
            Some(name) => quote_spanned!(name.span() => &#name),
            None => other.to_token_stream(),
        },
    }
}
