#!/usr/bin/env bats
# Two replicas behind one address keep their certificates themselves (--manage-certs), with the rights of the
# manifests and with times of seconds in place of days.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

system=callboard-system
secret=callboard-webhook-tls
# A certificate is renewed after 15 s and would do for two minutes more: a machine that is short of time for a
# while fails nothing. An authority that nobody touches outlives the file.
calm=(--ca-settle 5s --cert-lifetime 135s --cert-renew-before 120s --ca-lifetime 2h --ca-renew-before 1h)
# Twice a second, and an authority every 25 s. The apiserver has as long as in a real cluster to hear of it.
hectic=(--ca-settle 10s --cert-lifetime 120s --cert-renew-before 119500ms --ca-lifetime 150s --ca-renew-before 125s)

setup_file() {
	start_file manage-certs
	kubectl apply -f "$root/manifests/webhook/namespace.yaml" -f "$root/manifests/webhook/certificates.yaml"
	# Two ports for each replica, below those that the kernel gives to clients.
	replica_ports >"$BATS_FILE_TMPDIR/ports"
	awk '{print $1; print $3}' "$BATS_FILE_TMPDIR/ports" >"$BATS_FILE_TMPDIR/backends"
	"$root/build/e2e/bin/balancer" -all -backend "$BATS_FILE_TMPDIR/backends" \
		>"$BATS_FILE_TMPDIR/address" 3>&- 4>&- &
	echo $! >"$BATS_FILE_TMPDIR/balancer.pid"
	eventually 60 test -s "$BATS_FILE_TMPDIR/address"
	# First, or the authority of the webhook that all files share would be kept as an old one.
	configurations | kubectl apply -f -
	start_replicas "${calm[@]}"
}

teardown_file() {
	stop_replicas
	kill "$(<"$BATS_FILE_TMPDIR/balancer.pid")"
	webhook up
	kubectl delete --ignore-not-found -f "$root/manifests/webhook/certificates.yaml"
	kubectl --namespace "$system" delete secret "$secret" --ignore-not-found
	end_file
}

teardown() {
	[[ -z ${load_pid:-} ]] || kill "$load_pid" 2>/dev/null || true
	[[ -z ${handshakes_pid:-} ]] || kill "$handshakes_pid" 2>/dev/null || true
}

# ---- The replicas ----

# in_file_folder COMMAND...: the functions of hack/lib/process.sh, with this file's folder.
in_file_folder() (
	cluster_dir=$BATS_FILE_TMPDIR
	network=()
	# shellcheck disable=SC2317 # process_stop calls it
	say() { note "$@"; }
	# shellcheck source=hack/lib/process.sh
	source "$root/hack/lib/process.sh"
	"$@"
)

replica_ports() {
	in_file_folder process_ports 4
}

# start_replicas FLAG...
start_replicas() {
	local ports kubeconfig i
	read -ra ports <"$BATS_FILE_TMPDIR/ports"
	kubeconfig=$("$root/hack/cluster" user "system:serviceaccount:$system:callboard-webhook" \
		system:serviceaccounts "system:serviceaccounts:$system" system:authenticated)
	for i in 0 1; do
		in_file_folder process_start "replica-$i" "$root/build/callboard-webhook" serve --manage-certs \
			--listen "127.0.0.1:${ports[2 * i]}" --health-listen "127.0.0.1:${ports[2 * i + 1]}" \
			--cert-hosts 127.0.0.1 --cert-interval 250ms --drain-delay 0 \
			--kubeconfig "$kubeconfig" --log-format text "$@" 3>&- 4>&-
	done
}

stop_replicas() {
	local i
	for i in 0 1; do
		in_file_folder process_stop "replica-$i"
	done
}

# ask I PATH: what replica I answers on its port of health.
ask() {
	local ports
	read -ra ports <"$BATS_FILE_TMPDIR/ports"
	curl -sSf --max-time 30 --noproxy '*' "http://127.0.0.1:${ports[2 * $1 + 1]}$2"
}

