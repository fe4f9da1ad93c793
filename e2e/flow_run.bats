#!/usr/bin/env bats
# JobFlows that run, with a controller beside the webhook: the real Job controller makes the pods, and fake
# nodes end them as their annotations say.

source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file flow-run
	# A lease that a leader keeps on a machine that stalls for a while, and a resync so short that nobody waits for it.
	export CONTROLLER_FLAGS="--leader-elect-lease-duration 30s --leader-elect-renew-deadline 20s
		--leader-elect-retry-period 500ms --resync 10s --log-level debug"
	controller up
}

teardown_file() {
	kubectl delete jobflows --all --wait=false
	kubectl delete performers --all --wait=false
	# Whatever is left, the controller must not go on beside the tests of other files.
	local left=
	eventually 180 eval '[[ -z $(kubectl get performers -o name) ]]' || left=yes
	controller down
	end_file
	[[ -z $left ]]
}

# Bats waits for whoever holds its descriptors, and the process outlives the test.
controller() {
	"$root/hack/controller" "$@" 3>&- 4>&-
}

# run_flow NAME STEPS [FILTER]: a flow whose steps are given as JSON in jq; `job` is a template, `step` one
# with a name, what it depends on, and more members.
run_flow() {
	flow "$1" "def step(\$name; \$needs; \$more):
			{name: \$name, dependencies: \$needs, template: job} + \$more;
		def pods(\$annotations): {metadata: {annotations: \$annotations}};
		.spec.steps = $2 | ${3:-.}" | kubectl create -f -
}

# release NAME STEP: lets the held pod of a step end.
release() {
	local selector=workflow.kube-zen.io/flow=$1,workflow.kube-zen.io/step=$2
	eventually 90 eval "[[ -n \$(kubectl get pods -l $selector -o name) ]]"
	kubectl annotate pods -l "$selector" e2e.callboard.dev/hold-
}

# events NAME: the reasons of the events about it, each once.
events() {
	kubectl get events --field-selector "involvedObject.kind=JobFlow,involvedObject.name=$1" -o json |
		jq -r '[.items[].reason] | unique | join(" ")'
}

has_events() {
	local reason all
	all=" $(events "$1") "
	shift
	for reason in "$@"; do
		[[ $all == *" $reason "* ]] || return 1
	done
}

@test "a diamond runs from its first step to its last, each after those that it depends on" {
	run_flow diamond '[step("a"; []; {}), step("b"; ["a"]; {}), step("c"; ["a"]; {}), step("d"; ["b", "c"]; {})]'
	eventually 90 in_phase diamond Succeeded
	assert_equal "a Succeeded, b Succeeded, c Succeeded, d Succeeded" "$(steps diamond)"
	assert_equal '{"completedSteps":4,"failedSteps":0,"successfulSteps":4,"totalSteps":4}' \
		"$(stored_flow diamond .status.progress)"
	assert_equal true "$(stored_flow diamond '[.status.steps[] | {(.name): .}] | add
		| .a.completionTime <= .b.startTime and .b.completionTime <= .d.startTime and .c.completionTime <= .d.startTime')"
	assert_equal 4 "$(jobs_of diamond)"
	kubectl wait jobflow diamond --for=condition=Completed --timeout=60s
	eventually 60 has_events diamond Started StepStarted StepSucceeded Succeeded
}

@test "the Jobs belong to the flow, carry its labels, and go with it" {
	run_flow owned '[step("only"; []; {})]'
	eventually 90 in_phase owned Succeeded
	assert_equal '["JobFlow","owned",true]' \
		"$(job_of owned only '.items[0].metadata.ownerReferences[0] | [.kind, .name, .controller]')"
	kubectl delete jobflow owned
	eventually 90 eval '[[ $(jobs_of owned) == 0 ]]'
}

@test "a step that fails ends the flow, finally runs, and what depended on it is skipped" {
	run_flow failing '[step("bad"; []; pods({"e2e.callboard.dev/exit-code": "3"})), step("next"; ["bad"]; {})]' \
		'.spec.steps[0].template.spec.backoffLimit = 0 | .spec.finally = [{name: "tidy", template: job}]'
	eventually 90 in_phase failing Failed
	assert_equal "bad Failed, next Skipped, tidy Succeeded" "$(steps failing)"
	assert_equal '["JobFailed","DependencyFailed",null]' "$(stored_flow failing '[.status.steps[].reason]')"
	eventually 60 has_events failing StepFailed StepSkipped Failed
}

@test "a failed step is tried again as its policy says, each time as another Job" {
	run_flow again '[step("bad"; []; pods({"e2e.callboard.dev/exit-code": "3"}) + {retryPolicy: {limit: 2,
		backoff: {type: "Fixed", duration: "1s"}}})]' '.spec.steps[0].template.spec.backoffLimit = 0'
	eventually 90 in_phase again Failed
	assert_equal 3 "$(jobs_of again)"
	assert_equal '[2,"Failed"]' "$(stored_flow again '.status.steps[0] | [.retryCount, .phase]')"
	assert_equal '["0","1","2"]' \
		"$(job_of again bad '[.items[].metadata.labels["workflow.kube-zen.io/attempt"]] | sort')"
	eventually 60 has_events again Retrying
}

