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

@test "a rolling restart fails no request" {
	load_start
	document docs/operations.md "Restarts and drains"
	# Until the last of the old pods is gone.
	eventually 60 test "$(webhook_pods | wc -l)" = 2
	eventually 90 old_pods_are_gone
	load_stop 500
}

old_pods_are_gone() {
	(($(in_system get pods -l app.kubernetes.io/name=callboard-webhook -o name | wc -l) == 2))
}

@test "a drain of the node is held up by the budget, one replica at a time" {
	local pods first second
	mapfile -t pods < <(webhook_pods)
	evict() {
		jq -n --arg name "$1" --arg namespace "$system" \
			'{apiVersion: "policy/v1", kind: "Eviction", metadata: {$name, $namespace}}' |
			kubectl create --raw "/api/v1/namespaces/$system/pods/$1/eviction" -f -
	}
	load_start
	first=$(evict "${pods[0]}")
	assert_contains "$first" '"status":"Success"'
	run evict "${pods[1]}"
	assert_fails
	second=$output
	assert_contains "$second" "disruption budget"
	webhook_is_ready
	eventually 60 evict "${pods[1]}"
	webhook_is_ready
	eventually 90 old_pods_are_gone
	load_stop 500
}
