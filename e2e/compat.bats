#!/usr/bin/env bats
# What users of the old Performer controller have: their manifests, and objects stored under its CRD.
# COMPAT names a folder with hourglass/*.yaml (manifests) and hourglass/old-crd.yaml; without it
# nothing is tested here.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

compat=$(realpath -m "${COMPAT:-$root/../shared/data/compat}")/hourglass
# Of its own, because the CRD is replaced under everybody's feet.
upgrade_cluster=$CLUSTER_DIR-upgrade

setup_file() {
	start_file compat
	[[ -d $compat ]] || return 0
	local namespace
	for namespace in $(namespaces); do
		# The one of an earlier run may still be on its way out.
		eventually 60 kubectl create namespace "$namespace"
	done
}

teardown_file() {
	local namespace
	for namespace in $(namespaces); do
		NS=$namespace end_file
	done
	end_file
	unset CLUSTER
	export CLUSTER_DIR=$upgrade_cluster
	webhook down
	"$root/hack/cluster" down
}

setup() {
	[[ -d $compat ]] || skip "no folder $compat"
}

manifests() {
	printf '%s\n' "$compat"/*.yaml | grep -v '/old-crd.yaml$'
}

# Those that the manifests name.
namespaces() {
	[[ ! -d $compat ]] || sed -nE 's/^  namespace: *"?([^"]*)"?$/\1/p' "$compat"/[0-9]*.yaml | sort -u
}

# lost_leaves GIVEN STORED: the paths of values of GIVEN that are not the same in STORED.
lost_leaves() {
	jq -nc --slurpfile given "$1" --slurpfile stored "$2" '
		$given[0] | [paths(type | IN("object", "array") | not)][] as $path
		| select(getpath($path) != ($stored[0] | getpath($path))) | $path'
}

# as_json FILE: the objects of a manifest, one a line.
as_json() {
	kubectl create --dry-run=client --validate=false -o json -f "$1" | jq -c 'if .kind == "List" then .items[] else . end'
}

# assert_nothing_lost FILE: each object of the manifest is stored with all that it says.
assert_nothing_lost() {
	local object
	while read -r object; do
		# What kubectl itself adds to what it prints is no part of the manifest.
		jq 'del(.metadata.namespace)' <<<"$object" >"$BATS_TEST_TMPDIR/given.json"
		kubectl get performer "$(jq -r .metadata.name <<<"$object")" -n "$(jq -r .metadata.namespace <<<"$object")" \
			-o json >"$BATS_TEST_TMPDIR/stored.json"
		assert_equal "" "$(lost_leaves "$BATS_TEST_TMPDIR/given.json" "$BATS_TEST_TMPDIR/stored.json")"
	done < <(as_json "$1")
}

@test "every old manifest applies unchanged, and nothing in it is lost" {
	local file count=0
	for file in $(manifests); do
		kubectl apply -f "$file"
		assert_nothing_lost "$file"
		run kubectl diff -f "$file"
		assert_ok
		count=$((count + 1))
	done
	((count > 0)) || fail "no manifest in $compat"
	note "$count manifests"
}

@test "every old manifest applies by server-side apply" {
	local file
	for file in $(manifests); do
		kubectl apply --server-side --force-conflicts -f "$file"
		assert_nothing_lost "$file"
	done
}

@test "lint accepts every old manifest" {
	local files
	mapfile -t files < <(manifests)
	run --separate-stderr "$root/build/callboard-webhook" lint "${files[@]}"
	assert_ok
}

@test "every field of the old CRD is in ours, of the same type" {
	schema_paths "$compat/old-crd.yaml" >"$BATS_TEST_TMPDIR/old"
	schema_paths "$root/manifests/crds/performers.hourglass.eigenlayer.io.yaml" >"$BATS_TEST_TMPDIR/ours"
	(($(wc -l <"$BATS_TEST_TMPDIR/old") > 100)) || fail "the old CRD was not read"
	assert_equal "" "$(comm -23 "$BATS_TEST_TMPDIR/old" "$BATS_TEST_TMPDIR/ours")"
	note "$(wc -l <"$BATS_TEST_TMPDIR/old") paths in the old CRD, $(wc -l <"$BATS_TEST_TMPDIR/ours") in ours"
}

@test "the printer columns of the old CRD are still there" {
	local old ours
	old=$(kubectl create --dry-run=client -o json -f "$compat/old-crd.yaml" |
		jq -c '[.spec.versions[0].additionalPrinterColumns[] | [.name, .jsonPath]]')
	ours=$(kubectl get crd performers.hourglass.eigenlayer.io -o json |
		jq -c '[.spec.versions[0].additionalPrinterColumns[] | select((.priority // 0) == 0) | [.name, .jsonPath]]')
	assert_equal "$old" "$ours"
}

# ---- Objects that were stored before ----

# Objects that the old CRD allowed, and what the new rules think of them: nothing, or not anything good.
old_objects() {
	performer plain
	performer no-resources 'del(.spec.resources)'
	performer "a-name-that-was-good-enough-for-the-old-one-but-is-too-long-now"
	performer unknown-gpu '.spec.hardwareRequirements.gpuType = "homemade"'
	performer blank '.spec += {avsAddress: "", image: "No Image"}'
	performer finished '.metadata.finalizers = ["hourglass.eigenlayer.io/performer-finalizer"]'
}

# Starts the other cluster as it was in the old days, fills it, then brings it to ours.
upgrade() {
	local file
	kubectl apply -f "$compat/old-crd.yaml"
	eventually 60 kubectl wait crd performers.hourglass.eigenlayer.io --for=condition=Established --timeout=5s
	eventually 60 kubectl get performers
	for file in $(namespaces); do
		kubectl create namespace "$file"
	done
	for file in $(manifests); do
		kubectl apply -f "$file"
	done
	old_objects | kubectl create -f -
	kubectl patch performer plain --subresource=status --type=merge \
		-p '{"status":{"phase":"Running","ready":true,"podName":"performer-plain"}}'
	kubectl get performers --all-namespaces -o json >"$BATS_FILE_TMPDIR/before.json"
	webhook up
}

@test "objects of the old CRD lose nothing under ours, can be updated and go" {
	local environment file
	unset CLUSTER
	export CLUSTER_DIR=$upgrade_cluster
	environment=$(NODES=0 "$root/hack/cluster" up 3>&- 4>&-)
	eval "$environment"
	upgrade

	# Read, as they are.
	kubectl get performers --all-namespaces -o json >"$BATS_TEST_TMPDIR/after.json"
	jq '{items: [.items[] | {metadata: {name: .metadata.name, uid: .metadata.uid}, spec, status}]}' \
		"$BATS_FILE_TMPDIR/before.json" >"$BATS_TEST_TMPDIR/given.json"
	assert_equal "" "$(lost_leaves "$BATS_TEST_TMPDIR/given.json" "$BATS_TEST_TMPDIR/after.json")"
	for file in $(manifests); do
		run kubectl diff -f "$file"
		assert_ok
	done

	# Labels, whatever the new rules think of the rest.
	kubectl label performers --all --all-namespaces seen=yes
	assert_equal 0 "$(kubectl get performers --all-namespaces -l seen!=yes -o name | wc -l)"
	kubectl get performers --all-namespaces -o json >"$BATS_TEST_TMPDIR/after.json"
	assert_equal "" "$(lost_leaves "$BATS_TEST_TMPDIR/given.json" "$BATS_TEST_TMPDIR/after.json")"

	# A change of the spec, by the manifest and by hand; what is wrong with it is said then.
	for file in $(manifests); do
		kubectl apply -f "$file"
	done
	kubectl patch performer plain --type=merge -p '{"spec":{"version":"v2"}}'
	assert_stored plain '[.spec.version, .status.phase]' '["v2","Running"]'
	kubectl patch performer a-name-that-was-good-enough-for-the-old-one-but-is-too-long-now --type=merge -p '{"spec":{"version":"v2"}}'
	run --separate-stderr kubectl patch performer unknown-gpu --type=merge -p '{"spec":{"version":"v2"}}'
	assert_fails
	assert_contains "$stderr" 'spec.hardwareRequirements.gpuType: Unsupported value: "homemade"'

	# Deletion, with and without a finalizer.
	kubectl delete performer blank unknown-gpu --timeout=60s
	kubectl delete performer finished --wait=false
	kubectl patch performer finished --type=merge -p '{"metadata":{"finalizers":null}}'
	run kubectl get performer finished
	assert_fails
}
