#!/usr/bin/env bats
# hack/webhook-certs: what it makes, leaves alone, repairs and rotates.

load ../lib
load node

setup_file() {
	start_file node-certificates
}

teardown_file() {
	end_file
}

secret() {
	in_system get secret callboard-webhook-tls -o json | jq -r --arg file "$1" '.data[$file]' | base64 -d
}

state() {
	in_system get secret callboard-webhook-tls -o jsonpath='{.metadata.resourceVersion} '
	kubectl get mutatingwebhookconfiguration,validatingwebhookconfiguration callboard \
		-o jsonpath='{.items[*].metadata.resourceVersion}'
}

# expiry: what each pod says of its certificate.
expiries() {
	local pod
	for pod in $(webhook_pods); do
		pod_metric "$pod" callboard_webhook_certificate_expiry_timestamp_seconds
	done | sort -u
}

@test "the certificate is of the authority, for the Service, ECDSA P-256" {
	secret ca.crt >"$BATS_TEST_TMPDIR/ca"
	secret tls.crt >"$BATS_TEST_TMPDIR/crt"
	openssl verify -CAfile "$BATS_TEST_TMPDIR/ca" -purpose sslserver \
		-verify_hostname callboard-webhook.callboard-system.svc "$BATS_TEST_TMPDIR/crt"
	assert_contains "$(openssl x509 -in "$BATS_TEST_TMPDIR/crt" -noout -text)" "NIST CURVE: P-256"
	assert_contains "$(openssl x509 -in "$BATS_TEST_TMPDIR/ca" -noout -text)" "NIST CURVE: P-256"
	assert_equal kubernetes.io/tls "$(in_system get secret callboard-webhook-tls -o jsonpath='{.type}')"
	assert_lacks "$(in_system get secret callboard-webhook-tls -o json | jq .metadata)" last-applied
	assert_lacks "$(in_system get pods -o json)" ca.key
}

@test "it changes nothing when all is well" {
	local before
	before=$(state)
	hack/webhook-certs
	hack/webhook-certs --finish
	assert_equal "$before" "$(state)"
}

@test "it repairs a caBundle that was emptied" {
	kubectl patch validatingwebhookconfiguration callboard --type=json \
		-p '[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]'
	refused() {
		try refused . && [[ $stderr == *"x509: certificate signed by unknown authority"* ]]
	}
	eventually 10 refused
	hack/webhook-certs
	eventually 10 create_performer repaired
	assert_equal "$(secret ca.crt)" "$(kubectl get validatingwebhookconfiguration callboard \
		-o jsonpath='{.webhooks[0].clientConfig.caBundle}' | base64 -d)"
}

@test "a rotation fails no request" {
	local authority expiry
	authority=$(secret ca.crt) expiry=$(expiries)
	load_start
	hack/webhook-certs --rotate --settle 5
	load_stop 200
	[[ $(secret ca.crt) != "$authority" ]] || fail "the authority is the old one"
	[[ $(expiries) != "$expiry" && $(expiries | wc -l) == 1 ]] || fail "the certificate is the old one"
	assert_equal 1 "$(authorities mutatingwebhookconfiguration)"
	assert_equal "$(secret ca.crt)" "$(kubectl get mutatingwebhookconfiguration callboard \
		-o jsonpath='{.webhooks[0].clientConfig.caBundle}' | base64 -d)"
	create_performer rotated
}

@test "a rotation that was cut off leaves a cluster that works, and --finish ends it" {
	local before rotation
	before=$(secret ca.crt)
	load_start
	# Ended, with its children, while it gives the apiserver time.
	mkdir "$BATS_TEST_TMPDIR/keys"
	TMPDIR=$BATS_TEST_TMPDIR/keys setsid hack/webhook-certs --rotate --settle 300 \
		2>"$BATS_TEST_TMPDIR/rotate" 3>&- &
	rotation=$!
	eventually 60 grep -q "giving apiservers 300 s" "$BATS_TEST_TMPDIR/rotate"
	[[ $(ls "$BATS_TEST_TMPDIR/keys") ]]
	kill -- "-$rotation"
	wait "$rotation" || true
	assert_equal "" "$(ls "$BATS_TEST_TMPDIR/keys")"
	assert_equal 2 "$(authorities mutatingwebhookconfiguration)"
	assert_equal "$before" "$(secret ca.crt)"
	run hack/webhook-certs
	assert_ok
	assert_contains "$output" "hack/webhook-certs --finish removes it"
	hack/webhook-certs --finish
	load_stop 100
	assert_equal 1 "$(authorities mutatingwebhookconfiguration)"
	assert_equal 1 "$(authorities validatingwebhookconfiguration)"
}