@test "a step that may fail lets the flow succeed" {
	run_flow tolerant '[step("bad"; []; pods({"e2e.callboard.dev/exit-code": "1"}) + {continueOnFailure: true}),
		step("next"; ["bad"]; {when: "steps.bad.phase == \"Failed\""})]' \
		'.spec.steps[0].template.spec.backoffLimit = 0'
	eventually 90 in_phase tolerant Succeeded
	assert_equal "bad Failed, next Succeeded" "$(steps tolerant)"
}

@test "a termination message is an output that later steps get" {
	run_flow values '[step("count"; []; pods({"e2e.callboard.dev/message": "{\"rows\": 12}"}) + {outputs: {parameters: [
			{name: "rows", valueFrom: {jsonPath: "$.terminationMessage.rows"}},
			{name: "done", valueFrom: {jsonPath: "$.status.succeeded"}}]}}),
		step("use"; ["count"]; {when: "steps.count.outputs.rows > 9"})]' \
		'.spec.steps[1].template.spec.template.spec.containers[0].args = ["{{steps.count.outputs.rows}} {{parameters.x}}"]
		| .spec.parameters = [{name: "x", value: "\"}]"}]'
	eventually 90 in_phase values Succeeded
	assert_equal '{"done":"1","rows":"12"}' "$(stored_flow values '.status.steps[0].outputs')"
	assert_equal '["12 \"}]"]' "$(job_of values use '.items[0].spec.template.spec.containers[0].args')"
}

@test "an approval lets the flow go on, a rejection ends it" {
	local name
	for name in approved rejected; do
		run_flow "$name" '[{name: "ask", type: "Manual", message: "now?"}, step("act"; ["ask"]; {})]'
	done
	eventually 90 in_phase approved Paused
	eventually 90 in_phase rejected Paused
	assert_equal '["PendingApproval","now?"]' "$(stored_flow approved '.status.steps[0] | [.phase, .message]')"
	kubectl annotate jobflow approved approve.workflow.kube-zen.io/ask=true
	kubectl annotate jobflow rejected approve.workflow.kube-zen.io/ask=false
	eventually 90 in_phase approved Succeeded
	eventually 90 in_phase rejected Failed
	assert_equal '["Succeeded","Approved",true]' \
		"$(stored_flow approved '.status.steps[0] | [.phase, .reason, (.approvedBy | length > 0)]')"
	assert_equal '["Failed","Rejected"]' "$(stored_flow rejected '.status.steps[0] | [.phase, .reason]')"
	assert_equal 0 "$(jobs_of rejected)"
}

@test "parallelism limits the steps that run at once" {
	run_flow wide '[range(6) | step("s\(.)"; []; pods({"e2e.callboard.dev/hold": "running"}))]' \
		'.spec.executionPolicy.parallelism = 2'
	eventually 90 eval '[[ $(jobs_of wide) == 2 ]]'
	eventually 90 eval '[[ $(stored_flow wide "[.status.steps[] | select(.phase == \"Running\")] | length") == 2 ]]'
	assert_equal 2 "$(jobs_of wide)"
	kubectl patch jobflow wide --type=merge -p '{"spec":{"executionPolicy":{"parallelism":4}}}'
	eventually 90 eval '[[ $(jobs_of wide) == 4 ]]'
	kubectl delete jobflow wide
}

@test "a suspended flow starts nothing; Kill suspends its Jobs; it goes on where it was" {
	run_flow held '[step("a"; []; pods({"e2e.callboard.dev/hold": "running"})), step("b"; []; {}), step("c"; ["b"]; {})]' \
		'.spec.executionPolicy.suspendMode = "Kill"'
	eventually 90 has_job held c
	kubectl patch jobflow held --type=merge -p '{"spec":{"executionPolicy":{"suspend":true}}}'
	eventually 90 in_phase held Suspended
	eventually 90 eval '[[ $(job_of held a "[.items[].spec.suspend]") == "[true]" ]]'
	kubectl patch jobflow held --type=merge -p '{"spec":{"executionPolicy":{"suspend":false}}}'
	eventually 90 eval '[[ $(job_of held a "[.items[].spec.suspend]") == "[false]" ]]'
	eventually 90 in_phase held Running
	kubectl delete jobflow held
}

