#include "arrow_batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomic_number.h"

/* --- schema ------------------------------------------------------------------------------- */

/* What a time is where the server did not know it, as Samba says of a fresh session's. Counts and
   flags have no such value: there it is a number like any other, as in records and in JSON. */
#define UNKNOWN 0xFFFFFFFFu

static const char *
kind_format(arrow_kind kind, bool large)
{
    switch (kind) {
    case ARROW_TEXT:
        return large ? "U" : "u";
    case ARROW_DURATION:
        return "tDs";
    case ARROW_TIMESTAMP:
        return "tsu:UTC";
    case ARROW_UINT16:
        return "S";
    default:
        return "I";
    }
}

/* What a schema owns, in one block. Each child has one of its own, since it may be moved out of
   its parent and live longer. */
typedef struct {
    char metadata[sizeof(int32_t) * 3 + sizeof(ARROW_LEVEL_KEY) + 12];
    struct ArrowSchema *children[ARROW_COLUMNS]; /* to `fields` */
    struct ArrowSchema fields[ARROW_COLUMNS];
} schema_block;

static char *
put_bytes(char *out, const void *bytes, size_t size)
{
    memcpy(out, bytes, size);
    return out + size;
}

static char *
put_metadata_string(char *out, const char *text)
{
    int32_t size = (int32_t)strlen(text);
    out = put_bytes(out, &size, sizeof(size));
    return put_bytes(out, text, (size_t)size);
}

/* One pair, in the encoding of ArrowSchema.metadata. */
static void
put_level_metadata(char *out, const session_level *level)
{
    const int32_t pairs = 1;
    char digits[12];
    (void)snprintf(digits, sizeof(digits), "%lu", (unsigned long)level->number);
    out = put_bytes(out, &pairs, sizeof(pairs));
    out = put_metadata_string(out, ARROW_LEVEL_KEY);
    (void)put_metadata_string(out, digits);
}

static void
release_schema(struct ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        struct ArrowSchema *child = schema->children[i];
        if (child->release != NULL) { /* NULL: moved out, its new owner releases it */
            child->release(child);
        }
    }
    free(schema->private_data);
    schema->release = NULL;
}

/* A schema without children; NULL when out of memory. */
static schema_block *
make_schema(const session_level *level, const char *format, const char *name,
            struct ArrowSchema *out)
{
    schema_block *block = calloc(1, sizeof(*block));
    if (block == NULL) {
        return NULL;
    }
    if (level != NULL) {
        put_level_metadata(block->metadata, level);
    }
    *out = (struct ArrowSchema){
        .format = format,
        .name = name,
        .metadata = level == NULL ? NULL : block->metadata,
        .release = release_schema,
        .private_data = block,
    };
    return block;
}

int
arrow_table_schema(const arrow_table *table, bool large, struct ArrowSchema *out)
{
    schema_block *block = make_schema(table->level, "+s", "", out);
    if (block == NULL) {
        return ENOMEM;
    }
    out->children = block->children;
    for (int i = 0; i < table->column_count; i++) {
        const arrow_field *field = &table->columns[i];
        const char *format = kind_format(field->kind, large);
        struct ArrowSchema *child = &block->fields[i];
        if (make_schema(table->level, format, field->name, child) == NULL) {
            release_schema(out); /* with the children made so far */
            return ENOMEM;
        }
        child->flags = field->nullable ? ARROW_FLAG_NULLABLE : 0;
        block->children[i] = child;
        out->n_children = i + 1;
    }
    return 0;
}

/* --- batch -------------------------------------------------------------------------------- */

/* Columns are filled one after the other, but only so many rows at a time that their structures
   and strings stay in the processor's cache from one column to the next. */
#define ROWS_AT_A_TIME 128

/* The most bytes a row that a column's text is given before it is known to need them. */
#define MAX_TEXT_GUESS 64

/* Text is written where so many bytes are left; see utf16.h. */
#define TEXT_SLACK 8

/* The most text that large_utf8 could have, with the slack: more than any memory. */
#define LARGE_TEXT ((size_t)PTRDIFF_MAX - TEXT_SLACK)

