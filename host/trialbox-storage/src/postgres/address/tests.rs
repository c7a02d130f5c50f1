use super::*;
use tokio_postgres::config::Host;

fn nothing(_: &str) -> Option<String> {
    None
}

fn parse(url: &str) -> ServerAddress {
    ServerAddress::parse(url).expect(url).expect(url)
}

#[test]
fn addresses_are_read_as_sqlalchemy_reads_them() {
    for (url, user, password, host, port, database) in [
        ("postgresql://host/db", None, None, "host", 5432, Some("db")),
        ("postgresql+psycopg2://a:b@h:6000/db", Some("a"), Some("b"), "h", 6000, Some("db")),
        ("postgres://a@h/db?connect_timeout=5", Some("a"), None, "h", 5432, Some("db")),
        ("postgresql://a:p%40s%3As@h/db", Some("a"), Some("p@s:s"), "h", 5432, Some("db")),
        ("postgresql://a:p@s@h/db", Some("a"), Some("p@s"), "h", 5432, Some("db")),
        ("postgresql://[::1]:6000/db", None, None, "::1", 6000, Some("db")),
        ("postgresql:///db?host=/run/pg&port=6000", None, None, "/run/pg", 6000, Some("db")),
    ] {
        let config = parse(url).config(&nothing).expect(url);
        assert_eq!(config.get_user(), user, "{url}");
        assert_eq!(config.get_password(), password.map(str::as_bytes), "{url}");
        assert_eq!(config.get_dbname(), database, "{url}");
        let wanted = match host.starts_with('/') {
            true => Host::Unix(host.into()),
            false => Host::Tcp(host.to_owned()),
        };
        assert_eq!(config.get_hosts(), [wanted], "{url}");
        assert_eq!(config.get_ports(), [port], "{url}");
    }
    assert!(ServerAddress::parse("mysql://host/db").is_none());
    let unknown = ServerAddress::parse("postgresql://h/db?colour=red").expect("a server");
    assert!(matches!(unknown, Err(StorageError::UnknownUrlOption { .. })));
}

#[test]
fn what_an_address_leaves_out_comes_from_the_environment() {
    let environment = |name: &str| {
        let value = match name {
            "PGHOST" => "first,second",
            "PGPORT" => "6000,6001",
            "PGUSER" => "anna",
            "PGPASSWORD" => "secret",
            "PGDATABASE" => "studies",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let config = parse("postgresql://").config(&environment).expect("settings");
    let tcp = |name: &str| Host::Tcp(name.to_owned());
    assert_eq!(config.get_hosts(), [tcp("first"), tcp("second")]);
    assert_eq!(config.get_ports(), [6000, 6001]);
    assert_eq!((config.get_user(), config.get_dbname()), (Some("anna"), Some("studies")));
    assert_eq!(config.get_password(), Some("secret".as_bytes()));
    let config = parse("postgresql://bob:other@third:7/x").config(&environment).expect("settings");
    assert_eq!(config.get_hosts(), [tcp("third")]);
    assert_eq!((config.get_user(), config.get_dbname()), (Some("bob"), Some("x")));
    assert_eq!(config.get_password(), Some("other".as_bytes()));
}

#[test]
fn no_text_of_an_address_has_its_password() {
    for url in [
        "postgresql://anna:s3cret@host:6000/db",
        "postgresql://anna:x@s3cret@host/db",
        "postgresql+psycopg2://host/db?user=anna&password=s3cret&sslmode=prefer",
    ] {
        let address = parse(url);
        assert!(address.has_password(), "{url}");
        for text in [address.shown().to_owned(), address.without_password(), format!("{address:?}")]
        {
            assert!(!text.contains("s3cret"), "{text}");
        }
        let again = parse(&address.without_password());
        assert_eq!(again.given.get("user"), address.given.get("user"), "{url}");
        assert_eq!(again.given.get("host"), address.given.get("host"), "{url}");
        assert_eq!(again.given.get("sslmode"), address.given.get("sslmode"), "{url}");
    }
}

#[test]
fn a_connection_that_must_be_encrypted_is_refused_with_a_sentence() {
    for mode in ["require", "verify-ca", "verify-full"] {
        let refused = parse(&format!("postgresql://h/db?sslmode={mode}")).config(&nothing);
        let text = refused.expect_err(mode).to_string();
        assert!(text.contains("does not encrypt"), "{text}");
    }
}
