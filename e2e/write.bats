#!/usr/bin/env bats
# Every way in which clients write a Performer that exists.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file write
}

teardown_file() {
	end_file
}

# manifest NAME [FILTER]: writes the Performer to a file whose path is $manifest.
manifest() {
	manifest=$BATS_TEST_TMPDIR/$1.json
	performer "$@" >"$manifest"
}

# ---- apply, client-side and server-side ----

@test "apply a second time changes nothing" {
	manifest applied
	kubectl apply -f "$manifest"
	local before
	before=$(stored applied .metadata.resourceVersion)
	run --separate-stderr kubectl apply -f "$manifest"
	assert_ok
	assert_equal "performer.hourglass.eigenlayer.io/applied unchanged" "$output"
	assert_stored applied .metadata.resourceVersion "$before"
}

@test "apply removes what the manifest does not say any more" {
	manifest shrinking '.spec += {version: "v1", config: {environment: {A: "1", B: "2"}}}'
	kubectl apply -f "$manifest"
	manifest shrinking '.spec.config.environment.B = "2"'
	kubectl apply -f "$manifest"
	assert_stored shrinking '.spec | [.version, .config]' '[null,{"environment":{"B":"2"},"grpcPort":9090}]'
}

@test "apply of a bad change is refused and leaves what is stored" {
	manifest kept
	kubectl apply -f "$manifest"
	manifest kept '.spec.config.grpcPort = 0'
	run --separate-stderr kubectl apply -f "$manifest"
	assert_fails
	assert_contains "$stderr" 'spec.config.grpcPort: Invalid value: 0: must be from 1 to 65535'
	assert_stored kept .spec.config.grpcPort 9090
}

@test "server-side apply a second time changes nothing" {
	manifest ssa
	kubectl apply --server-side -f "$manifest"
	local before
	before=$(stored ssa '.metadata | [.resourceVersion, .generation]')
	kubectl apply --server-side -f "$manifest"
	assert_stored ssa '.metadata | [.resourceVersion, .generation]' "$before"
}

@test "server-side apply of another manager's field is a conflict that can be forced" {
	manifest contested '.spec.version = "v1"'
	kubectl apply --server-side --field-manager=one -f "$manifest"
	manifest contested '.spec.version = "v2"'
	run --separate-stderr kubectl apply --server-side --field-manager=two -f "$manifest"
	assert_fails
	assert_contains "$stderr" 'conflict with "one": .spec.version'
	assert_stored contested .spec.version '"v1"'
	kubectl apply --server-side --field-manager=two --force-conflicts -f "$manifest"
	assert_stored contested .spec.version '"v2"'
}

@test "two managers of different fields do not meet" {
	manifest shared
	kubectl apply --server-side --field-manager=one -f "$manifest"
	jq '.spec = {version: "v7"}' "$manifest" >"$manifest.two"
	kubectl apply --server-side --field-manager=two -f "$manifest.two"
	assert_stored shared '.spec | [.avsAddress, .version]' '["0x1","v7"]'
}

@test "the defaults that the webhook sets belong to whoever applied first and conflict with nobody" {
	manifest defaults
	kubectl apply --server-side --field-manager=one -f "$manifest"
	jq '.spec = {nodeFailurePolicy: "Reschedule"}' "$manifest" >"$manifest.two"
	kubectl apply --server-side --field-manager=two -f "$manifest.two"
	kubectl apply --server-side --field-manager=one -f "$manifest"
	assert_stored defaults .spec.nodeFailurePolicy '"Reschedule"'
}

@test "entries of a keyed list are merged by server-side apply, each with its manager" {
	manifest list '.spec.imagePullSecrets = [{name: "one"}]'
	kubectl apply --server-side --field-manager=one -f "$manifest"
	jq '.spec = {imagePullSecrets: [{name: "two"}]}' "$manifest" >"$manifest.two"
	kubectl apply --server-side --field-manager=two -f "$manifest.two"
	assert_stored list '[.spec.imagePullSecrets[].name]' '["one","two"]'
}

# ---- dry-run and diff ----

@test "a dry run answers with the defaults and stores nothing" {
	manifest dry
	run --separate-stderr kubectl create --dry-run=server -o json -f "$manifest"
	assert_ok
	assert_equal '[9090,"Recreate"]' "$(jq -c '.spec | [.config.grpcPort, .upgradeStrategy]' <<<"$output")"
	assert_equal '["hourglass.eigenlayer.io/performer-finalizer"]' "$(jq -c .metadata.finalizers <<<"$output")"
	run kubectl get performer dry
	assert_fails
}

