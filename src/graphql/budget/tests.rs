use futures_util::FutureExt;
use tokio::time::Instant;

use super::*;
use crate::auth::{Role, Who};

const LIMITS: Limits = Limits {
    operations: 2,
    sockets: 2,
    subscriptions: 3,
    requests_per_minute: 60,
    cost_per_minute: 600,
    test_mails_per_hour: 2,
};

fn caller(unlimited: bool) -> Caller {
    Caller {
        who: Who::Token(Uuid::now_v7()),
        name: "a".into(),
        email: None,
        role: Role::Viewer,
        scope: None,
        unlimited,
    }
}

fn budget() -> Budget {
    Budgets::new(LIMITS).of(&caller(false))
}

#[tokio::test]
async fn requests_and_cost_are_limited() {
    let budget = budget();
    for _ in 0..60 {
        budget.request().unwrap();
    }
    assert_eq!(budget.request().unwrap_err().seconds, 1);
    budget.spend(500).unwrap();
    assert!((39..=41).contains(&budget.spend(500).unwrap_err().seconds));
}

#[tokio::test]
async fn the_events_of_a_token_that_owes_something_wait() {
    let budget = budget();
    assert!(budget.solvent().now_or_never().is_some());
    budget.owe(600 + 5);
    assert!(budget.solvent().now_or_never().is_none() && budget.spend(1).is_err());
    let begun = Instant::now();
    budget.solvent().await;
    assert!(begun.elapsed() > Duration::from_millis(400));
}

#[tokio::test]
async fn operations_wait_for_those_before_them() {
    let budget = budget();
    let [first, _second] = [budget.operation().await.unwrap(), budget.operation().await.unwrap()];
    let mut third = std::pin::pin!(budget.operation());
    assert!(third.as_mut().now_or_never().is_none());
    drop(first);
    let _third = third.await.unwrap();
    let crowd: Vec<_> = (0..2 * WAITING_PER_OPERATION).map(|_| Box::pin(budget.operation())).collect();
    let mut crowd = crowd.into_iter().map(|mut one| (one.as_mut().now_or_never().is_none(), one)).collect::<Vec<_>>();
    assert!(crowd.iter().all(|(waits, _)| *waits));
    assert!(budget.operation().now_or_never().is_some_and(|refused| refused.is_err()), "too many wait");
    crowd.clear();
    assert!(budget.operation().now_or_never().is_none(), "those who left do not count");
}

#[tokio::test]
async fn dear_operations_are_executed_one_after_the_other() {
    let budget = budget();
    let dear = budget.share(5 * COST_AT_ONCE).await;
    assert!(budget.share(1).now_or_never().is_none());
    drop(dear);
    let _cheap = [budget.share(COST_AT_ONCE / 2).await, budget.share(COST_AT_ONCE / 2).await];
    assert!(budget.share(1).now_or_never().is_none() && budget.share(0).now_or_never().is_some());
}

#[tokio::test]
async fn sockets_and_subscriptions_count_until_they_end() {
    let budget = budget();
    let sockets = [budget.socket().unwrap(), budget.socket().unwrap()];
    assert!(budget.socket().is_err());
    drop(sockets);
    assert!(budget.socket().is_ok());
    let _subscriptions: Vec<Permit> = (0..3).map(|_| budget.subscription().unwrap()).collect();
    assert!(budget.subscription().is_err());
}

#[tokio::test]
async fn each_token_has_a_budget_and_an_unlimited_one_has_no_limit() {
    let budgets = Budgets::new(LIMITS);
    let (one, other, free) = (caller(false), caller(false), caller(true));
    budgets.of(&one).spend(600).unwrap();
    assert!(budgets.of(&one).spend(600).is_err());
    budgets.of(&other).spend(600).unwrap();
    let free = budgets.of(&free);
    let _held: Vec<Permit> = (0..100).map(|_| free.socket().unwrap()).collect();
    for _ in 0..100 {
        free.spend(600).unwrap();
        free.request().unwrap();
    }
    let none = Limits {
        operations: 0,
        sockets: 0,
        subscriptions: 0,
        requests_per_minute: 0,
        cost_per_minute: 0,
        test_mails_per_hour: 0,
    };
    let free = Budgets::new(none).of(&one);
    let _held: Vec<Permit> = (0..100).map(|_| free.subscription().unwrap()).collect();
    assert!(free.operation().await.is_ok() && free.spend(usize::MAX).is_ok());
}

#[tokio::test]
async fn tokens_that_nobody_uses_are_forgotten() {
    let budgets = Budgets::new(LIMITS);
    let (busy, poor) = (caller(false), caller(false));
    let _open = budgets.of(&busy);
    budgets.of(&poor).spend(600).unwrap();
    for _ in 0..2 * MAX_IDLE {
        budgets.of(&caller(false));
    }
    let used = budgets.used.lock();
    assert!(used.len() <= MAX_IDLE && used.contains_key(&busy.id()) && used.contains_key(&poor.id()));
}
