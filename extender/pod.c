/* Reading what a pod asks for. */
#include "extender/pod.h"

#include "schema/quantity.h"
#include "types/names.h"

/* ---- Amounts ---- */

static void read_requests(struct amounts *to, struct mig_list *mig, const struct json *container)
{
    const struct json *resources = json_get(container, STR("resources"));
    const struct json *requests = json_get(resources, STR("requests"));
    /* The apiserver fills absent requests from the limits; for extended resources both are equal. */
    amounts_read(to, mig, requests ? requests : json_get(resources, STR("limits")));
}

static void mig_add_all(struct mig_list *to, const struct mig_list *other)
{
    for (unsigned i = 0; i < other->count; i++)
        mig_add(to, other->profiles[i].name, other->profiles[i].amount);
}

static void mig_max(struct mig_list *to, const struct mig_list *other)
{
    for (unsigned i = 0; i < other->count; i++) {
        const char *name = other->profiles[i].name;
        int64_t more = other->profiles[i].amount - mig_amount(to, name);
        if (more > 0)
            mig_add(to, name, more);
    }
}

static bool is_sidecar(const struct json *container)
{
    return str_eq(json_str(json_get(container, STR("restartPolicy"))), STR("Always"));
}

/* Init containers run one after the other before the others, beside the sidecars that came before them
 * (k8s.io/component-helpers resource/helpers.go, AggregateContainerRequests). */
static void read_init(struct pod *pod, const struct json *containers)
{
    struct amounts sidecars = {0}, most = {0};
    struct mig_list mig_sidecars = {0}, mig_most = {0};
    JSON_EACH (container, containers) {
        struct amounts own;
        struct mig_list mig;
        read_requests(&own, &mig, container);
        if (is_sidecar(container)) {
            amounts_add(&sidecars, &own);
            mig_add_all(&mig_sidecars, &mig);
            own = sidecars;
            mig = mig_sidecars;
        } else {
            amounts_add(&own, &sidecars);
            mig_add_all(&mig, &mig_sidecars);
        }
        amounts_max(&most, &own);
        mig_max(&mig_most, &mig);
    }
    amounts_add(&pod->amounts, &sidecars);
    mig_add_all(&pod->mig, &mig_sidecars);
    amounts_max(&pod->amounts, &most);
    mig_max(&pod->mig, &mig_most);
}

/* Requests of the pod as a whole stand for the sum of its containers (KEP 2837). */
static void read_whole(struct pod *pod, const struct json *spec)
{
    static const enum resource whole[] = {RESOURCE_INDEX_CPU, RESOURCE_INDEX_MEMORY};
    const struct json *requests = kube_at(spec, "resources", "requests", NULL);
    struct amounts given, overhead;
    amounts_read(&given, NULL, requests);
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        if (json_get(requests, resource_name(whole[i])))
            pod->amounts.of[whole[i]] = given.of[whole[i]];
    }
    amounts_read(&overhead, NULL, json_get(spec, STR("overhead")));
    amounts_add(&pod->amounts, &overhead);
}

static void read_amounts(struct pod *pod, const struct json *spec)
{
    JSON_EACH (container, json_get(spec, STR("containers"))) {
        struct amounts own;
        struct mig_list mig;
        read_requests(&own, &mig, container);
        amounts_add(&pod->amounts, &own);
        mig_add_all(&pod->mig, &mig);
    }
    read_init(pod, json_get(spec, STR("initContainers")));
    read_whole(pod, spec);
    pod->amounts.of[RESOURCE_INDEX_PODS] = 1;
}

/* ---- GPUs ---- */

bool pod_parse_cuda(struct str text, int32_t *ret)
{
    struct str major_text, minor_text;
    int64_t major, minor = 0;
    str_cut(text, '.', &major_text, &minor_text);
    if (!str_to_int64(major_text, &major) || major < 1 || major > 999)
        return false;
    if (str_is_set(minor_text) && (!str_to_int64(minor_text, &minor) || minor < 0 || minor > 999))
        return false;
    *ret = (int32_t)(1000 * major + minor);
    return true;
}

static void set_fault(struct pod *pod, bool has_fault, enum pod_fault fault)
{
    if (has_fault && pod->fault == POD_IS_SOUND)
        pod->fault = fault;
}