are_ready() {
	ask 0 /readyz && ask 1 /readyz
}

# count METRIC: its value, of both replicas together.
count() {
	{ ask 0 /metrics && ask 1 /metrics; } | awk -v name="$1" 'index($0, name " ") == 1 {sum += $NF} END {print sum + 0}'
}

# writes PURPOSE: how many have succeeded.
writes() {
	count "callboard_webhook_certificate_writes_total{purpose=\"$1\",outcome=\"OK\"}"
}

# ---- What is in the cluster ----

# configurations: those of the manifests, without a caBundle.
configurations() {
	kubectl create --dry-run=client -o json -f "$root/manifests/webhook/configurations.yaml" |
		jq --arg base "https://$(<"$BATS_FILE_TMPDIR/address")" \
			'.webhooks[].clientConfig |= {url: ($base + .service.path)}'
}

# of_secret FILE
of_secret() {
	kubectl --namespace "$system" get secret "$secret" -o json |
		jq -r --arg file "$1" '.data[$file] // ""' | base64 -d
}

# put_into_secret FILE TEXT
put_into_secret() {
	kubectl --namespace "$system" patch secret "$secret" --type=merge \
		-p "$(jq -n --arg file "$1" --arg text "$(base64 -w0 <<<"$2")" '{data: {($file): $text}}')"
}

# bundles: every caBundle that is registered, one a line, each once.
bundles() {
	kubectl get mutatingwebhookconfiguration,validatingwebhookconfiguration callboard -o json |
		jq -r '[.items[].webhooks[].clientConfig.caBundle] | unique[]'
}

# authorities TEXT: how many there are.
authorities() {
	grep -c BEGIN <<<"$1"
}

# shown I: the serial number of the certificate that replica I shows.
shown() {
	local ports
	read -ra ports <"$BATS_FILE_TMPDIR/ports"
	openssl s_client -connect "127.0.0.1:${ports[2 * $1]}" </dev/null 2>/dev/null | openssl x509 -noout -serial
}

# same_key CERTIFICATE KEY: whether they belong together.
same_key() {
	[[ $(openssl x509 -noout -pubkey <<<"$1") == "$(openssl pkey -pubout <<<"$2")" ]]
}

# is_well: the Secret makes sense, and everything is as it says.
is_well() {
	local bundle first pair serial
	are_ready && bundle=$(of_secret ca.crt) && pair=$(of_secret tls.crt) &&
		first=$(openssl x509 <<<"$bundle") && serial=$(openssl x509 -noout -serial <<<"$pair") &&
		openssl verify -CAfile <(echo "$first") -verify_ip 127.0.0.1 <(echo "$pair") &&
		same_key "$first" "$(of_secret ca.key)" && same_key "$pair" "$(of_secret tls.key)" &&
		[[ $(bundles) == "$(base64 -w0 <<<"$bundle")" ]] &&
		[[ $(shown 0) == "$serial" && $(shown 1) == "$serial" ]]
}

# is_settled: and no old authority is left.
is_settled() {
	is_well && [[ $(authorities "$(of_secret ca.crt)") == 1 ]]
}

# ---- Handshakes beside the load ----

both_begin() {
	local ports
	read -ra ports <"$BATS_FILE_TMPDIR/ports"
	load_begin "$@"
	"$root/build/e2e/bin/handshakes" -kubeconfig "$BATS_FILE_TMPDIR/kubeconfig.json" -lag 1s \
		"127.0.0.1:${ports[0]}" "127.0.0.1:${ports[2]}" >"$BATS_TEST_TMPDIR/handshakes.json" 3>&- 4>&- &
	handshakes_pid=$!
}

# both_end LEAST: of both; not one may have failed, and the load must have made that many requests.
both_end() {
	load_end
	kill -TERM "$handshakes_pid"
	wait "$handshakes_pid" || fail "e2e/handshakes ended with status $?"
	handshakes_pid=
	handshakes=$(<"$BATS_TEST_TMPDIR/handshakes.json")
	note "$(jq -r '"\(.handshakes) handshakes, \(.failures) failed; \(.certificates | length) certificates of \(.authorities | length) authorities"' <<<"$handshakes")"
	assert_no_failure "$1"
	assert_equal "0 failures null" "$(jq -r '"\(.failures) failures \(.firstFailures)"' <<<"$handshakes")"
}

