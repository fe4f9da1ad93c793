#!/usr/bin/env bats
# The catalog of hardware changes under a process that goes on serving.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

catalog_file=${BATS_FILE_TMPDIR:-}/catalog.yaml

setup_file() {
	start_file catalog
	restore_catalog
	WEBHOOK_FLAGS=--catalog=$catalog_file webhook restart
}

teardown_file() {
	webhook restart
	end_file
}

setup() {
	restore_catalog
	eventually 60 accepts_gpu nvidia-h100
	eventually 60 refuses_gpu nvidia-x9000
}

# The file as the manifests have it.
restore_catalog() {
	kubectl create --dry-run=client -o json -f "$root/manifests/webhook/catalog.yaml" |
		jq -r '.data["catalog.yaml"]' >"$BATS_FILE_TMPDIR/restored.yaml"
	put "$BATS_FILE_TMPDIR/restored.yaml" "$catalog_file"
}

reloads() {
	metric callboard_webhook_reloads_total file=catalog "result=$1"
}

has_reloaded() {
	(($(reloads "$1") > $2))
}

accepts_gpu() {
	accepts gpu ".spec.hardwareRequirements.gpuType = \"$1\""
}

refuses_gpu() {
	! accepts_gpu "$1"
}

# add_gpu: nvidia-x9000 to the file.
add_gpu() {
	sed '/^gpuTypes:/a\  nvidia-x9000: {products: [NVIDIA-X9000], minMemoryMiB: 500000}' \
		"$catalog_file" >"$BATS_TEST_TMPDIR/more.yaml"
	put "$BATS_TEST_TMPDIR/more.yaml" "$catalog_file"
	eventually 60 accepts_gpu nvidia-x9000
}

@test "a GPU that is added to the catalog is accepted without a restart" {
	local pid before
	pid=$(webhook_pid)
	before=$(reloads ok)
	add_gpu
	accepts_gpu nvidia-h100
	eventually 60 has_reloaded ok "$before" # counted after it is in use
	assert_equal "$pid" "$(webhook_pid)"
}

@test "a GPU that is removed from the catalog is refused without a restart" {
	sed '/nvidia-h100/d' "$catalog_file" >"$BATS_TEST_TMPDIR/less.yaml"
	put "$BATS_TEST_TMPDIR/less.yaml" "$catalog_file"
	eventually 60 refuses_gpu nvidia-h100
	accepts_gpu nvidia-a100
}

@test "a broken catalog keeps the old one in use, and says where it is broken" {
	local errors said
	add_gpu
	errors=$(reloads error)
	printf 'gpuTypes:\n  nvidia-a100: {products: 7}\n' >"$BATS_TEST_TMPDIR/broken.yaml"
	put "$BATS_TEST_TMPDIR/broken.yaml" "$catalog_file"
	eventually 60 has_reloaded error "$errors"
	accepts_gpu nvidia-x9000
	eventually 60 grep -h "$catalog_file.*gpuTypes.nvidia-a100.products" "$webhook_dir"/logs/webhook-*.log
	said=$(grep -h "$catalog_file" "$webhook_dir"/logs/webhook-*.log)
	assert_contains "$said" "the new catalog does not work; the old one stays in use"
	assert_contains "$said" "line 2: gpuTypes.nvidia-a100.products: Invalid value: must be a list, not a number"
}

@test "without its file the built-in catalog is used" {
	add_gpu
	rm "$catalog_file"
	eventually 60 refuses_gpu nvidia-x9000
	accepts_gpu nvidia-h100
}