/* More bytes than a row takes in all columns together. */
#define MAX_ROW_SIZE 1024

/* How a batch tells its strings: utf8 has signed 32-bit offsets, large_utf8 64-bit ones. */
typedef struct {
    bool large;
    size_t limit; /* bytes of text that a column may have */
} text_format;

typedef struct {
    const arrow_field *field; /* of the table; not after it is filled */
    size_t rows;              /* that it will have */
    uint8_t *validity;        /* a bit a row; not written as long as there is no null */
    size_t nulls;
    void *values; /* of the kind's width, of a duration int64_t; of strings the offsets */
    char *text;   /* the strings; NULL in other columns */
    size_t text_size, text_used;
    char *own_text;         /* malloc(): the text since it outgrew its place; or NULL */
    int error;              /* why filling it failed: 0, ENOMEM, EOVERFLOW */
    size_t failed;          /* at which row */
    const void *buffers[3]; /* of its array: validity, values, text */
} arrow_column;

/* Everything that a batch owns, in one block of memory, which its columns' buffers follow: one
   allocation for all of them is cheap, and one that comes back whole is used again. Arrays may be
   moved and released in any order and any thread, so the last one frees the block. */
typedef struct {
    atomic_number owners; /* the array of the batch and those of its columns */
    text_format format;
    arrow_column columns[ARROW_COLUMNS];
    int column_count;
    struct ArrowArray arrays[ARROW_COLUMNS];
    struct ArrowArray *children[ARROW_COLUMNS]; /* to `arrays` */
    const void *buffers[1]; /* of a struct: its validity, NULL since all its rows are there */
} arrow_batch;

static void
free_batch(arrow_batch *batch)
{
    for (int i = 0; i < batch->column_count; i++) {
        free(batch->columns[i].own_text);
    }
    free(batch);
}

