#!/usr/bin/env bats
# Flows that are made from templates, by kubectl in all its ways.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

generation=workflow.kube-zen.io/template-generation

setup_file() {
	start_file template
}

teardown_file() {
	[[ ! -e $BATS_FILE_TMPDIR/moved ]] || webhook restart
	end_file
}

teardown() {
	[[ -z ${way_pid:-} ]] || close_way
	[[ -z ${is_barred:-} ]] || let_in
}

# template NAME [FILTER]: a template with a parameter that must be given and one that may.
template() {
	jq -n --arg name "$1" '{
			apiVersion: "workflow.kube-zen.io/v1alpha1", kind: "JobFlowTemplate", metadata: {name: $name},
			spec: {
				parameters: [
					{name: "source", description: "Where the data comes from."},
					{name: "size", default: "small", enum: ["small", "large"]}
				],
				executionPolicy: {priority: "high", backoffLimit: 2, parallelism: 4},
				steps: [{name: "load", template: {spec: {template: {spec: {
					restartPolicy: "Never",
					containers: [{
						name: "m", image: "registry.example/app:v1",
						args: ["{{parameters.source}}", "{{parameters.size}}"]
					}]
				}}}}}]
			}
		} | '"${2:-.}"
}

# from NAME TEMPLATE [FILTER]: a flow that is made from the template.
from() {
	jq -n --arg name "$1" --arg template "$2" '{
			apiVersion: "workflow.kube-zen.io/v1alpha1", kind: "JobFlow", metadata: {name: $name},
			spec: {templateRef: {name: $template}, parameters: [{name: "source", value: "s3://in"}]}
		} | '"${3:-.}"
}

# make NAME TEMPLATE FILTER: `run` of creating it.
make() {
	from "$@" >"$BATS_TEST_TMPDIR/flow.json"
	run --separate-stderr kubectl create -f "$BATS_TEST_TMPDIR/flow.json"
}

# flow_at NAME FILTER: what the jq filter finds in the stored flow.
flow_at() {
	kubectl get jobflow "$1" -o json | jq -cS "$2"
}

# lookups RESULT: how many there were.
lookups() {
	metric callboard_webhook_template_lookups_total "result=$1"
}

# waiting COUNT: so many reviews wait for their templates.
waiting() {
	[[ $(metric callboard_webhook_requests_waiting) == "$1" ]]
}

# ---- Making ----

@test "a flow is made from the template that stands before it in the same file, each time" {
	local i found
	found=$(lookups found)
	for i in {1..20}; do
		{
			template "new-$i"
			from "of-new-$i" "new-$i"
		} | kubectl apply -f -
		assert_equal '"load"' "$(flow_at "of-new-$i" '.spec.steps[0].name')"
	done
	assert_equal $((found + 20)) "$(lookups found)"
}

@test "a flow is made from the template as the same file has changed it, each time" {
	local i
	for i in {1..20}; do
		{
			template changing ".spec.steps[0].name = \"step-$i\""
			from "of-changing-$i" changing
		} | kubectl apply -f -
		assert_equal "\"step-$i\"" "$(flow_at "of-changing-$i" '.spec.steps[0].name')"
		assert_equal "\"$i\"" "$(flow_at "of-changing-$i" ".metadata.annotations[\"$generation\"]")"
	done
}

@test "many flows at once are made from one template" {
	template many | kubectl create -f -
	# One process for each, so that the requests are really at the same time.
	seq 60 | xargs -P 20 -I{} bash -c "$(declare -f from); from of-many-{} many | kubectl create -f -" >/dev/null
	assert_equal 60 "$(kubectl get jobflows -o json | jq '[.items[] | select(.metadata.name | startswith("of-many-"))
		| select(.spec.steps[0].name == "load")] | length')"
	eventually 60 waiting 0
}

