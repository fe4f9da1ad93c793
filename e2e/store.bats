#!/usr/bin/env bats
# What becomes of a Performer that is good.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file store
}

teardown_file() {
	end_file
}

@test "what is left out of the spec is stored with its default" {
	create_performer plain 'del(.spec.resources)'
	assert_stored plain .spec '{"avsAddress":"0x1","config":{"grpcPort":9090},"image":"registry.example/app:v1","imagePullPolicy":"IfNotPresent","nodeFailurePolicy":"Reschedule","upgradeStrategy":"Recreate"}'
}

@test "what is given is not overwritten by a default" {
	create_performer given '.spec += {imagePullPolicy: "Never", upgradeStrategy: "BlueGreen", nodeFailurePolicy: "Wait", config: {grpcPort: 1}}'
	assert_stored given '.spec | [.imagePullPolicy, .upgradeStrategy, .nodeFailurePolicy, .config.grpcPort]' \
		'["Never","BlueGreen","Wait",1]'
}

@test "a null counts as left out" {
	create_performer null '.spec += {imagePullPolicy: null, version: null, config: null, scheduling: null}'
	assert_stored null '.spec | [.imagePullPolicy, .config]' '["IfNotPresent",{"grpcPort":9090}]'
	assert_stored null '.spec | [has("version"), has("scheduling")]' '[false,false]'
}

@test "whoever names a GPU's type, memory or CUDA version gets one GPU" {
	create_performer gpu-type '.spec.hardwareRequirements.gpuType = "nvidia-a100"'
	create_performer gpu-memory '.spec.hardwareRequirements.gpuMemory = "40Gi"'
	create_performer gpu-cuda '.spec.hardwareRequirements.cudaVersion = "12.4"'
	assert_stored gpu-type .spec.hardwareRequirements '{"gpuCount":1,"gpuType":"nvidia-a100"}'
	assert_stored gpu-memory .spec.hardwareRequirements '{"gpuCount":1,"gpuMemory":"40Gi"}'
	assert_stored gpu-cuda .spec.hardwareRequirements '{"cudaVersion":"12.4","gpuCount":1}'
}

@test "whoever asks for a share of a GPU, or for no GPU, gets no whole one" {
	create_performer gpu-share '.spec.hardwareRequirements = {gpuType: "nvidia-a100", gpuShare: 50}'
	create_performer gpu-none '.spec.hardwareRequirements = {customLabels: {fabric: "infiniband"}}'
	assert_stored gpu-share .spec.hardwareRequirements '{"gpuShare":50,"gpuType":"nvidia-a100"}'
	assert_stored gpu-none .spec.hardwareRequirements '{"customLabels":{"fabric":"infiniband"}}'
}

@test "it has the finalizer beside those it came with" {
	create_performer finalizer
	create_performer finalizers '.metadata.finalizers = ["example.com/mine"]'
	create_performer finalizer-given '.metadata.finalizers = ["hourglass.eigenlayer.io/performer-finalizer"]'
	assert_stored finalizer .metadata.finalizers '["hourglass.eigenlayer.io/performer-finalizer"]'
	assert_stored finalizers .metadata.finalizers \
		'["example.com/mine","hourglass.eigenlayer.io/performer-finalizer"]'
	assert_stored finalizer-given .metadata.finalizers '["hourglass.eigenlayer.io/performer-finalizer"]'
	kubectl patch performer finalizers --type=merge -p '{"metadata":{"finalizers":null}}'
}

@test "initiated-by is the user who created it, not what the manifest claims" {
	allow_user alice
	performer initiated '.metadata.annotations = {"callboard.dev/initiated-by": "bob", mine: "kept"}' |
		as_user alice kubectl create -f -
	assert_stored initiated '.metadata.annotations | [.["callboard.dev/initiated-by"], .mine]' '["alice","kept"]'
}

@test "initiated-by of a ServiceAccount is its whole name" {
	kubectl create serviceaccount robot
	allow_user "system:serviceaccount:$NS:robot"
	performer robots | as_user "system:serviceaccount:$NS:robot" kubectl create -f -
	assert_stored robots '.metadata.annotations["callboard.dev/initiated-by"]' "\"system:serviceaccount:$NS:robot\""
}

