//! Canonical JSON: keys sorted, no white space. Registries keep the exact bytes, so the writer decides the digest.

use serde::Serialize;
use serde_json::Value;

/// The canonical form of a document that is made of strings, whole numbers, lists and maps.
pub(crate) fn canonical(document: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut value = serde_json::to_value(document)?;
    value.sort_all_objects();
    serde_json::to_vec::<Value>(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_at_every_level() {
        let document = serde_json::json!({"b": {"z": 1, "a": [{"y": 2, "x": "é"}]}, "a": null});
        let bytes = canonical(&document).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), r#"{"a":null,"b":{"a":[{"x":"é","y":2}],"z":1}}"#);
    }
}