# ---- Tests ----

@test "two replicas that find nothing agree on one authority, and are ready when they are trusted" {
	eventually 180 is_settled
	assert_equal 1 "$(writes "make an authority")"
	assert_equal 1 "$(bundles | wc -l)"
	accepts bootstrapped
	try refused '.spec.image = "No Image"'
	assert_contains "$stderr" "must be an image reference"
}

@test "a certificate is renewed by the same authority, without a failed request" {
	local authority before
	authority=$(of_secret ca.crt) before=$(of_secret tls.crt)
	both_begin -clients 4 -least 50
	renewed() {
		[[ $(of_secret tls.crt) != "$before" ]] && is_well
	}
	eventually 180 renewed
	both_end 50
	assert_equal "$authority" "$(of_secret ca.crt)"
}

@test "a deleted Secret is made again with a new authority, and nothing fails meanwhile" {
	local before
	before=$(of_secret ca.crt)
	both_begin -clients 4 -least 50
	kubectl --namespace "$system" delete secret "$secret"
	made_again() {
		is_well && [[ $(of_secret ca.crt | openssl x509) != "$before" ]]
	}
	eventually 180 made_again
	# A certificate of the old one may be somewhere yet.
	assert_equal 2 "$(authorities "$(of_secret ca.crt)")"
	kubectl --namespace "$system" annotate secret "$secret" --overwrite \
		callboard.dev/old-authorities-until=2000-01-01T00:00:00Z
	eventually 180 is_settled
	both_end 50
	assert_lacks "$(of_secret ca.crt)" "$before"
	assert_equal 2 "$(jq '.authorities | length' <<<"$handshakes")"
}

@test "a damaged Secret is mended, whatever part of it, and nothing fails meanwhile" {
	local file text
	both_begin -clients 4 -least 100
	for file in ca.crt ca.key tls.crt tls.key; do
		for text in "" "no PEM" "$(of_secret tls.key)"; do
			[[ $text != "$(of_secret "$file")" ]] || continue
			put_into_secret "$file" "$text"
			eventually 180 is_well
		done
	done
	both_end 100
}

@test "a Secret that was replaced by an older one is taken over" {
	local old
	old=$(kubectl --namespace "$system" get secret "$secret" -o json | jq '{data}')
	put_into_secret ca.key ""
	eventually 180 is_well
	kubectl --namespace "$system" patch secret "$secret" --type=merge -p "$old"
	taken_over() {
		is_well && [[ $(of_secret ca.crt | openssl x509) == "$(jq -r '.data["ca.crt"]' <<<"$old" | base64 -d | openssl x509)" ]]
	}
	eventually 180 taken_over
	accepts after
}

@test "an emptied and a wrong caBundle are filled again" {
	local kind
	for kind in mutating validating; do
		kubectl patch "${kind}webhookconfiguration" callboard --type=json \
			-p '[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]'
		eventually 180 is_well
		kubectl patch "${kind}webhookconfiguration" callboard --type=json -p "$(jq -n \
			--arg bundle "$(base64 -w0 "$BATS_FILE_TMPDIR/ca.crt")" \
			'[{op: "add", path: "/webhooks/1/clientConfig/caBundle", value: $bundle}]')"
		eventually 180 is_well
	done
	eventually 180 accepts after
}

@test "applying the manifests again changes nothing" {
	local before
	versions() {
		kubectl get mutatingwebhookconfiguration,validatingwebhookconfiguration callboard \
			-o jsonpath='{.items[*].metadata.generation}'
	}
	before=$(versions)
	configurations | kubectl apply -f -
	assert_equal "$before" "$(versions)"
}

