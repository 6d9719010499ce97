/* What the fuzz targets in C share: an assertion that is always on, and copies without slack. */

#ifndef NETSESSION_FUZZ_CHECK_H
#define NETSESSION_FUZZ_CHECK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            (void)fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

/* A copy with no byte to spare, so that AddressSanitizer sees the first one read too much. */
static inline unsigned char *
copy_exactly(const uint8_t *data, size_t size)
{
    unsigned char *copy = malloc(size != 0 ? size : 1);
    CHECK(copy != NULL);
    if (size != 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