@test "the flow has the template's spec, its own values and policy" {
	template whole '.spec.finally = [.spec.steps[0] | .name = "tidy"]
		| .spec.resourceTemplates.configMapTemplates = [{metadata: {name: "c"}, data: {a: "b"}}]' | kubectl create -f -
	from own whole '.spec.executionPolicy = {backoffLimit: 9} | .spec.parameters += [{name: "size", value: "large"}]' |
		kubectl create -f -
	assert_equal '[{"name":"source","value":"s3://in"},{"name":"size","value":"large"}]' "$(flow_at own .spec.parameters)"
	assert_equal '["high",9,4]' "$(flow_at own '.spec.executionPolicy | [.priority, .backoffLimit, .parallelism]')"
	assert_equal '["tidy"]' "$(flow_at own '[.spec.finally[].name]')"
	assert_equal '"c"' "$(flow_at own '.spec.resourceTemplates.configMapTemplates[0].metadata.name')"
	assert_equal '{"name":"whole"}' "$(flow_at own .spec.templateRef)"
}

@test "a template of 2,000 steps makes a flow by server-side apply" {
	{
		template huge '.spec.steps = [range(2000) as $i | .spec.steps[0]
			| .name = "step-\($i)" | if $i > 0 then .dependencies = ["step-\($i - 1)"] else . end]'
		from of-huge huge
	} | kubectl apply --server-side -f -
	assert_equal 2000 "$(flow_at of-huge '.spec.steps | length')"
}

@test "the annotation cannot be forged, changed or removed" {
	template guarded | kubectl create -f -
	from forged guarded ".metadata.annotations[\"$generation\"] = \"99\"" | kubectl create -f -
	assert_equal '"1"' "$(flow_at forged ".metadata.annotations[\"$generation\"]")"
	kubectl annotate jobflow forged --overwrite "$generation=7"
	kubectl annotate jobflow forged "$generation-"
	assert_equal '"1"' "$(flow_at forged ".metadata.annotations[\"$generation\"]")"
}

# ---- Refusals ----

@test "all that does not fit the template is said at once" {
	template strict | kubectl create -f -
	make wrong strict '.spec.parameters = [{name: "size", value: "huge"}, {name: "sorce", value: "x"}]'
	assert_refused <<-'EOT'
		The JobFlow "wrong" is invalid: 
		* spec.parameters[0].value: Unsupported value: "huge": the JobFlowTemplate "strict" allows for "size": "small", "large"
		* spec.parameters[1].name: Not found: the JobFlowTemplate "strict" has no parameter "sorce"; did you mean "source"?
		* spec.parameters: Required value: the JobFlowTemplate "strict" needs a value for the parameter "source": Where the data comes from.
	EOT
}

@test "steps beside a template are refused" {
	template alone | kubectl create -f -
	make both alone '.spec.steps = [{name: "a", type: "Manual"}]'
	assert_refused <<-'EOT'
		The JobFlow "both" is invalid: spec.steps: Forbidden: they come from the JobFlowTemplate "alone"; remove them, or remove templateRef
	EOT
}

@test "a template that does not exist is refused with the name of one that does" {
	template nightly-report | kubectl create -f -
	make lost nightly-reprot
	assert_refused <<-EOT
		The JobFlow "lost" is invalid: spec.templateRef.name: Not found: the namespace "$NS" has no JobFlowTemplate "nightly-reprot"; did you mean "nightly-report"?
	EOT
}

@test "a template of another namespace is none" {
	kubectl create namespace "$NS-other"
	template elsewhere | kubectl --namespace "$NS-other" create -f -
	make stray elsewhere
	kubectl delete namespace "$NS-other" --wait=false
	assert_fails
	assert_contains "$stderr" "the namespace \"$NS\" has no JobFlowTemplate \"elsewhere\""
}

@test "a template with mistakes is refused when it is applied" {
	template bad '.spec.parameters[1].default = "huge" | .spec.steps[0].template.spec.template.spec.containers[0].args[0] = "{{parameters.sorce}}"' \
		>"$BATS_TEST_TMPDIR/bad.json"
	run --separate-stderr kubectl create -f "$BATS_TEST_TMPDIR/bad.json"
	assert_fails
	assert_contains "$stderr" 'spec.parameters[1].default: Unsupported value: "huge": it must be one of enum'
	assert_contains "$stderr" 'unknown parameter "sorce"; did you mean "source"?'
}

