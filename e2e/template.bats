#!/usr/bin/env bats
# A step's template is made into a Job when nobody looks any more, so what the apiserver would refuse then is
# refused when the flow is applied. The same templates are given to both, as Jobs and in flows.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file template
}

teardown_file() {
	end_file
}

# cases: one line of JSON for each row of the table.
cases() {
	awk -F '\t' '
		BEGIN {print "def p: .spec.template.spec; def c: p.containers[0];"}
		/^(good|bad|stricter)\t/ {
			printf "%s({verdict: \"%s\", name: \"%s\"} + {job: ($base | %s)})\n", n++ ? ", " : "", $1, $2, $3
		}' "$BATS_TEST_DIRNAME/testdata/templates" >"$BATS_TEST_TMPDIR/cases.jq"
	jq -nc --argjson base "$(flow x | jq '.spec.steps[0].template')" -f "$BATS_TEST_TMPDIR/cases.jq"
}

# ask PATH: for each line of JSON on stdin the code of a POST of it that stores nothing.
ask() {
	local dir=$BATS_TEST_TMPDIR/ask index=0 body
	mkdir -p "$dir"
	while IFS= read -r body; do
		printf '%s' "$body" >"$dir/$index"
		printf 'url = "%s%s?dryRun=All"\ndata-binary = "@%s/%s"\noutput = "%s/answer"\nnext\n' \
			"$(<"$BATS_FILE_TMPDIR/server")" "$1" "$dir" "$index" "$dir"
		index=$((index + 1))
	done >"$dir/config"
	sed -i -e '$d' -e 's|^url = |cacert = "'"$BATS_FILE_TMPDIR"'/ca.crt"\ncert = "'"$BATS_FILE_TMPDIR"'/client.crt"\nkey = "'"$BATS_FILE_TMPDIR"'/client.key"\nheader = "Content-Type: application/json"\nwrite-out = "%{http_code}\\n"\nsilent\nnoproxy = "*"\n&|' \
		"$dir/config"
	curl -K "$dir/config"
}

@test "a template is refused where the apiserver would refuse its Job, and nowhere else but where said" {
	cases >"$BATS_TEST_TMPDIR/cases"
	jq -c '{apiVersion: "batch/v1", kind: "Job"} + .job | .metadata += {name: "x"}' "$BATS_TEST_TMPDIR/cases" |
		ask "/apis/batch/v1/namespaces/$NS/jobs" >"$BATS_TEST_TMPDIR/jobs"
	jq -c --argjson flow "$(flow x)" '.job as $job | $flow | .spec.steps[0].template = $job' "$BATS_TEST_TMPDIR/cases" |
		ask "/apis/$flow_group/namespaces/$NS/jobflows" >"$BATS_TEST_TMPDIR/flows"
	jq -r '"\(.verdict)\t\(.name)"' "$BATS_TEST_TMPDIR/cases" >"$BATS_TEST_TMPDIR/expected"
	paste "$BATS_TEST_TMPDIR/jobs" "$BATS_TEST_TMPDIR/flows" <(cut -f 2 "$BATS_TEST_TMPDIR/expected") | awk -F '\t' '
		function accepts(code) {return code == 201}
		{
			verdict = accepts($1) ? (accepts($2) ? "good" : "stricter") : (accepts($2) ? "unseen" : "bad")
			# A template of which nothing can be read is refused in another way than a field that is wrong.
			if (!accepts($2) && $2 != 422) verdict = "answered " $2
			print verdict "\t" $3
		}' >"$BATS_TEST_TMPDIR/found"
	assert_equal "$(<"$BATS_TEST_TMPDIR/expected")" "$(<"$BATS_TEST_TMPDIR/found")"
	(($(wc -l <"$BATS_TEST_TMPDIR/found") > 180)) || fail "only $(wc -l <"$BATS_TEST_TMPDIR/found") templates"
	note "$(wc -l <"$BATS_TEST_TMPDIR/found") templates"
}
