#!/usr/bin/env bats
# The certificates that the webhook makes itself (--manage-certs), with the lifetimes of the manifests.
# e2e/manage_certs.bats has them compressed to seconds.

load ../lib
load node

setup_file() {
	start_file node-certificates
}

teardown_file() {
	end_file
}

# In place of that in node.bash: a test that failed must not leave the webhook without its right.
teardown() {
	load_end
	[[ -z ${role:-} ]] || give_right_back
}

secret() {
	in_system get secret callboard-webhook-tls -o json | jq -r --arg file "$1" '.data[$file]' | base64 -d
}

# bundle KIND
bundle() {
	kubectl get "${1}webhookconfiguration" callboard -o jsonpath='{.webhooks[0].clientConfig.caBundle}' | base64 -d
}

bundles_are_of_the_secret() {
	[[ $(bundle mutating) == "$(secret ca.crt)" && $(bundle validating) == "$(secret ca.crt)" ]]
}

state() {
	in_system get secret callboard-webhook-tls -o jsonpath='{.metadata.resourceVersion} '
	kubectl get mutatingwebhookconfiguration,validatingwebhookconfiguration callboard \
		-o jsonpath='{.items[*].metadata.resourceVersion}'
}

# every_pod_serves_the_secret: by the metrics of each.
every_pod_serves_the_secret() {
	local end pod
	end=$(date -ud "$(secret tls.crt | openssl x509 -noout -enddate | cut -d= -f2)" +%s)
	for pod in $(webhook_pods); do
		[[ $(printf '%.0f' "$(pod_metric "$pod" callboard_webhook_certificate_expiry_timestamp_seconds)") == "$end" ]] ||
			return 1
	done
}

# signed_by AUTHORITY: whether the Secret's pair is.
signed_by() {
	openssl verify -partial_chain -CAfile <(echo "$1") <(secret tls.crt)
}

@test "the certificate is of the authority, for the Service, ECDSA P-256" {
	secret ca.crt >"$BATS_TEST_TMPDIR/ca"
	secret tls.crt >"$BATS_TEST_TMPDIR/crt"
	openssl verify -CAfile "$BATS_TEST_TMPDIR/ca" -purpose sslserver \
		-verify_hostname callboard-webhook.callboard-system.svc "$BATS_TEST_TMPDIR/crt"
	assert_contains "$(openssl x509 -in "$BATS_TEST_TMPDIR/crt" -noout -text)" "NIST CURVE: P-256"
	assert_contains "$(openssl x509 -in "$BATS_TEST_TMPDIR/ca" -noout -text)" "NIST CURVE: P-256"
	assert_contains "$(openssl x509 -in "$BATS_TEST_TMPDIR/ca" -noout -text)" "CA:TRUE, pathlen:0"
	eventually 60 bundles_are_of_the_secret
	assert_lacks "$(in_system get secret callboard-webhook-tls -o json | jq .metadata)" last-applied
}

# metrics_of POD
metrics_of() {
	kubectl get --raw "/api/v1/namespaces/callboard-system/pods/$1:8080/proxy/metrics"
}

# assert_pods_lack TEXT: neither logs nor metrics have it.
assert_pods_lack() {
	local pod
	for pod in $(webhook_pods); do
		assert_lacks "$(in_system logs "$pod")" "$1"
		assert_lacks "$(metrics_of "$pod")" "$1"
	done
}

@test "no key is in a pod, in a log or in a metric" {
	local file line
	assert_lacks "$(in_system get pods -o json)" callboard-webhook-tls
	for file in ca.key tls.key; do
		# The first line of the key itself.
		line=$(secret "$file" | sed -n 2p)
		((${#line} > 20)) || fail "no key"
		assert_pods_lack "$line"
	done
}

# looks POD: how often it has read something.
looks() {
	metrics_of "$1" | awk 'index($0, "rest_client_requests_total{code=\"200\",method=\"GET\"") == 1 {sum += $2}
		END {print sum + 0}'
}

@test "replicas write nothing when all is well" {
	local before reader first
	before=$(state)
	reader=$(webhook_pods | head -n 1)
	first=$(looks "$reader")
	# Three objects each time.
	looked_twice() {
		(($(looks "$reader") >= first + 6))
	}
	eventually 90 looked_twice
	assert_equal "$before" "$(state)"
}

@test "a caBundle that was emptied is filled again" {
	kubectl patch validatingwebhookconfiguration callboard --type=json \
		-p '[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]'
	eventually 60 bundles_are_of_the_secret
	eventually 60 create_performer repaired
}

@test "a Secret that was deleted is made again with a new authority, and nothing fails meanwhile" {
	local before
	before=$(secret ca.crt)
	load_start
	in_system delete secret callboard-webhook-tls
	of_a_new_authority() {
		! signed_by "$before" && signed_by "$(secret ca.crt)" && every_pod_serves_the_secret
	}
	eventually 120 of_a_new_authority
	load_stop 200
	# The old one stays trusted, as its certificate has not ended yet.
	assert_equal 2 "$(authorities mutatingwebhookconfiguration)"
	assert_equal 2 "$(authorities validatingwebhookconfiguration)"
}

give_right_back() {
	jq 'del(.metadata.resourceVersion)' <<<"$role" | kubectl replace -f -
	role=
}

@test "a Secret that was deleted is made again only with the right to create it" {
	role=$(in_system get role callboard-webhook-certificates -o json)
	jq '.rules[].verbs -= ["create"]' <<<"$role" | kubectl replace -f -
	eventually 60 lacks_right webhook create secrets
	in_system delete secret callboard-webhook-tls
	says_why() {
		in_system logs -l app.kubernetes.io/name=callboard-webhook --tail 20 | grep "the certificates cannot be kept" |
			grep 'cannot create resource \\*"secrets'
	}
	eventually 90 says_why
	assert_equal "" "$(in_system get secret callboard-webhook-tls --ignore-not-found -o name)"
	give_right_back
	eventually 90 in_system get secret callboard-webhook-tls
	create_performer meanwhile
}

@test "a Secret of cert-manager is left alone" {
	in_system annotate secret callboard-webhook-tls cert-manager.io/certificate-name=callboard-webhook
	said() {
		in_system logs "$(webhook_pods | head -n 1)" | grep "belongs to cert-manager"
	}
	eventually 60 said
	in_system annotate secret callboard-webhook-tls cert-manager.io/certificate-name-
}
