//! Tables of checks and exit codes.

use std::path::Path;

use dcos_node::command::Failure;
use dcos_node::dcos::exit::Exit;
use dcos_node::preflight;
use dcos_node::preflight::explain::Explanation;
use serde_json::json;
use support::recorded::is_recorded;

use super::{document, documented, fields_of};

/// Markdown whose paragraphs are wrapped at 100 columns; tables and headings keep their lines.
fn wrapped(text: &str) -> String {
    let is_kept = |block: &str| block.starts_with(['|', '#']);
    let wrap = |block: &str| {
        let mut lines = vec![String::new()];
        for word in block.split_whitespace() {
            let line = lines.last_mut().expect("a line");
            let length = line.chars().count() + 1 + word.chars().count();
            if line.is_empty() {
                line.push_str(word);
            } else if length <= 100 {
                line.extend([" ", word]);
            } else {
                lines.push(word.to_owned());
            }
        }
        lines.join("\n")
    };
    let blocks = text.trim_end().split("\n\n").map(|block| match is_kept(block) {
        true => block.to_owned(),
        false => wrap(block),
    });
    blocks.collect::<Vec<_>>().join("\n\n") + "\n"
}

/// The table of checks as a document.
fn checks() -> String {
    let mut text = "# The checks\n\
                    \n\
                    What `dcos-node preflight` and `dcos-node install` check. Generated from the \
                    table in `src/preflight/`: change it there, then run\n\
                    `make bless`. Below the table each check has a \
                    paragraph: why it matters, and what to do. `dcos-node explain CHECK` prints\n\
                    the same on a node.\n\
                    \n\
                    *If not*: `fail` stops an install, `warn` does not. A check that could not \
                    look is unknown, which stops an install if the check\n\
                    cannot be skipped. *Skippable*: `--skip CHECK=REASON` takes responsibility for \
                    it.\n\
                    \n\
                    | check | if not | skippable | expected | source |\n\
                    |---|---|---|---|---|\n"
        .to_owned();
    for rule in preflight::table() {
        let check = Explanation::of(rule, None);
        let cells = [
            format!("`{}`", check.id),
            check.severity_in_words(),
            if check.skippable { "yes" } else { "no" }.to_owned(),
            check.expected.to_owned(),
            check.source.to_owned(),
        ];
        text.push_str(&format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")));
    }
    text.push_str("\n## Each check\n");
    for rule in preflight::table() {
        let check = Explanation::of(rule, None);
        text.push_str(&format!(
            "\n### `{}`\n\n**Expected:** {}. **Why:** {}.\n",
            check.id, check.expected, check.why
        ));
        if !check.cure.is_empty() {
            text.push_str(&format!("\n**Cure:** {}.\n", check.cure));
        }
        if !check.exceptions.is_empty() {
            text.push_str(&format!("\n**Exceptions:** {}.\n", check.exceptions.join("; ")));
        }
        if check.skippable {
            text.push_str(&format!("\n**To skip it:** `--skip {}='your reason'`\n", check.id));
        }
    }
    wrapped(&text)
}

#[test]
fn documented_checks_match_the_program() {
    is_recorded("docs/checks.md", &checks());
}

/// The table of exit codes as a document.
fn exit_codes() -> String {
    let mut text = "# Exit codes and failures\n\
                    \n\
                    Generated from the table in `src/dcos/exit.rs`: change it there, then run \
                    `make bless`. A code never changes\n\
                    its number, its word or its meaning. `recover` at boot exits with 0 whatever \
                    it came to: a boot must not fail over what the next one, or an\n\
                    operator, can finish.\n\
                    \n\
                    | code | word | meaning | the node is left | what to do |\n\
                    |---|---|---|---|---|\n"
        .to_owned();
    for exit in Exit::ALL {
        let told = exit.explained();
        text.push_str(&format!(
            "| {} | `{}` | {} | {} | {} |\n",
            exit.code(),
            exit.word(),
            told.meaning,
            told.node,
            told.remedy
        ));
    }
    text.push_str(
        "\n\
         ## A failure\n\
         \n\
         On standard error: `error:` with what went wrong, a line `because` for each cause, `log:` \
         with the last words of a unit at fault, `state:` with how\n\
         the node stands now, `cure:` with the command or deed that cures it, and `help:` with the \
         command that collects what support needs; that line stands\n\
         beside results too that are not what was hoped for (degraded, damage, residue, checks \
         that failed, a node that is still not ready 20 minutes after its install). With `--json` \
         the same on standard output,\n\
         of a command line that is wrong too. Where standard output does not take a result or a \
         document (a full disk), that is told on standard error, and an exit code\n\
         that would have been 0 is 1; what was done stays done. A reader that has gone away is no \
         error.\n\
         \n\
         | field | type | what |\n\
         |---|---|---|\n\
         | `error` | string | what went wrong |\n\
         | `causes` | array of strings | its causes, outermost first |\n\
         | `exit` | string | the word of the exit code |\n\
         | `code` | number | the exit code |\n\
         | `state` | string or null | how the node stands now |\n\
         | `cure` | string | what to do |\n\
         | `help` | string or null | the command that collects what support needs \
         ([bundle.md](bundle.md)); null where it could tell nothing: a command line that is wrong, \
         another dcos-node at work, no DC/OS here, the bootstrap server |\n\
         | `log` | array of strings | the last journal lines of the unit at fault; not there if no \
         unit is |\n\
         | `changed` | boolean | of an install whose wait failed: whether the install changed \
         anything; else not there |\n\
         | `preflight` | object or null | the report, if checks stopped the command \
         ([preflight-schema.md](preflight-schema.md)) |\n",
    );
    wrapped(&text)
}

#[test]
fn documented_exit_codes_match_the_program() {
    is_recorded("docs/exit-codes.md", &exit_codes());
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))
        .expect("README.md");
    for exit in Exit::ALL {
        assert_eq!(json!(exit), exit.word());
        assert!(
            readme.contains(&format!("\n| {} | ", exit.code())),
            "README.md does not have exit code {}",
            exit.code()
        );
    }
}

#[test]
fn recovery_guide_covers_every_exit_code_and_the_bundle() {
    let text = std::fs::read_to_string(document("recovery.md")).expect("docs/recovery.md");
    for exit in Exit::ALL.iter().filter(|exit| **exit != Exit::Done) {
        let section = text
            .split(&format!("\n### Exit {}: ", exit.code()))
            .nth(1)
            .and_then(|rest| rest.split("\n#").next());
        let section = section.unwrap_or_else(|| {
            panic!("docs/recovery.md has no section for exit code {}", exit.code())
        });
        for part in ["**You see**", "**Look", "**Cure:**"] {
            assert!(section.contains(part), "exit code {}: no {part}", exit.code());
        }
    }
    assert!(text.trim_end().ends_with("```\nsudo dcos-node bundle\n```"));
}

#[test]
fn documented_failure_fields_match_the_program() {
    let failure = Failure::new(Exit::Failed, std::io::Error::other(""))
        .leaving("")
        .cured_by("")
        .quoting(vec![String::new()]);
    let failure = failure.having_changed(true);
    assert_eq!(documented(&exit_codes()), fields_of(&json!(failure.report(Some("")))));
}
