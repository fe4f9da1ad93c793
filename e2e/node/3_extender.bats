#!/usr/bin/env bats
# The second scheduler and the extender as `kubectl apply -k manifests/default` has installed them: pods of ours are
# placed by them, over TLS that nobody has set up by hand, and shares of GPUs outlive the kubelet.

load ../lib
load node

node=real-0
secret=callboard-extender-tls

setup_file() {
	start_file node-extender
	kubectl label node "$node" callboard.dev/gpu-mode=shared nvidia.com/gpu.count=2
}

teardown_file() {
	kubectl delete pods --all --force --grace-period=0
	kubectl label node "$node" callboard.dev/gpu-mode- nvidia.com/gpu.count-
	kubectl apply -k manifests/default
	end_file
}

# pod NAME MILLI: one that runs, with such a share of a GPU, for the second scheduler.
pod() {
	jq -n --arg name "$1" --arg milli "$2" '{
		apiVersion: "v1", kind: "Pod",
		metadata: {name: $name, labels: {"app.kubernetes.io/managed-by": "callboard"}},
		spec: {schedulerName: "callboard-scheduler", terminationGracePeriodSeconds: 0, containers: [{
			name: "main", image: "callboard.dev/busybox:1", command: ["sleep", "100000"],
			resources: {limits: {"callboard.dev/gpu-milli": $milli}}}]}
	}' | kubectl create -f -
}

# runs NAME: it does, on this node, with this scheduler's mark.
runs() {
	[[ $(kubectl get pod "$1" -o jsonpath='{.status.phase} {.spec.nodeName}') == "Running $node" ]]
}

devices() {
	kubectl get pod "$1" -o json | jq -r '.metadata.annotations["callboard.dev/devices"] // "none"'
}

advertised() {
	[[ $(kubectl get node "$node" -o json | jq -r '.status.allocatable["callboard.dev/gpu-milli"]') == "$1" ]]
}

active() {
	in_system get lease callboard-extender -o jsonpath='{.spec.holderIdentity}' | cut -d_ -f1
}

one_is_ready() {
	[[ $(in_system get deployment callboard-extender -o jsonpath='{.status.readyReplicas}') == 1 ]]
}

@test "a share of a GPU is placed by the scheduler and the extender that were applied, and runs" {
	eventually 90 advertised 2k
	pod first 600
	eventually 90 runs first
	assert_equal 0 "$(devices first)"
	says_who_placed_it() {
		kubectl get events --field-selector involvedObject.name=first,reason=Scheduled -o json |
			jq -e '.items[0] | .source.component // .reportingComponent | . == "callboard-scheduler"'
	}
	eventually 60 says_who_placed_it
	# Too much for what is left of the first device.
	pod second 500
	eventually 90 runs second
	assert_equal 1 "$(devices second)"
}

@test "pods of Performers go the same way" {
	create_performer placed '.spec.image = "callboard.dev/busybox:1"'
	eventually 90 eval '[[ $(stored placed .status.podName) != null ]]'
	assert_equal callboard-scheduler "$(kubectl get pod "$(kubectl get performer placed -o jsonpath='{.status.podName}')" \
		-o jsonpath='{.spec.schedulerName}')"
	kubectl delete performer placed --timeout=120s
}

@test "shares outlive a restart of the kubelet, which forgets resources that it does not know" {
	local before
	before=$(kubectl get pods first second -o json | jq -c '[.items[] | [.metadata.uid, .status.containerStatuses[0].containerID]]')
	"$root/hack/cluster" restart kubelet 3>&-
	# It has begun to look after the node again.
	kubectl run after-kubelet --image=callboard.dev/busybox:1 --restart=Never -- true
	kubectl wait pod/after-kubelet --for=jsonpath='{.status.phase}'=Succeeded --timeout=120s
	eventually 120 advertised 2k
	pod third 500
	eventually 120 runs third
	assert_equal 1 "$(devices third)"
	assert_equal "$before" \
		"$(kubectl get pods first second -o json | jq -c '[.items[] | [.metadata.uid, .status.containerStatuses[0].containerID]]')"
}

