# shellcheck shell=bash disable=SC2034,SC2154 # shares its names with who sources it
# The one place that decides which Go compiles the tools of the tests. Sourced after common.sh.
# Debian 12 ships Go 1.19 and the control plane needs 1.26: an older Go cannot compile it, but it
# can fetch a newer toolchain as a module, verified against the checksum database.

go_release=1.26.8
go_link=$cache_root/go-$go_release

# The compiler that was chosen decides alone: without this, a newer "toolchain" line in some module
# would silently fetch another one.
export GOTOOLCHAIN=local

# go_version_of BINARY: prints "1.26.8"; from / so that no go.mod of the current folder is read.
go_version_of() {
	(cd / && "$1" env GOVERSION 2>/dev/null) | sed -n 's/^go\([0-9.]*\).*/\1/p'
}

# go_is_new_enough BINARY: true when it can build e2e/go.mod.
go_is_new_enough() {
	local have least
	have=$(go_version_of "$1")
	least=$(sed -n 's/^go //p' "$root/e2e/go.mod")
	[[ -n $have && $(printf '%s\n' "$least" "$have" | sort -V | head -n 1) == "$least" ]]
}

# go_find: prints the path of a Go that is new enough, GO's if it names one; false without any.
go_find() {
	local candidate
	for candidate in "${GO:-}" "$(type -P go)" /usr/local/go/bin/go "$go_link/bin/go"; do
		if [[ -x $candidate ]] && go_is_new_enough "$candidate"; then
			echo "$candidate"
			return 0
		fi
	done
	return 1
}

# go_fetch OLD_GO: downloads the release with the module downloader of any older Go.
go_fetch() {
	local old=$1 platform dir
	platform=$("$old" env GOOS)-$("$old" env GOARCH)
	dir=$(cd / && "$old" mod download -json "golang.org/toolchain@v0.0.1-go$go_release.$platform" |
		jq -r '.Dir // empty')
	[[ -n $dir ]] || die "could not download Go $go_release for $platform"
	# Modules are unpacked without execute bits and read-only; Go's own switch of toolchains sets the
	# bits in the same way (cmd/go/internal/toolchain/select.go).
	find "$dir/bin" "$dir/pkg/tool" -type f -exec chmod a+x {} +
	mkdir -p "$cache_root"
	ln -sfn "$dir" "$go_link"
}
