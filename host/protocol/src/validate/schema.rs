// SPDX-License-Identifier: Apache-2.0
//! The part of JSON Schema that environments describe their fields with, compiled.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Keywords that say nothing about validity, or that this reader handles elsewhere.
const SILENT: &[&str] = &[
    "title",
    "description",
    "examples",
    "format",
    "$schema",
    "$id",
    "$comment",
    "default",
    "deprecated",
    "$defs",
    "definitions",
    "x-gym-group",
];

/// A JSON Schema that [`check`](super::check) can apply. Supported: `type` (one or several), `properties`, `required`,
/// `additionalProperties`, `items`, `enum`, `const`, `default`, `anyOf`/`oneOf`, `$ref` into the same document,
/// `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `minLength`, `maxLength`, `minItems`, `maxItems`.
#[derive(Clone, Debug)]
pub struct Schema {
    pub(super) nodes: Vec<Node>,
    pub(super) root: NodeId,
}

/// A schema that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The text is not JSON.
    #[error("failed to read the schema: {0}")]
    Json(#[from] serde_json::Error),
    /// A keyword that is not supported, which would otherwise be ignored silently.
    #[error("keyword `{keyword}` at `{at}` is not supported")]
    Unsupported {
        /// The keyword.
        keyword: String,
        /// JSON pointer to the schema it stands in.
        at: String,
    },
    /// A keyword with a value that makes no sense.
    #[error("keyword `{keyword}` at `{at}` has a value that is not {expected}")]
    Value {
        /// The keyword.
        keyword: String,
        /// JSON pointer to the schema it stands in.
        at: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The root does not describe an object.
    #[error("the schema does not describe an object")]
    NotAnObject,
}

pub(super) type NodeId = usize;

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    pub(super) nullable: bool,
    /// What pydantic calls this alternative of a union, for example `list[int]`.
    pub(super) tag: String,
}

#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    Any,
    Null,
    Boolean,
    Integer(Bounds),
    Number(Bounds),
    String(Length),
    Literal(Literal),
    List(Option<NodeId>, Length),
    Dict(Option<NodeId>),
    Model(Model),
    Union(Vec<NodeId>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bounds {
    pub(super) ge: Option<f64>,
    pub(super) le: Option<f64>,
    pub(super) gt: Option<f64>,
    pub(super) lt: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Length {
    pub(super) min: Option<usize>,
    pub(super) max: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Literal {
    pub(super) values: Vec<Value>,
    /// The values as Python lists them: `'a', 'b' or 'c'`.
    pub(super) expected: String,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) fields: Vec<Field>,
    pub(super) extras: Extras,
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) node: NodeId,
    pub(super) required: bool,
    /// JSON text to use when the field is absent.
    pub(super) default: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(super) enum Extras {
    Drop,
    Keep,
    Forbid,
    Check(NodeId),
}

impl Schema {
    /// Reads a schema.
    pub fn compile(text: &str) -> Result<Self, SchemaError> {
        let document: Value = serde_json::from_str(text)?;
        let mut compiler = Compiler { document: &document, nodes: Vec::new(), references: HashMap::new() };
        let root = compiler.node(&document, "#")?;
        Ok(Self { nodes: compiler.nodes, root })
    }

    /// Like [`compile`](Self::compile), and the root must describe an object with named fields. An object schema
    /// without `properties` has none.
    pub fn compile_object(text: &str) -> Result<Self, SchemaError> {
        let mut schema = Self::compile(text)?;
        let root = schema.root;
        let model = match &schema.nodes[root].kind {
            NodeKind::Model(_) => return Ok(schema),
            NodeKind::Dict(None) => Model { fields: Vec::new(), extras: Extras::Keep },
            NodeKind::Dict(Some(node)) => Model { fields: Vec::new(), extras: Extras::Check(*node) },
            NodeKind::Any => Model { fields: Vec::new(), extras: Extras::Drop },
            _ => return Err(SchemaError::NotAnObject),
        };
        schema.nodes[root].kind = NodeKind::Model(model);
        Ok(schema)
    }

    /// Whether the root has no named fields and drops or forbids everything else: there is nothing to read.
    pub fn is_empty(&self) -> bool {
        matches!(&self.nodes[self.root].kind, NodeKind::Model(model)
            if model.fields.is_empty() && matches!(model.extras, Extras::Drop | Extras::Forbid))
    }

    /// Names of the root's fields, in order.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        let fields = match &self.nodes[self.root].kind {
            NodeKind::Model(model) => &model.fields[..],
            _ => &[],
        };
        fields.iter().map(|field| field.name.as_str())
    }

    /// Whether fields that the root does not name are kept.
    pub fn keeps_extras(&self) -> bool {
        matches!(&self.nodes[self.root].kind, NodeKind::Model(model)
            if matches!(model.extras, Extras::Keep | Extras::Check(_)))
    }
}