@test "a dry run of a change stores nothing" {
	create_performer dry-change
	kubectl patch performer dry-change --dry-run=server --type=merge -p '{"spec":{"version":"v2"}}'
	assert_stored dry-change .spec.version null
}

@test "kubectl diff is empty after apply, client-side and server-side" {
	manifest diff
	kubectl apply -f "$manifest"
	run kubectl diff -f "$manifest"
	assert_equal "0 " "$status $output"
	manifest diff-ssa
	kubectl apply --server-side -f "$manifest"
	run kubectl diff --server-side -f "$manifest"
	assert_equal "0 " "$status $output"
}

@test "kubectl diff shows a change alone and exits 1" {
	manifest differs
	kubectl apply -f "$manifest"
	manifest differs '.spec.version = "v2"'
	run kubectl diff -f "$manifest"
	assert_equal 1 "$status"
	# The generation counts what is about to change.
	assert_equal '- generation: 1 + generation: 2 + version: v2' \
		"$(grep -E '^[-+] ' <<<"$output" | xargs echo)"
}

@test "kubectl diff of a new object shows what the webhook adds" {
	manifest new
	run kubectl diff -f "$manifest"
	assert_equal 1 "$status"
	assert_contains "$output" '+  upgradeStrategy: Recreate'
}

@test "kubectl diff of a bad object fails with the cause" {
	manifest bad '.spec.config.grpcPort = 0'
	run kubectl diff -f "$manifest"
	((status > 1)) || fail "expected a status above 1"
	assert_contains "$output" 'spec.config.grpcPort: Invalid value: 0: must be from 1 to 65535'
}

# ---- patch, replace, edit ----

@test "patches of each kind are checked and stored" {
	create_performer patched
	kubectl patch performer patched --type=merge -p '{"spec":{"version":"v2"}}'
	kubectl patch performer patched --type=json -p '[{"op":"replace","path":"/spec/config/grpcPort","value":8080}]'
	assert_stored patched '.spec | [.version, .config.grpcPort]' '["v2",8080]'

	run --separate-stderr kubectl patch performer patched --type=merge -p '{"spec":{"image":"No Image"}}'
	assert_fails
	assert_contains "$stderr" 'spec.image: Invalid value: "No Image": must be an image reference'
	run --separate-stderr kubectl patch performer patched --type=json -p '[{"op":"remove","path":"/spec/image"}]'
	assert_refused <<-'EOF'
		The Performer "patched" is invalid: spec.image: Required value: The container image, such as registry.example/team/performer:v1.
	EOF
}

@test "a field that is removed gets its default again" {
	create_performer removed '.spec.upgradeStrategy = "BlueGreen"'
	kubectl patch performer removed --type=json -p '[{"op":"remove","path":"/spec/upgradeStrategy"}]'
	assert_stored removed .spec.upgradeStrategy '"Recreate"'
}

@test "replace stores the new object and refuses one that is out of date" {
	create_performer replaced
	kubectl get performer replaced -o json >"$BATS_TEST_TMPDIR/old.json"
	jq '.spec.version = "v2"' "$BATS_TEST_TMPDIR/old.json" | kubectl replace -f -
	assert_stored replaced .spec.version '"v2"'
	run --separate-stderr kubectl replace -f "$BATS_TEST_TMPDIR/old.json"
	assert_fails
	assert_contains "$stderr" 'the object has been modified'
}

@test "kubectl edit works" {
	create_performer edited
	EDITOR="sed -i s/grpcPort:.*/grpcPort:\ 7777/" kubectl edit performer edited
	assert_stored edited .spec.config.grpcPort 7777
}

@test "kubectl label, annotate and set work as on any object" {
	create_performer labelled
	kubectl label performer labelled team=blue
	kubectl annotate performer labelled note=text
	assert_stored labelled '.metadata | [.labels.team, .annotations.note]' '["blue","text"]'
	kubectl label performer labelled team-
	assert_stored labelled '.metadata | has("labels")' false
}

# ---- what may not change ----

@test "the address of the AVS can never change" {
	create_performer fixed
	run --separate-stderr kubectl patch performer fixed --type=merge -p '{"spec":{"avsAddress":"0x2"}}'
	assert_refused <<-'EOF'
		The Performer "fixed" is invalid: spec.avsAddress: Forbidden: the field is immutable; delete the object and create it anew to change it
	EOF
	assert_stored fixed .spec.avsAddress '"0x1"'
}

