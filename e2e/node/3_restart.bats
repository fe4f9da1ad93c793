#!/usr/bin/env bats
# Restarting and draining, under load: not one request may fail.

load ../lib
load node

setup_file() {
	start_file node-restart
}

teardown_file() {
	end_file
}

# ends: when the Secret's certificate does.
ends() {
	date -ud "$(in_system get secret callboard-webhook-tls -o jsonpath='{.data.tls\.crt}' | base64 -d |
		openssl x509 -noout -enddate | cut -d= -f2)" +%s
}

# authority_is_new: every pod serves a certificate of the new authority, and the old one is trusted no more.
authority_is_new() {
	local end pod
	end=$(ends)
	[[ $(authorities mutatingwebhookconfiguration) == 1 && $(authorities validatingwebhookconfiguration) == 1 ]] || return 1
	for pod in $(webhook_pods); do
		[[ $(printf '%.0f' "$(pod_metric "$pod" callboard_webhook_certificate_expiry_timestamp_seconds)") == "$end" ]] ||
			return 1
	done
}

@test "ten thousand admissions during three rolling restarts and a change of the authority: none fails" {
	local before i pid
	before=$(ends)
	load_start 60
	document docs/operations.md Certificates
	for i in 1 2; do
		in_system rollout restart deployment/callboard-webhook
		in_system rollout status deployment/callboard-webhook --timeout=120s
	done
	document docs/operations.md "Restarts and drains"
	eventually 180 authority_is_new
	(($(ends) > before))
	eventually 90 old_pods_are_gone
	eventually 300 load_has_made 10000
	for pid in $(pids webhook); do
		note "a replica under load: $(awk '/^(VmRSS|RssAnon)/ {printf "%s %s KiB ", $1, $2}' "/proc/$pid/status")"
	done
	load_stop 10000
}

old_pods_are_gone() {
	(($(in_system get pods -l app.kubernetes.io/name=callboard-webhook -o name | wc -l) == 2))
}

@test "a drain of the node is held up by the budget, one replica at a time" {
	local pods first second
	# By curl, as the second one must be asked for before there is a replacement of the first.
	evict() {
		jq -n --arg name "$1" --arg namespace "$system" \
			'{apiVersion: "policy/v1", kind: "Eviction", metadata: {$name, $namespace}}' |
			api POST "/api/v1/namespaces/$system/pods/$1/eviction" -H 'Content-Type: application/json' --data-binary @-
	}
	is_evicted() {
		evict "$1" | jq -e '.status == "Success"'
	}
	one_may_go() {
		[[ $(in_system get poddisruptionbudget callboard-webhook -o jsonpath='{.status.disruptionsAllowed}') == 1 ]]
	}
	webhook_is_ready
	eventually 60 one_may_go
	mapfile -t pods < <(webhook_pods)
	load_start
	first=$(evict "${pods[0]}")
	second=$(evict "${pods[1]}")
	assert_equal Success "$(jq -r .status <<<"$first")"
	assert_equal "Failure 429" "$(jq -r '"\(.status) \(.code)"' <<<"$second")"
	assert_contains "$(jq -r .message <<<"$second")" "disruption budget"
	webhook_is_ready
	eventually 60 is_evicted "${pods[1]}"
	webhook_is_ready
	eventually 90 old_pods_are_gone
	load_stop 500
}
