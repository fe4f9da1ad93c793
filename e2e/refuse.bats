#!/usr/bin/env bats
# Performers that are refused, and what kubectl shows to the user: the field, the cause and the cure.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file refuse
}

teardown_file() {
	end_file
}

@test "a required field that is missing or empty is named with its meaning" {
	try bad 'del(.spec.avsAddress) | .spec.image = ""'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: 
		* spec.avsAddress: Required value: The address that identifies the AVS which the Performer serves.
		* spec.image: Required value: it must not be empty: The container image, such as registry.example/team/performer:v1.
	EOF
}

@test "a Performer without a spec is refused" {
	try bad 'del(.spec)'
	assert_fails
	assert_contains "$stderr" 'The Performer "bad" is invalid: spec: Required value: What is wanted.'
}

@test "an address that is blank is refused" {
	try bad '.spec.avsAddress = "  "'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.avsAddress: Invalid value: "  ": must not be blank and must not hold control characters
	EOF
}

@test "what is no image reference is refused" {
	try bad '.spec.image = "Registry.example/App:v1"'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.image: Invalid value: "Registry.example/App:v1": must be an image reference such as registry.example/team/app:v1 (the repository in lower case, no blanks)
	EOF
}

@test "a port out of range is refused with the range" {
	try bad '.spec.config.grpcPort = 70000'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.config.grpcPort: Invalid value: 70000: must be from 1 to 65535
	EOF
	try bad '.spec.config.grpcPort = 0'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.config.grpcPort: Invalid value: 0: must be from 1 to 65535
	EOF
}

@test "a value of the wrong type is refused with the right type" {
	try bad '.spec.config = {grpcPort: "http", args: "--verbose"} | .spec.backoffLimit = 1.5'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: 
		* spec.config.grpcPort: Invalid value: must be a whole number, not a string
		* spec.config.args: Invalid value: must be a list, not a string
		* spec.backoffLimit: Invalid value: 1.5: must be a whole number
	EOF
}

@test "a negative count is refused" {
	try bad '.spec.backoffLimit = -1 | .spec.hardwareRequirements.gpuCount = -1'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: 
		* spec.hardwareRequirements.gpuCount: Invalid value: -1: must be 0 or more
		* spec.backoffLimit: Invalid value: -1: must be 0 or more
	EOF
}

@test "a misspelt choice is refused with the choices and the nearest one" {
	try bad '.spec += {imagePullPolicy: "always", upgradeStrategy: "Bluegreen", nodeFailurePolicy: "Never"}'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: 
		* spec.imagePullPolicy: Unsupported value: "always": supported values: "Always", "Never", "IfNotPresent"; did you mean "Always"?
		* spec.upgradeStrategy: Unsupported value: "Bluegreen": supported values: "Recreate", "BlueGreen"; did you mean "BlueGreen"?
		* spec.nodeFailurePolicy: Unsupported value: "Never": supported values: "Reschedule", "Wait"
	EOF
}

@test "a GPU that the catalog does not have is refused with those that it has" {
	try bad '.spec.hardwareRequirements.gpuType = "nvidia-a1000"'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.hardwareRequirements.gpuType: Unsupported value: "nvidia-a1000": did you mean "nvidia-a100"? the catalog has: nvidia-tesla-p100, nvidia-tesla-t4, nvidia-tesla-v100, nvidia-a10, nvidia-a10g, nvidia-a100, nvidia-l4, nvidia-l40s, nvidia-h100, nvidia-h200, nvidia-b200, nvidia-rtx-5000, nvidia-rtx-6000. An administrator can add a type to the ConfigMap callboard-catalog
	EOF
}

@test "a share of several GPUs is refused" {
	try bad '.spec.hardwareRequirements = {gpuShare: 50, gpuCount: 2}'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.hardwareRequirements.gpuShare: Forbidden: a share is of one GPU, so it may not be combined with gpuCount 2; remove gpuShare to get whole GPUs, or gpuCount to get a share of one
	EOF
	try bad '.spec.hardwareRequirements.gpuShare = 100'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.hardwareRequirements.gpuShare: Invalid value: 100: must be from 1 to 99
	EOF
}

@test "demands on a GPU without a GPU are refused, each of them" {
	try bad '.spec.hardwareRequirements = {gpuCount: 0, gpuType: "nvidia-a100", gpuMemory: "40Gi", cudaVersion: "12.4"}'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: 
		* spec.hardwareRequirements.gpuType: Forbidden: gpuType needs a GPU but gpuCount is 0; set gpuCount to 1 or more, or remove gpuType
		* spec.hardwareRequirements.gpuMemory: Forbidden: gpuMemory needs a GPU but gpuCount is 0; set gpuCount to 1 or more, or remove gpuMemory
		* spec.hardwareRequirements.cudaVersion: Forbidden: cudaVersion needs a GPU but gpuCount is 0; set gpuCount to 1 or more, or remove cudaVersion
	EOF
}

