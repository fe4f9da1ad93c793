#!/usr/bin/env bats
# Benchmarks with so few requests that their figures mean nothing: that they work, and that callboard-webhook and its
# peer in Go make the same objects and refuse the same ones.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

@test "the benchmark measures two webhooks that answer alike" {
	make -C "$root" --no-print-directory bench-webhook REQUESTS=200 ROUNDS=1 >"$BATS_TEST_TMPDIR/figures" \
		2>"$BATS_TEST_TMPDIR/progress" || fail "$(cat "$BATS_TEST_TMPDIR"/{figures,progress})"
	assert_equal "$(awk 'NF != 3 || $2 !~ /^[0-9.e+-]+$/' "$BATS_TEST_TMPDIR/figures")" ""
	local name
	for name in {flow,flow-1000,performer}_{mutate,validate}_p50_{callboard,peer} soak_rss_after_200; do
		jq -e --arg name "$name" '.figures[] | select(.name == $name) | .value > 0' \
			"$root/build/bench/webhook.json" || fail "no figure $name"
	done
}

@test "the benchmark of the extender has all that the extender reads, and gets answers" {
	make -C "$root" --no-print-directory bench-extender QUESTIONS=5 SIZES=100/200 >"$BATS_TEST_TMPDIR/figures" \
		2>"$BATS_TEST_TMPDIR/progress" || fail "$(cat "$BATS_TEST_TMPDIR"/{figures,progress})"
	local file name
	for file in extender extender-plain; do
		for name in ready filter_share_p99 pick_whole_p99 prioritize_cpu_p99 loaded_anon; do
			jq -e --arg name "$name" '.[] | select(.name | endswith($name)) | .value > 0' \
				"$root/build/bench/$file.json" || fail "no figure $name in $file.json"
		done
	done
}
