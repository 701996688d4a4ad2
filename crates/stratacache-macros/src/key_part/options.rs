//! What `#[key_part(..)]` may say, and where.

use darling::{
    Error, FromAttributes, Result,
    util::{Flag, SpannedValue},
};
use syn::{Attribute, DeriveInput, ExprPath, Field, Path, Variant, WherePredicate, parse_quote};

/// Everything there is: what is said in the wrong place gets an answer of its own.
#[derive(Default, FromAttributes)]
#[darling(attributes(key_part), default)]
struct Options {
    #[darling(rename = "crate")]
    home: Option<Path>,
    bound: Option<Vec<WherePredicate>>,
    read_bound: Option<Vec<WherePredicate>>,
    transparent: Flag,
    index: Option<SpannedValue<u32>>,
    with: Option<SpannedValue<ExprPath>>,
    read: Option<SpannedValue<ExprPath>>,
    skip: Flag,
}

impl Options {
    fn of(attributes: &[Attribute], place: Place) -> Result<Self> {
        let options = Self::from_attributes(attributes)?;
        let mut errors = Error::accumulator();
        let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("key_part"));
        let mut misplaced = |said: bool, word: &str, home: Place, why: &str| {
            if said && place != home {
                let message = format!("`{word}` is for {}, not for {}{why}", home.word(), place.word());
                let error = Error::custom(message);
                errors.push(match attribute {
                    Some(attribute) => error.with_span(attribute),
                    None => error,
                });
            }
        };
        misplaced(options.index.is_some(), "index", Place::Variant, "");
        misplaced(options.with.is_some(), "with", Place::Field, "");
        misplaced(options.read.is_some(), "read", Place::Field, "");
        misplaced(options.transparent.is_present(), "transparent", Place::Type, "");
        misplaced(options.bound.is_some(), "bound", Place::Type, "");
        misplaced(options.read_bound.is_some(), "read_bound", Place::Type, "");
        misplaced(options.home.is_some(), "crate", Place::Type, "");
        if options.skip.is_present() {
            let message = "every field is a part of the key: without it, two different values would share an entry; what \
                           does not change the cached value does not belong in the type of the key";
            errors.push(Error::custom(message).with_span(&options.skip.span()));
        }
        errors.finish_with(options)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Type,
    Variant,
    Field,
}

impl Place {
    const fn word(self) -> &'static str {
        match self {
            Self::Type => "a type",
            Self::Variant => "a variant of an enum",
            Self::Field => "a field",
        }
    }
}

/// What the type says.
pub(super) struct TypeOptions {
    home: Option<Path>,
    pub(super) bound: Option<Vec<WherePredicate>>,
    pub(super) read_bound: Option<Vec<WherePredicate>>,
    pub(super) transparent: Flag,
}

impl TypeOptions {
    pub(super) fn of(input: &DeriveInput) -> Result<Self> {
        let Options { home, bound, read_bound, transparent, .. } = Options::of(&input.attrs, Place::Type)?;
        if transparent.is_present() && matches!(input.data, syn::Data::Enum(_)) {
            let message = "`transparent` is for a struct with one field: an enum begins with the index of its variant";
            return Err(Error::custom(message).with_span(&transparent.span()));
        }
        Ok(Self { home, bound, read_bound, transparent })
    }

    /// Returns the path to `stratacache`.
    pub(super) fn home(&self) -> Path {
        self.home.clone().unwrap_or_else(|| parse_quote!(::stratacache))
    }
}

/// What a variant says.
#[derive(Default)]
pub(super) struct VariantOptions {
    pub(super) index: Option<SpannedValue<u32>>,
}

impl VariantOptions {
    pub(super) fn of(variant: &Variant) -> Result<Self> {
        Ok(Self { index: Options::of(&variant.attrs, Place::Variant)?.index })
    }
}

/// What a field says.
pub(super) struct FieldOptions {
    /// Writes it.
    pub(super) with: Option<ExprPath>,
    /// Reads what `with` has written.
    pub(super) read: Option<ExprPath>,
}

impl FieldOptions {
    pub(super) fn of(field: &Field) -> Result<Self> {
        let Options { with, read, .. } = Options::of(&field.attrs, Place::Field)?;
        if let (None, Some(read)) = (&with, &read) {
            let message =
                "`read` reads what `with` has written, and this field has no `with`: add `with = ..`, or remove `read`";
            return Err(Error::custom(message).with_span(&read.span()));
        }
        Ok(Self { with: with.map(SpannedValue::into_inner), read: read.map(SpannedValue::into_inner) })
    }
}
