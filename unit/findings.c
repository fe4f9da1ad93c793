/* Comparing lists of errors with what is expected. */
#include "unit/findings.h"

#include "unit/support.h"

#include <string.h>

static bool is_expected(const struct err_item *item, const struct finding *expected)
{
    return expected->field && item->reason == expected->reason &&
           str_eq_cstr(item->field, expected->field) &&
           memmem(item->message.ptr, item->message.len, expected->part, strlen(expected->part));
}

void findings_assert(const struct err_list *list, const struct finding *expected,
                     const char *subject)
{
    const struct err_item *item = list->first;
    const struct finding *next = expected;
    while (item && is_expected(item, next)) {
        item = item->next;
        next++;
    }
    if (!item && !next->field && list->dropped == 0 && !list->out_of_memory)
        return;
    for (item = list->first; item; item = item->next)
        print_error("found:    %s %" PRIstr ": %" PRIstr "\n", err_reason_name(item->reason),
                    STR_ARG(item->field), STR_ARG(item->message));
    for (; expected->field; expected++)
        print_error("expected: %s %s: … %s …\n", err_reason_name(expected->reason), expected->field,
                    expected->part);
    fail_msg("%s: %zu found, %zu dropped%s", subject, list->count, list->dropped,
             list->out_of_memory ? ", out of memory" : "");
}
