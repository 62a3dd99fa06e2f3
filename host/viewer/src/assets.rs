// SPDX-License-Identifier: Apache-2.0
//! The files of the page. They are part of the binary.

/// A file of the page.
pub(crate) struct Asset {
    pub path: &'static str,
    pub kind: &'static str,
    pub content: &'static str,
}

macro_rules! assets {
    ($($path:literal $kind:literal $file:literal)*) => {
        &[$(Asset { path: $path, kind: $kind, content: include_str!(concat!("../page/", $file)) }),*]
    };
}

/// All of them.
pub(crate) const ASSETS: &[Asset] = assets! {
    "/" "text/html; charset=utf-8" "index.html"
    "/viewer.css" "text/css; charset=utf-8" "viewer.css"
    "/main.js" "text/javascript; charset=utf-8" "main.js"
    "/dom.js" "text/javascript; charset=utf-8" "dom.js"
    "/api.js" "text/javascript; charset=utf-8" "api.js"
    "/grid.js" "text/javascript; charset=utf-8" "grid.js"
    "/list.js" "text/javascript; charset=utf-8" "list.js"
    "/conversation.js" "text/javascript; charset=utf-8" "conversation.js"
    "/facts.js" "text/javascript; charset=utf-8" "facts.js"
    "/rollout.js" "text/javascript; charset=utf-8" "rollout.js"
    "/compare.js" "text/javascript; charset=utf-8" "compare.js"
    "/icon.svg" "image/svg+xml" "icon.svg"
};
