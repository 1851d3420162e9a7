#!/usr/bin/env python3
"""Prints what of others is in the program, with its licences: every crate that is linked into it, from `cargo metadata` and the sources of the crates.

The same Cargo.lock gives the same text: names, versions and texts come from archives whose digests it holds. Crates that only run while others are
compiled (build scripts, macros) are no part of the program.
"""

import json
import pathlib
import re
import subprocess
import sys

METADATA = ["cargo", "metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]
NOTICE = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)([-_.]|$)", re.IGNORECASE)
GNU = re.compile(r"GNU (LESSER |LIBRARY )?GENERAL PUBLIC LICENSE")
SOURCE = re.compile(r"\.(rs|c|h|py|sh|toml|json|html)$")


def linked(metadata):
    """The ids of the crates that are linked into the program, the program itself left out."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    is_macro = lambda package: any("proc-macro" in target["kind"] for target in package["targets"])
    found, rest = set(), [root]
    while rest:
        for dependency in nodes[rest.pop()]["deps"]:
            id, kinds = dependency["pkg"], [kind["kind"] for kind in dependency["dep_kinds"]]
            if id not in found and id != root and None in kinds and not is_macro(packages[id]):
                found.add(id)
                rest.append(id)
    return sorted((packages[id] for id in found), key=lambda package: (package["name"], package["version"]))


def notices(package):
    """The texts of its licences, those of sources of others that it brings too."""
    top = pathlib.Path(package["manifest_path"]).parent
    files = [path for path in top.rglob("*") if path.is_file() and NOTICE.match(path.name) and not SOURCE.search(path.name)]
    for path in sorted(files, key=lambda path: path.relative_to(top).as_posix()):
        text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").strip("\n")
        # The libraries for xz and zstd bring these for programs beside them, or as a choice; what
        # is linked is under 0BSD and BSD.
        if not GNU.match(text.lstrip()):
            yield path.relative_to(top).as_posix(), "\n".join(line.rstrip() for line in text.split("\n"))


def main():
    metadata = json.loads(subprocess.run(METADATA, check=True, stdout=subprocess.PIPE).stdout)
    packages = linked(metadata)
    texts = {}
    print("What of others is in dcos-node\n")
    print("dcos-node is one static file. Besides its own code, which is under the Apache License 2.0, it holds these crates, the standard library of Rust")
    print("(MIT or Apache-2.0), and what it takes of the C library that it was linked with:", sys.argv[1] + ".\n")
    for package in packages:
        name = f"{package['name']} {package['version']}"
        print(f"  {name}: {package['license'] or 'see its licence below'}")
        if package["authors"]:
            print(f"    by {', '.join(package['authors'])}")
        for path, text in notices(package):
            texts.setdefault(text, []).append(f"{name} ({path})")
    for text, holders in texts.items():
        print("\n" + "=" * 80)
        for holder in holders:
            print(holder)
        print("-" * 80 + "\n")
        print(text)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    main()
