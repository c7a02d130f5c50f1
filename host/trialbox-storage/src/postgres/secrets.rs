//! The files of libpq's: passwords and services.

use std::path::{Path, PathBuf};
use trialbox_core::StorageError;
use trialbox_core::seam::storage::Remedy;
use trialbox_files::{FileError, Folder, read_named};

/// The function that returns a variable of the environment.
pub(crate) type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The most that is read of a file.
const MAX_BYTES: u64 = 1 << 20;

/// The folders of the file of services that a machine's administrator writes: Debian's, and PostgreSQL's own.
const SYSTEM_FOLDERS: [&str; 2] = ["/etc/postgresql-common", "/usr/local/etc/postgresql"];

/// The connection for which a password is looked for.
pub(super) struct Place<'a> {
    pub(super) host: &'a str,
    pub(super) port: &'a str,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// Looks for a password in the user's file of passwords
/// (<https://www.postgresql.org/docs/current/libpq-pgpass.html>). A file that others can read is left out, as libpq
/// does, with a warning.
pub(super) fn password(
    place: &Place<'_>,
    passfile: Option<&str>,
    variable: &Variables<'_>,
) -> Option<String> {
    let of_user = || Some(home(variable)?.join(".pgpass"));
    let path = passfile.map(PathBuf::from).or_else(of_user)?;
    match read_secret(&path) {
        Ok(bytes) => find_password(&String::from_utf8_lossy(&bytes), place),
        Err(error) if error.is_not_found() => None,
        Err(error) => {
            tracing::warn!("{error}; no password is read from it");
            None
        }
    }
}

fn read_secret(path: &Path) -> Result<Vec<u8>, FileError> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    Folder::open_named(folder.unwrap_or(Path::new(".")))?
        .read_secret(path.file_name().unwrap_or_default(), MAX_BYTES)
}

/// Returns the password of the first line that matches: `host:port:database:user:password`, each a word or `*`.
fn find_password(text: &str, place: &Place<'_>) -> Option<String> {
    // libpq: a local socket is `localhost`, besides its folder.
    let is_host =
        |field: &str| field == place.host || (field == "localhost" && place.host.starts_with('/'));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields = fields(line);
        let [host, port, database, user, password] = &fields[..] else { continue };
        let is = |field: &str, wanted: &str| field == "*" || field == wanted;
        if (host == "*" || is_host(host))
            && is(port, place.port)
            && is(database, place.database)
            && is(user, place.user)
        {
            return Some(password.clone());
        }
    }
    None
}

/// Splits a line at its colons; a backslash keeps the next character.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ':' => fields.push(String::new()),
            '\\' => fields.last_mut().into_iter().for_each(|field| field.extend(characters.next())),
            other => fields.last_mut().into_iter().for_each(|field| field.push(other)),
        }
    }
    fields
}

/// Reads the settings of a service (<https://www.postgresql.org/docs/current/libpq-pgservice.html>).
///
/// # Errors
/// [`StorageError::WrongDatabase`] if no file has it.
pub(super) fn service(
    name: &str,
    variable: &Variables<'_>,
) -> Result<Vec<(String, String)>, StorageError> {
    let named = variable("PGSERVICEFILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let of_user = named.or_else(|| Some(home(variable)?.join(".pg_service.conf")));
    let of_system = variable("PGSYSCONFDIR").map(PathBuf::from);
    let folders = of_system.into_iter().chain(SYSTEM_FOLDERS.map(PathBuf::from));
    for path in of_user.into_iter().chain(folders.map(|folder| folder.join("pg_service.conf"))) {
        if let Ok(bytes) = read_named(&path, MAX_BYTES)
            && let Some(settings) = find_service(&String::from_utf8_lossy(&bytes), name)
        {
            return Ok(settings);
        }
    }
    Err(StorageError::WrongDatabase {
        problem: format!("the service `{name}` is in no file of services"),
        help: Remedy::Advice("describe it in ~/.pg_service.conf".to_owned()),
    })
}

/// Returns the settings below the heading of a service.
fn find_service(text: &str, name: &str) -> Option<Vec<(String, String)>> {
    let heading = format!("[{name}]");
    let mut lines = text.lines().map(str::trim).skip_while(|line| *line != heading);
    lines.next()?;
    let settings = lines.take_while(|line| !line.starts_with('[')).filter_map(|line| {
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    });
    Some(settings.collect())
}

fn home(variable: &Variables<'_>) -> Option<PathBuf> {
    variable("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_matches_has_the_password() {
        let text = "# host:port:database:user:password\n\
                    other:5432:db:anna:no\n\
                    host:*:d\\:b:anna:with\\:colon\n\
                    localhost:5432:*:anna:local\n\
                    *:*:*:*:any";
        let find = |host, database, user| {
            find_password(text, &Place { host, port: "5432", database, user })
        };
        assert_eq!(find("host", "d:b", "anna").as_deref(), Some("with:colon"));
        assert_eq!(find("/run/postgresql", "db", "anna").as_deref(), Some("local"));
        assert_eq!(find("host", "db", "bob").as_deref(), Some("any"));
    }

    #[test]
    fn a_service_has_the_settings_below_its_heading() {
        let text =
            "# mine\n[a]\nhost=one\n\n[b]\nhost = two\n# port=1\nuser=anna\n[c]\nhost=three\n";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(find_service(text, "b"), Some(vec![pair("host", "two"), pair("user", "anna")]));
        assert_eq!(find_service(text, "d"), None);
    }
}
