//! What `#[key_part(..)]` may say, and where.

use darling::{
    Error, FromAttributes, Result,
    util::{Flag, SpannedValue},
};
use syn::{Attribute, DeriveInput, ExprPath, Field, Path, Variant, WherePredicate};

/// Everything there is: what is said in the wrong place gets an answer of its own.
#[derive(Default, FromAttributes)]
#[darling(attributes(key_part), default)]
struct Options {
    #[darling(rename = "crate")]
    home: Option<Path>,
    bound: Option<Vec<WherePredicate>>,
    transparent: Flag,
    index: Option<SpannedValue<u32>>,
    with: Option<SpannedValue<ExprPath>>,
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
        misplaced(options.transparent.is_present(), "transparent", Place::Type, "");
        misplaced(options.bound.is_some(), "bound", Place::Type, "");
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
    pub(super) home: Option<Path>,
    pub(super) bound: Option<Vec<WherePredicate>>,
    pub(super) transparent: Flag,
}

impl TypeOptions {
    pub(super) fn of(input: &DeriveInput) -> Result<Self> {
        let Options { home, bound, transparent, .. } = Options::of(&input.attrs, Place::Type)?;
        if transparent.is_present() && matches!(input.data, syn::Data::Enum(_)) {
            let message = "`transparent` is for a struct with one field: an enum begins with the index of its variant";
            return Err(Error::custom(message).with_span(&transparent.span()));
        }
        Ok(Self { home, bound, transparent })
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
    pub(super) with: Option<ExprPath>,
}

impl FieldOptions {
    pub(super) fn of(field: &Field) -> Result<Self> {
        Ok(Self { with: Options::of(&field.attrs, Place::Field)?.with.map(SpannedValue::into_inner) })
    }
}
