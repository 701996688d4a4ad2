//! `#[derive(KeyPart)]`, and what it shares with `#[derive(DecodePart)]`.

mod decode;
mod options;

use std::collections::BTreeMap;

use darling::{Error, Result, error::Accumulator};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Data, DataEnum, DeriveInput, Fields, Generics, Path, WherePredicate, parse_quote, spanned::Spanned as _};

pub(crate) use decode::expand as expand_decode;
use options::{FieldOptions, TypeOptions, VariantOptions};

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
                "a union cannot be a `KeyPart`: which of its fields is in use is not known, so two different values could \
                 make the same key; use an enum, or implement `KeyPart` by hand",
            )
            .with_span(&data.union_token));
        }
    };
    let name = &input.ident;
    let bounds = own.bound.unwrap_or_else(|| bounds(&input.generics, &parse_quote!(#home::KeyPart)));
    let generics = bounded(&input.generics, bounds);
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

/// Returns the bound of each type parameter where the type does not say others.
fn bounds(generics: &Generics, by: &Path) -> Vec<WherePredicate> {
    generics.type_params().map(|parameter| &parameter.ident).map(|name| parse_quote!(#name: #by)).collect()
}

fn bounded(generics: &Generics, bounds: Vec<WherePredicate>) -> Generics {
    let mut generics = generics.clone();
    if !bounds.is_empty() {
        generics.make_where_clause().predicates.extend(bounds);
    }
    generics
}

/// Tells whether a struct is written as its only field.
fn is_transparent(own: &TypeOptions, fields: &Fields) -> Result<bool> {
    match fields.len() {
        1 => Ok(own.transparent.is_present()),
        count if own.transparent.is_present() => Err(Error::custom(format!(
            "`transparent` is for a struct with one field, and this one has {count}: remove it, and the struct is the \
             group of its fields"
        ))
        .with_span(fields)),
        _ => Ok(false),
    }
}

fn of_struct(home: &Path, parts: &Ident, fields: &Fields, transparent: bool) -> Result<TokenStream> {
    let (pattern, writes) = of_fields(home, parts, fields)?;
    let write = match writes.as_slice() {
        [only] if transparent => only.clone(),
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
    let names = names(fields);
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
    Ok((pattern(fields, &names), writes))
}

/// Returns a name for each field, where that is: errors of its type are shown there.
fn names(fields: &Fields) -> Vec<Ident> {
    let located = fields.iter().enumerate();
    located
        .map(|(n, field)| format_ident!("field_{n}", span = Span::mixed_site().located_at(field.ty.span())))
        .collect()
}

/// Returns what takes a value apart, or puts it together, whatever its shape.
fn pattern(fields: &Fields, names: &[Ident]) -> TokenStream {
    let members = fields.members();
    quote!({ #(#members: #names),* })
}
