//! Several providers, one of which wants the code of another one.

use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel};
use serde_json::json;

use super::provider::Provider;
use super::{connect, consent, failures, new, server, visit};
use crate::support::ask::pairs;

const REFUSED: &str = "This is the answer of another application";

/// The value of a parameter.
fn parameter(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

/// The address with another value of a parameter; without it, if there is none.
fn with(url: &str, name: &str, value: Option<&str>) -> String {
    let mut url = url::Url::parse(url).unwrap();
    let others: Vec<_> = url.query_pairs().into_owned().filter(|(key, _)| key != name).collect();
    url.query_pairs_mut().clear().extend_pairs(others).extend_pairs(value.map(|value| (name, value)));
    url.into()
}

#[tokio::test]
async fn a_code_of_one_provider_is_never_sent_to_another_one() {
    let server = server().start().await;
    let (honest, evil) = (Provider::start().await, Provider::start().await);
    // The person is sent to the evil provider, which sends them on to the honest one, with its own state.
    let state = parameter(&consent(&server, new(&evil, "Evil")).await, "state");
    let back = with(&consent(&server, new(&honest, "Honest")).await, "state", Some(&state));
    let shown = visit(&back, None).await;
    assert_eq!(shown.status, 403, "{}", shown.body);
    assert!(shown.body.contains(REFUSED), "{}", shown.body);
    let told = failures(&server).await;
    assert!(told.len() == 1 && told[0].contains("another provider"), "{told:?}");
    assert_eq!(server.ask("{ instances { totalCount } }", json!({})).await["instances"]["totalCount"], 0);
    // Without an issuer, as most providers answer, all is well.
    let own = consent(&server, new(&honest, "Honest")).await;
    assert_eq!(visit(&with(&own, "iss", None), None).await.status, 303);
}

#[tokio::test]
async fn the_answer_must_come_to_the_address_of_its_integration() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let comes_to = async |name: &str, path: &str| {
        let mut back = url::Url::parse(&consent(&server, new(&provider, name)).await).unwrap();
        assert_eq!(back.path(), "/oauth/callback/consenting");
        back.set_path(path);
        visit(back.as_str(), None).await
    };
    // Nothing is registered with the shared address, so no other application answers there.
    assert_eq!(comes_to("Acme", "/oauth/callback").await.status, 303);
    let row = &entity::oauth_shared_redirect::Model { instance_id: uuid::Uuid::now_v7() };
    let insert = server.db.write(|tx| async move { Ok(row.clone().into_active_model().insert(tx.conn()).await?) });
    insert.await.unwrap();
    for path in ["/oauth/callback", "/oauth/callback/other"] {
        let shown = comes_to("Acme 2", path).await;
        assert!(shown.status == 403 && shown.body.contains(REFUSED), "{path}: {}", shown.body);
    }
}

#[tokio::test]
async fn what_is_registered_with_the_shared_address_keeps_it_until_the_client_changes() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let id = connect(&server, new(&provider, "Acme")).await;
    let instance = entity::instance::Entity::find().one(server.db.read()).await.unwrap().unwrap();
    let row = &entity::oauth_shared_redirect::Model { instance_id: instance.id };
    let insert = server.db.write(|tx| async move { Ok(row.clone().into_active_model().insert(tx.conn()).await?) });
    insert.await.unwrap();

    let again = json!({ "instanceId": id });
    for input in [again, new(&provider, "Acme 2")] {
        let back = consent(&server, input).await;
        assert_eq!(url::Url::parse(&back).unwrap().path(), "/oauth/callback");
        assert_eq!(visit(&back, None).await.status, 303);
    }
    let other = json!({ "instanceId": id, "config": pairs(&[("client_id", "another"), ("client_secret", "x")]) });
    let url = super::begin(&server, other).await;
    assert!(parameter(&url, "redirect_uri").ends_with("/oauth/callback/consenting"), "{url}");
}
