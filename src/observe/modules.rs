//! Which modules the kernel has, or `modprobe` would load.
//!
//! In its order (kmod, `kmod_module_new_from_lookup`): aliases of `modprobe.d`, then
//! `modules.dep`, then `modules.alias`. What is in the kernel is done; an `install` rule takes the
//! place of loading; `blacklist` only hides what is found by `modules.alias`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::dcos::layout;
use crate::system::files;
use crate::system::root::Root;

/// The longest list: that of a distribution's kernel has less than 2 MB.
const MAX_LIST: u64 = 64 << 20;
/// Where rules are; of two files of one name the first one counts (`modprobe.d(5)`).
const RULES: &str = "/etc/modprobe.d:/run/modprobe.d:/usr/local/lib/modprobe.d:\
                     /usr/lib/modprobe.d:/lib/modprobe.d";
/// Commands of `install` rules that load nothing.
const LOADS_NOTHING: [&str; 3] = ["true", "false", ":"];

/// What decides whether a module is available. All names have underscores.
#[derive(Default)]
struct Modules {
    /// Loaded or built in.
    in_kernel: BTreeSet<String>,
    /// What each module needs.
    needs: BTreeMap<String, Vec<String>>,
    /// Aliases of `modprobe.d`.
    aliases: Vec<(String, String)>,
    /// Aliases of the modules themselves.
    own_aliases: Vec<(String, String)>,
    blacklist: BTreeSet<String>,
    /// Modules in whose place a command runs that loads nothing.
    blocked: BTreeSet<String>,
}

/// Names of modules that are available.
///
/// # Errors
/// A list cannot be read; in one line.
pub(super) fn look(root: &Root, proc: &Path, kernel: &str) -> Result<BTreeSet<String>, String> {
    let modules = Modules::read(root, proc, kernel)?;
    let aliases = modules.aliases.iter().chain(&modules.own_aliases).map(|(alias, _)| alias);
    let names = modules.in_kernel.iter().chain(modules.needs.keys()).chain(aliases);
    Ok(names.filter(|name| modules.has(name)).cloned().collect())
}

impl Modules {
    fn read(root: &Root, proc: &Path, kernel: &str) -> Result<Modules, String> {
        let mut modules = Modules::default();
        let text = |path: &Path| files::read(path, MAX_LIST).ok().flatten().unwrap_or_default();
        let loaded = text(&proc.join("modules"));
        let loaded = String::from_utf8_lossy(&loaded);
        let loaded = loaded.lines().filter_map(|line| line.split(' ').next());
        modules.in_kernel.extend(loaded.map(underscored));
        let listed = root.names(layout::SYS_MODULES).unwrap_or_default();
        modules.in_kernel.extend(listed.iter().map(underscored));
        // File systems are modules as well.
        let file_systems = text(&proc.join("filesystems"));
        let file_systems = String::from_utf8_lossy(&file_systems);
        let file_systems = file_systems.lines().filter_map(|line| line.split('\t').nth(1));
        modules.in_kernel.extend(file_systems.map(underscored));
        let list = |name: &str| {
            let path = root.resolved(Path::new(layout::MODULES).join(kernel).join(name));
            let text = files::read(&path, MAX_LIST).map_err(|error| super::told(&error))?;
            Ok::<_, String>(String::from_utf8_lossy(&text.unwrap_or_default()).into_owned())
        };
        modules.in_kernel.extend(list("modules.builtin")?.lines().filter_map(of_path));
        for line in list("modules.dep")?.lines() {
            let Some((path, needed)) = line.split_once(':') else { continue };
            let needed = needed.split_ascii_whitespace().filter_map(of_path).collect();
            modules.needs.extend(of_path(path).map(|module| (module, needed)));
        }
        for line in list("modules.alias")?.lines() {
            // Those with a colon are of devices.
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            if let ["alias", alias, module] = fields[..]
                && !alias.contains(':')
            {
                modules.own_aliases.push((underscored(alias), underscored(module)));
            }
        }
        rules(root).iter().for_each(|text| modules.add_rules(text));
        let line = text(&proc.join("cmdline"));
        modules.add_kernel_line(&String::from_utf8_lossy(&line));
        Ok(modules)
    }