@test "a parameter that nothing uses is warned of" {
	run --separate-stderr kubectl create -f - < <(template idle '.spec.parameters += [{name: "idle", default: ""}]')
	assert_ok
	assert_contains "$stderr" 'Warning: spec.parameters[2]: nothing uses the parameter "idle"'
}

@test "dry-run looks the template up as well" {
	template try-out | kubectl create -f -
	from tried try-out | kubectl create --dry-run=server -f -
	run --separate-stderr kubectl create --dry-run=server -f - < <(from tried tri-out)
	assert_fails
	assert_contains "$stderr" 'did you mean "try-out"?'
}

@test "a flow that was read back can be created again: with its template, or without templateRef" {
	template restored | kubectl create -f -
	from saved restored | kubectl create -f -
	kubectl get jobflow saved -o json | jq '.metadata |= {name, annotations}' >"$BATS_TEST_TMPDIR/saved.json"
	kubectl delete jobflow saved
	kubectl create -f "$BATS_TEST_TMPDIR/saved.json"
	kubectl delete jobflow saved
	template restored '.spec.steps[0].name = "other"' | kubectl apply -f -
	run --separate-stderr kubectl create -f "$BATS_TEST_TMPDIR/saved.json"
	assert_fails
	assert_contains "$stderr" 'spec.steps: Forbidden: they come from the JobFlowTemplate "restored"; remove them, or remove templateRef'
	jq 'del(.spec.templateRef)' "$BATS_TEST_TMPDIR/saved.json" | kubectl create -f -
	assert_equal "$(jq -cS '.spec | del(.templateRef)' "$BATS_TEST_TMPDIR/saved.json")" "$(flow_at saved .spec)"
}

# ---- The manifest again ----

# again TEMPLATE FLOW: makes both, and keeps the flow's short manifest and what is stored of it.
again() {
	template "$1" | kubectl apply -f -
	from "$2" "$1" '.spec.executionPolicy = {backoffLimit: 9}' >"$BATS_TEST_TMPDIR/short.json"
}

# unchanged FLOW: its spec is what `again` and the first apply left.
unchanged() {
	assert_equal "$(<"$BATS_TEST_TMPDIR/spec")" "$(flow_at "$1" .spec)"
	assert_equal 1 "$(kubectl get jobflow "$1" -o jsonpath='{.metadata.generation}')"
}

# version_of FLOW: another one after each write that changed something.
version_of() {
	kubectl get jobflow "$1" -o jsonpath='{.metadata.resourceVersion}'
}

# start FLOW: as the controller does it.
start() {
	kubectl patch jobflow "$1" --subresource=status --type=merge -p '{"status":{"phase":"Running"}}'
}

@test "the short manifest can be applied again, before and after the start, and when the template has gone" {
	local version
	again twice twice
	kubectl apply -f "$BATS_TEST_TMPDIR/short.json"
	flow_at twice .spec >"$BATS_TEST_TMPDIR/spec"
	version=$(version_of twice)
	kubectl apply -f "$BATS_TEST_TMPDIR/short.json"
	assert_equal "$version" "$(version_of twice)"
	run kubectl diff -f "$BATS_TEST_TMPDIR/short.json"
	assert_ok
	unchanged twice
	start twice
	kubectl apply -f "$BATS_TEST_TMPDIR/short.json"
	unchanged twice
	template twice '.spec.steps[0].name = "other"' | kubectl apply -f -
	kubectl apply -f "$BATS_TEST_TMPDIR/short.json"
	unchanged twice
	kubectl delete jobflowtemplate twice
	kubectl apply -f "$BATS_TEST_TMPDIR/short.json"
	unchanged twice
}

