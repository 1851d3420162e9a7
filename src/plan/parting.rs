//! What it means to its cluster that a node goes: judged before anything is stopped.

use std::net::IpAddr;

use crate::dcos::cluster::{Ensemble, Member};
use crate::observe::agent::Agent;
use crate::observe::cluster::Answer;
use crate::observe::masters::Masters;

/// What the operator takes upon himself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// An agent that the cluster counts on is refused.
    pub strict: bool,
    /// The quorum may be lost.
    pub force: bool,
    /// The agent leaves in order first.
    pub drain: bool,
}

/// Why a node must not go now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Refusal {
    what: String,
    cure: String,
}

impl Refusal {
    /// What to do first.
    pub fn cure(&self) -> &str {
        &self.cure
    }
}

/// What its going comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why not.
    pub refusal: Option<Refusal>,
    /// What the operator should know before.
    pub warnings: Vec<String>,
    /// What is to be done afterwards, elsewhere.
    pub afterwards: Vec<String>,
}

impl Verdict {
    fn warning(text: String) -> Verdict {
        Verdict { warnings: vec![text], ..Verdict::default() }
    }

    fn refused(what: String, cure: impl Into<String>) -> Verdict {
        Verdict { refusal: Some(Refusal { what, cure: cure.into() }), ..Verdict::default() }
    }

    fn then(mut self, afterwards: Option<String>) -> Verdict {
        self.afterwards.extend(afterwards);
        self
    }
}

/// Judges an agent that runs: the cluster should know that it goes, and its tasks end with it.
pub fn agent(agent: &Agent, consent: Consent) -> Verdict {
    let registered = match agent.registered {
        Some(true) => "is registered with the masters",
        Some(false) => "is not registered with the masters",
        None => "may be registered with the masters (none of them answers)",
    };
    let what = match &agent.work {
        Answer::Told(work) if work.tasks == 0 && agent.registered == Some(false) => {
            return Verdict::default();
        }
        Answer::Told(work) => format!("this agent {registered} and runs {}", work.words()),
        Answer::Locked => {
            format!("this agent {registered}, and what it runs it tells only to those who log in")
        }
        Answer::Silent(why) => {
            format!("this agent {registered}, and what it runs is not known: {why}")
        }
    };
    if consent.drain {
        // It is told to leave, and that it has left is looked at then.
        return Verdict::default().then(agent.id.as_ref().map(|_| decommission(agent)));
    }
    if consent.strict {
        return Verdict::refused(
            what,
            "dcos-node uninstall --drain lets the agent leave the cluster in order first",
        );
    }
    Verdict::warning(format!("{what}; --drain would let it leave in order first"))
        .then(Some(decommission(agent)))
}

/// Judges an agent that does not run: the masters may still wait for it.
pub fn stopped_agent(agent: &Agent, consent: Consent) -> Verdict {
    match agent.registered {
        Some(false) => Verdict::default(),
        None => Verdict::default().then(Some(decommission(agent))),
        Some(true) if consent.strict => Verdict::refused(
            "this agent does not run, and the masters still wait for it".into(),
            decommission(agent),
        ),
        Some(true) => {
            Verdict::warning("this agent does not run, and the masters still wait for it".into())
                .then(Some(decommission(agent)))
        }
    }
}

/// Nobody else tells the masters that an agent does not come back; they call only one agent in 20
/// minutes unreachable (`MESOS_AGENT_REMOVAL_RATE_LIMIT`).
fn decommission(agent: &Agent) -> String {
    let id = agent.id.as_deref().unwrap_or("ID (dcos node list tells it)");
    format!(
        "dcos node decommission {id}, where the DC/OS CLI is: the masters then stop waiting for \
         this agent"
    )
}

/// Judges a master: it is refused where the others could not do without it, and only there.
pub fn master(masters: &Masters, consent: Consent) -> Verdict {
    let ensemble = match &masters.ensemble {
        Answer::Told(ensemble) => ensemble,
        Answer::Locked => {
            return Verdict::warning(
                "whether the cluster can do without this master is not known: Exhibitor asks for a \
                 login"
                    .into(),
            );
        }
        Answer::Silent(why) => {
            return Verdict::warning(format!(
                "whether the cluster can do without this master is not known: {why}"
            ));
        }
    };
    let all = ensemble.members.len();
    let Some(own) = own(ensemble, &masters.addresses) else {
        return Verdict::warning(format!(
            "this node is none of the {all} masters that Exhibitor knows"
        ));
    };
    if !ensemble.has_quorum() {
        return Verdict::warning(format!(
            "the masters have no quorum now: {} of {all} serve",
            ensemble.serving()
        ));
    }
    let loss = loss(ensemble, own, &masters.agents);
    match (loss, consent.force) {
        (None, _) if all == 1 => Verdict::warning(alone(&masters.agents)),
        (None, _) => Verdict::default().then(successor(ensemble, own)),
        (Some((what, cure)), false) => {
            Verdict::refused(what, format!("{cure}; --force uninstalls all the same"))
        }
        (Some((what, _)), true) => Verdict::warning(what).then(successor(ensemble, own)),
    }
}

