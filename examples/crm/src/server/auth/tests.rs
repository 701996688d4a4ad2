//! Which tokens are believed.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn company(name: &str) -> TenantId {
    TenantId::parse(name).expect("a legal id")
}

#[test]
fn a_token_proves_its_company_also_one_with_dots_in_its_name() {
    let keys = Keys::generate().expect("random bytes");
    for name in ["acme", "acme.example", "a.1.2"] {
        assert_eq!(keys.verify(&keys.token(&company(name), HOUR)), Ok(company(name)));
    }
}

#[test]
fn a_token_of_another_company_expiry_or_server_is_forged() {
    let keys = Keys::generate().expect("random bytes");
    let token = keys.token(&company("acme"), HOUR);
    let other = token.replace("acme", "brick");
    assert_eq!(keys.verify(&other), Err(Refused::Forged));
    let (head, signature) = token.rsplit_once('.').expect("three parts");
    assert_eq!(keys.verify(&format!("{head}0.{signature}")), Err(Refused::Forged));
    assert_eq!(keys.verify(&format!("{head}.00{}", &signature[2..])), Err(Refused::Forged));
    assert_eq!(keys.verify(&format!("{head}.{}", &signature[2..])), Err(Refused::Forged));
    let elsewhere = Keys::generate().expect("random bytes");
    assert_eq!(elsewhere.verify(&token), Err(Refused::Forged));
}

#[test]
fn a_token_ends_with_its_expiry() {
    let keys = Keys::generate().expect("random bytes");
    assert_eq!(keys.verify(&keys.token(&company("acme"), Duration::ZERO)), Err(Refused::Expired));
}

#[test]
fn a_text_that_is_no_token_is_refused() {
    let keys = Keys::generate().expect("random bytes");
    for text in ["", "acme", "acme.1", "acme.1.xyz", "acme.1.é", "..", "acme.1.abc"] {
        let refused = keys.verify(text).expect_err(text);
        assert!(matches!(refused, Refused::Malformed | Refused::Forged), "{text}");
    }
}

#[test]
fn the_admin_token_is_one_text_and_no_company_has_it() {
    let keys = Keys::generate().expect("random bytes");
    assert!(keys.is_admin(keys.admin_token()));
    assert!(!keys.is_admin(""));
    assert!(!keys.is_admin(&keys.token(&company("acme"), HOUR)));
}

#[test]
fn keys_that_travelled_as_text_sign_and_believe_the_same_tokens() {
    let keys = Keys::generate().expect("random bytes");
    let other = Keys::from_text(&keys.to_text()).expect("what it gave");
    assert_eq!(other.verify(&keys.token(&company("acme"), HOUR)), Ok(company("acme")));
    assert!(other.is_admin(keys.admin_token()));
    for text in ["", "00", &"0".repeat(95), &"0".repeat(98), &"x".repeat(96)] {
        assert!(Keys::from_text(text).is_none(), "{text}");
    }
}
