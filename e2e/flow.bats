#!/usr/bin/env bats
# JobFlows: what is stored, what is refused, and with which words. COMPAT names a folder with zen-flow/*.yaml,
# the manifests of the system whose kind this was; without it they are skipped.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

compat=$(realpath -m "${COMPAT:-$root/../shared/data/compat}")/zen-flow

setup_file() {
	start_file flow
	eventually 90 kubectl explain jobflow
}

teardown_file() {
	end_file
}

# ---- Manifests of others ----

manifests() {
	printf '%s\n' "$compat"/*-flow.yaml
}

# assert_nothing_lost FILE NAMESPACE: its objects are stored with all that they say.
assert_nothing_lost() {
	local given
	while read -r given; do
		kubectl get "$(jq -r '"\(.kind)/\(.metadata.name)"' <<<"$given")" -n "$2" -o json >"$BATS_TEST_TMPDIR/stored"
		assert_equal "" "$(jq -c --slurpfile stored "$BATS_TEST_TMPDIR/stored" '
			[paths(type | IN("object", "array") | not)][] as $path
			| select(getpath($path) != ($stored[0] | getpath($path))) | $path' <<<"$given")"
	done < <(kubectl create --dry-run=client --validate=false -o json -f "$1" | jq -c 'del(.metadata.namespace)')
}

@test "every old manifest applies unchanged, and nothing in it is lost" {
	[[ -d $compat ]] || skip "no folder $compat"
	local file count=0
	for file in $(manifests); do
		kubectl apply -f "$file"
		assert_nothing_lost "$file" default
		run kubectl diff -f "$file"
		assert_ok
		kubectl apply --server-side --force-conflicts -f "$file"
		assert_nothing_lost "$file" default
		kubectl delete -f "$file" --wait=false
		count=$((count + 1))
	done
	((count == 3)) || fail "$count manifests in $compat"
}

@test "every field of the old definition is in ours, of the same type" {
	[[ -d $compat ]] || skip "no folder $compat"
	schema_paths "$compat/old-crd.yaml" >"$BATS_TEST_TMPDIR/old"
	schema_paths "$root/manifests/crds/jobflows.workflow.kube-zen.io.yaml" >"$BATS_TEST_TMPDIR/ours"
	(($(wc -l <"$BATS_TEST_TMPDIR/old") > 70)) || fail "the old definition was not read"
	assert_equal "" "$(comm -23 "$BATS_TEST_TMPDIR/old" "$BATS_TEST_TMPDIR/ours")"
}

@test "every example is stored with all that it says" {
	local file count=0
	for file in "$root"/manifests/examples/jobflow*.yaml; do
		kubectl apply -f "$file"
		assert_nothing_lost "$file" "$NS"
		run kubectl diff -f "$file"
		assert_ok
		count=$((count + 1))
	done
	((count >= 9)) || fail "$count examples"
}

# ---- What is stored ----

@test "defaults are filled in, and a template is left as it is" {
	create_flow plain '.spec.steps[0].retryPolicy = {} | .spec.steps[0].template.spec.template.spec.anythingNew = {a: 1}'
	assert_equal '{"backoffLimit":6,"concurrencyPolicy":"Forbid","priority":"normal","ttlSecondsAfterFinished":86400}' \
		"$(stored_flow plain .spec.executionPolicy)"
	assert_equal '["Job",{"limit":3}]' "$(stored_flow plain '.spec.steps[0] | [.type, .retryPolicy]')"
	assert_equal '{"spec":{"template":{"spec":{"anythingNew":{"a":1},"containers":[{"image":"app:v1","name":"main"}],"restartPolicy":"Never"}}}}' \
		"$(stored_flow plain '.spec.steps[0].template')"
}

@test "who created a flow and under which id is written down and cannot be changed" {
	create_flow audited '.metadata.annotations = {"callboard.dev/initiated-by": "somebody"}'
	local who written
	who=$(kubectl auth whoami -o json | jq .status.userInfo.username)
	written=$(stored_flow audited '.metadata.annotations')
	assert_equal "$who" "$(jq '.["callboard.dev/initiated-by"]' <<<"$written")"
	jq -e '.["callboard.dev/correlation-id"] | test("^[0-9a-f-]{36}$")' <<<"$written"
	kubectl annotate --overwrite jobflow audited callboard.dev/initiated-by=other callboard.dev/correlation-id-
	assert_equal "$written" "$(stored_flow audited '.metadata.annotations')"
}

@test "a flow of 2,000 steps is stored by server-side apply" {
	flow large '.spec.steps = [range(2000) | {name: "step-\(.)", template: job,
		dependencies: [range([. - 3, 0] | max; .) | "step-\(.)"]}]' >"$BATS_TEST_TMPDIR/large.json"
	run --separate-stderr kubectl apply --server-side -f "$BATS_TEST_TMPDIR/large.json"
	assert_ok
	assert_equal '[2000,["step-1996","step-1997","step-1998"]]' \
		"$(stored_flow large '[(.spec.steps | length), .spec.steps[1999].dependencies]')"
	kubectl label jobflow large seen=yes
	kubectl apply --server-side -f "$BATS_TEST_TMPDIR/large.json"
	note "$(wc -c <"$BATS_TEST_TMPDIR/large.json") bytes"
}

@test "a flow of 2,001 steps is refused" {
	try_flow large '.spec.steps = [range(2001) | {name: "step-\(.)", type: "Manual"}]'
	assert_refused <<-'EOF'
		The JobFlow "large" is invalid: spec.steps: Too many: 2001: a flow may have at most 2000 steps, those of finally included; split it into several flows
	EOF
}

@test "kubectl shows flows by their short names, with their progress" {
	create_flow seen
	kubectl patch jobflow seen --subresource=status --type=merge \
		-p '{"status":{"phase":"Running","progress":{"completedSteps":1,"totalSteps":3}}}'
	run kubectl get jf seen
	assert_equal "NAME PHASE DONE STEPS AGE" "$(head -n 1 <<<"$output" | xargs)"
	[[ $(tail -n 1 <<<"$output" | xargs) =~ ^"seen Running 1 3 "[0-9ms]+$ ]] || fail "unexpected row"
	assert_equal jobflow.workflow.kube-zen.io/seen "$(kubectl get flow seen -o name)"
	run kubectl explain jobflow.spec.steps.template
	assert_contains "$output" "kubectl explain job.spec"
}

@test "the definitions are small enough for client-side apply" {
	local kind size
	for kind in jobflows jobflowtemplates; do
		size=$(kubectl create --dry-run=client -o json -f "$root/manifests/crds/$kind.workflow.kube-zen.io.yaml" | wc -c)
		((size < 200 * 1024)) || fail "the definition of $kind has $size bytes"
		assert_equal '[["Established","True"],["NamesAccepted","True"]]' \
			"$(kubectl get crd "$kind.workflow.kube-zen.io" -o json | jq -c '[.status.conditions[] | [.type, .status]] | sort')"
	done
}

@test "a misspelt field of a template is warned of: nobody else would" {
	flow misspelt '.spec.steps[0].template.spec.template.spec.containers[0].imagePullPolcy = "Always"' >"$BATS_TEST_TMPDIR/flow.json"
	run --separate-stderr kubectl apply -f "$BATS_TEST_TMPDIR/flow.json"
	assert_ok
	assert_contains "$stderr" 'Warning: spec.steps[0].template.spec.template.spec.containers[0].imagePullPolcy: there is no such field, as far as is known (did you mean "imagePullPolicy"?)'
}

@test "a template may have a placeholder wherever it has a text" {
	create_flow open '.spec.parameters = [{name: "memory", value: "1Gi"}, {name: "volume", value: "data"}]
		| .spec.steps[0].template.spec.template.spec |= (.volumes = [{name: "data", emptyDir: {}}]
			| .containers[0].resources.limits.memory = "{{parameters.memory}}"
			| .containers[0].volumeMounts = [{name: "{{parameters.volume}}", mountPath: "/data"}])'
}

@test "a placeholder that nobody replaces is warned of" {
	flow literal '.spec.parameters = [{name: "env", value: "prod"}]
		| .spec.steps += [{name: "check", type: "Manual", message: "Go to {{parameters.env}}?"}]' >"$BATS_TEST_TMPDIR/flow.json"
	run --separate-stderr kubectl apply -f "$BATS_TEST_TMPDIR/flow.json"
	assert_ok
	assert_contains "$stderr" "Warning: spec.steps[1].message: placeholders are replaced in template and inputs only: the text stays as it is"
}

# ---- What is refused ----

@test "a cycle is refused with its path" {
	run --separate-stderr kubectl apply -f "$root/manifests/examples/refused/jobflow-cycle.yaml"
	assert_refused <<-'EOF'
		The JobFlow "cycle" is invalid: spec.steps: cycle: build → deploy → test → build: remove one of these dependencies
	EOF
}

@test "ten mistakes are reported at once, each with its field, cause and cure" {
	run --separate-stderr kubectl apply -f "$root/manifests/examples/refused/jobflow.yaml"
	assert_refused <<-'EOF'
		The JobFlow "refused" is invalid: 
		* spec.executionPolicy.concurrencyPolicy: Unsupported value: "forbid": supported values: "Allow", "Forbid", "Replace"; did you mean "Forbid"?
		* spec.steps[1].timeoutSeconds: Invalid value: 0: must be from 1 to 2592000 seconds
		* spec.steps[2].name: Duplicate value: "test" is the name of spec.steps[1] too; names must be unique in a flow
		* spec.steps[1].dependencies[0]: Not found: the flow has no step "biuld"; did you mean "build"?
		* spec.steps: cycle: build → deploy → build: remove one of these dependencies
		* spec.steps[0].template.spec.template.spec.containers[0].args[0]: Invalid value: column 1: unknown parameter "branch"
		* spec.steps[0].template.spec.template.spec.restartPolicy: Unsupported value: "Always": supported values: "OnFailure", "Never"
		* spec.steps[0].template.spec.ttlSecondsAfterFinished: Forbidden: the Job would vanish with its result, and the step might run again; the flow's executionPolicy.ttlSecondsAfterFinished removes it with the flow
		* spec.steps[2].template: Forbidden: a step of type Manual has no template; remove it
		* spec.steps[3].when: Invalid value: column 22: no such phase; phases are 'Pending', 'Running', 'Succeeded', 'Failed', 'Skipped' and 'PendingApproval'
	EOF
}

# A request as large as the apiserver takes. It asks for at most ten seconds.
@test "a flow that is made to take long is refused like others" {
	flow woven '.spec.steps = [range(600) | {name: "step-number-\(.)", type: "Manual"}]
		+ [{name: "last", type: "Manual", dependencies: [range(100000) | "step-numbxx-\(.)"]}]' >"$BATS_TEST_TMPDIR/flow.json"
	run --separate-stderr kubectl create -f "$BATS_TEST_TMPDIR/flow.json"
	assert_fails
	assert_contains "$stderr" '* spec.steps[600].dependencies[0]: Not found: the flow has no step "step-numbxx-0"; did you mean "step-number-0"?'
	assert_contains "$stderr" "and 99936 more errors; correct these first"
}

@test "conditions are checked" {
	local second='.spec.steps += [{name: "second", template: job, dependencies: ["first"]}]'
	try_flow bad "$second"' | .spec.steps[1].when = "steps.frist.phase == '\''Failed'\''"'
	assert_refused <<-'EOF'
		The JobFlow "bad" is invalid: spec.steps[1].when: Invalid value: column 7: unknown step "frist"; did you mean "first"?
	EOF
	try_flow bad "$second"' | .spec.steps[0].when = "steps.second.phase == '\''Failed'\''"'
	assert_fails
	assert_contains "$stderr" 'spec.steps[0].when: Invalid value: column 7: '
	try_flow bad "$second"' | .spec.steps[1].when = "{{ .Whatever }}"'
	assert_fails
	assert_contains "$stderr" 'spec.steps[1].when: Invalid value: column 4: ".Whatever" has no meaning here'
}

@test "a value of a Secret stays out of texts and conditions" {
	local secret='.spec.steps[0].inputs.parameters = [{name: "PW", valueFrom: {secretKeyRef: {name: "s", key: "k"}}}]'
	try_flow bad "$secret"' | .spec.steps[0].template.spec.template.spec.containers[0].args = ["--pw={{parameters.PW}}"]'
	assert_refused <<-'EOF'
		The JobFlow "bad" is invalid: spec.steps[0].template.spec.template.spec.containers[0].args[0]: Forbidden: column 6: the parameter "PW" comes from a Secret and is only an environment variable of the container; write $(PW) in command or args
	EOF
	try_flow bad "$secret"' | .spec.steps[0].when = "parameters.PW == '\''x'\''"'
	assert_refused <<-'EOF'
		The JobFlow "bad" is invalid: spec.steps[0].when: Forbidden: the parameter "PW" comes from a Secret, which Callboard does not read; compare it in the step's container
	EOF
	# shellcheck disable=SC2016 # the kubelet replaces it
	try_flow good "$secret"' | .spec.steps[0].template.spec.template.spec.containers[0].args = ["--pw=$(PW)"]'
	assert_ok
}

@test "a flow that has started keeps its steps, and can still be suspended" {
	create_flow started
	kubectl patch jobflow started --type=json -p '[{"op":"replace","path":"/spec/steps/0/name","value":"renamed"}]'
	kubectl patch jobflow started --subresource=status --type=merge -p '{"status":{"phase":"Running"}}'
	run --separate-stderr kubectl patch jobflow started --type=json \
		-p '[{"op":"replace","path":"/spec/steps/0/name","value":"again"}]'
	assert_refused <<-'EOF'
		The JobFlow "started" is invalid: spec.steps: Forbidden: the flow has started; only suspend, suspendMode, parallelism, ttlSecondsAfterFinished and activeDeadlineSeconds may change; create another flow
	EOF
	run --separate-stderr kubectl patch jobflow started --type=merge -p '{"spec":{"executionPolicy":{"priority":"high"}}}'
	assert_fails
	assert_contains "$stderr" "spec.executionPolicy.priority: Forbidden: the flow has started"
	kubectl patch jobflow started --type=merge -p '{"spec":{"executionPolicy":{"suspend":true,"suspendMode":"Kill",
		"parallelism":2,"ttlSecondsAfterFinished":60,"activeDeadlineSeconds":600}}}'
}

@test "a template of a flow is checked as a flow" {
	flow reusable '.kind = "JobFlowTemplate" | .spec.parameters = [{name: "env", default: "dev", enum: ["dev", "prod"]}]
		| .spec.steps[0].template.spec.template.spec.containers[0].args = ["{{parameters.env}}"]' | kubectl apply -f -
	run kubectl get jft reusable -o name
	assert_ok
	flow broken '.kind = "JobFlowTemplate" | .spec.steps[0].dependencies = ["first"]' >"$BATS_TEST_TMPDIR/broken.json"
	run --separate-stderr kubectl apply -f "$BATS_TEST_TMPDIR/broken.json"
	assert_refused <<-'EOF'
		The JobFlowTemplate "broken" is invalid: spec.steps: cycle: first → first: remove one of these dependencies
	EOF
}
