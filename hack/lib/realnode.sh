# shellcheck shell=bash disable=SC2034,SC2154 # shares its names with who sources it
# The real node of a cluster (REAL_NODE=1): containerd and kubelet run pods on this machine,
# kube-proxy and CoreDNS make Services reachable by address and by name. Sourced by hack/cluster.
#
# Pods cannot reach a server on loopback, so the whole cluster, control plane included, lives in a
# network namespace; the node's processes also share a mount namespace (realnode-home makes and
# holds both). All processes of the node and of its pods are below one cgroup of our own: that is
# how `down` finds every last one of them, also after a crash, and why several such clusters can run
# at once.

real_node=(containerd coredns kubelet kube-proxy)
realnode_name=real-0
realnode_address=10.99.0.1 # where the node and the servers of the control plane listen
realnode_pods=10.98.0.0/24
realnode_home=realnode-home # the process that holds the namespaces
realnode_state=$cluster_dir/node
realnode_cgroup=callboard-$(sha256sum <<<"$cluster_dir" | cut -c1-8)

# Nothing can be pulled: a new node has these two, and `hack/cluster load` brings more.
realnode_pause_image=callboard.dev/pause:1
realnode_busybox_image=callboard.dev/busybox:1

realnode_check() {
	local command
	[[ $EUID == 0 ]] || die "a real node needs root"
	for command in containerd runc iptables ip nsenter unshare busybox gcc /usr/lib/cni/bridge; do
		type -P "$command" >/dev/null || die "a real node needs $command: run hack/deps node"
	done
	# realnode-home hides these folders from the node's processes.
	case $cluster_dir/ in
	/run/* | /var/run/* | /var/log/* | /var/lib/cni/* | /var/lib/kubelet/*)
		die "a real node cannot keep its state in $cluster_dir"
		;;
	esac
}

# realnode_enter net|mount...: prints the prefix that runs a command in these namespaces.
realnode_enter() {
	local pid namespace
	pid=$(process_pid "$realnode_home") || pid=gone
	echo nsenter
	for namespace in "$@"; do
		echo "--$namespace=/proc/$pid/ns/${namespace/mount/mnt}"
	done
}

realnode_start_home() {
	local network=()
	mkdir -p "$realnode_state"/{conf,cni,containerd,kubelet} "$cluster_dir/logs/pods"
	process_start "$realnode_home" unshare --net --mount --propagation private \
		"$root/hack/lib/realnode-home" "$realnode_state" "$realnode_address"
	process_wait "$realnode_home" 10 test -e "$realnode_state/home"
}

# realnode_cgroups: prints our cgroup in every hierarchy; there are several with version 1.
realnode_cgroups() {
	if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
		echo "/sys/fs/cgroup/$realnode_cgroup"
	else
		printf "%s$realnode_cgroup\n" /sys/fs/cgroup/*/
	fi
}

# realnode_process NAME COMMAND...: starts a process of the node, in its namespaces and its cgroup.
realnode_process() {
	local name=$1 network daemons
	shift
	mapfile -t network < <(realnode_enter net mount)
	# Of the hierarchies of version 1 one is enough, as long as the pods' processes are in it as well.
	daemons=$(realnode_cgroups | grep -E "^/sys/fs/cgroup/(pids/)?$realnode_cgroup\$")/daemons
	mkdir -p "$daemons"
	# shellcheck disable=SC2016 # expands in the shell that becomes the process
	process_start "$name" sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$daemons" "$@"
}

realnode_start() {
	local group name controller
	if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
		# The kubelet's root must have every controller, and version 2 hands down what it is told to.
		for controller in $(</sys/fs/cgroup/cgroup.controllers); do
			echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
		done
	fi
	while read -r group; do
		mkdir -p "$group"
	done < <(realnode_cgroups)
	realnode_grant >/dev/null
	realnode_write_configuration
	for name in "${real_node[@]}"; do
		say "starting $name"
		"start_$name"
	done
}

start_containerd() {
	realnode_process containerd containerd --config "$realnode_state/conf/containerd.toml"
	process_wait containerd 30 realnode_ctr version
	realnode_load_images
}

