#!/usr/bin/env bats
# `callboard-webhook lint` says of a file what the apiserver says of it.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file lint
}

teardown_file() {
	end_file
}

lint() {
	"$root/build/callboard-webhook" lint "$@"
}

# try_out FILE [FLAG...]: kubectl's dry run. One stores nothing, so flows that are made from templates of the
# same file would not find these: then the templates are there already, and the file is applied.
try_out() {
	local verb=create
	if grep -q templateRef "$1"; then
		kubectl create --dry-run=client -o json -f "$1" | jq 'select(.kind == "JobFlowTemplate")' |
			kubectl apply -f - >/dev/null 2>&1
		verb=apply
	fi
	kubectl "$verb" --dry-run=server "${@:2}" -f "$1"
}

# said_by_kubectl FILE: one finding a line, "FIELD: MESSAGE" or "warning: FIELD: MESSAGE". kubectl has
# another form for each of several objects that are refused. That a field is unknown the apiserver says
# in words of its own, before it asks anybody else.
said_by_kubectl() {
	try_out "$1" 2>&1 >/dev/null | sed -nE '
		s/^Error from server \(Invalid\): .* (Performer|JobFlow)\.[^ ]* "[^"]*" is invalid: //p
		/strict decoding error/ {
			s/.*strict decoding error: //; s/unknown field "([^"]*)"(, )?/\1: unknown\n/g; s/\n$//; p; d
		}
		s/^Warning: /warning: /p
		s/^The (Performer|JobFlow) "[^"]*" is invalid: (.)/\2/p
		s/^\* //p'
}

# said_by_lint FILE: the same.
said_by_lint() {
	lint "$1" 2>/dev/null | sed -E '
		s,^[^:]*:[0-9]+: (Performer|JobFlow) [^ ]*: ,,
		s/: Invalid value: there is no such field.*/: unknown/'
}

@test "what lint finds in good and bad files is what kubectl shows" {
	local file count=0 bad=""
	for file in "$BATS_TEST_DIRNAME"/testdata/{good,bad}/* "$BATS_TEST_DIRNAME"/testdata/*.yaml \
		"$root"/manifests/examples/{,refused/}*.yaml; do
		count=$((count + 1))
		diff -u --label lint --label kubectl <(said_by_lint "$file" | sort) <(said_by_kubectl "$file" | sort) >"$BATS_TEST_TMPDIR/diff" ||
			bad+="${file##*/}"$'\n'"$(<"$BATS_TEST_TMPDIR/diff")"$'\n'
	done
	((count > 30)) || fail "only $count files"
	[[ -z $bad ]] || fail "$bad"
}

# verdicts FILE: the exit status of lint, and whether kubectl accepts.
verdicts() {
	local lint=0 kubectl=refuses
	lint "$1" >/dev/null 2>&1 || lint=$?
	! try_out "$1" >/dev/null 2>&1 || kubectl=accepts
	echo "${1##*/}: $lint $kubectl"
}

@test "the verdict of lint is that of kubectl" {
	local file
	for file in "$BATS_TEST_DIRNAME"/testdata/good/* "$BATS_TEST_DIRNAME"/testdata/*.yaml "$root"/manifests/examples/*.yaml; do
		assert_equal "${file##*/}: 0 accepts" "$(verdicts "$file")"
	done
	for file in "$BATS_TEST_DIRNAME"/testdata/bad/* "$root"/manifests/examples/refused/*; do
		assert_equal "${file##*/}: 1 refuses" "$(verdicts "$file")"
	done
	for file in "$BATS_TEST_DIRNAME"/testdata/unreadable/*; do
		assert_equal "${file##*/}: 2 refuses" "$(verdicts "$file")"
	done
}

@test "lint finds a key that stands twice, of which kubectl silently takes the last" {
	printf '%s\n' "apiVersion: $group" "kind: Performer" "metadata: {name: twice}" \
		"spec: {avsAddress: '0x1', image: 'app:v1', image: 'app:v2'}" >"$BATS_TEST_TMPDIR/twice.yaml"
	assert_equal "twice.yaml: 2 accepts" "$(verdicts "$BATS_TEST_TMPDIR/twice.yaml")"
}

@test "lint --mutate prints the spec as it would be stored" {
	local file bad=
	for file in "$BATS_TEST_DIRNAME"/testdata/good/* "$BATS_TEST_DIRNAME"/testdata/*.yaml "$root"/manifests/examples/*.yaml; do
		diff -u --label lint --label kubectl \
			<(lint --mutate -o json "$file" 2>/dev/null |
				jq -S '.spec | walk(if type == "object" then with_entries(select(.value != null)) else . end)') \
			<(try_out "$file" -o json 2>/dev/null |
				jq -S 'if .kind == "List" then .items[] else . end | select(.kind | IN("Performer", "JobFlow", "JobFlowTemplate")) | .spec') \
			>"$BATS_TEST_TMPDIR/diff" ||
			bad+="${file##*/}"$'\n'"$(<"$BATS_TEST_TMPDIR/diff")"$'\n'
	done
	[[ -z $bad ]] || fail "$bad"
}

