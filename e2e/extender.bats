#!/usr/bin/env bats
# The extender behind a real kube-scheduler: the second one of the manifests, over TLS, with the rights of the
# manifests. Nodes are fake; whether a device was given twice is judged from what the apiserver has, by jq.

source "$BATS_TEST_DIRNAME/lib.bash"

pool=e2e.callboard.dev/pool
extender_flags="--leader-elect-retry-period 500ms --audit-period 1s --advice-period 1s --log-level debug"

setup_file() {
	start_file extender
	# No stall of the machine takes the Lease from the only replica: while nobody is active, kube-scheduler is told that
	# no preemption helps, and does not ask again for minutes.
	export EXTENDER_FLAGS="$extender_flags --leader-elect-lease-duration 30s --leader-elect-renew-deadline 25s"
	extender up
	extender scheduler
	export a100='"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB", "nvidia.com/gpu.memory": "40960"'
	make_node "$NS-a1" "{\"callboard.dev/gpu-mode\": \"shared\", \"nvidia.com/gpu.count\": \"2\", $a100}" \
		'{"callboard.dev/gpu-milli": "2000", "nvidia.com/gpu": "0"}'
	make_node "$NS-a2" "{\"callboard.dev/gpu-mode\": \"shared\", \"nvidia.com/gpu.count\": \"4\", $a100}" \
		'{"callboard.dev/gpu-milli": "4000", "nvidia.com/gpu": "0"}'
	make_node "$NS-t4" '{"nvidia.com/gpu.product": "Tesla-T4", "nvidia.com/gpu.memory": "15360"}' \
		'{"nvidia.com/gpu": "4"}'
	make_node "$NS-plain" '{}' '{}'
	for class in low:1 middle:100 upper:200 high:1000; do
		kubectl create priorityclass "$NS-${class%:*}" --value "${class#*:}"
	done
}

teardown_file() {
	kubectl delete pods --all --force --grace-period=0
	extender down
	kubectl delete node -l "$pool=$NS"
	kubectl delete runtimeclass kata-qemu-tdx --ignore-not-found
	kubectl delete priorityclass "$NS"-{low,middle,upper,high}
	end_file
}

teardown() {
	local pod
	# What a test that failed has left would keep its pod for good.
	for pod in $(kubectl get pods -o json | jq -r '.items[] | select(.metadata.finalizers) | .metadata.name'); do
		kubectl patch pod "$pod" --type=merge -p '{"metadata": {"finalizers": null}}'
	done
	kubectl delete pods --all --force --grace-period=0
	[[ -z ${has_more_nodes:-} ]] || kubectl delete node "$NS"-many{1,2,3,4,5} --ignore-not-found
}

# in_state NODE STATE: that is its state for the active replica.
in_state() {
	health /nodes | jq -e --arg name "$1" --arg state "$2" 'any(.[]; .name == $name and .state == $state)'
}

# takes_pods NODE: it is Ready, the extender knows it, and the taint that it was born with is gone.
takes_pods() {
	in_state "$1" Available &&
		kubectl get node "$1" -o json | jq -e '.spec.taints | all(.key != "node.kubernetes.io/not-ready")'
}

# make_node NAME LABELS RESOURCES: a fake node of this file.
make_node() {
	jq -n --arg name "$1" --arg pool "$pool" --arg ns "$NS" --argjson labels "$2" --argjson more "$3" '
		({cpu: "32", memory: "256Gi", pods: "110"} + $more) as $resources | {
			apiVersion: "v1", kind: "Node",
			metadata: {name: $name, annotations: {"kwok.x-k8s.io/node": "fake"},
				labels: ({"kubernetes.io/hostname": $name, ($pool): $ns} + $labels)},
			spec: {taints: [{key: $pool, value: $ns, effect: "NoSchedule"}]},
			status: {capacity: $resources, allocatable: $resources, nodeInfo: {machineID: "", systemUUID: "",
				bootID: "", kernelVersion: "", osImage: "", containerRuntimeVersion: "",
				kubeletVersion: "fake", kubeProxyVersion: "", operatingSystem: "linux",
				architecture: "amd64"}}
		}' | kubectl create -f -
	eventually 90 takes_pods "$1"
}

