/* The extender's rules, in the order in which their reasons help most. */
#include "extender/filter.h"

#include "base/clock.h"
#include "types/names.h"

/* ---- Texts ---- */

struct verdict_text {
    struct str reason;
    struct str help;
    bool is_unresolvable;
};

/* The controller tells hardware from other reasons by their first words (controller/performer_status.c). */
static const struct verdict_text texts[VERDICT_COUNT] = {
    [VERDICT_FITS] = {STR_INIT("fits"), STR_INIT(""), false},
    [VERDICT_MIXES_MODES] = {STR_INIT("GPU: the pod asks for whole GPUs and for gpu-milli"),
                             STR_INIT("ask for " RESOURCE_GPU " or for " RESOURCE_GPU_MILLI
                                      ", not for both"),
                             true},
    [VERDICT_BAD_MILLI] = {STR_INIT("GPU: gpu-milli above 1000 must be a multiple of 1000"),
                           STR_INIT("ask for a share of one GPU, or for whole ones"), true},
    [VERDICT_TEE_CONFLICT] = {STR_INIT("TEE: the RuntimeClass is of another TEE than the node "
                                       "selector"),
                              STR_INIT("leave runtimeClass out, or name one that the catalog lists "
                                       "for the TEE"),
                              true},
    [VERDICT_BAD_MEMORY] = {STR_INIT("GPU: " ANNOTATION_GPU_MEMORY " is no quantity"),
                            STR_INIT("write it like 40Gi"), true},
    [VERDICT_BAD_CUDA] = {STR_INIT("CUDA: " ANNOTATION_CUDA_VERSION " is no version"),
                          STR_INIT("write it like 12.4"), true},
    [VERDICT_UNKNOWN_NODE] = {STR_INIT("the extender has not seen the node yet"),
                              STR_INIT("wait; the node is new"), false},
    [VERDICT_NOT_READY] = {STR_INIT("the node is not Ready"),
                           STR_INIT("repair the node, or wait until it is replaced"), true},
    [VERDICT_HEARTBEAT] = {STR_INIT("the node's heartbeat is overdue"),
                           STR_INIT("look at its kubelet, or wait until it is replaced"), true},
    [VERDICT_DRAINING] = {STR_INIT("the node is being drained"),
                          STR_INIT("uncordon it; pods of priority high may use it where it has the "
                                   "label " LABEL_DRAIN_ALLOWS_URGENT),
                          true},
    [VERDICT_NO_GPU] = {STR_INIT("GPU: the node has none"), STR_INIT("add nodes with GPUs"), true},
    [VERDICT_IS_SHARED] = {STR_INIT("GPU: the node shares its GPUs, the pod wants whole ones"),
                           STR_INIT("ask for " RESOURCE_GPU_MILLI
                                    ", or add nodes whose GPUs are not shared"),
                           true},
    [VERDICT_IS_NOT_SHARED] = {STR_INIT("GPU: the node does not share its GPUs"),
                               STR_INIT("set the label " LABEL_GPU_MODE "=" GPU_MODE_SHARED
                                        " on nodes that may, or ask for whole GPUs"),
                               true},
    [VERDICT_PRODUCT] = {STR_INIT("GPU: of another type"),
                         STR_INIT("ask for another gpuType, or add nodes of this one"), true},
    [VERDICT_TOO_FEW_DEVICES] = {STR_INIT("GPU: the node has fewer GPUs than the pod wants"),
                                 STR_INIT("ask for fewer, or add larger nodes"), true},
    [VERDICT_NO_MIG] = {STR_INIT("GPU: the node does not have this MIG profile"),
                        STR_INIT("ask for another profile, or divide a GPU into it"), true},
    [VERDICT_MEMORY] = {STR_INIT("GPU: too little memory"),
                        STR_INIT("ask for less gpuMemory, or add nodes with larger GPUs"), true},
    [VERDICT_MEMORY_UNKNOWN] = {STR_INIT("GPU: memory unknown"),
                                STR_INIT("run GPU Feature Discovery, which sets " LABEL_GPU_MEMORY),
                                true},
    [VERDICT_CUDA] = {STR_INIT("CUDA: the driver is too old"),
                      STR_INIT("ask for an older cudaVersion, or update the driver"), true},
    [VERDICT_CUDA_UNKNOWN] = {STR_INIT("CUDA: version unknown"),
                              STR_INIT("run GPU Feature Discovery, which sets "
                                       "nvidia.com/cuda.runtime-version.major"),
                              true},
    [VERDICT_NO_TEE] = {STR_INIT("TEE: the node does not have the TEE"),
                        STR_INIT("add nodes that have it; the catalog tells by which labels they "
                                 "are known"),
                        true},
    [VERDICT_TEE_UNCOUNTED] = {STR_INIT("TEE: the node has no capacity for it"),
                               STR_INIT("look at its device plugin and its firmware's settings"),
                               true},
    [VERDICT_NOT_CONFIDENTIAL] = {STR_INIT("TEE: the node's GPUs are not confidential"),
                                  STR_INIT("set " LABEL_CONFIDENTIAL_GPU " to on by NVIDIA's "
                                           "confidential computing manager"),
                                  true},
    [VERDICT_NOT_ATTESTED] = {STR_INIT("TEE: the node's confidential GPUs are not ready"),
                              STR_INIT("wait for " LABEL_CONFIDENTIAL_READY), true},
    [VERDICT_CONFIDENTIAL] = {STR_INIT("TEE: the node's GPUs are for confidential pods only"),
                              STR_INIT("ask for a RuntimeClass for confidential GPUs, or add other "
                                       "nodes"),
                              true},
    [VERDICT_SHARE_TAKEN] = {STR_INIT("GPU: no device has enough left for the share"),
                             STR_INIT("wait until shares come free, ask for a smaller one, or add "
                                      "nodes"),
                             false},
    [VERDICT_DEVICES_TAKEN] = {STR_INIT("GPU: too few whole devices are free"),
                               STR_INIT("wait until GPUs come free, ask for fewer, or add nodes"),
                               false},
    [VERDICT_STRAY] = {STR_INIT("GPU: a pod without " ANNOTATION_DEVICES " uses the node's GPUs"),
                       STR_INIT("delete that pod; all pods with " RESOURCE_GPU_MILLI
                                " must go through a scheduler with the extender"),
                       false},
    [VERDICT_MIG_TAKEN] = {STR_INIT("GPU: too few instances of the MIG profile are free"),
                           STR_INIT("wait until some come free, or divide more GPUs"), false},
    [VERDICT_TEE_TAKEN] = {STR_INIT("TEE: all capacity is taken"),
                           STR_INIT("wait until pods with the TEE end, or add nodes"), false},
    [VERDICT_MAX_JOBS] = {STR_INIT("the node has its " ANNOTATION_MAX_JOBS),
                          STR_INIT("wait until pods end, or raise the annotation"), false},
    [VERDICT_GPUS_TAKEN] = {STR_INIT("GPU: too few are free"),
                            STR_INIT("wait until GPUs come free, ask for fewer, or add nodes"),
                            false},
    [VERDICT_CPU_TAKEN] = {STR_INIT("too little CPU is free"),
                           STR_INIT("wait, ask for less, or add nodes"), false},
    [VERDICT_MEMORY_TAKEN] = {STR_INIT("too little memory is free"),
                              STR_INIT("wait, ask for less, or add nodes"), false},
    [VERDICT_PODS_TAKEN] = {STR_INIT("the node has as many pods as it takes"),
                            STR_INIT("wait, or add nodes"), false},
};

