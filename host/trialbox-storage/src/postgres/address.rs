//! The address of a server: a URL as SQLAlchemy reads it, and the environment as libpq does.

use crate::postgres::secrets::{self, Variables};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;
use trialbox_core::StorageError;
use trialbox_core::seam::storage::Remedy;

/// The schemes of SQLAlchemy's addresses of PostgreSQL, with those of the drivers that Python has for it.
const SCHEMES: [&str; 6] = [
    "postgresql",
    "postgresql+psycopg2",
    "postgresql+psycopg",
    "postgresql+asyncpg",
    "postgresql+pg8000",
    "postgres",
];

/// The settings that an address may have, each with the variable of libpq's for it
/// (<https://www.postgresql.org/docs/current/libpq-envars.html>).
const SETTINGS: [(&str, &str); 12] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("service", "PGSERVICE"),
    ("sslmode", "PGSSLMODE"),
    ("options", "PGOPTIONS"),
    ("application_name", "PGAPPNAME"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
];

/// The names of [`SETTINGS`], for messages.
const SETTINGS_TEXT: &str = "`host`, `port`, `dbname`, `user`, `password`, `passfile`, `service`, \
     `sslmode`, `options`, `application_name`, `connect_timeout` or `target_session_attrs`";

/// The folders in which a local server has its socket: Debian's, and PostgreSQL's own.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

const DEFAULT_PORT: &str = "5432";

/// The time for one connection to one host, unless the address sets another.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The time after which a connection whose peer does not acknowledge what was sent is given up.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// The settings of a server by their names.
pub(crate) type Settings = BTreeMap<&'static str, String>;

/// The address of a server, as it was given. What it leaves out comes from the environment when it is opened.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerAddress {
    given: Settings,
    /// The address without its password and its options, as messages show it.
    shown: String,
}

impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerAddress").field(&self.shown).finish()
    }
}

impl ServerAddress {
    /// Reads an address; `None` if its scheme is another database's.
    ///
    /// # Errors
    /// [`StorageError::UnknownUrlOption`].
    pub(crate) fn parse(url: &str) -> Option<Result<Self, StorageError>> {
        let (scheme, rest) = url.split_once("://")?;
        SCHEMES.contains(&scheme).then(|| ServerAddress::parse_rest(rest))
    }

    fn parse_rest(rest: &str) -> Result<Self, StorageError> {
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        // The last `@`: a password may hold others.
        let (user, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
        let mut given = Settings::new();
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        set(&mut given, "user", decode(user));
        set(&mut given, "password", decode(password));
        let hosts: Vec<(&str, &str)> = hosts.split(',').map(host_and_port).collect();
        let list = |part: fn(&(&str, &str)) -> String| {
            let parts: Vec<String> = hosts.iter().map(part).collect();
            if parts.iter().all(String::is_empty) { String::new() } else { parts.join(",") }
        };
        set(&mut given, "host", list(|(host, _)| decode(host)));
        set(&mut given, "port", list(|(_, port)| (*port).to_owned()));
        set(&mut given, "dbname", decode(database));
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let Some((name, _)) = SETTINGS.iter().find(|(known, _)| *known == name) else {
                let (option, expected) = (name.to_owned(), SETTINGS_TEXT);
                return Err(StorageError::UnknownUrlOption { option, expected });
            };
            set(&mut given, name, decode(value));
        }
        let shown = show(&given, &hosts);
        Ok(ServerAddress { given, shown })
    }

    /// Returns the address without its password and its options, as messages show it. It is an address too: the
    /// environment can have the rest.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns whether the address itself has a password.
    pub fn has_password(&self) -> bool {
        self.given.contains_key("password")
    }

    /// Returns the address without its password, with its options.
    pub fn without_password(&self) -> String {
        let in_path = ["user", "password", "port", "dbname"];
        let is_option = |name: &&str| {
            !in_path.contains(name)
                && (*name != "host" || !self.shown.contains(&self.given["host"]))
        };
        let options: Vec<String> = self
            .given
            .iter()
            .filter(|(name, _)| is_option(name))
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        let mark = if options.is_empty() { "" } else { "?" };
        format!("{}{mark}{}", self.shown, options.join("&"))
    }

    /// Returns the settings: of the address, else of its service, else of the environment.
    ///
    /// # Errors
    /// [`StorageError::WrongDatabase`] for a service that no file describes.
    fn settings(&self, variable: &Variables<'_>) -> Result<Settings, StorageError> {
        let mut settings = self.given.clone();
        let of_environment = |name: &str| variable(name).filter(|value| !value.is_empty());
        if let Some(service) =
            settings.get("service").cloned().or_else(|| of_environment("PGSERVICE"))
        {
            for (name, value) in secrets::service(&service, variable)? {
                if let Some((name, _)) = SETTINGS.iter().find(|(known, _)| *known == name) {
                    settings.entry(name).or_insert(value);
                }
            }
        }
        for (name, environment) in SETTINGS {
            if let Some(value) = of_environment(environment) {
                settings.entry(name).or_insert(value);
            }
        }
        // libpq: the user of the system, and a database of that name.
        if let Some(user) = of_environment("LOGNAME").or_else(|| of_environment("USER")) {
            settings.entry("user").or_insert(user);
        }
        Ok(settings)
    }

