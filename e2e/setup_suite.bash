# shellcheck shell=bash
# Runs once before all tests: the cluster must be there, and the clients of the tests that kubectl
# cannot be are built, those in Go into build/e2e/bin.

setup_suite() {
	# shellcheck source=hack/lib/common.sh
	source "$BATS_TEST_DIRNAME/../hack/lib/common.sh"
	# shellcheck source=hack/lib/go.sh
	source "$root/hack/lib/go.sh"
	[[ -n ${CLUSTER_DIR:-} && -n ${KUBECONFIG:-} ]] || die "run these tests by hack/e2e [FILE.bats...]"
	make --no-print-directory -s -C "$root" build/release/e2e/kubeclient/kubeclient \
		build/release/unit/sim/apiserver >/dev/null
	local go
	go=$(go_find) || die "needs Go: run hack/deps test"
	# The same flags as for the control plane, so that its build has filled the cache.
	(
		cd "$root/e2e" || exit
		export CGO_ENABLED=0 GOFLAGS="-mod=readonly -trimpath"
		mkdir -p "$root/build/e2e/bin"
		"$go" build -o "$root/build/e2e/bin/" ./load ./balancer ./handshakes
		"$go" test -c -o "$root/build/e2e/bin/hostile" ./hostile
	)
}
