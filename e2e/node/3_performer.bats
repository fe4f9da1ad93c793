#!/usr/bin/env bats
# Performers whose pods really run: a kubelet that pulls, starts, probes and ends them, a Service that leads
# to them, and the installed controller.

load ../lib
load node

image=callboard.dev/performer:1
node=real-0
declare -gA calls_pids=()

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

# Of every test: bats would wait for a client of one that failed, and the next one needs the node.
teardown() {
	local pid
	for pid in "${calls_pids[@]}"; do
		kill "$pid" || true
	done
	kubectl uncordon "$node"
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

# calls_begin NAME: a hundred calls a second over one connection, and a hundred over new ones.
calls_begin() {
	local address
	eventually 60 serves "$1"
	address=$(kubectl get service "performer-$1" -o jsonpath='{.spec.clusterIP}'):9090
	"$root/build/e2e/image/performer" call -rate 100 "$address" >"$BATS_TEST_TMPDIR/calls-$1" 3>&- &
	calls_pids[$1]=$!
}

# calls_stop NAME: ends them; what became of them is in the file calls-NAME.
calls_stop() {
	kill -TERM "${calls_pids[$1]}"
	wait "${calls_pids[$1]}"
	unset "calls_pids[$1]"
	note "$1: $(jq -c 'map_values(del(.failures))' "$BATS_TEST_TMPDIR/calls-$1")"
}

# calls NAME FILTER: whether the jq filter is true of them.
calls() {
	jq -e "$2" "$BATS_TEST_TMPDIR/calls-$1" >/dev/null || fail "$2" "$(cat "$BATS_TEST_TMPDIR/calls-$1")"
}

# calls_end NAME LEAST: fails when one of them did, or when fewer than that many were made of each kind.
calls_end() {
	calls_stop "$1"
	calls "$1" "all(.calls >= $2 and .failed == 0)"
}

# the_pod NAME: what changes when it is replaced, restarted or written to.
the_pod() {
	kubectl get pod "$(pod_of "$1")" -o json |
		jq -c '[.metadata.uid, .metadata.labels, .metadata.annotations, .status.containerStatuses[0].restartCount]'
}

@test "a Performer becomes Running, and its endpoint answers" {
	run_performer echo '.spec.config = {environment: {V: "1"}} | .spec.upgradeStrategy = "BlueGreen"'
	eventually 120 runs echo
	assert_stored echo '[.status.stage, .status.grpcEndpoint]' \
		"[\"Running\",\"performer-echo.$NS.svc.cluster.local:9090\"]"
	assert_stored echo '[.status.conditions[] | .status] | unique' '["True"]'
	eventually 60 serves echo
	kubectl run caller --image="$image" --restart=Never --command -- \
		/performer call -for 10s "performer-echo.$NS.svc.cluster.local:9090"
	kubectl wait pod/caller --for=jsonpath='{.status.phase}'=Succeeded --timeout=120s
	kubectl logs caller >"$BATS_TEST_TMPDIR/calls-caller"
	calls caller 'all(.calls > 20 and .failed == 0)'
}

# The second one's server closes its connections without a word, when its time has come: what a client sees
# that keeps to one is the server's affair, and documented.
@test "an upgrade in BlueGreen under a hundred new connections a second loses no call" {
	run_performer abrupt '.spec.config.command = ["/performer", "serve", "-abrupt"] | .spec.upgradeStrategy = "BlueGreen"'
	eventually 120 runs abrupt
	calls_begin echo
	calls_begin abrupt
	change echo 2 &
	change abrupt 2
	wait $!
	# Until the last of the old pods is gone.
	one_is_left() {
		[[ $(kubectl get pods -l "hourglass.eigenlayer.io/performer=$1" -o name) == "pod/$(pod_of "$1")" ]]
	}
	eventually 120 one_is_left echo
	eventually 120 one_is_left abrupt
	calls_end echo 1000
	calls_stop abrupt
	calls abrupt '.newConnections | .calls >= 1000 and .failed == 0'
	calls abrupt '.keptConnection | .lasts'
	assert_equal 2 "$(kubectl get pod "$(pod_of echo)" -o json | jq -r '.spec.containers[0].env[] | select(.name == "V").value')"
	kubectl delete performer abrupt --timeout=120s
}

@test "the controllers are replaced, and no Performer notices" {
	local pod leader
	pod=$(the_pod echo)
	leader=$(in_system get lease callboard-controller -o jsonpath='{.spec.holderIdentity}')
	calls_begin echo
	in_system rollout restart deployment/callboard-controller
	in_system rollout status deployment/callboard-controller --timeout=180s
	another_leads() {
		local now
		now=$(in_system get lease callboard-controller -o jsonpath='{.spec.holderIdentity}')
		[[ -n $now && $now != "$leader" ]]
	}
	eventually 90 another_leads
	run_performer after '.spec.config = {environment: {V: "1"}}'
	eventually 120 runs after
	calls_end echo 100
	assert_equal "$pod" "$(the_pod echo)"
}

@test "Recreate replaces the pod, and clients that try again come through" {
	calls_begin after
	change after 2
	assert_equal 1 "$(kubectl get pods -l hourglass.eigenlayer.io/performer=after -o name | wc -l)"
	eventually 60 serves after
	calls_stop after
	# Both pods at once it never has: there is a gap.
	calls after 'all(.lasts) and .newConnections.failed > 0'
}

@test "each of our pods is killed, and comes back; no Performer notices" {
	local pod pid leader
	pod=$(the_pod echo)
	calls_begin echo
	for pid in $(pids webhook); do
		kill -KILL "$pid"
		eventually 60 accepts "killed-webhook"
		webhook_is_ready
	done
	leader=$(in_system get lease callboard-controller -o jsonpath='{.spec.holderIdentity}')
	for pid in $(pids controller); do
		kill -KILL "$pid"
	done
	# Whoever leads then: a container that is started anew is another holder, in a pod of the same name.
	run_performer survivor
	eventually 120 runs survivor
	[[ $(in_system get lease callboard-controller -o jsonpath='{.spec.holderIdentity}') != "$leader" ]]
	in_system rollout status deployment/callboard-controller --timeout=180s
	webhook_is_ready
	# Ready may be what the kubelet knew before.
	each_was_restarted_once() {
		[[ $(in_system get pods -l 'app.kubernetes.io/name in (callboard-webhook, callboard-controller)' \
			-o json | jq -c '[.items[].status.containerStatuses[0].restartCount]') == "[1,1,1,1]" ]]
	}
	eventually 90 each_was_restarted_once
	calls_end echo 100
	assert_equal "$pod" "$(the_pod echo)"
}

@test "the kubelet is restarted, and no Performer is replaced" {
	local pod
	pod=$(the_pod echo)
	"$root/hack/cluster" restart kubelet 3>&-
	# It has begun to look after the node again.
	kubectl run after-kubelet --image=callboard.dev/busybox:1 --restart=Never -- true
	kubectl wait pod/after-kubelet --for=jsonpath='{.status.phase}'=Succeeded --timeout=120s
	eventually 120 runs echo
	eventually 120 runs survivor
	assert_equal "$pod" "$(the_pod echo)"
}

@test "a Performer whose node is drained waits for a node, and runs when there is one" {
	kubectl drain "$node" --pod-selector=hourglass.eigenlayer.io/performer=echo --timeout=120s
	waits() {
		[[ $(stored echo '[.status.phase, .status.stage]') == '["Pending","NodeSelection"]' ]]
	}
	eventually 120 waits
	assert_contains "$(stored echo .status.conditions)" "unschedulable"
	kubectl uncordon "$node"
	eventually 120 runs echo
}

# has_failed NAME TEXT...: and says so. It is tried again soon, and then says something else.
has_failed() {
	local found text
	found=$(stored "$1" '[.status.phase, .status.conditions]')
	[[ $found == '["Failed",'* ]] || return 1
	for text in "${@:2}"; do
		[[ $found == *"$text"* ]] || return 1
	done
}

@test "an image that is not there is Failed with the kubelet's words" {
	create_performer missing '.spec.image = "callboard.dev/not-there:1" | .spec.imagePullPolicy = "Never"'
	eventually 120 has_failed missing ErrImageNeverPull "callboard.dev/not-there:1"
}

@test "a container that ends is Failed with its status, and tried again" {
	run_performer crashing '.spec.config = {command: ["/performer", "serve", "-fail", "7"]}'
	eventually 120 has_failed crashing "exit code 7"
	eventually 120 eval '(($(stored crashing .status.retries) >= 1))'
}

@test "deletion leaves neither pod nor Service" {
	kubectl delete performers --all --timeout=120s
	assert_equal "" "$(kubectl get pods,services -l app=hourglass-performer -o name)"
}
