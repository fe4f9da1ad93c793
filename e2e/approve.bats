#!/usr/bin/env bats
# Approvals of Manual steps: whoever may change flows may not thereby approve, and who approved is what
# the apiserver knows.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

approve=approve.workflow.kube-zen.io
approved_by=approved-by.workflow.kube-zen.io

# Olga may do all with flows that is not approving, Anna may approve as well, Ivo may approve one flow.
setup_file() {
	start_file approve
	kubectl create role flows --verb=create,get,list,watch,patch,update,delete --resource=jobflows.workflow.kube-zen.io
	kubectl create role release --verb=approve --resource=jobflows.workflow.kube-zen.io --resource-name=release
	local user
	for user in olga anna ivo; do
		kubectl create rolebinding "flows-$user" --role=flows --user="$user"
	done
	kubectl create rolebinding approvers --clusterrole=callboard-jobflow-approver --user=anna
	kubectl create rolebinding release --role=release --user=ivo
	# Roles and a policy take effect a moment after they are stored.
	manual policy | kubectl create -f -
	eventually 60 is_refused kubectl --as=olga annotate --dry-run=server jobflow policy "$approve/check=true"
	eventually 60 may anna patch jobflows.workflow.kube-zen.io
	eventually 60 may anna approve jobflows.workflow.kube-zen.io
	eventually 60 may ivo patch jobflows.workflow.kube-zen.io
	eventually 60 may ivo approve jobflows.workflow.kube-zen.io/release
}

teardown_file() {
	end_file
}

# is_refused COMMAND...: by the policy, not for want of another right.
is_refused() {
	"$@" 2>&1 | grep callboard-jobflow-approval
}

# may USER VERB RESOURCE
may() {
	kubectl --as="$1" auth can-i "$2" "$3"
}

# manual NAME [FILTER]: a flow that waits at the step check and at the step sign.
manual() {
	flow "$1" '.spec.steps += [{name: "check", type: "Manual"}, {name: "sign", type: "Manual"}] | '"${2:-.}"
}

create_manual() {
	manual "$@" | kubectl create -f -
}

# decide USER FLOW ARGUMENT...: `run` of kubectl annotate as that user.
decide() {
	local user=$1 name=$2
	shift 2
	run --separate-stderr kubectl --as="$user" annotate --overwrite jobflow "$name" "$@"
}

# assert_decisions FLOW EXPECTED: the annotations of approvals, as JSON.
assert_decisions() {
	assert_equal "$2" "$(stored_flow "$1" '.metadata.annotations | with_entries(select(.key | contains("approve")))')"
}

@test "who has the verb approves, and is written down" {
	create_manual allowed
	decide anna allowed "$approve/check=true"
	assert_ok
	assert_decisions allowed '{"'$approve'/check":"true","'$approved_by'/check":"anna"}'
}

@test "who may patch but not approve is refused with the cure" {
	create_manual refused
	decide olga refused "$approve/check=true"
	assert_refused <<-EOF
		Error from server (Forbidden): jobflows.workflow.kube-zen.io "refused" is forbidden: ValidatingAdmissionPolicy 'callboard-jobflow-approval' with binding 'callboard-jobflow-approval' denied request: approving, rejecting or withdrawing the decision on the step "check" needs the verb approve on jobflows in the namespace "$NS", which a RoleBinding to the ClusterRole callboard-jobflow-approver gives
	EOF
	decide olga refused "$approve/sign=false"
	assert_fails
	assert_contains "$stderr" 'the step "sign" needs the verb approve'
	assert_decisions refused '{}'
}

@test "everything else may be changed without the verb" {
	create_manual changed
	decide anna changed "$approve/check=true"
	assert_ok
	decide olga changed team=blue
	assert_ok
	run kubectl --as=olga label jobflow changed team=blue
	assert_ok
	run kubectl --as=olga patch jobflow changed --type=merge -p '{"spec":{"executionPolicy":{"suspend":true}}}'
	assert_ok
	assert_decisions changed '{"'$approve'/check":"true","'$approved_by'/check":"anna"}'
}

@test "a decision can be changed or withdrawn only with the verb" {
	create_manual withdrawn
	decide anna withdrawn "$approve/check=false"
	assert_ok
	decide olga withdrawn "$approve/check=true"
	assert_fails
	assert_contains "$stderr" '(Forbidden)'
	decide olga withdrawn "$approve/check-"
	assert_fails
	assert_contains "$stderr" '(Forbidden)'
	manual withdrawn >"$BATS_TEST_TMPDIR/flow.json"
	run --separate-stderr kubectl --as=olga replace -f "$BATS_TEST_TMPDIR/flow.json"
	assert_fails
	assert_contains "$stderr" '(Forbidden)'
	assert_decisions withdrawn '{"'$approve'/check":"false","'$approved_by'/check":"anna"}'
	decide anna withdrawn "$approve/check-"
	assert_ok
	assert_decisions withdrawn '{}'
}

