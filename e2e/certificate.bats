#!/usr/bin/env bats
# The certificate changes under a process that goes on serving.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file certificate
	cp -a "$webhook_dir/tls" "$BATS_FILE_TMPDIR/tls-before"
}

teardown_file() {
	local file
	for file in tls.crt tls.key; do
		put "$BATS_FILE_TMPDIR/tls-before/$file" "$webhook_dir/tls/$file"
	done
	rm -rf "$webhook_dir"/tls/..[a-z]*
	webhook restart
	end_file
}

teardown() {
	[[ -z ${load_pid:-} ]] || kill "$load_pid" 2>/dev/null || true
}

# link TARGET LINK: the same with a symbolic link.
link() {
	ln -s "$1" "$2.new"
	mv -T "$2.new" "$2"
}

# new_pair FOLDER: a new authority and a pair signed by it: ca.crt, serving.crt, serving.key.
new_pair() (
	cluster_dir=$1
	# shellcheck source=hack/lib/pki.sh
	source "$root/hack/lib/pki.sh"
	mkdir -p "$cluster_dir/pki"
	pki_authority ca
	pki_certificate ca serving "$(pki_subject callboard-webhook)" "DNS:localhost,IP:127.0.0.1"
	mv "$cluster_dir"/pki/* "$cluster_dir"
)

expiry_of() {
	date -d "$(openssl x509 -noout -enddate -in "$1" | cut -d= -f2)" +%s
}

fingerprint() {
	openssl x509 -noout -fingerprint -sha256 "$@"
}

# serves FILE: whether a new connection is shown this certificate.
serves() {
	[[ $(openssl s_client -connect "127.0.0.1:$(head -n 1 "$webhook_dir/ports")" </dev/null 2>/dev/null | fingerprint) == \
		"$(fingerprint -in "$1")" ]]
}

reloads() {
	metric callboard_webhook_reloads_total file=certificate "result=$1"
}

has_reloaded() {
	(($(reloads "$1") > $2))
}

# trust FILE: registers the CA bundle, and waits until the apiserver has heard of it: it must not ask
# about an object that the same write excludes.
trust() {
	local kind probe patch
	probe=probe-$(openssl rand -hex 4)
	patch=$(jq -nc --arg bundle "$(base64 -w0 "$1")" --arg probe "$probe" '[
		{op: "replace", path: "/webhooks/0/clientConfig/caBundle", value: $bundle},
		{op: "replace", path: "/webhooks/0/matchConditions", value: [
			{name: "not-being-deleted", expression: "!has(object.metadata.deletionTimestamp)"},
			{name: "probe", expression: "!has(object.metadata.name) || object.metadata.name != '\''\($probe)'\''"}]}]')
	for kind in mutating validating; do
		kubectl patch "${kind}webhookconfiguration" callboard --type=json -p "$patch"
	done
	eventually 60 accepts "$probe" '.spec.hardwareRequirements.gpuType = "none-that-exists"'
}

# serve_new_pair FOLDER
serve_new_pair() {
	new_pair "$1"
	put "$1/serving.crt" "$webhook_dir/tls/tls.crt"
	put "$1/serving.key" "$webhook_dir/tls/tls.key"
	eventually 60 serves "$1/serving.crt"
	trust "$1/ca.crt"
}

@test "a new certificate of a new authority is served without one failed request" {
	local pid before tls=$webhook_dir/tls new=$BATS_TEST_TMPDIR/new
	new_pair "$new"
	pid=$(webhook_pid)
	before=$(reloads ok)
	cat "$webhook_dir/pki/ca.crt" "$new/ca.crt" >"$BATS_TEST_TMPDIR/both.crt"
	load_begin -clients 4 -least 50
	trust "$BATS_TEST_TMPDIR/both.crt"
	put "$new/serving.crt" "$tls/tls.crt"
	put "$new/serving.key" "$tls/tls.key"
	eventually 60 serves "$new/serving.crt"
	trust "$new/ca.crt"
	accepts after
	load_end
	assert_no_failure 50

	assert_equal "$pid" "$(webhook_pid)"
	has_reloaded ok "$before"
	assert_equal "$(expiry_of "$new/serving.crt")" "$(metric callboard_webhook_certificate_expiry_timestamp_seconds)"
}

@test "a new certificate is noticed when a whole folder is swapped, as the kubelet does it" {
	local tls=$webhook_dir/tls pair
	for pair in one two; do
		new_pair "$BATS_TEST_TMPDIR/$pair"
		mkdir "$tls/..$pair"
		cp "$BATS_TEST_TMPDIR/$pair/serving.crt" "$tls/..$pair/tls.crt"
		cp "$BATS_TEST_TMPDIR/$pair/serving.key" "$tls/..$pair/tls.key"
	done
	link ..one "$tls/..data"
	link ..data/tls.crt "$tls/tls.crt"
	link ..data/tls.key "$tls/tls.key"
	eventually 60 serves "$BATS_TEST_TMPDIR/one/serving.crt"
	link ..two "$tls/..data"
	eventually 60 serves "$BATS_TEST_TMPDIR/two/serving.crt"
	trust "$BATS_TEST_TMPDIR/two/ca.crt"
	accepts after
}

@test "a broken certificate keeps the old one in use until it is corrected" {
	local tls=$webhook_dir/tls errors
	errors=$(reloads error)
	cp "$tls/tls.crt" "$BATS_TEST_TMPDIR/before.crt"
	echo "no certificate" >"$BATS_TEST_TMPDIR/broken"
	put "$BATS_TEST_TMPDIR/broken" "$tls/tls.crt"
	eventually 60 has_reloaded error "$errors"
	accepts after
	serves "$BATS_TEST_TMPDIR/before.crt"
	assert_contains "$(cat "$webhook_dir"/logs/webhook-*.log)" "the new certificate does not work; the old one stays in use"

	serve_new_pair "$BATS_TEST_TMPDIR/corrected"
	accepts after
}

@test "a key that does not belong to the certificate keeps the old pair in use until it is corrected" {
	local tls=$webhook_dir/tls errors
	errors=$(reloads error)
	cp "$tls/tls.crt" "$BATS_TEST_TMPDIR/before.crt"
	new_pair "$BATS_TEST_TMPDIR/other"
	put "$BATS_TEST_TMPDIR/other/serving.key" "$tls/tls.key"
	eventually 60 has_reloaded error "$errors"
	accepts after
	serves "$BATS_TEST_TMPDIR/before.crt"

	serve_new_pair "$BATS_TEST_TMPDIR/corrected"
	accepts after
}
