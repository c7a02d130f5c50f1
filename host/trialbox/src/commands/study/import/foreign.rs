//! Files that are given to `study import`: exports, and what people take for one.

/// A file that is not an export of a study.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// The reason why it cannot be imported.
    pub(super) found: &'static str,
    /// The way that works.
    pub(super) help: &'static str,
}

const EXPORT: &str = "give what `trialbox study export --format json` wrote";
const COPY: &str =
    "copy its study: `trialbox study copy STUDY --storage FILE --to-storage study.db`";
const COPY_TABLE: &str = "a table lacks the ranges of the parameters; copy the study from its database: \
     `trialbox study copy STUDY --storage OLD.db --to-storage study.db`";
const COPY_WITH_PYTHON: &str = "copy it with Python: `optuna.copy_study(from_study_name=…, from_storage=…, \
     to_storage=\"sqlite:///study.db\")`";

/// First bytes, the kind of file that has them, and the way that works.
const BINARY: [(&[u8], Foreign); 7] = [
    (b"SQLite format 3\0", Foreign { found: "it is a database", help: COPY }),
    (b"\x1f\x8b", COMPRESSED),
    (b"\x28\xb5\x2f\xfd", COMPRESSED),
    (b"\xfd7zXZ\0", COMPRESSED),
    (b"BZh", COMPRESSED),
    (b"PK\x03\x04", COMPRESSED),
    // Protocols 2 and later open with the opcode PROTO (Lib/pickletools.py).
    (
        b"\x80",
        Foreign { found: "it is not text, perhaps a pickle of Python", help: COPY_WITH_PYTHON },
    ),
];

const COMPRESSED: Foreign = Foreign {
    found: "it is compressed",
    help: "decompress it first, for example `gunzip -c FILE | trialbox study import -`",
};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Returns the text of an export, without a byte order mark.
///
/// # Errors
/// The kind of the file, if it is recognised as one that is not an export.
pub(super) fn to_export(bytes: Vec<u8>) -> Result<String, Foreign> {
    if let Some((_, foreign)) = BINARY.into_iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(foreign);
    }
    let text = decode(bytes)?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    match recognize(text) {
        Some(foreign) => Err(foreign),
        None => Ok(text.to_owned()),
    }
}

/// Decodes UTF-8, or UTF-16 with a byte order mark, in which PowerShell redirects.
fn decode(bytes: Vec<u8>) -> Result<String, Foreign> {
    let utf16 = |from: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| from([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().ok()
    };
    let text = match bytes[..] {
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes),
        _ => String::from_utf8(bytes).ok(),
    };
    text.ok_or(Foreign { found: "expected UTF-8, found other bytes", help: EXPORT })
}

/// Returns the kind of a text that other programs write, or other commands of trialbox.
fn recognize(text: &str) -> Option<Foreign> {
    let text = text.trim_start();
    let first_line = text.lines().next().unwrap_or_default();
    let columns: Vec<String> =
        first_line.split(',').map(|name| name.trim_matches('"').to_lowercase()).collect();
    let has = |name: &str| columns.iter().any(|column| column == name);
    let (found, help) = if has("number") && has("state") {
        ("it is a table of trials (CSV)", COPY_TABLE)
    } else if text.starts_with('[') {
        ("it is one JSON array, such as `optuna trials -f json` prints", COPY_TABLE)
    } else if text.starts_with("- ") {
        ("it is YAML, such as `optuna trials -f yaml` prints", COPY_TABLE)
    } else if text.starts_with("+-") {
        ("it is a table, such as `optuna trials` prints", COPY_TABLE)
    } else if text.starts_with('{') && first_line.contains("\"op_code\"") {
        ("it is a journal of Optuna", COPY_WITH_PYTHON)
    } else if first_line == "{" {
        (
            "expected one line for each trial, found JSON over several lines",
            "join them: `jq -c . FILE | trialbox study import -`",
        )
    } else {
        return None;
    };
    Some(Foreign { found, help })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_export_is_named() {
        let csv = "is a table of trials (CSV)";
        let compressed = "is compressed";
        for (bytes, found) in [
            (&b"number,value,datetime_start,state\r\n0,1.5,,COMPLETE\r\n"[..], csv),
            (b",number,value,params_x,state\n0,0,1.5,2,COMPLETE\n", csv),
            (b"\xef\xbb\xbf\"Number\",\"State\",\"Value\"\n", csv),
            (b"[{\"number\": 0, \"value\": 1.5}]", "one JSON array"),
            (b"- datetime_complete: '2026-11-24'\n  number: 0\n", "YAML"),
            (b"+--------+-------+\n| number | value |\n", "is a table"),
            (b"{\"op_code\": 0, \"worker_id\": \"w\", \"study_name\": \"s\"}\n", "journal"),
            (b"{\n  \"event\": \"study\"\n}\n", "over several lines"),
            (b"SQLite format 3\0\x10\0", "is a database"),
            (b"\x1f\x8b\x08\0", compressed),
            (b"\x28\xb5\x2f\xfd", compressed),
            (b"\xfd7zXZ\0", compressed),
            (b"BZh9", compressed),
            (b"PK\x03\x04", compressed),
            (b"\x80\x04\x95", "pickle"),
            (b"{\"event\": \"\xff\"}", "expected UTF-8"),
            (b"\xff\xfe\x00\xd8", "expected UTF-8"),
        ] {
            let error = to_export(bytes.to_vec()).expect_err(found);
            assert!(error.found.contains(found), "{error:?}, expected {found}");
        }
    }

    #[test]
    fn an_export_is_read_in_the_encodings_that_editors_and_shells_use() {
        let line = "{\"event\": \"study\", \"study\": \"é𝄞\"}\r\n";
        let units: Vec<u16> = format!("\u{feff}{line}").encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let marked = format!("\u{feff}{line}").into_bytes();
        for bytes in [line.as_bytes().to_vec(), marked, little, big] {
            assert_eq!(to_export(bytes).as_deref(), Ok(line));
        }
    }
}
