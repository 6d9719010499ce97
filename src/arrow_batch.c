#include "arrow_batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _MSC_VER
#include <intrin.h>
#else
#include <stdatomic.h>
#endif

/* --- owners ------------------------------------------------------------------------------- */

/* How many arrays share a block; changed by several threads. */
#ifdef _MSC_VER
typedef volatile long arrow_owners;

static void
arrow_owners_init(arrow_owners *owners, int count)
{
    *owners = count;
}

/* True for the last one. */
static bool
arrow_owner_leaves(arrow_owners *owners)
{
    return _InterlockedDecrement(owners) == 0;
}
#else
typedef atomic_int arrow_owners;

static void
arrow_owners_init(arrow_owners *owners, int count)
{
    atomic_init(owners, count);
}

/* True for the last one. */
static bool
arrow_owner_leaves(arrow_owners *owners)
{
    return atomic_fetch_sub(owners, 1) == 1;
}
#endif

/* --- schema ------------------------------------------------------------------------------- */

/* What a time is where the server did not know it, as Samba says of a fresh session's. Counts and
   flags have no such value: there it is a number like any other, as in records and in JSON. */
#define UNKNOWN 0xFFFFFFFFu

static bool
is_duration(const session_field *field)
{
    return field->id == FIELD_ACTIVE_TIME || field->id == FIELD_IDLE_TIME;
}

static const char *
field_format(const session_field *field, bool large)
{
    if (field->kind == FIELD_STRING) {
        return large ? "U" : "u";
    }
    return is_duration(field) ? "tDs" : "I";
}

/* What a schema owns, in one block. Each child has one of its own, since it may be moved out of
   its parent and live longer. */
typedef struct {
    char metadata[sizeof(int32_t) * 3 + sizeof(ARROW_LEVEL_KEY) + 12];
    struct ArrowSchema *children[SESSION_FIELDS]; /* to `fields` */
    struct ArrowSchema fields[SESSION_FIELDS];
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
    put_level_metadata(block->metadata, level);
    *out = (struct ArrowSchema){
        .format = format,
        .name = name,
        .metadata = block->metadata,
        .release = release_schema,
        .private_data = block,
    };
    return block;
}