# pod NAME RESOURCES [FILTER]: a pod of ours for the second scheduler and the nodes of this file.
pod() {
	jq -n --arg name "$1" --argjson resources "$2" --arg pool "$pool" --arg ns "$NS" '{
			apiVersion: "v1", kind: "Pod",
			metadata: {name: $name, labels: {"app.kubernetes.io/managed-by": "callboard"}, annotations: {}},
			spec: {schedulerName: "callboard-scheduler", nodeSelector: {($pool): $ns},
				tolerations: [{key: $pool, operator: "Exists"}],
				containers: [{name: "main", image: "app:v1", resources: {limits: $resources}}]}
		} | '"${3:-.}"
}

create_pod() {
	pod "$@" | kubectl create -f -
}

milli() {
	echo "{\"callboard.dev/gpu-milli\": \"$1\"}"
}

# placed NAME: "NODE DEVICES", the node without the name of this file.
placed() {
	kubectl get pod "$1" -o json |
		jq -r --arg ns "$NS-" '(.spec.nodeName // "-" | ltrimstr($ns)) + " "
			+ (.metadata.annotations["callboard.dev/devices"] // "-")'
}

is_placed() {
	[[ $(placed "$1") == [a-z]* ]]
}

assert_promises_kept() {
	run "$root/hack/promises"
	assert_ok
}

# ---- Placing ----

@test "shares go together on one device, whole GPUs get devices of their own" {
	create_pod first "$(milli 300)"
	eventually 60 is_placed first
	node=$(placed first)
	create_pod second "$(milli 700)"
	eventually 60 is_placed second
	assert_equal "$node" "$(placed second)"
	create_pod whole "$(milli 4000)"
	eventually 60 is_placed whole
	assert_equal "a2 0,1,2,3" "$(placed whole)"
	assert_promises_kept
}

@test "a pod gets the GPU that it asks for, by type, memory and mode" {
	create_pod large "$(milli 500)" '.metadata.annotations["callboard.dev/gpu-memory"] = "30Gi"'
	create_pod huge "$(milli 500)" '.metadata.annotations["callboard.dev/gpu-memory"] = "60Gi"'
	create_pod counted '{"nvidia.com/gpu": "2"}'
	create_pod cuda "$(milli 500)" '.metadata.annotations["callboard.dev/cuda-version"] = "12.4"'
	eventually 60 is_placed large
	eventually 60 is_placed counted
	assert_equal "t4 -" "$(placed counted)"
	eventually 60 waits_for huge "GPU: too little memory"
	eventually 60 waits_for cuda "CUDA: version unknown"
	assert_promises_kept
}

@test "a pod that needs a TEE waits with the reason, until a node has it" {
	kubectl create -f - <<-'EOF'
		{"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "kata-qemu-tdx"}, "handler": "kata"}
	EOF
	eventually 60 eval 'create_pod secret "{}" ".spec.runtimeClassName = \"kata-qemu-tdx\""'
	eventually 60 waits_for secret "TEE: the node does not have the TEE"
	run health "/explain/$NS/secret"
	assert_ok
	assert_contains "$output" '"reason":"TEE: the node does not have the TEE"'
	kubectl label node "$NS-plain" feature.node.kubernetes.io/cpu-security.tdx.enabled=true
	eventually 120 is_placed secret
	assert_equal "plain -" "$(placed secret)"
	kubectl label node "$NS-plain" feature.node.kubernetes.io/cpu-security.tdx.enabled-
}

@test "what is left in pieces is not given to a pod that needs it whole" {
	# 500 is left on each device of a1, and on a2 nothing.
	create_pod block "$(milli 4000)"
	eventually 60 is_placed block
	create_pod one "$(milli 600)"
	eventually 60 is_placed one
	create_pod two "$(milli 500)"
	eventually 60 is_placed two
	create_pod whole "$(milli 1000)"
	create_pod share "$(milli 600)"
	# The sum is no secret to kube-scheduler itself: 900 are left.
	eventually 60 waits_for whole "Insufficient callboard.dev/gpu-milli"
	eventually 60 waits_for share "GPU: no device has enough left for the share"
	kubectl delete pod one whole --force --grace-period=0
	eventually 120 is_placed share
	assert_promises_kept
}

@test "a pod without GPUs is kept off nodes with them, and off a node that is drained" {
	create_pod plain '{"cpu": "1"}'
	eventually 60 is_placed plain
	assert_equal "plain -" "$(placed plain)"
	kubectl cordon "$NS-plain"
	# kube-scheduler may hear of the pod before the extender hears of the node.
	eventually 60 in_state "$NS-plain" Draining
	create_pod other '{"cpu": "1"}' '.spec.tolerations += [{key: "node.kubernetes.io/unschedulable", operator: "Exists"}]'
	eventually 60 is_placed other
	kubectl uncordon "$NS-plain"
	[[ $(placed other) != "plain -" ]] || fail "it is on the drained node"
}

# ---- Nodes as workers ----

# heartbeat NAME AGO: what a kubelet renews, with that time.
heartbeat() {
	jq -n --arg name "$1" --arg time "$(date -ud "$2" +%FT%T.000000Z)" '{
			apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: {name: $name, namespace: "kube-node-lease"},
			spec: {holderIdentity: $name, leaseDurationSeconds: 40, renewTime: $time}
		}' | kubectl apply -f -
}

# The node's status goes on telling the controller manager that it is Ready, so that nobody taints it.
is_overdue() {
	kubectl patch node "$NS-lone" --subresource=status --type=strategic -p '{"status": {"conditions": [
		{"type": "Ready", "status": "True", "lastHeartbeatTime": "'"$(date -u +%FT%TZ)"'"}]}}'
	waits_for lonely "the node's heartbeat is overdue"
}

