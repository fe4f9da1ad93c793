/*
 * Answers AdmissionReviews (admission.k8s.io/v1; k8s.io/api/admission/v1 types.go) for our kinds.
 *
 * A pure function of the review and of what it may look at: no I/O, no state, everything in the
 * caller's arena, so that any number of threads may run it and the fuzzer can.
 */
#ifndef WEBHOOK_ADMISSION_H
#define WEBHOOK_ADMISSION_H

#include "policy/policy.h"

enum admission_phase {
    ADMISSION_MUTATE,
    ADMISSION_VALIDATE,
};

enum admission_decision {
    ADMISSION_ALLOWED,
    ADMISSION_DENIED,
    ADMISSION_PASSED_OVER, /* allowed unseen: nothing of it is ours to check */
    ADMISSION_UNDECIDED,   /* nothing is answered: first the template must be looked up */
};

/* What a review is judged by, beside itself. */
struct admission_world {
    const struct catalog *catalog;
    const struct template_source *templates;
};

/* What there is to log and count about a review that was answered. Views live in the arena or in the
 * body. */
struct admission_outcome {
    enum admission_decision decision;
    const struct kind *kind; /* NULL when it is not ours */
    struct str operation;
    struct str uid; /* of the request: the id under which it is logged */
    struct str namespace;
    struct str name; /* or the generateName */
    struct str user;
    bool is_dry_run;
    size_t patch_operations;
    struct policy_findings findings;
    struct str template_name; /* for ADMISSION_UNDECIDED: what is to be looked up in `namespace` */
};

/*
 * Reads the review in `body`, judges its object and writes the answering review to `out`. Fails with
 * 400 for what is no review, 413 for one over a limit, 507 without memory; a bad object is no failure
 * but a denial in the answer. When the outcome is ADMISSION_UNDECIDED nothing is written: it is to be
 * called again with templates that know.
 */
int admission_answer(enum admission_phase phase, struct str body,
                     const struct admission_world *world, struct arena *arena, struct buf *out,
                     struct admission_outcome *outcome, struct err *err);

#endif