/* So that no two buffers share a line of the cache. */
static size_t
rounded(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

static size_t
validity_size(size_t rows)
{
    return rows / 8 + 1;
}

/* The bytes of a value, or of the offset that stands for a string. */
static size_t
value_size(arrow_kind kind, const text_format *format)
{
    switch (kind) {
    case ARROW_TEXT:
        return format->large ? sizeof(int64_t) : sizeof(int32_t);
    case ARROW_DURATION:
    case ARROW_TIMESTAMP:
        return sizeof(int64_t);
    case ARROW_UINT16:
        return sizeof(uint16_t);
    default:
        return sizeof(uint32_t);
    }
}

static size_t
values_size(const arrow_field *field, const text_format *format, size_t rows)
{
    return (rows + 1) * value_size(field->kind, format);
}

/* Where a row's value lies; not of a field whose rows are all null. */
static inline const void *
value_at(const arrow_field *field, size_t row)
{
    return field->first + row * field->step;
}

static inline const utf16_unit *
text_at(const arrow_field *field, size_t row)
{
    return *(const utf16_unit *const *)value_at(field, row);
}

/* How much text the strings of a field will be: what they would be if all were like some rows from
   all over the page, and an eighth more. What is longer grows; see grow_text(). */
static size_t
text_guess(const arrow_field *field, size_t rows)
{
    size_t sample = rows < ROWS_AT_A_TIME ? rows : ROWS_AT_A_TIME;
    size_t length = 0;
    if (field->first == NULL) {
        return TEXT_SLACK;
    }
    for (size_t i = 0; i < sample; i++) {
        const utf16_unit *units = text_at(field, i * (rows / sample));
        length += units == NULL ? 0 : utf16_length(units);
    }
    size_t guess = sample == 0 ? 0 : length / sample + length / sample / 8 + 2;
    return TEXT_SLACK + rows * (guess < MAX_TEXT_GUESS ? guess : MAX_TEXT_GUESS);
}

/* Gives a column its places, from `place` on. Returns where they end. */
static char *
place_column(arrow_column *column, const text_format *format, char *place)
{
    column->validity = (uint8_t *)place;
    place += rounded(validity_size(column->rows));
    column->values = place;
    place += rounded(values_size(column->field, format, column->rows));
    if (column->field->kind == ARROW_TEXT) {
        memset(column->values, 0, sizeof(int64_t)); /* where the first string starts */
        column->text = place;
        place += rounded(column->text_size);
    }
    return place;
}

/* A batch to be filled; NULL when out of memory. */
static arrow_batch *
allocate_batch(const arrow_table *table, size_t rows, const text_format *format)
{
    size_t size = rounded(sizeof(arrow_batch));
    size_t text_sizes[ARROW_COLUMNS] = {0};
    if (rows > SIZE_MAX / MAX_ROW_SIZE - MAX_ROW_SIZE) {
        return NULL;
    }
    for (int i = 0; i < table->column_count; i++) {
        const arrow_field *field = &table->columns[i];
        if (field->kind == ARROW_TEXT) {
            size_t guess = text_guess(field, rows);
            text_sizes[i] = guess < format->limit ? guess : format->limit + TEXT_SLACK;
        }
        size += rounded(validity_size(rows)) + rounded(values_size(field, format, rows))
              + rounded(text_sizes[i]);
    }
    arrow_batch *batch = malloc(size);
    if (batch == NULL) {
        return NULL;
    }
    *batch = (arrow_batch){.format = *format, .column_count = table->column_count};
    char *place = (char *)batch + rounded(sizeof(arrow_batch));
    for (int i = 0; i < table->column_count; i++) {
        batch->columns[i] = (arrow_column){
            .field = &table->columns[i],
            .rows = rows,
            .text_size = text_sizes[i],
        };
        place = place_column(&batch->columns[i], format, place);
    }
    return batch;
}

static void
put_null(arrow_column *column, size_t row)
{
    if (column->nulls++ == 0) {
        memset(column->validity, 0xFF, validity_size(column->rows));
    }
    column->validity[row / 8] &= (uint8_t) ~(1u << (row % 8));
}

/* --- text --------------------------------------------------------------------------------- */

/* Moves the text of a column to where there is twice the room for it: so the cost of moving stays
   in proportion, and what is reserved in proportion to what is there. */
static int
grow_text(arrow_column *column, size_t limit)
{
    size_t most = limit + TEXT_SLACK;
    if (column->text_size >= most) {
        return EOVERFLOW;
    }
    size_t size = column->text_size < most / 2 ? column->text_size * 2 : most;
    char *text = realloc(column->own_text, size);
    if (text == NULL) {
        return ENOMEM;
    }
    if (column->own_text == NULL) {
        memcpy(text, column->text, column->text_used);
    }
    column->text = column->own_text = text;
    column->text_size = size;
    return 0;
}

/* Gives back the room that the text did not need. */
static void
fit_text(arrow_column *column)
{
    if (column->own_text == NULL || column->text_size - column->text_used <= TEXT_SLACK) {
        return;
    }
    char *text = realloc(column->own_text, column->text_used + TEXT_SLACK);
    if (text != NULL) {
        column->text = column->own_text = text;
        column->text_size = column->text_used + TEXT_SLACK;
    }
}

/* put_text() of a string that is not ASCII or does not fit. */
static char *
put_any_text(arrow_column *column, size_t limit, const utf16_unit *units, char *out)
{
    for (;;) {
        out = utf16_to_utf8(&units, out, column->text + column->text_size);
        if (*units == 0) {
            return out;
        }
        column->text_used = (size_t)(out - column->text);
        column->error = grow_text(column, limit);
        if (column->error != 0) {
            return out;
        }
        out = column->text + column->text_used;
    }
}

/* Writes a string at `out`, in the column's text, which may move. Returns where it ends now; the
   column's error tells whether all of it was written. */
static inline char *
put_text(arrow_column *column, size_t limit, const utf16_unit *units, char *out)
{
    out = utf16_copy_ascii(&units, out, column->text + column->text_size);
    return *units == 0 ? out : put_any_text(column, limit, units, out);
}

/* --- filling ------------------------------------------------------------------------------ */

/* Some of the rows of a table. */
typedef struct {
    size_t first, last; /* last is the row after */
} row_range;

/* Where the string of a row ends. */
static size_t
string_end(const arrow_column *column, bool large, size_t row)
{
    return large ? (size_t)((const int64_t *)column->values)[row + 1]
                 : ((const uint32_t *)column->values)[row + 1];
}

/* Looked for where the text has outgrown the limit, not row by row: nearly none has. */
static void
fail_at_limit(arrow_column *column, const row_range *part, const text_format *format)
{
    column->error = EOVERFLOW;
    column->failed = part->first;
    while (string_end(column, format->large, column->failed) <= format->limit) {
        column->failed++;
    }
}

/* Twice compiled, for either width of offsets. */
static inline void
put_strings_with(arrow_column *column, const row_range *part, size_t limit, bool large)
{
    const arrow_field field = *column->field; /* of one's own: no byte written can change it */
    uint32_t *offsets = column->values;       /* int32_t to readers, once all is below the limit */
    int64_t *large_offsets = column->values;
    size_t row = part->first;
    /* Kept out of the structure, and so in a register: every byte written goes through it. */
    char *out = column->text + column->text_used;
    for (; column->error == 0 && row < part->last; row++) {
        const utf16_unit *units = text_at(&field, row);
        if (units == NULL) {
            put_null(column, row);
        }
        else {
            out = put_text(column, limit, units, out);
        }
        if (large) {
            large_offsets[row + 1] = out - column->text;
        }
        else {
            offsets[row + 1] = (uint32_t)(out - column->text);
        }
    }
    column->failed = row - 1; /* where there is an error */
    column->text_used = (size_t)(out - column->text);
}

static void
put_strings(arrow_column *column, const row_range *part, const text_format *format)
{
    if (format->large) {
        put_strings_with(column, part, format->limit, true);
    }
    else {
        put_strings_with(column, part, format->limit, false);
    }
    if (column->text_used > format->limit && column->error != ENOMEM) {
        fail_at_limit(column, part, format);
    }
}

static void
put_uint32(arrow_column *column, const row_range *part)
{
    const arrow_field field = *column->field;
    uint32_t *values = column->values;
    for (size_t row = part->first; row < part->last; row++) {
        values[row] = *(const uint32_t *)value_at(&field, row);
    }
}

static void
put_durations(arrow_column *column, const row_range *part)
{
    const arrow_field field = *column->field;
    int64_t *values = column->values;
    for (size_t row = part->first; row < part->last; row++) {
        values[row] = *(const uint32_t *)value_at(&field, row);
        if (values[row] == UNKNOWN) {
            put_null(column, row);
        }
    }
}

static void
put_timestamps(arrow_column *column, const row_range *part)
{
    const arrow_field field = *column->field;
    int64_t *values = column->values;
    for (size_t row = part->first; row < part->last; row++) {
        values[row] = *(const int64_t *)value_at(&field, row);
    }
}

static void
put_uint16(arrow_column *column, const row_range *part)
{
    const arrow_field field = *column->field;
    uint16_t *values = column->values;
    for (size_t row = part->first; row < part->last; row++) {
        values[row] = *(const uint16_t *)value_at(&field, row);
    }
}

/* A whole column of nulls, which is not looked at any more. */
static void
put_all_null(arrow_column *column, const text_format *format)
{
    column->nulls = column->rows;
    memset(column->validity, 0, validity_size(column->rows));
    memset(column->values, 0, values_size(column->field, format, column->rows));
}

static int
put_part(arrow_column *column, const row_range *part, const text_format *format)
{
    switch (column->field->kind) {
    case ARROW_TEXT:
        put_strings(column, part, format);
        break;
    case ARROW_UINT32:
        put_uint32(column, part);
        break;
    case ARROW_DURATION:
        put_durations(column, part);
        break;
    case ARROW_TIMESTAMP:
        put_timestamps(column, part);
        break;
    case ARROW_UINT16:
        put_uint16(column, part);
        break;
    }
    return column->error;
}

/* Fills in a batch of so many rows. 0, or why it failed, and then `failed` is the row at which it
   did. */
static int
fill_batch(arrow_batch *batch, size_t rows, size_t *failed)
{
    row_range part = {.last = 0};
    for (int i = 0; i < batch->column_count; i++) {
        if (batch->columns[i].field->first == NULL) {
            put_all_null(&batch->columns[i], &batch->format);
        }
    }
    for (; part.first < rows; part.first = part.last) {
        part.last = rows - part.first < ROWS_AT_A_TIME ? rows : part.first + ROWS_AT_A_TIME;
        for (int i = 0; i < batch->column_count; i++) {
            arrow_column *column = &batch->columns[i];
            if (column->field->first != NULL && put_part(column, &part, &batch->format) != 0) {
                *failed = column->failed;
                return column->error;
            }
        }
    }
    return 0;
}

/* --- arrays ------------------------------------------------------------------------------- */

/* Of a batch or of one of its columns. */
static void
release_array(struct ArrowArray *array)
{
    arrow_batch *batch = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++) {
        struct ArrowArray *child = array->children[i];
        if (child->release != NULL) { /* NULL: moved out, its new owner releases it */
            child->release(child);
        }
    }
    array->release = NULL; /* before the block goes, in which a column's array may lie */
    if (atomic_number_decrement(&batch->owners) == 0) {
        free_batch(batch);
    }
}

