#!/usr/bin/env bats
# The webhook is registered but does not run, or hangs: only writes of Performers may suffer.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file down
	create_performer stored
	create_performer deleted-before
	kubectl delete performer deleted-before --wait=false
	webhook stop
}

teardown_file() {
	webhook up
	end_file
}

teardown() {
	[[ -z ${stopped_pid:-} ]] || kill -CONT "$stopped_pid"
}

refusal='failed calling webhook "performers.callboard.dev": failed to call webhook: Post '

@test "a new Performer is refused with an error that names the webhook" {
	run --separate-stderr kubectl create -f - < <(performer new)
	assert_fails
	assert_contains "$stderr" "Error from server (InternalError): error when creating \"STDIN\": Internal error occurred: $refusal"
	assert_contains "$stderr" "connection refused"
	run kubectl get performer new
	assert_fails
}

@test "a change of a Performer is refused with an error that names the webhook" {
	run --separate-stderr kubectl patch performer stored --type=merge -p '{"spec":{"version":"v2"}}'
	assert_fails
	assert_contains "$stderr" "$refusal"
	assert_stored stored .spec.version null
}

@test "Performers can be read" {
	assert_equal performer.hourglass.eigenlayer.io/stored "$(kubectl get performer stored -o name)"
	kubectl get performers -o wide
}

@test "ConfigMaps, Secrets and Services are written" {
	kubectl create configmap other --from-literal=key=value
	kubectl patch configmap other --type=merge -p '{"data":{"key":"other"}}'
	kubectl create secret generic other --from-literal=key=value
	kubectl create service clusterip other --tcp=80
	kubectl delete configmap,secret,service other
}

@test "pods, Deployments and Jobs run" {
	kubectl create deployment other --image=registry.example/app:v1 --replicas=2
	kubectl create job other --image=registry.example/app:v1
	kubectl rollout status deployment other --timeout=180s
	kubectl wait job other --for=condition=Complete --timeout=180s
	kubectl set image deployment other app=registry.example/app:v2
	kubectl rollout status deployment other --timeout=180s
	kubectl delete deployment,job other
}

@test "custom objects of others are written" {
	kubectl apply -f - <<-'EOF'
		apiVersion: apiextensions.k8s.io/v1
		kind: CustomResourceDefinition
		metadata: {name: widgets.e2e.example.com}
		spec:
		  group: e2e.example.com
		  scope: Namespaced
		  names: {kind: Widget, plural: widgets, singular: widget}
		  versions:
		  - name: v1
		    served: true
		    storage: true
		    schema:
		      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
	EOF
	eventually 90 kubectl wait crd widgets.e2e.example.com --for=condition=Established --timeout=5s
	eventually 90 kubectl get widgets
	echo '{"apiVersion": "e2e.example.com/v1", "kind": "Widget", "metadata": {"name": "other"}}' | kubectl create -f -
	kubectl patch widget other --type=merge -p '{"spec":{"size":1}}'
	kubectl delete widget other
	kubectl delete crd widgets.e2e.example.com
}

@test "namespaces are created and go" {
	kubectl create namespace "$NS-other"
	kubectl delete namespace "$NS-other" --timeout=180s
}

@test "objects of kube-system are written, Performers too" {
	local name=$NS
	kubectl create configmap "$name" -n kube-system --from-literal=key=value
	kubectl delete configmap "$name" -n kube-system
	performer "$name" | kubectl create -n kube-system -f -
	kubectl patch performer "$name" -n kube-system --type=merge -p '{"spec":{"version":"v2"}}'
	assert_equal '"v2"' "$(kubectl get performer "$name" -n kube-system -o json | jq .spec.version)"
	kubectl delete performer "$name" -n kube-system --timeout=60s
}

@test "what the webhook never sees is still held to the schema" {
	run --separate-stderr kubectl create -n kube-system -f - < <(performer "$NS" '.spec.config.grpcPort = 0 | del(.spec.image)')
	assert_fails
	assert_contains "$stderr" 'spec.config.grpcPort: Invalid value: 0: spec.config.grpcPort in body should be greater than or equal to 1'
	assert_contains "$stderr" 'spec.image: Required value'
}

@test "the controller can write status" {
	kubectl patch performer stored --subresource=status --type=merge -p '{"status":{"phase":"Running"}}'
	assert_stored stored .status.phase '"Running"'
}

@test "a Performer that is being deleted loses its finalizer and goes" {
	kubectl patch performer deleted-before --type=merge -p '{"metadata":{"finalizers":null}}'
	run kubectl get performer deleted-before
	assert_fails
}

@test "a Performer can be deleted" {
	kubectl delete performer stored --wait=false
	assert_stored stored '.metadata.deletionTimestamp != null' true
	kubectl patch performer stored --type=merge -p '{"metadata":{"finalizers":null}}'
	run kubectl get performer stored
	assert_fails
}

@test "once the webhook runs again Performers are accepted" {
	webhook up
	eventually 60 accepts probe
	create_performer back
	assert_stored back .metadata.finalizers '["hourglass.eigenlayer.io/performer-finalizer"]'
}

# takes_less MILLISECONDS COMMAND...: whether it does, and succeeds.
takes_less() {
	local began
	began=$(date +%s%N)
	"${@:2}" && ((($(date +%s%N) - began) / 1000000 < $1))
}

@test "a webhook that hangs delays a Performer by ten seconds at most, and nothing else" {
	webhook up
	# Each may be tried again: the machine may have stood still.
	is_quick() {
		takes_less 5000 kubectl create configmap "quick-$(date +%s%N)" --from-literal=key=value
	}
	is_refused_in_time() {
		takes_less 15000 run --separate-stderr kubectl create -f - < <(performer slow)
	}
	stopped_pid=$(webhook_pid)
	kill -STOP "$stopped_pid"
	eventually 60 is_quick
	eventually 60 is_refused_in_time
	kill -CONT "$stopped_pid"
	stopped_pid=
	assert_fails
	assert_contains "$stderr" "$refusal"
	assert_contains "$stderr" "context deadline exceeded"
	eventually 60 accepts probe
}
