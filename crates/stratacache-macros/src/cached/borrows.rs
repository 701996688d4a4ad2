//! Types that borrow from the caller, and so cannot go into a load.

use proc_macro2::Span;
use syn::{
    Lifetime, ParenthesizedGenericArguments, Type, TypeFnPtr, TypeReference,
    spanned::Spanned as _,
    visit::{self, Visit},
};

/// Returns where a type says that it borrows for less than `'static`, if it says so.
pub(super) fn found_in(written: &Type) -> Option<Span> {
    let mut borrows = Borrows(None);
    borrows.visit_type(written);
    borrows.0
}

struct Borrows(Option<Span>);

impl Visit<'_> for Borrows {
    fn visit_type_reference(&mut self, found: &TypeReference) {
        if found.lifetime.as_ref().is_none_or(|lifetime| lifetime.ident != "static") {
            self.0.get_or_insert_with(|| found.span());
        }
        visit::visit_type_reference(self, found);
    }

    fn visit_lifetime(&mut self, found: &Lifetime) {
        if found.ident != "static" {
            self.0.get_or_insert_with(|| found.span());
        }
    }

    // what a function takes is not in it
    fn visit_parenthesized_generic_arguments(&mut self, _: &ParenthesizedGenericArguments) {}

    fn visit_type_fn_ptr(&mut self, _: &TypeFnPtr) {}
}
