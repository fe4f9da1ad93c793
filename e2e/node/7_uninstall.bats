#!/usr/bin/env bats
# Removing Callboard as docs/install.md says.

load ../lib
load node

setup_file() {
	start_file node-uninstall
}

teardown_file() {
	kubectl delete namespace "$NS" --wait=false
}

@test "docs/install.md: Uninstall leaves nothing, with Performers that have finalizers" {
	create_performer first
	create_performer second
	kubectl delete performer second --wait=false
	document docs/install.md Uninstall
	eventually 60 nothing_is_left
}

nothing_is_left() {
	local left
	left=$(
		kubectl get namespace,crd,clusterrole,clusterrolebinding,priorityclass,mutatingwebhookconfiguration,validatingwebhookconfiguration -o name |
			grep -E 'callboard-system|/callboard|hourglass'
	) || true
	[[ -z $left ]] || fail "$left"
}

@test "no document with such commands is left out" {
	local file section
	while read -r file; do
		while read -r section; do
			grep -qF "document $file" e2e/node/*.bats || fail "$file is not run"
			[[ $file == docs/troubleshooting.md ]] ||
				grep -qE "document $file \"?$section" e2e/node/*.bats || fail "$file, $section is not run"
		done < <(hack/docs sections node "$file")
	done < <(git ls-files -co --exclude-standard '*.md')
}
