//! `#[cached]`.

mod arguments;
mod borrows;
mod names;
mod options;
mod parameters;
mod receiver;
mod returned;

use darling::{Error, Result};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{AttrStyle, ItemFn, ext::IdentExt as _, parse_quote, spanned::Spanned as _};

use options::Options;
use parameters::Parameters;
use returned::Returned;

/// Writes the cached function. After an error the function as it was comes behind it, so that those who call it are no errors.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    match function(&item).and_then(|function| cached(arguments, function)) {
        Ok(cached) => cached,
        Err(error) => {
            let errors = error.write_errors();
            // nothing is to be said of it but the error
            quote!(#errors #[allow(unused)] #item)
        }
    }
}

fn function(item: &TokenStream) -> Result<ItemFn> {
    let function: ItemFn = syn::parse2(item.clone()).map_err(|error| {
        let message = format!("`#[cached]` is for an `async fn` with a body: {error}");
        Error::custom(message).with_span(&error.span())
    })?;
    if function.sig.asyncness.is_none() {
        let message = "a cached function is an `async fn`: reading tiers and waiting for a load is asynchronous. If it \
                       returns a future, write `async fn` and return the future's output";
        return Err(Error::custom(message).with_span(&function.sig.fn_token));
    }
    Ok(function)
}

fn cached(arguments: TokenStream, mut function: ItemFn) -> Result<TokenStream> {
    let mut errors = Error::accumulator();
    let options = errors.handle(Options::parse(arguments));
    let Some(options) = options else {
        return Err(errors.finish().err().unwrap_or_else(|| Error::custom("no options")));
    };
    let parameters = errors.handle(Parameters::of(&function, &options));
    let returned = errors.handle(Returned::of(&function.sig, &options));
    let renamed = Ident::new("this", Span::mixed_site());
    if parameters.as_ref().is_some_and(|found| found.cloned.iter().any(|name| name == "self")) {
        errors.handle(receiver::rename(&mut function.block, &renamed));
    }
    let (Some(parameters), Some(returned)) = (parameters, returned) else {
        return Err(errors.finish().err().unwrap_or_else(|| Error::custom("no parameters")));
    };
    errors.finish()?;
    Ok(write(function, &options, &parameters, &returned, &renamed))
}

fn write(
    mut function: ItemFn,
    options: &Options,
    parameters: &Parameters,
    returned: &Returned,
    renamed: &Ident,
) -> TokenStream {
    let home = &options.home;
    let [namespace, key, tags, ttl, policy, retry, load] =
        ["namespace", "key", "tags", "ttl", "policy", "retry", "load"].map(|name| Ident::new(name, Span::mixed_site()));

    let mut made = TokenStream::new();
    made.extend(namespace_of(home, &namespace, parameters));
    let (keyspace, value, parts) = (&options.keyspace, &returned.value, arguments::key(options, parameters));
    made.extend(quote_spanned!(keyspace.span() => let #key: #home::Key<#value> = #keyspace.key(#parts);));
    let mut chain = TokenStream::new();
    if let Some(found) = arguments::tags(options, parameters) {
        made.extend(quote!(let #tags = #found;));
        chain.extend(quote!(.tags(#tags)));
    }
    if let Some(found) = &options.ttl {
        made.extend(quote_spanned!(found.span() => let #ttl: ::core::time::Duration = #found;));
        chain.extend(quote!(.ttl(#ttl)));
    }
    if let Some(found) = &options.policy {
        made.extend(quote_spanned!(found.span() => let #policy: #home::Policy = #found;));
        chain.extend(quote!(.policy(#policy)));
    }
    if let Some(found) = &options.retry {
        made.extend(quote_spanned!(found.span() => let #retry: #home::Retry = #found;));
        // an error of what cannot be cloned is shown there
        chain.extend(quote_spanned!(found.span() => .retry(#retry)));
    }

    let mut inside = TokenStream::new();
    for name in &parameters.cloned {
        let owned = format_ident!("owned_{}", name.unraw(), span = Span::mixed_site());
        made.extend(quote_spanned!(name.span() => let #owned = #home::macro_support::owned(#name);));
        let name = if name == "self" { renamed } else { name };
        inside.extend(quote!(let #name = #owned.get();));
    }

    let (whole, statements, operation) = (&returned.whole, &function.block.stmts, returned.operation());
    let body = quote! {
        #made
        let #load = async move || -> #whole {
            #inside
            #(#statements)*
        };
        #namespace.#operation(#key, #load)#chain.await
    };
    let output = returned.cached(home);
    function.sig.output = parse_quote!(-> #output);
    let (outer, inner): (Vec<_>, Vec<_>) =
        function.attrs.into_iter().partition(|attribute| attribute.style == AttrStyle::Outer);
    let (visibility, signature) = (&function.vis, &function.sig);
    quote! {
        #(#outer)*
        #visibility #signature {
            #(#inner)*
            #body
        }
    }
}

/// A parameter that is a reference is used as it is; all else may be moved into the load, or be a place that cannot be borrowed
/// for as long.
fn namespace_of(home: &syn::Path, namespace: &Ident, parameters: &Parameters) -> TokenStream {
    let place = &parameters.namespace;
    if parameters.namespace_moves {
        quote_spanned!(place.span() => let #namespace = <#home::Namespace as ::core::clone::Clone>::clone(&#place);)
    } else {
        quote_spanned!(place.span() => let #namespace: &#home::Namespace = &#place;)
    }
}
