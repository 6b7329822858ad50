//! PostgreSQL is restarted or killed, or its connections are cut, during work.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Ground;
use crate::chaos::on_postgres::actor::Actor;
use crate::chaos::on_postgres::listener::{Door, Listener};
use crate::peers::{Cluster, Stop};

#[derive(Clone, Copy, Debug)]
enum Blow {
    Terminate,
    Backend,
    Restart(Stop),
}

async fn strike(cluster: &mut Cluster, blow: Blow) {
    match blow {
        Blow::Terminate => cluster.terminate_all().await,
        Blow::Backend => assert!(cluster.kill_backend().await, "the program has no connection"),
        Blow::Restart(how) => cluster.restart(how, Duration::from_millis(300)).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_costs_seconds_and_nothing_else() {
    let mut ground = Ground::build().await;
    let probe = ground.rehearse("probe", &[]).await;
    ground.idle(&probe, "").await;
    let first = ground.asker.newest_event(&ground.replica.url(), &probe).await;
    let listen = |door| Listener::start(door, ground.replica.url(), ground.token.clone(), &first);
    let listeners = [listen(Door::Events), listen(Door::WebSocket)];
    for listener in &listeners {
        listener.connected().await;
    }
    let actor = |number| Actor::new(number, number as u64, ground.asker.clone(), vec![ground.replica.url()]);
    let mut actors = vec![actor(1), actor(2)];
    let blows = [
        Blow::Terminate,
        Blow::Backend,
        Blow::Restart(Stop::Kill),
        Blow::Restart(Stop::Immediate),
        Blow::Restart(Stop::Fast),
    ];
    for blow in blows {
        let stop = CancellationToken::new();
        let acting: Vec<_> = actors.drain(..).map(|actor| tokio::spawn(actor.act(stop.clone()))).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        strike(&mut ground.cluster, blow).await;
        let took = ground.recovered(&probe).await;
        println!("{blow:?}: itself again after {took:.2?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
        for actor in acting {
            let mut actor = actor.await.unwrap();
            actor.look(&ground.cluster).await;
            assert!(actor.contradictions.is_empty(), "{blow:?}: {:#?}", actor.contradictions);
            actors.push(actor);
        }
        for listener in &listeners {
            listener.check(&ground.cluster, super::READY).await.unwrap();
            assert_eq!(listener.connections(), 1, "{blow:?}: the {:?} subscription was cut", listener.door);
        }
        ground.assert_clean();
    }
    let figures = ground.tally.figures();
    println!("{figures:?}");
    assert!(figures.acknowledged > 20, "next to nothing was done: {figures:?}");
}
