/*
 * Base64 with padding (RFC 4648, section 4), as `[]byte` fields of Kubernetes objects have it.
 */
#ifndef JSON_BASE64_H
#define JSON_BASE64_H

#include "base/buf.h"

/* Failure is the buffer's. `data` must not be the buffer's own content. */
void base64_write(struct buf *buf, struct str data);

#endif
