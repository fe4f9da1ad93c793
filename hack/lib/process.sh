# shellcheck shell=bash disable=SC2034,SC2154 # shares its names with who sources it
# Daemons of one cluster: started in their own session, known by pid and start time, stopped by
# that alone. Sourced by hack/cluster, which sets cluster_dir and network (the prefix that enters
# the cluster's network namespace; empty without one).
#
# run/NAME.pid holds "PID STARTTIME". The pair names a process for ever, a pid alone does not: after
# a crash the kernel may have given it to somebody else.

# process_start_time PID: field 22 of /proc/PID/stat; false for a process that is gone or a zombie.
process_start_time() {
	local stat
	{ stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
	# The second field is the command in parentheses and may hold anything, so count from its end.
	read -ra stat <<<"${stat##*) }"
	[[ ${stat[0]} != Z ]] || return 1
	echo "${stat[19]}"
}

# process_pid NAME: prints the pid when the process runs; false otherwise.
process_pid() {
	local pid started
	read -r pid started 2>/dev/null <"$cluster_dir/run/$1.pid" || return 1
	[[ $(process_start_time "$pid") == "$started" ]] || return 1
	echo "$pid"
}

# process_start NAME COMMAND...: its output goes to logs/NAME.log.
process_start() {
	local name=$1 pid
	shift
	mkdir -p "$cluster_dir/run" "$cluster_dir/logs"
	# Put an interrupt off until the pid is written down: nothing may run that nobody knows of.
	trap 'interrupted=yes' INT TERM HUP
	# A session of its own keeps a Ctrl-C in the terminal away from it. The locks stay with us.
	setsid "${network[@]}" "$@" </dev/null >>"$cluster_dir/logs/$name.log" 2>&1 8>&- 9>&- &
	pid=$!
	echo "$pid $(process_start_time "$pid")" >"$cluster_dir/run/$name.pid"
	disown "$pid" # its end is ours to report, not the shell's
	trap 'exit 130' INT TERM HUP
	[[ -z ${interrupted:-} ]] || exit 130
}

# process_wait NAME SECONDS CHECK...: waits until the check succeeds. When the process ends first or
# the time is over: shows the end of its log and gives up.
process_wait() {
	local name=$1 deadline=$((SECONDS + $2)) why=
	shift 2
	# In a subshell, or an interrupt would be handled while our own stderr is redirected.
	until ("$@") >/dev/null 2>&1; do
		if ! process_pid "$name" >/dev/null; then
			why="$name ended"
		elif ((SECONDS >= deadline)); then
			why="$name runs but did not become ready"
		fi
		if [[ $why ]]; then
			printf -- '--- the end of %s\n' "$cluster_dir/logs/$name.log" >&2
			tail -n 15 "$cluster_dir/logs/$name.log" | cut -c1-300 >&2
			die "$why"
		fi
		sleep 0.1
	done
}

# process_stop NAME: asks, waits, insists after 10 s (kube-apiserver would wait a minute for an etcd
# that is gone). Fine with a process that is gone itself.
process_stop() {
	local name=$1 pid tries
	if pid=$(process_pid "$name"); then
		kill -TERM "$pid"
		for ((tries = 0; tries < 100; tries++)); do
			process_pid "$name" >/dev/null || break
			sleep 0.1
		done
		if process_pid "$name" >/dev/null; then
			say "$name (pid $pid) ignored SIGTERM for 10 s: killing it"
			kill -KILL "$pid"
			while process_pid "$name" >/dev/null; do sleep 0.1; done
		fi
	fi
	rm -f "$cluster_dir/run/$name.pid"
}

# process_ports COUNT: prints that many TCP ports that nobody listens on, below the range from which
# the kernel takes the ports of outgoing connections. The caller holds the lock on ports until its
# processes listen, so that two clusters that start together do not choose the same.
process_ports() {
	local port used chosen=" "
	used=" $(ss -Htln | awk '{sub(/.*:/, "", $4); printf "%s ", $4}')"
	while (($(wc -w <<<"$chosen") < $1)); do
		port=$((20000 + RANDOM % 12000))
		[[ $used$chosen == *" $port "* ]] || chosen+="$port "
	done
	echo "$chosen"
}
