#!/usr/bin/env bats
# The extender behind a real kube-scheduler in a cluster of 1,000 fake nodes of six kinds. Pods of thirteen kinds come in
# waves, and in the middle of a wave replicas are killed, nodes are drained and die, the apiserver is restarted. Each
# test goes on where the one before has ended, until every device that is left has been given out. What is judged is
# what the apiserver has of pods and nodes; the extender is asked for its own counts in the end.

source "$BATS_TEST_DIRNAME/lib.bash"

# Of a node: which it is of, and what becomes of it. Of a pod: the kinds of nodes where it may be, with blanks.
pool=e2e.callboard.dev/pool
kind=e2e.callboard.dev/kind
fate=e2e.callboard.dev/fate
wave=e2e.callboard.dev/wave

setup_file() {
	start_file thousand
	# Leases as short as a busy machine allows, so that nobody waits for them.
	export EXTENDER_FLAGS="--leader-elect-lease-duration 6s --leader-elect-renew-deadline 4s
		--leader-elect-retry-period 500ms --audit-period 2s"
	kubectl apply -f - <<-'EOF'
		{"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "kata-qemu-tdx"}, "handler": "kata"}
	EOF
	nodes | kubectl create --validate=false -f - >/dev/null
	extender up extender-a
	extender up extender-b
	extender scheduler
	eventually 300 are_in_state '' Available
}

teardown_file() {
	extender down
	eventually 180 delete_all "/api/v1/namespaces/$NS/pods"
	eventually 180 delete_all "/api/v1/nodes?labelSelector=$pool%3D$NS"
	kubectl delete runtimeclass kata-qemu-tdx --ignore-not-found
	end_file
	# The garbage collector's work would slow the files that come.
	eventually 180 leases_are_gone
}

# delete_all PATH: a collection. One request may take longer than the apiserver allows.
delete_all() {
	api DELETE "$1" -H 'Content-Type: application/json' -d '{"gracePeriodSeconds": 0}' |
		jq -e '.kind | endswith("List")' || seldom
}

leases_are_gone() {
	[[ $(kubectl get leases --namespace kube-node-lease -o name) != *"/$NS-"* ]] || seldom
}

# Of a check that has failed: the machine has more to do than to ask again.
seldom() {
	sleep 1
	return 1
}

# ---- Nodes ----

# Of each twenty of a kind one will be drained, one will say that it is not Ready, and one will fall silent.
nodes() {
	jq -n --arg ns "$NS" --arg pool "$pool" --arg kind "$kind" --arg fate "$fate" '
		def nodes($name; $count; $labels; $more):
			({cpu: "32", memory: "256Gi", pods: "110"} + $more) as $resources | range($count)
			| "\($ns)-\($name)-\(.)" as $node
			| {"3": "drained", "9": "down", "15": "silent"}["\(. % 20)"] as $event | {
				apiVersion: "v1", kind: "Node",
				metadata: {name: $node, annotations: {"kwok.x-k8s.io/node": "fake"},
					labels: ({"kubernetes.io/hostname": $node, ($pool): $ns, ($kind): $name, ($fate): ($event // "stays")}
						+ $labels)},
				spec: {taints: [{key: $pool, value: $ns, effect: "NoSchedule"}]},
				status: {capacity: $resources, allocatable: $resources, nodeInfo: {machineID: "", systemUUID: "",
					bootID: "", kernelVersion: "", osImage: "", containerRuntimeVersion: "", kubeletVersion: "fake",
					kubeProxyVersion: "", operatingSystem: "linux", architecture: "amd64"}}
			};
		def gpus($mode; $count; $product): {"callboard.dev/gpu-mode": $mode, "nvidia.com/gpu.count": "\($count)",
			"nvidia.com/gpu.product": $product};
		{apiVersion: "v1", kind: "List", items: [
			nodes("shared-a100"; 100; gpus("shared"; 4; "NVIDIA-A100-SXM4-40GB");
				{"callboard.dev/gpu-milli": "4000", "nvidia.com/gpu": "0"}),
			nodes("shared-t4"; 100; gpus("shared"; 2; "Tesla-T4");
				{"callboard.dev/gpu-milli": "2000", "nvidia.com/gpu": "0"}),
			nodes("whole-h100"; 100; gpus("plugin"; 8; "NVIDIA-H100-80GB-HBM3"); {"nvidia.com/gpu": "8"}),
			nodes("whole-t4"; 100; gpus("plugin"; 4; "Tesla-T4"); {"nvidia.com/gpu": "4"}),
			nodes("tdx"; 80; {"feature.node.kubernetes.io/cpu-security.tdx.enabled": "true"};
				{"tdx.intel.com/keys": "4"}),
			nodes("plain"; 520; {}; {})
		]}'
}

# are_in_state FATE STATES: that of all nodes with this fate, or of all, is one of these for the active replica.
are_in_state() {
	local names
	names=$(kubectl get nodes -l "$pool=$NS${1:+,$fate=$1}" -o json | jq '[.items[].metadata.name]')
	health /nodes | jq -e --argjson names "$names" --arg states "$2" '
		(map({key: .name, value: .state}) | from_entries) as $state
		| $names | length > 0 and all(.[]; $state[.] as $found | $states | split(" ") | index($found))' || seldom
}

# Whoever renews a Lease by that name is not kwok any more, which then leaves it and the node alone.
fall_silent() {
	local name
	for name in $(kubectl get nodes -l "$pool=$NS,$fate=silent" -o name); do
		kubectl patch lease "${name#node/}" --namespace kube-node-lease --type=merge \
			-p '{"spec": {"holderIdentity": "nobody", "leaseDurationSeconds": 3600}}' >/dev/null
	done
}

# ---- Pods ----

# create_pods WAVE JQ: those that the filter makes, in an order in which all kinds are mixed. They tolerate all taints:
# it is not kube-scheduler that keeps them off nodes.
create_pods() {
	jq -n --arg wave_name "$1" --arg ns "$NS" --arg pool "$pool" --arg kind "$kind" --arg wave "$wave" '
		def pods($name; $count; $fits; $limits; change): range($count) as $i | {
				apiVersion: "v1", kind: "Pod",
				metadata: {name: "\($wave_name)-\($name)-\($i)",
					labels: {"app.kubernetes.io/managed-by": "callboard", ($wave): $wave_name},
					annotations: {($kind): $fits}},
				spec: {schedulerName: "callboard-scheduler", nodeSelector: {($pool): $ns},
					tolerations: [{operator: "Exists"}],
					containers: [{name: "main", image: "app:v1", resources: {limits: ({cpu: "100m"} + $limits)}}]}
			} | change;
		def pods($name; $count; $fits; $limits): pods($name; $count; $fits; $limits; .);
		def milli($amount): {"callboard.dev/gpu-milli": "\($amount)"};
		def whole($count): {"nvidia.com/gpu": "\($count)"};
		def typed($product): .spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution
			.nodeSelectorTerms = [{matchExpressions: [{key: "nvidia.com/gpu.product", operator: "In", values: [$product]}]}];
		def confidential: .spec.runtimeClassName = "kata-qemu-tdx";
		['"$2"'] | to_entries | sort_by(.key * 7919 % 10007)
		| {apiVersion: "v1", kind: "List", items: map(.value)}' >"$BATS_TEST_TMPDIR/$1.json"
	kubectl create --validate=false -f "$BATS_TEST_TMPDIR/$1.json" >/dev/null
}

# create_wave NAME: 400 pods.
create_wave() {
	create_pods "$1" '
		pods("quarter"; 25; "shared-a100 shared-t4"; milli(250)), pods("half"; 30; "shared-a100 shared-t4"; milli(500)),
		pods("most"; 25; "shared-a100 shared-t4"; milli(750)),
		pods("half-t4"; 25; "shared-t4"; milli(500); typed("Tesla-T4")),
		pods("one-a100"; 25; "shared-a100"; milli(1000); typed("NVIDIA-A100-SXM4-40GB")),
		pods("two-a100"; 10; "shared-a100"; milli(2000); typed("NVIDIA-A100-SXM4-40GB")),
		pods("whole"; 30; "whole-h100 whole-t4"; whole(1)), pods("whole-four"; 10; "whole-h100 whole-t4"; whole(4)),
		pods("whole-t4"; 25; "whole-t4"; whole(1); typed("Tesla-T4")), pods("whole-eight"; 5; "whole-h100"; whole(8)),
		pods("tdx"; 40; "tdx"; {}; confidential), pods("tdx-key"; 40; "tdx"; {"tdx.intel.com/keys": "1"}; confidential),
		pods("plain"; 110; "plain tdx"; {})'
}

# is_there SELECTORS: yes when there is such a pod, no when there is none, nothing when the apiserver does not answer.
is_there() {
	api GET "/api/v1/namespaces/$NS/pods?limit=1&$1" |
		jq -r 'select(.kind == "PodList") | if .items == [] then "no" else "yes" end'
}

# Before a test that may end one of them.
both_run() {
	extender up extender-a
	extender up extender-b
}

# some_are_placed WAVE. Here and below, the Lease may change hands at any time, and the scheduler is led to the new holder.
some_are_placed() {
	extender active
	[[ $(is_there "labelSelector=$wave%3D$1&fieldSelector=spec.nodeName%21%3D") == yes ]]
}

all_are_placed() {
	extender active
	[[ $(is_there "fieldSelector=spec.nodeName%3D") == no ]] || seldom
}

# is_refused POD REASON
is_refused() {
	extender active
	waits_for "$@"
}

# account: of each node what it has and has given out, reckoned from what the apiserver has of nodes and pods.
account() {
	kubectl get nodes -l "$pool=$NS" -o json >"$BATS_TEST_TMPDIR/nodes"
	kubectl get pods -o json >"$BATS_TEST_TMPDIR/pods"
	jq -n --slurpfile pods "$BATS_TEST_TMPDIR/pods" --slurpfile nodes "$BATS_TEST_TMPDIR/nodes" \
		--arg kind "$kind" --arg fate "$fate" '
		def amount: . // "0" | if endswith("k") then rtrimstr("k") | tonumber * 1000 else tonumber end;
		def asks($for): .spec.containers[0].resources.requests[$for] | amount;
		($pods[0].items | group_by(.spec.nodeName) | map({key: (.[0].spec.nodeName // ""), value: .}) | from_entries) as $on
		| [$nodes[0].items[] | .metadata.labels as $labels | .status.allocatable as $has
			| ($on[.metadata.name] // []) as $pods
			| ([$pods[] | asks("nvidia.com/gpu")] | add // 0) as $gpus
			| [$pods[] | {milli: ([asks("callboard.dev/gpu-milli"), 1000] | min), device:
				(.metadata.annotations["callboard.dev/devices"] // empty | split(",")[] | tonumber)}] as $given
			| {name: .metadata.name, kind: $labels[$kind], fate: $labels[$fate], pods: ($pods | length), gpus: $gpus,
				gpusLeft: (($has["nvidia.com/gpu"] | amount) - $gpus),
				keysLeft: (($has["tdx.intel.com/keys"] | amount) - ([$pods[] | select(.spec.runtimeClassName)] | length)),
				left: [range(($has["callboard.dev/gpu-milli"] | amount) / 1000) as $device
					| 1000 - ([$given[] | select(.device == $device) | .milli] | add // 0)]}]' >"$BATS_TEST_TMPDIR/account"
}

# wrong: of each pod that is where it may not be, and of each node that has given out too much, a line. After account.
wrong() {
	jq -r --slurpfile pods "$BATS_TEST_TMPDIR/pods" --arg kind "$kind" '
		(map({key: .name, value: .kind}) | from_entries) as $kind_of
		| ($pods[0].items[] | $kind_of[.spec.nodeName // ""] as $found
			| select(.spec.nodeName and (.metadata.annotations[$kind] | split(" ") | index($found // "nowhere") | not))
			| "\(.metadata.name) is on \(.spec.nodeName)"),
		(.[] | select(.gpusLeft < 0 or .keysLeft < 0 or any(.left[]; . < 0)) | "\(.name) has given out too much: \(.)")' \
		"$BATS_TEST_TMPDIR/account"
}

# assert_all_is_well COUNT: so many pods are there, all of them where they may be, and no device was given twice.
assert_all_is_well() {
	account
	assert_equal "" "$(wrong)"
	assert_equal "$1" "$(jq '[.items[] | select(.spec.nodeName)] | length' "$BATS_TEST_TMPDIR/pods")"
	run "$root/hack/promises"
	assert_ok
}

# ---- The story ----

@test "on 1,000 nodes pods of all kinds find their places while the active replica is killed" {
	create_wave first
	eventually 90 some_are_placed first
	extender kill "$(extender active)"
	eventually 300 all_are_placed
	assert_all_is_well 400
}

@test "nodes are drained and die and the apiserver is restarted in the middle of a wave, and no pod is lost" {
	both_run
	create_wave second
	kubectl cordon -l "$pool=$NS,$fate=drained"
	kubectl annotate node -l "$pool=$NS,$fate=down" e2e.callboard.dev/down=
	fall_silent
	"$root/hack/cluster" restart kube-apiserver 3>&- 4>&-
	eventually 300 all_are_placed
	assert_all_is_well 800
}

# on_withdrawn_nodes WAVES: their pods, with the nodes.
on_withdrawn_nodes() {
	kubectl get nodes -l "$pool=$NS,$fate!=stays" -o json | jq '[.items[].metadata.name]' >"$BATS_TEST_TMPDIR/withdrawn"
	kubectl get pods -l "$wave in ($1)" -o json | jq -r --slurpfile withdrawn "$BATS_TEST_TMPDIR/withdrawn" '
		.items[] | select(.spec.nodeName as $name | $withdrawn[0] | index($name // ""))
		| "\(.metadata.name) \(.spec.nodeName)"'
}

@test "no pod that comes later is on a node that is drained or dead, whoever is killed" {
	both_run
	eventually 180 are_in_state drained Draining
	eventually 180 are_in_state down Failed
	eventually 180 are_in_state silent "Unhealthy Failed"
	[[ $(on_withdrawn_nodes first,second) ]] || fail "no pod would have been there anyway"
	create_wave third
	eventually 90 some_are_placed third
	extender kill "$(extender active)"
	eventually 300 all_are_placed
	assert_all_is_well 1200
	assert_equal "" "$(on_withdrawn_nodes third)"
}

# room: on the nodes that stay, how many devices of shared nodes nobody has, how many quarters of those that somebody
# has are left, and how many keys. After account.
room() {
	jq -r '[.[] | select(.fate == "stays")] | [.[].left[]] as $left | "\([$left[] | select(. == 1000)] | length) "
		+ "\([$left[] | select(. < 1000) / 250] | add // 0) \(map(.keysLeft) | add)"' "$BATS_TEST_TMPDIR/account"
}

@test "what is left is given out to the last device and the last key, and then no more" {
	local devices quarters keys
	both_run
	account
	read -r devices quarters keys < <(room)
	note "$devices devices, $quarters quarters, $keys keys are left"
	create_pods fourth 'pods("one"; '"$devices"'; "shared-a100 shared-t4"; milli(1000)),
		pods("tdx"; '"$keys"'; "tdx"; {}; confidential)'
	eventually 300 all_are_placed
	create_pods fifth 'pods("quarter"; '"$quarters"'; "shared-a100 shared-t4"; milli(250))'
	eventually 300 all_are_placed
	assert_all_is_well $((1200 + devices + quarters + keys))
	assert_equal "0 0 0" "$(room)"
	create_pods late 'pods("quarter"; 1; ""; milli(250)), pods("tdx"; 1; ""; {}; confidential)'
	eventually 90 is_refused late-quarter-0 "Insufficient callboard.dev/gpu-milli"
	eventually 90 is_refused late-tdx-0 "TEE: all capacity is taken"
	assert_equal "" "$(on_withdrawn_nodes fourth,fifth,late)"
	kubectl delete pods -l "$wave=late" --force --grace-period=0
}

# Of each node its pods, their GPUs of a device plugin, and what is left of each device that is shared.
counts_of_the_extender() {
	health /nodes | jq -r --arg ns "$NS-" '.[] | select(.name | startswith($ns))
		| "\(.name) \(.jobs) \(.gpus.requested // 0) \(.freeMilli // [])"' | sort
}

counts_of_the_pods() {
	account
	jq -r '.[] | "\(.name) \(.pods) \(.gpus) \(.left)"' "$BATS_TEST_TMPDIR/account" | sort
}

@test "the counts of the extender are those of the pods" {
	extender active
	assert_equal "$(counts_of_the_pods)" "$(counts_of_the_extender)"
	health /metrics >"$BATS_TEST_TMPDIR/metrics"
	assert_equal "callboard_extender_drift_total 0
callboard_extender_drifted_nodes 0
callboard_extender_overcommitted_devices 0
callboard_extender_stray_nodes 0" "$(
		grep -E '^callboard_extender_(drift|overcommitted|stray)' "$BATS_TEST_TMPDIR/metrics" | LC_ALL=C sort
	)"
	assert_equal "$(jq '.items | length' "$BATS_TEST_TMPDIR/pods")" "$(awk -v ns="$NS-" '
		index($0, "callboard_node_jobs{node=\"" ns) == 1 {sum += $NF}
		END {print sum}' "$BATS_TEST_TMPDIR/metrics")"
}
