/* The nodes that are named to kube-scheduler. */
#include "extender/pick.h"

static size_t count_known(const struct score_candidate *candidates, size_t count)
{
    size_t known = 0;
    for (size_t i = 0; i < count; i++)
        known += candidates[i].node != NULL;
    return known;
}

static size_t sample_size(size_t fitting)
{
    size_t size = fitting * PICK_PER_CENT / 100;
    if (size < PICK_LEAST)
        size = PICK_LEAST;
    return size < PICK_MAX ? size : PICK_MAX;
}

/* Adds nodes with that score at least, from `start` on and around, until there are `most`. */
static size_t add(struct score_candidate *candidates, size_t count, size_t start, int score,
                  size_t most, size_t size, size_t ret[PICK_MAX])
{
    for (size_t i = 0; i < count && size < most; i++) {
        size_t at = start + i < count ? start + i : start + i - count;
        if (!candidates[at].node || candidates[at].score < score)
            continue;
        candidates[at].node = NULL; /* not to be added again */
        ret[size++] = at;
    }
    return size;
}

size_t pick_nodes(struct packer *packer, const struct pod *pod, struct score_candidate *candidates,
                  size_t count, const struct hash_seed *seed, size_t ret[PICK_MAX])
{
    const struct score_candidate *best = score_rank(packer, pod, candidates, count);
    if (best) {
        ret[0] = (size_t)(best - candidates);
        return 1;
    }
    size_t known = count_known(candidates, count), most = sample_size(known);
    if (pod->has_claims || pod->has_preferences || known <= most)
        return 0;
    size_t start = hash_text(seed, pod->meta.uid) % count;
    size_t size = add(candidates, count, start, 1, most / 2, 0, ret);
    return add(candidates, count, start, 0, most, size, ret);
}
