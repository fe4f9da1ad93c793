# shellcheck shell=bash
# What every file of tests shares: a namespace of its own, Performers to apply, and assertions that say
# what was wrong. A file begins with
#
#   source "$BATS_TEST_DIRNAME/lib.bash"
#   setup_file() { start_file NAME; }
#   teardown_file() { end_file; }
#
# Nothing waits for a time to pass: `eventually` asks until the answer is there.

bats_require_minimum_version 1.5.0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
webhook_dir=$CLUSTER_DIR/webhook
group=hourglass.eigenlayer.io/v1alpha1
flow_group=workflow.kube-zen.io/v1alpha1
stderr= # set by run --separate-stderr

# ---- The frame of a file ----

# start_file NAME: the namespace $NS, and a kubeconfig that makes it kubectl's own.
start_file() {
	NS=e2e-$1-$(openssl rand -hex 3)
	export NS
	cp "$KUBECONFIG" "$BATS_FILE_TMPDIR/kubeconfig"
	export KUBECONFIG=$BATS_FILE_TMPDIR/kubeconfig
	# Shared with nobody: what another cluster at the same address had is no use here.
	export KUBECACHEDIR=$BATS_RUN_TMPDIR/kube-cache
	kubectl config set-context --current --namespace="$NS"
	kubectl create namespace "$NS"
	write_credentials
	# Without it no pod can be made there, and it is made a moment after the namespace.
	eventually 90 kubectl get serviceaccount default
}

# For requests that kubectl cannot make.
write_credentials() {
	local config
	config=$(kubectl config view --raw --minify --flatten -o json)
	jq -r '.clusters[0].cluster.server' <<<"$config" >"$BATS_FILE_TMPDIR/server"
	jq -r '.clusters[0].cluster["certificate-authority-data"]' <<<"$config" | base64 -d >"$BATS_FILE_TMPDIR/ca.crt"
	jq -r '.users[0].user["client-certificate-data"]' <<<"$config" | base64 -d >"$BATS_FILE_TMPDIR/client.crt"
	jq -r '.users[0].user["client-key-data"]' <<<"$config" | base64 -d >"$BATS_FILE_TMPDIR/client.key"
}

# In most files no controller runs that would do what the finalizer is for. Where one does, a Performer may
# be gone before it is patched.
end_file() {
	local name
	kubectl delete namespace "$NS" --wait=false
	for name in $(kubectl get performers -o name); do
		kubectl patch "$name" --type=merge -p '{"metadata":{"finalizers":null}}' ||
			assert_equal "" "$(kubectl get "$name" --ignore-not-found -o name)"
	done
}

# ---- Objects ----

# performer NAME [FILTER]: a Performer that causes no warning, changed by the jq filter.
performer() {
	jq -n --arg name "$1" --arg version "$group" '{
			apiVersion: $version, kind: "Performer", metadata: {name: $name},
			spec: {avsAddress: "0x1", image: "registry.example/app:v1", resources: {limits: {memory: "1Gi"}}}
		} | '"${2:-.}"
}

# create_performer NAME [FILTER]
create_performer() {
	performer "$@" | kubectl create -f -
}

# try NAME FILTER: `run` of a create that stores nothing; sets status, output and stderr.
try() {
	performer "$@" >"$BATS_TEST_TMPDIR/try.json"
	run --separate-stderr kubectl create --dry-run=server -f "$BATS_TEST_TMPDIR/try.json"
}

# accepts NAME [FILTER]: whether the Performer would be stored.
accepts() {
	performer "$@" | kubectl create --dry-run=server -f -
}

# stored NAME FILTER: what the jq filter finds in the object as it is stored.
stored() {
	kubectl get performer "$1" -o json | jq -cS "$2"
}

# api METHOD PATH [CURL-ARGUMENT...]: a request to the apiserver; prints the answer's body.
api() {
	local dir=$BATS_FILE_TMPDIR method=$1 path=$2
	shift 2
	curl -sS --max-time 30 --noproxy '*' --cacert "$dir/ca.crt" --cert "$dir/client.crt" --key "$dir/client.key" \
		-X "$method" "$@" "$(<"$dir/server")$path"
}

performers_path() {
	echo "/apis/$group/namespaces/$NS/performers"
}

