#!/usr/bin/env bats
# The API server of the simulator answers as the real one does: a table of requests is put to both, and
# what their answers say is compared.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

setup_file() {
	start_file differential
	"$root/build/release/unit/sim/apiserver" --listen 0 >"$BATS_FILE_TMPDIR/apiserver" 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/pid"
	eventually 60 grep -q listening "$BATS_FILE_TMPDIR/apiserver"
}

teardown_file() {
	kill "$(<"$BATS_FILE_TMPDIR/pid")"
	end_file
}

# What is compared: everything that clients decide on. Times, uids and versions differ, but whether
# something was written does not. A pod that was deleted before it had a node is declared failed by the controller
# manager's garbage collector, which looks every 20 seconds.
readonly answer_filter='
	def object: {kind, name: .metadata.name, namespace: .metadata.namespace,
		generation: .metadata.generation, labels: .metadata.labels, finalizers: .metadata.finalizers,
		annotations: (.metadata.annotations // {} | del(.["callboard.dev/initiated-by"]) |
			with_entries(if .key == "callboard.dev/correlation-id" then .value = "x" else . end)), ends: (.metadata.deletionTimestamp != null),
		grace: .metadata.deletionGracePeriodSeconds, data,
		phase: (if .metadata.deletionTimestamp and .spec.nodeName == null then null else .status.phase end),
		node: .spec.nodeName, image: .spec.image, selector: .spec.selector,
		holder: .spec.holderIdentity};
	if .kind == "Status" then {kind, status, reason, code,
		details: (.details // {} | {name, group, kind, causes: [.causes[]?.field | values | select(. != "<nil>")] | unique})}
	elif .items then {kind, items: [.items[] | {apiVersion, kind, name: .metadata.name}],
		more: (.metadata.continue != null), left: .metadata.remainingItemCount}
	elif .type then {type, kind: .object.kind, name: .object.metadata.name, reason: .object.reason,
		initial: .object.metadata.annotations["k8s.io/initial-events-end"]}
	else object end'

# ask SERVER METHOD TYPE PATH BODY: the status code and what the answer says; sets RV, OLD and UID for
# the next. SERVER is real or simulated.
ask() {
	local server=$1 method=$2 type=$3 path=$4 body=$5 answer=$BATS_TEST_TMPDIR/$1.answer url options=()
	if [[ $server == real ]]; then
		url=$(<"$BATS_FILE_TMPDIR/server")
		options=(--cacert "$BATS_FILE_TMPDIR/ca.crt" --cert "$BATS_FILE_TMPDIR/client.crt"
			--key "$BATS_FILE_TMPDIR/client.key")
	else
		url=http://127.0.0.1:$(awk '{print $3}' "$BATS_FILE_TMPDIR/apiserver")
	fi
	case $type in
	json) options+=(-H 'Content-Type: application/json') ;;
	merge) options+=(-H 'Content-Type: application/merge-patch+json') ;;
	jsonpatch) options+=(-H 'Content-Type: application/json-patch+json') ;;
	esac
	[[ -z $body ]] || options+=(--data-binary "$body")
	curl -sS --max-time 20 --noproxy '*' -X "$method" "${options[@]}" -o "$answer" -w '%{http_code}\n' "$url$path"
	jq -cS "$answer_filter" "$answer"
}

# Keeps what the last answer of SERVER says of its object.
remember() {
	local server=$1 rv uid
	read -r rv uid < <(jq -rs 'last | [.metadata.resourceVersion // "-", .metadata.uid // "-"] | join(" ")' \
		"$BATS_TEST_TMPDIR/$server.answer" 2>/dev/null || echo "- -")
	if [[ $uid != - && $rv != "${RV[$server]}" ]]; then
		OLD[$server]=${RV[$server]} RV[$server]=$rv UID_OF[$server]=$uid
	fi
}

fill() {
	local server=$1 text=$2 namespace=$NS
	[[ $server == real ]] || namespace=blue
	text=${text//NS/$namespace}
	text=${text//OLD/${OLD[$server]}}
	text=${text//\"RV\"/\"${RV[$server]}\"}
	echo "${text//\"UID\"/\"${UID_OF[$server]}\"}"
}

# both_say_the_same METHOD TYPE PATH BODY: else the difference is in the file "diff".
both_say_the_same() {
	local method=$1 type=$2 path=$3 body=$4 server
	for server in real simulated; do
		ask "$server" "$method" "$type" "$(fill "$server" "$path")" "$(fill "$server" "$body")" |
			sed "s/$NS/blue/g; s/0x[0-9a-f]*/0x/g" >"$BATS_TEST_TMPDIR/$server"
		remember "$server"
	done
	diff "$BATS_TEST_TMPDIR/real" "$BATS_TEST_TMPDIR/simulated" >"$BATS_TEST_TMPDIR/diff"
}

# again_if_watch METHOD TYPE PATH BODY: a watch of one second, which may have ended before a busy server had sent
# anything, is begun anew.
again_if_watch() {
	[[ $3 == *watch=true* ]] || return 1
	for _ in 1 2 3; do
		! both_say_the_same "$@" || return 0
	done
	return 1
}

@test "the simulated API server answers as the real one" {
	declare -A RV=([real]=1 [simulated]=1) OLD=([real]=1 [simulated]=1) UID_OF=()
	local request method type path body wrong=0 count=0
	while read -r method type path body; do
		[[ $method =~ ^[A-Z]+$ ]] || continue
		count=$((count + 1))
		request=("$method" "$type" "$path" "$body")
		both_say_the_same "${request[@]}" || again_if_watch "${request[@]}" || {
			wrong=$((wrong + 1))
			echo "$method $path $body"
			cat "$BATS_TEST_TMPDIR/diff"
		}
	done <"$root/e2e/testdata/differential.txt"
	echo "$wrong of $count differ"
	((count > 90 && wrong == 0))
}