static void
finish_column(arrow_batch *batch, arrow_column *column, struct ArrowArray *out)
{
    fit_text(column);
    column->buffers[0] = column->nulls == 0 ? NULL : column->validity;
    column->buffers[1] = column->values;
    column->buffers[2] = column->text;
    *out = (struct ArrowArray){
        .length = (int64_t)column->rows,
        .null_count = (int64_t)column->nulls,
        .n_buffers = column->field->kind == ARROW_TEXT ? 3 : 2,
        .buffers = column->buffers,
        .release = release_array,
        .private_data = batch,
    };
    column->field = NULL; /* the table's, which may go */
}

/* Makes `out` the array of a batch, which owns it from here on. */
static void
finish_batch(arrow_batch *batch, size_t rows, struct ArrowArray *out)
{
    for (int i = 0; i < batch->column_count; i++) {
        finish_column(batch, &batch->columns[i], &batch->arrays[i]);
        batch->children[i] = &batch->arrays[i];
    }
    atomic_number_init(&batch->owners, 1 + batch->column_count);
    *out = (struct ArrowArray){
        .length = (int64_t)rows,
        .n_buffers = 1,
        .n_children = batch->column_count,
        .buffers = batch->buffers,
        .children = batch->children,
        .release = release_array,
        .private_data = batch,
    };
}

