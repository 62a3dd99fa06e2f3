// SPDX-License-Identifier: Apache-2.0
//! The top-level block `gym_host:` of the configuration: what concerns the whole process.

use std::{path::PathBuf, time::Duration};

use gym_config::Settings;
use gym_protocol::lax::{self, Misfit};
use gym_runtime::AdmissionOptions;
use gym_server::HttpLimits;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::Failure;

/// Options of the process. Every one has a default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HostOptions {
    /// Folder of caches and keys, in place of `$GYM_HOST_CACHE` or the user's cache folder.
    pub cache_dir: Option<PathBuf>,
    /// Live instances of all environments together; by default what the kernel's `vm.max_map_count` and the memory
    /// allow.
    pub max_instances: Option<usize>,
    /// Memory in bytes that instances may take together; by default a part of the machine's.
    pub memory_bytes: Option<u64>,
    /// Limits of the HTTP side.
    pub http: HttpOptions,
}

/// The block `gym_host.http`. What is not set has the default of [`HttpLimits`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpOptions {
    max_connections: Option<usize>,
    header_timeout_seconds: Option<f64>,
    idle_timeout_seconds: Option<f64>,
    body_idle_timeout_seconds: Option<f64>,
    body_min_rate: Option<u64>,
    write_timeout_seconds: Option<f64>,
    max_body_bytes: Option<usize>,
    max_header_bytes: Option<usize>,
    max_headers: Option<usize>,
    max_buffered_bytes: Option<usize>,
    buffer_wait_seconds: Option<f64>,
    stream_keep_alive_seconds: Option<f64>,
}

impl HostOptions {
    /// Reads the block.
    pub(crate) fn read(settings: &Settings) -> Result<Self, Failure> {
        lax::from_value(Value::Object(settings.host_options.clone())).map_err(|misfit| {
            let place = || std::iter::once("gym_host").chain(misfit.place.iter().map(String::as_str));
            let keys: Vec<&str> = place().collect();
            let text = format!("{}: `{}`: {}", settings.origin_of(place()), keys.join("."), misfit.reason());
            with_known_keys(Failure::user(text), &misfit)
        })
    }

    pub(crate) fn admission(&self) -> AdmissionOptions {
        AdmissionOptions { max_instances: self.max_instances, memory_bytes: self.memory_bytes }
    }

    pub(crate) fn http_limits(&self) -> Result<HttpLimits, Failure> {
        let mut limits = HttpLimits::default();
        let http = &self.http;
        set(&mut limits.max_connections, http.max_connections);
        set(&mut limits.body_min_rate, http.body_min_rate);
        set(&mut limits.max_body_bytes, http.max_body_bytes);
        set(&mut limits.max_header_bytes, http.max_header_bytes);
        set(&mut limits.max_headers, http.max_headers);
        set(&mut limits.max_buffered_bytes, http.max_buffered_bytes);
        for (limit, seconds, name) in [
            (&mut limits.header_timeout, http.header_timeout_seconds, "header_timeout_seconds"),
            (&mut limits.idle_timeout, http.idle_timeout_seconds, "idle_timeout_seconds"),
            (&mut limits.body_idle_timeout, http.body_idle_timeout_seconds, "body_idle_timeout_seconds"),
            (&mut limits.write_timeout, http.write_timeout_seconds, "write_timeout_seconds"),
            (&mut limits.buffer_wait, http.buffer_wait_seconds, "buffer_wait_seconds"),
            (&mut limits.stream_keep_alive, http.stream_keep_alive_seconds, "stream_keep_alive_seconds"),
        ] {
            if let Some(seconds) = seconds {
                *limit = Duration::try_from_secs_f64(seconds)
                    .map_err(|error| Failure::user(format!("`gym_host.http.{name}`: {error}")))?;
            }
        }
        limits.check().map_err(|error| Failure::user(format!("the block `gym_host.http`: {error}")))?;
        Ok(limits)
    }
}

/// For a key that there is not, says which there are.
pub(crate) fn with_known_keys(failure: Failure, misfit: &Misfit) -> Failure {
    let (Some(known), Some(wanted)) = (misfit.known_keys(), misfit.place.last()) else { return failure };
    let near = gym_config::nearest(wanted, known.iter().copied());
    match near.first() {
        Some(near) => failure.with_hint(format!("did you mean `{near}`?")),
        None => failure.with_hint(format!("there are {}", known.join(", "))),
    }
}

fn set<T>(limit: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *limit = value;
    }
}