fn own<'a>(ensemble: &'a Ensemble, addresses: &[IpAddr]) -> Option<&'a Member> {
    let is_own = |member: &&Member| {
        member
            .host
            .parse()
            .is_ok_and(|host: IpAddr| addresses.contains(&host) || host.is_loopback())
    };
    ensemble.members.iter().find(is_own)
}

/// What the cluster loses with a master that others need, and what to do first.
fn loss(ensemble: &Ensemble, own: &Member, agents: &Answer<u64>) -> Option<(String, &'static str)> {
    let (all, serving) = (ensemble.members.len(), ensemble.serving());
    if ensemble.would_lose_quorum_without(&own.host) {
        let down = ensemble.missing().join(", ");
        let left = serving.saturating_sub(1);
        let what = format!(
            "the cluster needs this master: {left} of {all} would serve without it, which is no \
             quorum (not serving now: {down})"
        );
        return Some((what, "bring another master up first"));
    }
    // A master alone is the whole cluster; without an agent nobody but itself loses it. One that
    // lives and does not tell may have many.
    let counts = matches!(agents, Answer::Told(1..) | Answer::Locked);
    (all == 1 && counts).then(|| (alone(agents), "uninstall the agents first"))
}

/// What ends with the only master.
fn alone(agents: &Answer<u64>) -> String {
    let whose = match agents {
        Answer::Told(0) => "no agent is connected to it".to_owned(),
        Answer::Told(1) => "1 agent is connected to it".to_owned(),
        Answer::Told(agents) => format!("{agents} agents are connected to it"),
        Answer::Locked => {
            "how many agents are connected to it is told only to those who log in".to_owned()
        }
        Answer::Silent(why) => format!("whether agents are connected to it is not known: {why}"),
    };
    format!("the cluster ends with this master: it is the only one, and {whose}")
}

