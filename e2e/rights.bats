#!/usr/bin/env bats
# Rights of controller and extender that are of use only when something is amiss, or on an older server: hack/rights
# asks that every right is used by some test, and the other files use the rest.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

controller_dir=$CLUSTER_DIR/controller

setup_file() {
	[[ ${CLUSTER:-} != existing ]] || skip "restarts the apiserver"
	start_file rights
	# Servers before Kubernetes 1.34 do not stream lists.
	restart_apiserver --feature-gates=WatchList=false
	# A lease that a leader keeps on a machine that stalls for a while.
	export CONTROLLER_FLAGS="--leader-elect-lease-duration 30s --leader-elect-renew-deadline 20s
		--leader-elect-retry-period 500ms --log-level debug"
	controller up
}

teardown_file() {
	[[ ${CLUSTER:-} != existing ]] || return 0
	# Whatever is left, nothing of this must go on beside the tests of other files.
	local left=
	kubectl delete jobflows --all --timeout=180s || left=yes
	kubectl delete performers --all --timeout=180s || left=yes
	controller down
	extender down
	restart_apiserver
	end_file
	[[ -z $left ]]
}

# A test that failed must not make the writes of the next one fail.
teardown() {
	kubectl delete validatingwebhookconfiguration "$NS" --ignore-not-found
}

# restart_apiserver [FLAG]: with the flags that it has, and one more.
restart_apiserver() {
	KUBE_APISERVER_FLAGS="${KUBE_APISERVER_FLAGS:-} $*" "$root/hack/cluster" restart kube-apiserver 3>&- 4>&-
}

# Bats waits for whoever holds its descriptors, and the process outlives the test.
controller() {
	"$root/hack/controller" "$@" 3>&- 4>&-
}

extender() {
	"$root/hack/extender" "$@" 3>&- 4>&-
}

runs() {
	[[ $(stored "$1" '[.status.phase, .status.ready]') == '["Running",true]' ]]
}

# says TEXT...: the controller's log has a line with all of them.
says() {
	local lines part
	lines=$(<"$controller_dir/logs/controller-a.log")
	for part in "$@"; do
		lines=$(grep -F -- "$part" <<<"$lines") || return 1
	done
}

# fail_writes GROUP RESOURCE OPERATION: makes the apiserver answer such a write of this namespace by
# "500 Internal error": it asks a webhook that nobody serves. It does so a moment after it was told, and about
# ConfigMaps too, by which that is seen: of what is written once nothing may slip through before.
fail_writes() {
	jq -n --arg name "$NS" --arg group "$1" --arg resource "$2" --arg operation "$3" '{
		apiVersion: "admissionregistration.k8s.io/v1", kind: "ValidatingWebhookConfiguration",
		metadata: {$name},
		webhooks: [{
			name: "nobody.e2e.callboard.dev", admissionReviewVersions: ["v1"], sideEffects: "None",
			clientConfig: {url: "https://127.0.0.1:1/"}, failurePolicy: "Fail",
			namespaceSelector: {matchLabels: {"kubernetes.io/metadata.name": $name}},
			rules: [
				{apiGroups: [$group], apiVersions: ["*"], operations: [$operation], resources: [$resource]},
				{apiGroups: [""], apiVersions: ["*"], operations: ["CREATE"], resources: ["configmaps"]}
			]
		}]
	}' | kubectl create -f -
	eventually 90 eval 'kubectl create configmap probe --dry-run=server 2>&1 | grep -F nobody.e2e.callboard.dev'
}

@test "the caches are filled by lists in pages where the server does not stream them" {
	create_performer listed
	eventually 90 runs listed
}

# looked_at KIND NAME PURPOSE: the controller does not know what became of a write about the object.
looked_at() {
	kubectl annotate --overwrite "$1" "$2" tried="$(date +%s%N)"
	says "write=\"$3\"" "name=$2" outcome=Unknown
}

