#!/usr/bin/env bats
# Removing Callboard as docs/install.md says.

load ../lib
load node

setup_file() {
	start_file node-uninstall
}

teardown_file() {
	kubectl delete namespace "$NS" --wait=false
}

@test "docs/install.md: Uninstall leaves nothing, with Performers that have finalizers" {
	create_performer first
	create_performer second
	kubectl delete performer second --wait=false
	# A controller makes it, some time after the namespace.
	eventually 60 kubectl get configmap kube-root-ca.crt
	others >"$BATS_TEST_TMPDIR/before"
	grep -q "^ConfigMap/$NS/kube-root-ca.crt$" "$BATS_TEST_TMPDIR/before"
	run nothing_is_left
	assert_fails
	assert_contains "$output" deployment.apps/callboard-webhook
	document docs/install.md Uninstall
	eventually 120 nothing_is_left
	others >"$BATS_TEST_TMPDIR/after"
	assert_equal "" "$(comm -23 "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after")"
}

# others: what is not Callboard's; without what comes and goes by itself, and what other files leave to end.
others() {
	kubectl get "$(kubectl api-resources --verbs=list -o name |
		grep -vE '^(events|leases|ipaddresses|endpointslices|endpoints|componentstatuses)|hourglass|kube-zen' | paste -sd,)" \
		--all-namespaces -o json |
		jq -r --arg namespace "$NS" '.items[]
			| select(.metadata.namespace | . == null or . == $namespace or . == "default" or startswith("kube-"))
			| select(.metadata.labels["app.kubernetes.io/part-of"] != "callboard"
				and .metadata.labels["app.kubernetes.io/managed-by"] != "callboard")
			| [.kind, .metadata.namespace // "", .metadata.name] | join("/")' |
		grep -vE '^Namespace//(callboard-system|e2e-)|/callboard|^APIService//v1alpha1\.(hourglass|workflow)|system:serviceaccounts?:callboard' | sort
}

# By label, whatever kind there may be, and by name, should one lack the label.
nothing_is_left() {
	local kinds left
	kinds=$(kubectl api-resources --verbs=list -o name | grep -v '^events' | paste -sd,)
	left=$(
		kubectl get "$kinds" --all-namespaces -l app.kubernetes.io/part-of=callboard -o name
		kubectl get "$kinds" --all-namespaces -l app.kubernetes.io/managed-by=callboard -o name
		kubectl get "$(kubectl api-resources --verbs=list --namespaced=false -o name | paste -sd,)" -o name |
			grep -E 'callboard-system|/callboard|hourglass|kube-zen'
	) || true
	[[ -z $left ]] || fail "$left"
}

@test "no document with such commands is left out" {
	local file section
	while read -r file; do
		while read -r section; do
			grep -qF "document $file" e2e/node/*.bats || fail "$file is not run"
			[[ $file == docs/troubleshooting.md ]] ||
				grep -qE "document $file \"?$section" e2e/node/*.bats || fail "$file, $section is not run"
		done < <(hack/docs sections node "$file")
	done < <(git ls-files -co --exclude-standard '*.md')
}
