//! `#[derive(DecodePart)]`: reads what `#[derive(KeyPart)]` writes.

use darling::{Error, Result};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Data, DataEnum, DeriveInput, Fields, Path, WherePredicate, parse_quote, spanned::Spanned as _};

use super::{
    bounded, bounds, indices, is_transparent, names,
    options::{FieldOptions, TypeOptions},
    pattern,
};

/// Writes the implementation.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let own = TypeOptions::of(input)?;
    let home = own.home();
    let parts = Ident::new("parts", Span::mixed_site());
    let body = match &input.data {
        Data::Struct(data) => of_struct(&home, &parts, &data.fields, is_transparent(&own, &data.fields)?)?,
        Data::Enum(data) => of_enum(&home, &parts, data)?,
        Data::Union(data) => {
            return Err(Error::custom(
                "a union cannot be a `DecodePart`: which of its fields was written is not known; use an enum",
            )
            .with_span(&data.union_token));
        }
    };
    let name = &input.ident;
    let generics = bounded(&input.generics, bounds_of(&own, input, &home));
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #home::DecodePart for #name #type_generics #where_clause {
            fn decode(#parts: &mut #home::PartDecoder<'_>) -> ::core::option::Option<Self> {
                #body
            }
        }
    })
}

/// What the type says, or `DecodePart` for each type parameter. The bounds of `KeyPart` are needed, too: who reads a key can write it.
fn bounds_of(own: &TypeOptions, input: &DeriveInput, home: &Path) -> Vec<WherePredicate> {
    let each = |by: Path| bounds(&input.generics, &by);
    match (own.bound.clone(), own.read_bound.clone()) {
        (None, None) => each(parse_quote!(#home::DecodePart)),
        (Some(bound), None) => bound,
        (bound, Some(read)) => {
            bound.unwrap_or_else(|| each(parse_quote!(#home::KeyPart))).into_iter().chain(read).collect()
        }
    }
}

fn of_struct(home: &Path, parts: &Ident, fields: &Fields, transparent: bool) -> Result<TokenStream> {
    let read = of_fields(home, parts, fields, &quote!(Self))?;
    Ok(if transparent {
        read
    } else if fields.is_empty() {
        quote!(#parts.unit()?; #read)
    } else {
        quote!(#parts.group(|#parts| { #read }))
    })
}

fn of_enum(home: &Path, parts: &Ident, data: &DataEnum) -> Result<TokenStream> {
    let mut errors = Error::accumulator();
    let indices = indices(data, &mut errors);
    let mut arms = Vec::new();
    for (variant, index) in data.variants.iter().zip(indices) {
        let name = &variant.ident;
        if let Some(read) = errors.handle(of_fields(home, parts, &variant.fields, &quote!(Self::#name))) {
            arms.push(quote!(#index => { #read }));
        }
    }
    errors.finish()?;
    let index = Ident::new("index", Span::mixed_site());
    let fields = if data.variants.iter().all(|v| v.fields.is_empty()) { quote!(_) } else { quote!(#parts) };
    Ok(quote! {
        #parts.variant(|#index, #fields| match #index {
            #(#arms)*
            _ => ::core::option::Option::None,
        })
    })
}

/// Returns what reads the fields one after the other, as they were written, and makes the value of them.
fn of_fields(home: &Path, parts: &Ident, fields: &Fields, value: &TokenStream) -> Result<TokenStream> {
    let mut errors = Error::accumulator();
    let names = names(fields);
    let mut reads = Vec::new();
    for (field, name) in fields.iter().zip(&names) {
        let Some(own) = errors.handle(FieldOptions::of(field)) else { continue };
        let ty = &field.ty;
        reads.push(match (own.with, own.read) {
            (_, Some(read)) => quote_spanned! { read.span() =>
                let #name: ::core::option::Option<#ty> = #parts.group(|#parts| #read(#parts));
                let #name = #name?;
            },
            (Some(with), None) => {
                errors.push(
                    Error::custom(
                        "`with` says how this field is written, but not how it is read: add `read = path`, a function \
                         from `&mut PartDecoder<'_>` to an `Option` of the field",
                    )
                    .with_span(&with),
                );
                continue;
            }
            (None, None) => quote_spanned! { ty.span() =>
                let #name = <#ty as #home::DecodePart>::decode(#parts)?;
            },
        });
    }
    errors.finish()?;
    let pattern = pattern(fields, &names);
    Ok(quote!(#(#reads)* ::core::option::Option::Some(#value #pattern)))
}
