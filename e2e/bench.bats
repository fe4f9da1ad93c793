#!/usr/bin/env bats
# The benchmark of the webhook, with so few requests that its figures mean nothing: that it works, and
# that callboard-webhook and its peer in Go make the same objects and refuse the same ones.

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
