#!/usr/bin/env bats
# Flows whose pods really run: a kubelet that starts and ends them and reads their messages, the cluster's own
# Job controller, and the installed controller. All flows are created at first, so that they run while earlier
# tests look at theirs.

# shellcheck disable=SC2016 # what has a $ there is for jq, or for the shell of a container

load ../lib
load node

setup_file() {
	start_file node-flow
	kubectl create configmap given --from-literal=least=10
	kubectl create secret generic given --from-literal=word=wolfram
	create_flows
}

teardown_file() {
	end_file
}

# run_flow NAME STEPS [FILTER]: STEPS is jq, in which `step` is one with a name, what it depends on, a shell script
# and its arguments. `now` writes the time into the termination message, `hold` waits until release().
run_flow() {
	flow "$1" '
		def step($name; $needs; $script; $args): {name: $name, dependencies: $needs, template: {spec: {backoffLimit: 0,
			template: {spec: {restartPolicy: "Never", terminationGracePeriodSeconds: 1, containers: [{
				name: "main", image: "callboard.dev/busybox:1", command: ["/bin/sh", "-euc", $script, "step"], args: $args,
				env: [{name: "ATTEMPT", valueFrom: {fieldRef: {
					fieldPath: "metadata.labels[\u0027workflow.kube-zen.io/attempt\u0027]"}}}]}]}}}}};
		def gives($name; $path): {outputs: {parameters: [{name: $name, valueFrom: {jsonPath: $path}}]}};
		def now: "cut -d\" \" -f1 /proc/uptime | tr -d . >/dev/termination-log";
		def hold: "until [ -e /tmp/go ]; do sleep 0.1; done";
		.spec.steps = '"$2 | ${3:-.}" | kubectl create -f -
}

create_flows() {
	run_flow linear '[
		step("first"; []; "true"; []),
		step("flaky"; ["first"]; "[ $ATTEMPT -ge 2 ]"; []) + {retryPolicy: {limit: 3, backoff: {type: "Fixed", duration: "1s"}}},
		step("last"; ["flaky"]; "true"; [])]'
	run_flow final '[step("bad"; []; "exit 42"; []) + {retryPolicy: {limit: 3}}, step("next"; ["bad"]; "true"; [])]' \
		'.spec.executionPolicy.podFailurePolicy.rules = [{action: "FailJob", onExitCodes: {operator: "In", values: [42]}}]
		| .spec.finally = [step("tidy"; []; "true"; [])]'
	run_flow diamond '[
		step("a"; []; now; []) + gives("at"; "$.terminationMessage"),
		step("b"; ["a"]; "[ $(cut -d\" \" -f1 /proc/uptime | tr -d .) -ge $1 ]; " + now; ["{{steps.a.outputs.at}}"])
			+ gives("at"; "$.terminationMessage"),
		step("c"; ["a"]; "[ $(cut -d\" \" -f1 /proc/uptime | tr -d .) -ge $1 ]; " + now; ["{{steps.a.outputs.at}}"])
			+ gives("at"; "$.terminationMessage"),
		step("d"; ["b", "c"]; "now=$(cut -d\" \" -f1 /proc/uptime | tr -d .); [ $now -ge $1 ]; [ $now -ge $2 ]";
			["{{steps.b.outputs.at}}", "{{steps.c.outputs.at}}"])]'
	run_flow values '[
		step("count"; []; "[ \"$1\" = \u0027two words; $(false)\u0027 ]; [ ${#2} = 7 ]; echo \u0027{\"rows\": 12}\u0027 >/dev/termination-log";
			["{{parameters.text}}", "$(WORD)"]) + gives("rows"; "$.terminationMessage.rows")
			+ {inputs: {parameters: [{name: "WORD", valueFrom: {secretKeyRef: {name: "given", key: "word"}}}]}},
		step("many"; ["count"]; "[ $1 -gt $2 ]"; ["{{steps.count.outputs.rows}}", "{{parameters.least}}"])
			+ {when: "steps.count.outputs.rows > 9", inputs: {parameters: [
				{name: "least", valueFrom: {configMapKeyRef: {name: "given", key: "least"}}}]}},
		step("few"; ["count"]; "true"; []) + {when: "steps.count.outputs.rows <= 9"}]' \
		'.spec.parameters = [{name: "text", value: "two words; $(false)"}]'
	run_flow approved '[step("build"; []; "true"; []), {name: "check", type: "Manual", dependencies: ["build"]},
		step("ship"; ["check"]; "true"; [])]'
	run_flow held '[step("work"; []; hold; []), step("next"; ["work"]; "true"; [])]' \
		'.spec.executionPolicy.suspendMode = "Kill"'
	run_flow deleted '[step("work"; []; hold; []), step("next"; ["work"]; "true"; [])]'
	run_flow survivor '[step("a"; []; "true"; []), step("b"; ["a"]; hold; []), step("c"; ["b"]; "true"; [])]'
}