@test "the correlation id is a new one for each, not what the manifest claims" {
	local first second
	create_performer correlated '.metadata.annotations["callboard.dev/correlation-id"] = "mine"'
	create_performer correlated-too
	first=$(stored correlated '.metadata.annotations["callboard.dev/correlation-id"]')
	second=$(stored correlated-too '.metadata.annotations["callboard.dev/correlation-id"]')
	[[ $first =~ ^\"[0-9a-f-]{36}\"$ ]] || fail "no correlation id: $first"
	[[ $first != "$second" ]] || fail "the same correlation id twice: $first"
}

@test "generateName makes a name that fits" {
	run --separate-stderr kubectl create -f - -o name < <(performer x '.metadata = {generateName: ("g" * 48)}')
	assert_ok
	[[ $output =~ ^performer.hourglass.eigenlayer.io/g{48}[a-z0-9]{5}$ ]] || fail "no such name: $output"
}

@test "the longest name is accepted" {
	run kubectl create --dry-run=server -f - < <(performer "$(printf 'n%.0s' {1..53})")
	assert_ok
}

# The paths of an object's schema and of an object, in one notation: a[] for the items of a list, and
# maps whose keys are the user's end at their own name.
# shellcheck disable=SC2016 # the variables are jq's
paths_of_schema='def walk($path):
		if .properties then .properties | to_entries[] | .key as $k | .value | walk($path + [$k])
		elif .items then .items | walk($path[:-1] + [$path[-1] + "[]"])
		else $path | join(".") end;
	[walk([])] | sort[]'
# shellcheck disable=SC2016
paths_of_object='def walk($schema; $path):
		if $schema.properties then to_entries[] | .key as $k | .value | walk($schema.properties[$k]; $path + [$k])
		elif $schema.items then .[] | walk($schema.items; $path[:-1] + [$path[-1] + "[]"])
		else $path | join(".") end;
	[walk($schema; [])] | unique[]'

@test "every field of the spec is stored as it was given" {
	local manifest=$BATS_TEST_DIRNAME/testdata/every-field.yaml given schema
	given=$(kubectl create --dry-run=client -o json -f "$manifest")
	schema=$(kubectl get crd performers.hourglass.eigenlayer.io -o json |
		jq '.spec.versions[0].schema.openAPIV3Schema.properties.spec')
	assert_equal "$(jq -r "$paths_of_schema" <<<"$schema")" \
		"$(jq -r --argjson schema "$schema" ".spec | $paths_of_object" <<<"$given")"

	kubectl apply --server-side -f "$manifest"
	assert_equal "$(jq -S .spec <<<"$given")" "$(kubectl get performer every-field -o json | jq -S .spec)"
	assert_stored every-field '.metadata | [.labels.team, .annotations.note]' '["blue","any text: ünïcode"]'
}

@test "numbers keep their exact value" {
	create_performer numbers '.spec += {backoffLimit: 2147483647,
		scheduling: {tolerations: [{operator: "Exists", effect: "NoExecute", tolerationSeconds: 1234}]}}'
	# jq 1.6 would round it.
	kubectl patch performer numbers --type=json \
		-p '[{"op":"replace","path":"/spec/scheduling/tolerations/0/tolerationSeconds","value":9007199254740993}]'
	assert_equal 9007199254740993 \
		"$(kubectl get performer numbers -o jsonpath='{.spec.scheduling.tolerations[0].tolerationSeconds}')"
	assert_stored numbers .spec.backoffLimit 2147483647
}

@test "the largest object that etcd takes is accepted" {
	performer large | jq '.spec.config.environment = ([range(700) | {"V\(.)": ("x" * 2000)}] | add)' \
		>"$BATS_TEST_TMPDIR/large.json"
	kubectl create -f "$BATS_TEST_TMPDIR/large.json"
	assert_stored large '.spec.config.environment | length' 700
	kubectl patch performer large --type=merge -p '{"spec":{"version":"v2"}}'
	assert_stored large .spec.version '"v2"'
}
