#include "arrow_batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- schema ------------------------------------------------------------------------------- */

/* Where the server did not know, as Samba says of a fresh session's time. */
#define UNKNOWN 0xFFFFFFFFu

static bool
is_duration(const session_field *field)
{
    return field->id == FIELD_ACTIVE_TIME || field->id == FIELD_IDLE_TIME;
}

static const char *
field_format(const session_field *field)
{
    if (field->kind == FIELD_STRING) {
        return "u";
    }
    return is_duration(field) ? "tDs" : "I";
}

static bool
may_be_unknown(const session_field *field)
{
    return field->id != FIELD_USER_FLAGS; /* whose bits may all be set */
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
arrow_level_schema(const session_level *level, struct ArrowSchema *out)
{
    schema_block *block = make_schema(level, "+s", "", out);
    if (block == NULL) {
        return ENOMEM;
    }
    out->children = block->children;
    for (int i = 0; i < level->field_count; i++) {
        const session_field *field = &level->fields[i];
        struct ArrowSchema *child = &block->fields[i];
        if (make_schema(level, field_format(field), field->name, child) == NULL) {
            release_schema(out); /* with the children made so far */
            return ENOMEM;
        }
        child->flags = ARROW_FLAG_NULLABLE;
        block->children[i] = child;
        out->n_children = i + 1;
    }
    return 0;
}

/* --- columns ------------------------------------------------------------------------------ */

/* utf8 has signed 32-bit offsets. */
#define MAX_TEXT ((size_t)INT32_MAX)

/* Columns are filled one after the other, but only so many rows at a time that their structures
   and strings stay in the processor's cache from one column to the next. */
#define ROWS_AT_A_TIME 128

/* A string's first share of its column's text, in bytes. */
#define TEXT_GUESS 16

/* A column while it is filled. It owns its buffers until an ArrowArray takes them over. */
typedef struct {
    const session_field *field;
    size_t rows;       /* that it will have */
    uint8_t *validity; /* a bit a row; NULL as long as there is no null */
    size_t nulls;
    void *values; /* uint32_t or, of a duration, int64_t; of strings the int32_t offsets */
    char *text;   /* the strings; NULL in other columns */
    size_t text_size, text_used;
    int error; /* why filling it failed: 0, ENOMEM, EOVERFLOW */
} arrow_column;

static void
free_column(arrow_column *column)
{
    free(column->validity);
    free(column->values);
    free(column->text);
}

static int
allocate_column(arrow_column *column, const session_field *field, size_t rows)
{
    size_t width = is_duration(field) ? sizeof(int64_t) : sizeof(int32_t);
    column->field = field;
    column->rows = rows;
    if (rows >= SIZE_MAX / width) {
        return ENOMEM;
    }
    column->values = malloc((rows + 1) * width); /* strings have one offset more than rows */
    if (column->values == NULL) {
        return ENOMEM;
    }
    if (field->kind == FIELD_STRING) {
        *(int32_t *)column->values = 0;
        column->text_size = ((rows < ROWS_AT_A_TIME ? rows : ROWS_AT_A_TIME) + 1) * TEXT_GUESS;
        column->text = malloc(column->text_size);
        return column->text == NULL ? ENOMEM : 0;
    }
    return 0;
}

static void
put_null(arrow_column *column, size_t row)
{
    if (column->validity == NULL) {
        size_t size = column->rows / 8 + 1;
        column->validity = malloc(size);
        if (column->validity == NULL) {
            column->error = ENOMEM;
            return;
        }
        memset(column->validity, 0xFF, size);
    }
    column->validity[row / 8] &= (uint8_t) ~(1u << (row % 8));
    column->nulls++;
}

/* --- text --------------------------------------------------------------------------------- */

/* The size that the text of a column should have after `row` rows: what the others will need if
   they are like those before, and an eighth more. At least twice what it had, so that the cost of
   moving it stays in proportion. */
static size_t
wanted_text(const arrow_column *column, size_t row)
{
    uint64_t size = (uint64_t)column->text_size * 2;
    if (row >= ROWS_AT_A_TIME && column->rows <= MAX_TEXT) {
        uint64_t projected
            = (uint64_t)(column->text_used / row + 1) * (column->rows + column->rows / 8);
        size = projected > size ? projected : size;
    }
    return size < MAX_TEXT ? (size_t)size : MAX_TEXT;
}

static int
grow_text(arrow_column *column, size_t row)
{
    if (column->text_size == MAX_TEXT) {
        return EOVERFLOW;
    }
    size_t size = wanted_text(column, row);
    char *text = realloc(column->text, size);
    if (text == NULL) {
        return ENOMEM;
    }
    column->text = text;
    column->text_size = size;
    return 0;
}

/* Gives back what was allocated and not used, where that is worth a call. */
static void
trim_text(arrow_column *column)
{
    if (column->text_used >= column->text_size / 4 * 3) {
        return;
    }
    char *text = realloc(column->text, column->text_used > 0 ? column->text_used : 1);
    column->text = text == NULL ? column->text : text;
}

/* put_text() of a string that is not ASCII or does not fit. */
static char *
put_any_text(arrow_column *column, size_t row, const utf16_unit *units, char *out)
{
    for (;;) {
        out = utf16_to_utf8(&units, out, column->text + column->text_size);
        if (*units == 0) {
            return out;
        }
        column->text_used = (size_t)(out - column->text);
        column->error = grow_text(column, row);
        if (column->error != 0) {
            return out;
        }
        out = column->text + column->text_used;
    }
}

/* Writes the string of a row at `out`, in the column's text, which may move. Returns where it
   ends now; the column's error tells whether all of it was written. */
static inline char *
put_text(arrow_column *column, size_t row, const utf16_unit *units, char *out)
{
    out = utf16_copy_ascii(&units, out, column->text + column->text_size);
    return *units == 0 ? out : put_any_text(column, row, units, out);
}

/* --- filling ------------------------------------------------------------------------------ */

/* Some of the rows of a page. */
typedef struct {
    const unsigned char *entries; /* of the whole page */
    size_t entry_size;
    size_t first, last; /* last is the row after */
} page_part;

static void
put_strings(arrow_column *column, const page_part *part)
{
    int32_t *offsets = column->values;
    /* Kept out of the structure, and so in a register: every byte written goes through it. */
    char *out = column->text + column->text_used;
    for (size_t row = part->first; column->error == 0 && row < part->last; row++) {
        const utf16_unit *units
            = session_info_string(part->entries + row * part->entry_size, column->field);
        if (units == NULL) {
            put_null(column, row);
        }
        else {
            out = put_text(column, row, units, out);
        }
        offsets[row + 1] = (int32_t)(out - column->text); /* at most MAX_TEXT */
    }
    column->text_used = (size_t)(out - column->text);
}

static void
put_dwords(arrow_column *column, const page_part *part)
{
    uint32_t *values = column->values;
    bool has_unknown = may_be_unknown(column->field);
    for (size_t row = part->first; row < part->last; row++) {
        values[row] = session_info_dword(part->entries + row * part->entry_size, column->field);
        if (has_unknown && values[row] == UNKNOWN) {
            put_null(column, row);
        }
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
put_part(arrow_column *column, const page_part *part)
{
    if (column->field->kind == FIELD_STRING) {
        put_strings(column, part);
    }
    else if (is_duration(column->field)) {
        put_durations(column, part);
    }
    else {
        put_dwords(column, part);
    }
    return column->error;
}

static int
fill_columns(const session_level *level, arrow_column *columns, const unsigned char *entries,
             size_t rows)
{
    page_part part = {.entries = entries, .entry_size = level->size};
    for (; part.first < rows; part.first = part.last) {
        part.last = rows - part.first < ROWS_AT_A_TIME ? rows : part.first + ROWS_AT_A_TIME;
        for (int i = 0; i < level->field_count; i++) {
            if (put_part(&columns[i], &part) != 0) {
                return columns[i].error;
            }
        }
    }
    return 0;
}

/* --- arrays ------------------------------------------------------------------------------- */

/* What the array of a column owns. */
typedef struct {
    const void *buffers[3]; /* validity, values, text: each from malloc() or NULL */
} column_block;

/* What the array of a batch owns, beside its children. */
typedef struct {
    const void *buffers[1]; /* of a struct: its validity, NULL since all its rows are there */
    struct ArrowArray *children[SESSION_FIELDS]; /* to `columns` */
    struct ArrowArray columns[SESSION_FIELDS];
} batch_block;

static void
release_column(struct ArrowArray *array)
{
    column_block *block = array->private_data;
    for (size_t i = 0; i < sizeof(block->buffers) / sizeof(block->buffers[0]); i++) {
        free((void *)block->buffers[i]);
    }
    free(block);
    array->release = NULL;
}

static void
release_batch(struct ArrowArray *array)
{
    batch_block *block = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++) {
        struct ArrowArray *child = block->children[i];
        if (child->release != NULL) { /* NULL: moved out, its new owner releases it */
            child->release(child);
        }
    }
    free(block);
    array->release = NULL;
}

/* Makes `out` the array of a column and the owner of its buffers. */
static int
finish_column(arrow_column *column, struct ArrowArray *out)
{
    column_block *block = malloc(sizeof(*block));
    if (block == NULL) {
        return ENOMEM;
    }
    if (column->text != NULL) {
        trim_text(column);
    }
    *block = (column_block){.buffers = {column->validity, column->values, column->text}};
    *out = (struct ArrowArray){
        .length = (int64_t)column->rows,
        .null_count = (int64_t)column->nulls,
        .n_buffers = column->field->kind == FIELD_STRING ? 3 : 2,
        .buffers = block->buffers,
        .release = release_column,
        .private_data = block,
    };
    column->validity = NULL;
    column->values = NULL;
    column->text = NULL;
    return 0;
}

/* Makes `out` the array of all columns; those it could not take over stay the caller's. */
static int
finish_batch(const session_level *level, arrow_column *columns, size_t rows,
             struct ArrowArray *out)
{
    batch_block *block = calloc(1, sizeof(*block));
    if (block == NULL) {
        return ENOMEM;
    }
    *out = (struct ArrowArray){
        .length = (int64_t)rows,
        .n_buffers = 1,
        .buffers = block->buffers,
        .children = block->children,
        .release = release_batch,
        .private_data = block,
    };
    for (int i = 0; i < level->field_count; i++) {
        if (finish_column(&columns[i], &block->columns[i]) != 0) {
            release_batch(out); /* with the children made so far */
            return ENOMEM;
        }
        block->children[i] = &block->columns[i];
        out->n_children = i + 1;
    }
    return 0;
}

int
arrow_level_batch(const session_level *level, const unsigned char *entries, size_t count,
                  struct ArrowArray *out)
{
    int error = 0;
    arrow_column columns[SESSION_FIELDS] = {{.field = NULL}};
    for (int i = 0; error == 0 && i < level->field_count; i++) {
        error = allocate_column(&columns[i], &level->fields[i], count);
    }
    if (error == 0) {
        error = fill_columns(level, columns, entries, count);
    }
    if (error == 0) {
        error = finish_batch(level, columns, count, out);
    }
    for (int i = 0; i < level->field_count; i++) {
        free_column(&columns[i]); /* of a finished one nothing is left to free */
    }
    return error;
}
