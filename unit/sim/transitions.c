/* Phases, stages, and what follows what. */
#include "unit/sim/transitions.h"

enum { PENDING, RUNNING, UPGRADING, FAILED, TERMINATING, PHASES };

#define BIT(phase) (1U << (phase))

static const struct {
    const char *name;
    unsigned next; /* besides itself and Terminating */
    const char *stages[16];
} phases[PHASES] = {
    [PENDING] = {"Pending",
                 BIT(RUNNING) | BIT(FAILED),
                 {"Creating", "PodCreation", "Scheduling", "NodeSelection", "HardwareValidation",
                  "PodBinding", "ImagePull", "ContainerStart", "ServiceCreation"}},
    [RUNNING] = {"Running", BIT(UPGRADING) | BIT(FAILED) | BIT(PENDING), {"Running"}},
    [UPGRADING] = {"Upgrading",
                   BIT(RUNNING) | BIT(FAILED) | BIT(PENDING),
                   {"Upgrading", "PodRecreation", "Creating", "PodCreation", "Scheduling",
                    "NodeSelection", "HardwareValidation", "PodBinding", "ImagePull",
                    "ContainerStart", "ServiceCreation", "Failed"}},
    [FAILED] = {"Failed", BIT(PENDING) | BIT(UPGRADING) | BIT(RUNNING), {"Failed"}},
    [TERMINATING] = {"Terminating", 0, {"Terminating", "ServiceCleanup", "PodCleanup"}},
};

static struct str text_of(const struct json *status, const char *key)
{
    return json_str(json_get(status, str_from_cstr(key)));
}

static int find_phase(struct str name)
{
    for (int i = 0; i < PHASES; i++) {
        if (str_eq_cstr(name, phases[i].name))
            return i;
    }
    return PHASES;
}

static bool has_stage(int phase, struct str stage)
{
    for (size_t i = 0; i < 16 && phases[phase].stages[i]; i++) {
        if (str_eq_cstr(stage, phases[phase].stages[i]))
            return true;
    }
    return false;
}

const char *transition_check(const struct json *before, const struct json *after,
                             bool is_blue_green)
{
    int to = find_phase(text_of(after, "phase"));
    if (to == PHASES)
        return "there is no such phase";
    if (!has_stage(to, text_of(after, "stage")))
        return "the stage does not belong to the phase";
    if (!str_is_set(text_of(before, "phase")))
        return to == UPGRADING && !is_blue_green ? "nothing is upgraded before it has run" : NULL;
    int from = find_phase(text_of(before, "phase"));
    if (from == to)
        return NULL;
    if (from == TERMINATING)
        return "nothing follows Terminating";
    if (from == PENDING && to == UPGRADING && is_blue_green)
        return NULL;
    if (to != TERMINATING && !(phases[from].next & BIT(to)))
        return "this phase does not follow that one";
    return NULL;
}
