#!/usr/bin/env bats
# The Kubernetes client of our programs against a real API server: each verb, watching, and the ways of
# proving who we are.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file kubeclient
	kubectl create serviceaccount robot
	kubectl create role robot --verb=get,list --resource=configmaps
	kubectl create rolebinding robot --role=robot --serviceaccount="$NS:robot"
	# Kubernetes makes one in every namespace, a moment later, which would be seen by those who watch.
	eventually 90 kubectl get configmap kube-root-ca.crt
	eventually 90 kubectl auth can-i list configmaps --as="system:serviceaccount:$NS:robot"
}

teardown_file() {
	end_file
}

# client ARGUMENTS...: outcome and code in $outcome, what came in $answer.
client() {
	local text
	text=$("$root/build/release/e2e/kubeclient/kubeclient" "$@") || true
	outcome=$(head -n 1 <<<"$text")
	answer=$(tail -n +2 <<<"$text")
}

# config_map NAME: one, as JSON.
config_map() {
	jq -nc --arg name "$1" '{apiVersion: "v1", kind: "ConfigMap", metadata: {name: $name}, data: {a: "1"}}'
}

# member FILTER: of the answer.
member() {
	jq -r "$1" <<<"$answer"
}

# kubeconfig_of USER: prints a kubeconfig for the same cluster with that user, as JSON.
kubeconfig_of() {
	kubectl config view --raw --minify --flatten -o json | jq --argjson user "$1" '.users[0].user = $user'
}

@test "an object is created, read, changed and deleted" {
	client call create configmaps "$NS" one body="$(config_map one)"
	assert_equal "OK 201" "$outcome"
	client call create configmaps "$NS" one body="$(config_map one)"
	assert_equal "AlreadyExists 409" "$outcome"
	client call get configmaps "$NS" one
	assert_equal "OK 200" "$outcome"
	local old=$answer
	client call mergepatch configmaps "$NS" one body='{"data":{"b":"2"}}'
	assert_equal '{"a":"1","b":"2"}' "$(member '.data | tojson')"
	client call jsonpatch configmaps "$NS" one body='[{"op":"remove","path":"/data/a"}]'
	assert_equal '{"b":"2"}' "$(member '.data | tojson')"
	client call update configmaps "$NS" one body="$old"
	assert_equal "Conflict 409" "$outcome"
	client call delete configmaps "$NS" one uid=00000000-0000-0000-0000-000000000000
	assert_equal "Conflict 409" "$outcome"
	client call delete configmaps "$NS" one version="$(jq -r .metadata.resourceVersion <<<"$old")"
	assert_equal "Conflict 409" "$outcome"
	client call delete configmaps "$NS" one uid="$(jq -r .metadata.uid <<<"$old")"
	assert_equal "OK 200" "$outcome"
	client call get configmaps "$NS" one
	assert_equal "NotFound 404" "$outcome"
	assert_equal 'configmaps "one" not found' "$answer"
}

@test "an apply creates, owns its fields, and takes others' only by force" {
	client call apply configmaps "$NS" applied body="$(config_map applied)" manager=callboard
	assert_equal "OK 201" "$outcome"
	assert_equal callboard "$(member '.metadata.managedFields[0].manager')"
	local other
	other=$(config_map applied | jq -c '.data.a = "2"')
	client call apply configmaps "$NS" applied body="$other" manager=another
	assert_equal "Conflict 409" "$outcome"
	client call apply configmaps "$NS" applied body="$other" manager=another force=
	assert_equal "OK 200" "$outcome"
	assert_equal 2 "$(member .data.a)"
}

@test "a list comes in pages, filtered" {
	local i
	for i in 1 2 3; do
		kubectl create configmap "page-$i"
		kubectl label configmap "page-$i" pages=yes
	done
	client call list configmaps "$NS" - labels=pages=yes limit=2
	assert_equal "page-1 page-2" "$(member '[.items[].metadata.name] | join(" ")')"
	client call list configmaps "$NS" - labels=pages=yes limit=2 continue="$(member .metadata.continue)"
	assert_equal "page-3" "$(member '[.items[].metadata.name] | join(" ")')"
	client call list configmaps "$NS" - fields=metadata.name=page-2
	assert_equal "page-2" "$(member '[.items[].metadata.name] | join(" ")')"
	client call list configmaps "$NS" - continue=nonsense
	assert_equal "Invalid 400" "$outcome"
}

@test "a watch brings what happens" {
	client call list configmaps "$NS" -
	local version
	version=$(member .metadata.resourceVersion)
	kubectl create configmap watched
	kubectl delete configmap watched
	run "$root/build/release/e2e/kubeclient/kubeclient" watch configmaps "$NS" "$version" 2
	assert_equal "ADDED watched
DELETED watched" "$(jq -r '"\(.type) \(.object.metadata.name)"' <<<"$output")"
}

