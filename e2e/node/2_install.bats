#!/usr/bin/env bats
# Installing as docs/install.md says, and what runs then.

load ../lib
load node

setup_file() {
	start_file node-install
}

# With the replicas that a test which failed may have taken away: the files that come need them.
teardown_file() {
	end_file
	in_system scale deployment callboard-webhook --replicas=2
	webhook_is_ready
}

# The processes of the pods, as the kernel sees them.
processes() {
	local pid
	for pid in $(pids webhook) $(pids controller) $(pids extender); do
		sed -n "s/^\($1\):[[:blank:]]*//p" "/proc/$pid/status"
	done | sort -u
}

@test "the manifests are what the apiserver takes, with all components" {
	kubectl create namespace "$system" --dry-run=client -o yaml | kubectl apply -f -
	kubectl kustomize manifests/default | kubectl apply --dry-run=server --validate=strict -f -
	kubectl apply --dry-run=server --validate=strict -f manifests/components/network-policy/webhook.yaml \
		-f manifests/components/network-policy/controller.yaml -f manifests/components/network-policy/extender.yaml \
		-f manifests/components/network-policy/scheduler.yaml
	kubectl delete namespace "$system"
}

@test "docs/install.md: Install" {
	document docs/install.md Install
}

@test "installing again changes nothing" {
	local before
	versions() {
		kubectl get mutatingwebhookconfiguration,validatingwebhookconfiguration,crd -o json |
			jq -c '[.items[].metadata | [.name, .generation]]'
		in_system get secret,deployment -o json | jq -c '[.items[].metadata | [.name, .generation]]'
		in_system get secret callboard-webhook-tls -o jsonpath='{.metadata.resourceVersion}'
	}
	before=$(versions)
	document README.md "On a cluster that exists"
	document docs/install.md Upgrade
	assert_equal "$before" "$(versions)"
}

@test "two replicas are ready, under the restricted Pod Security level" {
	assert_equal 2 "$(webhook_pods | wc -l)"
	assert_equal restricted "$(kubectl get namespace "$system" -o \
		jsonpath='{.metadata.labels.pod-security\.kubernetes\.io/enforce}')"
	run in_system run loose --image=callboard.dev/busybox:1 --dry-run=server
	assert_fails
	assert_contains "$output" 'violates PodSecurity "restricted:latest"'
}

@test "its pods have the priority of the cluster's own, and the quota that some clusters want for that" {
	assert_equal system-cluster-critical "$(in_system get pods -o json | jq -r '[.items[].spec.priorityClassName] | unique[]')"
	counted() {
		[[ $(in_system get resourcequota callboard-critical-pods -o jsonpath='{.status.used.pods}') == 8 ]]
	}
	eventually 60 counted
}

@test "the token of the pods reads JobFlowTemplates and nothing else" {
	local user=system:serviceaccount:$system:callboard-webhook verb resource
	can() {
		kubectl auth can-i "$1" "$2" --all-namespaces --as="$user" 2>/dev/null
	}
	assert_contains "$(in_system get pods -o json)" serviceAccountToken
	for verb in get list; do
		assert_equal yes "$(can "$verb" jobflowtemplates.workflow.kube-zen.io)"
	done
	for verb in watch create update patch delete; do
		assert_equal no "$(can "$verb" jobflowtemplates.workflow.kube-zen.io || true)"
	done
	for resource in jobflows.workflow.kube-zen.io secrets pods configmaps; do
		assert_equal no "$(can get "$resource" || true)"
	done
}

@test "a flow is made from a template, which the pods read" {
	kubectl apply -f "$root/manifests/examples/jobflow-from-template.yaml"
	assert_equal 1 "$(kubectl get jobflow nightly -o \
		jsonpath='{.metadata.annotations.workflow\.kube-zen\.io/template-generation}')"
	kubectl delete -f "$root/manifests/examples/jobflow-from-template.yaml"
}

@test "the processes have no user, no capability and no writable file of the image" {
	local pid
	assert_equal 2 "$(pids webhook | wc -l)"
	assert_equal 2 "$(pids controller | wc -l)"
	assert_equal 2 "$(pids extender | wc -l)"
	assert_equal "65532	65532	65532	65532" "$(processes Uid)"
	assert_equal "0000000000000000" "$(processes CapEff)"
	assert_equal "0000000000000000" "$(processes CapBnd)"
	assert_equal 1 "$(processes NoNewPrivs)"
	assert_equal 2 "$(processes Seccomp)"
	for pid in $(pids webhook) $(pids controller) $(pids extender); do
		# The root of its mounts is mounted read-only.
		awk '$5 == "/" {exit $6 !~ /^ro/}' "/proc/$pid/mountinfo"
	done
}

