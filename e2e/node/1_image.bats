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
	# Programs, libraries, certificates, and what tells about them.
	assert_equal "" "$(files | grep -v '/$' | grep -vE '^usr/bin/callboard-|\.so[.0-9]*$|^etc/ssl/certs/ca-certificates.crt$' |
		grep -vE '^etc/(passwd|group|os-release)$|^usr/share/doc/|^var/lib/dpkg/status.d/')"
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

@test "the authorities that it trusts are those of the Debian package, and no other" {
	unpack
	assert_equal "$(find /usr/share/ca-certificates/mozilla -name '*.crt' | wc -l)" \
		"$(openssl crl2pkcs7 -nocrl -certfile "$BATS_TEST_TMPDIR/image/etc/ssl/certs/ca-certificates.crt" |
			openssl pkcs7 -print_certs -noout | grep -c '^subject')"
}

# unpack: the image into a folder of the test.
unpack() {
	mkdir "$BATS_TEST_TMPDIR/image"
	tar -xOf build/image/callboard-*.tar --wildcards '*.tar' | tar -C "$BATS_TEST_TMPDIR/image" -x
}

# sbom FILTER: what the jq filter finds in the list of what is in the image.
sbom() {
	jq -r "$1" build/image/callboard-*.spdx.json
}

@test "its SBOM lists every file with its checksum, and nothing else" {
	unpack
	local list=usr/share/doc/callboard/callboard.spdx.json
	cmp build/image/callboard-*.spdx.json "$BATS_TEST_TMPDIR/image/$list"
	assert_equal "SPDX-2.3 CC0-1.0 SPDXRef-DOCUMENT" "$(sbom '[.spdxVersion, .dataLicense, .SPDXID] | join(" ")')"
	sbom '.files[] | (.checksums[] | select(.algorithm == "SHA256") | .checksumValue) + "  " + .fileName' |
		sort -k 2 >"$BATS_TEST_TMPDIR/listed"
	(cd "$BATS_TEST_TMPDIR/image" && find . -type f ! -path "./$list" -exec sha256sum {} +) |
		sort -k 2 >"$BATS_TEST_TMPDIR/found"
	(($(wc -l <"$BATS_TEST_TMPDIR/found") > 100))
	diff "$BATS_TEST_TMPDIR/listed" "$BATS_TEST_TMPDIR/found"
	# Over the SHA-1 of all files, sorted: SPDX 2.3, 7.9.
	assert_equal "$(cd "$BATS_TEST_TMPDIR/image" && find . -type f ! -path "./$list" -exec sha1sum {} + |
		cut -d' ' -f1 | LC_ALL=C sort | tr -d '\n' | sha1sum | cut -d' ' -f1)" \
		"$(sbom '.packages[0].packageVerificationCode.packageVerificationCodeValue')"
}

@test "its SBOM names the Debian package of every library by version and package URL" {
	local package
	# What is there for scanners of the other kind says the same.
	assert_equal "$(files | sed -n 's|^var/lib/dpkg/status.d/\(.\)|\1|p' | sort)" \
		"$(sbom '.packages[1:][].name' | sort)"
	for package in $(sbom '.packages[1:][].name'); do
		assert_equal "$(dpkg-query --show --showformat '${Version}\n' "$package" | head -n 1)" \
			"$(sbom ".packages[] | select(.name == \"$package\").versionInfo")"
	done
	assert_equal 0 "$(sbom '[.packages[1:][].externalRefs[0].referenceLocator
		| select(test("^pkg:deb/debian/[a-z0-9.+-]+@[^/?+]+\\?arch=(amd64|arm64|all)&distro=debian-12(&upstream=[^&]+)?$") | not)]
		| length')"
	# Each file of a package is tied to it; no name is used twice, and none leads nowhere.
	assert_equal "libc6" "$(sbom '. as $all | .files[] | select(.fileName | endswith("/libc.so.6")).SPDXID as $file
		| $all.relationships[] | select(.spdxElementId == $file).relatedSpdxElement as $package
		| $all.packages[] | select(.SPDXID == $package).name')"
	assert_equal true "$(sbom '[.SPDXID, (.packages, .files)[].SPDXID] as $ids
		| ($ids | length == (unique | length))
			and ([.relationships[] | .spdxElementId, .relatedSpdxElement] - $ids == [])')"
}

@test "the same sources make the same image" {
	local before
	before=$(sha256sum build/image/callboard-*)
	document docs/install.md "The image"
	assert_equal "$before" "$(sha256sum build/image/callboard-*)"
}

# The Dockerfile cannot be built here, without a registry: what it does beyond copying is the same.
@test "the Dockerfile collects the same files and starts them in the same way" {
	assert_equal "$(config | jq -c '.config | [.User, .Env, .Cmd]')" "$(jq -cn \
		--arg user "$(sed -n 's/^USER //p' Dockerfile)" --arg env "$(sed -n 's/^ENV //p' Dockerfile)" \
		--argjson cmd "$(sed -n 's/^CMD //p' Dockerfile)" '[$user, [$env], $cmd]')"
	assert_equal "$(config | jq -r '.config.Labels | with_entries(select(.key | startswith("org."))) | keys[]')" \
		"$(grep -oE 'org\.opencontainers[a-z.]+' Dockerfile | sort)"
	unpack
	make --no-print-directory image-files FOLDER="$BATS_TEST_TMPDIR/files"
	diff -r "$BATS_TEST_TMPDIR/image" "$BATS_TEST_TMPDIR/files"
}

@test "the manifests name the version that is built" {
	local version
	version=$(build/callboard-webhook version | grep -oE '[0-9]+\.[0-9.]+' | head -n 1)
	assert_equal "callboard:$version" "$(kubectl kustomize manifests/default |
		sed -n 's/^ *image: //p' | grep -v /kube-scheduler: | sort -u)"
	test -e "build/image/callboard-$version.tar"
}
