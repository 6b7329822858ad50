//! The faults, and how they are undone.

use std::time::Duration;

use super::stage::Stage;
use crate::peers::{Lost, Mode, Stop};

/// A fault. The number is the replica that it happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    ReplicaKilled(usize),
    ReplicaRestarted(usize),
    /// SIGSTOP for longer than a lease, then SIGCONT.
    ReplicaFrozen(usize),
    PostmasterKilled,
    BackendKilled,
    ImmediateRestart,
    FastRestart,
    ConnectionsTerminated,
    ReadOnly,
    LineCut(usize),
    LineDown(usize),
    LineFrozen(usize),
    LineDark(usize),
    LineSlow(usize),
    CommitAnswersLost(usize),
    CommitsLost(usize),
    MailGone,
    MailRefusedForNow,
    MailHangs,
    MailAnswersLost,
    ApplicationHangs,
}

/// Faults that share a group do not happen together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Replica,
    Cluster,
    Line,
    Mail,
    Application,
}

impl Fault {
    /// All faults with their weights. A frozen replica makes a round long, so it is rare.
    pub fn draw(random: &mut fastrand::Rng) -> Fault {
        let replica = random.usize(..3);
        let faults = [
            (10, Fault::ReplicaKilled(replica)),
            (6, Fault::ReplicaRestarted(replica)),
            (1, Fault::ReplicaFrozen(replica)),
            (5, Fault::PostmasterKilled),
            (5, Fault::BackendKilled),
            (4, Fault::ImmediateRestart),
            (3, Fault::FastRestart),
            (5, Fault::ConnectionsTerminated),
            (5, Fault::ReadOnly),
            (5, Fault::LineCut(replica)),
            (4, Fault::LineDown(replica)),
            (4, Fault::LineFrozen(replica)),
            (3, Fault::LineDark(replica)),
            (3, Fault::LineSlow(replica)),
            (8, Fault::CommitAnswersLost(replica)),
            (4, Fault::CommitsLost(replica)),
            (4, Fault::MailGone),
            (3, Fault::MailRefusedForNow),
            (3, Fault::MailHangs),
            (4, Fault::MailAnswersLost),
            (5, Fault::ApplicationHangs),
        ];
        let mut place = random.u32(..faults.iter().map(|(weight, _)| *weight).sum::<u32>());
        for (weight, fault) in faults {
            if place < weight {
                return fault;
            }
            place -= weight;
        }
        unreachable!("the weights add up")
    }

    /// One, or two that can happen together.
    pub fn some(random: &mut fastrand::Rng) -> Vec<Fault> {
        let first = Fault::draw(random);
        let second = Fault::draw(random);
        let both = random.bool() && first.group() != second.group();
        if both { vec![first, second] } else { vec![first] }
    }

    pub fn group(self) -> Group {
        match self {
            Fault::ReplicaKilled(_) | Fault::ReplicaRestarted(_) | Fault::ReplicaFrozen(_) => Group::Replica,
            Fault::PostmasterKilled
            | Fault::BackendKilled
            | Fault::ImmediateRestart
            | Fault::FastRestart
            | Fault::ConnectionsTerminated
            | Fault::ReadOnly => Group::Cluster,
            Fault::LineCut(_)
            | Fault::LineDown(_)
            | Fault::LineFrozen(_)
            | Fault::LineDark(_)
            | Fault::LineSlow(_)
            | Fault::CommitAnswersLost(_)
            | Fault::CommitsLost(_) => Group::Line,
            Fault::MailGone | Fault::MailRefusedForNow | Fault::MailHangs | Fault::MailAnswersLost => Group::Mail,
            Fault::ApplicationHangs => Group::Application,
        }
    }

    /// Its name, without the replica.
    pub fn kind(self) -> String {
        let name = format!("{self:?}");
        name.split('(').next().unwrap_or_default().to_owned()
    }

    /// How many mails may arrive twice because of it: those in delivery by a process that fails or through a connection
    /// that is cut. Replies that the mail server withholds are counted there.
    pub fn copies(self) -> usize {
        const ON_THE_WIRE: usize = 4;
        match self {
            Fault::ReplicaKilled(_) | Fault::ReplicaRestarted(_) | Fault::ReplicaFrozen(_) => ON_THE_WIRE,
            Fault::MailGone | Fault::MailHangs => 2 * ON_THE_WIRE,
            _ => 0,
        }
    }

