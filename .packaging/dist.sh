#!/bin/sh
# Packs a built dcos-node: a plain tarball and a Debian package, the same bytes from the same program, source and commit.
#
# .packaging/dist.sh PROGRAM DIRECTORY: reads PROGRAM and this source tree, writes both files and their SHA-256 into DIRECTORY.
# Every time in them is SOURCE_DATE_EPOCH; without it, that of the last commit. It takes dpkg-deb, GNU tar and gzip, as each Debian has them.
set -eu

program=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
source=$(realpath "$(dirname "$0")/..")
cd "$source"

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
name=dcos-node-$version-x86_64
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The tarball: as it lies in the source, with what the program makes itself.
plain=$work/$name
install -D -m 755 "$program" "$plain/dcos-node"
install -m 644 LICENSE README.md CHANGELOG.md "$plain"
install -D -m 644 -t "$plain/docs" docs/*.md
install -D -m 644 -t "$plain/man" docs/man/*.8
mkdir "$plain/completions"
for shell in bash zsh fish; do "$program" completions $shell >"$plain/completions/dcos-node.$shell"; done

# Sorted, without names or times of the machine that packs.
pack() {
    tar --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=go-w -C "$work" -cf - "$1" | gzip -9n
}
pack "$name" >"$out/$name.tar.gz"

# The Debian package: the same files where Debian's policy has them.
deb=$work/deb
install -D -m 755 "$program" "$deb/usr/bin/dcos-node"
for page in docs/man/*.8; do
    mkdir -p "$deb/usr/share/man/man8"
    gzip -9nc "$page" >"$deb/usr/share/man/man8/$(basename "$page").gz"
done
install -D -m 644 "$plain/completions/dcos-node.bash" "$deb/usr/share/bash-completion/completions/dcos-node"
install -D -m 644 "$plain/completions/dcos-node.zsh" "$deb/usr/share/zsh/vendor-completions/_dcos-node"
install -D -m 644 "$plain/completions/dcos-node.fish" "$deb/usr/share/fish/vendor_completions.d/dcos-node.fish"
install -D -m 644 LICENSE "$deb/usr/share/doc/dcos-node/copyright"
install -m 644 README.md "$deb/usr/share/doc/dcos-node"
gzip -9nc CHANGELOG.md >"$deb/usr/share/doc/dcos-node/changelog.gz"
install -D -m 644 -t "$deb/usr/share/doc/dcos-node/docs" docs/*.md
size=$(find "$deb" -type f -printf '%s\n' | awk '{ sum += int(($1 + 1023) / 1024) } END { print sum }')
mkdir "$deb/DEBIAN"
cat >"$deb/DEBIAN/control" <<END
Package: dcos-node
Version: $version
Architecture: amd64
Maintainer: dcos-node developers <dcos-node@localhost>
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
dpkg-deb --root-owner-group --uniform-compression -Zgzip -z9 --build "$deb" "$out/dcos-node_${version}_amd64.deb" >/dev/null

cd "$out"
sha256sum "$name.tar.gz" "dcos-node_${version}_amd64.deb" >SHA256SUMS
cat SHA256SUMS