@test "so it can by server-side apply" {
	local version
	again served served
	kubectl apply --server-side -f "$BATS_TEST_TMPDIR/short.json"
	flow_at served .spec >"$BATS_TEST_TMPDIR/spec"
	version=$(version_of served)
	kubectl apply --server-side -f "$BATS_TEST_TMPDIR/short.json"
	assert_equal "$version" "$(version_of served)"
	run kubectl diff --server-side -f "$BATS_TEST_TMPDIR/short.json"
	assert_ok
	unchanged served
	start served
	kubectl delete jobflowtemplate served
	kubectl apply --server-side -f "$BATS_TEST_TMPDIR/short.json"
	unchanged served
	# By another owner too, who takes over what the manifest says.
	kubectl apply --server-side --field-manager=other --force-conflicts -f "$BATS_TEST_TMPDIR/short.json"
	unchanged served
}

@test "and by kubectl replace" {
	again put put
	kubectl create -f "$BATS_TEST_TMPDIR/short.json"
	# What may change is what the manifest says: it says nothing of parallelism.
	flow_at put '.spec | del(.executionPolicy.parallelism)' >"$BATS_TEST_TMPDIR/spec"
	kubectl replace -f "$BATS_TEST_TMPDIR/short.json"
	assert_equal "$(<"$BATS_TEST_TMPDIR/spec")" "$(flow_at put .spec)"
	start put
	kubectl delete jobflowtemplate put
	kubectl replace -f "$BATS_TEST_TMPDIR/short.json"
	assert_equal "$(<"$BATS_TEST_TMPDIR/spec")" "$(flow_at put .spec)"
}

@test "suspend can be set and taken out of the manifest" {
	again pause pause
	kubectl apply -f "$BATS_TEST_TMPDIR/short.json"
	start pause
	from pause pause '.spec.executionPolicy = {backoffLimit: 9, suspend: true}' | kubectl apply -f -
	assert_equal true "$(flow_at pause .spec.executionPolicy.suspend)"
	kubectl apply -f "$BATS_TEST_TMPDIR/short.json"
	assert_equal null "$(flow_at pause .spec.executionPolicy.suspend)"
}

@test "other values and another template are refused, the template's steps stay" {
	again kept kept
	kubectl apply -f "$BATS_TEST_TMPDIR/short.json"
	run --separate-stderr kubectl apply -f - < <(from kept kept '.spec.parameters[0].value = "gs://in"')
	assert_fails
	assert_contains "$stderr" 'spec.parameters[0].value: Forbidden: the flow was made with another value of "source"; create another flow'
	run --separate-stderr kubectl patch jobflow kept --type=json \
		-p '[{"op": "replace", "path": "/spec/steps/0/name", "value": "own"}]'
	assert_fails
	assert_contains "$stderr" 'spec.steps: Forbidden: the flow was made from the JobFlowTemplate "kept"'
	run --separate-stderr kubectl patch jobflow kept --type=merge -p '{"spec": {"templateRef": {"name": "strict"}}}'
	assert_fails
	assert_contains "$stderr" 'spec.templateRef: Forbidden: it says what the flow was made from'
}

# ---- Without the apiserver's help ----

# The authorizer hears of a binding that was deleted a moment later.
bar() {
	is_barred=yes
	kubectl delete clusterrolebinding callboard-webhook
	eventually 60 may_not_read
}

may_not_read() {
	[[ $(kubectl auth can-i get jobflowtemplates.workflow.kube-zen.io \
		--as=system:serviceaccount:callboard-system:callboard-webhook) == no* ]]
}

let_in() {
	kubectl apply -f "$root/manifests/webhook/rbac.yaml"
	is_barred=
}

@test "a webhook that may not read templates says so, and serves all else" {
	template barred | kubectl create -f -
	bar
	make closed barred
	let_in
	assert_fails
	assert_contains "$stderr" "Error from server (ServiceUnavailable)"
	assert_contains "$stderr" "the JobFlowTemplate could not be looked up: "
	assert_contains "$stderr" 'User "system:serviceaccount:callboard-system:callboard-webhook" cannot get resource "jobflowtemplates"'
	eventually 60 kubectl create -f "$BATS_TEST_TMPDIR/flow.json"
}

