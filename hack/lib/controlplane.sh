# shellcheck shell=bash disable=SC2034,SC2154 # shares its names with who sources it
# The control plane of a test cluster: start_COMPONENT starts one and waits until it works. Sourced
# by hack/cluster, which sets cluster_dir, address (where the servers listen), the ports, network,
# nodes and real_nodes.

service_range=10.0.0.0/16 # a /24 has room for 254 Services only
service_kubernetes=10.0.0.1

control_plane=(etcd kube-apiserver kube-controller-manager kube-scheduler kwok)

# Clients' limits that no benchmark meets: the default of 20 requests a second would be what it
# measures.
unhurried=(--kube-api-qps=500 --kube-api-burst=1000)

# Extra flags of a component come from the environment: KUBE_APISERVER_FLAGS and the like, split at
# blanks. Sets the array "extra".
extra_flags() {
	local variable=${1^^}_FLAGS
	variable=${variable//-/_}
	read -ra extra <<<"${!variable:-}"
}

write_certificates() {
	local names="DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
	names+=",DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$service_kubernetes"
	[[ $address == 127.0.0.1 ]] || names+=",IP:$address"
	mkdir -m 700 "$cluster_dir"/{pki,conf}
	(
		umask 077
		pki_authority ca
		pki_authority etcd
		pki_authority front-proxy
		openssl ecparam -name prime256v1 -genkey -noout -out "$cluster_dir/pki/service-accounts.key"
		openssl ec -in "$cluster_dir/pki/service-accounts.key" -pubout \
			-out "$cluster_dir/pki/service-accounts.pub" 2>/dev/null

		pki_certificate etcd etcd-server /CN=etcd "$names"
		pki_certificate etcd etcd-client /CN=kube-apiserver
		pki_certificate ca server /CN=kubernetes "$names"
		pki_certificate front-proxy front-proxy-client /CN=front-proxy-client

		write_kubeconfig admin callboard-admin system:masters
		write_kubeconfig kube-controller-manager system:kube-controller-manager
		write_kubeconfig kube-scheduler system:kube-scheduler
		# kwok plays kubelet for every fake node at once, which no built-in role allows.
		write_kubeconfig kwok kwok system:masters
		mv "$cluster_dir/conf/admin.kubeconfig" "$cluster_dir/kubeconfig"
		((!real_nodes)) || realnode_write_certificates
	)
}

# write_kubeconfig FILE USER [GROUP...]: conf/FILE.kubeconfig with a new certificate.
write_kubeconfig() {
	local file=$1
	shift
	pki_certificate ca "$file" "$(pki_subject "$@")"
	pki_kubeconfig "$cluster_dir/conf/$file.kubeconfig" "https://$address:$apiserver_port" "$file"
}

# healthz PORT: controller manager and scheduler answer it to anybody.
healthz() {
	"${network[@]}" curl -fs --max-time 2 --noproxy '*' --cacert "$cluster_dir/pki/ca.crt" \
		"https://$address:$1/healthz"
}

start_etcd() {
	local pki=$cluster_dir/pki extra
	local client=https://$address:$etcd_port peer=https://$address:$etcd_peer_port
	extra_flags etcd
	# Nothing here must survive a power cut, and fsync is what a small machine waits for most.
	process_start etcd "$(tool_path etcd)" \
		--name=callboard --data-dir="$cluster_dir/etcd" --unsafe-no-fsync \
		--listen-client-urls="$client" --advertise-client-urls="$client" \
		--listen-peer-urls="$peer" --initial-advertise-peer-urls="$peer" \
		--initial-cluster="callboard=$peer" \
		--cert-file="$pki/etcd-server.crt" --key-file="$pki/etcd-server.key" \
		--trusted-ca-file="$pki/etcd.crt" --client-cert-auth \
		--peer-cert-file="$pki/etcd-server.crt" --peer-key-file="$pki/etcd-server.key" \
		--peer-trusted-ca-file="$pki/etcd.crt" --peer-client-cert-auth \
		"${extra[@]}"
	process_wait etcd 30 \
		"${network[@]}" curl -fs --max-time 2 --noproxy '*' --cacert "$pki/etcd.crt" \
		--cert "$pki/etcd-client.crt" --key "$pki/etcd-client.key" "$client/health"
}

start_kube-apiserver() {
	local pki=$cluster_dir/pki extra
	extra_flags kube-apiserver
	# Without a period of grace for watches, a server that is asked to end waits a minute for them.
	if [[ $address == 127.0.0.1 ]]; then
		# The endpoints of the Service "kubernetes" cannot be a loopback address, and with fake nodes
		# there is no pod that would call them.
		extra=(--endpoint-reconciler-type=none "${extra[@]}")
	else
		extra=(--kubelet-client-certificate="$pki/kube-apiserver-kubelet.crt"
			--kubelet-client-key="$pki/kube-apiserver-kubelet.key"
			--kubelet-certificate-authority="$pki/ca.crt"
			--kubelet-preferred-address-types=InternalIP "${extra[@]}")
	fi
	process_start kube-apiserver "$(tool_path kube-apiserver)" \
		--bind-address="$address" --advertise-address="$address" --secure-port="$apiserver_port" \
		--tls-cert-file="$pki/server.crt" --tls-private-key-file="$pki/server.key" \
		--client-ca-file="$pki/ca.crt" --authorization-mode=Node,RBAC \
		--etcd-servers="https://$address:$etcd_port" --etcd-cafile="$pki/etcd.crt" \
		--etcd-certfile="$pki/etcd-client.crt" --etcd-keyfile="$pki/etcd-client.key" \
		--service-cluster-ip-range="$service_range" --enable-aggregator-routing \
		--requestheader-client-ca-file="$pki/front-proxy.crt" \
		--requestheader-allowed-names=front-proxy-client \
		--requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
		--requestheader-extra-headers-prefix=X-Remote-Extra- \
		--proxy-client-cert-file="$pki/front-proxy-client.crt" \
		--proxy-client-key-file="$pki/front-proxy-client.key" \
		--service-account-issuer=https://kubernetes.default.svc.cluster.local \
		--service-account-key-file="$pki/service-accounts.pub" \
		--service-account-signing-key-file="$pki/service-accounts.key" \
		--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement \
		--allow-privileged --profiling=false \
		--shutdown-watch-termination-grace-period=1s \
		--audit-policy-file="$root/e2e/cluster/audit-policy.yaml" \
		--audit-log-path="$cluster_dir/logs/audit.log" \
		"${extra[@]}"
	process_wait kube-apiserver 120 kubectl get --raw /readyz
}

start_kube-controller-manager() {
	local pki=$cluster_dir/pki config=$cluster_dir/conf/kube-controller-manager.kubeconfig extra
	extra_flags kube-controller-manager
	# Without credentials of their own the controllers act as system:kube-controller-manager, which may
	# not create pods: no Job would ever run.
	process_start kube-controller-manager "$(tool_path kube-controller-manager)" \
		--bind-address="$address" --secure-port="$controller_manager_port" \
		--tls-cert-file="$pki/server.crt" --tls-private-key-file="$pki/server.key" \
		--kubeconfig="$config" --authentication-kubeconfig="$config" \
		--authorization-kubeconfig="$config" --leader-elect=false "${unhurried[@]}" \
		--use-service-account-credentials --root-ca-file="$pki/ca.crt" \
		--service-account-private-key-file="$pki/service-accounts.key" \
		--cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
		"${extra[@]}"
	process_wait kube-controller-manager 60 healthz "$controller_manager_port"
}

start_kube-scheduler() {
	local pki=$cluster_dir/pki config=$cluster_dir/conf/kube-scheduler.kubeconfig settings extra
	extra_flags kube-scheduler
	settings=$(<"${SCHEDULER_CONFIG:-$root/e2e/cluster/scheduler.yaml}")
	echo "${settings//@KUBECONFIG@/"$config"}" >"$cluster_dir/conf/scheduler.yaml"
	process_start kube-scheduler "$(tool_path kube-scheduler)" \
		--config="$cluster_dir/conf/scheduler.yaml" \
		--bind-address="$address" --secure-port="$scheduler_port" \
		--tls-cert-file="$pki/server.crt" --tls-private-key-file="$pki/server.key" \
		--authentication-kubeconfig="$config" --authorization-kubeconfig="$config" \
		"${extra[@]}"
	process_wait kube-scheduler 60 healthz "$scheduler_port"
}

start_kwok() {
	local extra
	extra_flags kwok
	# The lease is what keeps a fake node Ready. The addresses are of a range that is reserved for
	# documentation and of one that no Service has: nobody answers there. It listens nowhere; that its
	# nodes become Ready shows that it works.
	process_start kwok "$(tool_path kwok)" \
		--kubeconfig="$cluster_dir/conf/kwok.kubeconfig" --config="$root/e2e/cluster/stages.yaml" \
		--node-lease-duration-seconds=40 --node-ip=203.0.113.1 --cidr=10.244.0.0/16 \
		--manage-all-nodes=false \
		--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake "${extra[@]}"
}

# scale_fake_nodes COUNT: makes it that many, fake-0 and so on; nodes that a test added stay.
scale_fake_nodes() {
	local want=$1 i manifest=$cluster_dir/conf/nodes.yaml
	local -A surplus=()
	for i in $(kubectl get nodes -o name | sed -n 's|^node/fake-\([0-9]*\)$|\1|p'); do
		surplus[fake-$i]=yes
	done
	for ((i = 0; i < want; i++)); do
		[[ ${surplus[fake-$i]:-} ]] || fake_node "fake-$i"
		unset "surplus[fake-$i]"
	done >"$manifest"
	[[ ! -s $manifest ]] || kubectl create -f "$manifest" >/dev/null
	((!${#surplus[@]})) || kubectl delete node "${!surplus[@]}" >/dev/null
}

# kwok fills in the conditions, but it can do nothing with a node that lacks any field of nodeInfo.
fake_node() {
	cat <<-EOF
		---
		apiVersion: v1
		kind: Node
		metadata:
		  name: $1
		  annotations: {kwok.x-k8s.io/node: fake}
		  labels:
		    type: kwok
		    kubernetes.io/hostname: $1
		    kubernetes.io/os: linux
		    kubernetes.io/arch: amd64
		status:
		  capacity: {cpu: "32", memory: 256Gi, ephemeral-storage: 1Ti, pods: "110"}
		  allocatable: {cpu: "32", memory: 256Gi, ephemeral-storage: 1Ti, pods: "110"}
		  nodeInfo: {machineID: "", systemUUID: "", bootID: "", kernelVersion: "", osImage: "",
		    containerRuntimeVersion: "", kubeletVersion: "fake", kubeProxyVersion: "",
		    operatingSystem: linux, architecture: amd64}
	EOF
}

# Pods can be created and scheduled: the ServiceAccount of the default namespace is there, and every
# node is Ready and has lost the taint it is born with.
cluster_is_usable() {
	kubectl get serviceaccount default &&
		kubectl get nodes -o json | jq -e --argjson want "$((nodes + real_nodes))" '
			[.items[] | select(any(.status.conditions[]?; .type == "Ready" and .status == "True"))
				| select(all(.spec.taints[]?; .key != "node.kubernetes.io/not-ready"))]
			| length >= $want'
}
