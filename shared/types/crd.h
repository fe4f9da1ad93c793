/*
 * What is generated from the table of a kind: its CustomResourceDefinition and its part of the API
 * reference. Failure (no memory) is the buffer's.
 */
#ifndef TYPES_CRD_H
#define TYPES_CRD_H

#include "types/kind.h"

/* YAML of apiextensions.k8s.io/v1. */
void crd_write(struct buf *buf, const struct kind *kind, struct arena *arena);

/* Markdown. */
void reference_write(struct buf *buf, const struct kind *kind);

#endif