int
arrow_level_schema(const session_level *level, bool large, struct ArrowSchema *out)
{
    schema_block *block = make_schema(level, "+s", "", out);
    if (block == NULL) {
        return ENOMEM;
    }
    out->children = block->children;
    for (int i = 0; i < level->field_count; i++) {
        const session_field *field = &level->fields[i];
        struct ArrowSchema *child = &block->fields[i];
        if (make_schema(level, field_format(field, large), field->name, child) == NULL) {
            release_schema(out); /* with the children made so far */
            return ENOMEM;
        }
        child->flags = ARROW_FLAG_NULLABLE;
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
    const session_field *field;
    size_t rows;       /* that it will have */
    uint8_t *validity; /* a bit a row; not written as long as there is no null */
    size_t nulls;
    void *values; /* uint32_t or, of a duration, int64_t; of strings the offsets */
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
    arrow_owners owners; /* the array of the batch and those of its columns */
    text_format format;
    arrow_column columns[SESSION_FIELDS];
    int column_count;
    struct ArrowArray arrays[SESSION_FIELDS];
    struct ArrowArray *children[SESSION_FIELDS]; /* to `arrays` */
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

static size_t
values_size(const session_field *field, const text_format *format, size_t rows)
{
    bool wide = field->kind == FIELD_STRING ? format->large : is_duration(field);
    return (rows + 1) * (wide ? sizeof(int64_t) : sizeof(int32_t));
}

/* How much text the strings of a field will be: what they would be if all were like some rows from
   all over the page, and an eighth more. What is longer grows; see grow_text(). */
static size_t
text_guess(const session_level *level, const session_field *field, const unsigned char *entries,
           size_t rows)
{
    size_t sample = rows < ROWS_AT_A_TIME ? rows : ROWS_AT_A_TIME;
    size_t length = 0;
    for (size_t i = 0; i < sample; i++) {
        size_t row = i * (rows / sample);
        const utf16_unit *units = session_info_string(entries + row * level->size, field);
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
    if (column->field->kind == FIELD_STRING) {
        memset(column->values, 0, sizeof(int64_t)); /* where the first string starts */
        column->text = place;
        place += rounded(column->text_size);
    }
    return place;
}

/* A batch to be filled; NULL when out of memory. */
static arrow_batch *
allocate_batch(const session_level *level, const unsigned char *entries, size_t rows,
               const text_format *format)
{
    size_t size = rounded(sizeof(arrow_batch));
    size_t text_sizes[SESSION_FIELDS] = {0};
    if (rows > SIZE_MAX / MAX_ROW_SIZE - MAX_ROW_SIZE) {
        return NULL;
    }
    for (int i = 0; i < level->field_count; i++) {
        const session_field *field = &level->fields[i];
        if (field->kind == FIELD_STRING) {
            size_t guess = text_guess(level, field, entries, rows);
            text_sizes[i] = guess < format->limit ? guess : format->limit + TEXT_SLACK;
        }
        size += rounded(validity_size(rows)) + rounded(values_size(field, format, rows))
              + rounded(text_sizes[i]);
    }
    arrow_batch *batch = malloc(size);
    if (batch == NULL) {
        return NULL;
    }
    *batch = (arrow_batch){.format = *format, .column_count = level->field_count};
    char *place = (char *)batch + rounded(sizeof(arrow_batch));
    for (int i = 0; i < level->field_count; i++) {
        batch->columns[i] = (arrow_column){
            .field = &level->fields[i],
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

/* Some of the rows of a page. */
typedef struct {
    const unsigned char *entries; /* of the whole page */
    size_t entry_size;
    size_t first, last; /* last is the row after */
} page_part;

/* Where the string of a row ends. */
static size_t
string_end(const arrow_column *column, bool large, size_t row)
{
    return large ? (size_t)((const int64_t *)column->values)[row + 1]
                 : ((const uint32_t *)column->values)[row + 1];
}

/* Looked for where the text has outgrown the limit, not row by row: nearly none has. */
static void
fail_at_limit(arrow_column *column, const page_part *part, const text_format *format)
{
    column->error = EOVERFLOW;
    column->failed = part->first;
    while (string_end(column, format->large, column->failed) <= format->limit) {
        column->failed++;
    }
}

/* Twice compiled, for either width of offsets. */
static inline void
put_strings_with(arrow_column *column, const page_part *part, size_t limit, bool large)
{
    uint32_t *offsets = column->values; /* int32_t to readers, once all is below the limit */
    int64_t *large_offsets = column->values;
    size_t row = part->first;
    /* Kept out of the structure, and so in a register: every byte written goes through it. */
    char *out = column->text + column->text_used;
    for (; column->error == 0 && row < part->last; row++) {
        const utf16_unit *units
            = session_info_string(part->entries + row * part->entry_size, column->field);
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
put_strings(arrow_column *column, const page_part *part, const text_format *format)
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
put_dwords(arrow_column *column, const page_part *part)
{
    uint32_t *values = column->values;
    for (size_t row = part->first; row < part->last; row++) {
        values[row] = session_info_dword(part->entries + row * part->entry_size, column->field);
    }
}

static void
put_durations(arrow_column *column, const page_part *part)
{
    int64_t *values = column->values;
    for (size_t row = part->first; row < part->last; row++) {
        values[row] = session_info_dword(part->entries + row * part->entry_size, column->field);
        if (values[row] == UNKNOWN) {
            put_null(column, row);
        }
    }
}

static int
put_part(arrow_column *column, const page_part *part, const text_format *format)
{
    if (column->field->kind == FIELD_STRING) {
        put_strings(column, part, format);
    }
    else if (is_duration(column->field)) {
        put_durations(column, part);
    }
    else {
        put_dwords(column, part);
    }
    return column->error;
}

/* 0, or why it failed, and then `failed` is the row at which it did. */
static int
fill_batch(arrow_batch *batch, const session_level *level, const unsigned char *entries,
           size_t rows, size_t *failed)
{
    page_part part = {.entries = entries, .entry_size = level->size};
    for (; part.first < rows; part.first = part.last) {
        part.last = rows - part.first < ROWS_AT_A_TIME ? rows : part.first + ROWS_AT_A_TIME;
        for (int i = 0; i < batch->column_count; i++) {
            if (put_part(&batch->columns[i], &part, &batch->format) != 0) {
                *failed = batch->columns[i].failed;
                return batch->columns[i].error;
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
    if (arrow_owner_leaves(&batch->owners)) {
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
        .n_buffers = column->field->kind == FIELD_STRING ? 3 : 2,
        .buffers = column->buffers,
        .release = release_array,
        .private_data = batch,
    };
}

/* Makes `out` the array of a batch, which owns it from here on. */
static void
finish_batch(arrow_batch *batch, size_t rows, struct ArrowArray *out)
{
    for (int i = 0; i < batch->column_count; i++) {
        finish_column(batch, &batch->columns[i], &batch->arrays[i]);
        batch->children[i] = &batch->arrays[i];
    }
    arrow_owners_init(&batch->owners, 1 + batch->column_count);
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
make_batch(const session_level *level, const unsigned char *entries, size_t rows,
           const text_format *format, struct ArrowArray *out, size_t *failed)
{
    *failed = 0;
    arrow_batch *batch = allocate_batch(level, entries, rows, format);
    if (batch == NULL) {
        return ENOMEM;
    }
    int error = fill_batch(batch, level, entries, rows, failed);
    if (error != 0) {
        free_batch(batch);
        return error;
    }
    finish_batch(batch, rows, out);
    return 0;
}

int
arrow_level_batch(const session_level *level, const unsigned char *entries, size_t count,
                  size_t limit, struct ArrowArray *out, bool *large)
{
    size_t failed;
    const text_format small_text = {.large = false, .limit = limit};
    const text_format large_text = {.large = true, .limit = LARGE_TEXT};
    int error = make_batch(level, entries, count, &small_text, out, &failed);
    *large = error == EOVERFLOW;
    return *large ? make_batch(level, entries, count, &large_text, out, &failed) : error;
}

int
arrow_level_rows(const session_level *level, const unsigned char *entries, size_t count,
                 size_t limit, struct ArrowArray *out, size_t *taken)
{
    const text_format format = {.large = false, .limit = limit};
    size_t failed = count;
    int error;
    do { /* with fewer rows each time: the columns fail one after the other, if at all */
        *taken = failed;
        error = make_batch(level, entries, *taken, &format, out, &failed);
    } while (error == EOVERFLOW && failed > 0);
    return error;
}
