//! A validator for as much of JSON Schema as `schema.json` uses.

use serde_json::Value;

/// Why `value` is not what `schema` describes; `None` if it is.
pub fn violation(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#'));
        return violation(root, target.expect("a reference inside the schema"), value);
    }
    if let Some(expected) = schema.get("const") {
        return (expected != value).then(|| format!("{value} is not {expected}"));
    }
    if let Some(wrong) = wrong_type(schema, value) {
        return Some(wrong);
    }
    if let Some(minimum) = schema["minimum"].as_i64() {
        if value.as_i64().is_some_and(|number| number < minimum) {
            return Some(format!("{value} is below {minimum}"));
        }
    }
    match value {
        Value::Object(fields) => fields_violation(root, schema, fields),
        Value::Array(items) => {
            items.iter().find_map(|item| violation(root, schema.get("items")?, item))
        }
        Value::String(text) => hexadecimal_violation(schema, text),
        _ => None,
    }
}

fn wrong_type(schema: &Value, value: &Value) -> Option<String> {
    let fits = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the validator does not know the type {other}"),
    };
    let right = match &schema["type"] {
        Value::String(name) => fits(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(fits),
        _ => true,
    };
    (!right).then(|| format!("{value} is not of type {}", schema["type"]))
}

fn fields_violation(
    root: &Value,
    schema: &Value,
    fields: &serde_json::Map<String, Value>,
) -> Option<String> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.into_iter().find(|name| !fields.contains_key(*name)) {
        return Some(format!("{missing} is missing"));
    }
    fields.iter().find_map(|(name, value)| {
        let rule = match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(rule), _) => rule,
            (None, Some(Value::Bool(false))) => {
                return Some(format!("{name} is not in the schema"));
            }
            (None, Some(rule)) => rule,
            (None, None) => return None,
        };
        violation(root, rule, value).map(|why| format!("{name}: {why}"))
    })
}

/// The only pattern in use.
fn hexadecimal_violation(schema: &Value, text: &str) -> Option<String> {
    let pattern = schema["pattern"].as_str()?;
    assert_eq!(pattern, "^0x[0-9a-f]+$", "the validator knows no other pattern");
    let digits = text.strip_prefix("0x").unwrap_or_default();
    let right = !digits.is_empty()
        && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    (!right).then(|| format!("{text} is not a hexadecimal string"))
}

/// Why a line of the JSON output is not what the schema describes.
pub fn line_violation(root: &Value, line: &Value) -> Option<String> {
    let name = line["event"].as_str().unwrap_or_default();
    match root["$defs"].get(name) {
        Some(schema) => violation(root, schema, line).map(|why| format!("{name}: {why}: {line}")),
        None => Some(format!("no such event: {line}")),
    }
}
