// SPDX-License-Identifier: Apache-2.0
//! Hosted endpoints that speak Chat Completions: `inference_provider` for any provider with a base URL and a key, and
//! `azure_openai_model`.

use gym_protocol::Members;
use http::{HeaderName, HeaderValue};

use crate::openai::{Endpoint, base_url};
use crate::outbound::Outbound;
use crate::secret::Secret;
use crate::settings::{ModelError, Settings};
use crate::vllm::{VllmModel, VllmSettings};

/// `inference_provider`. Keys: `base_url`, `api_key`, `model`, `uses_reasoning_parser` (false), `extra_body`,
/// `default_headers`, `num_concurrent_requests`, and those of the outbound policy. Reasoning is not sent back.
pub fn provider_model(settings: Settings<'_>, outbound: &Outbound) -> Result<VllmModel, ModelError> {
    let base = base_url(settings, "base_url")?;
    let key = Secret::new(settings.text("api_key")?.unwrap_or_default());
    let endpoint = Endpoint::bearer(&base, &key, settings.headers("default_headers")?);
    VllmModel::hosted(settings, hosted(settings, "model")?, endpoint, outbound)
}

/// `azure_openai_model`: a deployment of a resource. `openai_base_url` is the address of the resource (then the
/// deployment is `openai_model`), or one with `/openai/` in it, which is taken as it is. The key goes into the header
/// `api-key`, `default_query` into every URL.
pub fn azure_model(settings: Settings<'_>, outbound: &Outbound) -> Result<VllmModel, ModelError> {
    let mut hosted = hosted(settings, "openai_model")?;
    // Reasoning in the text of an answer becomes an item; in requests the text stays as it is.
    hosted.uses_reasoning_parser = settings.flag("uses_reasoning_parser", true)?;
    hosted.preserve_reasoning_in_assistant_content = true;
    let base = base_url(settings, "openai_base_url")?;
    let base = base.trim_end_matches('/');
    let base = if base.contains("/openai/") {
        base.to_owned()
    } else {
        format!("{base}/openai/deployments/{}", escape(&hosted.model))
    };
    let key = Secret::new(settings.text("openai_api_key")?.unwrap_or_default());
    let mut headers = settings.headers("openai_default_headers")?;
    if let Ok(mut value) = HeaderValue::try_from(key.reveal())
        && !key.is_empty()
    {
        value.set_sensitive(true);
        headers.push((HeaderName::from_static("api-key"), value));
    }
    let query = query_text(settings, "default_query")?;
    let endpoint = Endpoint::bearer(&base, &Secret::new(""), headers).with_query(query);
    VllmModel::hosted(settings, hosted, endpoint, outbound)
}

fn hosted(settings: Settings<'_>, model: &str) -> Result<VllmSettings, ModelError> {
    Ok(VllmSettings {
        uses_reasoning_parser: settings.flag("uses_reasoning_parser", false)?,
        extra_body: settings.object("extra_body")?,
        ..VllmSettings::hosted(settings.required_text(model)?)
    })
}

/// `?a=b&c=d` of a mapping of texts.
fn query_text(settings: Settings<'_>, key: &str) -> Result<String, ModelError> {
    let members: Members = settings.object(key)?;
    let mut pairs = Vec::new();
    for (name, value) in members.iter() {
        let text: String = value.read().map_err(|_| {
            let found = settings.get(key).unwrap_or(&serde_json::Value::Null);
            settings.wrong(key, "a mapping of texts", found)
        })?;
        pairs.push(format!("{}={}", escape(name), escape(&text)));
    }
    Ok(if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) })
}

/// Percent-encodes what is not unreserved in a URL.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gym_agents::{Model as _, RequestContext};
    use gym_protocol::{ModelRequest, ServerName};
    use serde_json::{Value, json};

    use super::*;
    use crate::outbound::OutboundSettings;
    use crate::test_upstream::{Seen, TestUpstream};

    type Make = fn(Settings<'_>, &Outbound) -> Result<VllmModel, ModelError>;

    async fn sent(make: Make, url_key: &str, path: &str, mut block: Value) -> Seen {
        let answer = json!({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]});
        let upstream = TestUpstream::start(vec![TestUpstream::json(answer)]).await;
        block[url_key] = json!(format!("{}{path}", upstream.url));
        let server = ServerName::new("m").expect("not empty");
        let outbound = Outbound::new(OutboundSettings::default()).expect("a client");
        let model = make(Settings::new(&server, block.as_object().expect("a mapping")), &outbound).expect("a model");
        let body = json!({"input": [{"role": "user", "content": "q"},
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "message", "role": "assistant", "id": "m", "content": [{"type": "output_text", "text": "b"}]}],
            "tools": [{"type": "function", "name": "f", "strict": true}], "metadata": block.get("metadata")});
        let request = ModelRequest::parse(Bytes::from(body.to_string())).expect("a request");
        let reply = model.respond(request, &mut RequestContext::default()).await.expect("a reply");
        assert_eq!(reply.status, 200);
        upstream.seen()[0].clone()
    }

    #[tokio::test]
    async fn azure_takes_its_key_and_version_elsewhere() {
        let block = json!({"openai_api_key": "k", "openai_model": "d", "num_concurrent_requests": 4,
            "default_query": {"api-version": "2025-04-01 preview"}});
        let seen = sent(azure_model, "openai_base_url", "/", block.clone()).await;
        assert_eq!(seen.path, "/openai/deployments/d/chat/completions?api-version=2025-04-01%20preview");
        assert_eq!((seen.header("api-key"), seen.header("authorization")), (Some("k"), None));
        assert_eq!(seen.json()["model"], "d");
        let seen = sent(azure_model, "openai_base_url", "/openai/v1", block).await;
        assert_eq!(seen.path, "/openai/v1/chat/completions?api-version=2025-04-01%20preview");
    }

    #[tokio::test]
    async fn a_provider_gets_metadata_as_it_is() {
        let block = json!({"model": "z", "metadata": {"extra_body": "{\"top_k\": 1}", "audio_data": "data:audio/wav;base64,AA"}});
        let metadata = block["metadata"].clone();
        let seen = sent(provider_model, "base_url", "/v1", block).await.json();
        assert_eq!((&seen["metadata"], seen.get("top_k")), (&metadata, None));
    }

    #[tokio::test]
    async fn a_provider_gets_chat_completions_without_earlier_reasoning() {
        let block = json!({"api_key": "k", "model": "z", "uses_reasoning_parser": true, "extra_body": {"service_tier": "flex"}});
        let seen = sent(provider_model, "base_url", "/v1", block).await;
        assert_eq!((seen.path.as_str(), seen.header("authorization")), ("/v1/chat/completions", Some("Bearer k")));
        assert_eq!(
            seen.json(),
            json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}],
                "tools": [{"type": "function", "function": {"name": "f", "strict": true}}],
                "service_tier": "flex", "model": "z"})
        );
    }
}
