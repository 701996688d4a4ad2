//! The macros of Strata: [`macro@cached`], [`derive@KeyPart`] and [`derive@DecodePart`].
//!
//! Depend on `stratacache` with its feature `macros`, which has them; what they expand to names `::stratacache`.

mod cached;
mod key_part;

use proc_macro::TokenStream;

/// Derives `KeyPart` for a struct or an enum: two different values never make the same key.
///
/// A struct is a group of its fields in their order, an enum the index of the variant and its fields. Each field must be a
/// `KeyPart` itself, each type parameter is bound by `KeyPart`.
///
/// ```ignore
/// use stratacache::KeyPart;
///
/// #[derive(KeyPart)]
/// struct Filter {
///     company: Option<u32>,
///     text: String,
///     order: Order,
/// }
///
/// #[derive(KeyPart)]
/// enum Order {
///     #[key_part(index = 0)]
///     ByName,
///     #[key_part(index = 1)]
///     ByAge { oldest_first: bool },
/// }
/// ```
///
/// # What changes keys
/// Lower tiers outlive a deployment. Adding a field, changing the order of fields, or the order of variants without `index`,
/// gives values other keys, which may be those of other values before. Give the keyspace a new `version` with such a change,
/// and variants an `index`. Renaming changes nothing.
///
/// # Attributes
/// * `#[key_part(index = n)]` on each variant: its index, whatever its place. All variants have one or none.
/// * `#[key_part(with = path)]` on a field whose type is no `KeyPart`: `path(&field, parts)` writes it to the `PartEncoder`.
///   What it writes is a group of its own. Two different values must not write the same.
/// * `#[key_part(transparent)]` on a struct with one field: encodes as that field does. A `struct Slug(String)` then has the
///   keys of its text.
/// * `#[key_part(bound = "T: Trait")]` on the type: these bounds in place of `KeyPart` for each type parameter.
/// * `#[key_part(crate = path)]` on the type: where `stratacache` is, if not at `::stratacache`.
///
/// `read` and `read_bound` are those of [`DecodePart`](derive@DecodePart), and change nothing here.
#[proc_macro_derive(KeyPart, attributes(key_part))]
pub fn derive_key_part(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    key_part::expand(&input).unwrap_or_else(darling::Error::write_errors).into()
}

#[doc = include_str!("decode_part.md")]
#[proc_macro_derive(DecodePart, attributes(key_part))]
pub fn derive_decode_part(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    key_part::expand_decode(&input).unwrap_or_else(darling::Error::write_errors).into()
}

#[doc = include_str!("cached.md")]
#[proc_macro_attribute]
pub fn cached(arguments: TokenStream, item: TokenStream) -> TokenStream {
    cached::expand(arguments.into(), item.into()).into()
}
