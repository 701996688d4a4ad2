//! `self` inside the body: the load has a clone of its own, which needs another name.

use darling::{Error, Result};
use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{
    Block, ExprPath, Item, Macro,
    visit_mut::{self, VisitMut},
};

use super::names::in_text;

/// Puts another name in the place of `self`.
pub(super) fn rename(block: &mut Block, name: &Ident) -> Result<()> {
    let mut renamed = Renamed { name, errors: Error::accumulator() };
    renamed.visit_block_mut(block);
    renamed.errors.finish()
}

struct Renamed<'a> {
    name: &'a Ident,
    errors: darling::error::Accumulator,
}

impl Renamed<'_> {
    fn at(&self, span: Span) -> Ident {
        Ident::new(&self.name.to_string(), self.name.span().located_at(span))
    }

    /// Inside of macros there are only tokens. `self::module` is no value.
    fn tokens(&mut self, tokens: TokenStream) -> TokenStream {
        let mut tokens = tokens.into_iter().peekable();
        let mut renamed = TokenStream::new();
        while let Some(token) = tokens.next() {
            let is_path = matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':');
            let token = match token {
                TokenTree::Ident(found) if found == "self" && !is_path => self.at(found.span()).into(),
                TokenTree::Group(group) => {
                    let mut inner = Group::new(group.delimiter(), self.tokens(group.stream()));
                    inner.set_span(group.span());
                    inner.into()
                }
                TokenTree::Literal(text) => {
                    if in_text(&text.to_string(), "self") {
                        let message = "inside of a cached function `self` is a clone that the load owns, and cannot be \
                                       named in a text: write `{}`, and `self` as an argument";
                        self.errors.push(Error::custom(message).with_span(&text));
                    }
                    text.into()
                }
                other => other,
            };
            token.to_tokens(&mut renamed);
        }
        renamed
    }
}

impl VisitMut for Renamed<'_> {
    fn visit_expr_path_mut(&mut self, path: &mut ExprPath) {
        if path.qself.is_none() && path.path.is_ident("self") {
            let span = path.path.segments[0].ident.span();
            path.path = self.at(span).into();
        } else {
            visit_mut::visit_expr_path_mut(self, path);
        }
    }

    fn visit_macro_mut(&mut self, found: &mut Macro) {
        found.tokens = self.tokens(std::mem::take(&mut found.tokens));
    }

    // an item inside of the body has a `self` of its own
    fn visit_item_mut(&mut self, _: &mut Item) {}
}
