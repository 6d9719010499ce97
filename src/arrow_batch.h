/* Tables of sessions as Arrow record batches. Needs no Python and takes no lock: what it
   makes holds copies only, and may be released in any thread at any time. */

#ifndef NETSESSION_ARROW_BATCH_H
#define NETSESSION_ARROW_BATCH_H

#include "arrow_c_data.h"
#include "arrow_table.h"

/* The metadata key of a level's schema and of each of its fields; its value is the level in
   digits. */
#define ARROW_LEVEL_KEY "netsession.level"

/* Fills `out` with the table's schema, a struct of its columns. 0, or ENOMEM. The caller owns it,
   and releases it through its callback; `table` is not needed any more. With `large` strings are
   large_utf8. */
int arrow_table_schema(const arrow_table *table, bool large, struct ArrowSchema *out);

/* The bytes of text that a column may have in a batch: utf8 has signed 32-bit offsets. */
#define ARROW_TEXT_LIMIT ((size_t)INT32_MAX)

/* Fills `out` with the table's first `rows` rows as one record batch of that schema, whose strings
   are utf8, or `large` where the text of a column is above `limit`, at most ARROW_TEXT_LIMIT. 0 or
   ENOMEM. The caller owns it, and releases it through its callback; neither `table` nor what it
   refers to is needed any more. What it reserves is in proportion to the text. */
int arrow_table_batch(const arrow_table *table, size_t rows, size_t limit, struct ArrowArray *out,
                      bool *large);

/* The same with utf8 always and so with the first rows only, `taken` of them, as many as keep the
   text of every column within `limit`: the others go into batches of their own. EOVERFLOW where
   not even the first does. */
int arrow_table_rows(const arrow_table *table, size_t rows, size_t limit, struct ArrowArray *out,
                     size_t *taken);

#endif
