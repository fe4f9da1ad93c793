/*
 * The life of a Performer as documented (docs/performers.md): which phases follow which, and which stages
 * belong to each.
 *
 *   Pending → Running, Failed            Upgrading → Running, Failed, Pending
 *   Running → Upgrading, Failed, Pending    Failed → Pending, Upgrading, Running
 *   all → Terminating, which nothing leaves
 *
 * What is seen together is one write. So with BlueGreen, where a pod can serve and be replaced before its
 * first status is written, Upgrading may follow Pending or nothing: it has been running in between.
 */
#ifndef UNIT_SIM_TRANSITIONS_H
#define UNIT_SIM_TRANSITIONS_H

#include "json/json.h"

/* What is wrong with the change from one status (NULL: none was written) to another, or NULL. */
const char *transition_check(const struct json *before, const struct json *after,
                             bool is_blue_green);

#endif
