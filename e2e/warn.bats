#!/usr/bin/env bats
# What is legal but surely unwanted: stored, with a warning that kubectl shows.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file warn
}

teardown_file() {
	end_file
}

# assert_warned: accepted, with exactly the warnings that stand on stdin.
assert_warned() {
	assert_ok
	assert_equal "$(cat)" "$stderr"
}

@test "a Performer that is as it should be causes no warning" {
	try good
	assert_warned </dev/null
}

@test "a container without a memory limit causes a warning" {
	try good 'del(.spec.resources)'
	assert_warned <<-'EOF'
		Warning: spec.resources.limits: sets no memory limit: the container may take all of its node's memory
	EOF
	try good '.spec.resources = {limits: {cpu: 1}, requests: {memory: "1Gi"}}'
	assert_warned <<-'EOF'
		Warning: spec.resources.limits: sets no memory limit: the container may take all of its node's memory
	EOF
}

@test "an image without a tag causes a warning" {
	try good '.spec.image = "registry.example:5000/app"'
	assert_warned <<-'EOF'
		Warning: spec.image: has no tag, which means "latest": what runs changes without notice; name a version or a digest
	EOF
}

@test "the tag latest causes a warning" {
	try good '.spec.image = "registry.example/app:latest"'
	assert_warned <<-'EOF'
		Warning: spec.image: has the tag "latest": what runs changes without notice; name a version or a digest
	EOF
}

@test "an image with a digest causes none, whatever its tag" {
	try good '.spec.image = "registry.example/app:latest@sha256:" + ("0" * 64)'
	assert_warned </dev/null
}

@test "a teeType that is not required causes a warning" {
	try good '.spec.hardwareRequirements.teeType = "sgx"'
	assert_warned <<-'EOF'
		Warning: spec.hardwareRequirements.teeType: has no effect without teeRequired: true; the pod may run outside of sgx
	EOF
}

@test "warnings are shown once, all of them, beside the object that is stored" {
	performer warned '.spec += {image: "app", resources: {}}' >"$BATS_TEST_TMPDIR/warned.json"
	run --separate-stderr kubectl apply -f "$BATS_TEST_TMPDIR/warned.json"
	assert_warned <<-'EOF'
		Warning: spec.image: has no tag, which means "latest": what runs changes without notice; name a version or a digest
		Warning: spec.resources.limits: sets no memory limit: the container may take all of its node's memory
	EOF
	assert_equal "performer.$(cut -d/ -f1 <<<"$group")/warned created" "$output"
}

@test "whoever wants no warnings can make them errors" {
	performer good '.spec.image = "app"' >"$BATS_TEST_TMPDIR/good.json"
	run kubectl create --dry-run=server --warnings-as-errors -f "$BATS_TEST_TMPDIR/good.json"
	assert_fails
}
