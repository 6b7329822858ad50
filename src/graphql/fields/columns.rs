//! Which columns of its row a method reads.

use proc_macro2::{Delimiter, TokenStream as Tokens, TokenTree};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Ident, ImplItem, ImplItemFn, ItemImpl, Token};

use crate::{field_name, is_written, returned};

/// What a method reads, or `None` for everything.
type Columns = Option<Vec<String>>;

/// Implements `ReadFields`, and removes the attributes that say what is read.
pub fn read_fields(object: &mut ItemImpl) -> Tokens {
    let mut arms = Vec::new();
    for item in &mut object.items {
        let ImplItem::Fn(method) = item else { continue };
        let name = field_name(&method.sig.ident, &method.attrs);
        let reads = columns(method)
            .map_or_else(|| quote!(Reads::Everything), |columns| quote!(Reads::Columns(&[#(#columns),*])));
        arms.push(quote!(#name => #reads));
    }
    let ty = &object.self_ty;
    quote! {
        const _: () = {
            use crate::graphql::written::{ReadFields, Reads};

            impl ReadFields for #ty {
                fn reads(field: &str) -> Option<Reads> {
                    Some(match field {
                        #(#arms,)*
                        _ => return None,
                    })
                }
            }
        };
    }
}

fn columns(method: &mut ImplItemFn) -> Columns {
    let is_columns = |attribute: &syn::Attribute| attribute.path().is_ident("columns");
    if let Some(index) = method.attrs.iter().position(is_columns) {
        let attribute = method.attrs.remove(index);
        let names = attribute.parse_args_with(Punctuated::<Ident, Token![,]>::parse_terminated).ok()?;
        return Some(names.iter().map(Ident::to_string).collect());
    }
    let mut read = Read { columns: Vec::new(), refers: returned(method).is_some_and(is_written) };
    read.look(method.block.to_token_stream())?;
    Some(read.columns)
}

struct Read {
    columns: Vec<String>,
    /// Whether the method may hand itself on, to find what it refers to.
    refers: bool,
}

impl Read {
    /// `None` if the tokens do something else with the row than to name its columns.
    fn look(&mut self, tokens: Tokens) -> Option<()> {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let called = |index: usize| match tokens.get(index) {
            Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Parenthesis,
            _ => false,
        };
        for (index, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.look(group.stream())?,
                TokenTree::Ident(ident) if ident == "self" => {
                    match (member(&tokens, index), member(&tokens, index + 2)) {
                        (Some(field), Some(column)) if field == "model" && !called(index + 5) => {
                            self.columns.push(column);
                        }
                        (Some(field), _) if field != "model" && (self.refers || !called(index + 3)) => {}
                        (None, _) if self.refers => {}
                        _ => return None,
                    }
                }
                _ => {}
            }
        }
        Some(())
    }
}

/// The member that is named after the token at this place.
fn member(tokens: &[TokenTree], index: usize) -> Option<String> {
    match (tokens.get(index + 1)?, tokens.get(index + 2)?) {
        (TokenTree::Punct(dot), TokenTree::Ident(name)) if dot.as_char() == '.' => Some(name.to_string()),
        _ => None,
    }
}
