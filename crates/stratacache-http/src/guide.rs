//! The snippets of the guide that need a web server, compiled with the doctests.

/// The snippets of the page about web servers compile.
#[doc = include_str!("../../../docs/guide/web.md")]
pub struct WebGuide;