    /// Returns a name of the database for all spellings of its address.
    ///
    /// # Errors
    /// [`StorageError::WrongDatabase`] for a service that no file describes.
    pub fn identity(&self, variable: &Variables<'_>) -> Result<String, StorageError> {
        let settings = self.settings(variable)?;
        let get = |name: &str, default: &str| {
            settings.get(name).map_or(default, String::as_str).to_owned()
        };
        let (host, port) = (get("host", ""), get("port", DEFAULT_PORT));
        let database = settings.get("dbname").or_else(|| settings.get("user"));
        let database = database.map_or("", String::as_str);
        Ok(format!("postgresql://{host}:{port}/{database}"))
    }

    /// Returns the configuration of a connection.
    ///
    /// # Errors
    /// [`StorageError::WrongDatabase`] for settings that cannot be met.
    pub(crate) fn config(&self, variable: &Variables<'_>) -> Result<Config, StorageError> {
        let settings = self.settings(variable)?;
        let get = |name: &str| settings.get(name).map(String::as_str);
        self.check_encryption(get("sslmode").unwrap_or("prefer"))?;
        let mut config = Config::new();
        config.application_name(get("application_name").unwrap_or("trialbox"));
        config.connect_timeout(match get("connect_timeout").and_then(|text| text.parse().ok()) {
            // libpq: 0 is no limit, and 2 the least.
            Some(0) | None => CONNECT_TIMEOUT,
            Some(seconds) => Duration::from_secs(u64::max(seconds, 2)),
        });
        config.tcp_user_timeout(UNACKNOWLEDGED).keepalives_idle(UNACKNOWLEDGED / 2);
        if get("target_session_attrs")
            .is_some_and(|wanted| matches!(wanted, "read-write" | "primary"))
        {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if let Some(options) = get("options") {
            config.options(options);
        }
        if let Some(user) = get("user") {
            config.user(user);
        }
        if let Some(database) = get("dbname") {
            config.dbname(database);
        }
        let ports = self.ports(get("port").unwrap_or(DEFAULT_PORT))?;
        let hosts = hosts(get("host").unwrap_or_default());
        for (index, host) in hosts.iter().enumerate() {
            config.host(host);
            // libpq: one port is for all hosts.
            config.port(ports.get(index).or(ports.last()).copied().unwrap_or(5432));
        }
        let place = secrets::Place {
            host: hosts.first().map_or("", String::as_str),
            port: &ports.first().map_or(String::new(), u16::to_string),
            database: get("dbname").or(get("user")).unwrap_or_default(),
            user: get("user").unwrap_or_default(),
        };
        let password = get("password").map(str::to_owned);
        if let Some(password) =
            password.or_else(|| secrets::password(&place, get("passfile"), variable))
        {
            config.password(password);
        }
        Ok(config)
    }

    fn ports(&self, text: &str) -> Result<Vec<u16>, StorageError> {
        let port = |part: &str| if part.is_empty() { DEFAULT_PORT } else { part }.parse();
        let ports: Result<Vec<u16>, _> = text.split(',').map(port).collect();
        ports.map_err(|_| StorageError::WrongDatabase {
            problem: format!("`{}`: expected a port, found `{text}`", self.shown),
            help: Remedy::Advice("check the address and PGPORT".to_owned()),
        })
    }

    /// Refuses to connect in plain text where encryption is demanded.
    fn check_encryption(&self, sslmode: &str) -> Result<(), StorageError> {
        if matches!(sslmode, "disable" | "allow" | "prefer") {
            return Ok(());
        }
        Err(StorageError::WrongDatabase {
            problem: format!(
                "`{}` demands sslmode={sslmode}, and trialbox does not encrypt connections to PostgreSQL",
                self.shown
            ),
            help: Remedy::Advice(
                "connect through an encrypted tunnel, such as ssh -L, with sslmode=prefer"
                    .to_owned(),
            ),
        })
    }
}

fn set(settings: &mut Settings, name: &'static str, value: String) {
    if !value.is_empty() {
        settings.insert(name, value);
    }
}

/// Splits a host from its port; an IPv6 address is in brackets.
fn host_and_port(text: &str) -> (&str, &str) {
    if let Some(rest) = text.strip_prefix('[')
        && let Some((host, port)) = rest.split_once(']')
    {
        return (host, port.strip_prefix(':').unwrap_or(port));
    }
    text.split_once(':').unwrap_or((text, ""))
}

/// Returns an address without its password and its options.
fn show(given: &Settings, hosts: &[(&str, &str)]) -> String {
    let user = given.get("user").map_or(String::new(), |user| format!("{}@", encode(user)));
    let place = |(host, port): &(&str, &str)| {
        let host = if host.contains(':') { format!("[{host}]") } else { (*host).to_owned() };
        if port.is_empty() { host } else { format!("{host}:{port}") }
    };
    let hosts: Vec<String> = hosts.iter().map(place).collect();
    let database = given.get("dbname").map_or(String::new(), |name| encode(name));
    format!("postgresql://{user}{}/{database}", hosts.join(","))
}

/// Returns the hosts to try: those given, or the folders in which a local server has its socket.
fn hosts(text: &str) -> Vec<String> {
    if !text.is_empty() {
        return text.split(',').map(str::to_owned).collect();
    }
    let is_there = |folder: &&str| std::path::Path::new(folder).is_dir();
    SOCKET_FOLDERS.into_iter().filter(is_there).map(str::to_owned).collect()
}

/// Decodes `%41`.
fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The bytes that have a meaning in an address.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests;
