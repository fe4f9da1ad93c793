# The Grafana dashboard of manifests/monitoring, from the table at the end: jq -n -f dashboard.jq
#
# A row has a title and panels; a panel a title, a unit of Grafana's, and pairs of a query of Prometheus and the
# legend of its series. Panels stand four beside each other. e2e/docs.bats reads the queries.

def width: 6;
def height: 7;
def source: {type: "prometheus", uid: "${datasource}"};

def target($letter): {
	refId: $letter, datasource: source, expr: .[0], legendFormat: .[1], range: true
};

def panel($id; $x; $y): . as [$title, $unit, $queries] | {
	id: $id, title: $title, type: "timeseries", datasource: source,
	gridPos: {x: $x, y: $y, w: width, h: height},
	fieldConfig: {defaults: {unit: $unit, min: 0, custom: {fillOpacity: 10, showPoints: "never"}}, overrides: []},
	options: {legend: {displayMode: "list", placement: "bottom"}, tooltip: {mode: "multi"}},
	targets: [range($queries | length) as $i | $queries[$i] | target(["A", "B", "C", "D"][$i])]
};

# Rows of panels as Grafana lays them out: a line with the title, and below it the panels.
def lay_out: reduce .[] as [$title, $panels] ({y: 0, id: 1, panels: []};
	(($panels | length) / 4 | ceil) as $lines
	| .y as $y | .id as $id
	| .panels += [{id: $id, title: $title, type: "row", collapsed: false, panels: [],
			gridPos: {x: 0, y: $y, w: 24, h: 1}}]
		+ [range($panels | length) as $i | $panels[$i]
			| panel($id + 1 + $i; $i % 4 * width; $y + 1 + ($i / 4 | floor) * height)]
	| .id += 1 + ($panels | length)
	| .y += 1 + $lines * height) | .panels;

def rate($metric; $by): "sum by (\($by)) (rate(\($metric)[$__rate_interval]))";
def quantile($q; $metric; $by):
	"histogram_quantile(\($q), sum by (\(if $by == "" then "le" else $by + ", le" end)) (rate(\($metric)[$__rate_interval])))";
def quantiles($metric): [[quantile(0.5; $metric; ""), "half"], [quantile(0.99; $metric; ""), "99 %"]];

{
	title: "Callboard", uid: "callboard", tags: ["callboard"], schemaVersion: 39, version: 1, editable: true,
	timezone: "browser", refresh: "1m", time: {from: "now-6h", to: "now"},
	templating: {list: [{name: "datasource", label: "Data source", type: "datasource", query: "prometheus"}]},
	panels: ([
		["Health", [
			["Replicas that lead", "none", [
				["sum by (name) (leader_election_master_status)", "{{name}}"]]],
			["Days until certificates end", "d", [
				["min(callboard_webhook_certificate_days_left)", "webhook"],
				["(min(callboard_extender_certificate_expiry_timestamp_seconds) - time()) / 86400", "extender"]]],
			["Memory", "bytes", [
				["process_resident_memory_bytes * on (instance) group_left () callboard_build_info", "{{instance}}"]]],
			["Processor", "none", [
				["rate(process_cpu_seconds_total[$__rate_interval]) * on (instance) group_left () callboard_build_info",
					"{{instance}}"]]]
		]],
		["Admission", [
			["Reviews per second", "reqps", [
				[rate("callboard_webhook_reviews_total"; "decision"), "{{decision}}"]]],
			["Time of a review", "s", quantiles("callboard_webhook_review_duration_seconds_bucket")],
			["Why objects were denied", "none", [
				["sum by (kind, reason) (increase(callboard_webhook_denial_causes_total[$__range]))", "{{kind}}: {{reason}}"]]],
			["Requests not answered by a review", "reqps", [
				[rate("callboard_webhook_http_requests_total{path=~\"/mutate|/validate\",code!=\"200\"}"; "code"), "{{code}}"]]]
		]],
		["Performers", [
			["Stages entered per second", "ops", [
				[rate("callboard_performer_stage_transitions_total"; "stage"), "{{stage}}"]]],
			["From creation to service", "s", quantiles("callboard_performer_ready_seconds_bucket")],
			["Failed pods replaced, upgrades", "none", [
				["sum(increase(callboard_performer_retries_total[$__rate_interval]))", "replaced"],
				["sum(increase(callboard_performer_upgrades_total[$__rate_interval]))", "upgraded"]]],
			["Objects in the caches", "none", [
				["max by (kind) (callboard_controller_cache_objects)", "{{kind}}"]]]
		]],
		["JobFlows", [
			["Flows that run and wait", "none", [
				["max(callboard_jobflow_active)", "running"],
				["max by (priority) (callboard_jobflow_waiting)", "waiting: {{priority}}"]]],
			["Time of a flow", "s", quantiles("callboard_jobflow_duration_seconds_bucket")],
			["Steps that end per second", "ops", [
				[rate("callboard_jobflow_steps_total"; "phase"), "{{phase}}"],
				["sum(rate(callboard_jobflow_step_retries_total[$__rate_interval]))", "tried again"]]],
			["Time of a step", "s", [
				[quantile(0.5; "callboard_jobflow_step_duration_seconds_bucket"; "type"), "{{type}}"]]]
		]],
		["Controller", [
			["Reconciles that fail per second", "ops", [
				[rate("controller_runtime_reconcile_errors_total"; "controller"), "{{controller}}"]]],
			["Time in the queue", "s", [
				[quantile(0.9; "workqueue_queue_duration_seconds_bucket"; "name"), "{{name}}"]]],
			["Writes per second", "ops", [
				[rate("callboard_controller_writes_total"; "purpose"), "{{purpose}}"]]],
			["Writes that did not succeed per second", "ops", [
				[rate("callboard_controller_writes_total{outcome!=\"OK\"}"; "outcome"), "{{outcome}}"]]]
		]],
		["Scheduling", [
			["Time to answer kube-scheduler (99 %)", "s", [
				[quantile(0.99; "callboard_extender_request_seconds_bucket"; "verb"), "{{verb}}"]]],
			["Bindings per second", "ops", [
				[rate("callboard_extender_bindings_total"; "result"), "{{result}}"]]],
			["Pods that found no node", "none", [
				["sum(callboard_extender_waiting_pods)", "waiting"]]],
			["Why nodes are refused", "ops", [
				[rate("callboard_extender_verdicts_total{reason!=\"fits\"}"; "reason"), "{{reason}}"]]],
			["Nodes by state", "none", [
				["sum by (state) (callboard_node_workers)", "{{state}}"]]],
			["GPUs given out", "percent", [
				["avg(callboard_node_gpu_allocated_percent)", "mean of the nodes"],
				["max(callboard_node_gpu_allocated_percent)", "fullest node"]]],
			["CPU and memory requested", "percent", [
				["avg(callboard_node_cpu_requested_percent)", "CPU"],
				["avg(callboard_node_memory_requested_percent)", "memory"]]],
			["What must stay 0", "none", [
				["sum(callboard_extender_overcommitted_devices)", "devices given out twice"],
				["sum(callboard_extender_drifted_nodes)", "counts that drifted"],
				["sum(callboard_extender_stray_nodes)", "nodes with stray pods"]]]
		]]
	] | lay_out)
}