struct Compiler<'a> {
    document: &'a Value,
    nodes: Vec<Node>,
    /// Nodes of `$ref` targets; entered before they are compiled, so that a type may contain itself.
    references: HashMap<String, NodeId>,
}

impl Compiler<'_> {
    fn node(&mut self, schema: &Value, at: &str) -> Result<NodeId, SchemaError> {
        let id = self.reserve();
        self.fill(id, schema, at)?;
        Ok(id)
    }

    fn reserve(&mut self) -> NodeId {
        self.nodes.push(Node { kind: NodeKind::Any, nullable: true, tag: "any".to_owned() });
        self.nodes.len() - 1
    }

    fn fill(&mut self, id: NodeId, schema: &Value, at: &str) -> Result<(), SchemaError> {
        let node = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Object(keywords) => self.keywords(keywords, at)?,
            _ => return Err(bad("schema", at, "an object or `true`")),
        };
        if let Some(node) = node {
            self.nodes[id] = node;
        }
        Ok(())
    }

    /// The node that an object schema describes; `None` for one that allows everything.
    fn keywords(&mut self, keywords: &Map<String, Value>, at: &str) -> Result<Option<Node>, SchemaError> {
        let unsupported =
            keywords.keys().find(|name| !SILENT.contains(&name.as_str()) && !KNOWN.contains(&name.as_str()));
        if let Some(keyword) = unsupported {
            return Err(SchemaError::Unsupported { keyword: keyword.clone(), at: at.to_owned() });
        }
        if let Some(target) = keywords.get("$ref") {
            return self.reference(target, at).map(Some);
        }
        if let Some(values) = keywords.get("enum") {
            let values = values.as_array().ok_or_else(|| bad("enum", at, "a list"))?;
            return Ok(Some(literal(values.clone())));
        }
        if let Some(value) = keywords.get("const") {
            return Ok(Some(literal(vec![value.clone()])));
        }
        if let Some((keyword, alternatives)) =
            ["anyOf", "oneOf"].iter().find_map(|name| Some((*name, keywords.get(*name)?)))
        {
            let alternatives = alternatives
                .as_array()
                .filter(|list| !list.is_empty())
                .ok_or_else(|| bad(keyword, at, "a list of schemas"))?;
            let mut ids = Vec::with_capacity(alternatives.len());
            for (index, alternative) in alternatives.iter().enumerate() {
                ids.push(self.node(alternative, &format!("{at}/{keyword}/{index}"))?);
            }
            return Ok(Some(self.union(ids)));
        }
        let types = match keywords.get("type") {
            None if keywords.contains_key("properties") => vec!["object"],
            None => return Ok(None),
            Some(Value::String(name)) => vec![name.as_str()],
            Some(Value::Array(names)) if !names.is_empty() => names
                .iter()
                .map(|name| name.as_str().ok_or_else(|| bad("type", at, "a name")))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(bad("type", at, "a name or a list of names")),
        };
        let mut ids = Vec::with_capacity(types.len());
        for name in types {
            let node = self.typed(name, keywords, at)?;
            let id = self.reserve();
            self.nodes[id] = node;
            ids.push(id);
        }
        Ok(Some(self.union(ids)))
    }

    fn reference(&mut self, target: &Value, at: &str) -> Result<Node, SchemaError> {
        let expected = "a reference into the same document";
        let target = target.as_str().ok_or_else(|| bad("$ref", at, expected))?;
        let pointer = target.strip_prefix('#').ok_or_else(|| bad("$ref", at, expected))?;
        let id = match self.references.get(target) {
            Some(id) => *id,
            None => {
                let schema = self.document.pointer(pointer).ok_or_else(|| bad("$ref", at, expected))?;
                let id = self.reserve();
                self.references.insert(target.to_owned(), id);
                self.fill(id, schema, target)?;
                id
            }
        };
        let tag = pointer.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Node { kind: NodeKind::Union(vec![id]), nullable: false, tag })
    }

    /// One node for several alternatives. `null` is not an alternative but makes the node nullable.
    fn union(&mut self, ids: Vec<NodeId>) -> Node {
        let (nulls, others): (Vec<_>, Vec<_>) =
            ids.into_iter().partition(|id| matches!(self.nodes[*id].kind, NodeKind::Null));
        match others.as_slice() {
            [] => self.nodes[nulls[0]].clone(),
            [only] => {
                let mut node = self.nodes[*only].clone();
                node.nullable |= !nulls.is_empty();
                node
            }
            several => {
                let tags: Vec<_> = several.iter().map(|id| self.nodes[*id].tag.as_str()).collect();
                let tag = format!("union[{}]", tags.join(","));
                Node { kind: NodeKind::Union(others), nullable: !nulls.is_empty(), tag }
            }
        }
    }

    fn typed(&mut self, name: &str, keywords: &Map<String, Value>, at: &str) -> Result<Node, SchemaError> {
        let plain = |kind, tag: &str| Node { kind, nullable: false, tag: tag.to_owned() };
        Ok(match name {
            "null" => plain(NodeKind::Null, "none"),
            "boolean" => plain(NodeKind::Boolean, "bool"),
            "integer" => plain(NodeKind::Integer(bounds(keywords, at)?), "int"),
            "number" => plain(NodeKind::Number(bounds(keywords, at)?), "float"),
            "string" => plain(NodeKind::String(length(keywords, "minLength", "maxLength", at)?), "str"),
            "array" => {
                let items = match keywords.get("items") {
                    None => None,
                    Some(items) => Some(self.node(items, &format!("{at}/items"))?),
                };
                let tag = format!("list[{}]", items.map_or("any", |id| self.nodes[id].tag.as_str()));
                plain(NodeKind::List(items, length(keywords, "minItems", "maxItems", at)?), &tag)
            }
            "object" => self.object(keywords, at)?,
            _ => return Err(bad("type", at, "a type of JSON Schema")),
        })
    }

    fn object(&mut self, keywords: &Map<String, Value>, at: &str) -> Result<Node, SchemaError> {
        let extras = match keywords.get("additionalProperties") {
            None => Extras::Drop,
            Some(Value::Bool(true)) => Extras::Keep,
            Some(Value::Bool(false)) => Extras::Forbid,
            Some(schema) => Extras::Check(self.node(schema, &format!("{at}/additionalProperties"))?),
        };
        let Some(properties) = keywords.get("properties") else {
            let values = match extras {
                Extras::Check(id) => Some(id),
                Extras::Drop | Extras::Keep => None,
                Extras::Forbid => {
                    let model = Model { fields: Vec::new(), extras: Extras::Forbid };
                    return Ok(Node { kind: NodeKind::Model(model), nullable: false, tag: title(keywords) });
                }
            };
            let tag = format!("dict[str,{}]", values.map_or("any", |id| self.nodes[id].tag.as_str()));
            return Ok(Node { kind: NodeKind::Dict(values), nullable: false, tag });
        };
        let properties = properties.as_object().ok_or_else(|| bad("properties", at, "an object"))?;
        let required: Vec<&str> = match keywords.get("required") {
            None => Vec::new(),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(_) => return Err(bad("required", at, "a list of names")),
        };
        if let Some(unknown) = required.iter().find(|name| !properties.contains_key(**name)) {
            return Err(bad(&format!("required: {unknown}"), at, "the name of a property"));
        }
        let mut fields = Vec::with_capacity(properties.len());
        for (name, schema) in properties {
            let node = self.node(schema, &format!("{at}/properties/{name}"))?;
            let default = schema.get("default").map(|value| value.to_string().into_bytes());
            let required = required.contains(&name.as_str()) && default.is_none();
            fields.push(Field { name: name.clone(), node, required, default });
        }
        Ok(Node { kind: NodeKind::Model(Model { fields, extras }), nullable: false, tag: title(keywords) })
    }
}

