// SPDX-License-Identifier: Apache-2.0
//! What `#[resources_server]` writes: the block itself, one implementation of the trait, and the export.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{ItemImpl, ReturnType, Type, spanned::Spanned};

use crate::{
    handler::{Handler, Param, Returns, SelfKind},
    mistakes::Mistakes,
    options::Options,
    server::{Begin, STEP, Server, VERIFY},
};

pub(crate) fn resources_server(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let options = Options::parse(attribute, &mut mistakes);
    let original = item.clone();
    let Ok(mut block) = syn::parse2::<ItemImpl>(item) else {
        let text = "`#[resources_server]` goes on an `impl` block: `#[resources_server] impl Weather { … }`";
        mistakes.at(&original, text);
        return mistakes.into_errors().unwrap_or_default();
    };
    let server = Server::take(&mut block, &options, &mut mistakes);
    let implementation = Expansion { server: &server, options: &options }.implementation(&mut mistakes);
    match mistakes.into_errors() {
        Some(errors) => {
            // The block stays, without the markers, so that the rest of the crate does not fail for lack of it.
            quote!(#block #errors)
        }
        None => quote!(#block #implementation),
    }
}

struct Expansion<'a> {
    server: &'a Server,
    options: &'a Options,
}

impl Expansion<'_> {
    fn implementation(&self, mistakes: &mut Mistakes) -> TokenStream {
        let krate = &self.options.krate;
        let ty = &self.server.ty;
        let argument_types = self.server.tools.iter().filter_map(|tool| self.argument_type(tool));
        let describe = self.describe(mistakes);
        let seed = self.server.seed.as_ref().map(|handler| self.seed(handler));
        let call_tool = self.call_tool();
        let verify = self.server.verify.as_ref().map(|handler| self.grading(handler, "verify", "Verdict"));
        let reset = self.server.reset.as_ref().map(|handler| self.reset(handler));
        let step = self.server.step.as_ref().map(|handler| self.grading(handler, "step", "StepOutcome"));
        let close = self.server.close.as_ref().map(|handler| self.close(handler));
        let metrics = self.server.metrics.as_ref().map(|handler| self.metrics(handler));
        quote! {
            const _: () = {
                #(#argument_types)*

                #[automatically_derived]
                impl #krate::ResourcesServer for #ty {
                    #describe
                    #seed
                    #call_tool
                    #verify
                    #reset
                    #step
                    #close
                    #metrics
                }
            };

            #krate::export!(#ty);
        }
    }

    fn describe(&self, mistakes: &mut Mistakes) -> TokenStream {
        let Options { krate, config, .. } = self.options;
        let name = match &self.options.name {
            Some(name) => quote!(#name),
            None => quote!(::core::env!("CARGO_PKG_NAME").replace('-', "_")),
        };
        let config = config.as_ref().map_or_else(|| quote!(#krate::NoFields), |config| quote!(#config));
        let (tools_run_in, verify_runs_in) = (self.options.tools.variant(), self.options.verify.variant());
        let reverify = self.options.reverify.iter();
        let beginning = self.server.seed.as_ref().or(self.server.reset.as_ref());
        let seed_fields = beginning.and_then(|handler| handler.values().next()).map(|task| {
            let task = &task.ty;
            quote!(description.seed_fields = ::core::option::Option::Some(#krate::__private::row_schema::<#task>());)
        });
        let grading = self.server.verify.as_ref().map(|handler| (handler, VERIFY));
        let grading = grading.or_else(|| self.server.step.as_ref().map(|handler| (handler, STEP)));
        let verify_fields = grading.and_then(|(handler, shape)| handler.attempt(shape, mistakes)).map(|task| {
            let task = task.unwrap_or_else(|| syn::parse_quote!(#krate::NoFields));
            quote!(description.verify_fields = #krate::__private::row_schema::<#task>();)
        });
        let tools = self.server.tools.iter().map(|tool| {
            let (name, docs, arguments) = (tool.name(), &tool.docs, self.argument_type_name(tool));
            quote!(description.tools.push(#krate::__private::tool::<#arguments>(#name, #docs));)
        });
        let gymnasium = self.server.is_gymnasium().then(|| quote!(description.style = #krate::Style::Gymnasium;));
        let any_tool = self.server.any_tool.as_ref().map(|_| quote!(description.any_tool = true;));
        let token_ids = self.options.token_ids.then(|| quote!(description.token_ids = true;));
        let own_metrics = self.server.metrics.as_ref().map(|_| quote!(description.own_metrics = true;));
        let echo = self.options.echo.then(|| quote!(description.echo_all();));
        let metrics = self.pass_metrics();
        let hook = self.server.describe.as_ref().map(|handler| {
            let (ident, arguments) = (&handler.ident, arguments(handler, &[quote!(&mut description)]));
            quote!(#krate::__private::outcome::<(), (), _>(Self::#ident(#arguments))?;)
        });
        quote! {
            fn describe(
                cx: &mut #krate::Context,
            ) -> ::core::result::Result<#krate::Description, #krate::Failure> {
                cx.check_config::<#config>()?;
                let mut description = #krate::Description::new(#name, ::core::env!("CARGO_PKG_VERSION"));
                description.tools_run_in = #krate::Lifetime::#tools_run_in;
                description.verify_runs_in = #krate::Lifetime::#verify_runs_in;
                #(description.reverify = #krate::Reverify::#reverify;)*
                #gymnasium
                #seed_fields
                #verify_fields
                #echo
                #(#tools)*
                #any_tool
                #token_ids
                #metrics
                #own_metrics
                #hook
                ::core::result::Result::Ok(description)
            }
        }
    }

    fn pass_metrics(&self) -> Option<TokenStream> {
        let Options { krate, scores, answer_field, subset_field, .. } = self.options;
        if scores.is_empty() && answer_field.is_none() && subset_field.is_none() {
            return None;
        }
        let scores = scores.iter().map(|(name, field)| {
            let name = name.to_string();
            quote!(#krate::Score {
                name: #name.into(),
                field: #field.into(),
                only_if_present: ::core::option::Option::None,
            })
        });
        let field = |field: &Option<syn::LitStr>| match field {
            Some(field) => quote!(::core::option::Option::Some(#field.into())),
            None => quote!(::core::option::Option::None),
        };
        let (answer_field, subset_field) = (field(answer_field), field(subset_field));
        Some(quote! {
            description.metrics = ::core::option::Option::Some(#krate::PassMetrics {
                scores: ::std::vec![#(#scores),*],
                answer_field: #answer_field,
                subset_field: #subset_field,
            });
        })
    }

    /// The struct that a tool's arguments are read as, unless the tool names one itself or takes none.
    fn argument_type(&self, tool: &Handler) -> Option<TokenStream> {
        if tool.values().next().is_none_or(|value| value.whole) {
            return None;
        }
        let krate = &self.options.krate;
        let serde_path = Literal::string(&quote!(#krate::__private::serde).to_string().replace(' ', ""));
        let name = self.argument_type_name(tool);
        let fields = tool.values().map(|value| {
            let (ident, ty, attributes) = (&value.ident, &value.ty, &value.attributes);
            let docs = (!value.docs.is_empty()).then(|| {
                let docs = &value.docs;
                quote!(#[doc = #docs])
            });
            quote!(#docs #(#attributes)* #ident: #ty)
        });
        Some(quote! {
            #[derive(#krate::__private::serde::Deserialize, #krate::Schema)]
            #[serde(crate = #serde_path)]
            #[schema(crate = #krate)]
            #[allow(non_camel_case_types)]
            struct #name { #(#fields,)* }
        })
    }

    fn argument_type_name(&self, tool: &Handler) -> TokenStream {
        let krate = &self.options.krate;
        match tool.values().next() {
            None => quote!(#krate::NoFields),
            Some(value) if value.whole => {
                let ty = &value.ty;
                quote!(#ty)
            }
            Some(_) => {
                let name = format_ident!("ArgumentsOf_{}", tool.ident);
                quote!(#name)
            }
        }
    }

    fn call_tool(&self) -> Option<TokenStream> {
        if self.server.tools.is_empty() && self.server.any_tool.is_none() {
            return None;
        }
        let krate = &self.options.krate;
        let arms = self.server.tools.iter().map(|tool| {
            let name = tool.name();
            let call = self.tool_call(tool);
            quote!(#name => { #call })
        });
        let rest = match &self.server.any_tool {
            Some(handler) => {
                let read = quote!(let arguments = #krate::__private::read(arguments)?;);
                let call = self.call(handler, &[quote!(name), quote!(arguments)]);
                let reply = self.reply(handler, &call);
                quote!({ #read #reply })
            }
            None => quote!(::core::result::Result::Err(#krate::Refuse::not_found().into())),
        };
        Some(quote! {
            #[allow(unused_variables)]
            fn call_tool(
                session: &mut ::core::option::Option<Self>,
                name: &str,
                arguments: &str,
                cx: &mut #krate::Context,
            ) -> ::core::result::Result<::std::string::String, #krate::Failure> {
                match name {
                    #(#arms)*
                    _ => #rest,
                }
            }
        })
    }

    fn tool_call(&self, tool: &Handler) -> TokenStream {
        let krate = &self.options.krate;
        let idents: Vec<&Ident> = tool.values().map(|value| &value.ident).collect();
        let read = match tool.values().next() {
            // A tool without parameters does not look at its arguments: models send all kinds of nothing.
            None => quote!(),
            Some(value) if value.whole => {
                let (ident, ty) = (&value.ident, &value.ty);
                quote!(let #ident: #ty = #krate::__private::read(arguments)?;)
            }
            Some(_) => {
                let ty = self.argument_type_name(tool);
                quote!(let #ty { #(#idents),* } = #krate::__private::read(arguments)?;)
            }
        };
        let values: Vec<TokenStream> = idents.iter().map(|ident| quote!(#ident)).collect();
        let call = self.call(tool, &values);
        let reply = self.reply(tool, &call);
        quote!(#read #reply)
    }

    fn reply(&self, tool: &Handler, call: &TokenStream) -> TokenStream {
        let krate = &self.options.krate;
        // What the compiler has to say about the reply belongs to its type.
        let span = match &tool.signature.output {
            ReturnType::Type(_, ty) => ty.span(),
            ReturnType::Default => tool.ident.span(),
        };
        match tool.returns {
            Returns::Result => quote_spanned!(span=> #krate::__private::tool_reply(#call)),
            Returns::Value => quote_spanned!(span=> #krate::__private::tool_value(#call)),
        }
    }

    /// The call of a function, with its session where it wants one.
    fn call(&self, handler: &Handler, values: &[TokenStream]) -> TokenStream {
        let krate = &self.options.krate;
        let ident = &handler.ident;
        let span = ident.span();
        let arguments = arguments(handler, values);
        let session = match self.server.begin(self.options) {
            Begin::Constructed => quote!(#krate::__private::session(session)?),
            Begin::Defaulted => quote_spanned!(handler.ident.span()=> #krate::__private::session_or_default(session)?),
        };
        match handler.receiver {
            SelfKind::None => quote_spanned!(span=> Self::#ident(#arguments)),
            SelfKind::Ref | SelfKind::Mut => quote_spanned!(span=> Self::#ident(#session, #arguments)),
        }
    }

    fn seed(&self, handler: &Handler) -> TokenStream {
        let krate = &self.options.krate;
        let (read, values) = self.task(handler);
        let call = self.call(handler, &values);
        let outcome = match handler.receiver {
            SelfKind::None => quote!(#krate::__private::seeded(session, #call)),
            SelfKind::Ref | SelfKind::Mut => quote!(#krate::__private::seed_reply(#call)),
        };
        quote! {
            #[allow(unused_variables)]
            fn seed_session(
                session: &mut ::core::option::Option<Self>,
                request: &str,
                cx: &mut #krate::Context,
            ) -> ::core::result::Result<::std::string::String, #krate::Failure> {
                #read
                #outcome
            }
        }
    }

    fn reset(&self, handler: &Handler) -> TokenStream {
        let krate = &self.options.krate;
        let (read, values) = self.task(handler);
        let call = self.call(handler, &values);
        let outcome = match handler.receiver {
            SelfKind::None => quote!(#krate::__private::reset(session, #call)),
            SelfKind::Ref | SelfKind::Mut => quote!(#krate::__private::outcome(#call)),
        };
        quote! {
            #[allow(unused_variables)]
            fn reset(
                session: &mut ::core::option::Option<Self>,
                request: &str,
                cx: &mut #krate::Context,
            ) -> ::core::result::Result<#krate::Observation, #krate::Failure> {
                #read
                #outcome
            }
        }
    }

    /// Reads the task of a function that begins a session.
    fn task(&self, handler: &Handler) -> (TokenStream, Vec<TokenStream>) {
        let krate = &self.options.krate;
        match handler.values().next() {
            Some(value) => {
                let ty = &value.ty;
                (quote!(let task: #ty = #krate::__private::read(request)?;), vec![quote!(task)])
            }
            None => (quote!(), Vec::new()),
        }
    }

    fn grading(&self, handler: &Handler, name: &str, gives: &str) -> TokenStream {
        let krate = &self.options.krate;
        let call = self.call(handler, &[quote!(&attempt)]);
        let (name, gives) = (format_ident!("{name}"), format_ident!("{gives}"));
        quote! {
            #[allow(unused_variables)]
            fn #name(
                session: &mut ::core::option::Option<Self>,
                request: ::std::string::String,
                cx: &mut #krate::Context,
            ) -> ::core::result::Result<#krate::#gives, #krate::Failure> {
                let attempt = #krate::Attempt::parse(request)?;
                #krate::__private::outcome(#call)
            }
        }
    }

    fn close(&self, handler: &Handler) -> TokenStream {
        let krate = &self.options.krate;
        let ident = &handler.ident;
        let arguments = arguments(handler, &[]);
        // A session that was never begun has nothing to close.
        let call = match handler.receiver {
            SelfKind::None => quote!(#krate::__private::outcome(Self::#ident(#arguments))),
            SelfKind::Ref | SelfKind::Mut => quote! {
                match session.as_mut() {
                    ::core::option::Option::Some(session) => {
                        #krate::__private::outcome(Self::#ident(session, #arguments))
                    }
                    ::core::option::Option::None => ::core::result::Result::Ok(()),
                }
            },
        };
        quote! {
            #[allow(unused_variables)]
            fn close(
                session: &mut ::core::option::Option<Self>,
                cx: &mut #krate::Context,
            ) -> ::core::result::Result<(), #krate::Failure> {
                #call
            }
        }
    }

    fn metrics(&self, handler: &Handler) -> TokenStream {
        let krate = &self.options.krate;
        let ident = &handler.ident;
        let request: Option<&Type> = handler.values().next().map(|value| &value.ty);
        let (request, value) = match request {
            Some(Type::Reference(reference)) => {
                let elem = &reference.elem;
                (quote!(#elem), quote!(&request))
            }
            ty => (quote!(#ty), quote!(request)),
        };
        let arguments = arguments(handler, &[value]);
        quote! {
            #[allow(unused_variables)]
            fn aggregate_metrics(
                request: &str,
                cx: &mut #krate::Context,
            ) -> ::core::result::Result<::std::string::String, #krate::Failure> {
                let request: #request = #krate::__private::read(request)?;
                #krate::__private::tool_reply(Self::#ident(#arguments))
            }
        }
    }
}

/// The arguments of a call in the order of the parameters: `values` for those with values, the context for the others.
fn arguments(handler: &Handler, values: &[TokenStream]) -> TokenStream {
    let mut values = values.iter();
    let arguments = handler.params.iter().map(|param| match param {
        Param::Context => quote!(cx),
        Param::Value(_) => values.next().cloned().unwrap_or_default(),
    });
    quote!(#(#arguments),*)
}
