/*
 * Prints a table as the structural OpenAPI v3 schema of a CustomResourceDefinition
 * (k8s.io/apiextensions-apiserver pkg/apis/apiextensions/v1, JSONSchemaProps). What a pattern or a
 * number can say is said there too, so that the apiserver refuses it even where the webhook is not
 * installed.
 */
#ifndef SCHEMA_OPENAPI_H
#define SCHEMA_OPENAPI_H

#include "schema/schema.h"

/* The schema as a JSON tree in the arena; NULL without memory. */
struct json *schema_openapi(const struct schema *schema, struct arena *arena);

#endif