# kube-scheduler does not watch heartbeats, and here nothing else changes.
is_placed_with_a_heartbeat() {
	heartbeat "$NS-lone" now
	is_placed lonely
}

@test "no new pod on a node whose heartbeat is overdue, until it is back" {
	# Nobody but this test looks after it.
	heartbeat "$NS-lone" "1 minute ago"
	jq -n --arg name "$NS-lone" --arg pool "$pool" --arg ns "$NS" '{cpu: "8", memory: "32Gi", pods: "110"} as $resources | {
			apiVersion: "v1", kind: "Node",
			metadata: {$name, labels: {"kubernetes.io/hostname": $name, ($pool): $ns}},
			status: {capacity: $resources, allocatable: $resources, conditions: [{type: "Ready", status: "True"}]}
		}' | kubectl create -f -
	create_pod lonely '{"cpu": "1"}' '.spec.nodeSelector["kubernetes.io/hostname"] = "'"$NS-lone"'"'
	eventually 90 is_overdue
	health /nodes | jq -e --arg name "$NS-lone" '.[] | select(.name == $name)
		| .state == "Unhealthy" and .heartbeatAgeSeconds > 30'
	health /metrics | grep -q '^callboard_node_workers{state="Unhealthy"} [1-9]'
	eventually 90 is_placed_with_a_heartbeat
	assert_equal "lone -" "$(placed lonely)"
	health /metrics | grep -q '^callboard_extender_requeued_total{outcome="OK"} [1-9]'
	kubectl delete node "$NS-lone"
	kubectl delete lease "$NS-lone" --namespace kube-node-lease
}

# counted NAME: it has one event with what would help, which came again.
counted() {
	kubectl get events --field-selector "involvedObject.name=$1,reason=NoNodeFits" -o json |
		jq -e '.items | length == 1 and .[0].count > 1'
}

@test "a pod that waits has an event that says what would help, and no more than one" {
	create_pod greedy "$(milli 9000)"
	# The extender is not asked: no sum is enough.
	eventually 60 waits_for greedy "Insufficient callboard.dev/gpu-milli"
	eventually 90 counted greedy
	message=$(kubectl get events --field-selector involvedObject.name=greedy,reason=NoNodeFits -o jsonpath='{.items[0].message}')
	assert_contains "$message" "GPU: the node has fewer GPUs than the pod wants: 2 nodes ("
	assert_contains "$message" "): ask for fewer, or add larger nodes"
	run health "/explain/$NS/greedy"
	assert_ok
	assert_equal "$message" "$(jq -r .advice.text <<<"$output")"
}

# ---- Preemption ----

# With the priority of a class; on node a1 alone.
on_a1() {
	echo ".spec.priorityClassName = \"$NS-$1\" | .spec.nodeSelector[\"kubernetes.io/hostname\"] = \"$NS-a1\""
}

place_on_a1() {
	create_pod "$1" "$(milli "$2")" "$(on_a1 "$3")"
	eventually 60 is_placed "$1"
}

