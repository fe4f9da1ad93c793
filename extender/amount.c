/* Reading and adding amounts of resources. */
#include "extender/amount.h"

#include "schema/quantity.h"
#include "types/names.h"

static const struct str names[RESOURCE_COUNT] = {
    [RESOURCE_INDEX_CPU] = STR_INIT("cpu"),
    [RESOURCE_INDEX_MEMORY] = STR_INIT("memory"),
    [RESOURCE_INDEX_GPUS] = STR_INIT(RESOURCE_GPU),
    [RESOURCE_INDEX_MILLI] = STR_INIT(RESOURCE_GPU_MILLI),
    [RESOURCE_INDEX_SGX] = STR_INIT("sgx.intel.com/epc"),
    [RESOURCE_INDEX_TDX] = STR_INIT("tdx.intel.com/keys"),
    [RESOURCE_INDEX_SNP] = STR_INIT("sev-snp.amd.com/esids"),
    [RESOURCE_INDEX_PODS] = STR_INIT("pods"),
};

struct str resource_name(enum resource resource)
{
    return names[resource];
}

/* `unit` billionths make one. */
static int64_t read_amount(const struct json *value, int64_t unit)
{
    struct quantity quantity;
    if (!quantity_from_json(value, &quantity) || quantity_sign(quantity) <= 0)
        return 0;
    __int128 whole = (quantity.nano + unit - 1) / unit;
    return whole > INT64_MAX ? INT64_MAX : (int64_t)whole;
}

static void read_mig(struct mig_list *mig, struct str key, const struct json *value)
{
    static const struct str prefix = STR_INIT("nvidia.com/mig-");
    if (!mig || !str_starts_with(key, prefix) || key.len - prefix.len >= MIG_NAME_MAX)
        return;
    char name[MIG_NAME_MAX] = {0};
    memcpy(name, key.ptr + prefix.len, key.len - prefix.len);
    mig_add(mig, name, read_amount(value, 1000000000));
}

void amounts_read(struct amounts *to, struct mig_list *mig, const struct json *list)
{
    *to = (struct amounts){0};
    if (mig)
        mig->count = 0;
    JSON_EACH (value, list) {
        struct str key = json_key(value);
        size_t i = 0;
        while (i < RESOURCE_COUNT && !str_eq(key, names[i]))
            i++;
        if (i < RESOURCE_COUNT)
            to->of[i] = read_amount(value, i == RESOURCE_INDEX_CPU ? 1000000 : 1000000000);
        else
            read_mig(mig, key, value);
    }
}

int64_t amount_add(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void amounts_add(struct amounts *to, const struct amounts *other)
{
    for (size_t i = 0; i < RESOURCE_COUNT; i++)
        to->of[i] = amount_add(to->of[i], other->of[i]);
}

void amounts_max(struct amounts *to, const struct amounts *other)
{
    for (size_t i = 0; i < RESOURCE_COUNT; i++) {
        if (other->of[i] > to->of[i])
            to->of[i] = other->of[i];
    }
}

int64_t mig_amount(const struct mig_list *list, const char *name)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (strcmp(list->profiles[i].name, name) == 0)
            return list->profiles[i].amount;
    }
    return 0;
}

bool mig_same(const struct mig_list *a, const struct mig_list *b)
{
    bool is_same = a->count == b->count;
    for (unsigned i = 0; is_same && i < a->count; i++)
        is_same = mig_amount(b, a->profiles[i].name) == a->profiles[i].amount;
    return is_same;
}

void mig_add(struct mig_list *list, const char *name, int64_t amount)
{
    unsigned i = 0;
    while (i < list->count && strcmp(list->profiles[i].name, name) != 0)
        i++;
    if (i < list->count) {
        list->profiles[i].amount = amount_add(list->profiles[i].amount, amount);
        if (list->profiles[i].amount == 0)
            list->profiles[i] = list->profiles[--list->count];
        return;
    }
    if (i == MIG_PROFILES_MAX || amount == 0)
        return;
    memset(&list->profiles[i], 0, sizeof(list->profiles[i]));
    memcpy(list->profiles[i].name, name, strnlen(name, MIG_NAME_MAX - 1));
    list->profiles[i].amount = amount;
    list->count++;
}
