#!/usr/bin/env bats
# Another version is applied, and the first one again: as docs/install.md says, under load.

load ../lib
load node

image=callboard.dev/performer:1
next=build/e2e-node/next

# The same programs as another version, and manifests that are not those of today: a tag, arguments, labels,
# and a column more in a CRD.
setup_file() {
	start_file node-upgrade
	mkdir -p "$next/image"
	tar -xf build/image/callboard-*.tar -C "$next/image"
	jq '.[0].RepoTags = ["docker.io/library/callboard:next"]' "$next/image/manifest.json" >"$next/manifest.json"
	mv "$next/manifest.json" "$next/image/manifest.json"
	tar -C "$next/image" -cf "$next/image.tar" .
	"$root/hack/cluster" load "$next/image.tar"
	rm -r "$next/image" "$next/image.tar"
	cat >"$next/kustomization.yaml" <<-'EOT'
		apiVersion: kustomize.config.k8s.io/v1beta1
		kind: Kustomization
		resources: [../../../manifests/default]
		images: [{name: callboard, newTag: next}]
		labels: [{pairs: {app.kubernetes.io/version: next}}]
		patches:
		- target: {kind: Deployment, name: callboard-(webhook|controller|extender)}
		  patch: |
		    - {op: add, path: /spec/template/spec/containers/0/args/-, value: --log-level=debug}
		- target: {kind: CustomResourceDefinition, name: performers.hourglass.eigenlayer.io}
		  patch: |
		    - op: add
		      path: /spec/versions/0/additionalPrinterColumns/-
		      value: {name: Next, type: string, jsonPath: .spec.version, priority: 1}
	EOT
}

teardown_file() {
	kubectl delete jobflows,jobflowtemplates --all
	end_file
}

# Of every test: bats would wait for the clients of one that failed.
teardown() {
	load_end
	[[ -z ${calls_pid:-} ]] || kill "$calls_pid"
}

# everything: what must be the same afterwards: CRDs by their identity, objects, and the Performer's pod. Flows
# go on meanwhile.
everything() {
	kubectl get crd -o json | jq -c '[.items[] | select(.spec.group | test("hourglass|kube-zen|callboard")) | [.metadata.name, .metadata.uid]]'
	kubectl get performers,jobflows,jobflowtemplates -o json |
		jq -cS '.items[] | [.kind, .metadata.name, .metadata.uid, .metadata.generation, .metadata.annotations, .spec,
			(select(.kind == "Performer") | .status.phase) // ""]'
	kubectl get pods,services -l app=hourglass-performer -o json |
		jq -cS '.items[] | [.metadata.name, .metadata.uid, .metadata.labels, .spec, .status.containerStatuses[0].restartCount]'
}

# images: of the pods of our programs that are left, once the old ones have ended.
images() {
	in_system get pods -o json | jq -r '[.items[].spec.containers[0].image | select(startswith("callboard:"))]
		| [length, unique[]] | join(" ")'
}

apply() {
	kubectl apply -k "$1"
	in_system rollout status deployment/callboard-webhook --timeout=180s
	in_system rollout status deployment/callboard-controller --timeout=180s
}

version_is() {
	[[ $(images) == "6 callboard:$1" ]]
}

@test "a newer version and back: no admission and no call fails, and what is stored and runs stays" {
	local before version
	create_performer runs ".spec.image = \"$image\""
	kubectl apply -f manifests/examples/jobflow-from-template.yaml -f manifests/examples/jobflow-approval.yaml
	eventually 120 eval '[[ $(stored runs .status.ready) == true ]]'
	eventually 60 serves runs
	before=$(everything)
	version=$(images)
	"$root/build/e2e/image/performer" call "$(kubectl get service performer-runs -o jsonpath='{.spec.clusterIP}'):9090" \
		>"$BATS_TEST_TMPDIR/calls" 3>&- &
	calls_pid=$!
	load_start
	apply "$next"
	eventually 120 version_is next
	assert_contains "$(kubectl get performers -o wide)" NEXT
	assert_equal "$before" "$(everything)"
	# The new version looks after what the old one made.
	create_performer new ".spec.image = \"$image\""
	eventually 120 eval '[[ $(stored new .status.ready) == true ]]'
	kubectl delete performer new --timeout=120s
	apply manifests/default
	eventually 120 version_is "${version#*:}"
	load_stop 500
	kill -TERM "$calls_pid"
	wait "$calls_pid"
	calls_pid=
	jq -e 'all(.calls > 100 and .failed == 0)' "$BATS_TEST_TMPDIR/calls" || fail "$(cat "$BATS_TEST_TMPDIR/calls")"
	assert_equal "$before" "$(everything)"
}