# pods_of_step FLOW STEP: "NAME UID" of those that run.
pods_of_step() {
	kubectl get pods -l "workflow.kube-zen.io/flow=$1,workflow.kube-zen.io/step=$2" \
		--field-selector status.phase=Running -o json |
		jq -r '.items[] | select(.metadata.deletionTimestamp == null) | "\(.metadata.name) \(.metadata.uid)"'
}

step_runs() {
	[[ -n $(pods_of_step "$1" "$2") ]]
}

# release FLOW STEP: lets its container end.
release() {
	local pod
	eventually 90 step_runs "$1" "$2"
	read -r pod _ < <(pods_of_step "$1" "$2")
	eventually 90 kubectl exec "$pod" -- touch /tmp/go
}

@test "steps in a row run, and one that fails is tried again until it does not" {
	eventually 120 in_phase linear Succeeded
	assert_equal "first Succeeded, flaky Succeeded, last Succeeded" "$(steps linear)"
	assert_equal 2 "$(stored_flow linear '.status.steps[1].retryCount')"
	assert_equal '[["0","Failed"],["1","Failed"],["2","Complete"]]' "$(job_of linear flaky '[.items[] | [
		.metadata.labels["workflow.kube-zen.io/attempt"],
		(.status.conditions[] | select(.status == "True" and (.type == "Failed" or .type == "Complete")) | .type)]] | sort')"
}

@test "an exit code that the policy names ends the flow without another try" {
	eventually 120 in_phase final Failed
	assert_equal "bad Failed, next Skipped, tidy Succeeded" "$(steps final)"
	assert_equal '["PodFailurePolicy","DependencyFailed",null]' "$(stored_flow final '[.status.steps[].reason]')"
	assert_equal 1 "$(job_of final bad '.items | length')"
}

# The containers themselves compare the times.
@test "a diamond's containers begin after those that they depend on have ended" {
	eventually 120 in_phase diamond Succeeded
	assert_equal "a Succeeded, b Succeeded, c Succeeded, d Succeeded" "$(steps diamond)"
}

@test "values come from the flow, a ConfigMap, a Secret and a termination message, and decide what runs" {
	eventually 120 in_phase values Succeeded
	assert_equal "count Succeeded, many Succeeded, few Skipped" "$(steps values)"
	assert_equal '[{"rows":"12"},null,null]' "$(stored_flow values '[.status.steps[].outputs]')"
	assert_lacks "$(kubectl get jobflows,jobs -o json)" wolfram
}

@test "a step waits for an approval" {
	eventually 120 in_phase approved Paused
	assert_equal 0 "$(job_of approved ship '.items | length')"
	kubectl annotate jobflow approved approve.workflow.kube-zen.io/check=true
	eventually 120 in_phase approved Succeeded
}

@test "a flow that is suspended with Kill has no pods, and goes on when it is resumed" {
	local before
	eventually 120 step_runs held work
	before=$(pods_of_step held work)
	kubectl patch jobflow held --type=merge -p '{"spec":{"executionPolicy":{"suspend":true}}}'
	eventually 90 in_phase held Suspended
	no_pods() {
		[[ -z $(kubectl get pods -l workflow.kube-zen.io/flow=held -o name) ]]
	}
	eventually 90 no_pods
	kubectl patch jobflow held --type=merge -p '{"spec":{"executionPolicy":{"suspend":false}}}'
	release held work
	eventually 120 in_phase held Succeeded
	assert_equal 1 "$(job_of held work '.items | length')"
	[[ $(kubectl get pods -l workflow.kube-zen.io/flow=held,workflow.kube-zen.io/step=work -o \
		jsonpath='{.items[*].metadata.uid}') != "${before#* }" ]] || fail "the pod is the one of before"
}

@test "a flow that is deleted halfway takes its Job and its pod with it" {
	eventually 120 step_runs deleted work
	kubectl delete jobflow deleted
	nothing_is_left() {
		[[ -z $(kubectl get jobs,pods -l workflow.kube-zen.io/flow=deleted -o name) ]]
	}
	eventually 90 nothing_is_left
}

@test "the leader is killed halfway: the flow goes on, and no step runs twice" {
	local leader
	eventually 120 step_runs survivor b
	leader=$(in_system get lease callboard-controller -o jsonpath='{.spec.holderIdentity}')
	kill -KILL "$(pid_of_pod controller "${leader%_*}")"
	release survivor b
	eventually 120 in_phase survivor Succeeded
	[[ $(in_system get lease callboard-controller -o jsonpath='{.spec.holderIdentity}') != "$leader" ]]
	assert_equal '["a","b","c"]' "$(kubectl get jobs -l workflow.kube-zen.io/flow=survivor -o json |
		jq -c '[.items[].metadata.labels["workflow.kube-zen.io/step"]] | sort')"
	assert_equal 3 "$(kubectl get pods -l workflow.kube-zen.io/flow=survivor -o name | wc -l)"
}