    fn add_rules(&mut self, text: &str) {
        for line in text.replace("\\\n", " ").lines() {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            match fields[..] {
                ["alias", alias, module] => {
                    self.aliases.push((underscored(alias), underscored(module)));
                }
                ["blacklist", module] => drop(self.blacklist.insert(underscored(module))),
                ["install", module, program, ..] => {
                    let program = program.rsplit('/').next().unwrap_or(program);
                    if LOADS_NOTHING.contains(&program) {
                        self.blocked.insert(underscored(module));
                    }
                }
                _ => {}
            }
        }
    }

    /// `modprobe.blacklist=` is for modprobe, `module_blacklist=` for the kernel itself.
    fn add_kernel_line(&mut self, line: &str) {
        for word in line.split_ascii_whitespace() {
            if let Some(names) = word.strip_prefix("modprobe.blacklist=") {
                self.blacklist.extend(names.split(',').map(underscored));
            } else if let Some(names) = word.strip_prefix("module_blacklist=") {
                self.blocked.extend(names.split(',').map(underscored));
            }
        }
    }

    /// Whether `modprobe NAME` succeeds.
    fn has(&self, name: &str) -> bool {
        if self.in_kernel.contains(name) {
            return true;
        }
        let mut found = targets(&self.aliases, name).peekable();
        if found.peek().is_some() {
            return found.all(|module| self.loads(module));
        }
        if self.needs.contains_key(name) {
            return self.loads(name);
        }
        let allowed = |module: &&str| !self.blacklist.contains(*module);
        let mut found = targets(&self.own_aliases, name).filter(allowed).peekable();
        found.peek().is_some() && found.all(|module| self.loads(module))
    }

    /// Whether a module itself can be loaded, with all that it needs.
    fn loads(&self, module: &str) -> bool {
        let is_possible = |module: &str| {
            self.in_kernel.contains(module)
                || self.needs.contains_key(module) && !self.blocked.contains(module)
        };
        is_possible(module)
            && (self.in_kernel.contains(module)
                || self.needs.get(module).into_iter().flatten().all(|needed| is_possible(needed)))
    }
}

/// The modules that an alias leads to; the alias may be a pattern.
fn targets<'a>(aliases: &'a [(String, String)], name: &str) -> impl Iterator<Item = &'a str> {
    let is_one = move |pattern: &str| matches(pattern.as_bytes(), name.as_bytes());
    let found: Vec<&str> =
        aliases.iter().filter(|(p, _)| is_one(p)).map(|(_, module)| module.as_str()).collect();
    found.into_iter()
}

/// `*` and `?` of shell patterns.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, name) || name.split_first().is_some_and(|(_, n)| matches(pattern, n))
        }
        (Some((b'?', pattern)), Some((_, name))) => matches(pattern, name),
        (Some((one, pattern)), Some((other, name))) => one == other && matches(pattern, name),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The texts of all files of rules, each name once.
fn rules(root: &Root) -> Vec<String> {
    let mut by_name = BTreeMap::new();
    for place in RULES.split(':') {
        let names = root.names(place).unwrap_or_default();
        for name in names.into_iter().filter(|name| name.ends_with(".conf")) {
            let path = Path::new(place).join(&name);
            by_name.entry(name).or_insert(path);
        }
    }
    by_name.values().filter_map(|path| root.text(path).ok().flatten()).collect()
}

fn underscored(name: impl AsRef<str>) -> String {
    name.as_ref().replace('-', "_")
}

