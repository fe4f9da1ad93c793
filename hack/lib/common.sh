# shellcheck shell=bash disable=SC2034,SC2154 # shares its names with who sources it
# What every script under hack/ shares: where the project and its cache are, and how to speak.
# Sourced, never run. Messages go to stderr, so that a script's stdout stays its answer.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)

# Survives `make clean` and serves every clone on the machine: what lies here took minutes to build.
cache_root=${XDG_CACHE_HOME:-$HOME/.cache}/callboard

# say MESSAGE...: one line of progress, with the seconds since the script started.
say() {
	printf '%4ds  %s\n' "$SECONDS" "$*" >&2
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# take_lock DESCRIPTOR MESSAGE: takes the lock on an open file, and says why when it has to wait.
take_lock() {
	flock -n "$1" || {
		say "$2: waiting for it"
		flock "$1"
	}
}

# apply_crds: brings our kinds into the local cluster and waits until they are served. kubectl wait ends
# with an error when a definition is so new that its status has no conditions: it is asked again.
apply_crds() {
	local inside=("$root/hack/cluster" exec) until=$((SECONDS + 60)) error
	"${inside[@]}" kubectl apply -k "$root/manifests/crds" >/dev/null
	until error=$("${inside[@]}" kubectl kustomize "$root/manifests/crds" |
		"${inside[@]}" kubectl wait --for=condition=Established --timeout=10s -f - 2>&1); do
		((SECONDS < until)) || die "the definitions of our kinds are not served: $error"
		sleep 0.2
	done
}
