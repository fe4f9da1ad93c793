/* Questions wait while too many bindings are under way. */
#include "extender/pace.h"

void pace_init(struct pace *pace, size_t most)
{
    *pace = (struct pace){.most = most};
    pthread_mutex_init(&pace->lock, NULL);
}

void pace_done(struct pace *pace)
{
    pthread_mutex_destroy(&pace->lock);
}

void pace_begin_binding(struct pace *pace)
{
    pthread_mutex_lock(&pace->lock);
    pace->bindings++;
    pthread_mutex_unlock(&pace->lock);
}

void pace_end_binding(struct pace *pace)
{
    pthread_mutex_lock(&pace->lock);
    pace->bindings--;
    size_t ended = pace->bindings < pace->most ? pace->held_count : 0;
    for (size_t i = 0; i < ended; i++)
        http_wait_end(pace->held[i]);
    pace->held_count -= ended;
    pthread_mutex_unlock(&pace->lock);
}

/* What the request waits with is nobody's. */
static void keep(void *state)
{
    (void)state;
}

bool pace_hold(struct pace *pace, const struct http_request *request)
{
    if (request->state) /* it has waited */
        return false;
    struct http_wait *wait = NULL;
    pthread_mutex_lock(&pace->lock);
    if (pace->bindings >= pace->most && pace->held_count < PACE_HELD_MAX)
        wait = http_request_wait(request, PACE_HOLD_MS, pace, keep);
    if (wait)
        pace->held[pace->held_count++] = wait;
    pthread_mutex_unlock(&pace->lock);
    return wait != NULL;
}
