//! Spares documents that are known to be valid the schema's validation.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{ServerError, ValidationResult};
use async_trait::async_trait;

use super::Checked;

/// The schema's extension that does so.
pub struct KnownDocuments;

impl ExtensionFactory for KnownDocuments {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(KnownDocuments)
    }
}

#[async_trait]
impl Extension for KnownDocuments {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let Some(Checked { document, shape, documents }) = ctx.data_opt() else { return next.run(ctx).await };
        if let Some(result) = shape.as_ref().and_then(|shape| document.verdicts.find(shape)) {
            return Ok(result);
        }
        let result = next.run(ctx).await?;
        if let Some(shape) = shape {
            document.verdicts.keep(shape, result);
        }
        documents.keep(document);
        Ok(result)
    }
}
