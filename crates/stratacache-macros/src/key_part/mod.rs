//! `#[derive(KeyPart)]`.

mod options;

use std::collections::BTreeMap;

use darling::{Error, Result, error::Accumulator};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Data, DataEnum, DeriveInput, Fields, Generics, Path, parse_quote, spanned::Spanned as _};

use options::{FieldOptions, TypeOptions, VariantOptions};

/// Writes the implementation.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let own = TypeOptions::of(input)?;
    let home = own.home.clone().unwrap_or_else(|| parse_quote!(::stratacache));
    let parts = Ident::new("parts", Span::mixed_site());
    let body = match &input.data {
        Data::Struct(data) => of_struct(&home, &parts, &data.fields, own.transparent.is_present())?,
        Data::Enum(data) => of_enum(&home, &parts, data)?,
        Data::Union(data) => {
            return Err(Error::custom(
                "a union cannot be a `KeyPart`: which of its fields is in use is not known, so two different values could \
                 make the same key; use an enum, or implement `KeyPart` by hand",
            )
            .with_span(&data.union_token));
        }
    };
    let name = &input.ident;
    let generics = bounded(&home, &input.generics, own.bound);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #home::KeyPart for #name #type_generics #where_clause {
            fn encode(&self, #parts: &mut #home::PartEncoder) {
                #body
            }
        }
    })
}

fn bounded(home: &Path, generics: &Generics, bound: Option<Vec<syn::WherePredicate>>) -> Generics {
    let mut generics = generics.clone();
    let each = generics.type_params().map(|parameter| parameter.ident.clone()).collect::<Vec<_>>();
    let bounds = bound.unwrap_or_else(|| each.iter().map(|name| parse_quote!(#name: #home::KeyPart)).collect());
    if !bounds.is_empty() {
        generics.make_where_clause().predicates.extend(bounds);
    }
    generics
}

fn of_struct(home: &Path, parts: &Ident, fields: &Fields, transparent: bool) -> Result<TokenStream> {
    let (pattern, writes) = of_fields(home, parts, fields)?;
    let write = match writes.as_slice() {
        [only] if transparent => only.clone(),
        _ if transparent => {
            let count = writes.len();
            return Err(Error::custom(format!(
                "`transparent` is for a struct with one field, and this one has {count}: remove it, and the struct is the \
                 group of its fields"
            ))
            .with_span(fields));
        }
        [] => quote!(#parts.unit();),
        _ => quote!(#parts.group(|#parts| { #(#writes)* });),
    };
    Ok(quote! {
        let Self #pattern = self;
        #write
    })
}

fn of_enum(home: &Path, parts: &Ident, data: &DataEnum) -> Result<TokenStream> {
    let mut errors = Error::accumulator();
    let indices = indices(data, &mut errors);
    let mut arms = Vec::new();
    for (variant, index) in data.variants.iter().zip(indices) {
        if let Some((pattern, writes)) = errors.handle(of_fields(home, parts, &variant.fields)) {
            let name = &variant.ident;
            let fields = if writes.is_empty() { quote!(_) } else { quote!(#parts) };
            arms.push(quote!(Self::#name #pattern => #parts.variant(#index, |#fields| { #(#writes)* }),));
        }
    }
    errors.finish()?;
    if arms.is_empty() {
        return Ok(quote!(let _ = #parts; match *self {}));
    }
    Ok(quote!(match self { #(#arms)* }))
}

/// Returns the index of each variant: its own, or its place where none has one.
fn indices(data: &DataEnum, errors: &mut Accumulator) -> Vec<u32> {
    let options: Vec<_> = data
        .variants
        .iter()
        .map(|variant| errors.handle(VariantOptions::of(variant)).unwrap_or_default().index)
        .collect();
    let numbered = options.iter().any(Option::is_some);
    let mut seen = BTreeMap::new();
    let mut found = Vec::new();
    for (place, (variant, index)) in data.variants.iter().zip(&options).enumerate() {
        let name = &variant.ident;
        match index {
            Some(index) => {
                if let Some(other) = seen.insert(**index, name) {
                    errors.push(
                        Error::custom(format!(
                            "index {} is that of `{other}`, too: the two variants would share their keys",
                            **index
                        ))
                        .with_span(&index.span()),
                    );
                }
                found.push(**index);
            }
            None if numbered => {
                errors.push(
                    Error::custom(format!(
                        "`{name}` has no index, but other variants have: give it one that was never used, \
                         `#[key_part(index = ..)]`, so that its place does not matter"
                    ))
                    .with_span(name),
                );
                found.push(0);
            }
            None => found.push(place as u32),
        }
    }
    found
}

/// Returns the pattern that names the fields, and what writes each of them.
fn of_fields(home: &Path, parts: &Ident, fields: &Fields) -> Result<(TokenStream, Vec<TokenStream>)> {
    let mut errors = Error::accumulator();
    let members: Vec<_> = fields.members().collect();
    // each where its field is: that is where an error of its type is shown
    let names: Vec<_> = fields
        .iter()
        .enumerate()
        .map(|(n, field)| format_ident!("field_{n}", span = Span::mixed_site().located_at(field.ty.span())))
        .collect();
    let mut writes = Vec::new();
    for (field, name) in fields.iter().zip(&names) {
        let Some(own) = errors.handle(FieldOptions::of(field)) else { continue };
        writes.push(match own.with {
            // a group: it may write no part, or several
            Some(with) => {
                quote_spanned!(with.span() => #parts.group(|#parts| { let () = #with(#name, #parts); });)
            }
            None => quote_spanned!(field.ty.span() => #home::KeyPart::encode(#name, #parts);),
        });
    }
    errors.finish()?;
    Ok((quote!({ #(#members: #names),* }), writes))
}