@test "a finding names the file, the line and the object" {
	run --separate-stderr lint "$BATS_TEST_DIRNAME/testdata/bad/one-of-several.yaml"
	assert_equal 1 "$status"
	assert_equal "$BATS_TEST_DIRNAME/testdata/bad/one-of-several.yaml:9: Performer default/second: spec.image: Invalid value: \"No Image\": must be an image reference such as registry.example/team/app:v1 (the repository in lower case, no blanks)" \
		"$(head -n 1 <<<"$output")"
	assert_equal "1 valid, 2 invalid, 0 of other kinds passed over" "$stderr"
}

@test "what cannot be read is named with its line, too" {
	run --separate-stderr lint "$BATS_TEST_DIRNAME/testdata/unreadable/unclosed.yaml" missing.yaml
	assert_equal 2 "$status"
	assert_equal "$BATS_TEST_DIRNAME/testdata/unreadable/unclosed.yaml:4: line 4, column 5: expected \",\" or \"}\"" "$(head -n 1 <<<"$output")"
	assert_equal "missing.yaml:0: missing.yaml: No such file or directory" "$(tail -n 1 <<<"$output")"
	assert_equal "0 valid, 0 invalid, 0 of other kinds passed over, 2 unreadable" "$stderr"
}

@test "a name with control characters does not reach the terminal" {
	run --separate-stderr lint - < <(printf '%s\n' "apiVersion: $group" "kind: Performer" 'metadata: {name: "a\e[31m\nb"}' \
		"spec: {avsAddress: '0x1', image: 'app:v1'}")
	assert_equal 1 "$status"
	assert_contains "$output" 'Performer default/a?[31m?b: metadata.name: Invalid value: "a?[31m?b"'
}

@test "lint reads standard input and many files at once" {
	run --separate-stderr lint - "$BATS_TEST_DIRNAME"/testdata/good/* < <(performer piped)
	assert_ok
	assert_equal "14 valid, 0 invalid, 1 of other kinds passed over" "$stderr"
}

@test "the findings of lint as JSON are those of its text" {
	local folder=$BATS_TEST_DIRNAME/testdata text
	text=$(lint "$folder"/*/* 2>/dev/null | wc -l)
	run --separate-stderr lint -o json "$folder"/*/*
	assert_equal "2 $text" "$status $(jq '.findings | length' <<<"$output")"
	assert_equal 4 "$(jq .unreadable <<<"$output")"
}

@test "a flow of ten mistakes has ten findings, each with its line" {
	run --separate-stderr lint "$root/manifests/examples/refused/jobflow.yaml"
	assert_equal 1 "$status"
	assert_equal "0 valid, 1 invalid, 0 of other kinds passed over" "$stderr"
	assert_equal "8 10 14 17 21 23 24 32 34 37" "$(cut -d: -f 2 <<<"$output" | sort -n | xargs)"
	run --separate-stderr lint -o json "$root/manifests/examples/refused/jobflow.yaml"
	assert_equal '[10,["JobFlow"],["default"],["refused"],["error"],[14,"spec.steps[0].template.spec.ttlSecondsAfterFinished","FieldValueForbidden"]]' \
		"$(jq -c '[.findings | length, (map(.kind) | unique), (map(.namespace) | unique), (map(.name) | unique),
			(map(.severity) | unique), (.[] | select(.line == 14) | [.line, .field, .reason])]' <<<"$output")"
}

@test "a flow may have more steps offline than on the cluster" {
	flow long '.spec.steps = [range(2001) | {name: "step-\(.)", type: "Manual"}]' >"$BATS_TEST_TMPDIR/long.json"
	run --separate-stderr lint "$BATS_TEST_TMPDIR/long.json"
	assert_equal 1 "$status"
	assert_contains "$output" "spec.steps: Too many: 2001: a flow may have at most 2000 steps"
	run --separate-stderr lint --max-steps 2001 "$BATS_TEST_TMPDIR/long.json"
	assert_ok
	run --separate-stderr lint --max-steps 0 "$BATS_TEST_TMPDIR/long.json"
	assert_equal 2 "$status"
	assert_contains "$stderr" "--max-steps"
}

@test "lint warns of an object that is too large for client-side apply" {
	flow large '.spec.steps = [range(2000) | {name: "step-\(.)", template: job}]' |
		kubectl create --dry-run=client -o yaml --validate=false -f - >"$BATS_TEST_TMPDIR/large.yaml"
	run --separate-stderr lint "$BATS_TEST_TMPDIR/large.yaml"
	assert_ok
	assert_contains "$output" "warning: the object has more than 256 KiB: apply it with \`kubectl apply --server-side\`"
}

@test "what lint --mutate prints is accepted unchanged" {
	performer through '.spec.hardwareRequirements.gpuType = "nvidia-a100"' |
		lint --mutate - >"$BATS_TEST_TMPDIR/mutated.yaml"
	kubectl apply -f "$BATS_TEST_TMPDIR/mutated.yaml"
	run kubectl diff -f "$BATS_TEST_TMPDIR/mutated.yaml"
	assert_ok
	assert_stored through .spec.hardwareRequirements.gpuCount 1
}
