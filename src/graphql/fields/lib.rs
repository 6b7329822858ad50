//! Implements `graphql::written::Fields` for the types of the API, so that their fields are written without the
//! library's futures and values. A field is declared once: the library's own macros read the same declaration.

mod columns;

use heck::ToLowerCamelCase as _;
use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{ToTokens, quote};
use syn::{
    Attribute, Data, DeriveInput, FnArg, GenericArgument, Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, PathArguments,
    ReturnType, Type, parse_macro_input,
};

/// For the methods of an object, beside `#[Object]`:
///
/// - One that is not async is written at once.
/// - An async one without arguments that gives a `Written` or `Rows` is awaited, and then written.
/// - The library resolves the others.
///
/// As `#[fields(rows)]`, for a type whose field `model` is a row, it also implements `graphql::written::ReadFields`: a
/// method reads the columns that it names as `self.model.column`. One that does something else with the row names its
/// columns itself, as in `#[columns(name, status)]`, or reads everything. One that gives a `Written` or `Rows` may also
/// refer to other rows by what is always read.
#[proc_macro_attribute]
pub fn fields(of: TokenStream, item: TokenStream) -> TokenStream {
    let mut object = parse_macro_input!(item as ItemImpl);
    let reads = (!of.is_empty()).then(|| columns::read_fields(&mut object));
    let methods = object.items.iter().filter_map(|item| match item {
        ImplItem::Fn(method) => Some(method),
        _ => None,
    });
    let (mut ways, mut values, mut related) = (Vec::new(), Vec::new(), Vec::new());
    for (index, method) in methods.enumerate() {
        let Some(ty) = returned(method) else { continue };
        let (name, method) = (field_name(&method.sig.ident, &method.attrs), method.clone());
        let ident = &method.sig.ident;
        if method.sig.asyncness.is_none() {
            ways.push(quote!(#name => Way::Value(#index, <#ty as WriteJson>::plan(selected)?)));
            values.push(quote!(#index => self.#ident(ctx).write(plan, ctx, text)));
        } else if is_written(ty) && !has_arguments(&method) {
            ways.push(quote!(#name => Way::Related(#index, <#ty as Related>::plan(selected)?)));
            related.push(quote!(#index => Box::pin(related(self.#ident(ctx), ctx, plan, text))));
        }
    }
    let ty = &object.self_ty;
    let value = (values.len() == object.items.len()).then(|| write_json(ty));
    let implemented = implemented(ty, &ways, &values, &related);
    quote! {
        #object
        #implemented
        #value
        #reads
    }
    .into()
}

/// For a struct whose fields are all written at once, beside `SimpleObject`.
#[proc_macro_derive(Fields)]
pub fn derive_fields(item: TokenStream) -> TokenStream {
    let object = parse_macro_input!(item as DeriveInput);
    let Data::Struct(data) = &object.data else {
        return syn::Error::new_spanned(&object.ident, "only a struct has fields").into_compile_error().into();
    };
    let (mut ways, mut values) = (Vec::new(), Vec::new());
    for (index, field) in data.fields.iter().enumerate() {
        let Some(ident) = &field.ident else { continue };
        let (name, ty) = (field_name(ident, &field.attrs), &field.ty);
        ways.push(quote!(#name => Way::Value(#index, <#ty as WriteJson>::plan(selected)?)));
        values.push(quote!(#index => self.#ident.write(plan, ctx, text)));
    }
    let ty = &object.ident;
    let (implemented, value) = (implemented(ty, &ways, &values, &[]), write_json(ty));
    quote! {
        #implemented
        #value
    }
    .into()
}

fn implemented(ty: &impl ToTokens, ways: &[Tokens], values: &[Tokens], related: &[Tokens]) -> Tokens {
    quote! {
        const _: () = {
            #[allow(unused_imports, reason = "A type may have no field of a kind")]
            use crate::graphql::written::{Fields, Plan, Related, Selected, Way, WriteJson, Writing, related};

            #[allow(unused_variables, reason = "A type may have no field of a kind")]
            impl Fields for #ty {
                fn way<'a>(name: &str, selected: Selected<'_, 'a>) -> Option<Way<'a>> {
                    Some(match name {
                        #(#ways,)*
                        _ => return None,
                    })
                }

                fn write_value(
                    &self,
                    index: usize,
                    plan: Option<&Plan<'_>>,
                    ctx: &async_graphql::Context<'_>,
                    text: &mut Vec<u8>,
                ) {
                    match index {
                        #(#values,)*
                        _ => unreachable!("a field that is not written at once"),
                    }
                }

                fn write_related<'a>(
                    &'a self,
                    index: usize,
                    plan: &'a Plan<'a>,
                    ctx: &'a async_graphql::Context<'a>,
                    text: &'a mut Vec<u8>,
                ) -> Writing<'a> {
                    match index {
                        #(#related,)*
                        _ => unreachable!("a field that refers to nothing"),
                    }
                }
            }
        };
    }
}

/// For a type whose fields are all written at once.
fn write_json(ty: &impl ToTokens) -> Tokens {
    quote! {
        impl crate::graphql::written::WriteJson for #ty {
            fn plan<'a>(
                selected: crate::graphql::written::Selected<'_, 'a>,
            ) -> Option<Option<crate::graphql::written::Plan<'a>>> {
                selected.plan::<Self>().map(Some)
            }

            fn write(
                &self,
                plan: Option<&crate::graphql::written::Plan<'_>>,
                ctx: &async_graphql::Context<'_>,
                text: &mut Vec<u8>,
            ) {
                if let Some(plan) = plan {
                    plan.write_values(self, ctx, text);
                }
            }
        }
    }
}

/// The name of a field in the API.
fn field_name(ident: &Ident, attributes: &[Attribute]) -> String {
    let mut given = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("graphql")) {
        // Other settings are the library's.
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                given = Some(meta.value()?.parse::<LitStr>()?.value());
            }
            Ok(())
        });
    }
    given.unwrap_or_else(|| ident.to_string().trim_start_matches("r#").to_lower_camel_case())
}

/// The type of a field, without the error.
fn returned(method: &ImplItemFn) -> Option<&Type> {
    let ReturnType::Type(_, ty) = &method.sig.output else { return None };
    let Type::Path(path) = &**ty else { return Some(ty) };
    let last = path.path.segments.last()?;
    if last.ident != "Result" {
        return Some(ty);
    }
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// Whether a type is `Written` or `Rows`, or an option of them.
fn is_written(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let Some(last) = path.path.segments.last() else { return false };
    let inner = |arguments: &PathArguments| match arguments {
        PathArguments::AngleBracketed(arguments) => {
            arguments.args.iter().any(|argument| matches!(argument, GenericArgument::Type(ty) if is_written(ty)))
        }
        _ => false,
    };
    last.ident == "Written" || last.ident == "Rows" || (last.ident == "Option" && inner(&last.arguments))
}

/// Whether a field takes arguments, beside `&self` and the context.
fn has_arguments(method: &ImplItemFn) -> bool {
    method.sig.inputs.iter().any(|input| match input {
        FnArg::Receiver(_) => false,
        FnArg::Typed(input) => !matches!(&*input.ty, Type::Reference(_)),
    })
}