    /// How long it lasts.
    pub fn lasts(self, random: &mut fastrand::Rng) -> Duration {
        let milliseconds = match self {
            Fault::ReplicaFrozen(_) => 32_000..35_000,
            Fault::LineFrozen(_) | Fault::LineDark(_) | Fault::ApplicationHangs => 500..4_000,
            Fault::CommitAnswersLost(_) | Fault::CommitsLost(_) => 1_000..2_500,
            Fault::ReadOnly | Fault::LineDown(_) | Fault::MailGone | Fault::MailHangs => 500..3_000,
            _ => 50..1_500,
        };
        Duration::from_millis(random.u64(milliseconds))
    }

    pub async fn begin(self, stage: &mut Stage, random: &mut fastrand::Rng) {
        match self {
            Fault::ReplicaKilled(at) => stage.replicas[at].kill(),
            Fault::ReplicaRestarted(at) => stage.replicas[at].stop().await,
            Fault::ReplicaFrozen(at) => stage.replicas[at].signal("STOP"),
            Fault::PostmasterKilled => stage.cluster.take_down(Stop::Kill).await,
            Fault::BackendKilled => drop(stage.cluster.kill_backend().await),
            Fault::ImmediateRestart => stage.cluster.take_down(Stop::Immediate).await,
            Fault::FastRestart => stage.cluster.take_down(Stop::Fast).await,
            Fault::ConnectionsTerminated => stage.cluster.terminate_all().await,
            Fault::ReadOnly => stage.cluster.read_only(true).await,
            Fault::LineCut(at) => stage.lines[at].cut(),
            Fault::LineDown(at) => stage.lines[at].set(Mode::Down),
            Fault::LineFrozen(at) => stage.lines[at].set(Mode::Freeze),
            Fault::LineDark(at) => {
                stage.lines[at].set(Mode::Blackhole);
                stage.lines[at].cut();
            }
            Fault::LineSlow(at) => stage.lines[at].set(Mode::Latency(Duration::from_millis(random.u64(10..120)))),
            Fault::CommitAnswersLost(at) => stage.lines[at].lose_commits(random.usize(1..6), Lost::Answer),
            Fault::CommitsLost(at) => stage.lines[at].lose_commits(random.usize(1..6), Lost::Request),
            Fault::MailGone => stage.smtp_line.set(Mode::Down),
            Fault::MailRefusedForNow => stage.smtp.mode("tempfail").await,
            Fault::MailHangs => stage.smtp.mode("hang").await,
            Fault::MailAnswersLost => stage.smtp.mode("drop_after").await,
            Fault::ApplicationHangs => stage.scim_line.set(Mode::Freeze),
        }
    }

    pub async fn end(self, stage: &mut Stage) {
        match self {
            Fault::ReplicaKilled(at) | Fault::ReplicaRestarted(at) => stage.replicas[at].launch(),
            Fault::ReplicaFrozen(at) => stage.replicas[at].signal("CONT"),
            Fault::PostmasterKilled | Fault::ImmediateRestart | Fault::FastRestart => stage.cluster.bring_up().await,
            Fault::BackendKilled | Fault::ConnectionsTerminated | Fault::LineCut(_) => {}
            Fault::ReadOnly => stage.cluster.read_only(false).await,
            Fault::LineDown(at) | Fault::LineFrozen(at) | Fault::LineDark(at) | Fault::LineSlow(at) => {
                stage.lines[at].set(Mode::Pass);
            }
            Fault::CommitAnswersLost(at) | Fault::CommitsLost(at) => stage.lines[at].lose_commits(0, Lost::Answer),
            Fault::MailGone => stage.smtp_line.set(Mode::Pass),
            Fault::MailRefusedForNow | Fault::MailAnswersLost => stage.smtp.mode("ok").await,
            Fault::MailHangs => {
                stage.smtp.mode("ok").await;
                stage.smtp_line.cut();
            }
            Fault::ApplicationHangs => stage.scim_line.set(Mode::Pass),
        }
    }
}