start_coredns() {
	realnode_process coredns "$(tool_path coredns)" -conf "$realnode_state/conf/Corefile"
	process_wait coredns 30 "${network[@]}" curl -fs --max-time 2 "http://127.0.0.1:8181/ready"
}

start_kubelet() {
	realnode_process kubelet "$(tool_path kubelet)" --config="$realnode_state/conf/kubelet.yaml" \
		--kubeconfig="$cluster_dir/conf/kubelet.kubeconfig" --root-dir="$realnode_state/kubelet" \
		--hostname-override="$realnode_name" --node-ip="$realnode_address"
	process_wait kubelet 60 "${network[@]}" curl -fs --max-time 2 http://127.0.0.1:10248/healthz
}

start_kube-proxy() {
	realnode_process kube-proxy "$(tool_path kube-proxy)" \
		--config="$realnode_state/conf/kube-proxy.yaml"
	process_wait kube-proxy 30 "${network[@]}" curl -fs --max-time 2 http://127.0.0.1:10256/healthz
}

realnode_ctr() {
	local enter
	mapfile -t enter < <(realnode_enter mount)
	"${enter[@]}" ctr --namespace k8s.io "$@"
}

realnode_load_images() {
	local folder=$realnode_state/images applet
	mkdir -p "$folder"/{pause,busybox/bin,busybox/tmp,busybox/etc}
	gcc -std=gnu17 -Os -static -o "$folder/pause/pause" "$root/e2e/cluster/pause.c"
	realnode_image "$folder/pause.tar" "$realnode_pause_image" "$folder/pause" /pause
	# Sticky and open to all, as pods run as any user.
	chmod 1777 "$folder/busybox/tmp"
	cp "$(type -P busybox)" "$folder/busybox/bin/"
	for applet in $(busybox --list); do
		[[ -e $folder/busybox/bin/$applet ]] || ln -s busybox "$folder/busybox/bin/$applet"
	done
	realnode_image "$folder/busybox.tar" "$realnode_busybox_image" "$folder/busybox" /bin/sh
	realnode_ctr images import "$folder/pause.tar" >/dev/null
	realnode_ctr images import "$folder/busybox.tar" >/dev/null
}

# realnode_image ARCHIVE NAME FOLDER COMMAND...: an image of one layer, the folder, in the format of
# `docker save`.
realnode_image() {
	local archive=$1 name=$2 folder=$3 parts
	shift 3
	parts=$(mktemp -d "$realnode_state/image.XXXXXX")
	tar -C "$folder" --owner=0 --group=0 --numeric-owner --mtime=@0 --sort=name \
		-cf "$parts/layer.tar" .
	jq -n --arg arch "$(dpkg --print-architecture)" \
		--arg layer "sha256:$(sha256sum <"$parts/layer.tar" | cut -d' ' -f1)" --args \
		'{architecture: $arch, os: "linux", config: {Cmd: $ARGS.positional, Env: ["PATH=/bin"]},
			rootfs: {type: "layers", diff_ids: [$layer]}}' "$@" >"$parts/config.json"
	jq -n --arg name "$name" \
		'[{Config: "config.json", RepoTags: [$name], Layers: ["layer.tar"]}]' >"$parts/manifest.json"
	tar -C "$parts" -cf "$archive" manifest.json config.json layer.tar
	rm -r "$parts"
}

realnode_write_certificates() {
	write_kubeconfig kubelet "system:node:$realnode_name" system:nodes
	write_kubeconfig kube-proxy system:kube-proxy
	write_kubeconfig coredns coredns
	pki_certificate ca kubelet-server "/CN=$realnode_name" "IP:$realnode_address"
	pki_certificate ca kube-apiserver-kubelet /CN=kube-apiserver-kubelet
}

# What the built-in roles do not grant.
realnode_grant() {
	kubectl create clusterrolebinding kube-apiserver-kubelet --clusterrole=system:kubelet-api-admin \
		--user=kube-apiserver-kubelet
	kubectl create clusterrole coredns --verb=list,watch \
		--resource=namespaces,services,pods,endpointslices.discovery.k8s.io
	kubectl create clusterrolebinding coredns --clusterrole=coredns --user=coredns
}

