//! What must not compile, with the messages people see.

#[test]
fn forgetting_the_tenant_and_a_zero_ttl_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