# pair_of_another_clock DAYS: a pair of the Secret's authority that begins so many days from now and lasts
# ten, in the folder $BATS_TEST_TMPDIR.
pair_of_another_clock() {
	local dir=$BATS_TEST_TMPDIR begin end
	of_secret ca.crt | openssl x509 >"$dir/ca.crt"
	of_secret ca.key >"$dir/ca.key"
	begin=$(date -ud "$1 days" +%Y%m%d%H%M%SZ) end=$(date -ud "$(($1 + 10)) days" +%Y%m%d%H%M%SZ)
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=callboard-webhook \
		-keyout "$dir/tls.key" -out "$dir/csr" 2>/dev/null
	: >"$dir/index"
	printf '%s\n' '[ca]' "database = $dir/index" 'default_md = sha256' "new_certs_dir = $dir" 'rand_serial = yes' \
		'policy = any' 'x509_extensions = extensions' '[any]' 'commonName = supplied' '[extensions]' \
		'extendedKeyUsage = serverAuth' \
		'subjectAltName = DNS:callboard-webhook.callboard-system.svc,IP:127.0.0.1' >"$dir/ca.conf"
	openssl ca -batch -notext -config "$dir/ca.conf" -name ca -cert "$dir/ca.crt" -keyfile "$dir/ca.key" \
		-startdate "$begin" -enddate "$end" -in "$dir/csr" -out "$dir/tls.crt" 2>/dev/null
}

@test "a certificate that a wrong clock has made is not served, and replaced" {
	local days
	both_begin -clients 2 -least 20
	for days in 400 -400; do
		pair_of_another_clock "$days"
		kubectl --namespace "$system" patch secret "$secret" --type=merge -p "$(jq -n \
			--arg crt "$(base64 -w0 "$BATS_TEST_TMPDIR/tls.crt")" --arg key "$(base64 -w0 "$BATS_TEST_TMPDIR/tls.key")" \
			'{data: {"tls.crt": $crt, "tls.key": $key}}')"
		eventually 180 is_well
	done
	both_end 20
}

@test "a replica without rights says what it lacks, and goes on with what it has" {
	local reason='the certificates cannot be kept'
	kubectl delete -f "$root/manifests/webhook/certificates.yaml"
	said() {
		grep -F "$reason" "$BATS_FILE_TMPDIR/logs/replica-$1.log" | grep -F forbidden
	}
	eventually 180 said 0
	eventually 180 said 1
	are_ready
	accepts meanwhile
	kubectl apply -f "$root/manifests/webhook/certificates.yaml"
	well_again() {
		grep -F "the certificates are kept again" "$BATS_FILE_TMPDIR/logs/replica-$1.log"
	}
	eventually 180 well_again 0
	eventually 180 well_again 1
	eventually 180 is_well
}

@test "a hundred certificates of several authorities are served under load, and no admission fails" {
	local made
	stop_replicas
	# The authority of the tests before would outlast this one.
	kubectl --namespace "$system" delete secret "$secret"
	start_replicas "${hectic[@]}"
	eventually 180 are_ready
	both_begin -clients 6 -least 300
	made=$(writes "make a certificate")
	a_hundred() {
		(($(writes "make a certificate") >= made + 100 && $(writes "make an authority") >= 3))
	}
	eventually 900 a_hundred
	both_end 300
	# Handshakes are rarer than rotations, and meet a part of them.
	(($(jq '.certificates | length' <<<"$handshakes") >= 20)) || fail "served fewer: $handshakes"
	(($(jq '.authorities | length' <<<"$handshakes") >= 2)) || fail "fewer authorities: $handshakes"
	assert_equal 0 "$(count 'callboard_webhook_reloads_total{file="certificate",result="error"}')"
}

@test "no key is in a log" {
	local file line
	for file in ca.key tls.key; do
		line=$(of_secret "$file" | sed -n 2p)
		((${#line} > 20))
		assert_lacks "$(cat "$BATS_FILE_TMPDIR"/logs/replica-*.log)" "$line"
	done
}
