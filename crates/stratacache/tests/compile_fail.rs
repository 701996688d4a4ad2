//! What must not compile, with the messages people see.

#[test]
fn forgetting_the_tenant_and_a_zero_ttl_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    #[cfg(feature = "macros")]
    {
        cases.compile_fail("tests/ui/cached/*.rs");
        cases.compile_fail("tests/ui/decode_part/*.rs");
        cases.compile_fail("tests/ui/key_part/*.rs");
    }
}
