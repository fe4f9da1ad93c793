#!/usr/bin/env bats
# A Performer's whole life, with a controller beside the webhook: its pod and Service on fake nodes, what
# goes wrong there, and what becomes of it when a controller ends.

source "$BATS_TEST_DIRNAME/lib.bash"

controller_dir=$CLUSTER_DIR/controller
pool=e2e.callboard.dev/pool

setup_file() {
	start_file controller
	# A lease that a leader keeps on a machine that stalls for a while, and a resync so short that nobody waits for
	# it; debug lines tell of each write.
	export CONTROLLER_FLAGS="--leader-elect-lease-duration 30s --leader-elect-renew-deadline 20s
		--leader-elect-retry-period 500ms --resync 10s --log-level debug"
	controller up
	make_node "$NS-1"
	make_node "$NS-2"
	# Begun now, looked at in the end: it takes two minutes. Nobody ends a pod on a node that is down.
	create_performer stranded ".spec.scheduling = {
		nodeSelector: {\"$pool\": \"$NS\"}, tolerations: [{key: \"$pool\", operator: \"Exists\"}]}"
	eventually 90 is Running stranded
	slow "$(pod_of stranded)"
	kubectl annotate node "$(stored stranded .status.nodeName | jq -r .)" e2e.callboard.dev/down=
}

teardown_file() {
	kubectl delete performers --all --wait=false
	kubectl delete pods --all --force --grace-period=0
	# Whatever is left, the controller must not go on beside the tests of other files.
	local left=
	eventually 180 eval '[[ -z $(kubectl get performers -o name) ]]' || left=yes
	controller down
	kubectl delete node -l "$pool=$NS"
	end_file
	[[ -z $left ]]
}

# Bats waits for whoever holds its descriptors, and the process outlives the test.
controller() {
	"$root/hack/controller" "$@" 3>&- 4>&-
}

# controller_metric NAME METRIC: a sample of the controller with that name.
controller_metric() {
	curl -sSf --max-time 30 --noproxy '*' "http://127.0.0.1:$(controller port "$1")/metrics" |
		awk -v name="$2" 'index($0, name " ") == 1 {print $NF}'
}

# written NAME: the writes and events about a Performer of which the controllers' logs tell.
written() {
	cat "$controller_dir"/logs/*.log | grep -E "(DEBUG write|INFO  event) .* namespace=$NS name=$1 "
}

# make_node NAME: a fake node that only takes pods which select it.
make_node() {
	kubectl get nodes -l type=kwok -o json |
		jq --arg name "$1" --arg pool "$pool" --arg value "$NS" '.items[0]
			| del(.metadata["uid", "resourceVersion", "creationTimestamp", "managedFields"])
			| .metadata.name = $name | .metadata.labels["kubernetes.io/hostname"] = $name
			| .metadata.labels[$pool] = $value | del(.spec.podCIDR, .spec.podCIDRs)
			| .spec.taints = [{key: $pool, value: $value, effect: "NoSchedule"}]' |
		kubectl create -f -
}

# is PHASE NAME
is() {
	[[ $(kubectl get performer "$2" -o jsonpath='{.status.phase} {.status.observedGeneration}') == "$1 "?* ]]
}

# runs NAME: as its present spec says.
runs() {
	kubectl get performer "$1" -o json |
		jq -e '.status | .phase == "Running" and .ready' >/dev/null &&
		[[ $(stored "$1" '.metadata.generation == .status.observedGeneration') == true ]]
}

# has_failed NAME: it is Failed; sets `failed` to what it is then, since it is tried again ten seconds later.
has_failed() {
	failed=$(kubectl get performer "$1" -o json)
	jq -e '.status.phase == "Failed"' <<<"$failed"
}

# failed_or_is_tried_again NAME: whoever comes late finds the latter.
failed_or_is_tried_again() {
	is Failed "$1" || (($(stored "$1" .status.retries) >= 1))
}

# pods NAME: of the Performer, those that end included.
pods() {
	kubectl get pods -l "hourglass.eigenlayer.io/performer=$1" -o name
}

pod_of() {
	kubectl get performer "$1" -o jsonpath='{.status.podName}'
}

# pod NAME FILTER: what the jq filter finds in its pod.
pod() {
	kubectl get pod "$(pod_of "$1")" -o json | jq -cS "$2"
}

# leads_to_pod NAME: its Service, to its present pod alone. Kubernetes says so some time after the pod is ready.
leads_to_pod() {
	[[ $(pod_of "$1") == "$(kubectl get endpointslices -l "kubernetes.io/service-name=performer-$1" -o json |
		jq -r '[.items[].endpoints[]? | select(.conditions.ready) | .targetRef.name] | sort | join(" ")')" ]]
}

@test "a Performer becomes a pod behind a Service, and is Running" {
	create_performer plain '.spec.config = {grpcPort: 9191, environment: {B: "2", A: "secret-1", C: "3"}}'
	eventually 90 runs plain
	assert_stored plain '.status | [.stage, .serviceName, .grpcEndpoint, .retries]' \
		"[\"Running\",\"performer-plain\",\"performer-plain.$NS.svc.cluster.local:9191\",0]"
	assert_equal '["A","B","C"]' "$(pod plain '[.spec.containers[0].env[] | select(.value) | .name][:3]')"
	assert_equal "[[\"Performer\",\"plain\",true]]" \
		"$(pod plain '[.metadata.ownerReferences[] | [.kind, .name, .controller]]')"
	assert_equal 9191 "$(pod plain '.spec.containers[0].readinessProbe.grpc.port')"
	eventually 90 leads_to_pod plain
	assert_equal 9191 "$(kubectl get service performer-plain -o jsonpath='{.spec.ports[0].port}')"
}

# assert_few_writes NAME: pod, Service, event, the last status, and one before, for a start that takes three seconds.
# Of one that takes ten the status tells each stage: then all but the writes of the status are counted.
assert_few_writes() {
	local most=5 seconds
	written "$1" >"$BATS_TEST_TMPDIR/writes"
	seconds=$(stored "$1" '(.status.readyTime | fromdate) - (.metadata.creationTimestamp | fromdate)')
	note "$(wc -l <"$BATS_TEST_TMPDIR/writes") writes and events for $1, which was ready after $seconds s"
	if ((seconds >= 10)); then
		most=3
		sed -i '/write="write status"/d' "$BATS_TEST_TMPDIR/writes"
	fi
	(($(wc -l <"$BATS_TEST_TMPDIR/writes") <= most)) || fail "$(cat "$BATS_TEST_TMPDIR/writes")"
}

@test "it takes five writes at most to start a Performer, pod, Service and event included" {
	local i
	for i in {1..5}; do
		create_performer "few-$i" .
	done
	for i in {1..5}; do
		eventually 90 runs "few-$i"
		assert_few_writes "few-$i"
	done
	kubectl delete performer few-{1..5} --timeout=180s
}

@test "a Performer of any namespace is looked after, and goes with its namespace" {
	kubectl create namespace "$NS-other"
	performer plain . | kubectl --namespace "$NS-other" create -f -
	eventually 90 eval '[[ $(kubectl --namespace "$NS-other" get performer plain -o jsonpath="{.status.phase}") == Running ]]'
	kubectl --namespace "$NS-other" get service performer-plain
	kubectl delete namespace "$NS-other" --timeout=180s
}

@test "what happened stands in its events, and no value of the environment in events and logs" {
	eventually 90 eval 'kubectl describe performer plain | grep -q "Normal *Running"'
	assert_lacks "$(kubectl get events -o json) $(cat "$controller_dir"/logs/*)" secret-1
	assert_contains "$(cat "$controller_dir/logs/controller-a.log")" \
		"correlationID=$(kubectl get performer plain -o jsonpath='{.metadata.annotations.callboard\.dev/correlation-id}')"
}

@test "hardware is asked for in the pod, and a pod that no node fits goes on waiting" {
	create_performer gpu '.spec.hardwareRequirements = {gpuType: "nvidia-a100", gpuCount: 2, teeRequired: true, teeType: "sgx", customLabels: {zone: "a"}}'
	eventually 90 eval 'stored gpu .status.stage | grep -q NodeSelection'
	assert_equal '"2"' "$(kubectl get pods -l hourglass.eigenlayer.io/performer=gpu -o json |
		jq '.items[0].spec.containers[0].resources.limits["nvidia.com/gpu"]')"
	assert_contains "$(kubectl get pods -l hourglass.eigenlayer.io/performer=gpu -o json |
		jq -c '.items[0].spec.affinity.nodeAffinity')" nvidia.com/gpu.product
	assert_equal '"a"' "$(kubectl get pods -l hourglass.eigenlayer.io/performer=gpu -o json |
		jq '.items[0].spec.nodeSelector.zone')"
	assert_stored gpu '.status | [.phase, (.conditions[] | select(.type == "PodScheduled") | .status)]' \
		'["Pending","False"]'
}

@test "children that somebody deletes or changes are put right" {
	local before
	before=$(pod plain .metadata.uid)
	kubectl delete pod "$(pod_of plain)"
	# Between the two pods there is none, and the status is of the one before.
	another_pod_runs() {
		local uid
		uid=$(pod plain .metadata.uid)
		[[ -n $uid && $uid != "$before" ]] && runs plain
	}
	eventually 90 another_pod_runs
	assert_equal 1 "$(pods plain | wc -l)"
	kubectl delete service performer-plain
	eventually 90 kubectl get service performer-plain
	kubectl patch service performer-plain --type=merge -p '{"spec":{"ports":[{"name":"grpc","port":1,"targetPort":1}]}}'
	eventually 90 eval '[[ $(kubectl get service performer-plain -o jsonpath="{.spec.ports[0].port}") == 9191 ]]'
	kubectl label pod "$(pod_of plain)" app-
	eventually 90 eval 'pod plain .metadata.labels.app | grep -q hourglass-performer'
	eventually 90 runs plain
}

@test "an image that cannot be pulled is Failed with the reason, and a better one is taken at once" {
	create_performer pulled '.spec.image = "registry.example/pull-fails:v1"'
	eventually 90 has_failed pulled
	assert_equal '["Failed",true]' "$(jq -c '[.status.stage, (.status.nextRetryTime != null)]' <<<"$failed")"
	assert_contains "$(jq -c .status.conditions <<<"$failed")" \
		"image registry.example/pull-fails:v1 cannot be pulled: ImagePullBackOff: the registry does not have it"
	kubectl patch performer pulled --type=merge -p '{"spec":{"image":"registry.example/app:v2"}}'
	eventually 90 runs pulled
	assert_equal 1 "$(pods pulled | wc -l)"
}

@test "a container that crashes is Failed, and tried again after its backoff" {
	create_performer crashed '.spec.image = "registry.example/crash-loops:v1"'
	eventually 90 has_failed crashed
	assert_contains "$(jq -c .status.conditions <<<"$failed")" '"ContainerCrashed"'
	assert_contains "$(jq -c .status.conditions <<<"$failed")" "exit code 3"
	eventually 90 eval '(($(stored crashed .status.retries) >= 1))'
	# It is counted before the pod that failed is deleted, and that one is gone before there is another.
	eventually 90 eval '[[ $(pods crashed | wc -l) == 1 ]]'
}

@test "a pod that ends is replaced" {
	local before
	create_performer ended .
	eventually 90 runs ended
	before=$(pod_of ended)
	kubectl annotate pod "$before" e2e.callboard.dev/exit-code=3 e2e.callboard.dev/message=done
	eventually 90 failed_or_is_tried_again ended
	eventually 90 runs ended
	[[ $(pod_of ended) != "$before" ]] || fail "it is the same pod"
	assert_stored ended .status.retries 1
}

# slow POD: once deleted, it takes its time, until `end_pod`.
slow() {
	kubectl annotate pod "$1" e2e.callboard.dev/terminate-after=1h
}

ends() {
	[[ -n $(kubectl get pod "$1" -o jsonpath='{.metadata.deletionTimestamp}') ]]
}

end_pod() {
	eventually 90 ends "$1"
	kubectl delete pod "$1" --force --grace-period=0
}

@test "Recreate ends the old pod before the new one begins" {
	local before
	before=$(pod_of plain)
	slow "$before"
	kubectl patch performer plain --type=merge -p '{"spec":{"image":"registry.example/app:v2"}}'
	eventually 90 is Upgrading plain
	eventually 90 ends "$before"
	assert_equal "pod/$before" "$(pods plain)"
	end_pod "$before"
	eventually 90 runs plain
	assert_equal "pod/$(pod_of plain)" "$(pods plain)"
	assert_stored plain '.status.lastUpgrade != null' true
	assert_equal '"registry.example/app:v2"' "$(pod plain '.spec.containers[0].image')"
}

@test "BlueGreen starts the new pod first, switches, and ends the old one later" {
	local before
	create_performer blue '.spec.upgradeStrategy = "BlueGreen"'
	eventually 90 runs blue
	before=$(pod_of blue)
	slow "$before"
	kubectl patch performer blue --type=merge -p '{"spec":{"image":"registry.example/app:v2"}}'
	switched() {
		[[ $(pod_of blue) != "$before" ]] && runs blue
	}
	eventually 90 switched
	kubectl get pod "$before"
	eventually 90 leads_to_pod blue
	end_pod "$before"
	assert_equal "pod/$(pod_of blue)" "$(pods blue)"
}

@test "deletion ends Service and pod, in this order, and only then lets go" {
	local name
	create_performer doomed .
	eventually 90 runs doomed
	name=$(pod_of doomed)
	slow "$name"
	kubectl delete performer doomed --wait=false
	eventually 90 is Terminating doomed
	eventually 90 ends "$name"
	assert_equal "" "$(kubectl get service performer-doomed --ignore-not-found -o name)"
	assert_stored doomed .metadata.finalizers '["hourglass.eigenlayer.io/performer-finalizer"]'
	end_pod "$name"
	kubectl wait --for=delete performer/doomed --timeout=180s
}

@test "an object of somebody else with its name is reported and left alone" {
	local before
	kubectl create service clusterip performer-taken --tcp=80:80
	before=$(kubectl get service performer-taken -o json | jq -cS .)
	create_performer taken .
	eventually 90 is Failed taken
	assert_contains "$(stored taken .status.conditions)" NameTaken
	assert_contains "$(stored taken .status.conditions)" performer-taken
	assert_equal "$before" "$(kubectl get service performer-taken -o json | jq -cS .)"
	kubectl delete service performer-taken
	# It would be tried again at the resync, too.
	kubectl annotate performer taken tried=again
	eventually 90 runs taken
}

# children, versions: of the Performers that rest.
children() {
	kubectl get pods,services -l app=hourglass-performer -o json |
		jq -cS '[.items[] | select(.metadata.labels["hourglass.eigenlayer.io/performer"] | IN("plain", "blue", "pulled", "taken")) | [.metadata.name, .metadata.resourceVersion]]'
}

versions() {
	kubectl get performers plain blue pulled taken -o json | jq -c '[.items[].metadata.resourceVersion]'
}

@test "a new controller changes nothing of what runs" {
	local before
	before="$(children) $(versions)"
	controller restart
	eventually 90 eval '[[ $(controller_metric controller-a '"'"'leader_election_master_status{name="callboard-controller"}'"'"') == 1 ]]'
	eventually 90 eval '(($(controller_metric controller-a '"'"'controller_runtime_reconcile_total{controller="performer",result="success"}'"'"') > 3))'
	assert_equal "$before" "$(children) $(versions)"
}

@test "every object is looked at again from time to time, and nothing is written" {
	local before looks='controller_runtime_reconcile_total{controller="performer",result="success"}' first
	before="$(children) $(versions)"
	first=$(controller_metric controller-a "$looks")
	eventually 90 eval '(($(controller_metric controller-a "$looks") >= first + 8))'
	assert_equal "$before" "$(children) $(versions)"
}

leads() {
	[[ $(controller_metric "$1" 'leader_election_master_status{name="callboard-controller"}') == 1 ]]
}

# many COUNT: as many Performers run, each with one pod and one Service.
# The pod that was on a node which is down has no Performer any more.
many() {
	kubectl get performers -o json |
		jq -e --argjson count "$1" '[.items[] | select(.metadata.name | startswith("many-"))]
			| length == $count and all(.status.phase == "Running" and .status.ready)' &&
		kubectl get pods,services -l app=hourglass-performer -o json |
		jq -e --argjson count "$1" '[.items[] | [.kind, .metadata.labels["hourglass.eigenlayer.io/performer"]]
			| select(.[1] // "" | startswith("many-"))] | length == 2 * $count and length == (unique | length)'
}

@test "the standby is ready, and takes over when the leader is killed: no child is made twice" {
	local count=40 started created i
	controller up controller-b
	eventually 90 leads controller-a
	! leads controller-b || fail "two lead"
	for ((i = 1; i <= count; i++)); do performer "many-$i" .; done | kubectl create -f - 3>&- &
	# In the middle of its work.
	eventually 90 written many-3
	kill -KILL "$(controller pid controller-a)"
	started=$(date +%s%N)
	wait $!
	eventually 90 leads controller-b
	note "the standby led $((($(date +%s%N) - started) / 1000000)) ms after the leader was killed; its lease lasts 30,000 ms"
	eventually 180 many "$count"
	for ((i = 1; i <= count; i++)); do
		created=$(written "many-$i" | grep -c 'write="create pod" .* outcome=OK' || true)
		((created <= 1)) || fail "$(written "many-$i")"
	done
	kubectl delete performers -l '!none' --field-selector "metadata.name!=stranded" --wait=false
}

@test "an orderly end hands over at once" {
	local started
	controller up controller-a
	eventually 90 leads controller-b
	started=$(date +%s%N)
	controller stop controller-b
	eventually 90 leads controller-a
	note "the other one led $((($(date +%s%N) - started) / 1000000)) ms after SIGTERM"
	assert_contains "$(tail -n 1 "$controller_dir/logs/controller-b.log")" ended
}

@test "a Performer on a node that has been down for two minutes starts on another one" {
	local first old
	first=$(kubectl get nodes -l "$pool=$NS" -o json |
		jq -r '.items[] | select(.metadata.annotations["e2e.callboard.dev/down"] != null) | .metadata.name')
	moved() {
		runs stranded && [[ $(stored stranded .status.nodeName) != "\"$first\"" ]]
	}
	eventually 180 moved
	eventually 90 leads_to_pod stranded
	# The old pod is told to end, but not forced away: its node may come back.
	old=$(kubectl get pods --field-selector "spec.nodeName=$first" -o json)
	kubectl delete pods --field-selector "spec.nodeName=$first" --force --grace-period=0
	assert_equal '[[true,null]]' \
		"$(jq -c '[.items[].metadata | [.deletionTimestamp != null, .labels["hourglass.eigenlayer.io/performer"]]]' <<<"$old")"
}

@test "a Performer on a node that is gone starts on another one" {
	local gone
	kubectl annotate nodes -l "$pool=$NS" e2e.callboard.dev/down-
	eventually 90 runs stranded
	gone=$(stored stranded .status.nodeName | jq -r .)
	kubectl delete node "$gone"
	moved() {
		runs stranded && [[ $(stored stranded .status.nodeName) != "\"$gone\"" ]]
	}
	eventually 180 moved
}