/* Fills `out` with all of the rows, or fails and tells at which row. */
static int
make_batch(const arrow_table *table, size_t rows, const text_format *format,
           struct ArrowArray *out, size_t *failed)
{
    *failed = 0;
    arrow_batch *batch = allocate_batch(table, rows, format);
    if (batch == NULL) {
        return ENOMEM;
    }
    int error = fill_batch(batch, rows, failed);
    if (error != 0) {
        free_batch(batch);
        return error;
    }
    finish_batch(batch, rows, out);
    return 0;
}

int
arrow_table_batch(const arrow_table *table, size_t rows, size_t limit, struct ArrowArray *out,
                  bool *large)
{
    size_t failed;
    const text_format small_text = {.large = false, .limit = limit};
    const text_format large_text = {.large = true, .limit = LARGE_TEXT};
    int error = make_batch(table, rows, &small_text, out, &failed);
    *large = error == EOVERFLOW;
    return *large ? make_batch(table, rows, &large_text, out, &failed) : error;
}

int
arrow_table_rows(const arrow_table *table, size_t rows, size_t limit, struct ArrowArray *out,
                 size_t *taken)
{
    const text_format format = {.large = false, .limit = limit};
    size_t failed = rows;
    int error;
    do { /* with fewer rows each time: the columns fail one after the other, if at all */
        *taken = failed;
        error = make_batch(table, *taken, &format, out, &failed);
    } while (error == EOVERFLOW && failed > 0);
    return error;
}
