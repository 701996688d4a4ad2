//! Which names a piece of code mentions, and which a pattern binds.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{
    Expr, Pat, PatIdent,
    ext::IdentExt as _,
    visit::{self, Visit},
};

/// Tells whether code mentions a name, also inside of macros and of texts such as `"{name}"`.
///
/// It may say yes where another thing of that name is meant; then something is cloned that need not be.
pub(super) fn mentions(code: &TokenStream, name: &Ident) -> bool {
    let name = name.unraw();
    code.clone().into_iter().any(|token| match token {
        TokenTree::Ident(found) => found.unraw() == name,
        TokenTree::Group(group) => mentions(&group.stream(), &name),
        TokenTree::Literal(literal) => in_text(&literal.to_string(), &name.to_string()),
        TokenTree::Punct(_) => false,
    })
}

/// Tells whether the text of a literal has a place for a value of that name, as texts to be formatted have.
pub(super) fn in_text(literal: &str, name: &str) -> bool {
    literal.contains('"')
        && literal.split('{').skip(1).any(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            &rest[..end] == name || rest.contains(&format!("{name}$"))
        })
}

/// Returns the names that a pattern binds.
pub(super) fn bound_by(pattern: &Pat) -> Vec<Ident> {
    struct Names(Vec<Ident>);
    impl Visit<'_> for Names {
        fn visit_pat_ident(&mut self, found: &PatIdent) {
            self.0.push(found.ident.clone());
            visit::visit_pat_ident(self, found);
        }
    }
    let mut names = Names(Vec::new());
    names.visit_pat(pattern);
    names.0
}

/// Returns the only name of an expression that is one.
pub(super) fn only_name(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        Expr::Paren(inner) => only_name(&inner.expr),
        Expr::Group(inner) => only_name(&inner.expr),
        _ => None,
    }
}

/// Returns the name an expression starts with: `self` of `self.acme`, `request` of `request.tenant()`.
pub(super) fn first_name(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::Field(field) => first_name(&field.base),
        Expr::MethodCall(call) => first_name(&call.receiver),
        Expr::Reference(inner) => first_name(&inner.expr),
        Expr::Unary(inner) => first_name(&inner.expr),
        Expr::Paren(inner) => first_name(&inner.expr),
        Expr::Group(inner) => first_name(&inner.expr),
        other => only_name(other),
    }
}