const KNOWN: &[&str] = &[
    "$ref",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
];

fn title(keywords: &Map<String, Value>) -> String {
    keywords.get("title").and_then(Value::as_str).unwrap_or("model").to_owned()
}

fn bad(keyword: &str, at: &str, expected: &'static str) -> SchemaError {
    SchemaError::Value { keyword: keyword.to_owned(), at: at.to_owned(), expected }
}

fn bounds(keywords: &Map<String, Value>, at: &str) -> Result<Bounds, SchemaError> {
    let read = |name: &str| match keywords.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| bad(name, at, "a number")),
    };
    Ok(Bounds {
        ge: read("minimum")?,
        le: read("maximum")?,
        gt: read("exclusiveMinimum")?,
        lt: read("exclusiveMaximum")?,
    })
}

fn length(keywords: &Map<String, Value>, min: &str, max: &str, at: &str) -> Result<Length, SchemaError> {
    let read = |name: &str| match keywords.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
            .map(Some)
            .ok_or_else(|| bad(name, at, "a whole number")),
    };
    Ok(Length { min: read(min)?, max: read(max)? })
}

fn literal(values: Vec<Value>) -> Node {
    let nullable = values.contains(&Value::Null);
    let values: Vec<_> = values.into_iter().filter(|value| !value.is_null()).collect();
    let mut words: Vec<_> = values.iter().map(python_repr).collect();
    let last = words.pop().unwrap_or_else(|| "None".to_owned());
    let expected = if words.is_empty() { last } else { format!("{} or {last}", words.join(", ")) };
    let tag = format!("literal[{}]", values.iter().map(python_repr).collect::<Vec<_>>().join(","));
    Node { kind: NodeKind::Literal(Literal { values, expected }), nullable, tag }
}

/// A value as Python's `repr` writes it.
fn python_repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => {
            let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
            let mut out = String::from(quote);
            for character in text.chars() {
                match character {
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    '\t' => out.push_str("\\t"),
                    '\'' if quote == '\'' => out.push_str("\\'"),
                    other => out.push(other),
                }
            }
            out.push(quote);
            out
        }
        other => other.to_string(),
    }
}
