#!/usr/bin/env bats
# What an administrator sees of the webhook's work: audit log, metrics, log lines; and what nobody sees.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file observe
	WEBHOOK_FLAGS="--log-level debug" webhook restart
}

teardown_file() {
	webhook restart
	end_file
}

# ---- Audit log ----

need_audit_log() {
	[[ ${CLUSTER:-} != existing ]] || skip "the audit log of an existing cluster is not at hand"
}

# audited VERB NAME: the annotations that the webhook added to the last such request.
audited() {
	jq -c --arg ns "$NS" --arg verb "$1" --arg name "$2" '
		select(.objectRef.namespace == $ns and .verb == $verb and .objectRef.name == $name)
		| .annotations // {} | with_entries(select(.key | startswith("performers.callboard.dev/")))' \
		"$CLUSTER_DIR/logs/audit.log" | tail -n 1
}

@test "the audit log says that a Performer was allowed, and under which id" {
	need_audit_log
	create_performer audited
	assert_equal "$(stored audited '{
			"performers.callboard.dev/correlation-id": .metadata.annotations["callboard.dev/correlation-id"],
			"performers.callboard.dev/mutation": "allowed, 2 changes",
			"performers.callboard.dev/validation": "allowed"}')" \
		"$(audited create audited | jq -cS .)"
}

@test "the audit log says that an update was allowed" {
	need_audit_log
	create_performer updated
	kubectl patch performer updated --type=merge -p '{"spec":{"version":"v2"}}'
	assert_equal '{"performers.callboard.dev/mutation":"allowed, 0 changes","performers.callboard.dev/validation":"allowed"}' \
		"$(audited patch updated)"
}

@test "the audit log says which fields a Performer was denied for" {
	need_audit_log
	run kubectl create -f - < <(performer denied '.spec.image = "No Image" | .spec.config.grpcPort = 0')
	assert_fails
	assert_equal '{"performers.callboard.dev/mutation":"denied, 2 errors: spec.image spec.config.grpcPort"}' \
		"$(audited create denied)"
}

# ---- Metrics ----

# counts PHASE OPERATION DECISION
counts() {
	metric callboard_webhook_reviews_total "phase=$1" kind=Performer "operation=$2" "decision=$3"
}

@test "every review is counted by phase, operation and decision" {
	local before
	all_counts() {
		echo "$(counts mutate CREATE allowed) $(counts validate CREATE allowed) $(counts mutate CREATE denied)" \
			"$(counts mutate UPDATE allowed) $(counts validate UPDATE allowed) $(counts mutate UPDATE denied)"
	}
	read -ra before <<<"$(all_counts)"
	create_performer counted
	run kubectl create -f - < <(performer counted-not '.spec.image = "No Image"')
	kubectl patch performer counted --type=merge -p '{"spec":{"version":"v2"}}'
	kubectl patch performer counted --type=merge -p '{"spec":{"version":"v3"}}'
	run kubectl patch performer counted --type=merge -p '{"spec":{"avsAddress":"0x2"}}'
	assert_equal "$((before[0] + 1)) $((before[1] + 1)) $((before[2] + 1)) $((before[3] + 2)) $((before[4] + 2)) $((before[5] + 1))" \
		"$(all_counts)"
}

@test "causes of denials and warnings are counted" {
	local causes warnings
	causes=$(metric callboard_webhook_denial_causes_total kind=Performer reason=FieldValueInvalid)
	warnings=$(metric callboard_webhook_warnings_total kind=Performer)
	try bad '.spec.image = "No Image" | .spec.config.grpcPort = 0'
	assert_fails
	try good '.spec.image = "app"'
	assert_ok
	assert_equal "$((causes + 2))" "$(metric callboard_webhook_denial_causes_total kind=Performer reason=FieldValueInvalid)"
	# Once by each phase.
	assert_equal "$((warnings + 2))" "$(metric callboard_webhook_warnings_total kind=Performer)"
}

# answered CODE: how many requests to change an object have been answered so. They are counted when the answer has
# been sent, and who gets it may ask before.
answered() {
	metric callboard_webhook_http_requests_total path=/mutate "code=$1"
}

@test "requests and their time are counted" {
	local requests reviews
	requests=$(answered 200)
	reviews=$(metric callboard_webhook_review_duration_seconds_count phase=mutate)
	try good
	assert_equal "$((reviews + 1))" "$(metric callboard_webhook_review_duration_seconds_count phase=mutate)"
	eventually 30 eval '(($(answered 200) > requests))'
	assert_equal "$((requests + 1))" "$(answered 200)"
	assert_equal 0 "$(metric callboard_webhook_connections_cut_total)"
}

