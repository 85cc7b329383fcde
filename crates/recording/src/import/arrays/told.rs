//! Rewords errors in a layout: the TOML parser speaks of fields, variants and types.

/// Splits a message of serde or of the parser into what was expected and what was found.
pub(super) fn told(message: &str) -> (String, String) {
    let message = message.replace('\n', ", ");
    let expected_of = |rest: &str| {
        rest.split_once(", expected ")
            .map(|(found, expected)| (found.to_owned(), expected.to_owned()))
    };
    if let Some((found, expected)) = message.strip_prefix("unknown field ").and_then(expected_of) {
        return (
            format!("one of the keys {}", names(&expected)),
            format!("the key {}", bare(&found)),
        );
    }
    if let Some(key) = message.strip_prefix("missing field ").map(bare) {
        let section = ["responses", "images", "tiers"].contains(&key.as_str());
        let expected = if section {
            format!("a section [{key}]")
        } else {
            format!("the key {key} in this section")
        };
        return (expected, "none".to_owned());
    }
    if let Some((found, expected)) = message.strip_prefix("unknown variant ").and_then(expected_of)
    {
        return (names(&expected), format!("\"{}\"", bare(&found)));
    }
    if let Some((found, expected)) = message.strip_prefix("invalid type: ").and_then(expected_of) {
        return (kind(&expected), value(&found));
    }
    if let Some((found, expected)) = message.strip_prefix("invalid length ").and_then(expected_of) {
        return (kind(&expected), format!("a list of {found}"));
    }
    if let Some((found, expected)) = message.strip_prefix("invalid value: ").and_then(expected_of) {
        return (kind(&expected), value(&found));
    }
    match message.split_once(": expected ") {
        Some((found, expected)) => (expected.to_owned(), found.to_owned()),
        None => ("a TOML file".to_owned(), format!("a syntax error ({message})")),
    }
}

fn bare(text: &str) -> String {
    text.replace('`', "")
}

/// Turns ``one of `a`, `b`, `c` `` and `` `a` or `b` `` into `a, b or c`.
fn names(listed: &str) -> String {
    let listed = bare(listed.strip_prefix("one of ").unwrap_or(listed));
    match listed.rsplit_once(", ") {
        Some((first, last)) => format!("{first} or {last}"),
        None => listed,
    }
}

fn kind(expected: &str) -> String {
    let list = |rest: &str| format!("a list of {rest}");
    match expected {
        "usize" | "u64" | "i64" => "a whole number of at least 0".to_owned(),
        "f64" => "a number".to_owned(),
        "a string" | "path string" => "a text".to_owned(),
        "a sequence" => "a list".to_owned(),
        other => match other.strip_prefix("an array of length ") {
            Some(length) => list(length),
            None if other.starts_with("struct ") => "a section".to_owned(),
            None => bare(other),
        },
    }
}

fn value(found: &str) -> String {
    let after = |start: &str, name: &str| {
        found.strip_prefix(start).map(|rest| format!("{name} {}", bare(rest)))
    };
    after("string ", "the text")
        .or_else(|| after("integer ", "the number"))
        .or_else(|| after("floating point ", "the number"))
        .or_else(|| after("boolean ", "the word"))
        .unwrap_or_else(|| match found {
            "sequence" => "a list".to_owned(),
            "map" => "a section".to_owned(),
            other => bare(other),
        })
}

#[cfg(test)]
mod tests {
    use super::told;

    #[track_caller]
    fn check(message: &str, expected: &str, found: &str) {
        assert_eq!(told(message), (expected.to_owned(), found.to_owned()));
    }

    #[test]
    fn messages_of_the_parser_become_sentences() {
        check(
            "unknown field `axis`, expected one of `file`, `array`, `axes`",
            "one of the keys file, array or axes",
            "the key axis",
        );
        check(
            "unknown field `x`, expected `file` or `array`",
            "one of the keys file or array",
            "the key x",
        );
        check("missing field `responses`", "a section [responses]", "none");
        check("missing field `axes`", "the key axes in this section", "none");
        check(
            "unknown variant `cell`, expected one of `neuron`, `image`",
            "neuron or image",
            "\"cell\"",
        );
        check(
            "invalid type: string \"7\", expected usize",
            "a whole number of at least 0",
            "the text \"7\"",
        );
        check("invalid type: integer `7`, expected a sequence", "a list", "the number 7");
        check("invalid length 3, expected an array of length 2", "a list of 2", "a list of 3");
        check("all = \"rest\": expected \"train\"", "\"train\"", "all = \"rest\"");
        check(
            "invalid string\nexpected `\"`",
            "a TOML file",
            "a syntax error (invalid string, expected `\"`)",
        );
    }
}
