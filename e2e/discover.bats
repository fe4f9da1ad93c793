#!/usr/bin/env bats
# What kubectl tells about the kind before anybody has read a page of documentation.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file discover
	# What kubectl explains is published some time after the definition.
	eventually 60 kubectl get --raw "/openapi/v3/apis/$group"
	create_performer shown '.spec.version = "v1"'
	kubectl patch performer shown --subresource=status --type=merge -p '{"status":{"phase":"Running","stage":"Running",
		"ready":true,"podName":"performer-shown-1","nodeName":"fake-0","grpcEndpoint":"performer-shown.svc:9090"}}'
}

teardown_file() {
	end_file
}

# cells: the table on stdin with one blank between the cells.
cells() {
	sed -E 's/ +/ /g; s/ $//'
}

@test "kubectl get shows what matters" {
	run kubectl get performers shown
	assert_ok
	assert_equal "NAME AVS IMAGE VERSION PHASE ENDPOINT AGE" "$(head -n 1 <<<"$output" | cells)"
	[[ $(tail -n 1 <<<"$output" | cells) =~ ^"shown 0x1 registry.example/app:v1 v1 Running performer-shown.svc:9090 "[0-9ms]+$ ]] ||
		fail "unexpected row"
}

@test "kubectl get -o wide shows the exact stage, the pod and the node too" {
	run kubectl get performers shown -o wide
	assert_ok
	assert_equal "NAME AVS IMAGE VERSION PHASE ENDPOINT AGE STAGE READY POD NODE" "$(head -n 1 <<<"$output" | cells)"
	[[ $(tail -n 1 <<<"$output" | cells) == *" Running true performer-shown-1 fake-0" ]] || fail "unexpected row"
}

@test "the short name perf and the category callboard find Performers" {
	assert_equal performer.hourglass.eigenlayer.io/shown "$(kubectl get perf -o name)"
	assert_equal performer.hourglass.eigenlayer.io/shown "$(kubectl get callboard -o name)"
	assert_equal performer.hourglass.eigenlayer.io/shown "$(kubectl get performer -o name)"
}

@test "kubectl api-resources lists the kind" {
	run kubectl api-resources --api-group=hourglass.eigenlayer.io --no-headers
	assert_ok
	assert_equal "performers perf hourglass.eigenlayer.io/v1alpha1 true Performer" "$(cells <<<"$output")"
}

# The paths of all fields of the kind that the apiserver publishes and that are the kind's own, with the
# text of each.
published_fields() {
	kubectl get --raw "/openapi/v3/apis/$group" | jq -r '
		def walk($path):
			(if ($path | length) > 0 then {path: ($path | join(".")), text: .description} else empty end),
			(.properties // {} | to_entries[] | .key as $k | .value
				| select($path != [] or ($k | IN("spec", "status"))) | walk($path + [$k])),
			(.items // empty | .properties // {} | to_entries[] | .key as $k | .value | walk($path + [$k]));
		.components.schemas["io.eigenlayer.hourglass.v1alpha1.Performer"] | walk([]) | [.path, .text // ""] | @tsv'
}

@test "every field has a text" {
	local fields
	fields=$(published_fields)
	(($(wc -l <<<"$fields") > 150)) || fail "only $(wc -l <<<"$fields") fields were found"
	assert_equal "" "$(awk -F '\t' 'length($2) < 10' <<<"$fields")"
}

@test "kubectl explain shows the text of every field" {
	local path text shown bad=
	while IFS=$'\t' read -r path text; do
		# Affinity repeats itself, and its texts were looked at above.
		[[ $path != *.affinity.* ]] || continue
		shown=$(kubectl explain "performer.$path" | sed -n '/^DESCRIPTION:/,/^FIELDS:/p' | xargs -d '\n' echo | tr -s ' ')
		[[ $shown == *"${text:0:40}"* ]] || bad+="$path: $shown"$'\n'
	done < <(published_fields)
	assert_equal "" "$bad"
}

@test "kubectl explain --recursive lists every field" {
	local tree path bad=
	tree=$(kubectl explain performer --recursive)
	while IFS=$'\t' read -r path _; do
		grep -qE "^ +${path##*.}(\s|$)" <<<"$tree" || bad+="$path"$'\n'
	done < <(published_fields)
	assert_equal "" "$bad"
}

@test "kubectl explain tells the choices, the defaults and what is required" {
	run kubectl explain performer.spec.upgradeStrategy
	assert_contains "$output" BlueGreen
	run kubectl explain performer.spec
	assert_contains "$output" "avsAddress	<string> -required-"
	run kubectl explain performer
	assert_contains "$output" "A Performer is a long-running gRPC service"
}

@test "the definition is small enough for client-side apply" {
	local size
	size=$(kubectl create --dry-run=client -o json -f "$root/manifests/crds/performers.hourglass.eigenlayer.io.yaml" | wc -c)
	((size < 200 * 1024)) || fail "the definition has $size bytes"
	note "the definition of Performer has $size bytes as JSON"
}

@test "the definition is structural and kept as it is" {
	run kubectl get crd performers.hourglass.eigenlayer.io -o json
	assert_ok
	assert_equal '[["Established","True"],["NamesAccepted","True"]]' \
		"$(jq -c '[.status.conditions[] | [.type, .status]] | sort' <<<"$output")"
}