/// The others go on waiting for a master at this address. With one that was alone the cluster is
/// gone.
fn successor(ensemble: &Ensemble, own: &Member) -> Option<String> {
    let all = ensemble.members.len();
    (all > 1).then(|| {
        format!("put another master in the place of {}: the others go on expecting {all}", own.host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcos::work::{Framework, Work};

    fn masters(codes: &[u8], own: u8, agents: u64) -> Masters {
        let state = |(n, code): (usize, &u8)| {
            format!(r#"{{"code":{code},"hostname":"10.0.0.{n}","isLeader":{}}}"#, n == 0)
        };
        let states: Vec<String> = codes.iter().enumerate().map(state).collect();
        let ensemble = Ensemble::parse(format!("[{}]", states.join(",")).as_bytes()).unwrap();
        Masters {
            ensemble: Answer::Told(ensemble),
            addresses: vec![[10, 0, 0, own].into()],
            agents: Answer::Told(agents),
        }
    }

    #[test]
    fn master_is_refused_only_if_the_cluster_would_lose_its_quorum() {
        let forced = Consent { force: true, ..Consent::default() };
        for (codes, own, agents, refused) in [
            (&[3][..], 0, 0, false),
            (&[3], 0, 2, true),
            (&[2], 0, 2, false),
            (&[3, 3, 3], 1, 5, false),
            (&[3, 3, 1], 1, 5, true),
            (&[3, 3, 1], 2, 5, false),
            (&[3, 1, 1], 0, 5, false),
            (&[3, 3, 3, 3, 3], 4, 5, false),
            (&[3, 3, 3, 3, 1], 0, 5, false),
            (&[3, 3, 3, 2, 1], 0, 5, true),
            (&[3, 3, 3, 2, 1], 3, 5, false),
            (&[3, 3, 1, 1, 1], 0, 5, false),
            (&[3, 3, 1], 9, 5, false),
        ] {
            let masters = masters(codes, own, agents);
            let verdict = master(&masters, Consent::default());
            assert_eq!(verdict.refusal.is_some(), refused, "{codes:?} {own}: {verdict:?}");
            let verdict = master(&masters, forced);
            assert!(
                verdict.refusal.is_none() && (!refused || verdict.warnings.len() == 1),
                "{codes:?} {own}: {verdict:?}"
            );
        }
    }

    #[test]
    fn silent_masters_or_a_missing_quorum_are_a_warning() {
        let silent = Masters {
            ensemble: Answer::Silent("refused".into()),
            addresses: Vec::new(),
            agents: Answer::Locked,
        };
        for masters in [
            silent,
            masters(&[3, 1, 1], 0, 0),
            masters(&[0, 0, 0], 1, 0),
            masters(&[3, 3, 3], 9, 0),
        ] {
            let verdict = master(&masters, Consent { strict: true, ..Consent::default() });
            assert_eq!((verdict.refusal, verdict.warnings.len()), (None, 1), "{masters:?}");
        }
    }

    #[test]
    fn refusal_names_steps_before_and_after() {
        let refusal = master(&masters(&[3, 3, 1], 0, 0), Consent::default()).refusal.unwrap();
        assert!(
            refusal.to_string().contains("1 of 3 would serve")
                && refusal.to_string().contains("10.0.0.2"),
            "{refusal}"
        );
        assert!(refusal.cure().contains("first; --force"), "{}", refusal.cure());
        let verdict = master(&masters(&[3, 3, 3], 1, 0), Consent::default());
        assert!(
            verdict.warnings.is_empty()
                && verdict.afterwards[0].contains("in the place of 10.0.0.1"),
            "{verdict:?}"
        );
    }

    #[test]
    fn undrained_agent_gets_a_warning_and_with_strict_an_error() {
        let work = |tasks| {
            Answer::Told(Work {
                id: Some("a-S1".into()),
                tasks,
                frameworks: vec![Framework { name: "marathon".into(), tasks }],
            })
        };
        let strict = Consent { strict: true, ..Consent::default() };
        let drained = Consent { drain: true, ..strict };
        for (registered, work) in [
            (Some(true), work(0)),
            (Some(true), work(2)),
            (None, work(0)),
            (Some(false), work(1)),
            (None, Answer::Locked),
        ] {
            let id = work.told().and_then(|work| work.id.clone());
            let busy = Agent { id, registered, work };
            let verdict = agent(&busy, Consent::default());
            assert!(verdict.refusal.is_none() && verdict.warnings.len() == 1, "{busy:?}");
            assert!(verdict.afterwards[0].starts_with("dcos node decommission "), "{verdict:?}");
            assert!(
                agent(&busy, strict)
                    .refusal
                    .is_some_and(|refusal| refusal.cure().contains("--drain")),
                "{busy:?}"
            );
            // Where the id is known, who drains is told too.
            let verdict = agent(&busy, drained);
            assert_eq!(
                (verdict.refusal, verdict.warnings, verdict.afterwards.len()),
                (None, Vec::new(), usize::from(busy.id.is_some()))
            );
        }
        assert_eq!(
            agent(&Agent { id: None, registered: Some(false), work: work(0) }, strict),
            Verdict::default()
        );
    }

    #[test]
    fn agent_warning_is_one_sentence() {
        let silent = |registered, work| {
            agent(&Agent { id: None, registered, work }, Consent::default()).warnings.concat()
        };
        let known = "this agent is registered with the masters, and what it runs is not known: \
                     refused; --drain";
        assert!(silent(Some(true), Answer::Silent("refused".into())).starts_with(known));
        let unknown = "this agent may be registered with the masters (none of them answers), and \
                       what it runs it tells only to those";
        assert!(silent(None, Answer::Locked).starts_with(unknown));
    }

    #[test]
    fn stopped_agent_may_still_be_awaited_by_the_cluster() {
        let stopped = |registered| Agent {
            id: Some("a-S1".into()),
            registered,
            work: Answer::Silent("it does not run".into()),
        };
        let told = |registered, strict| {
            stopped_agent(&stopped(registered), Consent { strict, ..Consent::default() })
        };
        assert_eq!(told(Some(false), true), Verdict::default());
        assert_eq!((told(None, true).refusal, told(None, true).afterwards.len()), (None, 1));
        assert_eq!(
            (told(Some(true), false).warnings.len(), told(Some(true), false).afterwards.len()),
            (1, 1)
        );
        assert!(
            told(Some(true), true)
                .refusal
                .is_some_and(|refusal| refusal.cure().contains("dcos node decommission a-S1"))
        );
    }

    #[test]
    fn single_master_is_refused_while_it_may_have_agents() {
        for (agents, refused, word) in [
            (Answer::Told(0), false, "no agent is connected"),
            (Answer::Told(1), true, "1 agent is connected"),
            (Answer::Locked, true, "those who log in"),
            (Answer::Silent("refused".into()), false, "not known: refused"),
        ] {
            let verdict = master(&Masters { agents, ..masters(&[3], 0, 0) }, Consent::default());
            let said = verdict
                .refusal
                .as_ref()
                .map_or_else(|| verdict.warnings.concat(), ToString::to_string);
            assert!(
                verdict.refusal.is_some() == refused && said.contains(word),
                "{word}: {verdict:?}"
            );
        }
    }
}
