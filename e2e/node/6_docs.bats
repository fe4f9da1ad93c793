#!/usr/bin/env bats
# The rest of the documentation's commands for a real node; other files run those that they are about.

load ../lib
load node

@test "docs/install.md: Options, With cert-manager" {
	document docs/install.md Options
	document docs/install.md "With cert-manager"
}

@test "cert-manager's objects fit the webhook's" {
	local objects
	objects=$(kubectl kustomize manifests/with-cert-manager)
	# The Secret is the one that the pods mount, and both configurations name the Certificate.
	assert_equal 2 "$(grep -c 'secretName: callboard-webhook-tls$' <<<"$objects")"
	assert_equal 2 "$(grep -c 'cert-manager.io/inject-ca-from: callboard-system/callboard-webhook$' <<<"$objects")"
}

@test "with the cluster's own scheduler nothing of a second one is installed" {
	mkdir -p build/e2e-node/existing
	cat >build/e2e-node/existing/kustomization.yaml <<-'EOT'
		apiVersion: kustomize.config.k8s.io/v1beta1
		kind: Kustomization
		resources: [../../../manifests/default]
		components: [../../../manifests/components/existing-scheduler]
	EOT
	kubectl kustomize build/e2e-node/existing >"$BATS_TEST_TMPDIR/objects"
	assert_equal "" "$(grep -E 'name: callboard-scheduler|scheduler=callboard' "$BATS_TEST_TMPDIR/objects" || true)"
	assert_equal 1 "$(grep -c -e '- --scheduler=marked$' "$BATS_TEST_TMPDIR/objects")"
	kubectl apply --dry-run=server -f "$BATS_TEST_TMPDIR/objects"
}

@test "docs/operations.md: Health, Metrics" {
	document docs/operations.md Health
	document docs/operations.md Metrics
}

@test "docs/operations.md: Backup and restore, Deleting Performers" {
	kubectl apply -f manifests/examples/performer.yaml
	document docs/operations.md "Backup and restore"
	# As after a loss: the object is gone, the file is there.
	document docs/operations.md "Deleting Performers"
	assert_equal "" "$(kubectl get performer example --ignore-not-found -o name)"
	kubectl apply -f build/callboard-objects.json
	assert_equal '"registry.example/avs/performer:v2.1.0"' "$(stored example .spec.image)"
}

@test "docs/troubleshooting.md" {
	document docs/troubleshooting.md
}

@test "e2e/README.md: A real node" {
	document e2e/README.md "A real node"
	kubectl delete pod hello
}
