/*
 * A strict reader of Prometheus' text format 0.0.4, for tests of what a program exposes. Stricter
 * than Prometheus itself: HELP and TYPE come once, in this order, before the samples, which stay
 * together; no series appears twice; histograms are whole and add up.
 */
#ifndef UNIT_PROMETHEUS_H
#define UNIT_PROMETHEUS_H

#include "unit/support.h"

/* Fails the test, naming the line, when `text` is not right. */
void prometheus_check(struct str text);

/* What is wrong with `text`, or NULL; *ret_line is the number of the line then. */
const char *prometheus_find_error(struct str text, size_t *ret_line);

/* The value of the sample that is written exactly so ("name{a=\"b\"}"); *ret_value untouched and
 * false when there is none. */
bool prometheus_find_sample(struct str text, const char *series, double *ret_value);

#endif