@test "an update cannot change or remove who initiated it and its correlation id" {
	create_performer guarded
	local before filter='.metadata.annotations | [.["callboard.dev/initiated-by"], .["callboard.dev/correlation-id"]]'
	before=$(stored guarded "$filter")
	kubectl annotate performer guarded --overwrite callboard.dev/initiated-by=mallory callboard.dev/correlation-id=none
	assert_stored guarded "$filter" "$before"
	kubectl annotate performer guarded callboard.dev/initiated-by- callboard.dev/correlation-id-
	assert_stored guarded "$filter" "$before"
	kubectl patch performer guarded --type=merge -p '{"metadata":{"annotations":null}}'
	assert_stored guarded "$filter" "$before"
	kubectl get performer guarded -o json | jq 'del(.metadata.annotations)' | kubectl replace -f -
	assert_stored guarded "$filter" "$before"
}

@test "an update by another user does not change who initiated it" {
	create_performer owned
	allow_user carol
	as_user carol kubectl patch performer owned --type=merge -p '{"spec":{"version":"v2"}}'
	assert_stored owned '.metadata.annotations["callboard.dev/initiated-by"]' '"callboard-admin"'
}

# ---- status ----

@test "status given on create is ignored" {
	create_performer born '.status = {phase: "Running", ready: true}'
	assert_stored born 'has("status")' false
}

@test "status is written through its subresource and leaves the spec alone" {
	create_performer status
	local before
	before=$(stored status '[.spec, .metadata.generation]')
	kubectl patch performer status --subresource=status --type=merge \
		-p '{"status":{"phase":"Running","stage":"Running","ready":true,"podName":"performer-status-1","observedGeneration":1},
			"spec":{"image":"other","config":{"grpcPort":0}}}'
	assert_stored status '[.spec, .metadata.generation]' "$before"
	assert_stored status .status \
		'{"observedGeneration":1,"phase":"Running","podName":"performer-status-1","ready":true,"stage":"Running"}'
}

@test "status is not changed by an update of the object" {
	create_performer apart
	kubectl patch performer apart --subresource=status --type=merge -p '{"status":{"phase":"Running"}}'
	kubectl patch performer apart --type=merge -p '{"status":{"phase":"Failed"},"spec":{"version":"v2"}}'
	assert_stored apart '[.status.phase, .spec.version]' '["Running","v2"]'
}

@test "a phase that does not exist is refused by the schema" {
	create_performer phase
	run --separate-stderr kubectl patch performer phase --subresource=status --type=merge -p '{"status":{"phase":"Runing"}}'
	assert_fails
	assert_contains "$stderr" 'status.phase: Unsupported value: "Runing": supported values: "Pending", "Running", "Upgrading", "Terminating", "Failed"'
	assert_stored phase 'has("status")' false
}

@test "conditions are kept one per type" {
	local condition='{"type":"Ready","status":"True","reason":"Ready","message":"","lastTransitionTime":"2026-01-31T12:00:00Z"}'
	create_performer conditions
	kubectl patch performer conditions --subresource=status --type=merge -p "{\"status\":{\"conditions\":[$condition]}}"
	assert_stored conditions '[.status.conditions[].type]' '["Ready"]'
	run --separate-stderr kubectl patch performer conditions --subresource=status --type=merge \
		-p "{\"status\":{\"conditions\":[$condition,$condition]}}"
	assert_fails
	assert_contains "$stderr" 'status.conditions[1]: Duplicate value'
	kubectl wait performer conditions --for=condition=Ready --timeout=60s
}

# ---- deletion ----

@test "deletion waits until the finalizer is removed" {
	create_performer deleted
	kubectl delete performer deleted --wait=false
	assert_stored deleted '[.metadata.deletionTimestamp != null, .metadata.finalizers]' \
		'[true,["hourglass.eigenlayer.io/performer-finalizer"]]'
	kubectl patch performer deleted --type=merge -p '{"metadata":{"finalizers":null}}'
	run --separate-stderr kubectl get performer deleted
	assert_fails
	assert_contains "$stderr" NotFound
}

@test "the finalizer that was removed is not added again by an update" {
	create_performer free
	kubectl patch performer free --type=merge -p '{"metadata":{"finalizers":null}}'
	kubectl patch performer free --type=merge -p '{"spec":{"version":"v2"}}'
	assert_stored free '.metadata | has("finalizers")' false
	kubectl delete performer free --timeout=60s
}

@test "all Performers of a namespace can be deleted at once" {
	create_performer many-1 '.metadata.labels.many = "yes"'
	create_performer many-2 '.metadata.labels.many = "yes"'
	kubectl delete performers -l many=yes --wait=false
	kubectl patch performer/many-1 performer/many-2 --type=merge -p '{"metadata":{"finalizers":null}}'
	assert_equal "" "$(kubectl get performers -l many=yes -o name)"
}