@test "after a write of which nobody knows whether it was done the object is looked at" {
	local what api resource operation purpose name
	for what in ",pods,CREATE,create pod" ",services,CREATE,create service" \
		"hourglass.eigenlayer.io,performers/status,UPDATE,write status"; do
		IFS=, read -r api resource operation purpose <<<"$what"
		name=unknown-${resource%/*}
		fail_writes "$api" "$resource" "$operation"
		create_performer "$name"
		eventually 90 looked_at performer "$name" "$purpose"
		kubectl delete validatingwebhookconfiguration "$NS"
		eventually 90 runs "$name"
	done
}

@test "so it is with what flows are made of" {
	local what api resource operation purpose name
	for what in ",persistentvolumeclaims,CREATE,create resource of flow" "batch,jobs,CREATE,create Job" \
		"workflow.kube-zen.io,jobflows/status,UPDATE,write status"; do
		IFS=, read -r api resource operation purpose <<<"$what"
		name=unknown-${resource%/*}
		fail_writes "$api" "$resource" "$operation"
		create_flow "$name" '.spec.resourceTemplates.volumeClaimTemplates = [{
			metadata: {name: "'"$name"'"},
			spec: {accessModes: ["ReadWriteOnce"], resources: {requests: {storage: "1Gi"}}}}]'
		eventually 90 looked_at jobflow "$name" "$purpose"
		kubectl delete validatingwebhookconfiguration "$NS"
		eventually 90 eval '[[ $(stored_flow "$name" .status.phase) == "\"Succeeded\"" ]]'
	done
}

@test "and with the shares of GPUs that a node advertises" {
	local name
	name=$(kubectl get nodes -l type=kwok -o json | jq -r '.items[0].metadata.name')
	fail_writes "" nodes/status UPDATE
	kubectl label node "$name" callboard.dev/gpu-mode=shared nvidia.com/gpu.count=2
	eventually 90 looked_at node "$name" "advertise gpu-milli"
	kubectl delete validatingwebhookconfiguration "$NS"
	# milli AMOUNT: what it advertises.
	milli() {
		[[ $(kubectl get node "$name" -o json | jq -r '.status.allocatable["callboard.dev/gpu-milli"]') == "$1" ]]
	}
	eventually 90 milli 2k
	kubectl label node "$name" callboard.dev/gpu-mode- nvidia.com/gpu.count-
	eventually 90 milli null
	kubectl annotate node "$name" tried-
}

# metric NAME: its value, of the extender that is active.
extender_metric() {
	curl -sf --noproxy '*' "http://127.0.0.1:$(extender health extender-a)/metrics" |
		awk -v name="$1" 'index($0, name " ") == 1 {print $NF}'
}

@test "the extender's caches are filled by lists as well, and a binding whose answer was lost is looked at" {
	extender up
	extender scheduler
	fail_writes "" pods/binding CREATE
	jq -n '{apiVersion: "v1", kind: "Pod", metadata: {name: "placed"},
		spec: {schedulerName: "callboard-scheduler", containers: [{name: "main", image: "app:v1"}]}}' | kubectl create -f -
	unknown() {
		(($(extender_metric 'callboard_extender_bindings_total{result="unknown"}') >= 1))
	}
	eventually 90 unknown
	kubectl delete validatingwebhookconfiguration "$NS"
	eventually 120 eval '[[ $(kubectl get pod placed -o jsonpath="{.spec.nodeName}") ]]'
	extender down
}

@test "an event that comes again is counted, not written anew" {
	# Taken out of its Service, it is put back, and runs again.
	counted() {
		kubectl label pod "$(kubectl get performer listed -o jsonpath='{.status.podName}')" app-
		kubectl get events --field-selector involvedObject.name=listed,reason=Running -o json |
			jq -e '.items | length == 1 and .[0].count > 1'
	}
	eventually 90 counted
	eventually 90 runs listed
}

# may: whether the controller may write the finalizers of both kinds.
may() {
	local kind
	for kind in performers.hourglass.eigenlayer.io jobflows.workflow.kube-zen.io; do
		kubectl auth can-i update "$kind" --subresource=finalizers \
			--as=system:serviceaccount:callboard-system:callboard-controller || return 1
	done
}

may_neither() {
	[[ $(may) == no && $(kubectl auth can-i update jobflows.workflow.kube-zen.io --subresource=finalizers \
		--as=system:serviceaccount:callboard-system:callboard-controller) == no ]]
}

@test "where owners are protected, the right to their finalizers is what makes pods and Jobs possible" {
	local rules
	rules=$(kubectl get clusterrole callboard-controller -o json)
	jq 'del(.rules[] | select(.resources[0] | endswith("/finalizers")))' <<<"$rules" | kubectl replace -f -
	# What the authorizer knows follows a moment later.
	eventually 60 may_neither
	create_performer protected
	create_flow protected
	eventually 90 eval 'stored protected .status | grep -q "cannot set blockOwnerDeletion"'
	eventually 90 eval 'stored_flow protected .status | grep -q "cannot set blockOwnerDeletion"'
	jq 'del(.metadata.resourceVersion)' <<<"$rules" | kubectl replace -f -
	eventually 60 may
	kubectl annotate performer protected tried=again
	eventually 180 runs protected
}
