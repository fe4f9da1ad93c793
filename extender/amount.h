/*
 * Amounts of the resources that the extender knows, as a pod asks for them and a node offers them.
 *
 * CPU is in thousandths of a core, memory in bytes, all else in units. MIG profiles have no fixed names:
 * a pod or node has its own short list of them (struct mig_list).
 */
#ifndef EXTENDER_AMOUNT_H
#define EXTENDER_AMOUNT_H

#include "json/json.h"

enum resource {
    RESOURCE_INDEX_CPU,
    RESOURCE_INDEX_MEMORY,
    RESOURCE_INDEX_GPUS,  /* nvidia.com/gpu */
    RESOURCE_INDEX_MILLI, /* callboard.dev/gpu-milli */
    /* What device plugins count of trusted execution: the names are those of Intel's SGX device plugin and
     * of the rules for Node Feature Discovery that Kata Containers ships. */
    RESOURCE_INDEX_SGX,  /* sgx.intel.com/epc, bytes */
    RESOURCE_INDEX_TDX,  /* tdx.intel.com/keys */
    RESOURCE_INDEX_SNP,  /* sev-snp.amd.com/esids */
    RESOURCE_INDEX_PODS, /* of a node */
    RESOURCE_COUNT,
};

enum { MIG_PROFILES_MAX = 6, MIG_NAME_MAX = 24 };

/* Whole GPU instances by profile: "1g.5gb" of nvidia.com/mig-1g.5gb. */
struct mig_list {
    unsigned count;
    struct {
        char name[MIG_NAME_MAX]; /* NUL-terminated; a longer one is passed over */
        int64_t amount;
    } profiles[MIG_PROFILES_MAX];
};

struct amounts {
    int64_t of[RESOURCE_COUNT];
};

/* "nvidia.com/gpu" and so on. */
struct str resource_name(enum resource resource);

/* From a list of resources (v1.ResourceList): what is missing is 0, negative amounts too, fractions are
 * rounded up as the scheduler does. `mig` may be NULL. Accepts NULL for `list`. */
void amounts_read(struct amounts *to, struct mig_list *mig, const struct json *list);

/* Sums do not overflow: they stay at the largest. */
int64_t amount_add(int64_t a, int64_t b);
void amounts_add(struct amounts *to, const struct amounts *other);
void amounts_max(struct amounts *to, const struct amounts *other);

/* 0 for what is not there. */
int64_t mig_amount(const struct mig_list *list, const char *name);
bool mig_same(const struct mig_list *a, const struct mig_list *b);
/* Negative amounts take away; one profile too many is passed over. */
void mig_add(struct mig_list *list, const char *name, int64_t amount);

#endif
