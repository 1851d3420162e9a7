#!/bin/sh
# Packs a built dcos-node: a plain tarball and a Debian package, the same bytes from the same
# program, source and commit.
#
# .packaging/dist.sh PROGRAM DIRECTORY: reads PROGRAM and this source tree, writes both files and
# their SHA-256 into DIRECTORY. Every time in them is SOURCE_DATE_EPOCH; without it, that of the
# last commit. It takes dpkg-deb, GNU tar and gzip, as each Debian has them, and python3 and cargo
# with the sources of all crates, which building the program has brought.
set -eu

# Who answers for the packages; in Debian's files an address has to be there. Whoever gives them to
# others writes his own here.
maintainer="dcos-node developers <dcos-node@localhost>"

program=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
source=$(realpath "$(dirname "$0")/..")
cd "$source"

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
# Of the packing itself; a package that is packed otherwise from the same program counts on.
revision=1
name=dcos-node-$version-x86_64
deb_name=dcos-node_$version-${revision}_amd64.deb
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# README, the documents and the examples, where their links to each other hold.
documents() {
    install -D -m 644 -t "$1" README.md
    install -D -m 644 -t "$1/docs" docs/*.md
    find examples/ansible -type f ! -name '.*' | sort | while read -r file; do
        install -D -m 644 "$file" "$1/$file"
    done
}

case $("$program" --version) in
    *-musl*) library="musl (MIT)" ;;
    *) library="the GNU C Library (LGPL-2.1-or-later)" ;;
esac

# The tarball: as it lies in the source, with what the program makes itself.
plain=$work/$name
install -D -m 755 "$program" "$plain/dcos-node"
install -m 644 LICENSE CHANGELOG.md "$plain"
documents "$plain"
python3 .packaging/third_party.py "$library" >"$plain/THIRD-PARTY.txt"
install -D -m 644 -t "$plain/man" docs/man/*.8
mkdir "$plain/completions"
for shell in bash zsh fish; do
    "$program" completions $shell >"$plain/completions/dcos-node.$shell"
done

# Sorted, without names or times of the machine that packs. By way of a file: in a pipe a tar that
# failed would be overlooked.
tar --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
    --mode=go-w -C "$work" -cf "$work/plain.tar" "$name"
gzip -9n "$work/plain.tar"
mv "$work/plain.tar.gz" "$out/$name.tar.gz"

# The Debian package: the same files where Debian's policy has them. As apt(8), the program is for
# the administrator and lies in /usr/bin all the same, so that everybody finds it: `preflight` and
# `status` work without root.
deb=$work/deb
install -D -m 755 "$program" "$deb/usr/bin/dcos-node"
for page in docs/man/*.8; do
    mkdir -p "$deb/usr/share/man/man8"
    gzip -9nc "$page" >"$deb/usr/share/man/man8/$(basename "$page").gz"
done
completions=$plain/completions
install -D -m 644 "$completions/dcos-node.bash" \
    "$deb/usr/share/bash-completion/completions/dcos-node"
install -D -m 644 "$completions/dcos-node.zsh" \
    "$deb/usr/share/zsh/vendor-completions/_dcos-node"
install -D -m 644 "$completions/dcos-node.fish" \
    "$deb/usr/share/fish/vendor_completions.d/dcos-node.fish"
share=$deb/usr/share/doc/dcos-node
documents "$share"
gzip -9nc "$plain/THIRD-PARTY.txt" >"$share/THIRD-PARTY.txt.gz"
gzip -9nc CHANGELOG.md >"$share/changelog.gz"
# The day that CHANGELOG.md gives to this version, else that of the commit.
day=$(sed -n "s/^## \[\{0,1\}$version\]\{0,1\}[^0-9]*\([0-9]\{4\}-[0-9][0-9]-[0-9][0-9]\).*/\1/p" CHANGELOG.md | head -n 1)
gzip -9n >"$share/changelog.Debian.gz" <<END
dcos-node ($version-$revision) stable; urgency=medium

  * Version $version; what is new in it is in changelog.gz.

 -- $maintainer  $(date --rfc-email --date="${day:-@$SOURCE_DATE_EPOCH}")
END
cat >"$share/copyright" <<END
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: dcos-node
Comment:
 The program is one static file. What of others is in it, with all notices and
 licences, is in THIRD-PARTY.txt.gz beside this file.

Files: *
Copyright: $(date --date="@$SOURCE_DATE_EPOCH" +%Y) the developers of dcos-node
License: Apache-2.0
 Licensed under the Apache License, Version 2.0; you may not use this software
 except in compliance with the License. On Debian systems its full text is in
 /usr/share/common-licenses/Apache-2.0.
END
size=$(find "$deb" -type f -printf '%s\n' |
    awk '{ sum += int(($1 + 1023) / 1024) } END { print sum }')
mkdir "$deb/DEBIAN"
cat >"$deb/DEBIAN/control" <<END
Package: dcos-node
Version: $version-$revision
Architecture: amd64
Maintainer: $maintainer
Installed-Size: $size
Section: admin
Priority: optional
Description: installs, checks and removes DC/OS on a node
 One static program in place of dcos_install.sh and pkgpanda: it checks the
 node before it touches it, survives being killed at any point, and can take
 everything away again.
END
(cd "$deb" && find usr -type f | sort | xargs md5sum) >"$deb/DEBIAN/md5sums"
find "$deb" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
# gzip, whose bytes do not depend on how many processors pack.
dpkg-deb --root-owner-group --uniform-compression -Zgzip -z9 \
    --build "$deb" "$out/$deb_name" >/dev/null

cd "$out"
sha256sum "$name.tar.gz" "$deb_name" >SHA256SUMS
cat SHA256SUMS
