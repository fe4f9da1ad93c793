#!/usr/bin/env bats
# The container image, before anything runs in it.

load ../lib
load node

# files: what is in the image, one path a line.
files() {
	tar -xOf build/image/callboard-*.tar --wildcards '*.tar' | tar -t
}

config() {
	tar -xOf build/image/callboard-*.tar "$(tar -xOf build/image/callboard-*.tar manifest.json | jq -r '.[0].Config')"
}

@test "it is small and holds the programs, their libraries and nothing that could be run beside them" {
	local size
	size=$(stat -c %s build/image/callboard-*.tar)
	note "$((size / 1024)) KiB"
	((size < 28 * 1024 * 1024))
	assert_equal "$(cd build && ls callboard-* | grep -v json | sed 's|^|usr/bin/|')" "$(files | grep '^usr/bin/.')"
	# Every file that may be executed is a program or a library.
	assert_equal "" "$(tar -xOf build/image/callboard-*.tar --wildcards '*.tar' | tar -tv |
		awk '/^-..x/ && $6 !~ /^usr\/bin\/callboard-/ && $6 !~ /\.so[.0-9]*$/ {print $6}')"
}

@test "it runs as a user without rights" {
	assert_equal 65532:65532 "$(config | jq -r .config.User)"
	assert_equal "" "$(tar -xOf build/image/callboard-*.tar --wildcards '*.tar' | tar -tv |
		awk '$1 ~ /^-..s|^-.....s|^.......w/ {print}')"
}

@test "it names its Debian packages and carries their licences" {
	local package
	assert_contains "$(files)" etc/os-release
	for package in $(files | sed -n 's|^var/lib/dpkg/status.d/\(.\)|\1|p'); do
		assert_contains "$(files)" "usr/share/doc/$package/copyright"
	done
	assert_contains "$(files)" var/lib/dpkg/status.d/libc6
	assert_contains "$(files)" usr/share/doc/callboard/copyright
}

@test "the same sources make the same image" {
	local before
	before=$(sha256sum build/image/callboard-*.tar)
	document docs/install.md "The image"
	assert_equal "$before" "$(sha256sum build/image/callboard-*.tar)"
}

@test "the manifests name the version that is built" {
	local version
	version=$(build/callboard-webhook version | grep -oE '[0-9]+\.[0-9.]+' | head -n 1)
	assert_equal "callboard:$version" "$(kubectl kustomize manifests/default |
		sed -n 's/^ *image: //p' | sort -u)"
	test -e "build/image/callboard-$version.tar"
}
