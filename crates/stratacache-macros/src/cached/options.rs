//! What `#[cached(..)]` says.

use darling::{
    Error, FromMeta, Result,
    ast::NestedMeta,
    util::{Flag, PathList, parse_expr::preserve_str_literal},
};
use proc_macro2::{Ident, TokenStream};
use syn::{Expr, ExprLit, Lit, Path, parse_quote};

/// The arguments as they are written.
#[derive(Default, FromMeta)]
#[darling(default)]
struct Written {
    keyspace: Option<Path>,
    #[darling(with = optional_expression)]
    key: Option<Expr>,
    #[darling(with = optional_expression)]
    tags: Option<Expr>,
    #[darling(with = optional_expression)]
    ttl: Option<Expr>,
    #[darling(with = optional_expression)]
    policy: Option<Expr>,
    #[darling(with = optional_expression)]
    retry: Option<Expr>,
    #[darling(rename = "in", with = optional_expression)]
    namespace: Option<Expr>,
    optional: Flag,
    skip: PathList,
    #[darling(rename = "crate")]
    home: Option<Path>,
}

fn optional_expression(meta: &syn::Meta) -> Result<Option<Expr>> {
    preserve_str_literal(meta).map(Some)
}

/// The arguments, checked.
pub(super) struct Options {
    pub(super) keyspace: Path,
    pub(super) key: Expr,
    pub(super) tags: Option<Expr>,
    pub(super) ttl: Option<Expr>,
    pub(super) policy: Option<Expr>,
    pub(super) retry: Option<Expr>,
    pub(super) namespace: Option<Expr>,
    pub(super) optional: Flag,
    pub(super) skip: Vec<Ident>,
    pub(super) home: Path,
}

impl Options {
    pub(super) fn parse(arguments: TokenStream) -> Result<Self> {
        let written = Written::from_list(&NestedMeta::parse_meta_list(arguments)?)?;
        let mut errors = Error::accumulator();
        if written.keyspace.is_none() {
            errors.push(Error::custom(
                "where is it cached? Add `keyspace = NAME`, the `const NAME: Keyspace<K, V> = Keyspace::new(..)` that \
                 declares the name, the types and the policy",
            ));
        }
        if written.key.is_none() {
            errors.push(Error::custom(
                "which entry is it? Add `key = ..` with every parameter that the value depends on, such as \
                 `key = (page, filter)`; `key = ()` for a keyspace with one entry",
            ));
        }
        if let Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) = &written.ttl {
            let message = "a ttl is a `Duration`, as in `ttl = stratacache::minutes(5)`";
            errors.push(Error::custom(message).with_span(text));
        }
        if let Some(Expr::Lit(ExprLit { lit: number @ Lit::Int(_), .. })) = &written.retry {
            let message = "this is a `Retry`, as in `retry = stratacache::Retry::new(3)` for three calls in all";
            errors.push(Error::custom(message).with_span(number));
        }
        let mut skip = Vec::new();
        for path in written.skip.iter() {
            match path.get_ident() {
                Some(name) => skip.push(name.clone()),
                None => errors.push(Error::custom("`skip` takes names of parameters").with_span(path)),
            }
        }
        let (Some(keyspace), Some(key)) = (written.keyspace, written.key) else {
            return Err(errors.finish().err().unwrap_or_else(|| Error::custom("`keyspace` and `key` are needed")));
        };
        errors.finish_with(Self {
            keyspace,
            key,
            tags: written.tags,
            ttl: written.ttl,
            policy: written.policy,
            retry: written.retry,
            namespace: written.namespace,
            optional: written.optional,
            skip,
            home: written.home.unwrap_or_else(|| parse_quote!(::stratacache)),
        })
    }
}
