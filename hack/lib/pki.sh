# shellcheck shell=bash disable=SC2034,SC2154 # shares its names with who sources it
# Certificates and kubeconfigs of one cluster, by openssl: ECDSA P-256, valid for a year, as the
# cluster does not live longer. Sourced by hack/cluster, which sets cluster_dir.
#
# Three authorities, as in a cluster made by kubeadm: "etcd" for the store, so that no certificate
# of a cluster user opens it; "front-proxy" for kube-apiserver's word on who a user is, which
# aggregated servers believe; and "ca" for everything else.

pki_key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)

# pki_authority NAME: makes NAME.crt and NAME.key.
pki_authority() {
	openssl req -x509 "${pki_key[@]}" -days 365 -subj "/CN=callboard-$1" \
		-addext keyUsage=critical,keyCertSign,cRLSign \
		-keyout "$cluster_dir/pki/$1.key" -out "$cluster_dir/pki/$1.crt" 2>/dev/null
}

# pki_certificate AUTHORITY NAME SUBJECT [ALTERNATIVE_NAMES]: makes NAME.crt and NAME.key, good for
# a client, and for a server as well when it has alternative names (DNS:…,IP:…).
pki_certificate() {
	local authority=$cluster_dir/pki/$1 out=$cluster_dir/pki/$2 usage=clientAuth extensions
	[[ -z ${4:-} ]] || usage=serverAuth,clientAuth
	extensions="keyUsage=critical,digitalSignature"$'\n'"extendedKeyUsage=$usage"
	[[ -z ${4:-} ]] || extensions+=$'\n'"subjectAltName=$4"
	openssl req -new "${pki_key[@]}" -utf8 -subj "$3" -keyout "$out.key" 2>/dev/null |
		openssl x509 -req -days 365 -CA "$authority.crt" -CAkey "$authority.key" \
			-set_serial "0x$(openssl rand -hex 15)" -extfile <(echo "$extensions") \
			-out "$out.crt" 2>/dev/null
}

# pki_subject NAME [GROUP...]: the subject by which Kubernetes knows the user and the groups.
pki_subject() {
	local name=$1 group subject=
	shift
	for group in "$@"; do
		subject+=/O=$(pki_escape "$group")
	done
	echo "$subject/CN=$(pki_escape "$name")"
}

# A slash ends an attribute and a plus sign adds one to it.
pki_escape() {
	local text=${1//\\/\\\\}
	text=${text//\//\\/}
	echo "${text//+/\\+}"
}

# pki_kubeconfig FILE SERVER NAME: a self-contained kubeconfig with the certificate pki/NAME.crt.
pki_kubeconfig() {
	local pki=$cluster_dir/pki
	cat >"$1" <<-EOF
		apiVersion: v1
		kind: Config
		clusters:
		- name: callboard
		  cluster:
		    server: $2
		    certificate-authority-data: $(base64 -w0 "$pki/ca.crt")
		users:
		- name: user
		  user:
		    client-certificate-data: $(base64 -w0 "$pki/$3.crt")
		    client-key-data: $(base64 -w0 "$pki/$3.key")
		contexts:
		- name: callboard
		  context: {cluster: callboard, user: user}
		current-context: callboard
	EOF
}
