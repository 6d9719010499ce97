/* SESSION_INFO_x buffers as Arrow record batches. Needs no Python and takes no lock: what it
   makes holds copies only, and may be released in any thread at any time. */

#ifndef NETSESSION_ARROW_BATCH_H
#define NETSESSION_ARROW_BATCH_H

#include "arrow_c_data.h"
#include "session_level.h"

/* The metadata key of a schema and of each of its fields; its value is the level in digits. */
#define ARROW_LEVEL_KEY "netsession.level"

/* Fills `out` with the level's schema, a struct of its fields in the order of the level table:

       strings                  utf8, null for a NULL pointer; a lone surrogate is U+FFFD
       num_opens                uint32, null for 0xFFFFFFFF
       active_time, idle_time   duration[s], null for 0xFFFFFFFF (the server did not know)
       user_flags               uint32

   0, or ENOMEM. The caller owns it, and releases it through its callback. With `large` strings are
   large_utf8. */
int arrow_level_schema(const session_level *level, bool large, struct ArrowSchema *out);

/* The bytes of text that a column may have in a batch: utf8 has signed 32-bit offsets. */
#define ARROW_TEXT_LIMIT ((size_t)INT32_MAX)

/* Fills `out` with all `count` entries as one record batch of that schema, whose strings are
   utf8, or `large` where the text of a column is above `limit`, at most ARROW_TEXT_LIMIT. 0 or
   ENOMEM. The caller owns it, and releases it through its callback; `entries` is not needed any
   more. What it reserves is in proportion to the text. */
int arrow_level_batch(const session_level *level, const unsigned char *entries, size_t count,
                      size_t limit, struct ArrowArray *out, bool *large);

/* The same with utf8 always and so with the first entries only, `taken` of them, as many as keep
   the text of every column within `limit`: the others go into batches of their own. EOVERFLOW
   where not even the first does. */
int arrow_level_rows(const session_level *level, const unsigned char *entries, size_t count,
                     size_t limit, struct ArrowArray *out, size_t *taken);

#endif
