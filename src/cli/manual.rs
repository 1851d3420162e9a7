//! What the manual and the help say about a command beyond its options.

use crate::dcos::exit::Exit;
use crate::dcos::layout;

/// A command, told for people.
#[derive(Debug)]
pub(super) struct Told {
    /// Its name; empty for the program.
    pub(super) command: &'static str,
    /// What it does, a paragraph each.
    pub(super) description: &'static [&'static str],
    /// What for, and the line to type.
    pub(super) examples: &'static [(&'static str, &'static str)],
    /// Which files it has to do with, and how.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// The exit codes that it has, by their numbers, and what each means here.
    pub(super) exits: &'static [(Exit, &'static str)],
}

/// What is told of this command.
pub(super) fn told(command: &str) -> Option<&'static Told> {
    TOLD.iter().find(|told| told.command == command)
}

const USAGE: (Exit, &str) = (Exit::Usage, "The command line is wrong. Nothing was changed.");
const BUSY: (Exit, &str) =
    (Exit::Busy, "Another dcos-node is at work on this node. Nothing was changed by this one.");
const AGAIN: (Exit, &str) = (Exit::Interrupted, "Interrupted. The same command goes on.");
const UNHEALTHY: (Exit, &str) = (
    Exit::Unhealthy,
    "Not healthy: a unit failed, does not stay up or is late, or files are missing. All are named.",
);
const FAILED: (Exit, &str) =
    (Exit::Failed, "Failed. The lines state: and cure: say how the node stands and what to do.");

const RECEIPT: (&str, &str) = (layout::RECEIPT, "what was installed, and what was there before");
const JOURNAL: (&str, &str) =
    (layout::JOURNAL, "what was begun and done; there while something is unfinished");
const MANIFESTS: (&str, &str) =
    (layout::MANIFESTS, "every file of every package, with its SHA-256");
const LOCK: (&str, &str) = (layout::LOCK, "who is at work on this node");

