#!/usr/bin/env bats
# Who may write down the devices of a pod: nobody but those who bind it, by whatever kind of request.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

devices=callboard.dev/devices
extender=system:serviceaccount:callboard-system:callboard-extender

# Olga may do all with pods, and the extender's account may bind. No scheduler takes these pods.
setup_file() {
	start_file devices
	kubectl create role pods --verb='*' --resource=pods,pods/status,pods/binding,bindings,pods/ephemeralcontainers
	kubectl create rolebinding pods-olga --role=pods --user=olga
	kubectl create rolebinding pods-extender --role=pods --user="$extender"
	# A role and a policy take effect a moment after they are stored.
	pod policy '.metadata.annotations = {($devices): "0"}' >"$BATS_FILE_TMPDIR/policy.json"
	eventually 60 is_refused as olga create --dry-run=server -f "$BATS_FILE_TMPDIR/policy.json"
	eventually 60 as "$extender" auth can-i create pods --subresource=binding
}

teardown_file() {
	kubectl delete pods --all --force --grace-period=0
	end_file
}

# is_refused COMMAND...: by the policy, not for want of a right.
is_refused() {
	"$@" 2>&1 | grep callboard-pod-devices
}

# as USER ARGUMENT...: kubectl as that user.
as() {
	local user=$1
	shift
	kubectl --as="$user" "$@"
}

# pod NAME [FILTER]: one that waits for its node, changed by the jq filter.
pod() {
	jq -n --arg name "$1" --arg devices "$devices" '{
			apiVersion: "v1", kind: "Pod", metadata: {$name},
			spec: {schedulerName: "none", containers: [{name: "main", image: "app:v1"}]}
		} | '"${2:-.}"
}

# binding NAME [FILTER]: of that pod to a fake node.
binding() {
	jq -n --arg name "$1" --arg devices "$devices" --arg node "$(kubectl get nodes -l type=kwok -o name | head -n 1 | cut -d/ -f2)" '{
			apiVersion: "v1", kind: "Binding", metadata: {$name},
			target: {apiVersion: "v1", kind: "Node", name: $node}
		} | '"${2:-.}"
}

# bind USER NAME FILTER [RESOURCE]: `run` of a binding, posted to the pod or, with RESOURCE, to bindings.
bind() {
	binding "$2" "$3" >"$BATS_TEST_TMPDIR/binding.json"
	run --separate-stderr as "$1" create --raw "/api/v1/namespaces/$NS/${4:-pods/$2/binding}" -f "$BATS_TEST_TMPDIR/binding.json"
}

# devices_of NAME
devices_of() {
	kubectl get pod "$1" -o json | jq -c '[.metadata.annotations["callboard.dev/devices"], .spec.nodeName != null]'
}

assert_forbidden() {
	assert_fails
	assert_contains "$stderr" "callboard-pod-devices"
	assert_contains "$stderr" 'the annotation callboard.dev/devices says which devices a pod was given and is set when it is bound; "olga" may neither set, change nor remove it: leave it out'
}

@test "nobody creates a pod with devices, and an administrator neither" {
	run --separate-stderr as olga create -f <(pod forged '.metadata.annotations = {($devices): "0"}')
	assert_forbidden
	run --separate-stderr kubectl create -f <(pod forged '.metadata.annotations = {($devices): "0"}')
	assert_fails
	assert_contains "$stderr" "callboard-pod-devices"
	# Not even an empty one, which says that it was given none.
	run --separate-stderr as olga create -f <(pod forged '.metadata.annotations = {($devices): ""}')
	assert_forbidden
}

@test "a pod that a controller makes of a template with devices is refused too" {
	kubectl create deployment forged --image=app:v1
	kubectl patch deployment forged --type=merge -p '{"spec":{"template":{"metadata":{"annotations":{"'$devices'":"0"}}}}}'
	refused() {
		kubectl get replicasets -o json | grep -q "callboard-pod-devices"
	}
	eventually 90 refused
	kubectl delete deployment forged
}

@test "devices come by the extender's binding, and by nobody else's" {
	as olga create -f <(pod bound)
	bind olga bound '.metadata.annotations = {($devices): "0-1"}'
	assert_forbidden
	bind olga bound '.metadata.annotations = {($devices): "0-1"}' bindings
	assert_forbidden
	assert_equal '[null,false]' "$(devices_of bound)"
	bind "$extender" bound '.metadata.annotations = {($devices): "0-1"}'
	assert_ok
	assert_equal '["0-1",true]' "$(devices_of bound)"
}

@test "they are then fixed: no update, patch, apply or status changes or removes them" {
	run --separate-stderr as olga annotate --overwrite pod bound "$devices=2"
	assert_forbidden
	run --separate-stderr as olga annotate pod bound "$devices-"
	assert_forbidden
	run --separate-stderr as olga patch pod bound --subresource=status --type=merge -p '{"metadata":{"annotations":{"'$devices'":"2"}}}'
	assert_forbidden
	run --separate-stderr as olga patch pod bound --type=merge -p '{"metadata":{"annotations":null}}'
	assert_forbidden
	run --separate-stderr as olga apply --server-side --force-conflicts -f <(pod bound '.metadata.annotations = {($devices): "2"}')
	assert_forbidden
	kubectl get pod bound -o json | jq 'del(.metadata.annotations)' >"$BATS_TEST_TMPDIR/pod.json"
	run --separate-stderr as olga replace -f "$BATS_TEST_TMPDIR/pod.json"
	assert_forbidden
	assert_equal '["0-1",true]' "$(devices_of bound)"
}

@test "all else about pods is as before" {
	as olga label pod bound team=blue
	as olga annotate pod bound team=blue
	as olga patch pod bound --subresource=status --type=merge -p '{"status":{"message":"hello"}}'
	as olga debug bound --image=app:v1 --target=main --attach=false
	as olga create -f <(pod plain)
	bind olga plain '.metadata.annotations = {team: "blue"}'
	assert_ok
	as olga create -f <(pod older)
	bind olga older . bindings
	assert_ok
	assert_equal '[null,true]' "$(devices_of older)"
	as olga delete pods bound plain older --force --grace-period=0
}

@test "the policy has no error of types" {
	has_no_type_error() {
		kubectl get validatingadmissionpolicy callboard-pod-devices -o json |
			jq -e '.status.typeChecking == {} and .status.observedGeneration == .metadata.generation'
	}
	eventually 60 has_no_type_error
}