struct str verdict_reason(enum verdict verdict)
{
    return texts[verdict].reason;
}

struct str verdict_help(enum verdict verdict)
{
    return texts[verdict].help;
}

bool verdict_is_unresolvable(enum verdict verdict)
{
    return texts[verdict].is_unresolvable;
}

/* ---- Workers ---- */

struct str worker_state_name(enum worker_state state)
{
    static const struct str names[WORKER_STATES] = {
        [WORKER_AVAILABLE] = STR_INIT("Available"), [WORKER_RUNNING] = STR_INIT("Running"),
        [WORKER_DRAINING] = STR_INIT("Draining"),   [WORKER_UNHEALTHY] = STR_INIT("Unhealthy"),
        [WORKER_FAILED] = STR_INIT("Failed"),
    };
    return names[state];
}

enum worker_state worker_state_of(const struct node *node, int64_t heartbeat_age_ns)
{
    if (!node->facts->is_ready || heartbeat_age_ns > HEARTBEAT_FAILED_S * CLOCK_NS_PER_SEC)
        return WORKER_FAILED;
    if (heartbeat_age_ns > HEARTBEAT_OVERDUE_S * CLOCK_NS_PER_SEC)
        return WORKER_UNHEALTHY;
    if (node->facts->is_cordoned)
        return WORKER_DRAINING;
    return node->load.jobs > 0 ? WORKER_RUNNING : WORKER_AVAILABLE;
}

