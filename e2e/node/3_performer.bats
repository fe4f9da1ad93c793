#!/usr/bin/env bats
# Performers whose pods really run: a kubelet that pulls, starts, probes and ends them, a Service that leads
# to them, and the installed controller.

load ../lib
load node

image=callboard.dev/performer:1

setup_file() {
	start_file node-performer
	# shellcheck source=hack/lib/common.sh
	source "$root/hack/lib/common.sh"
	# shellcheck source=hack/lib/go.sh
	source "$root/hack/lib/go.sh"
	mkdir -p "$root/build/e2e/image"
	(cd "$root/e2e" && CGO_ENABLED=0 GOFLAGS="-mod=readonly -trimpath" \
		"$(go_find)" build -o "$root/build/e2e/image/performer" ./performer)
	"$root/hack/cluster" image "$image" "$root/build/e2e/image" /performer serve
}

teardown_file() {
	end_file
}

# Of every test: bats would wait for a client of one that failed.
teardown() {
	[[ -z ${calls_pid:-} ]] || kill "$calls_pid"
}

# run_performer NAME [FILTER]: one of our image.
run_performer() {
	create_performer "$1" ".spec.image = \"$image\" | ${2:-.}"
}

# runs NAME: as its present spec says.
runs() {
	[[ $(stored "$1" '[.status.phase, .status.ready, .metadata.generation == .status.observedGeneration]') == \
		'["Running",true,true]' ]]
}

pod_of() {
	kubectl get performer "$1" -o jsonpath='{.status.podName}'
}

# change NAME VALUE: gives it another environment, which takes another pod; waits until that serves.
change() {
	local before
	before=$(pod_of "$1")
	kubectl patch performer "$1" --type=merge -p "{\"spec\":{\"config\":{\"environment\":{\"V\":\"$2\"}}}}"
	changed() {
		runs "$1" && [[ $(pod_of "$1") != "$before" ]]
	}
	eventually 120 changed "$1"
}

calls_begin() {
	local address
	address=$(kubectl get service "performer-$1" -o jsonpath='{.spec.clusterIP}'):9090
	"$root/build/e2e/image/performer" call "$address" >"$BATS_TEST_TMPDIR/calls" 3>&- &
	calls_pid=$!
}

# calls_end: fails when one of them did.
calls_end() {
	kill -TERM "$calls_pid"
	wait "$calls_pid"
	calls_pid=
	note "$(jq -c 'map_values({calls, failures: (.failures | length)})' "$BATS_TEST_TMPDIR/calls")"
	jq -e 'all(.calls > 10 and .failures == [])' "$BATS_TEST_TMPDIR/calls" >/dev/null ||
		fail "$(cat "$BATS_TEST_TMPDIR/calls")"
}

@test "a Performer becomes Running, and its endpoint answers" {
	run_performer echo '.spec.config = {environment: {V: "1"}} | .spec.upgradeStrategy = "BlueGreen"'
	eventually 120 runs echo
	assert_stored echo '[.status.stage, .status.grpcEndpoint]' \
		"[\"Running\",\"performer-echo.$NS.svc.cluster.local:9090\"]"
	assert_stored echo '[.status.conditions[] | .status] | unique' '["True"]'
	calls_begin echo
	kubectl run resolves --image=callboard.dev/busybox:1 --restart=Never -- \
		nslookup "performer-echo.$NS.svc.cluster.local"
	kubectl wait pod/resolves --for=jsonpath='{.status.phase}'=Succeeded --timeout=120s
	calls_end
}

@test "an upgrade in BlueGreen loses no call" {
	calls_begin echo
	change echo 2
	# Until the last of the old pod is gone.
	one_is_left() {
		[[ $(kubectl get pods -l hourglass.eigenlayer.io/performer=echo -o name) == "pod/$(pod_of echo)" ]]
	}
	eventually 120 one_is_left
	calls_end
	assert_equal 2 "$(kubectl get pod "$(pod_of echo)" -o json | jq -r '.spec.containers[0].env[] | select(.name == "V").value')"
}

@test "the controllers are replaced, and no Performer notices" {
	local pod leader
	pod=$(kubectl get pod "$(pod_of echo)" -o json | jq -c '[.metadata.resourceVersion, .status.containerStatuses[0].restartCount]')
	leader=$(in_system get lease callboard-controller -o jsonpath='{.spec.holderIdentity}')
	calls_begin echo
	in_system rollout restart deployment/callboard-controller
	in_system rollout status deployment/callboard-controller --timeout=90s
	another_leads() {
		local now
		now=$(in_system get lease callboard-controller -o jsonpath='{.spec.holderIdentity}')
		[[ -n $now && $now != "$leader" ]]
	}
	eventually 90 another_leads
	run_performer after '.spec.config = {environment: {V: "1"}}'
	eventually 120 runs after
	calls_end
	assert_equal "$pod" \
		"$(kubectl get pod "$(pod_of echo)" -o json | jq -c '[.metadata.resourceVersion, .status.containerStatuses[0].restartCount]')"
}

@test "Recreate replaces the pod" {
	change after 2
	assert_equal 1 "$(kubectl get pods -l hourglass.eigenlayer.io/performer=after -o name | wc -l)"
}

@test "an image that is not there is Failed with the kubelet's words" {
	create_performer missing '.spec.image = "callboard.dev/not-there:1" | .spec.imagePullPolicy = "Never"'
	eventually 120 eval '[[ $(stored missing .status.phase) == "\"Failed\"" ]]'
	assert_contains "$(stored missing .status.conditions)" ErrImageNeverPull
	assert_contains "$(stored missing .status.conditions)" "callboard.dev/not-there:1"
}

@test "a container that ends is Failed with its status, and tried again" {
	run_performer crashing '.spec.config = {command: ["/performer", "serve", "-fail", "7"]}'
	eventually 120 eval '[[ $(stored crashing .status.phase) == "\"Failed\"" ]]'
	assert_contains "$(stored crashing .status.conditions)" "exit code 7"
	eventually 120 eval '(($(stored crashing .status.retries) >= 1))'
}

@test "deletion leaves neither pod nor Service" {
	kubectl delete performers --all --timeout=120s
	assert_equal "" "$(kubectl get pods,services -l app=hourglass-performer -o name)"
}
