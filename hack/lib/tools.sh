# shellcheck shell=bash disable=SC2034,SC2154 # shares its names with who sources it
# Builds the programs of the test cluster from the modules that e2e/go.mod and e2e/coredns/go.mod
# pin, and says where they are. Sourced after common.sh and go.sh.

declare -A tool_package=(
	[etcd]=go.etcd.io/etcd/server/v3
	[kube-apiserver]=k8s.io/kubernetes/cmd/kube-apiserver
	[kube-controller-manager]=k8s.io/kubernetes/cmd/kube-controller-manager
	[kube-scheduler]=k8s.io/kubernetes/cmd/kube-scheduler
	[kubectl]=k8s.io/kubernetes/cmd/kubectl
	[kwok]=sigs.k8s.io/kwok/cmd/kwok
	[kubelet]=k8s.io/kubernetes/cmd/kubelet
	[kube-proxy]=k8s.io/kubernetes/cmd/kube-proxy
	[coredns]=callboard.dev/e2e/coredns
)
# The order matters to a reader of the progress lines only: the first one compiles what most share.
tools_control_plane=(kube-apiserver kube-controller-manager kube-scheduler kubectl etcd kwok)
tools_node=(kubelet kube-proxy coredns)

kubernetes_version=$(sed -n 's|^\tk8s.io/kubernetes v\([0-9.]*\).*|\1|p' "$root/e2e/go.mod")

# Kubernetes takes its version from the linker; without it the server calls itself v0.0.0-master,
# which clients refuse to parse.
tools_ldflags="-s -w"
tools_ldflags+=" -X k8s.io/component-base/version.gitVersion=v$kubernetes_version"
tools_ldflags+=" -X k8s.io/component-base/version.gitMajor=${kubernetes_version%%.*}"
tools_ldflags+=" -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$kubernetes_version")"

# One folder per set of sources and flags, so that two checkouts never use each other's versions.
tools_key=$(
	{
		cat "$root"/e2e/{go.mod,go.sum} "$root"/e2e/coredns/{go.mod,go.sum,main.go}
		echo "$tools_ldflags $(uname -m)"
	} | sha256sum | cut -c1-16
)
tools_dir=$cache_root/$tools_key/bin

# The ecosystem's variable for a folder with ready-made etcd, kube-apiserver and kubectl.
tools_ready=${KUBEBUILDER_ASSETS:-}

# tool_path NAME: where the program is, or will be once it is built.
tool_path() {
	case $1 in
	etcd | kube-apiserver | kubectl)
		if [[ -n $tools_ready && -x $tools_ready/$1 ]]; then
			echo "$tools_ready/$1"
			return
		fi
		;;
	esac
	echo "$tools_dir/$1"
}

# tools_build NAME...: builds those that are missing.
tools_build() {
	local tool go missing=()
	for tool in "$@"; do
		[[ -x $(tool_path "$tool") ]] || missing+=("$tool")
	done
	((${#missing[@]})) || return 0
	go=$(go_find) || die "found no Go that is new enough for e2e/go.mod: run hack/deps cluster"
	mkdir -p "$tools_dir"
	say "building ${missing[*]} into $tools_dir: minutes, where Go's own caches are cold"
	(
		take_lock 9 "another build is under way"
		for tool in "${missing[@]}"; do
			[[ -x $tools_dir/$tool ]] || tool_build "$go" "$tool"
		done
	) 9>"$tools_dir.lock"
}

# tool_build GO NAME: niced, because it takes every core for minutes.
tool_build() {
	local go=$1 tool=$2 module=$root/e2e began=$SECONDS
	[[ $tool != coredns ]] || module=$root/e2e/coredns
	say "building $tool"
	(
		cd "$module"
		CGO_ENABLED=0 GOFLAGS=-mod=readonly nice "$go" build -trimpath \
			-ldflags "$tools_ldflags" -o "$tools_dir/$tool.new" "${tool_package[$tool]}"
	) >"$tools_dir/$tool.log" 2>&1 || {
		tail -n 20 "$tools_dir/$tool.log" >&2
		die "could not build $tool"
	}
	mv "$tools_dir/$tool.new" "$tools_dir/$tool"
	rm "$tools_dir/$tool.log"
	say "built $tool in $((SECONDS - began)) s"
}
