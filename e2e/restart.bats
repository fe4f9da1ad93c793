#!/usr/bin/env bats
# The webhook is replaced while clients write as fast as they can: not one request may fail.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file restart
}

teardown_file() {
	webhook up
	end_file
}

teardown() {
	[[ -z ${load_pid:-} ]] || kill "$load_pid" 2>/dev/null || true
	[[ -z ${balancer_pid:-} ]] || kill "$balancer_pid" 2>/dev/null || true
}

reviews() {
	metric callboard_webhook_reviews_total
}

has_served() {
	(($(reviews) > 100))
}

# replace_under_load TIMES: a process that has served is replaced by the next one, again and again.
replace_under_load() {
	local i
	load_begin -clients 6 -least 300
	for ((i = 0; i < $1; i++)); do
		eventually 120 has_served
		webhook restart
	done
	eventually 120 has_served
	load_end
	assert_no_failure 300
}

@test "no request fails while the webhook is replaced three times at a new address" {
	replace_under_load 3
}

@test "no request fails while the webhook is replaced three times behind one address" {
	# A Service sends new connections to the old process for a while, and those that are open stay.
	"$root/build/e2e/bin/balancer" -backend "$webhook_dir/ports" -lag 1s >"$BATS_TEST_TMPDIR/address" 3>&- 4>&- &
	balancer_pid=$!
	eventually 60 test -s "$BATS_TEST_TMPDIR/address"
	WEBHOOK_ADDRESS=$(<"$BATS_TEST_TMPDIR/address")
	export WEBHOOK_ADDRESS
	webhook up
	replace_under_load 3
	# Back to the process itself before the balancer goes.
	unset WEBHOOK_ADDRESS
	webhook up
}

@test "a process that is replaced ends in order and says so" {
	local name log
	for name in webhook-a webhook-b; do
		log=$webhook_dir/logs/$name.log
		[[ -e $log ]] || continue
		assert_lacks "$(grep -E 'requests were cut|ERROR' "$log" || true)" "cut"
	done
	assert_contains "$(cat "$webhook_dir"/logs/webhook-*.log)" "ended"
}