# The names of the pods that are there and do not leave.
pods_that_stay() {
	kubectl get pods -o json | jq -r '[.items[] | select(.metadata.deletionTimestamp | not) | .metadata.name] | join(" ")'
}

@test "the victims are those whose end frees the devices" {
	place_on_a1 low-1 500 low
	place_on_a1 upper 500 upper
	assert_equal "$(placed low-1)" "$(placed upper)"
	place_on_a1 low-2 500 low
	place_on_a1 middle 500 middle
	assert_equal "$(placed low-2)" "$(placed middle)"
	# By the sums kube-scheduler would end both of priority low, and free two halves.
	device=$(placed low-2)
	create_pod whole "$(milli 1000)" "$(on_a1 high)"
	eventually 90 is_placed whole
	assert_equal "$device" "$(placed whole)"
	assert_equal "low-1 upper whole" "$(pods_that_stay)"
	health /metrics | grep -q '^callboard_extender_preemption_nodes_total{result="changed"} [1-9]'
	assert_promises_kept
}

# halves CLASS CLASS: pods "first" and "second" of these classes, each on half a device of a1, the other half free.
halves() {
	place_on_a1 first 500 "$1"
	second_half "$2"
}

second_half() {
	place_on_a1 filler 500 low
	assert_equal "$(placed first)" "$(placed filler)"
	place_on_a1 second 500 "$1"
	kubectl delete pod filler --force --grace-period=0
}

# preemptions RESULT: how often the active replica came to it.
preemptions() {
	health /metrics | sed -n "s/^callboard_extender_preemptions_total{result=\"$1\"} //p" | grep . || echo 0
}

more_preemptions() {
	(($(preemptions "$1") > $2))
}

is_leaving() {
	[[ $(kubectl get pod "$1" -o jsonpath='{.metadata.deletionTimestamp}') ]]
}

has_event() {
	kubectl get events --field-selector "involvedObject.name=$1,reason=$2" -o name | grep -q .
}

@test "for a pod that wants a whole GPU where halves are left the one of the lowest priority is evicted" {
	halves upper low
	device=$(placed second)
	create_pod whole "$(milli 1000)" "$(on_a1 high)"
	eventually 90 is_placed whole
	assert_equal "$device" "$(placed whole)"
	assert_equal "first whole" "$(pods_that_stay)"
	eventually 60 has_event whole PreemptionStarted
	eventually 60 has_event second Preempted
	assert_promises_kept
}

