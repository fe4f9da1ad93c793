/* The registry of our kinds. */
#include "types/kind.h"

#include "types/jobflow.h"
#include "types/performer.h"

static const struct kind *const kinds[] = {&performer_kind, &jobflow_kind, &jobflow_template_kind};

const struct kind *const *kinds_all(size_t *count)
{
    *count = sizeof(kinds) / sizeof(kinds[0]);
    return kinds;
}

const struct kind *kind_find(struct str group, struct str version, struct str kind)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct kind *k = kinds[i];
        if (str_eq_cstr(group, k->group) && str_eq_cstr(version, k->version) &&
            str_eq_cstr(kind, k->kind))
            return k;
    }
    return NULL;
}

const struct kind *kind_find_by_api_version(struct str api_version, struct str kind)
{
    struct str group, version;
    str_cut(api_version, '/', &group, &version);
    return kind_find(group, version, kind);
}