@test "nobody can put other steps behind a decision" {
	create_manual held
	decide anna held "$approve/check=true"
	assert_ok
	run --separate-stderr kubectl --as=olga patch jobflow held --type=json \
		-p '[{"op": "replace", "path": "/spec/steps/0/template/spec/template/spec/containers/0/image", "value": "evil:v1"}]'
	assert_refused <<-EOF
		The JobFlow "held" is invalid: spec.steps: Forbidden: the step "check" was decided on; only suspend, suspendMode, parallelism, ttlSecondsAfterFinished and activeDeadlineSeconds may change; remove the annotation $approve/check, change the flow and decide anew, or create another flow
	EOF
	# Who may approve can withdraw the decision together with the change.
	run kubectl --as=anna patch jobflow held --type=merge \
		-p '{"metadata":{"annotations":{"'$approve'/check":null}},"spec":{"executionPolicy":{"priority":"high"}}}'
	assert_ok
	assert_decisions held '{}'
	run kubectl --as=olga patch jobflow held --type=merge -p '{"spec":{"executionPolicy":{"priority":"low"}}}'
	assert_ok
}

@test "a flow that is created approved needs the verb, also by generateName" {
	run --separate-stderr kubectl --as=olga create -f - < <(manual born '.metadata.annotations = {"'$approve'/check": "true"}')
	assert_fails
	assert_contains "$stderr" '(Forbidden)'
	run --separate-stderr kubectl --as=olga create -f - \
		< <(manual x '.metadata = {generateName: "born-", annotations: {"'$approve'/check": "true"}}')
	assert_fails
	assert_contains "$stderr" '(Forbidden)'
	run --separate-stderr kubectl --as=anna create -o name -f - \
		< <(manual x '.metadata = {generateName: "born-", annotations: {"'$approve'/check": "true"}}')
	assert_ok
	assert_decisions "${output#*/}" '{"'$approve'/check":"true","'$approved_by'/check":"anna"}'
}

@test "the verb for one flow is for that flow alone" {
	create_manual release
	create_manual other
	decide ivo release "$approve/check=true"
	assert_ok
	decide ivo other "$approve/check=true"
	assert_fails
	assert_contains "$stderr" '(Forbidden)'
}

@test "who approved cannot be forged, by whatever kind of request" {
	create_manual forged
	decide anna forged "$approve/check=true" "$approved_by/check=olga"
	assert_ok
	assert_decisions forged '{"'$approve'/check":"true","'$approved_by'/check":"anna"}'
	decide olga forged "$approved_by/check=olga" "$approved_by/sign=olga"
	assert_ok
	decide olga forged "$approved_by/check-"
	assert_ok
	kubectl --as=olga patch jobflow forged --type=json \
		-p '[{"op": "replace", "path": "/metadata/annotations/approved-by.workflow.kube-zen.io~1check", "value": "olga"}]'
	manual forged '.metadata.annotations = {"'$approved_by'/check": "olga"}' |
		kubectl --as=olga apply --server-side --force-conflicts -f -
	assert_decisions forged '{"'$approve'/check":"true","'$approved_by'/check":"anna"}'
	# The status has no say in metadata.
	kubectl patch jobflow forged --subresource=status --type=merge \
		-p '{"metadata":{"annotations":{"'$approve'/sign":"true","'$approved_by'/check":"olga"}},"status":{"phase":"Running"}}'
	assert_decisions forged '{"'$approve'/check":"true","'$approved_by'/check":"anna"}'
	assert_equal '"Running"' "$(stored_flow forged .status.phase)"
}

@test "a second approver is written beside the first" {
	create_manual two
	decide anna two "$approve/check=true"
	assert_ok
	run kubectl annotate jobflow two "$approve/sign=false"
	assert_ok
	assert_equal "[\"anna\",$(kubectl auth whoami -o json | jq .status.userInfo.username)]" \
		"$(stored_flow two '[.metadata.annotations["'$approved_by'/check", "'$approved_by'/sign"]]')"
}

@test "an approval of a step that is no Manual one, or by another word, is refused" {
	create_manual misspelt
	decide anna misspelt "$approve/chekc=true" "$approve/first=true" "$approve/sign=yes"
	assert_refused <<-'EOF'
		The JobFlow "misspelt" is invalid: 
		* metadata.annotations["approve.workflow.kube-zen.io/chekc"]: Not found: the flow has no Manual step "chekc"
		* metadata.annotations["approve.workflow.kube-zen.io/first"]: Not found: the flow has no Manual step "first"
		* metadata.annotations["approve.workflow.kube-zen.io/sign"]: Unsupported value: "yes": "true" approves, "false" rejects
	EOF
}

@test "the policy has no error of types" {
	eventually 60 has_no_type_error
}

has_no_type_error() {
	kubectl get validatingadmissionpolicy callboard-jobflow-approval -o json |
		jq -e '.status.typeChecking == {} and .status.observedGeneration == .metadata.generation'
}