/// The module of `kernel/net/netfilter/ipvs/ip_vs.ko.xz`.
fn of_path(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?.split(".ko").next().filter(|name| !name.is_empty())?;
    Some(underscored(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn available(files: &[(&str, &str)]) -> BTreeSet<String> {
        let directory = tempfile::tempdir().unwrap();
        let dep = "kernel/ip_vs.ko.xz: kernel/nf_conntrack.ko.xz kernel/libcrc32c.ko\n\
                   kernel/nf_conntrack.ko.xz:\nkernel/libcrc32c.ko:\nkernel/dm-raid.ko:\n\
                   kernel/brd.ko:\n";
        let own = "alias block-major-1-* brd\nalias rd brd\nalias pci:v00* ip_vs\n";
        let lists = [("lib/modules/K/modules.dep", dep), ("lib/modules/K/modules.alias", own)];
        for (path, text) in lists.iter().chain(files) {
            let path = directory.path().join(path);
            files::make_directories(path.parent().unwrap(), 0o755).unwrap();
            files::place(&path, text.as_bytes(), 0o644, None).unwrap();
        }
        look(&Root::new(directory.path()), &directory.path().join("proc"), "K").unwrap()
    }

    #[track_caller]
    fn decides(files: &[(&str, &str)], name: &str, is_available: bool) {
        assert_eq!(available(files).contains(name), is_available, "{name}: {files:?}");
    }

    #[test]
    fn modules_of_the_kernels_lists_are_available() {
        for name in ["ip_vs", "dm_raid", "rd"] {
            decides(&[], name, true);
        }
        for name in ["vxlan", "pci_v00"] {
            decides(&[], name, false);
        }
        decides(&[("lib/modules/K/modules.builtin", "kernel/vxlan.ko\n")], "vxlan", true);
    }

    #[test]
    fn install_rule_that_loads_nothing_makes_a_module_unavailable() {
        for command in ["/bin/false", "/bin/true", "/usr/bin/false", ":", "/bin/true # CIS"] {
            let rule = format!("# hardening\ninstall ip-vs \\\n {command}\n");
            let rule = [("etc/modprobe.d/cis.conf", rule.as_str())];
            decides(&rule, "ip_vs", false);
        }
        let loads = "install ip_vs /sbin/modprobe --ignore-install ip_vs\n";
        decides(&[("etc/modprobe.d/x.conf", loads)], "ip_vs", true);
        decides(&[("etc/modprobe.d/x.txt", "install ip_vs /bin/false\n")], "ip_vs", true);
        // What it needs is loaded by the same rules.
        let needed = ("etc/modprobe.d/x.conf", "install nf_conntrack /bin/false\n");
        decides(&[needed], "ip_vs", false);
        // What is in the kernel is not loaded again.
        decides(&[needed, ("proc/modules", "nf_conntrack 1 0 - Live 0x0\n")], "ip_vs", true);
        let kernel = ("proc/cmdline", "ro module_blacklist=ip_vs,x quiet\n");
        decides(&[kernel], "ip_vs", false);
    }

    #[test]
    fn first_place_of_a_file_of_rules_counts() {
        let rule = "install ip_vs /bin/false\n";
        decides(&[("usr/lib/modprobe.d/cis.conf", rule)], "ip_vs", false);
        let both = [("usr/lib/modprobe.d/cis.conf", rule), ("etc/modprobe.d/cis.conf", "")];
        decides(&both, "ip_vs", true);
    }

    #[test]
    fn blacklist_hides_aliases_and_no_names() {
        let list = [("etc/modprobe.d/x.conf", "blacklist brd\nblacklist ip_vs\n")];
        decides(&list, "rd", false);
        decides(&list, "brd", true);
        decides(&list, "ip_vs", true);
        decides(&[("proc/cmdline", "modprobe.blacklist=brd")], "rd", false);
    }

    #[test]
    fn alias_of_a_rule_takes_the_place_of_the_module() {
        decides(&[("etc/modprobe.d/x.conf", "alias ip_vs off\n")], "ip_vs", false);
        decides(&[("etc/modprobe.d/x.conf", "alias vxlan dm-raid\n")], "vxlan", true);
        decides(&[("etc/modprobe.d/x.conf", "alias ip_v? off\n")], "ip_vs", false);
    }
}