@test "what is no quantity and what is no version are refused" {
	try bad '.spec.hardwareRequirements = {gpuMemory: "lots", cudaVersion: "twelve"}'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: 
		* spec.hardwareRequirements.gpuMemory: Invalid value: "lots": must be a quantity: a number with an optional suffix such as m, k, M, G, Ki, Mi or Gi
		* spec.hardwareRequirements.cudaVersion: Invalid value: "twelve": must be a version such as 12 or 12.4
	EOF
	try bad '.spec.hardwareRequirements.gpuMemory = "0"'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.hardwareRequirements.gpuMemory: Invalid value: 0: must be more than 0, such as 40Gi; remove the field when any memory will do
	EOF
}

@test "teeRequired without a teeType, or with an unknown one, is refused" {
	try bad '.spec.hardwareRequirements.teeRequired = true'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.hardwareRequirements.teeType: Required value: teeRequired is true; say which one: sgx, sev, sev-snp or tdx
	EOF
	try bad '.spec.hardwareRequirements = {teeRequired: true, teeType: "sgx2"}'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.hardwareRequirements.teeType: Unsupported value: "sgx2": supported values: "sgx", "sev", "sev-snp", "tdx"; did you mean "sgx"?
	EOF
}

@test "a RuntimeClass that does not fit the TEE is refused with those that do" {
	try bad '.spec.hardwareRequirements = {teeRequired: true, teeType: "tdx"} | .spec.scheduling.runtimeClass = "gvisor"'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.scheduling.runtimeClass: Unsupported value: "gvisor": it does not run pods in tdx; supported values: kata-qemu-tdx, kata-qemu-nvidia-gpu-tdx; remove the field to get the first one
	EOF
}

@test "a deletionTimestamp that a client writes does not let a bad object pass" {
	try bad '.metadata.deletionTimestamp = "2026-01-01T00:00:00Z" | .spec.imagePullPolicy = "allways"'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.imagePullPolicy: Unsupported value: "allways": supported values: "Always", "Never", "IfNotPresent"; did you mean "Always"?
	EOF
}

@test "labels that no node can have at once are refused" {
	try bad '.spec.hardwareRequirements.customLabels.zone = "north" | .spec.scheduling.nodeSelector.zone = "south"'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.hardwareRequirements.customLabels.zone: Invalid value: "north": spec.scheduling.nodeSelector wants "south" for the same label, so no node can fit; make them the same or remove one
	EOF
}

@test "GPUs asked for in two ways must agree" {
	try bad '.spec.resources.limits["nvidia.com/gpu"] = 2 | .spec.hardwareRequirements.gpuCount = 1'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.resources.limits["nvidia.com/gpu"]: Invalid value: 2: differs from hardwareRequirements, which asks for 1 GPUs; remove it here, hardwareRequirements is enough
	EOF
	try bad '.spec.resources.limits["callboard.dev/gpu-milli"] = 500'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.resources.limits["callboard.dev/gpu-milli"]: Forbidden: this resource is set by the controller; ask for GPUs by hardwareRequirements.gpuCount or gpuShare
	EOF
}

@test "a request above its limit is refused" {
	try bad '.spec.resources.requests.memory = "2Gi"'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.resources.requests.memory: Invalid value: 2Gi is more than the limit 1Gi; lower the request or raise the limit
	EOF
}

@test "a toleration that means nothing is refused" {
	try bad '.spec.scheduling.tolerations = [{operator: "Exist", effect: "NoScheduled"}]'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: 
		* spec.scheduling.tolerations[0].operator: Unsupported value: "Exist": supported values: "Exists", "Equal"; did you mean "Exists"?
		* spec.scheduling.tolerations[0].effect: Unsupported value: "NoScheduled": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"; did you mean "NoSchedule"?
	EOF
}

@test "an environment variable that is set twice is refused without its value" {
	try bad '.spec.config = {environment: {A: "hidden-value"},
		environmentFrom: [{name: "A", valueFrom: {secretKeyRef: {name: "s", key: "k"}}}]}'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.config.environment.A: Duplicate value: environmentFrom sets the same variable; remove one of the two
	EOF
}

@test "a source of environment variables must name exactly one place" {
	try bad '.spec.config.environmentFrom = [{name: "A", valueFrom: {}}, {name: "B"}]'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: 
		* spec.config.environmentFrom[0].valueFrom: Required value: exactly one of secretKeyRef and configMapKeyRef must be set
		* spec.config.environmentFrom[1].valueFrom: Required value: Where its value comes from.
	EOF
}

