#!/usr/bin/env bats
# The commands of the documentation that need no real node, run as they stand. See hack/docs.

load lib

setup_file() {
	start_file docs
	# The apiserver publishes a new kind's fields a moment after it serves the kind.
	eventually 90 kubectl explain performer
}

teardown_file() {
	end_file
}

# A right that was just given is known to the authorizer a moment later: a reader would ask again.
patience='kubectl() {
	local i
	for ((i = 0; i < 100; i++)); do
		command kubectl "$@" && return
		[[ "${*:1:2}" == "auth can-i" ]] || return
		sleep 0.2
	done
	return 1
}'

# document FILE: runs its commands as a reader would, and shows which one failed.
document() {
	"$root/hack/docs" commands cluster "$root/$1" >"$BATS_TEST_TMPDIR/commands"
	[[ -s $BATS_TEST_TMPDIR/commands ]] || fail "no commands in $1"
	cd "$root" || return
	bash -euxo pipefail -c "$patience; source '$BATS_TEST_TMPDIR/commands'"
}

@test "README.md" {
	document README.md
}

@test "docs/concepts.md" {
	document docs/concepts.md
}

@test "docs/performers.md" {
	document docs/performers.md
}

@test "docs/flows.md" {
	document docs/flows.md
}

@test "docs/scheduling.md" {
	document docs/scheduling.md
}

@test "docs/operations.md" {
	document docs/operations.md
}

@test "docs/development.md, on a cluster of its own" {
	CLUSTER_DIR=$BATS_TEST_TMPDIR/cluster document docs/development.md
}

@test "e2e/README.md, on a cluster of its own" {
	CLUSTER_DIR=$BATS_TEST_TMPDIR/cluster document e2e/README.md
}

@test "no document with such commands is left out" {
	local file
	while read -r file; do
		grep -qF "document $file" "$BATS_TEST_FILENAME" || fail "$file is not run"
	done < <(cd "$root" && git ls-files -co --exclude-standard '*.md' | xargs grep -lE '^<!-- run: cluster')
}

@test "the alerts are valid and fire when they should" {
	promtool check rules "$root/manifests/monitoring/alerts.yaml"
	promtool test rules "$root/e2e/alerts.test.yaml"
}

# queries: those of the dashboard, with times in place of Grafana's variables.
queries() {
	jq -r '.panels[].targets[]?.expr' "$root/manifests/monitoring/dashboard.json" |
		sed 's/\$__rate_interval/5m/g; s/\$__range/6h/g'
}

@test "the dashboard's queries are valid and ask for metrics that are documented" {
	local query metric number=0
	echo "groups: [{name: dashboard, rules: [" >"$BATS_TEST_TMPDIR/rules.yaml"
	while read -r query; do
		jq -nc --arg query "$query" --arg name "query_$((++number))" '{record: $name, expr: $query}'
		echo ,
	done < <(queries) >>"$BATS_TEST_TMPDIR/rules.yaml"
	echo "]}]" >>"$BATS_TEST_TMPDIR/rules.yaml"
	promtool check rules "$BATS_TEST_TMPDIR/rules.yaml"
	((number > 30)) || fail "only $number queries"
	while read -r metric; do
		grep -q "^| \`$metric\` |" "$root/docs/operations.md" || fail "docs/operations.md does not have $metric"
	done < <(queries | grep -oE 'callboard_[a-z_]+' | sed 's/_bucket$//' | sort -u)
}