is_long_gone() {
	"$root/build/release/e2e/kubeclient/kubeclient" watch performers "$NS" "$1" 1 | grep -F '"code":410'
}

@test "a watch from a version that is long gone says so" {
	# Until its cache of the kind is filled, the server answers 429.
	eventually 90 is_long_gone 1
}

@test "status is a thing of its own, and a pod is evicted" {
	client call create pods "$NS" guest body='{"apiVersion":"v1","kind":"Pod","metadata":{"name":"guest"},
		"spec":{"nodeName":"nowhere","containers":[{"name":"c","image":"x"}]}}'
	assert_equal "OK 201" "$outcome"
	client call mergepatch pods "$NS" guest subresource=status body='{"status":{"reason":"Tested"}}'
	assert_equal "OK 200" "$outcome"
	assert_equal Tested "$(member .status.reason)"
	client call create pods "$NS" guest subresource=eviction \
		body='{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"guest"}}'
	assert_equal "OK 201" "$outcome"
	client call delete pods "$NS" guest grace=0
}

@test "what the server says about a bad object names fields but no values" {
	client call create pods "$NS" bad body='{"apiVersion":"v1","kind":"Pod","metadata":{"name":"bad"},
		"spec":{"containers":[{"name":"c","image":"x","env":[{"name":"a=b","value":"s3cr3t"}]}]}}'
	assert_equal "Invalid 422" "$outcome"
	[[ $answer == *"spec.containers[0].env[0].name (FieldValueInvalid)"* ]]
	[[ $answer != *a=b* && $answer != *s3cr3t* ]]
	client call create pods "$NS" bad body='{"apiVersion":"v1","kind":"Pod","spec":{"containers":"s3cr3t"}}'
	assert_equal "Invalid 400" "$outcome"
	[[ $answer != *s3cr3t* ]]
}

@test "a token is enough, within its rights" {
	local token
	token=$(kubectl create token robot)
	kubeconfig_of "$(jq -n --arg token "$token" '{token: $token}')" >"$BATS_TEST_TMPDIR/config"
	KUBECONFIG=$BATS_TEST_TMPDIR/config client call list configmaps "$NS" -
	assert_equal "OK 200" "$outcome"
	KUBECONFIG=$BATS_TEST_TMPDIR/config client call create configmaps "$NS" no body="$(config_map no)"
	assert_equal "Forbidden 403" "$outcome"
	[[ $answer == *"cannot create resource"* ]]
	kubeconfig_of '{"token": "wrong"}' >"$BATS_TEST_TMPDIR/config"
	KUBECONFIG=$BATS_TEST_TMPDIR/config client call list configmaps "$NS" -
	assert_equal "Forbidden 401" "$outcome"
}

@test "a plugin is asked for a token" {
	cat >"$BATS_TEST_TMPDIR/plugin" <<-EOF
		#!/bin/sh
		echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
		echo '"status":{"token":"$(kubectl create token robot)"}}'
	EOF
	chmod +x "$BATS_TEST_TMPDIR/plugin"
	kubeconfig_of '{"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin",
		"interactiveMode": "Never"}}' >"$BATS_TEST_TMPDIR/config"
	KUBECONFIG=$BATS_TEST_TMPDIR/config client call list configmaps "$NS" -
	assert_equal "OK 200" "$outcome"
}

@test "in a pod the service account is used" {
	local address
	address=$(<"$BATS_FILE_TMPDIR/server")
	address=${address#https://}
	mkdir "$BATS_TEST_TMPDIR/account"
	cp "$BATS_FILE_TMPDIR/ca.crt" "$BATS_TEST_TMPDIR/account/"
	kubectl create token robot >"$BATS_TEST_TMPDIR/account/token"
	KUBECONFIG='' SERVICE_ACCOUNT=$BATS_TEST_TMPDIR/account KUBERNETES_SERVICE_HOST=${address%:*} \
		KUBERNETES_SERVICE_PORT=${address##*:} client call list configmaps "$NS" -
	assert_equal "OK 200" "$outcome"
}

@test "a server that another authority vouches for is not spoken to" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=other \
		-keyout "$BATS_TEST_TMPDIR/other.key" -out "$BATS_TEST_TMPDIR/other.crt" 2>/dev/null
	kubectl config view --raw --minify --flatten -o json |
		jq --arg ca "$(base64 -w0 "$BATS_TEST_TMPDIR/other.crt")" \
			'.clusters[0].cluster["certificate-authority-data"] = $ca' >"$BATS_TEST_TMPDIR/config"
	KUBECONFIG=$BATS_TEST_TMPDIR/config client call create configmaps "$NS" no body="$(config_map no)"
	assert_equal "Unreached 0" "$outcome"
	[[ $answer == *certificate* ]]
}

@test "figures: CPU time for each small write, and memory" {
	"$root/build/release/e2e/kubeclient/kubeclient" bench "$NS" 500 | sed 's/^/# kubeclient /' >&3
}
