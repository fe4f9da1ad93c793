/* Advertising shares of GPUs. */
#include "controller/node_gpu.h"

#include "controller/performer_parts.h"
#include "controller/plan.h"
#include "schema/quantity.h"
#include "types/names.h"

enum { MILLI_PER_GPU = 1000, GPUS_MAX = 64 /* as many as the extender gives out */ };

static int64_t amount_of(const struct json *node, const char *list)
{
    struct quantity quantity;
    int64_t amount;
    const struct json *value = kube_at(node, "status", list, RESOURCE_GPU_MILLI, NULL);
    return quantity_from_json(value, &quantity) && quantity_to_int64(quantity, &amount) ? amount
                                                                                        : 0;
}

void node_gpu_read(struct node_gpu *ret, const struct json *node, const struct kube_meta *meta)
{
    int64_t count;
    bool is_shared = str_eq(kube_map_get(meta->labels, STR(LABEL_GPU_MODE)), STR(GPU_MODE_SHARED));
    if (!is_shared || !str_to_int64(kube_map_get(meta->labels, STR(LABEL_GPU_COUNT)), &count) ||
        count < 0)
        count = 0;
    *ret = (struct node_gpu){
        .wanted = (count < GPUS_MAX ? count : GPUS_MAX) * MILLI_PER_GPU,
        .capacity = amount_of(node, "capacity"),
        .allocatable = amount_of(node, "allocatable"),
    };
}

static void put_amount(struct manifest *m, struct json *status, const char *list, int64_t wanted)
{
    struct json *resources = manifest_put_object(m, status, list);
    if (wanted == 0)
        manifest_put_null(m, resources, STR(RESOURCE_GPU_MILLI));
    else
        manifest_put_str(m, resources, RESOURCE_GPU_MILLI,
                         manifest_printf(m, "%lld", (long long)wanted));
}

int node_gpu_reconcile(void *ctx, struct queue_key key, struct moment now, struct plan *plan,
                       struct err *err)
{
    (void)now;
    const struct store *nodes = ctx;
    const struct stored *stored = store_get(nodes, key.namespace, key.name);
    const struct performer_node *node = (const struct performer_node *)stored;
    if (!node || stored->is_deleting || !node_gpu_is_wrong(&node->gpu))
        return 0;
    struct manifest m = {.arena = plan->arena};
    struct json *patch = manifest_object(&m), *status = manifest_put_object(&m, patch, "status");
    put_amount(&m, status, "capacity", node->gpu.wanted);
    put_amount(&m, status, "allocatable", node->gpu.wanted);
    struct action action =
        plan_patch(&m, ACTION_PATCH_MERGE, &kube_nodes, stored, patch, "advertise gpu-milli");
    if (m.failed)
        return err_no_memory(err, "advertising shares of GPUs");
    action.subresource = STR("status");
    plan->actions[plan->action_count++] = action;
    return 0;
}
