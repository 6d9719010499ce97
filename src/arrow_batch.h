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

   0, or ENOMEM. The caller owns it, and releases it through its callback. */
int arrow_level_schema(const session_level *level, struct ArrowSchema *out);

/* Fills `out` with `count` entries as one record batch of that schema. 0, ENOMEM, or EOVERFLOW
   where the strings of one field are above 2 GiB, which utf8's 32-bit offsets cannot tell. The
   caller owns it, and releases it through its callback; `entries` is not needed any more. */
int arrow_level_batch(const session_level *level, const unsigned char *entries, size_t count,
                      struct ArrowArray *out);

#endif