# open_way: lets the webhook reach the apiserver by a process of its own, $way_pid, which can be stopped.
open_way() {
	local server kubeconfig
	[[ ${CLUSTER:-} != existing ]] || skip "the apiserver is not on this machine"
	server=$(<"$BATS_FILE_TMPDIR/server")
	echo "${server##*:}" >"$BATS_TEST_TMPDIR/port"
	"$root/build/e2e/bin/balancer" -backend "$BATS_TEST_TMPDIR/port" -lag 0s >"$BATS_TEST_TMPDIR/address" 3>&- 4>&- &
	way_pid=$!
	eventually 60 test -s "$BATS_TEST_TMPDIR/address"
	kubeconfig=$("$root/hack/cluster" user "system:serviceaccount:callboard-system:callboard-webhook" \
		system:serviceaccounts system:serviceaccounts:callboard-system system:authenticated)
	sed "s,server: .*,server: https://$(<"$BATS_TEST_TMPDIR/address")," "$kubeconfig" >"$BATS_TEST_TMPDIR/kubeconfig"
	touch "$BATS_FILE_TMPDIR/moved"
	WEBHOOK_FLAGS="--kubeconfig $BATS_TEST_TMPDIR/kubeconfig" webhook restart
}

# KILL, because it may be stopped; and waiting for it keeps bash from saying so.
close_way() {
	kill -KILL "$way_pid" 2>/dev/null || true
	wait "$way_pid" 2>/dev/null || true
}

# says_so_in_time [OPTION...]: creating the flow fails with the cause, and before the apiserver would have given up. Asked
# again, because a machine that stands still for a few seconds takes that time too.
says_so_in_time() {
	local start=$SECONDS
	run --separate-stderr kubectl create "$@" -f "$BATS_TEST_TMPDIR/flow.json"
	((status != 0 && SECONDS - start < 9)) &&
		[[ $stderr == *"Error from server (ServiceUnavailable)"*"the JobFlowTemplate could not be looked up: "* ]]
}

@test "a webhook that does not reach the apiserver says so in time, and serves all else" {
	template far | kubectl create -f -
	open_way
	from near far | kubectl create -f -
	# Nobody answers.
	kill -STOP "$way_pid"
	from silent far >"$BATS_TEST_TMPDIR/flow.json"
	eventually 40 says_so_in_time
	# Also for a client that waits for three seconds only.
	eventually 40 says_so_in_time --request-timeout=3s
	create_flow aside
	create_performer aside
	kill -CONT "$way_pid"
	eventually 60 kubectl create -f "$BATS_TEST_TMPDIR/flow.json"
	# Nobody is there.
	close_way
	make refused far
	assert_fails
	assert_contains "$stderr" "the JobFlowTemplate could not be looked up: Failed to connect to 127.0.0.1 port"
}

begin_client() {
	kubectl create -f "$BATS_TEST_TMPDIR/flow.json" >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- 4>&- &
	client=$!
}

# It waits for some seconds only, and may have been told to give up before it was seen: then there is another one.
client_waits() {
	[[ ! -s $BATS_TEST_TMPDIR/said ]] || begin_client
	waiting 1
}

@test "a webhook that ends while a flow waits for its template still answers" {
	local client
	template slow | kubectl create -f -
	open_way
	from near-slow slow | kubectl create -f -
	from waits slow >"$BATS_TEST_TMPDIR/flow.json"
	kill -STOP "$way_pid"
	begin_client
	eventually 60 client_waits
	webhook restart
	if wait "$client"; then fail "the flow was created"; fi
	assert_contains "$(<"$BATS_TEST_TMPDIR/said")" "the JobFlowTemplate could not be looked up: "
	kubectl create -f "$BATS_TEST_TMPDIR/flow.json"
}