@test "a pod that a PodDisruptionBudget guards is not evicted for another, one of a higher priority is" {
	kubectl create -f - <<-'EOF'
		{"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "guard"},
			"spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"e2e.callboard.dev/guarded": "true"}}}}
	EOF
	halves low upper
	kubectl label pod first e2e.callboard.dev/guarded=true
	create_pod whole "$(milli 1000)" "$(on_a1 high)"
	eventually 90 is_placed whole
	assert_equal "first whole" "$(pods_that_stay)"
	kubectl delete pdb guard
}

@test "nobody is evicted for a pod of the same priority" {
	halves high high
	none=$(preemptions none)
	create_pod whole "$(milli 1000)" "$(on_a1 high)"
	eventually 60 waits_for whole "GPU: too few whole devices are free"
	eventually 60 more_preemptions none "$none"
	assert_equal "first second whole" "$(pods_that_stay)"
}

@test "a device that was freed for a pod is held for it" {
	pod first "$(milli 500)" "$(on_a1 low)"' | .metadata.finalizers = ["e2e.callboard.dev/slow"]' | kubectl create -f -
	eventually 60 is_placed first
	second_half upper
	create_pod whole "$(milli 1000)" "$(on_a1 high)"
	eventually 90 has_event whole PreemptionStarted
	eventually 60 is_leaving first
	# The other half of the second device is anybody's.
	place_on_a1 neighbour 500 middle
	assert_equal "$(placed second)" "$(placed neighbour)"
	# For kube-scheduler, too, the last half may be the preemptor's by now.
	create_pod thief "$(milli 500)" "$(on_a1 middle)"
	eventually 60 waits_for thief ""
	kubectl patch pod first --type=json -p '[{"op": "remove", "path": "/metadata/finalizers"}]'
	eventually 90 is_placed whole
	assert_equal "neighbour second thief whole" "$(pods_that_stay)"
	[[ $(placed thief) == "- "* ]] || fail "it has the device"
	assert_promises_kept
}

# ---- Ends and beginnings ----

# both_run: two replicas, one of them active, with a Lease so short that nobody waits for that of one that was killed.
both_run() {
	EXTENDER_FLAGS="$extender_flags --leader-elect-lease-duration 4s --leader-elect-renew-deadline 3s"
	[[ -e $BATS_FILE_TMPDIR/short-lease ]] || extender stop extender-a
	touch "$BATS_FILE_TMPDIR/short-lease"
	extender up extender-a
	extender up extender-b
	extender active
}

# Shares that fill the shared nodes to the brim: 12 of 500 on six devices.
create_crowd() {
	local i
	for i in $(seq "$1" "$2"); do
		pod "crowd-$i" "$(milli 500)"
	done | kubectl create -f -
}

# The Lease may change hands at any time, and the scheduler is led to the new holder.
crowd_is_placed() {
	extender active
	[[ $(kubectl get pods -o json | jq '[.items[] | select(.spec.nodeName)] | length') == "$1" ]]
}

@test "no device is given twice and none is lost when the active replica is killed and another takes over" {
	both_run
	create_crowd 1 6
	extender kill "$(extender active)"
	create_crowd 7 12
	eventually 180 crowd_is_placed 12
	assert_promises_kept
	create_pod late "$(milli 100)"
	eventually 60 waits_for late "Insufficient callboard.dev/gpu-milli"
}

@test "no device is given twice and none is lost when the apiserver is restarted" {
	both_run
	create_crowd 1 6
	"$root/hack/cluster" restart kube-apiserver 3>&- 4>&-
	eventually 90 kubectl get --raw /readyz
	create_crowd 7 12
	eventually 180 crowd_is_placed 12
	assert_promises_kept
}

# follows NAME: another one is active.
follows() {
	[[ $(extender active) != "$1" ]]
}

@test "a replica that has lost the Lease and lives on ends the connections of kube-scheduler" {
	local old
	both_run
	old=$(extender active)
	# At once, so that connections are open when it has placed them.
	create_crowd 1 6
	eventually 90 crowd_is_placed 6
	kill -STOP "$(extender pid "$old")"
	eventually 90 follows "$old"
	kill -CONT "$(extender pid "$old")"
	create_crowd 7 12
	eventually 90 crowd_is_placed 12
	assert_promises_kept
}

@test "of many pods none gets a device of another while the active replica is killed again and again" {
	local round i
	has_more_nodes=yes
	both_run
	for i in 1 2 3 4 5; do
		make_node "$NS-many$i" "{\"callboard.dev/gpu-mode\": \"shared\", \"nvidia.com/gpu.count\": \"8\", $a100}" \
			'{"callboard.dev/gpu-milli": "8000", "nvidia.com/gpu": "0"}'
	done
	for round in 1 2; do
		# 46 devices, in halves.
		create_crowd 1 40
		extender kill "$(extender active)"
		create_crowd 41 92
		eventually 180 crowd_is_placed 92
		assert_promises_kept
		both_run
		kubectl delete pods --all --force --grace-period=0
	done
	for i in {1..46}; do
		pod "whole-$i" "$(milli 1000)"
	done | kubectl create -f -
	eventually 180 crowd_is_placed 46
	assert_promises_kept
}

@test "an orderly restart hands over, and pods are placed as before" {
	both_run
	create_crowd 1 4
	extender stop "$(extender active)"
	create_crowd 5 12
	eventually 180 crowd_is_placed 12
	assert_promises_kept
}

@test "the counts of the extender are those of the pods" {
	both_run
	create_crowd 1 5
	eventually 60 crowd_is_placed 5
	health /metrics >"$BATS_TEST_TMPDIR/metrics"
	assert_equal "callboard_extender_drift_total 0" "$(grep '^callboard_extender_drift_total' "$BATS_TEST_TMPDIR/metrics")"
	assert_equal "callboard_extender_overcommitted_devices 0" \
		"$(grep '^callboard_extender_overcommitted_devices' "$BATS_TEST_TMPDIR/metrics")"
	# Free: six devices less 2,500.
	left=$(health /nodes | jq --arg ns "$NS" '[.[] | select(.name | startswith($ns)) | .freeMilli[]?] | add')
	assert_equal 3500 "$left"
}