static enum verdict judge_worker(const struct pod *pod, const struct node *node,
                                 int64_t heartbeat_age_ns)
{
    const struct node_facts *facts = node->facts;
    if (!facts->is_ready)
        return VERDICT_NOT_READY;
    if (heartbeat_age_ns > HEARTBEAT_OVERDUE_S * CLOCK_NS_PER_SEC)
        return VERDICT_HEARTBEAT;
    if (facts->is_cordoned && !(pod->is_urgent && facts->allows_urgent))
        return VERDICT_DRAINING;
    return VERDICT_FITS;
}

/* ---- The pod by itself ---- */

static enum verdict judge_pod(const struct pod *pod)
{
    static const enum verdict faults[] = {
        [POD_IS_SOUND] = VERDICT_FITS,         [POD_MIXES_MODES] = VERDICT_MIXES_MODES,
        [POD_BAD_MILLI] = VERDICT_BAD_MILLI,   [POD_TEE_CONFLICT] = VERDICT_TEE_CONFLICT,
        [POD_BAD_MEMORY] = VERDICT_BAD_MEMORY, [POD_BAD_CUDA] = VERDICT_BAD_CUDA,
    };
    return faults[pod->fault];
}

/* ---- Trusted execution ---- */

static enum verdict judge_tee(const struct pod *pod, const struct node *node)
{
    const struct node_facts *facts = node->facts;
    if (pod->tees == 0)
        return VERDICT_FITS;
    if (!(facts->tees & pod->tees))
        return VERDICT_NO_TEE;
    if (pod->is_confidential && !facts->is_confidential)
        return VERDICT_NOT_CONFIDENTIAL;
    if (pod->is_confidential && !facts->is_attested)
        return VERDICT_NOT_ATTESTED;
    int resource = pod->tee_resource;
    if (resource < 0 || !(facts->counted >> resource & 1))
        return VERDICT_FITS;
    int64_t capacity = facts->capacity.of[resource], wanted = pod->amounts.of[resource];
    if (capacity == 0 || wanted > capacity)
        return VERDICT_TEE_UNCOUNTED;
    return wanted > capacity - node->load.amounts.of[resource] ? VERDICT_TEE_TAKEN : VERDICT_FITS;
}

/* ---- GPUs ---- */

static enum verdict judge_gpu_kind(const struct pod *pod, const struct node_facts *facts)
{
    if (!pod_accepts_product(pod, facts->product))
        return VERDICT_PRODUCT;
    if (facts->is_confidential && !pod->is_confidential)
        return VERDICT_CONFIDENTIAL;
    if (pod->gpu_memory_mib > 0 && facts->gpu_memory_mib < pod->gpu_memory_mib)
        return facts->gpu_memory_mib == 0 ? VERDICT_MEMORY_UNKNOWN : VERDICT_MEMORY;
    if (pod->cuda > 0 && facts->cuda < pod->cuda)
        return facts->cuda == 0 ? VERDICT_CUDA_UNKNOWN : VERDICT_CUDA;
    return VERDICT_FITS;
}