@test "a request that is no review is counted by its status" {
	local before port
	port=$(head -n 1 "$webhook_dir/ports")
	before=$(answered 400)
	assert_equal 400 "$(curl -sk --max-time 30 --noproxy '*' -o /dev/null -w '%{http_code}' -d '{}' "https://127.0.0.1:$port/mutate")"
	eventually 30 eval '(($(answered 400) > before))'
	assert_equal "$((before + 1))" "$(answered 400)"
}

@test "metrics tell the build, the process and the certificate" {
	local resident real
	assert_contains "$(metrics)" 'callboard_build_info{version="'
	resident=$(($(metric process_resident_memory_bytes) / 1024))
	real=$(awk '/^VmRSS/ {print $2}' "/proc/$(webhook_pid)/status")
	((resident > real / 2 && resident < real * 2)) || fail "resident: $resident kB, but $real kB in /proc"
	(($(metric callboard_webhook_certificate_expiry_timestamp_seconds) > $(date +%s))) || fail "no expiry"
	(($(metric callboard_webhook_connections) > 0)) || fail "no connection"
}

@test "health and readiness are served, and nothing else is" {
	local base path
	base=http://127.0.0.1:$(health_port)
	for path in healthz:200 readyz:200 metrics:200 mutate:404 :404; do
		assert_equal "$path" "${path%:*}:$(curl -s --max-time 30 --noproxy '*' -o /dev/null -w '%{http_code}' "$base/${path%:*}")"
	done
}

# ---- Log ----

@test "a denial is logged with who, what and where, under the id of the audit log" {
	allow_user dave
	run as_user dave kubectl create -f - < <(performer logged '.spec.image = "No Image"')
	assert_fails
	assert_contains "$(grep -h "name=logged " "$webhook_dir"/logs/webhook-*.log)" \
		"phase=mutate kind=Performer namespace=$NS name=logged operation=CREATE user=dave dryRun=false errors=1 firstField=spec.image"
}

# ---- Secrets ----

@test "values of environment, arguments and command are nowhere to be seen" {
	local mark said file filter name n=0
	mark=marked-$(openssl rand -hex 8)
	said=$BATS_TEST_TMPDIR/said
	# Good ones are stored and changed; each bad one is refused for another reason near the value.
	create_performer secret ".spec.config = {environment: {TOKEN: \"$mark\"}, args: [\"--token=$mark\"], command: [\"$mark\"]}"
	kubectl patch performer secret --type=merge -p "{\"spec\":{\"config\":{\"environment\":{\"MORE\":\"$mark\"}}}}" >>"$said" 2>&1
	while read -r filter; do
		n=$((n + 1))
		name=secret-$n
		performer "$name" "${filter//MARK/$mark}" >"$BATS_TEST_TMPDIR/$name.json"
		! kubectl create -f "$BATS_TEST_TMPDIR/$name.json" >>"$said" 2>&1 || fail "accepted: $filter"
		! "$root/build/callboard-webhook" lint "$BATS_TEST_TMPDIR/$name.json" >>"$said" 2>&1 || fail "lint accepted: $filter"
	done <<-'EOF'
		.spec.config.environment = {"A=B": "MARK"}
		.spec.config.environment = "MARK"
		.spec.config.environment = ["MARK"]
		.spec.config.environment = {A: {B: "MARK"}}
		.spec.config.environment = {A: ["MARK"]}
		.spec.config.environment = {A: ("MARK" * 20000)}
		.spec.config.environment = {A: "MARK\u0000"}
		.spec.config.args = "MARK"
		.spec.config.args = {A: "MARK"}
		.spec.config.args = [["MARK"]]
		.spec.config.command = "MARK"
		.spec.config = {environment: {A: "MARK"}, environmentFrom: [{name: "A", valueFrom: {secretKeyRef: {name: "s", key: "k"}}}]}
		.spec.config = {environment: {A: "MARK"}, args: ["MARK"], command: ["MARK"], grpcPort: 0}
	EOF
	run kubectl patch performer secret --type=json -p '[{"op":"add","path":"/spec/config/environment/X","value":7}]'
	echo "$output" >>"$said"
	metrics >"$BATS_TEST_TMPDIR/metrics"
	for file in "$said" "$BATS_TEST_TMPDIR/metrics" "$webhook_dir"/logs/*.log "$CLUSTER_DIR/logs/audit.log"; do
		[[ -e $file ]] || continue
		! grep -q "$mark" "$file" || fail "found in $file: $(grep -m 1 "$mark" "$file" | cut -c1-500)"
	done
	grep -q "name=secret-1 " "$webhook_dir"/logs/webhook-*.log || fail "the denials were not logged at all"
}