@test "a certificate that ends soon is renewed by the same authority, without a failed request" {
	local authority certificate
	authority=$(secret ca.crt) certificate=$(secret tls.crt)
	load_start
	hack/webhook-certs --renew-before 370 --days 400
	renewed() {
		[[ $(expiries) == "$(date -ud "$(secret tls.crt | openssl x509 -noout -enddate | cut -d= -f2)" +%s)" ]]
	}
	eventually 30 renewed
	load_stop 100
	assert_equal "$authority" "$(secret ca.crt)"
	[[ $certificate != "$(secret tls.crt)" ]] || fail "it is the old one"
}

@test "an authority that ends too soon is said to need a rotation" {
	run hack/webhook-certs --renew-before 4000 --days 4001
	assert_fails
	assert_contains "$output" "run hack/webhook-certs --rotate"
}

@test "a Secret that was deleted is made again, and nothing fails meanwhile" {
	local authority
	authority=$(secret ca.crt)
	load_start
	in_system delete secret callboard-webhook-tls
	hack/webhook-certs
	hack/webhook-certs --finish
	load_stop 100
	[[ $(secret ca.crt) != "$authority" ]]
	assert_equal 1 "$(authorities mutatingwebhookconfiguration)"
}

@test "a Secret of cert-manager, or one without ca.key, is left alone" {
	local before
	in_system annotate secret callboard-webhook-tls cert-manager.io/certificate-name=callboard-webhook
	before=$(state)
	run hack/webhook-certs --rotate
	assert_fails
	assert_contains "$output" "the Secret callboard-webhook-tls belongs to cert-manager"
	assert_equal "$before" "$(state)"
	in_system annotate secret callboard-webhook-tls cert-manager.io/certificate-name-
	in_system get secret callboard-webhook-tls -o json >"$BATS_TEST_TMPDIR/secret.json"
	in_system patch secret callboard-webhook-tls --type=json -p '[{"op":"remove","path":"/data/ca.key"}]'
	run hack/webhook-certs
	assert_fails
	assert_contains "$output" "the Secret callboard-webhook-tls has no ca.key"
	in_system patch secret callboard-webhook-tls --type=merge \
		-p "$(jq '{data: .data}' "$BATS_TEST_TMPDIR/secret.json")"
	hack/webhook-certs
}

@test "an expired certificate is served, and the message says what is wrong" {
	local dir=$BATS_TEST_TMPDIR
	in_system get secret callboard-webhook-tls -o json >"$dir/secret.json"
	secret ca.crt >"$dir/ca.crt"
	secret ca.key >"$dir/ca.key"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=callboard-webhook \
		-keyout "$dir/tls.key" -out "$dir/csr"
	openssl x509 -req -days -1 -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -in "$dir/csr" -out "$dir/tls.crt" \
		-extfile <(echo subjectAltName=DNS:callboard-webhook.callboard-system.svc)
	in_system patch secret callboard-webhook-tls --type=merge -p "$(jq -n \
		--arg crt "$(base64 -w0 "$dir/tls.crt")" --arg key "$(base64 -w0 "$dir/tls.key")" \
		'{data: {"tls.crt": $crt, "tls.key": $key}}')"
	hurry_pods
	expired() {
		in_system logs -l app.kubernetes.io/name=callboard-webhook --tail 5 |
			grep "the certificate has expired: the apiserver refuses it"
	}
	eventually 30 expired
	# The apiserver goes on with the connections that it has, until another bundle makes it begin anew.
	kubectl patch mutatingwebhookconfiguration callboard --type=json -p "$(jq -n \
		--arg bundle "$( (cat "$dir/ca.crt" && echo) | base64 -w0)" \
		'[{op: "replace", path: "/webhooks/0/clientConfig/caBundle", value: $bundle}]')"
	refused() {
		try expired . && [[ $stderr == *"x509: certificate has expired or is not yet valid"* ]]
	}
	eventually 30 refused
	hack/webhook-certs
	# Waits until every replica has it.
	hack/webhook-certs --finish
	eventually 30 create_performer valid-again
}

@test "the commands of docs/operations.md on certificates" {
	load_start
	document docs/operations.md Certificates
	load_stop 200
}

@test "wrong options are told" {
	run hack/webhook-certs --days many
	assert_fails
	assert_contains "$output" '--days needs a number of at least 1, not "many"'
	run hack/webhook-certs --namespace nowhere
	assert_fails
	assert_contains "$output" "cannot see the namespace nowhere"
	run hack/webhook-certs --rotat
	assert_fails
	assert_contains "$output" "usage: hack/webhook-certs"
}