static enum verdict judge_shared(const struct pod *pod, const struct node *node)
{
    int64_t milli = pod->amounts.of[RESOURCE_INDEX_MILLI];
    if (node->facts->gpu_mode != GPU_MODE_IS_SHARED)
        return node->facts->gpu_mode == GPU_MODE_IS_NONE ? VERDICT_NO_GPU : VERDICT_IS_NOT_SHARED;
    enum verdict kind = judge_gpu_kind(pod, node->facts);
    if (kind != VERDICT_FITS)
        return kind;
    if (milli > (int64_t)node->facts->device_count * NODE_DEVICE_MILLI)
        return VERDICT_TOO_FEW_DEVICES;
    /* Which devices such a pod uses is not known: all of them must count as taken. */
    if (node_has_stray(node))
        return VERDICT_STRAY;
    if (node_choose_devices(node, milli, false))
        return VERDICT_FITS;
    return milli < NODE_DEVICE_MILLI ? VERDICT_SHARE_TAKEN : VERDICT_DEVICES_TAKEN;
}

static enum verdict judge_mig(const struct pod *pod, const struct node *node)
{
    for (unsigned i = 0; i < pod->mig.count; i++) {
        const char *name = pod->mig.profiles[i].name;
        int64_t wanted = pod->mig.profiles[i].amount, has = mig_amount(&node->facts->mig, name);
        if (wanted > has)
            return VERDICT_NO_MIG;
        if (wanted > has - mig_amount(&node->load.mig, name))
            return VERDICT_MIG_TAKEN;
    }
    return VERDICT_FITS;
}

static enum verdict judge_counted(const struct pod *pod, const struct node *node)
{
    const struct node_facts *facts = node->facts;
    if (facts->gpu_mode == GPU_MODE_IS_SHARED)
        return VERDICT_IS_SHARED;
    if (facts->gpu_mode == GPU_MODE_IS_NONE)
        return VERDICT_NO_GPU;
    enum verdict kind = judge_gpu_kind(pod, facts);
    if (kind != VERDICT_FITS)
        return kind;
    if (pod->amounts.of[RESOURCE_INDEX_GPUS] > facts->capacity.of[RESOURCE_INDEX_GPUS])
        return VERDICT_TOO_FEW_DEVICES;
    return judge_mig(pod, node);
}

static enum verdict judge_gpu(const struct pod *pod, const struct node *node)
{
    /* A claim is for the drivers of dynamic resource allocation. */
    if (pod->has_claims || !pod_wants_gpu(pod))
        return VERDICT_FITS;
    return pod->amounts.of[RESOURCE_INDEX_MILLI] > 0 ? judge_shared(pod, node)
                                                     : judge_counted(pod, node);
}

/* ---- All ---- */

enum verdict filter_judge(const struct pod *pod, const struct node *node, int64_t heartbeat_age_ns)
{
    enum verdict verdict = judge_pod(pod);
    if (verdict == VERDICT_FITS)
        verdict = judge_worker(pod, node, heartbeat_age_ns);
    if (verdict == VERDICT_FITS)
        verdict = judge_tee(pod, node);
    if (verdict == VERDICT_FITS)
        verdict = judge_gpu(pod, node);
    if (verdict == VERDICT_FITS && pod->is_ours && node->facts->max_jobs >= 0 &&
        node->load.jobs >= node->facts->max_jobs)
        verdict = VERDICT_MAX_JOBS;
    return verdict;
}

enum verdict filter_judge_all(const struct pod *pod, const struct node *node,
                              int64_t heartbeat_age_ns)
{
    static const struct {
        enum resource resource;
        enum verdict verdict;
    } sums[] = {
        {RESOURCE_INDEX_GPUS, VERDICT_GPUS_TAKEN},
        {RESOURCE_INDEX_CPU, VERDICT_CPU_TAKEN},
        {RESOURCE_INDEX_MEMORY, VERDICT_MEMORY_TAKEN},
        {RESOURCE_INDEX_PODS, VERDICT_PODS_TAKEN},
    };
    enum verdict verdict = filter_judge(pod, node, heartbeat_age_ns);
    for (size_t i = 0; verdict == VERDICT_FITS && i < sizeof(sums) / sizeof(sums[0]); i++) {
        enum resource r = sums[i].resource;
        int64_t wanted = pod->amounts.of[r];
        if (wanted > 0 && wanted > node->facts->capacity.of[r] - node->load.amounts.of[r])
            verdict = sums[i].verdict;
    }
    return verdict;
}
