// SPDX-License-Identifier: Apache-2.0
//! The host's side of `wit/`, generated.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "environment",
    imports: {
        "gym:environment/host.respond": async | trappable,
        "gym:environment/host.respond-all": async | trappable,
        "gym:environment/host.read-file": async | trappable,
        "gym:environment/code.run-code": async | trappable,
        "gym:environment/network.exchange": async | trappable,
        "gym:environment/network.[static]channel.open": async | trappable,
        "gym:environment/network.[method]channel.send": async | trappable,
        "gym:environment/network.[method]channel.receive": async | trappable,
        "gym:environment/network.[drop]channel": async | trappable,
        "gym:environment/code.[static]process.start": async | trappable,
        "gym:environment/code.[method]process.call": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "gym:environment/network.channel": crate::network::Channel,
        "gym:environment/code.process": crate::process::Process,
    },
    require_store_data_send: true,
});

/// Components that run programs.
pub mod runner {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "code-runner",
        exports: { default: async },
        with: { "gym:environment/programs": crate::bindings::gym::environment::programs },
        require_store_data_send: true,
    });
}