@test "a pod that no device fits says so, and what would help" {
	pod fourth 900
	# kube-scheduler's own sum says no before the extender is asked: 400 are left of 2,000.
	says_so() {
		kubectl get events --field-selector involvedObject.name=fourth,reason=NoNodeFits -o json |
			jq -e '.items[0].message == "GPU: no device has enough left for the share: 1 node (real-0): "
				+ "wait until shares come free, ask for a smaller one, or add nodes"'
	}
	eventually 90 says_so
	kubectl get --raw "/api/v1/namespaces/$system/pods/$(active):8080/proxy/explain/$NS/fourth" |
		jq -e '.advice.text | startswith("GPU: no device has enough left for the share")'
	kubectl delete pod fourth --force --grace-period=0
}

@test "when the active extender is deleted the other one takes over, and nothing is given twice" {
	local before
	before=$(active)
	in_system delete pod "$before" --wait=false
	another_is_active() {
		local now
		now=$(active)
		[[ -n $now && $now != "$before" ]] && one_is_ready
	}
	eventually 90 another_is_active
	kubectl delete pod first --force --grace-period=0
	pod fifth 600
	eventually 120 runs fifth
	assert_equal 0 "$(devices fifth)"
}

@test "the extender serves a certificate of its authority, for its Service" {
	in_system get secret "$secret" -o jsonpath='{.data.ca\.crt}' | base64 -d >"$BATS_TEST_TMPDIR/ca.crt"
	in_system get secret "$secret" -o jsonpath='{.data.tls\.crt}' | base64 -d >"$BATS_TEST_TMPDIR/tls.crt"
	openssl verify -CAfile "$BATS_TEST_TMPDIR/ca.crt" -verify_hostname callboard-extender.callboard-system.svc \
		"$BATS_TEST_TMPDIR/tls.crt"
	# The authority lasts, as kube-scheduler reads it once.
	openssl x509 -in "$BATS_TEST_TMPDIR/ca.crt" -noout -checkend $((9 * 365 * 86400))
	local address
	address=$(in_system get service callboard-extender -o jsonpath='{.spec.clusterIP}')
	answers_by_its_name() {
		curl -sf --max-time 20 --noproxy '*' --cacert "$BATS_TEST_TMPDIR/ca.crt" \
			--resolve "callboard-extender.callboard-system.svc:9443:$address" \
			https://callboard-extender.callboard-system.svc:9443/filter -d '{}' | jq -e '.Error != ""'
	}
	# The Service may just lead to another replica.
	eventually 60 answers_by_its_name
}

@test "the extender's Secret is made again only with the right to create it, and the scheduler goes on meanwhile" {
	local authority
	authority=$(in_system get secret "$secret" -o jsonpath='{.data.ca\.crt}' | base64 -d)
	in_system patch role callboard-extender-certificates --type=json \
		-p '[{"op": "replace", "path": "/rules/0/verbs", "value": ["get", "patch"]}]'
	eventually 60 lacks_right extender create secrets
	in_system delete secret "$secret"
	refused() {
		in_system logs "$(active)" --tail 50 | grep "the certificates cannot be kept" | grep -q forbidden
	}
	eventually 90 refused
	run in_system get secret "$secret"
	assert_fails
	kubectl apply -k manifests/default
	# A new authority, beside the one of what is served; the scheduler knows only that.
	made_again() {
		[[ $(in_system get secret "$secret" -o jsonpath='{.data.ca\.crt}' | base64 -d) == *"$authority" ]]
	}
	eventually 90 made_again
	assert_equal 2 "$(in_system get secret "$secret" -o jsonpath='{.data.ca\.crt}' | base64 -d | grep -c BEGIN)"
	kubectl delete pod second --force --grace-period=0
	pod sixth 300
	eventually 90 runs sixth
}

@test "docs/operations.md: Certificates of the extender, When the extender is down" {
	document docs/operations.md "Certificates of the extender"
	document docs/operations.md "When the extender is down"
	kubectl delete pod fifth --force --grace-period=0
	pod seventh 600
	eventually 120 runs seventh
}