@test "a flow that takes longer than its deadline is stopped, and finally runs" {
	local age
	run_flow late '[step("slow"; []; pods({"e2e.callboard.dev/hold": "running"})), step("next"; ["slow"]; {})]' \
		'.spec.executionPolicy.activeDeadlineSeconds = 3600 | .spec.finally = [{name: "tidy", template: job}]'
	eventually 90 eval '[[ $(steps late) == "slow Running"* ]]'
	# Three seconds from now: never before its step runs, however slow the machine is.
	age=$(($(date +%s) - $(stored_flow late '.status.startTime | fromdate')))
	kubectl patch jobflow late --type=merge -p "{\"spec\":{\"executionPolicy\":{\"activeDeadlineSeconds\":$((age + 3))}}}"
	eventually 90 in_phase late Failed
	assert_equal "slow Failed, next Skipped, tidy Succeeded" "$(steps late)"
	assert_equal '"DeadlineExceeded"' \
		"$(stored_flow late '.status.conditions[] | select(.type == "Failed") | .reason')"
	assert_equal '[true]' "$(job_of late slow '[.items[].spec.suspend]')"
}

@test "of a group one flow runs at a time, and one that replaces ends the one before" {
	local name
	for name in first second; do
		run_flow "$name" '[step("hold"; []; pods({"e2e.callboard.dev/hold": "running"}))]' \
			'.spec.executionPolicy.concurrencyGroup = "nightly"'
		eventually 90 has_job first hold
	done
	eventually 90 eval '[[ $(stored_flow second ".status.conditions[]? | select(.type == \"Blocked\") | .reason") == "\"ConcurrencyForbidden\"" ]]'
	assert_equal 0 "$(jobs_of second)"
	run_flow third '[step("quick"; []; {})]' \
		'.spec.executionPolicy |= {concurrencyGroup: "nightly", concurrencyPolicy: "Replace"}'
	eventually 90 in_phase first Failed
	eventually 90 in_phase second Failed
	eventually 90 in_phase third Succeeded
	assert_equal '"Replaced"' "$(stored_flow first '.status.conditions[] | select(.type == "Failed") | .reason')"
}

@test "objects of resourceTemplates are there before the first step, and go with the flow" {
	run_flow stocked '[step("a"; []; {})]' '.spec.resourceTemplates = {
		configMapTemplates: [{metadata: {name: "settings"}, data: {level: "3"}}],
		volumeClaimTemplates: [{metadata: {name: "space"}, spec: {accessModes: ["ReadWriteOnce"],
			resources: {requests: {storage: "1Gi"}}}}]}'
	eventually 90 in_phase stocked Succeeded
	assert_equal '[["PersistentVolumeClaim","space",true],["ConfigMap","settings",true]]' \
		"$(stored_flow stocked '[.status.resourceRefs[] | [.kind, .name, (.uid | length > 0)]]')"
	assert_equal 3 "$(kubectl get configmap settings -o jsonpath='{.data.level}')"
	kubectl delete jobflow stocked
	eventually 90 eval '[[ -z $(kubectl get configmap settings --ignore-not-found -o name) ]]'
}

@test "a step gets a value from a ConfigMap as it is when the step starts" {
	run_flow reads '[step("a"; []; {inputs: {parameters: [
		{name: "level", valueFrom: {configMapKeyRef: {name: "given", key: "level"}}}]}})]' \
		'.spec.steps[0].template.spec.template.spec.containers[0].args = ["{{parameters.level}}"]
		| .spec.executionPolicy.suspend = true'
	kubectl create configmap given --from-literal=level=7
	kubectl patch jobflow reads --type=merge -p '{"spec":{"executionPolicy":{"suspend":false}}}'
	eventually 90 in_phase reads Succeeded
	assert_equal '["7"]' "$(job_of reads a '.items[0].spec.template.spec.containers[0].args')"
}

@test "a flow is deleted when its time to live is over" {
	run_flow brief '[step("a"; []; {})]' '.spec.executionPolicy.ttlSecondsAfterFinished = 1'
	eventually 90 eval '[[ -z $(kubectl get jobflow brief --ignore-not-found -o name) ]]'
	eventually 90 eval '[[ $(jobs_of brief) == 0 ]]'
}

@test "a step that is a Performer is done when that is ready, which goes with the flow's end" {
	run_flow serving '[{name: "model", type: "Performer", template: {spec: {avsAddress: "0x1",
		image: "registry.example/app:v1", resources: {limits: {memory: "1Gi"}}}}}, step("use"; ["model"]; pods({"e2e.callboard.dev/hold": "running"}))]'
	eventually 120 has_job serving use
	assert_equal 1 "$(kubectl get performers -o name | wc -l)"
	release serving use
	eventually 90 in_phase serving Succeeded
	eventually 90 eval '[[ -z $(kubectl get performers -o name) ]]'
}

@test "a flow goes on when its controller is started again, and no step runs twice" {
	run_flow survivor '[step("a"; []; {}), step("b"; ["a"]; pods({"e2e.callboard.dev/hold": "running"})), step("c"; ["b"]; {})]'
	eventually 90 has_job survivor b
	controller restart
	release survivor b
	eventually 90 in_phase survivor Succeeded
	assert_equal 3 "$(jobs_of survivor)"
}

@test "a flow of 60 steps side by side runs" {
	run_flow many '[range(60) | step("s\(.)"; []; {})]'
	eventually 300 in_phase many Succeeded
	assert_equal 60 "$(jobs_of many)"
}