@test "an entry that a list has already is refused" {
	try bad '.spec.imagePullSecrets = [{name: "a"}, {name: "a"}]'
	assert_refused <<-'EOF'
		The Performer "bad" is invalid: spec.imagePullSecrets[1].name: Duplicate value: "a" is already in the list
	EOF
}

@test "all errors of an object are shown at once" {
	try bad '.spec += {avsAddress: "", image: "No Image", imagePullPolicy: "Sometimes", backoffLimit: -1,
		config: {grpcPort: 0, environment: {"A=B": "hidden-value"}},
		hardwareRequirements: {gpuType: "none", gpuShare: 0, teeRequired: true}, scheduling: {packing: "Tight"}}'
	assert_fails
	assert_equal 10 "$(grep -c '^\* ' <<<"$stderr")"
	assert_contains "$stderr" '* spec.config.environment["A=B"]: Invalid value: the key "A=B" must be printable'
	assert_lacks "$stderr" hidden-value
}

@test "a name that is no DNS label is refused" {
	try Bad_Name
	assert_refused <<-'EOF'
		The Performer "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": must be at most 63 lower-case letters, digits or '-', and start and end with a letter or digit
	EOF
	try with.dots
	assert_fails
	assert_contains "$stderr" 'metadata.name: Invalid value: "with.dots": must be at most 63 lower-case letters'
}

@test "a name from which no Service's name can be made is refused" {
	local name
	name=$(printf 'n%.0s' {1..54})
	try "$name"
	assert_refused <<-EOF
		The Performer "$name" is invalid: metadata.name: Too long: it has 54 bytes and may have at most 53, because the names of its children are made from it
	EOF
}

@test "a prefix from which no name can be made is refused" {
	try bad '.metadata = {generateName: ("g" * 49)}'
	assert_fails
	assert_contains "$stderr" 'metadata.generateName: Too long: it has 49 bytes and may have at most 48, because the name made from it and the names of its children must fit'
	try bad '.metadata = {generateName: "with.dots-"}'
	assert_refused <<-'EOF'
		The Performer "with.dots-" is invalid: metadata.generateName: Invalid value: "with.dots-": the name made from it must be at most 63 lower-case letters, digits or '-', and start and end with a letter or digit
	EOF
}

@test "unknown fields are shown by kubectl's strict validation" {
	try bad '.spec.imagee = "x" | .spec.config.port = 1'
	assert_fails
	assert_contains "$stderr" 'strict decoding error: unknown field "spec.config.port", unknown field "spec.imagee"'
}

@test "without strict validation unknown fields are dropped with a warning" {
	performer loose '.spec.imagee = "x"' >"$BATS_TEST_TMPDIR/loose.json"
	run --separate-stderr kubectl create --validate=warn -f "$BATS_TEST_TMPDIR/loose.json"
	assert_ok
	assert_equal 'Warning: unknown field "spec.imagee"' "$stderr"
	assert_stored loose '.spec | has("imagee")' false
}

@test "a character that no program can be given is refused with its place" {
	try bad '.spec.version = "v1\u0000"'
	assert_fails
	assert_contains "$stderr" 'failed calling webhook "performers.callboard.dev": failed to call webhook: the request'\''s body: line 1, column '
	assert_contains "$stderr" 'the character U+0000 is not allowed'
}

@test "a refusal is a Status 422 with a cause for each error" {
	performer bad '.spec.image = "No Image" | .spec.config.grpcPort = 0' >"$BATS_TEST_TMPDIR/bad.json"
	local answer
	answer=$(api POST "$(performers_path)" -H 'Content-Type: application/json' --data-binary "@$BATS_TEST_TMPDIR/bad.json")
	assert_equal '[422,"Invalid","Failure","Performer","bad"]' \
		"$(jq -c '[.code, .reason, .status, .details.kind, .details.name]' <<<"$answer")"
	assert_equal '[["spec.image","FieldValueInvalid"],["spec.config.grpcPort","FieldValueInvalid"]]' \
		"$(jq -c '[.details.causes[] | [.field, .reason]]' <<<"$answer")"
	assert_contains "$(jq -r .message <<<"$answer")" 'spec.config.grpcPort: Invalid value: 0: must be from 1 to 65535'
}

@test "nothing of what was refused is stored" {
	run kubectl create -f - < <(performer refused '.spec.image = "No Image"')
	assert_fails
	run --separate-stderr kubectl get performer refused
	assert_fails
	assert_contains "$stderr" NotFound
}
