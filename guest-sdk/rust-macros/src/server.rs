// SPDX-License-Identifier: Apache-2.0
//! The `impl` block, taken apart and checked.

use syn::{Attribute, ImplItem, ItemImpl, Type, spanned::Spanned};

use crate::{
    handler::{Handler, SelfKind, must_be_owned},
    mistakes::Mistakes,
    options::{Lifetime, Options},
};

/// The expected shapes, as they stand in messages.
pub(crate) const SEED: &str = "`fn seed(task: Task, cx: &mut Context) -> Result<Self, Fault>` or \
                               `fn seed(&mut self, task: Task, cx: &mut Context) -> Result<(), Fault>`";
pub(crate) const VERIFY: &str =
    "`fn verify(&self, attempt: &Attempt<Task>, cx: &mut Context) -> Result<Verdict, Fault>`";
pub(crate) const RESET: &str = "`fn reset(task: Task, cx: &mut Context) -> Result<(Self, Observation), Fault>` or \
                                `fn reset(&mut self, task: Task, cx: &mut Context) -> Result<Observation, Fault>`";
pub(crate) const STEP: &str =
    "`fn step(&mut self, attempt: &Attempt<Task>, cx: &mut Context) -> Result<StepOutcome, Fault>`";
pub(crate) const CLOSE: &str = "`fn close(&mut self, cx: &mut Context) -> Result<(), Fault>`";
pub(crate) const METRICS: &str = "`fn metrics(request: MetricsRequest, cx: &mut Context) -> Result<Metrics, Fault>`";
pub(crate) const DESCRIBE: &str = "`fn describe(description: &mut Description, cx: &mut Context) -> Result<(), Fault>`";
pub(crate) const ANY_TOOL: &str =
    "`fn call(&mut self, name: &str, arguments: Arguments, cx: &mut Context) -> ToolResult<Reply>`";

/// What functions may be marked as.
const MARKERS: &[&str] =
    &["seed_session", "tool", "any_tool", "verify", "reset", "step", "close", "aggregate_metrics", "describe"];

/// Paths of a resources server, and of the servers around it, that cannot be tools.
const RESERVED: &[&str] = &[
    "seed_session",
    "verify",
    "aggregate_metrics",
    "reverify_mode",
    "close_session",
    "mcp",
    "livez",
    "readyz",
    "healthz",
    "health",
    "docs",
    "redoc",
    "stats",
    "run",
    "v1",
];

/// The functions of an environment.
pub(crate) struct Server {
    pub(crate) ty: Type,
    pub(crate) seed: Option<Handler>,
    pub(crate) tools: Vec<Handler>,
    pub(crate) any_tool: Option<Handler>,
    pub(crate) verify: Option<Handler>,
    pub(crate) reset: Option<Handler>,
    pub(crate) step: Option<Handler>,
    pub(crate) close: Option<Handler>,
    pub(crate) metrics: Option<Handler>,
    pub(crate) describe: Option<Handler>,
}

/// How a session comes to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// A function makes it from the task.
    Constructed,
    /// It is `Default::default()`.
    Defaulted,
}

impl Server {
    /// Reads the block, and takes out of it what the compiler would not understand.
    pub(crate) fn take(block: &mut ItemImpl, options: &Options, mistakes: &mut Mistakes) -> Self {
        if let Some((_, path, _)) = &block.trait_ {
            mistakes.at(path, "`#[resources_server]` goes on the type's own `impl` block: `impl Weather { … }`");
        }
        if !block.generics.params.is_empty() {
            mistakes.at(&block.generics, "an environment has no generic parameters");
        }
        let mut server = Self {
            ty: (*block.self_ty).clone(),
            seed: None,
            tools: Vec::new(),
            any_tool: None,
            verify: None,
            reset: None,
            step: None,
            close: None,
            metrics: None,
            describe: None,
        };
        for item in &mut block.items {
            let ImplItem::Fn(function) = item else { continue };
            let markers: Vec<Attribute> =
                function.attrs.extract_if(.., |attribute| marker(attribute).is_some()).collect();
            let Some(first) = markers.first() else { continue };
            if let Some(second) = markers.get(1) {
                mistakes.at(second, "a function is marked once");
            }
            if let syn::Meta::List(list) = &first.meta {
                mistakes.at(&list.tokens, "markers take no options");
            }
            let handler = Handler::take(function, mistakes);
            let place = match marker(first).unwrap_or_default() {
                "tool" => {
                    server.tools.push(handler);
                    continue;
                }
                "seed_session" => &mut server.seed,
                "any_tool" => &mut server.any_tool,
                "verify" => &mut server.verify,
                "reset" => &mut server.reset,
                "step" => &mut server.step,
                "close" => &mut server.close,
                "aggregate_metrics" => &mut server.metrics,
                _ => &mut server.describe,
            };
            match place {
                Some(before) => {
                    let text = format!("`{}` is already marked so", before.ident);
                    mistakes.at(first, text);
                }
                None => *place = Some(handler),
            }
        }
        server.check(block, options, mistakes);
        server
    }