/// Every command that has more to tell than its options.
const TOLD: [Told; 15] = [
    Told {
        command: "",
        description: &[
            "dcos-node installs DC/OS on a node, checks it and removes it. It takes the place of \
             dcos_install.sh and pkgpanda's setup.",
            "It checks the node before it touches it. It can be killed, or lose power, at any \
             point: the same command goes on, and so does the next boot. uninstall leaves the node \
             as it was.",
            "A failure says what went wrong (error:), how the node stands now (state:) and what to \
             do (cure:).",
        ],
        examples: &[
            ("Will this node work?", "dcos-node preflight master"),
            (
                "Install a master, and wait until it is ready",
                "sudo dcos-node install master --wait",
            ),
            ("How is this node?", "dcos-node status"),
            ("One file with everything that support needs", "sudo dcos-node bundle"),
        ],
        files: &[
            (layout::MESOSPHERE, "DC/OS, as pkgpanda would leave it"),
            (layout::OUR_BINARY, "the program that goes on after a crash"),
            RECEIPT,
            JOURNAL,
            MANIFESTS,
            (layout::SETUP_UNIT, "runs dcos-node recover at every boot"),
            LOCK,
        ],
        exits: &[],
    },
    Told {
        command: "install",
        description: &[
            "Checks the node, then downloads, verifies and unpacks every package, activates them, \
             and starts the units of the role. The roles are master, slave and slave_public.",
            "Given again, it goes on with what was interrupted. On a node that is whole it changes \
             nothing and restarts nothing. An install that fails leaves the node as it was; \
             whole packages are kept for the next try, not in /opt/mesosphere.",
            "The build is found by --bootstrap-url, else by the stamp that dcos-node publish put \
             into the program. A plain install does not wait for other nodes. Use --wait for that.",
            "A check that is wrong about this node can be skipped with --skip CHECK=REASON. It \
             still runs, and dcos-node status tells of it.",
        ],
        examples: &[
            ("A master of a published build", "sudo dcos-node install master"),
            (
                "The same, until the whole cluster serves",
                "sudo dcos-node install master --wait=cluster-ready",
            ),
            (
                "From an untouched serve directory",
                "sudo dcos-node install slave --bootstrap-url http://10.0.0.2",
            ),
            ("Show every step, do none", "sudo dcos-node install slave --dry-run"),
            ("Skip a check", "sudo dcos-node install slave --skip 'machine.memory=a test'"),
            ("Fill an image", "sudo dcos-node install slave --root /mnt/image"),
        ],
        files: &[
            (layout::REPOSITORY, "the packages"),
            (layout::ETC_MESOSPHERE, "the role and the setup flags"),
            RECEIPT,
            JOURNAL,
            MANIFESTS,
            (layout::OUR_BINARY, "a copy of this program"),
            (layout::SETUP_UNIT, "runs dcos-node recover at every boot"),
            LOCK,
        ],
        exits: &[
            (Exit::Done, "Installed, or there was nothing to do."),
            FAILED,
            USAGE,
            (Exit::Preflight, "A check failed, or you are not root. Nothing was changed."),
            (
                Exit::Conflict,
                "Another role, another build, or files that are not ours are here. Nothing was \
                 changed.",
            ),
            (
                Exit::Integrity,
                "What came from the server is damaged or is not what was published. The node is as \
                 it was.",
            ),
            (
                Exit::NotReady,
                "With --wait: installed, and not ready in time. The node goes on by itself.",
            ),
            BUSY,
            AGAIN,
            UNHEALTHY,
        ],
    },
    Told {
        command: "fetch",
        description: &[
            "Downloads, verifies and unpacks the packages, and does nothing else: no unit, account \
             or setting is touched. Do it before a maintenance window; the install in the window \
             checks what is there and downloads only what is missing.",
            "The packages wait outside of /opt/mesosphere, whose presence other tools take for an \
             installed node. dcos-node uninstall removes what was fetched.",
        ],
        examples: &[
            ("Fetch slowly, the day before", "sudo dcos-node fetch --limit-rate 2M"),
            ("Spread many nodes over an hour", "sudo dcos-node fetch --splay 1h"),
        ],
        files: &[(layout::STATE_STORE, "the packages"), MANIFESTS, JOURNAL, LOCK],
        exits: &[
            (Exit::Done, "All packages are there and verified."),
            FAILED,
            USAGE,
            (Exit::Preflight, "The packages do not fit, or you are not root. Nothing was changed."),
            (Exit::Conflict, "Another build is here. Nothing was changed."),
            (
                Exit::Integrity,
                "An archive is damaged or is not what was published. Packages that were whole are \
                 kept.",
            ),
            BUSY,
            AGAIN,
        ],
    },
    Told {
        command: "preflight",
        description: &[
            "Runs every check that install makes, and changes nothing: the kernel keeps it from \
             writing. It does not need root; without root it says what it could not look at.",
            "It reports all problems at once, each with what was found, what is expected, why, and \
             the cure. Without a role it checks what all roles need.",
        ],
        examples: &[
            ("Check a node before anything is installed", "sudo dcos-node preflight master"),
            ("Which checks are there?", "dcos-node preflight --list"),
            ("Warnings count too", "sudo dcos-node preflight slave --strict"),
            ("Try an ip-detect script", "sudo dcos-node preflight master --ip-detect ./ip-detect"),
        ],
        files: &[],
        exits: &[
            (Exit::Done, "This node will work."),
            FAILED,
            USAGE,
            (Exit::Preflight, "A check failed."),
            (Exit::Warnings, "With --strict: nothing failed, but there are warnings or unknowns."),
            (
                Exit::Integrity,
                "The server's build index is not the one this program was published with, or the \
                 program is damaged.",
            ),
            (Exit::Interrupted, "Interrupted while it waited for the clock."),
        ],
    },
    Told {
        command: "uninstall",
        description: &[
            "Stops the units and removes everything that the install made, on nodes of \
             dcos_install.sh too, whole or half-installed. What was there before is put back. Data \
             stays unless --purge-data is given. At the end it looks for each thing and reports \
             what is gone and what is kept.",
            "It asks the cluster first. A master that its cluster needs is refused; --force \
             overrides that. An agent that runs tasks is a warning. With --drain the agent leaves \
             its cluster in order first, and is waited for.",
            "Given again, it goes on with what was interrupted or left.",
        ],
        examples: &[
            ("What would be removed?", "sudo dcos-node uninstall --dry-run"),
            ("Let an agent finish, then remove it", "sudo dcos-node uninstall --drain=1h"),
            ("Data too, without a question", "sudo dcos-node uninstall --purge-data --yes"),
        ],
        files: &[
            RECEIPT,
            JOURNAL,
            (layout::STATE, "data of DC/OS' services, kept without --purge-data"),
            (layout::MESOS_STATE, "data of tasks, kept without --purge-data"),
            LOCK,
        ],
        exits: &[
            (Exit::Done, "DC/OS is removed, or was not here."),
            FAILED,
            USAGE,
            (Exit::Preflight, "You are not root. Nothing was changed."),
            (
                Exit::Conflict,
                "The cluster needs this node, or something is mounted or in use. Nothing was \
                 changed.",
            ),
            (Exit::NotReady, "With --drain: tasks still run. Nothing was stopped or removed."),
            BUSY,
            (Exit::Residue, "Something is left; it is listed. The same command tries again."),
            AGAIN,
        ],
    },
    Told {
        command: "adopt",
        description: &[
            "Writes a receipt for a node that dcos_install.sh installed, so that status, verify \
             and uninstall know it as their own. Nothing else on the node is changed, and no unit \
             is restarted. A node that is not whole is refused, with all reasons.",
        ],
        examples: &[("Take over a classic node", "sudo dcos-node adopt")],
        files: &[RECEIPT, MANIFESTS, LOCK],
        exits: &[
            (Exit::Done, "Adopted, or adopted before."),
            FAILED,
            USAGE,
            (Exit::Preflight, "You are not root. Nothing was changed."),
            (
                Exit::Conflict,
                "The node is not whole, or an install is unfinished. Nothing was changed.",
            ),
            BUSY,
            (Exit::NotInstalled, "DC/OS is not installed here."),
            UNHEALTHY,
        ],
    },
    Told {
        command: "status",
        description: &[
            "Tells what this node is: role, version, build, units, how far it is on its way to \
             ready, which checks were skipped, and what drifted since the install. A unit that is \
             not well has its reason and its last log lines beside it.",
            "It works without root as far as it can. With --wait it waits for a level first. The \
             levels are started, node-ready and cluster-ready.",
        ],
        examples: &[
            ("How is this node?", "dcos-node status"),
            ("Wait until the cluster serves", "sudo dcos-node status --wait=cluster-ready"),
            ("Has the server another build?", "dcos-node status --online"),
        ],
        files: &[RECEIPT, JOURNAL],
        exits: &[
            (Exit::Done, "Installed, and every unit that the role needs runs."),
            FAILED,
            USAGE,
            (
                Exit::NotReady,
                "Units are still starting, an install or a swap of pkgpanda is unfinished, or \
                 --wait took too long. The first cause is named.",
            ),
            (Exit::Interrupted, "Interrupted while it waited. The node goes on by itself."),
            (Exit::NotInstalled, "DC/OS is not installed here."),
            UNHEALTHY,
        ],
    },
    Told {
        command: "verify",
        description: &[
            "Compares every byte, mode, owner, link, label, unit and account with what was \
             installed, and changes nothing: the kernel keeps it from writing. Only as root can it \
             read everything.",
        ],
        examples: &[
            ("Did somebody change this node?", "sudo dcos-node verify"),
            ("For programs", "sudo dcos-node verify --json"),
        ],
        files: &[RECEIPT, MANIFESTS],
        exits: &[
            (Exit::Done, "Everything is as it was installed."),
            FAILED,
            USAGE,
            (Exit::Warnings, "As installed as far as it can be read."),
            (Exit::Integrity, "Something differs."),
            (Exit::NotReady, "An install, an uninstall or a swap of pkgpanda is unfinished."),
            (Exit::Interrupted, "Interrupted before everything was compared."),
            (Exit::NotInstalled, "DC/OS is not installed here."),
        ],
    },
    Told {
        command: "bundle",
        description: &[
            "Writes one .tar.gz with status, checks, receipt, journal, units, logs and facts of \
             the machine. Known secrets are taken out. It works on a node in any state; a part \
             that cannot be had is noted. As root it is complete.",
            "Look through it before you give it away.",
        ],
        examples: &[
            ("A bundle in this directory", "sudo dcos-node bundle"),
            ("Under a name of its own", "sudo dcos-node bundle /tmp/node7.tar.gz"),
            ("With the log of another unit", "sudo dcos-node bundle --unit sshd.service"),
        ],
        files: &[],
        exits: &[(Exit::Done, "The bundle is written."), FAILED, USAGE],
    },
    Told {
        command: "recover",
        description: &[
            "Goes on with an install or uninstall that was interrupted, and finishes a swap of \
             packages that pkgpanda left half done. dcos-setup.service runs it at every boot. \
             Where nothing is unfinished it changes nothing.",
            "At boot it never fails the boot. It tries for some minutes to reach the bootstrap \
             server, then leaves the rest for the next boot or for you.",
        ],
        examples: &[
            ("Go on now", "sudo dcos-node recover"),
            ("What did it say at boot?", "journalctl -u dcos-setup"),
        ],
        files: &[JOURNAL, RECEIPT, (layout::SETUP_UNIT, "runs it at every boot"), LOCK],
        exits: &[
            (Exit::Done, "Nothing is unfinished any more. At boot it is always 0."),
            FAILED,
            USAGE,
            (Exit::Preflight, "A check failed, or you are not root."),
            (Exit::Conflict, "Files that are not ours are in the way."),
            (
                Exit::Integrity,
                "What came from the server is not what it should be. The node is as it was.",
            ),
            BUSY,
            (Exit::Residue, "An uninstall left something. The same command tries again."),
            AGAIN,
        ],
    },
    Told {
        command: "publish",
        description: &[
            "For the bootstrap server. Reads every archive of a serve directory as a node would, \
             writes the build index dcos-build.json with the size and SHA-256 of each, and puts a \
             dcos-node beside it that is stamped with the digest of that index and the address of \
             the build. Such a program needs no argument on a node and takes no other build.",
            "Run it after each run of dcos_generate_config.sh, as the user who owns the directory. \
             It needs neither root nor network. It prints the SHA-256 of the program, to compare \
             on a node, and the line to type there.",
        ],
        examples: &[
            ("After dcos_generate_config.sh", "dcos-node publish genconf/serve"),
            ("Is all of it still as it was published?", "dcos-node publish genconf/serve --check"),
            (
                "Archives that nodes unpack faster",
                "dcos-node publish genconf/serve --recompress zstd",
            ),
        ],
        files: &[],
        exits: &[
            (
                Exit::Done,
                "Published, or it was published as it is; with --check: every byte is right.",
            ),
            (Exit::Failed, "Failed. The old build or the new one is published, never a mixture."),
            USAGE,
            (
                Exit::Integrity,
                "An archive is damaged; with --check: something is not as it was published.",
            ),
            (Exit::Busy, "Another dcos-node is at work on this directory."),
            AGAIN,
        ],
    },
    Told {
        command: "serve",
        description: &[
            "A small file server for a few nodes. For a large cluster use nginx. It lists no \
             directory and gives away nothing hidden. Anybody who reaches its port can read the \
             build: it has no TLS and no passwords.",
            "SIGTERM ends it when the answers under way are done, after 30 s at most.",
        ],
        examples: &[
            ("At the port of the build's address", "dcos-node serve genconf/serve"),
            ("On one address only", "dcos-node serve genconf/serve --listen 10.0.0.2:8080"),
        ],
        files: &[],
        exits: &[
            (Exit::Done, "Ended by a signal."),
            (Exit::Failed, "It could not listen or read."),
            USAGE,
        ],
    },
    Told {
        command: "explain",
        description: &[
            "Tells of one check what it expects, why, where DC/OS asks for it, how bad it is, \
             whether it can be skipped, and the cure.",
        ],
        examples: &[
            ("What is time.sync?", "dcos-node explain time.sync"),
            ("Which checks are there?", "dcos-node preflight --list"),
        ],
        files: &[],
        exits: &[
            (Exit::Done, "There is such a check."),
            (Exit::Usage, "There is none of that name; the nearest are named."),
        ],
    },
    Told {
        command: "completions",
        description: &[
            "Prints what a shell needs to complete the command line of dcos-node: bash, zsh or \
             fish. The Debian package brings all three.",
        ],
        examples: &[
            ("For this bash", "source <(dcos-node completions bash)"),
            (
                "For every zsh",
                "dcos-node completions zsh >/usr/local/share/zsh/site-functions/_dcos-node",
            ),
            ("For fish", "dcos-node completions fish >~/.config/fish/completions/dcos-node.fish"),
        ],
        files: &[],
        exits: &[(Exit::Done, "Printed."), USAGE],
    },
    Told {
        command: "man",
        description: &["Prints all pages of this manual, one after another, for man(1)."],
        examples: &[("Read it", "dcos-node man | man -l -")],
        files: &[],
        exits: &[(Exit::Done, "Printed."), USAGE],
    },
];
