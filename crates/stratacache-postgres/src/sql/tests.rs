use super::*;

#[test]
fn nothing_but_a_name_becomes_an_identifier() {
    for bad in ["", "a b", "a\"b", "a'b", "a;b", "A", "1a", "a-b", "a.b", "ä", "$a", "a\0", &"x".repeat(49)] {
        assert!(OutboxSql::new(bad).is_err(), "{bad}");
        let sql = OutboxSql::new("strata").unwrap();
        assert!(sql.grants("app", bad).is_err() && sql.grants(bad, "app").is_err());
        let trigger =
            |table: &str, column: &str| sql.trigger(table).tenant("t").tag([SqlPart::column(column)]).to_sql();
        assert!(trigger("contacts", bad).is_err(), "{bad}");
        assert!(sql.trigger("contacts").tenant(bad).everything().to_sql().is_err());
        if bad != "a.b" {
            assert!(trigger(bad, "id").is_err(), "{bad}");
        }
    }
    assert!(OutboxSql::new("select").is_ok(), "words of SQL are names in quotes");
}

#[test]
fn no_constant_ends_its_literal_or_the_function() {
    let sql = OutboxSql::new("strata").unwrap();
    for bad in ["'", "a'; DROP TABLE x; --", "\\", "$strata$", "a\nb", "", &"x".repeat(257)] {
        assert!(sql.trigger("t").tag([SqlPart::text(bad)]).to_sql().is_err(), "{bad}");
        assert!(sql.trigger("t").key(bad, None, [SqlPart::number(1)]).to_sql().is_err(), "{bad}");
        assert!(sql.trigger("t").namespace([[SqlPart::text(bad)]]).to_sql().is_err(), "{bad}");
        assert!(sql.trigger("t").everything().truncate_tag([SqlPart::text(bad)]).to_sql().is_err(), "{bad}");
    }
    assert!(sql.trigger("t").to_sql().is_err() && sql.trigger("t").tag([]).to_sql().is_err());
    let no_levels: [[SqlPart; 1]; 0] = [];
    assert!(sql.trigger("t").namespace(no_levels).to_sql().is_err());
    assert!(sql.trigger("t").namespace([[]]).to_sql().is_err());
}

#[test]
fn what_truncate_invalidates_names_no_column() {
    let sql = OutboxSql::new("strata").unwrap();
    let trigger = || sql.trigger("t").everything().truncate_tag([SqlPart::text("all"), SqlPart::number(1)]);
    assert!(trigger().to_sql().is_ok());
    assert!(trigger().truncate_tag([SqlPart::column("id")]).to_sql().unwrap_err().to_string().contains("truncate_tag"));
    assert!(trigger().truncate_tag([]).to_sql().is_err());
}

#[test]
fn notifications_can_be_left_out() {
    let sql = OutboxSql::new("strata").unwrap();
    assert!(sql.migration().contains("pg_notify('strata_outbox'"));
    assert!(!sql.without_notify().migration().contains("pg_notify"));
}
