# shellcheck shell=bash
# What the tests on a real node share, beside ../lib. They run inside the cluster's network, with its
# kubectl first on PATH. The files are sorted by name, and each finds what the ones before it left.

# Documentation and scripts name files from the root of the project.
# shellcheck disable=SC2154 # root comes from ../lib
cd "$root" || exit 1
system=callboard-system

# In place of that in ../lib: the controller is installed, and ends what the file leaves.
end_file() {
	kubectl delete performers --all --timeout=120s
	kubectl delete namespace "$NS" --wait=false
}

in_system() {
	kubectl --namespace "$system" "$@"
}

# document FILE SECTION: runs the commands of one section of a document as a reader would, in a shell of
# their own, and shows which one failed.
document() {
	hack/docs commands node "$1" "$2" >"$BATS_TEST_TMPDIR/commands"
	[[ -s $BATS_TEST_TMPDIR/commands ]] || fail "no commands in $1, section $2"
	bash -euxo pipefail "$BATS_TEST_TMPDIR/commands"
}

webhook_is_ready() {
	in_system rollout status deployment/callboard-webhook --timeout=180s
}

# lacks_right PROGRAM VERB RESOURCE: its account, in our namespace. The authorizer hears of a change a moment later.
lacks_right() {
	[[ $(in_system auth can-i "$2" "$3" --as="system:serviceaccount:$system:callboard-$1") == no* ]]
}

# serves NAME: no call to the Performer's Service fails. It leads to the pod some time after that is ready: the kube-proxy
# has to hear of it. Needs the client, which 3_performer.bats builds.
serves() {
	"$root/build/e2e/image/performer" call -for 1s \
		"$(kubectl get service "performer-$1" -o jsonpath='{.spec.clusterIP}'):9090" |
		jq -e 'all(.calls > 0 and .failed == 0)'
}

# pods_of webhook|controller: those that run and do not end.
pods_of() {
	in_system get pods -l "app.kubernetes.io/name=callboard-$1" \
		--field-selector status.phase=Running -o json |
		jq -r '.items[] | select(.metadata.deletionTimestamp == null) | .metadata.name'
}

# pid_of_pod webhook|controller POD: the process of its container, as the kernel sees it.
pid_of_pod() {
	local uid
	uid=$(in_system get pod "$2" -o jsonpath='{.metadata.uid}')
	grep -lsE "pod$uid/" /proc/[0-9]*/cgroup | while read -r file; do
		[[ $(tr '\0' ' ' <"${file%cgroup}cmdline") != *"callboard-$1 serve"* ]] || basename "$(dirname "$file")"
	done
}

# pids webhook|controller: the processes of all their containers.
pids() {
	local pod
	for pod in $(pods_of "$1"); do
		pid_of_pod "$1" "$pod"
	done
}

webhook_pods() {
	pods_of webhook
}

# pod_metric POD NAME: the value of a metric, which is named with its labels; nothing when there is none.
pod_metric() {
	kubectl get --raw "/api/v1/namespaces/$system/pods/$1:8080/proxy/metrics" |
		awk -v name="$2" 'index($0, name " ") == 1 {print substr($0, length(name) + 2)}'
}

# The kubelet looks for new contents of ConfigMaps and Secrets about once a minute, and at once when its
# pod changes.
hurry_pods() {
	in_system annotate pods -l app.kubernetes.io/name=callboard-webhook --overwrite \
		"callboard.dev/refresh=$(date +%s%N)"
}

# authorities KIND: how many the configuration of that kind trusts.
authorities() {
	kubectl get "$1" callboard -o jsonpath='{.webhooks[0].clientConfig.caBundle}' | base64 -d |
		grep -c BEGIN
}

# ---- Load ----------------------------------------------------------------------------------------
#
# Performers are created as a dry run, again and again: every request passes /mutate and /validate, and
# nothing is left behind. Two clients do so one by one; a third in bursts, so that the apiserver keeps many
# connections to the webhook, of which the most are idle when a replica ends. Needs start_file.

load_pids=()

# post LAST OPTION...: as many requests, over one connection; prints answers and statuses. Not api(), as
# this process is to be ended.
post() {
	local dir=$BATS_FILE_TMPDIR last=$1
	shift
	exec curl --silent --show-error --noproxy '*' --max-time 20 --write-out '\n%{http_code}\n' \
		--cacert "$dir/ca.crt" --cert "$dir/client.crt" --key "$dir/client.key" \
		--header "Content-Type: application/json" --data "@$BATS_TEST_TMPDIR/load/body" "$@" \
		"$(<"$dir/server")$(performers_path)?dryRun=All&fieldManager=load-[1-$last]"
}

bursts() {
	while true; do
		(post 16 --parallel --parallel-max 16)
		sleep 0.3
	done
}

# load_start [RATE]: two clients with that many requests a second each, and the bursts.
load_start() {
	local folder=$BATS_TEST_TMPDIR/load
	mkdir -p "$folder"
	performer load '.metadata = {generateName: "load-"}' >"$folder/body"
	(post 1000000 --rate "${1:-25}/s") >"$folder/answers.1" 2>&1 3>&- &
	load_pids+=($!)
	(post 1000000 --rate "${1:-25}/s") >"$folder/answers.2" 2>&1 3>&- &
	load_pids+=($!)
	bursts >"$folder/answers.3" 2>&1 3>&- &
	load_pids+=($!)
	eventually 60 grep -q '^201$' "$folder/answers.3"
}

load_end() {
	((${#load_pids[@]})) || return 0
	kill "${load_pids[@]}"
	wait "${load_pids[@]}" || true
	load_pids=()
}

# Of every test: bats would wait for the clients of one that failed.
teardown() {
	load_end
}

# load_has_made COUNT: whether there were so many answers.
load_has_made() {
	sleep 0.5 # reading them all takes as much time as making some
	(($(cat "$BATS_TEST_TMPDIR"/load/answers.* | grep -cE '^[0-9]{3}$') >= $1))
}

# load_stop LEAST: ends it, once so many were made; fails when one request did, or when there are fewer after all.
load_stop() {
	local folder=$BATS_TEST_TMPDIR/load made refused
	eventually 120 load_has_made "$1" || true
	load_end
	made=$(cat "$folder"/answers.* | grep -cE '^[0-9]{3}$')
	refused=$(cat "$folder"/answers.* | grep -E '^[0-9]{3}$' | grep -vc '^201$' || true)
	note "$made requests, $refused failed"
	if ((refused)); then
		grep -hE '^curl:|"message":' "$folder"/answers.* | sort | uniq -c | head -n 20 >&2
		fail "requests failed"
	fi
	((made >= $1)) || fail "made only $made requests"
}