realnode_write_configuration() {
	local pki=$cluster_dir/pki

	# restrict_oom_score_adj: a root without CAP_SYS_RESOURCE may not lower a score, and runc then dies
	# with "can't get final child's PID from pipe".
	cat >"$realnode_state/conf/containerd.toml" <<-EOF
		version = 2
		root = "$realnode_state/containerd"
		state = "/run/containerd"
		[plugins."io.containerd.internal.v1.opt"]
		  path = "$realnode_state/containerd/opt"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "$realnode_pause_image"
		  restrict_oom_score_adj = true
		  netns_mounts_under_state_dir = true
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    bin_dir = "/usr/lib/cni"
		    conf_dir = "$realnode_state/cni"
	EOF

	# hairpinMode: a pod reaches itself through its own Service.
	cat >"$realnode_state/cni/10-pods.conflist" <<-EOF
		{
		  "cniVersion": "1.0.0",
		  "name": "pods",
		  "plugins": [{
		    "type": "bridge", "bridge": "pods0", "isGateway": true, "hairpinMode": true,
		    "ipam": {
		      "type": "host-local",
		      "ranges": [[{"subnet": "$realnode_pods"}]],
		      "routes": [{"dst": "0.0.0.0/0"}]
		    }
		  }]
		}
	EOF

	# Images are never removed and pods never evicted for want of disk: nothing could be pulled again,
	# and a full disk is for the owner of the machine to judge.
	echo "nameserver $realnode_address" >"$realnode_state/conf/resolv.conf"
	cat >"$realnode_state/conf/kubelet.yaml" <<-EOF
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		address: $realnode_address
		tlsCertFile: "$pki/kubelet-server.crt"
		tlsPrivateKeyFile: "$pki/kubelet-server.key"
		authentication:
		  anonymous: {enabled: false}
		  webhook: {enabled: true}
		  x509: {clientCAFile: "$pki/ca.crt"}
		authorization: {mode: Webhook}
		containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
		cgroupDriver: cgroupfs
		cgroupRoot: /$realnode_cgroup
		clusterDNS: [$realnode_address]
		clusterDomain: cluster.local
		resolvConf: "$realnode_state/conf/resolv.conf"
		podLogsDir: "$cluster_dir/logs/pods"
		failCgroupV1: false
		failSwapOn: false
		localStorageCapacityIsolation: false
		oomScoreAdj: 0
		imageGCHighThresholdPercent: 100
		evictionHard: {nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
	EOF

	# masqueradeAll: pods of one bridge answer each other past the node's connection tracking where the
	# machine has no br_netfilter. The limits of conntrack belong to the machine.
	cat >"$realnode_state/conf/kube-proxy.yaml" <<-EOF
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		mode: iptables
		hostnameOverride: $realnode_name
		clientConnection: {kubeconfig: "$cluster_dir/conf/kube-proxy.kubeconfig"}
		clusterCIDR: $realnode_pods
		healthzBindAddress: 127.0.0.1:10256
		oomScoreAdj: 0
		iptables: {masqueradeAll: true}
		conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
	EOF

	cat >"$realnode_state/conf/Corefile" <<-EOF
		.:53 {
		  bind $realnode_address
		  errors
		  ready 127.0.0.1:8181
		  kubernetes cluster.local in-addr.arpa {
		    kubeconfig "$cluster_dir/conf/coredns.kubeconfig"
		  }
		}
	EOF
}

realnode_pids() {
	local group
	while read -r group; do
		[[ ! -d $group ]] || find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null
	done < <(realnode_cgroups) | sort -u
}

# After the components have ended: kills the pods and what else is left in our cgroup, then removes
# what the node kept. Its mounts, interfaces and iptables rules are in the namespaces, and those end
# with their last process.
realnode_remove() {
	local pids group tries=0
	while pids=$(realnode_pids) && [[ $pids ]]; do
		((++tries < 100)) || die "cannot kill what is left of the node: ${pids//$'\n'/ }"
		# One that ended in the meantime makes kill fail; the next round sees what is left.
		xargs kill -KILL 2>/dev/null <<<"$pids" || :
		sleep 0.1
	done
	while read -r group; do
		[[ ! -d $group ]] || find "$group" -depth -type d -exec rmdir {} +
	done < <(realnode_cgroups)
	rm -rf "$realnode_state"
}