static void read_gpu_wishes(struct pod *pod)
{
    const struct json *annotations = pod->meta.annotations;
    struct str memory = kube_map_get(annotations, STR(ANNOTATION_GPU_MEMORY));
    struct str cuda = kube_map_get(annotations, STR(ANNOTATION_CUDA_VERSION));
    struct quantity quantity;
    const __int128 mebibyte = (__int128)1048576 * 1000000000;
    if (str_is_set(memory)) {
        bool is_good = quantity_parse(memory, &quantity) && quantity_sign(quantity) > 0;
        set_fault(pod, !is_good, POD_BAD_MEMORY);
        if (is_good && quantity.nano / mebibyte < INT64_MAX)
            pod->gpu_memory_mib = (int64_t)((quantity.nano + mebibyte - 1) / mebibyte);
    }
    if (str_is_set(cuda))
        set_fault(pod, !pod_parse_cuda(cuda, &pod->cuda), POD_BAD_CUDA);
    pod->wants_spread = str_eq(kube_map_get(annotations, STR(ANNOTATION_PACKING)), STR("Spread"));
    int64_t milli = pod->amounts.of[RESOURCE_INDEX_MILLI];
    bool wants_counted = pod->amounts.of[RESOURCE_INDEX_GPUS] > 0 || pod->mig.count > 0;
    set_fault(pod, milli > NODE_DEVICE_MILLI && milli % NODE_DEVICE_MILLI != 0, POD_BAD_MILLI);
    set_fault(pod, milli > 0 && wants_counted, POD_MIXES_MODES);
}

/* The list of products of one term of node affinity, or NULL. */
static const struct json *products_of(const struct json *term)
{
    JSON_EACH (expression, json_get(term, STR("matchExpressions"))) {
        if (str_eq(json_str(json_get(expression, STR("key"))), STR(LABEL_GPU_PRODUCT)) &&
            str_eq(json_str(json_get(expression, STR("operator"))), STR("In")))
            return json_get(expression, STR("values"));
    }
    return NULL;
}

/* Terms are alternatives: one that names no product accepts any. */
static void read_products(struct pod *pod, const struct json *spec)
{
    const struct json *terms =
        kube_at(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution",
                "nodeSelectorTerms", NULL);
    JSON_EACH (term, terms) {
        const struct json *products = products_of(term);
        if (!products || pod->product_lists == POD_PRODUCT_LISTS_MAX) {
            pod->product_lists = 0;
            return;
        }
        pod->products[pod->product_lists++] = products;
    }
}

/* ---- Trusted execution ---- */

static bool lists(const struct json *names, struct str name)
{
    JSON_EACH (entry, names) {
        if (str_eq(json_str(entry), name))
            return true;
    }
    return false;
}

static bool selects(const struct json *selector, const struct json *wanted)
{
    JSON_EACH (label, wanted) {
        if (!str_eq(kube_map_get(selector, json_key(label)), json_str(label)))
            return false;
    }
    return json_first(wanted) != NULL;
}

static int resource_of_tee(struct str name)
{
    if (str_eq(name, STR("sgx")))
        return RESOURCE_INDEX_SGX;
    if (str_eq(name, STR("tdx")))
        return RESOURCE_INDEX_TDX;
    return str_eq(name, STR("sev-snp")) ? RESOURCE_INDEX_SNP : -1;
}

static void read_tee(struct pod *pod, const struct json *spec, const struct catalog *catalog)
{
    struct str class = json_str(json_get(spec, STR("runtimeClassName")));
    const struct json *selector = json_get(spec, STR("nodeSelector"));
    uint32_t by_class = 0, by_selector = 0;
    bool is_foreign = false; /* selects an environment that its RuntimeClass cannot use */
    for (size_t i = 0; i < catalog->tee_count && i < NODE_TEES_MAX; i++) {
        const struct tee *tee = &catalog->tees[i];
        bool is_listed = class.len > 0 && lists(tee->runtime_classes, class);
        bool is_selected = selects(selector, tee->node_selector);
        by_class |= (uint32_t)is_listed << i;
        by_selector |= (uint32_t)is_selected << i;
        is_foreign = is_foreign || (is_selected && !is_listed && class.len > 0 &&
                                    json_first(tee->runtime_classes));
    }
    uint32_t both = by_class & by_selector;
    set_fault(pod, both == 0 && is_foreign, POD_TEE_CONFLICT);
    if (both)
        pod->tees = both;
    else
        pod->tees = by_class ? by_class : by_selector;
    pod->is_confidential =
        by_class && class.len > 0 && memmem(class.ptr, class.len, "nvidia-gpu", 10) != NULL;
    if (pod->tees)
        pod->tee_resource = resource_of_tee(catalog->tees[__builtin_ctz(pod->tees)].name);
    int key = pod_key_of_class(catalog, class);
    if (key >= 0 && pod->amounts.of[key] == 0)
        pod->amounts.of[key] = 1;
}

