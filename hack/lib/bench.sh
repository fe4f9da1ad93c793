# shellcheck shell=bash disable=SC2154 # root comes from common.sh
# What the benchmarks of the controller on a control plane with fake nodes share. Sourced after common.sh and
# go.sh. Who sources it says in `name` what its figures are called.

folder=$root/build/bench
figures=$folder/$name.figures
export NODES=${NODES:-50}
export CLUSTER_DIR=$folder/cluster
# The client's own limits, like those of the scheduler and of kube-controller-manager there, are not what is
# to be measured.
export CONTROLLER_FLAGS="--kube-api-qps 1000 --kube-api-burst 2000"

bench_finish() {
	"$root/hack/controller" down || say "the controller did not end in order"
	"$root/hack/webhook" down || say "the webhook did not end in order"
	"$root/hack/cluster" down
}
trap bench_finish EXIT
trap 'exit 130' INT TERM HUP

# bench_prepare: the control plane, the webhook and the controller; sets `pid`, the controller's.
bench_prepare() {
	local go environment
	go=$(go_find) || die "needs Go: run hack/deps test"
	mkdir -p "$folder/bin"
	rm -f "$figures"
	(cd "$root/e2e" && CGO_ENABLED=0 GOFLAGS="-mod=readonly -trimpath" "$go" build -o "$folder/bin/" ./many)
	environment=$("$root/hack/cluster" up)
	eval "$environment"
	"$root/hack/webhook" up
	"$root/hack/controller" up
	kubectl config view --raw --minify --flatten -o json >"$folder/kubeconfig.json"
	pid=$("$root/hack/controller" pid)
}

# figure NAME VALUE UNIT
figure() {
	printf '%s %s %s\n' "$@" | tee -a "$figures"
}

# write_figures NAME=NUMBER...: all of them, and how large the benchmark was, as JSON.
write_figures() {
	jq -Rn --args '($ARGS.positional | map(split("=") | {(.[0]): (.[1] | tonumber)}) | add) +
		{figures: [inputs | split(" ") | {name: .[0], value: (.[1] | tonumber), unit: .[2]}]}' "$@" \
		<"$figures" >"$folder/$name.json"
	say "the figures are in build/bench/$name.json"
}

# metric NAME [PART]: the sum of the controller's samples of that name whose labels hold the part.
metric() {
	curl -sSf --noproxy '*' "http://127.0.0.1:$("$root/hack/controller" port)/metrics" |
		awk -v name="$1" -v part="${2:-}" '
			{metric = $1; sub(/\{.*/, "", metric)}
			metric == name && (part == "" || index($0, part)) {sum += $NF}
			END {printf "%.2f\n", sum}'
}

# processor_time PID...: their seconds of processor time.
processor_time() {
	local process stat ticks=0
	for process in "$@"; do
		stat=$(<"/proc/$process/stat")
		read -ra stat <<<"${stat##*) }"
		ticks=$((ticks + stat[11] + stat[12]))
	done
	awk -v ticks="$ticks" -v second="$(getconf CLK_TCK)" 'BEGIN {printf "%.2f\n", ticks / second}'
}

# The processes of the control plane and of Callboard.
processes() {
	cut -d' ' -f1 "$CLUSTER_DIR"/run/*.pid "$CLUSTER_DIR"/{webhook,controller}/run/*.pid
}

# turn WHAT COUNT: lets so many come to their end; writes down the time and the processor time that it took.
turn() {
	local before after result
	local -a all
	mapfile -t all < <(processes)
	before=$(processor_time "${all[@]}")
	result=$("$folder/bin/many" -kubeconfig "$folder/kubeconfig.json" -timeout 30m -what "$1" -count "$2")
	after=$(processor_time "${all[@]}")
	jq -r .servingSeconds <<<"$result" >>"$folder/$1.times"
	difference "$after" "$before" >>"$folder/$1.cpu"
}

# memory FIELD: of the controller, in MiB.
memory() {
	awk -v name="$1:" '$1 == name {printf "%.2f\n", $2 / 1024}' "/proc/$pid/status"
}

difference() {
	awk -v a="$1" -v b="$2" -v by="${3:-1}" 'BEGIN {printf "%.2f\n", (a - b) / by}'
}

median() {
	sort -g | awk '{value[NR] = $1} END {printf "%.2f\n", (value[int((NR + 1) / 2)] + value[int(NR / 2) + 1]) / 2}'
}

# compare NAME FILE UNIT BARE LABEL OURS: the medians of what is bare and of ours, and their ratio.
compare() {
	local bare ours
	bare=$(median <"$folder/$4.$2")
	ours=$(median <"$folder/$6.$2")
	figure "$5_$1" "$bare" "$3"
	figure "$6_$1" "$ours" "$3"
	figure "ratio_$1" "$(difference "$ours" 0 "$bare")" times
}

# delete PATH: all of a collection. One request may take longer than the apiserver allows.
delete() {
	until kubectl delete --raw "$1" >/dev/null 2>&1; do sleep 1; done
}