# allow_user NAME: makes a user who may write Performers in $NS. KUBECONFIG is a list with colons.
allow_user() {
	local name=${1//:/-}
	cp "$("$root/hack/cluster" user "$1")" "$BATS_FILE_TMPDIR/user-$name"
	KUBECONFIG=$BATS_FILE_TMPDIR/user-$name kubectl config set-context --current --namespace="$NS"
	kubectl create role performers --verb='*' --resource=performers.hourglass.eigenlayer.io \
		--dry-run=client -o yaml | kubectl apply -f -
	kubectl create rolebinding "performers-$name" --role=performers --user="$1"
	# What the authorizer knows follows a moment later.
	eventually 90 as_user "$1" kubectl auth can-i '*' performers.hourglass.eigenlayer.io
}

# as_user NAME COMMAND...: runs it as that user.
as_user() {
	local name=${1//:/-}
	shift
	KUBECONFIG=$BATS_FILE_TMPDIR/user-$name "$@"
}

# flow NAME [FILTER]: a JobFlow of one Job, changed by the jq filter, in which `job` is a step's template.
flow() {
	jq -n --arg name "$1" --arg version "$flow_group" '
		def job: {spec: {template: {spec: {restartPolicy: "Never", containers: [{name: "main", image: "app:v1"}]}}}};
		{
			apiVersion: $version, kind: "JobFlow", metadata: {name: $name},
			spec: {steps: [{name: "first", template: job}]}
		} | '"${2:-.}"
}

# create_flow NAME [FILTER]
create_flow() {
	flow "$@" | kubectl create -f -
}

# try_flow NAME FILTER: as `try`.
try_flow() {
	flow "$@" >"$BATS_TEST_TMPDIR/try.json"
	run --separate-stderr kubectl create --dry-run=server -f "$BATS_TEST_TMPDIR/try.json"
}

# stored_flow NAME FILTER: as `stored`.
stored_flow() {
	kubectl get jobflow "$1" -o json | jq -cS "$2"
}

# ---- Flows that run ----

# in_phase NAME PHASE
in_phase() {
	[[ $(kubectl get jobflow "$1" -o jsonpath='{.status.phase}') == "$2" ]]
}

# steps NAME: "name phase" of each.
steps() {
	kubectl get jobflow "$1" -o json | jq -r '[.status.steps[]? | "\(.name) \(.phase)"] | join(", ")'
}

# jobs_of NAME: how many Jobs the flow has.
jobs_of() {
	kubectl get jobs -l "workflow.kube-zen.io/flow=$1" -o name | wc -l
}

# job_of NAME STEP FILTER: what the jq filter finds in the Jobs of a step.
job_of() {
	kubectl get jobs -l "workflow.kube-zen.io/flow=$1,workflow.kube-zen.io/step=$2" -o json | jq -cS "$3"
}

has_job() {
	[[ $(job_of "$1" "$2" '.items | length') -gt 0 ]]
}

# ---- The webhook ----

# Bats waits for whoever holds its descriptors, and the process outlives the test.
webhook() {
	"$root/hack/webhook" "$@" 3>&- 4>&-
}

# The process that was started last.
webhook_pid() {
	local newest
	newest=$(cd "$webhook_dir/run" && printf '%s\n' webhook-*.pid | xargs ls -t | head -n 1)
	cut -d' ' -f1 "$webhook_dir/run/$newest"
}

# Its port of health and metrics.
health_port() {
	sed -n 2p "$webhook_dir/ports"
}

metrics() {
	curl -sSf --max-time 30 --noproxy '*' "http://127.0.0.1:$(health_port)/metrics"
}

# metric NAME [LABEL=VALUE...]: the sum of the samples that have these labels.
metric() {
	local name=$1
	shift
	metrics | awk -v name="$name" -v labels="$*" '
		BEGIN {count = split(labels, want, " ")}
		$0 !~ /^#/ {
			brace = index($0, "{")
			found = brace ? substr($0, 1, brace - 1) : $1
			if (found != name) next
			for (i = 1; i <= count; i++) {
				split(want[i], part, "=")
				if (index($0, part[1] "=\"" part[2] "\"") == 0) next
			}
			sum += $NF
		}
		END {printf "%.10g\n", sum}'
}

# load_begin [ARGUMENT...]: e2e/load in the background, until load_end: with -least, at least so many requests.
load_begin() {
	kubectl config view --raw --minify --flatten -o json >"$BATS_FILE_TMPDIR/kubeconfig.json"
	"$root/build/e2e/bin/load" -kubeconfig "$BATS_FILE_TMPDIR/kubeconfig.json" -namespace "$NS" -for 1h "$@" \
		>"$BATS_TEST_TMPDIR/load.json" 3>&- 4>&- &
	load_pid=$!
}

# load_end: sets load to the summary.
load_end() {
	kill -TERM "$load_pid"
	wait "$load_pid" || fail "e2e/load ended with status $?"
	load_pid=
	load=$(<"$BATS_TEST_TMPDIR/load.json")
	note "$(jq -r '"\(.requests) requests in \(.seconds | floor) s, \(.failures) failed; median \(.medianMs) ms, 99% \(.p99Ms) ms, slowest \(.maxMs) ms"' <<<"$load")"
}

# assert_no_failure LEAST: of the load that has ended, which must have made that many requests.
assert_no_failure() {
	assert_equal "0 failures []" "$(jq -r '"\(.failures) failures \(.firstFailures // [])"' <<<"$load")"
	jq -e --argjson least "$1" '.requests >= $least' <<<"$load" >/dev/null || fail "too few requests: $load"
}

# put FROM TO: a file in place of what was there, at one stroke.
put() {
	cp "$1" "$2.new"
	mv "$2.new" "$2"
}

# ---- The extender ----

# As `webhook`.
extender() {
	"$root/hack/extender" "$@" 3>&- 4>&-
}

# health PATH: from the replica that is active.
health() {
	curl -sf --noproxy '*' "http://127.0.0.1:$(extender health "$(extender active)")$1"
}

# waits_for NAME REASON: the scheduler said that no node fits, and this of them.
waits_for() {
	kubectl get pod "$1" -o json | jq -e --arg reason "$2" \
		'.status.conditions[]? | select(.type == "PodScheduled" and (.message | contains($reason)))'
}

# ---- Assertions ----

# fail MESSAGE...: with what the last `run` said.
fail() {
	printf '%s\n' "$@"
	[[ -z ${status+set} ]] || printf -- '--- status %s\n--- stdout\n%s\n--- stderr\n%s\n' \
		"$status" "${output:-}" "${stderr:-}"
	return 1
} >&2

assert_ok() {
	((status == 0)) || fail "expected success"
}

assert_fails() {
	((status != 0)) || fail "expected a failure"
}

# assert_equal EXPECTED ACTUAL
assert_equal() {
	[[ $1 == "$2" ]] || {
		diff <(printf '%s\n' "$1") <(printf '%s\n' "$2") | head -n 40 >&2
		fail "expected: $1" "found:    $2"
	}
}

# assert_contains TEXT PART
assert_contains() {
	[[ $1 == *"$2"* ]] || fail "does not contain: $2" "in: $1"
}

# assert_lacks TEXT PART
assert_lacks() {
	[[ $1 != *"$2"* ]] || fail "contains: $2" "in: $1"
}

# assert_stored NAME FILTER EXPECTED
assert_stored() {
	assert_equal "$3" "$(stored "$1" "$2")"
}

# assert_refused: kubectl failed and said on stderr exactly what stands on stdin.
assert_refused() {
	assert_fails
	assert_equal "$(cat)" "$stderr"
}

# eventually SECONDS COMMAND...: asks until it succeeds.
eventually() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || fail "did not come true: $*" || return
		sleep 0.05
	done
}

# note TEXT...: a TAP comment, for figures.
note() {
	echo "# $*" >&3
}

# schema_paths FILE: what the schema of a CRD's first version has at its paths, one a line: PATH TYPE.
schema_paths() {
	# shellcheck disable=SC2016 # the variables are jq's
	kubectl create --dry-run=client -o json -f "$1" | jq -r '
		def walk($path):
			"\($path) \(.type // if .["x-kubernetes-int-or-string"] then "int-or-string" else "any" end)",
			(.properties // {} | to_entries[] | .key as $k | .value | walk("\($path).\($k)")),
			(.items // empty | walk("\($path)[]")),
			(.additionalProperties // empty | if type == "object" then walk("\($path){}") else empty end);
		.spec.versions[0].schema.openAPIV3Schema | walk("")' | sort
}