# leader PROGRAM: the pod that holds the Lease.
leader() {
	in_system get lease "callboard-$1" -o jsonpath='{.spec.holderIdentity}' | cut -d_ -f1
}

has_leader() {
	local leader
	leader=$(leader "$1")
	[[ -n $leader ]] && in_system get pod "$leader"
}

@test "one controller leads, the other one stands by, and both are ready" {
	in_system rollout status deployment/callboard-controller --timeout=180s
	eventually 90 has_leader controller
	assert_equal 2 "$(in_system get deployment callboard-controller -o jsonpath='{.status.readyReplicas}')"
}

@test "one extender is active and ready, the other one stands by, and one of the schedulers leads" {
	in_system rollout status deployment/callboard-scheduler --timeout=180s
	eventually 90 has_leader scheduler
	the_active_one_is_ready() {
		has_leader extender && [[ $(leader extender) == "$(in_system get pods -o json \
			-l app.kubernetes.io/name=callboard-extender |
			jq -r '.items[] | select(.status.containerStatuses[0].ready) | .metadata.name')" ]]
	}
	# It is ready some seconds after it has the Lease.
	eventually 90 the_active_one_is_ready
}

@test "the controller has no right beyond what it needs" {
	may() {
		kubectl auth can-i --quiet --as "system:serviceaccount:$system:callboard-controller" "$@"
	}
	may_not() {
		! may "$@" || fail "it may: $*"
	}
	may create pods --namespace default
	may patch performers.hourglass.eigenlayer.io --subresource=status --namespace default
	may_not get secrets --namespace "$system"
	may_not list configmaps --all-namespaces
	may_not patch nodes
	may_not patch jobflows.workflow.kube-zen.io --namespace default
	may_not delete jobs.batch --namespace default
	may_not delete configmaps --namespace default
	may_not create pods --subresource=exec --namespace default
	may_not patch leases.coordination.k8s.io/other --namespace "$system"
}

@test "there is no shell in it" {
	run in_system exec "$(webhook_pods | head -n 1)" -- sh -c true
	assert_fails
	assert_contains "$output" "executable file not found"
	in_system exec "$(webhook_pods | head -n 1)" -- callboard-webhook version
}

@test "a replica takes little memory" {
	local pid rss anon
	for pid in $(pids webhook) $(pids controller) $(pids extender); do
		rss=$(awk '/^VmRSS/ {print $2}' "/proc/$pid/status")
		anon=$(awk '/^RssAnon/ {print $2}' "/proc/$pid/status")
		note "$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -d' ' -f1): VmRSS $rss KiB, RssAnon $anon KiB"
		((rss <= 20 * 1024 && anon <= 6 * 1024))
	done
}

@test "a good Performer is completed and stored through the Service" {
	create_performer good
	assert_stored good '[.spec.config.grpcPort, .spec.imagePullPolicy, .metadata.finalizers]' \
		'[9090,"IfNotPresent",["hourglass.eigenlayer.io/performer-finalizer"]]'
}

@test "a bad one is refused with every error" {
	run kubectl create -f manifests/examples/refused/performer.yaml
	assert_fails
	assert_equal 6 "$(grep -c '^\* spec\.' <<<"$output")"
	assert_contains "$output" 'did you mean "nvidia-a100"?'
	assert_equal "" "$(kubectl get performers -o name | grep refused)"
}

@test "without a replica Performers are refused and nothing else is" {
	in_system scale deployment callboard-webhook --replicas=0
	in_system wait --for=delete pod -l app.kubernetes.io/name=callboard-webhook --timeout=120s
	create_performer doomed && fail "it was stored unchecked"
	# What kube-proxy answers for a Service without endpoints, once it has heard that there are none.
	is_refused_at_once() {
		try refused .
		[[ $stderr == *'failed calling webhook "performers.callboard.dev"'*"connect: connection refused"* ]]
	}
	eventually 90 is_refused_at_once
	kubectl create configmap other --from-literal=a=b
	# The controller needs no webhook to end what is there.
	kubectl delete performer good --timeout=120s
	in_system scale deployment callboard-webhook --replicas=2
	webhook_is_ready
	eventually 60 create_performer again
}