int pod_key_of_class(const struct catalog *catalog, struct str runtime_class)
{
    for (size_t i = 0; runtime_class.len > 0 && i < catalog->tee_count; i++) {
        int resource = resource_of_tee(catalog->tees[i].name);
        /* An enclave's memory is what is asked for, and no more. */
        if ((resource == RESOURCE_INDEX_TDX || resource == RESOURCE_INDEX_SNP) &&
            lists(catalog->tees[i].runtime_classes, runtime_class))
            return resource;
    }
    return -1;
}

/* ---- Preferences ---- */

/* By default kube-scheduler spreads what these make (pkg/scheduler/framework/plugins/podtopologyspread). */
static bool is_of_many(const struct json *metadata)
{
    JSON_EACH (owner, json_get(metadata, STR("ownerReferences"))) {
        struct str kind = json_str(json_get(owner, STR("kind")));
        if (str_eq(kind, STR("ReplicaSet")) || str_eq(kind, STR("StatefulSet")) ||
            str_eq(kind, STR("ReplicationController")))
            return true;
    }
    return false;
}

static bool has_preferences(const struct json *object, const struct json *spec)
{
    const struct json *affinity = json_get(spec, STR("affinity"));
    const struct json *wishes[] = {
        kube_at(affinity, "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution", NULL),
        json_get(affinity, STR("podAffinity")),
        json_get(affinity, STR("podAntiAffinity")),
        json_get(spec, STR("topologySpreadConstraints")),
    };
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        if (json_first(wishes[i]))
            return true;
    }
    return is_of_many(json_get(object, STR("metadata")));
}

/* ---- All ---- */

/* Filled by the apiserver's admission; without it 0 (k8s.io/component-helpers corev1.PodPriority). */
static int32_t read_priority(const struct json *spec)
{
    int64_t priority = 0;
    if (!json_int64(json_get(spec, STR("priority")), &priority) || priority > INT32_MAX ||
        priority < INT32_MIN)
        return 0;
    return (int32_t)priority;
}

void pod_read(struct pod *pod, const struct json *object, const struct catalog *catalog)
{
    const struct json *spec = json_get(object, STR("spec"));
    *pod = (struct pod){.tee_resource = -1};
    kube_meta_read(object, &pod->meta);
    pod->node = json_str(json_get(spec, STR("nodeName")));
    pod->scheduler = json_str(json_get(spec, STR("schedulerName")));
    pod->priority = read_priority(spec);
    pod->may_preempt = !str_eq(json_str(json_get(spec, STR("preemptionPolicy"))), STR("Never"));
    read_amounts(pod, spec);
    read_gpu_wishes(pod);
    read_products(pod, spec);
    if (catalog)
        read_tee(pod, spec, catalog);
    const struct json *labels = pod->meta.labels;
    pod->has_preferences = has_preferences(object, spec);
    pod->has_claims = json_first(json_get(spec, STR("resourceClaims"))) != NULL;
    pod->is_urgent = str_eq(kube_map_get(labels, STR(LABEL_PRIORITY)), STR(PRIORITY_HIGH));
    pod->is_ours = str_eq(kube_map_get(labels, STR(LABEL_MANAGED_BY)), STR(MANAGED_BY));
    struct str phase = kube_text_at(object, "status", "phase", NULL);
    pod->has_ended = str_eq(phase, STR("Succeeded")) || str_eq(phase, STR("Failed"));
    pod->is_nominated = kube_text_at(object, "status", "nominatedNodeName", NULL).len > 0;
    pod->devices = kube_map_get(pod->meta.annotations, STR(ANNOTATION_DEVICES));
}

bool pod_wants_gpu(const struct pod *pod)
{
    return pod->amounts.of[RESOURCE_INDEX_GPUS] > 0 || pod->amounts.of[RESOURCE_INDEX_MILLI] > 0 ||
           pod->mig.count > 0;
}

bool pod_accepts_product(const struct pod *pod, struct str product)
{
    for (unsigned i = 0; i < pod->product_lists; i++) {
        if (lists(pod->products[i], product))
            return true;
    }
    return pod->product_lists == 0;
}

void pod_load_of(const struct pod *pod, uint64_t devices, struct pod_load *ret)
{
    *ret = (struct pod_load){
        .amounts = pod->amounts, .mig = pod->mig, .devices = devices, .is_ours = pod->is_ours};
}
