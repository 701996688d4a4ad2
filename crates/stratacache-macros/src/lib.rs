//! The macros of Strata: [`macro@cached`], [`derive@KeyPart`] and [`derive@DecodePart`].
//!
//! Depend on `stratacache` with its feature `macros`, which has them; what they expand to names `::stratacache`.

mod cached;
mod key_part;

use proc_macro::TokenStream;

#[doc = include_str!("key_part/key_part.md")]
#[proc_macro_derive(KeyPart, attributes(key_part))]
pub fn derive_key_part(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    key_part::expand(&input).unwrap_or_else(darling::Error::write_errors).into()
}

#[doc = include_str!("key_part/decode_part.md")]
#[proc_macro_derive(DecodePart, attributes(key_part))]
pub fn derive_decode_part(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    key_part::expand_decode(&input).unwrap_or_else(darling::Error::write_errors).into()
}

/// Caches what an `async fn` returns: it becomes a `get_or_load` with the body as the loader.
///
/// ```ignore
/// use stratacache::{Keyspace, Namespace, Policy, cached, minutes};
///
/// const CONTACTS: Keyspace<(u32, Filter), Vec<Contact>> = Keyspace::new("contacts", Policy::ttl(minutes(5)));
///
/// /// Returns a page of contacts.
/// #[cached(keyspace = CONTACTS, key = (page, filter), tags = ["contacts"], skip(db))]
/// async fn contacts(acme: &Namespace, db: &Db, page: u32, filter: Filter) -> Result<Vec<Contact>, DbError> {
///     db.contacts(page, &filter).await
/// }
/// // is called as
/// let page: Cached<Vec<Contact>> = contacts(&acme, &db, 3, filter).await?; // the error is a `LoadError<DbError>`
/// ```
///
/// # The function
/// * One parameter is the `Namespace` (or a reference to one), or `in = ..` says where it is. Without, it does not compile.
/// * `Result<V, E>` becomes `Result<Cached<V>, LoadError<E>>`; `Result<Option<V>, E>` with `optional` becomes
///   `Result<Option<Cached<V>>, LoadError<E>>`, and `None` is remembered for the policy's `negative_ttl`.
/// * The body runs in a task of its own, which outlives a caller that goes away. So what it uses is moved into it, and what it
///   uses of references (`&self` and the namespace among them) is cloned, before it is known whether the value is
///   in the cache: take handles such as a pool or an `Arc`. What the body does not name is not cloned.
/// * Key, tags, ttl, policy and retry are evaluated at each call, before the body, with the parameters in reach.
///
/// # Arguments
/// * `keyspace = PATH`, required: the `const` or `static` that declares the keyspace.
/// * `key = EXPR`, required: a value of the keyspace's key type. A parameter alone is borrowed, in a tuple it is cloned.
/// * `tags = [EXPR, ..]`, or any expression that can be iterated over. Parameters are borrowed.
/// * `ttl = EXPR` (`Duration`), `policy = EXPR` (`Policy`): instead of the keyspace's.
/// * `retry = EXPR` (`Retry`): the body runs again when it fails, as `get_or_load(..).retry(..)` does. What it uses is cloned for each
///   try, parameters that are moved into it included.
/// * `optional`: the function returns `Result<Option<V>, E>`.
/// * `skip(NAME, ..)`: parameters that the body uses but that never change the value, as a pool of connections. Each other
///   parameter that the body uses must be in the key, or it does not compile.
/// * `in = NAME`: the parameter that is the namespace, or an expression that starts with a parameter or `self`, such as `self.acme`.
/// * `crate = PATH`: where `stratacache` is, if not at `::stratacache`.
///
/// Attributes, doc comments, visibility, generics and `where` clauses stay on the function.
#[proc_macro_attribute]
pub fn cached(arguments: TokenStream, item: TokenStream) -> TokenStream {
    cached::expand(arguments.into(), item.into()).into()
}
