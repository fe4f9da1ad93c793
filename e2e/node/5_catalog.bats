#!/usr/bin/env bats
# The ConfigMap of the catalog, as it comes, changes, breaks and goes.

load ../lib
load node

setup_file() {
	start_file node-catalog
}

teardown_file() {
	end_file
}

# all_reloaded RESULT COUNT: every pod has counted that many reloads of the catalog.
all_reloaded() {
	local pod
	for pod in $(webhook_pods); do
		[[ $(pod_metric "$pod" "callboard_webhook_reloads_total{file=\"catalog\",result=\"$1\"}") == "$2" ]] || return 1
	done
}

@test "docs/operations.md: Changing the catalog" {
	document docs/operations.md "Changing the catalog"
	eventually 90 all_reloaded ok 1
	create_performer known '.spec.hardwareRequirements.gpuType = "nvidia-a100"'
}

@test "a type that is added is accepted, by every replica" {
	try new '.spec.hardwareRequirements.gpuType = "acme-x1"'
	assert_fails
	assert_contains "$stderr" 'Unsupported value: "acme-x1"'
	in_system get configmap callboard-catalog -o json |
		jq '.data["catalog.yaml"] |= sub("gpuTypes:\n"; "gpuTypes:\n  acme-x1: {products: [Acme-X1], minMemoryMiB: 8192}\n")' |
		kubectl apply -f -
	hurry_pods
	eventually 90 all_reloaded ok 2
	create_performer new '.spec.hardwareRequirements.gpuType = "acme-x1"'
}

@test "a catalog that does not work is refused, and the one before stays" {
	in_system patch configmap callboard-catalog --type=merge -p '{"data":{"catalog.yaml":"gpuTypes: [broken]\n"}}'
	hurry_pods
	eventually 90 all_reloaded error 1
	says_so() {
		in_system logs -l app.kubernetes.io/name=callboard-webhook --tail 20 |
			grep "the new catalog does not work; the old one stays in use"
	}
	eventually 60 says_so
	create_performer still '.spec.hardwareRequirements.gpuType = "acme-x1"'
}

@test "without the ConfigMap the built-in catalog is back, and what is stored stays changeable" {
	in_system delete configmap callboard-catalog
	hurry_pods
	eventually 90 all_reloaded ok 3
	try gone '.spec.hardwareRequirements.gpuType = "acme-x1"'
	assert_fails
	kubectl label performer new colour=blue
	run kubectl patch performer new --type=merge -p '{"spec":{"version":"v2"}}'
	assert_fails
	assert_contains "$output" 'Unsupported value: "acme-x1"'
}