    /// How a session comes to be.
    pub(crate) fn begin(&self, options: &Options) -> Begin {
        let constructed = self.seed.iter().chain(&self.reset).any(|handler| handler.receiver == SelfKind::None);
        if constructed && options.default_session.is_none() { Begin::Constructed } else { Begin::Defaulted }
    }

    /// Whether attempts are driven by `reset` and `step`.
    pub(crate) fn is_gymnasium(&self) -> bool {
        self.reset.is_some() || self.step.is_some()
    }

    fn check(&self, block: &ItemImpl, options: &Options, mistakes: &mut Mistakes) {
        if self.is_gymnasium() {
            self.check_gymnasium(mistakes);
        } else if self.verify.is_none() {
            mistakes.at_span(block.self_ty.span(), format!("nothing is marked `#[verify]`; expected {VERIFY}"));
        }
        if let Some(seed) = &self.seed {
            seed.must_return_result(SEED, mistakes);
            seed.at_most_one(SEED, mistakes).into_iter().for_each(|task| must_be_owned(task, mistakes));
            if options.tools != Lifetime::Session {
                mistakes.at(
                    &seed.signature.ident,
                    "an environment whose tools run outside of a session is not seeded; remove `stateless`, `reusable` or `tools = …`, or this function",
                );
            }
        }
        if let Some(verify) = &self.verify {
            verify.must_return_result(VERIFY, mistakes);
        }
        for handler in self.close.iter() {
            handler.must_return_result(CLOSE, mistakes);
            if let Some(value) = handler.values().next() {
                mistakes.at(&value.ty, format!("expected {CLOSE}"));
            }
        }
        for (handler, shape) in
            self.metrics.iter().map(|h| (h, METRICS)).chain(self.describe.iter().map(|h| (h, DESCRIBE)))
        {
            handler.must_return_result(shape, mistakes);
            if handler.at_most_one(shape, mistakes).is_none() {
                mistakes.at(&handler.signature, format!("expected {shape}"));
            }
            if handler.receiver != SelfKind::None {
                mistakes.at(&handler.signature, format!("there is no session here; expected {shape}"));
            }
        }
        if let Some(any_tool) = &self.any_tool
            && any_tool.values().count() != 2
        {
            mistakes.at(&any_tool.signature, format!("expected {ANY_TOOL}"));
        }
        self.check_tools(mistakes);
        self.check_pooled(options, mistakes);
    }

    fn check_gymnasium(&self, mistakes: &mut Mistakes) {
        match (&self.reset, &self.step) {
            (Some(reset), None) => {
                mistakes.at(&reset.signature.ident, format!("`#[reset]` needs a `#[step]` beside it: {STEP}"));
            }
            (None, Some(step)) => {
                mistakes.at(&step.signature.ident, format!("`#[step]` needs a `#[reset]` beside it: {RESET}"));
            }
            _ => {}
        }
        if let Some(reset) = &self.reset {
            reset.must_return_result(RESET, mistakes);
            reset.at_most_one(RESET, mistakes).into_iter().for_each(|task| must_be_owned(task, mistakes));
        }
        if let Some(step) = &self.step {
            step.must_return_result(STEP, mistakes);
        }
        for other in self.seed.iter().chain(&self.verify).chain(&self.any_tool).chain(&self.tools) {
            mistakes.at(
                &other.signature.ident,
                "an environment with `#[reset]` and `#[step]` has no tools, seeding or grading of its own",
            );
        }
    }

    fn check_tools(&self, mistakes: &mut Mistakes) {
        let mut names: Vec<String> = Vec::new();
        for tool in &self.tools {
            let name = tool.name();
            if tool.docs.is_empty() {
                mistakes.at(
                    &tool.signature.ident,
                    "a tool needs a doc comment: the model reads it to decide whether to call the tool",
                );
            }
            if RESERVED.contains(&name.as_str()) {
                mistakes.at(&tool.signature.ident, format!("`{name}` is a route of the server and cannot be a tool"));
            }
            if names.contains(&name) {
                mistakes.at(&tool.signature.ident, format!("there is a tool `{name}` already"));
            }
            names.push(name);
            tool.values().for_each(|value| must_be_owned(value, mistakes));
            if tool.values().any(|value| value.whole) && tool.values().count() > 1 {
                mistakes
                    .at(&tool.signature.inputs, "`#[arguments]` takes all arguments; there is nothing left for others");
            }
        }
    }

    fn check_pooled(&self, options: &Options, mistakes: &mut Mistakes) {
        let pooled_tools = self.tools.iter().chain(&self.any_tool).filter(|_| options.tools == Lifetime::Pooled);
        let pooled_verify = self.verify.iter().filter(|_| options.verify == Lifetime::Pooled);
        for handler in pooled_tools.chain(pooled_verify).filter(|handler| handler.receiver == SelfKind::Mut) {
            mistakes.at(
                &handler.signature.ident,
                "what runs in a reused instance leaves nothing behind: take `&self`, or no self",
            );
        }
    }
}

/// The marker that an attribute is.
fn marker(attribute: &Attribute) -> Option<&'static str> {
    MARKERS.iter().copied().find(|marker| attribute.path().is_ident(marker))
}
